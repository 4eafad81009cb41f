import { defineConfig } from 'vitest/config';

/** A hostile network, over real sockets and against NDK's bunker: `npm run test:chaos`. */
export default defineConfig({
  test: {
    include: ['test/protocol/chaos/*.test.ts'],
    globalSetup: ['test/support/temporary-folder.ts'],
    // Sockets and events of the event loop are counted, which a thread would share with others.
    pool: 'forks',
    maxWorkers: '100%',
    // No row waits for time: this ends only one that hangs, on however busy a computer.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // NDK writes to the console each time a relay is away.
    silent: 'passed-only',
  },
});
