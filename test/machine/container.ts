/**
 * A fresh Debian that is booted with systemd in a container without a network. Every container
 * writes into a layer of its own above the base tree (debian.ts).
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { messageOf } from '#protocol/base/errors.ts';
import { baseTree, ownLibraries } from './debian.ts';
import type { Ended } from './site.ts';
import { until } from './until.ts';

const REPOSITORY = join(import.meta.dirname, '../..');
const BOOT_LIMIT_MS = 60_000;
const CGROUPS = ['/sys/fs/cgroup', '/sys/fs/cgroup/systemd', '/sys/fs/cgroup/unified'];

/** Why there can be no container here; undefined when there can. */
export async function refusal(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'only root may boot a container';
  const base = baseTree();
  if (base.refusal !== undefined) return base.refusal;
  const probe = spawnSync(
    'systemd-nspawn',
    [...NSPAWN, '--quiet', '--volatile=overlay', `--directory=${base.path}`, '/bin/true'],
    { encoding: 'utf8', timeout: BOOT_LIMIT_MS },
  );
  if (probe.status !== 0) return `systemd-nspawn: ${probe.stderr || probe.error?.message}`;
  try {
    const container = await Container.boot();
    await container.stop();
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/** Without systemd outside there is nobody to register with, and no unit to be a part of. */
const NSPAWN = existsSync('/run/systemd/system')
  ? ['--register=no', '--private-network']
  : ['--register=no', '--private-network', '--keep-unit'];

/** A booted system. */
export class Container {
  /** Shared with the container, where it is `/shared`. */
  readonly shared: string;
  readonly #folder: string;
  #nspawn: ChildProcess;
  readonly #cgroups: readonly string[];
  /** Its first process, as this computer numbers it. */
  #leader = 0;

  private constructor() {
    this.#folder = mkdtempSync(join(tmpdir(), 'spire-container-'));
    const at = (name: string) => join(this.#folder, name);
    for (const name of ['upper', 'work', 'root', 'shared']) mkdirSync(at(name));
    this.shared = at('shared');
    const layers = `lowerdir=${baseTree().path},upperdir=${at('upper')},workdir=${at('work')}`;
    execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', layers, at('root')]);
    this.#cgroups = ownCgroups(this.#folder.slice(-6));
    this.#nspawn = this.#switchOn();
  }

  #switchOn(): ChildProcess {
    const at = (name: string) => join(this.#folder, name);
    // Its first own act is to move into its groups, so that nothing is left in those of this one.
    const join_ = this.#cgroups.map((path) => `echo $$ > ${path}/cgroup.procs; `).join('');
    const words = [
      ...['--boot', '--quiet', '--console=pipe', ...NSPAWN],
      ...[`--directory=${at('root')}`, `--machine=spire-${process.pid}`],
      ...[`--bind-ro=${REPOSITORY}:/repository`, `--bind=${this.shared}:/shared`],
      ...ownLibraries().map((path) => `--bind-ro=${path}`),
    ];
    const console_ = openSync(at('console'), 'a');
    const nspawn = spawn('sh', ['-c', `${join_}exec systemd-nspawn "$@"`, 'sh', ...words], {
      stdio: ['ignore', console_, console_],
    });
    closeSync(console_);
    return nspawn;
  }

  /**
   * The power goes and comes again: nothing in it gets to hear of it, and it boots from what it has
   * written. What it had only handed to the system is there too, for this computer lives on.
   */
  async cutPower(): Promise<void> {
    const ended = once(this.#nspawn, 'exit');
    process.kill(this.#leader, 'SIGKILL');
    await ended;
    this.#nspawn = this.#switchOn();
    await this.#come();
  }

  /** Boots one. @throws Error with what its console said when it does not come up. */
  static async boot(): Promise<Container> {
    const container = new Container();
    try {
      await container.#come();
      return container;
    } catch (cause) {
      const said = readFileSync(join(container.#folder, 'console'), 'utf8');
      await container.stop();
      throw new Error(`the container does not boot: ${said}`, { cause });
    }
  }

  async #come(): Promise<void> {
    const { pid } = this.#nspawn;
    this.#leader = 0;
    await until('its first process', () => {
      const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
      this.#leader = Number(children.split(' ')[0]);
      return this.#leader > 0 && existsSync(`/proc/${this.#leader}/root/run/systemd/private`);
    });
    await until('running', () => {
      const { out } = this.run('systemctl', 'is-system-running');
      return ['running', 'degraded'].includes(out.trim());
    });
  }

  /** Runs a command in it, to its end. */
  run(...words: readonly string[]): Ended {
    const into = ['--target', String(this.#leader), '--all', '--wdns=/', '--', ...words];
    const { stdout, stderr, status } = spawnSync('nsenter', into, {
      encoding: 'utf8',
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root', LC_ALL: 'C' },
      maxBuffer: 10_000_000,
    });
    return { code: status, out: stdout, err: stderr };
  }

  /** The same, and the command has to end well. Returns what it wrote. */
  do(...words: readonly string[]): string {
    const { code, out, err } = this.run(...words);
    if (code !== 0) throw new Error(`${words.join(' ')} ended with ${code}: ${out}${err}`);
    return out;
  }

  /** One property of a unit. */
  property(unit: string, name: string): string {
    return this.do('systemctl', 'show', '--value', `--property=${name}`, unit).trim();
  }

  /** The path of a file in it, as this computer sees it. */
  path(inside: string): string {
    return `/proc/${this.#leader}/root${inside}`;
  }

  /** Writes a file in it. */
  write(inside: string, text: string, mode = '0644'): void {
    writeFileSync(join(this.shared, 'file'), text);
    this.do('install', '-D', `--mode=${mode}`, '/shared/file', inside);
  }

  /** Ends it, and takes away everything that was written. */
  async stop(): Promise<void> {
    if (this.#nspawn.exitCode === null && this.#nspawn.signalCode === null) {
      const ended = once(this.#nspawn, 'exit');
      // Nothing in it is wanted any more: it ends at once.
      if (this.#leader > 0) process.kill(this.#leader, 'SIGKILL');
      else this.#nspawn.kill('SIGTERM');
      await ended;
    }
    spawnSync('umount', [join(this.#folder, 'root')]);
    for (const path of this.#cgroups) removeGroup(path);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Groups for the container where no systemd gives it one; none elsewhere. */
function ownCgroups(name: string): readonly string[] {
  if (existsSync('/run/systemd/system')) return [];
  return CGROUPS.filter((path) => existsSync(`${path}/cgroup.procs`)).map((path) => {
    const own = join(path, `spire-${name}`);
    mkdirSync(own);
    return own;
  });
}

function removeGroup(path: string): void {
  const found = execFileSync('find', [path, '-depth', '-type', 'd'], { encoding: 'utf8' });
  for (const group of found.trim().split('\n')) rmdirSync(group);
}
