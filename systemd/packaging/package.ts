/**
 * `npm run package`: a Debian package for each architecture. Compiled JavaScript, production
 * dependencies with the binaries that they ship, and a Node of its own: installing needs neither a
 * network nor a compiler. Building needs npm's registry, `tar` and `dpkg-deb`.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const ROOT = join(import.meta.dirname, '../..');
const SYSTEMD = join(ROOT, 'systemd');
const PACKAGING = import.meta.dirname;

/** Debian's name of an architecture, npm's, and the checksum of its Node. */
const ARCHITECTURES = {
  amd64: {
    cpu: 'x64',
    integrity:
      'sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==',
  },
  arm64: {
    cpu: 'arm64',
    integrity:
      'sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==',
  },
} as const;
type Architecture = keyof typeof ARCHITECTURES;
/** The version that is developed and tested with (package.json, `optionalDependencies`). */
const NODE_VERSION = '24.21.0';
/** Nothing of the demo goes to a machine: it has a wallet and devices that are not real. */
const NOT_SHIPPED = ['agent/demo', 'agent/demo.js', 'hal/simulator', 'protocol/simulator'];

interface PackageFile {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly imports: Readonly<Record<string, string>>;
}

const run = (command: string, args: readonly string[], cwd = ROOT): string =>
  execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });

function build(architecture: Architecture, out: string): string {
  const manifest: PackageFile = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const stage = join(out, architecture);
  rmSync(stage, { recursive: true, force: true });
  // What is installed gives every release a second name, in `releases`, that outlives the package.
  const release = join(stage, 'opt/spire/packages', manifest.version);
  mkdirSync(release, { recursive: true });
  compile(release);
  installDependencies(release, manifest, architecture);
  installNode(release, out, architecture);
  installSystemFiles(stage);
  // Every release has its own units and rules with it, so that they come back with it.
  installSystemFiles(join(release, 'system'));
  installDocuments(stage);
  writeControl(stage, manifest.version, architecture);
  const file = join(out, `${manifest.name}_${manifest.version}_${architecture}.deb`);
  run('dpkg-deb', ['--build', '--root-owner-group', '-Zzstd', stage, file]);
  rmSync(stage, { recursive: true });
  return file;
}

function compile(release: string): void {
  const compiler = join(ROOT, 'node_modules/.bin/tsc');
  run(compiler, ['-p', join(PACKAGING, 'tsconfig.json'), '--outDir', release]);
  for (const path of NOT_SHIPPED) rmSync(join(release, path), { recursive: true, force: true });
  writeFileSync(
    join(release, 'agent/demo.js'),
    'export async function run() {\n' +
      "  process.stderr.write('a machine has no demo: say --config <file>\\n');\n" +
      '  return 2;\n}\n',
  );
  cpSync(join(ROOT, 'agent/screen'), join(release, 'agent/screen'), { recursive: true });
}

/** The lock file's versions, without what only development wants, for the machine's own kind. */
function installDependencies(release: string, manifest: PackageFile, to: Architecture): void {
  cpSync(join(ROOT, 'package-lock.json'), join(release, 'package-lock.json'));
  cpSync(join(ROOT, 'package.json'), join(release, 'package.json'));
  cpSync(join(ROOT, '.npmrc'), join(release, '.npmrc'));
  const omit = ['--omit=dev', '--omit=peer', '--omit=optional'];
  const { cpu } = ARCHITECTURES[to];
  run('npm', ['ci', ...omit, '--os=linux', `--cpu=${cpu}`, '--libc=glibc'], release);
  for (const name of ['package-lock.json', '.npmrc']) rmSync(join(release, name));
  keepBinariesOf(join(release, 'node_modules'), cpu);
  const imports = Object.fromEntries(
    Object.entries(manifest.imports)
      .filter(([name]) => !name.startsWith('#test/'))
      .map(([name, path]) => [name, path.replace(/\.ts$/, '.js')]),
  );
  const { name, version, license, dependencies } = manifest;
  const shipped = { name, version, license, type: 'module', private: true, imports, dependencies };
  writeFileSync(join(release, 'package.json'), `${JSON.stringify(shipped, undefined, 2)}\n`);
}

