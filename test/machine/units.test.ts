/** The units as systemd itself reads them. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

const SYSTEMD = join(import.meta.dirname, '../../systemd');
const RUNBOOKS = join(SYSTEMD, 'runbooks');
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

/** How exposed a service is, as systemd counts it: 0 to 10. */
function exposure(path: string): number {
  const { said } = analyze('security', '--offline=true', path);
  return Number(/exposure level for \S+: ([\d.]+)/.exec(said)?.[1]);
}

test('all units together are what systemd understands', () => {
  const names = readdirSync(SYSTEMD).filter((name) => /\.(?:service|timer)$/.test(name));
  expect(names).toHaveLength(4);
  expect(analyze('verify', ...names.map(unit))).toEqual({ said: '', status: 0 });
});

test('what runs all the time, and what copies, are no more exposed than they must be', () => {
  expect(exposure(unit('spire-agent.service'))).toBeLessThanOrEqual(EXPOSURE_MAX);
  expect(exposure(unit('spire-backup.service'))).toBeLessThanOrEqual(EXPOSURE_MAX);
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

test('every page that a unit or a runbook names is there', () => {
  const files = [
    ...readdirSync(SYSTEMD),
    ...readdirSync(RUNBOOKS).map((name) => `runbooks/${name}`),
  ]
    .filter((name) => /\.(?:service|timer|md)$/.test(name))
    .map((name) => readFileSync(join(SYSTEMD, name), 'utf8'));
  const pages = files.flatMap((text) => [...text.matchAll(/[\w-]+\.md\b/g)].map(([page]) => page));
  expect(new Set(pages).size).toBeGreaterThan(5);
  const missing = pages.filter((page) => !existsSync(join(RUNBOOKS, page)));
  expect(missing).toEqual([]);
});
