import { defineConfig } from 'vitest/config';
import { refusal } from './container.ts';
import { SLOWNESS } from './debian.ts';

/** Where there can be no container. Source: sysexits.h, EX_UNAVAILABLE; design 15. */
const EXIT_UNAVAILABLE = 69;
const BOOTED = 'test/machine/boot.test.ts';
const PROCESSES = 'test/machine/processes.test.ts';
/** `--mode processes`: as if containers were refused. */
const WITHOUT_CONTAINERS = 'processes';

/**
 * What wants a Debian with systemd, dpkg and npm's registry: `npm run test:machine`. Where a
 * container is refused the same is tried on plain processes, and the command ends with 69: never
 * with 0.
 */
export default defineConfig(async ({ mode }) => {
  const why = mode === WITHOUT_CONTAINERS ? `--mode ${mode}` : await refusal();
  if (why !== undefined) {
    process.stderr.write(`NOT TRIED on a booted system, which is refused here: ${why.trim()}\n`);
    process.on('exit', (code) => {
      if (code === 0) process.exitCode = EXIT_UNAVAILABLE;
    });
  }
  return {
    test: {
      include: ['test/machine/**/*.test.ts'],
      exclude: [why === undefined ? PROCESSES : BOOTED],
      globalSetup: ['test/machine/package-file.ts'],
      // One after the other: they share the packages, and what is booted wants both cores.
      fileParallelism: false,
      // No test waits for time that it need not: these end what hangs, on however busy a computer.
      testTimeout: 300_000 * SLOWNESS,
      hookTimeout: 300_000 * SLOWNESS,
    },
  };
});
