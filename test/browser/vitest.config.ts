import { defineConfig } from 'vitest/config';

/** The screen in headless Chromium, which has to be on the machine: `npm run test:browser`. */
export default defineConfig({
  test: {
    include: ['test/browser/**/*.test.ts'],
    globalSetup: ['test/support/temporary-folder.ts'],
    testTimeout: 60_000,
  },
});
