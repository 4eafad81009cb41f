/** The units as systemd itself reads them. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

const SYSTEMD = join(import.meta.dirname, '../../systemd');
/** Design 14. */
const EXPOSURE_MAX = 1.6;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spire-units-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** All that a program said, on both streams, and how it ended. */
function run(command: string, ...args: readonly string[]) {
  const { stdout, stderr, status } = spawnSync(command, args, { encoding: 'utf8' });
  return { said: stdout + stderr, status };
}
const analyze = (...args: readonly string[]) => run('systemd-analyze', ...args);

/** The unit with a program that is there: whether it exists is the package's business. */
function unit(name: string): string {
  const path = join(folder, name);
  const text = readFileSync(join(SYSTEMD, name), 'utf8');
  writeFileSync(path, text.replace(/^ExecStart=\S+/m, 'ExecStart=/bin/true'));
  return path;
}

test('the service is what systemd understands, and no more exposed than it must be', () => {
  const path = unit('spire-agent.service');
  expect(analyze('verify', path)).toEqual({ said: '', status: 0 });
  const { said } = analyze('security', '--offline=true', path);
  const exposure = Number(/exposure level for \S+: ([\d.]+)/.exec(said)?.[1]);
  expect(exposure).toBeLessThanOrEqual(EXPOSURE_MAX);
});

test('a unit with a misspelt word is noticed', () => {
  const path = unit('spire-agent.service');
  writeFileSync(path, readFileSync(path, 'utf8').replace('ProtectHome=', 'ProtectHouse='));
  expect(analyze('verify', path).said).toContain('ProtectHouse');
});

test('user and groups are what systemd understands', () => {
  const file = join(SYSTEMD, 'sysusers.d/spire.conf');
  const { said, status } = run('systemd-sysusers', '--dry-run', `--root=${folder}`, file);
  expect(said).toContain("Creating user 'spire'");
  expect(said).toContain("Creating group 'spire-service'");
  expect(status).toBe(0);
});
