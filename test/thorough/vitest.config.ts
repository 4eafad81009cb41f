import { defineConfig } from 'vitest/config';
import { THOROUGH_TESTS } from './files.ts';

/** Devices cut at every byte, long random runs, foreign drivers: `npm run test:thorough`. */
export default defineConfig({
  test: {
    include: [...THOROUGH_TESTS],
    globalSetup: ['test/support/temporary-folder.ts'],
    maxWorkers: '100%',
    testTimeout: 120_000,
    expect: { poll: { timeout: 20_000 } },
  },
});
