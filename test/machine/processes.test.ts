/**
 * The package's program as plain processes, where no container may be booted: the same machine goes
 * through the same, without users, rights and dpkg.
 */
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { OWN } from './debian.ts';
import type { Machine } from './machine.ts';
import { packageFor } from './package-file.ts';
import { type PlainSite, startMachine } from './processes.ts';
import { tryEverything } from './scenarios.ts';

let site: PlainSite;
let machine: Machine;
let packageFile: string;
beforeAll(async () => {
  packageFile = packageFor(OWN, inject('packages'));
  ({ site, machine } = await startMachine(packageFile));
});
afterAll(() => site?.stop());
// What went before tells why.
beforeEach(({ onTestFailed }) => {
  onTestFailed(() => {
    const lines = site.log().split('\n').slice(-60);
    process.stderr.write(lines.map((line) => `${line.slice(0, 400)}\n`).join(''));
  });
});

tryEverything(() => ({ machine, packageFile }));

test('a stop is an orderly end, with everything told that was to be told', async () => {
  await site.halt();
  expect(site.log()).not.toContain('systemd not told');
  expect(site.pid()).toBe(0);
});