/** Packages bring binaries for every system; a machine needs those of its own. */
function keepBinariesOf(modules: string, cpu: string): void {
  for (const path of ['better-sqlite3', '@serialport/bindings-cpp']) {
    const folder = join(modules, path, 'prebuilds');
    const kept = readdirSync(folder).filter(
      (name) => name.replace(/\.node$/, '') === `linux-${cpu}`,
    );
    if (kept.length !== 1) throw new Error(`${path} has no binary for linux-${cpu}`);
    for (const name of readdirSync(folder)) {
      if (!kept.includes(name)) rmSync(join(folder, name), { recursive: true });
    }
  }
  // One of them brings a second binary, for another C library than Debian's.
  for (const name of readdirSync(modules, { recursive: true, encoding: 'utf8' })) {
    if (name.endsWith('.musl.node')) rmSync(join(modules, name));
  }
}

function installNode(release: string, out: string, architecture: Architecture): void {
  const { cpu, integrity } = ARCHITECTURES[architecture];
  const tarball = join(out, `node-linux-${cpu}-${NODE_VERSION}.tgz`);
  if (!existsSync(tarball))
    run('npm', ['pack', '--silent', `node-linux-${cpu}@${NODE_VERSION}`], out);
  const digest = createHash('sha512').update(readFileSync(tarball)).digest('base64');
  if (`sha512-${digest}` !== integrity) throw new Error(`${tarball} is not what was checked`);
  const bin = join(release, 'bin');
  mkdirSync(bin);
  run('tar', ['-xzf', tarball, '-C', bin, '--strip-components=2', 'package/bin/node']);
}

function installSystemFiles(stage: string): void {
  const into = (folder: string, from: string): void => {
    mkdirSync(join(stage, folder), { recursive: true });
    cpSync(from, join(stage, folder), { recursive: true });
  };
  const units = join(stage, 'usr/lib/systemd/system');
  mkdirSync(units, { recursive: true });
  for (const name of readdirSync(SYSTEMD).filter((file) => /\.(?:service|timer)$/.test(file))) {
    cpSync(join(SYSTEMD, name), join(units, name));
  }
  into('usr/lib/sysusers.d', join(SYSTEMD, 'sysusers.d'));
  into('usr/lib/tmpfiles.d', join(SYSTEMD, 'tmpfiles.d'));
  into('usr/lib/udev/rules.d', join(SYSTEMD, 'udev'));
  // It goes on by itself at a boot when a power cut has ended an update, enabled or not.
  const wants = join(units, 'multi-user.target.wants');
  mkdirSync(wants);
  symlinkSync('../spire-update.service', join(wants, 'spire-update.service'));
}

function installDocuments(stage: string): void {
  const into = join(stage, 'usr/share/doc/spire-agent');
  cpSync(join(SYSTEMD, 'runbooks'), join(into, 'runbooks'), { recursive: true });
  cpSync(join(ROOT, 'LICENSE'), join(into, 'copyright'));
  mkdirSync(join(stage, 'usr/bin'), { recursive: true });
  symlinkSync('/opt/spire/current/bin/spire', join(stage, 'usr/bin/spire'));
}

function writeControl(stage: string, version: string, architecture: Architecture): void {
  const release = join(stage, 'opt/spire/packages', version);
  const command = join(release, 'bin/spire');
  writeFileSync(
    command,
    '#!/bin/sh\nexec /opt/spire/current/bin/node /opt/spire/current/agent/cli/spire.js "$@"\n',
  );
  chmodSync(command, 0o755);
  const control = join(stage, 'DEBIAN');
  mkdirSync(control);
  for (const name of ['control', 'postinst', 'prerm', 'postrm']) {
    const text = readFileSync(join(PACKAGING, name), 'utf8')
      .replaceAll('@VERSION@', version)
      .replaceAll('@ARCHITECTURE@', architecture);
    writeFileSync(join(control, name), text, { mode: name === 'control' ? 0o644 : 0o755 });
  }
}

const { values } = parseArgs({
  options: {
    arch: { type: 'string', multiple: true, default: Object.keys(ARCHITECTURES) },
    out: { type: 'string', default: join(ROOT, 'build') },
  },
});
mkdirSync(values.out, { recursive: true });
for (const name of values.arch) {
  if (name !== 'amd64' && name !== 'arm64') throw new Error(`amd64 or arm64, not ${name}`);
  const file = build(name, values.out);
  process.stdout.write(`${file} ${(statSync(file).size / 1_000_000).toFixed(1)} MB\n`);
}
