/**
 * Which tests of devices try every place once: the power cut at every byte, long runs of random
 * acts, other people's drivers. They lie beside what they test, and have a command of their own.
 */
export const THOROUGH_TESTS: readonly string[] = [
  'test/hal/**/{cut,cuts,power-cuts,soak,foreign-driver}.test.ts',
];
