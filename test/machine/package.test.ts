/** The Debian packages: built, looked into, and the one for this computer run with its own Node. */
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { packageFor } from './package-file.ts';

const ROOT = join(import.meta.dirname, '../..');
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const at = `/opt/spire/packages/${version}`;

/** What runs on this computer. */
const OWN = process.arch === 'arm64' ? 'arm64' : 'amd64';
/** `e_machine` of an ELF file. Source: elf(5). */
const ELF_MACHINE = { amd64: 62, arm64: 183 } as const;
const CPU = { amd64: 'x64', arm64: 'arm64' } as const;

function elfMachine(path: string): number {
  const header = Buffer.alloc(20);
  const file = openSync(path, 'r');
  readSync(file, header, 0, header.length, 0);
  closeSync(file);
  expect(header.subarray(0, 4).toString('latin1')).toBe('\u007fELF');
  return header.readUInt16LE(18);
}

describe.each(['amd64', 'arm64'] as const)('%s', (architecture) => {
  let folder: string;
  let contents: readonly string[];
  let field: (name: string) => string;
  const release = () => join(folder, at);

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'spire-package-'));
    const file = packageFor(architecture, inject('packages'));
    const dpkg = (...words: readonly string[]) =>
      execFileSync('dpkg-deb', words, { encoding: 'utf8', maxBuffer: 10_000_000 });
    field = (name) => dpkg('--field', file, name).trim();
    contents = dpkg('--contents', file)
      .split('\n')
      .map((line) => line.replace(/^(?:\S+\s+){5}\./, '').replace(/ -> .*$/, ''));
    dpkg('--extract', file, folder);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('it holds the program, its Node and what systemd wants, and nothing of the demo', () => {
    expect([field('Architecture'), field('Version')]).toEqual([architecture, version]);
    for (const path of [
      `${at}/bin/node`,
      `${at}/agent/start.js`,
      `${at}/agent/screen/index.html`,
      `${at}/node_modules/better-sqlite3/prebuilds/linux-${CPU[architecture]}.node`,
      `${at}/system/usr/lib/systemd/system/spire-agent.service`,
      '/usr/lib/systemd/system/spire-agent.service',
      '/usr/lib/systemd/system/spire-backup.service',
      '/usr/lib/systemd/system/spire-backup.timer',
      '/usr/lib/systemd/system/spire-update.service',
      '/usr/lib/systemd/system/multi-user.target.wants/spire-update.service',
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

  test('everything native in it is for this architecture and no other', () => {
    const native = contents.filter((path) => /\.node$|\/bin\/node$/.test(path));
    expect(native.length).toBeGreaterThanOrEqual(3);
    for (const path of native) {
      expect([path, elfMachine(join(folder, path))]).toEqual([path, ELF_MACHINE[architecture]]);
    }
  });

  test('removing and purging keep state and configuration', () => {
    for (const name of ['postrm', 'prerm']) {
      const script = readFileSync(join(ROOT, 'systemd/packaging', name), 'utf8');
      const commands = script.split('\n').filter((line) => !line.trim().startsWith('#'));
      expect(commands.join('\n')).not.toMatch(/rm [^\n]*\/(?:var\/lib|etc)\/spire/);
    }
  });

  // The other one's Node does not run here.
  if (architecture !== OWN) return;
  test('the command answers, and the service wants a configuration and is no demo', () => {
    const run = (...args: readonly string[]) =>
      spawnSync(join(release(), 'bin/node'), args, { cwd: '/', env: {}, encoding: 'utf8' });
    const command = run(join(release(), 'agent/cli/spire.js'), '--version');
    expect([command.stdout.trim(), command.status]).toEqual([version, 0]);
    const start = join(release(), 'agent/start.js');
    const missing = run(start, '--config', join(folder, 'nowhere.json'));
    expect(missing.stderr).toContain('nowhere.json');
    expect(missing.status).toBe(78);
    const demo = run(start);
    expect(demo.stderr).toContain('--config <file>');
    expect(demo.status).toBe(2);
  });
});
