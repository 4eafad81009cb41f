import { defineConfig } from 'vitest/config';

/** The scenarios of every device over real ptys: `npm run test:ptys`. Their time is virtual. */
export default defineConfig({
  test: {
    include: ['test/ptys/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 30_000,
  },
});
