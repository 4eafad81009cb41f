/** The Debian package: built, looked into, unpacked, and run with its own Node. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));

let folder: string;
let contents: readonly string[];
const release = () => join(folder, 'unpacked/opt/spire/releases', version);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'spire-package-'));
  const script = join(ROOT, 'systemd/packaging/package.ts');
  execFileSync(process.execPath, [script, '--architecture', 'amd64', '--out', folder], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const file = join(folder, `spire-agent_${version}_amd64.deb`);
  const listed = execFileSync('dpkg-deb', ['--contents', file], {
    encoding: 'utf8',
    maxBuffer: 10_000_000,
  });
  contents = listed.split('\n').map((line) => line.replace(/^(?:\S+\s+){5}\./, ''));
  execFileSync('dpkg-deb', ['--extract', file, join(folder, 'unpacked')]);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The packaged program on the packaged Node, with nothing else of this machine's. */
const run = (...args: readonly string[]) =>
  spawnSync(join(release(), 'bin/node'), args, { cwd: '/', env: {}, encoding: 'utf8' });

test('it holds the program, its Node and what systemd wants, and nothing of the demo', () => {
  const at = `/opt/spire/releases/${version}`;
  for (const path of [
    `${at}/bin/node`,
    `${at}/agent/start.js`,
    `${at}/agent/screen/index.html`,
    `${at}/node_modules/better-sqlite3/prebuilds/linux-x64.node`,
    '/usr/lib/systemd/system/spire-agent.service',
    '/usr/lib/sysusers.d/spire.conf',
    '/usr/lib/udev/rules.d/60-spire.rules',
    '/usr/share/doc/spire-agent/runbooks/never.md',
  ]) {
    expect(contents).toContain(path);
  }
  const ours = contents.filter((path) => !path.includes('/node_modules/'));
  expect(ours.filter((path) => /simulator|demo\/|\.ts$/.test(path))).toEqual([]);
  const modules = contents.filter((path) =>
    /node_modules\/(?:vitest|typescript|@nostr-dev-kit)\//.test(path),
  );
  expect(modules).toEqual([]);
});

test('the command answers', () => {
  const { stdout, status } = run(join(release(), 'agent/cli/spire.js'), '--version');
  expect(stdout.trim()).toBe(version);
  expect(status).toBe(0);
});

test('the service refuses without a configuration, and is no demo', () => {
  const start = join(release(), 'agent/start.js');
  const missing = run(start, '--config', join(folder, 'nowhere.json'));
  expect(missing.stderr).toContain('nowhere.json');
  expect(missing.status).toBe(78);
  const demo = run(start);
  expect(demo.stderr).toContain('--config <file>');
  expect(demo.status).toBe(2);
});

test('removing and purging keep state and configuration', () => {
  const script = readFileSync(join(ROOT, 'systemd/packaging/postrm'), 'utf8');
  const commands = script.split('\n').filter((line) => !line.trim().startsWith('#'));
  expect(commands.join('\n')).not.toMatch(/rm [^\n]*\/(?:var\/lib|etc)\/spire/);
});
