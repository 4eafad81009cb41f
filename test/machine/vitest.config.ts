import { defineConfig } from 'vitest/config';
import { refusal } from './container.ts';

/** Where there can be no container. Source: sysexits.h, EX_UNAVAILABLE; design 15. */
const EXIT_UNAVAILABLE = 69;
const BOOTED = 'test/machine/boot.test.ts';

/**
 * What wants a Debian with systemd, dpkg and npm's registry: `npm run test:machine`. Where a
 * container is refused the rest is tried all the same, and the command ends with 69: never with 0.
 */
export default defineConfig(async () => {
  const why = await refusal();
  if (why !== undefined) {
    process.stderr.write(`NOT TRIED on a booted system, which is refused here: ${why.trim()}\n`);
    process.on('exit', (code) => {
      if (code === 0) process.exitCode = EXIT_UNAVAILABLE;
    });
  }
  return {
    test: {
      include: ['test/machine/**/*.test.ts'],
      exclude: why === undefined ? [] : [BOOTED],
      globalSetup: ['test/machine/package-file.ts'],
      // One after the other: they share the packages, and what is booted wants both cores.
      fileParallelism: false,
      testTimeout: 300_000,
      hookTimeout: 300_000,
    },
  };
});
