/**
 * The Debian that is booted: 12, or what `SPIRE_DEBIAN` names (`trixie` is 13), for this computer's
 * own processor, or for the one that `SPIRE_ARCH` names, which is then emulated (qemu-user). The
 * base tree is made once by debootstrap and kept in the temporary folder.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';

const SUITE = process.env.SPIRE_DEBIAN ?? 'bookworm';
const MIRROR = 'http://deb.debian.org/debian';
/** What a machine's Debian has, and minbase lacks. */
const PACKAGES = ['systemd', 'systemd-sysv', 'dbus', 'udev', 'libstdc++6'];
const BINFMT = '/proc/sys/fs/binfmt_misc';

/** Debian's name of this computer's processor. */
export const OWN = process.arch === 'arm64' ? 'arm64' : 'amd64';
/** That of the machine's. */
export const ARCHITECTURE = z.enum(['amd64', 'arm64']).parse(process.env.SPIRE_ARCH ?? OWN);
/** Every program of the machine runs in an emulator, which knows no filters of system calls. */
export const IS_EMULATED = ARCHITECTURE !== OWN;
/** Limits of a test are for real processors; an emulated one takes so many times as long. */
export const SLOWNESS = IS_EMULATED ? 8 : 1;

/** How Linux and its loader call them. Source: elf(5), ld.so(8), multiarch of Debian. */
const LINUX = {
  amd64: { machine: 'x86_64', loader: '/lib64/ld-linux-x86-64.so.2' },
  arm64: { machine: 'aarch64', loader: '/lib/ld-linux-aarch64.so.1' },
} as const;

/**
 * What of this computer the emulated system needs: what is around the machine runs in the container
 * as well, by this computer's own Node, which wants its own libraries.
 */
export function ownLibraries(): readonly string[] {
  const { machine, loader } = LINUX[OWN];
  return IS_EMULATED ? [`/usr/lib/${machine}-linux-gnu`, loader] : [];
}

/** The base tree; or why there can be none. Installs what it takes. */
export function baseTree(): { readonly path: string; readonly refusal?: string } {
  const name = `spire-debian-${SUITE}${IS_EMULATED ? `-${ARCHITECTURE}` : ''}`;
  const path = join(tmpdir(), name);
  const refusal =
    installed('debootstrap', 'debootstrap') ??
    installed('systemd-nspawn', 'systemd-container') ??
    (IS_EMULATED ? emulated() : undefined);
  if (refusal !== undefined) return { path, refusal };
  if (existsSync(path)) return { path };
  const partial = mkdtempSync(`${path}-`);
  const options = [`--arch=${ARCHITECTURE}`, '--variant=minbase'];
  const made = spawnSync(
    'debootstrap',
    [...options, `--include=${PACKAGES.join(',')}`, SUITE, partial, MIRROR],
    { encoding: 'utf8', maxBuffer: 100_000_000 },
  );
  if (made.status !== 0) {
    rmSync(partial, { recursive: true, force: true });
    return { path, refusal: `debootstrap: ${made.stdout.slice(-300)}${made.stderr}` };
  }
  rmSync(join(partial, 'var/cache/apt'), { recursive: true, force: true });
  renameSync(partial, path);
  return { path };
}

/** Installs the package of a command that is not there. Returns why it cannot be. */
function installed(command: string, name: string): string | undefined {
  if (spawnSync('which', [command]).status === 0) return undefined;
  const install = spawnSync(
    'sh',
    [
      '-c',
      'apt-get update -qq && DEBIAN_FRONTEND=noninteractive ' +
        `apt-get install -y -qq --no-install-recommends ${name}`,
    ],
    { encoding: 'utf8' },
  );
  return install.status === 0 ? undefined : `${name} cannot be installed: ${install.stderr}`;
}

/** Has the kernel run programs for the other processor. Returns why it does not. */
function emulated(): string | undefined {
  const { machine } = LINUX[ARCHITECTURE];
  const handler = join(BINFMT, `qemu-${machine}`);
  if (existsSync(handler)) return undefined;
  const missing = installed(`qemu-${machine}-static`, 'qemu-user-static');
  if (missing !== undefined) return missing;
  if (!existsSync(join(BINFMT, 'register'))) {
    spawnSync('mount', ['-t', 'binfmt_misc', 'binfmt_misc', BINFMT]);
  }
  const conf = `/usr/lib/binfmt.d/qemu-${machine}.conf`;
  const { stderr } = spawnSync('/lib/systemd/systemd-binfmt', [conf], { encoding: 'utf8' });
  return existsSync(handler) ? undefined : `${ARCHITECTURE} cannot be emulated: ${stderr}`;
}
