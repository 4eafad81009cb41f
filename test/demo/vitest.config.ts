import { defineConfig } from 'vitest/config';

/** The whole machine as a person starts it, as child processes: `npm run test:demo`. */
export default defineConfig({
  test: {
    include: ['test/demo/**/*.test.ts'],
    globalSetup: ['test/support/temporary-folder.ts'],
    maxWorkers: '100%',
    testTimeout: 120_000,
  },
});
