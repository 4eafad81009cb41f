import { defineConfig } from 'vitest/config';

/** A technician at a pseudo-terminal and a machine of processes: `npm run test:field`. */
export default defineConfig({
  test: {
    include: ['test/field/**/*.test.ts'],
    // Each has two or three processes of Node beside it.
    fileParallelism: false,
    testTimeout: 300_000,
  },
});
