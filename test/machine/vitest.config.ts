import { defineConfig } from 'vitest/config';

/** What wants a Debian with systemd, dpkg and npm's registry: `npm run test:machine`. */
export default defineConfig({
  test: { include: ['test/machine/**/*.test.ts'], testTimeout: 300_000, hookTimeout: 300_000 },
});
