/** The Debian packages: built, looked into, and the one for this computer run with its own Node. */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { OWN } from './debian.ts';
import { packageFor } from './package-file.ts';

const ROOT = join(import.meta.dirname, '../..');
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const at = `/opt/spire/packages/${version}`;

/** `e_machine` of an ELF file. Source: elf(5). */
const ELF_MACHINE = { amd64: 62, arm64: 183 } as const;
const CPU = { amd64: 'x64', arm64: 'arm64' } as const;

/** Newest version of each symbol that Debian 12 has (glibc 2.36, libstdc++ of gcc 12). */
const DEBIAN_12: Readonly<Record<string, number>> = { GLIBC_2: 36, 'GLIBCXX_3.4': 30 };
/** Source: the libstdc++ manual, "ABI Policy and Guidelines". */
const GLIBCXX_OF_GCC: Readonly<Record<number, number>> = { 10: 28, 11: 29, 12: 30 };

function headerOf(path: string): Buffer {
  const header = Buffer.alloc(20);
  const file = openSync(path, 'r');
  readSync(file, header, 0, header.length, 0);
  closeSync(file);
  return header;
}

const elfMachine = (path: string): number => headerOf(path).readUInt16LE(18);

/** All programs and libraries below a folder, whatever they are called. */
function native(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => headerOf(path).toString('latin1', 0, 4) === '\u007fELF');
}

/** The last number of each version of a symbol that is named in a file. */
function versionsIn(path: string, name: string): readonly number[] {
  const pattern = new RegExp(`${name.replace('.', '\\.')}\\.(\\d+)`, 'g');
  return [...readFileSync(path, 'latin1').matchAll(pattern)].map(([, last]) => Number(last));
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
    const found = native(folder);
    expect(found.filter((path) => /\.node$|\/bin\/node$/.test(path))).toHaveLength(3);
    for (const path of found) {
      expect([path, elfMachine(path)]).toEqual([path, ELF_MACHINE[architecture]]);
    }
  });

  test('it asks of the C and C++ libraries what Debian 12 has, and the package says so', () => {
    const needs = Object.keys(DEBIAN_12).map((name) => {
      const asked = native(folder).flatMap((path) => versionsIn(path, name));
      return [name, Math.max(...asked)] as const;
    });
    for (const [name, version] of needs) {
      expect(version).toBeGreaterThan(0);
      expect([name, version]).toEqual([name, Math.min(version, DEBIAN_12[name] ?? 0)]);
    }
    const { GLIBC_2 = 0, 'GLIBCXX_3.4': cxx = 0 } = Object.fromEntries(needs);
    const depends = field('Depends');
    expect(Number(/libc6 \(>= 2\.(\d+)\)/.exec(depends)?.[1])).toBeGreaterThanOrEqual(GLIBC_2);
    const gcc = Number(/libstdc\+\+6 \(>= (\d+)\)/.exec(depends)?.[1]);
    expect(GLIBCXX_OF_GCC[gcc] ?? 0).toBeGreaterThanOrEqual(cxx);
  });

  test('removing and purging keep state and configuration, unless told otherwise', () => {
    const root = join(folder, 'purged');
    const scripts = join(folder, 'scripts');
    execFileSync('dpkg-deb', ['--control', packageFor(architecture, inject('packages')), scripts]);
    // The package's own script, on a root of its own.
    const text = readFileSync(join(scripts, 'postrm'), 'utf8');
    const script = text.replaceAll(/(?<= )\/(?=(?:opt|var|etc|run)\/)/g, `${root}/`);
    // None but those: it removes things.
    expect(script.replaceAll(root, '').length).toBe(text.length);
    expect(script.replaceAll(`${root}/`, '')).not.toMatch(/\/(?:opt|var|etc|run)\//);
    const kept = ['var/lib/spire', 'etc/spire'];
    const left = () => kept.filter((path) => existsSync(join(root, path)));
    const end = (word: string, env = {}) =>
      execFileSync('sh', ['-c', script, 'postrm', word], { env });
    for (const path of [...kept, 'opt/spire/releases']) {
      mkdirSync(join(root, path), { recursive: true });
    }
    for (const word of ['remove', 'purge']) {
      end(word);
      expect(left()).toEqual(kept);
      expect(existsSync(join(root, 'opt/spire/releases'))).toBe(false);
    }
    for (const word of ['remove', 'upgrade']) end(word, { SPIRE_PURGE_STATE: 'yes' });
    expect(left()).toEqual(kept);
    end('purge', { SPIRE_PURGE_STATE: 'yes' });
    expect(left()).toEqual([]);
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
