/**
 * Which tests try every place once: power cut at every byte and write, long runs of random acts, and
 * other people's drivers. They lie beside what they test, and have a command of their own.
 */
export const THOROUGH_TESTS: readonly string[] = [
  'test/**/{cut,cuts,power-cuts,ssp-cuts}.test.ts',
  'test/**/soak.test.ts',
  'test/**/foreign-driver.test.ts',
];
