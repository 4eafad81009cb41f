import { defineConfig } from 'vitest/config';
import { THOROUGH_TESTS } from './test/thorough/files.ts';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/temporary-folder.ts'],
    // They have commands of their own: `npm run test:browser`, `test:machine`, `test:ptys` ...
    exclude: [
      ...THOROUGH_TESTS,
      'test/browser/**',
      'test/demo/**',
      'test/field/**',
      'test/machine/**',
      'test/ptys/**',
      'test/protocol/chaos/**',
      'node_modules/**',
    ],
    testTimeout: 30_000,
    // What is waited for is another process's doing; one second is too little on a busy box.
    expect: { poll: { timeout: 20_000 } },
    // Much of the time goes into waiting for sockets, ttys and other processes.
    maxWorkers: '100%',
    coverage: {
      provider: 'v8',
      include: ['agent/**/*.ts', 'state/**/*.ts', 'protocol/base/**/*.ts'],
      reporter: ['text-summary'],
      reportOnFailure: true,
      thresholds: {
        'state/**': { branches: 95 },
        'protocol/base/**': { branches: 95 },
        'agent/**': { branches: 75 },
      },
    },
  },
});
