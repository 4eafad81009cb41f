/**
 * A machine of plain processes, where no container may be booted: the package's program as its
 * units start it, and what systemd would do for it. It is told by `systemd-notify` over a real
 * datagram socket, starts again what died, and ends what gives no sign of life. Users, rights and
 * dpkg are not tried here.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { type CancelTimer, systemClock } from '#protocol/base/clock.ts';
import { CONFIGURATION, configurationOf, Machine, readSurroundings, SOCKET } from './machine.ts';
import type { Ended, Site } from './site.ts';
import { SURROUNDINGS } from './surroundings.ts';
import { until } from './until.ts';

const STATE = '/var/lib/spire';
const HERE = import.meta.dirname;
/** Shorter than the unit's 30 s, for a test that waits for it. */
const WATCHDOG_MS = 12_000;
const RESTART_MS = 500;
const STOP_LIMIT_MS = 30_000;
/** Source: systemd.exec(5); the unit's RestartPreventExitStatus. */
const EXIT_CONFIGURATION = 78;
/** Writes down every datagram, one a line: Node has no datagram sockets of unix, perl always. */
const HEAR =
  'socket(S,PF_UNIX,SOCK_DGRAM,0);bind(S,sockaddr_un($ARGV[0]))||die$!;$|=1;' +
  'print"ready\\n";while(defined recv(S,$m,65536,0)){$m=~tr/\\n/ /;print"$m\\n"}';

/** See the head of the file. */
export class PlainSite implements Site {
  readonly #folder = mkdtempSync(join(tmpdir(), 'spire-plain-'));
  readonly #root = join(this.#folder, 'root');
  readonly shared = join(this.#folder, 'shared');
  readonly sharedInside = this.shared;
  readonly #logFile = join(this.#folder, 'log');
  readonly #helpers: ChildProcess[] = [];
  readonly #systemd: Server = createServer({ allowHalfOpen: true }, async (socket) => {
    const words: string[] = JSON.parse(await text(socket));
    socket.end(String(await this.#systemctl(words)));
  });
  #service: ChildProcess | undefined;
  #isWanted: boolean = false;
  #isReady: boolean = false;
  #restarts = 0;
  #periodMs = WATCHDOG_MS;
  #cancelWatch: CancelTimer = () => undefined;

  /** Unpacks the package and makes what systemd would have made. */
  async prepare(packageFile: string): Promise<void> {
    for (const folder of ['/etc/spire', '/run/spire', STATE, '/opt/spire/releases']) {
      mkdirSync(this.path(folder), { recursive: true });
    }
    mkdirSync(this.shared);
    this.#writeDpkg();
    this.#writeScript('systemctl', `exec ${process.execPath} ${HERE}/systemctl.ts ${this.#own}`);
    execFileSync(join(this.#folder, 'dpkg'), ['--install', packageFile]);
    const [version = ''] = readdirSync(this.path('/opt/spire/releases'));
    symlinkSync(`releases/${version}`, this.path('/opt/spire/current'));
    this.#systemd.listen(this.#own);
    const hears = this.#run('perl', ['-MSocket', '-e', HEAR, this.#notifySocket]);
    if (!hears.stdout) throw new Error('nobody hears the service');
    const lines = createInterface({ input: hears.stdout });
    await once(lines, 'line');
    lines.on('line', (line) => this.#hear(line));
  }

  /** Starts a helper that ends with the site. */
  #run(command: string, words: readonly string[]): ChildProcess {
    const child = spawn(command, [...words], { stdio: ['ignore', 'pipe', this.#openLog()] });
    this.#helpers.push(child);
    return child;
  }

  /** Starts what is around the machine. */
  async surround() {
    const folder = join(this.#folder, 'world');
    mkdirSync(folder);
    this.#run(process.execPath, [join(HERE, 'world.ts'), folder, this.shared]);
    const file = join(this.shared, SURROUNDINGS);
    await until('what is around the machine', () => existsSync(file));
    return readSurroundings(file);
  }

  get #own(): string {
    return join(this.#folder, 'systemd.sock');
  }

  get #notifySocket(): string {
    return join(this.#folder, 'notify');
  }

  #openLog(): number {
    return openSync(this.#logFile, 'a');
  }

  #writeScript(name: string, body: string): void {
    const path = join(this.#folder, name);
    writeFileSync(path, `#!/bin/sh\nset -e\n${body} "$@"\n`);
    chmodSync(path, 0o755);
  }

  /** What the package's own scripts do, below this root. */
  #writeDpkg(): void {
    const root = this.#root;
    this.#writeScript('dpkg-deb', 'exec dpkg-deb');
    this.#writeScript(
      'dpkg',
      'if [ "$1" = --install ]; then\n' +
        `dpkg-deb --extract "$2" ${root}\n` +
        'version=$(dpkg-deb --field "$2" Version)\n' +
        `cp -al ${root}/opt/spire/packages/$version ${root}/opt/spire/releases/$version\n` +
        'exit 0\nfi\nexec dpkg',
    );
  }

  path(inside: string): string {
    return join(this.#root, inside);
  }

  /** The words by which a unit of the package starts its program, below this root. */
  #execStart(unit: string): readonly string[] {
    const file = readFileSync(this.path(`/usr/lib/systemd/system/${unit}`), 'utf8');
    const line = /^ExecStart=(.*)$/m.exec(file)?.[1] ?? '';
    return line.split(' ').map((word) => (word.startsWith('/') ? this.path(word) : word));
  }

  async spire(...words: readonly string[]): Promise<Ended> {
    const [node = '', script = ''] = this.#execStart('spire-backup.service');
    return this.#end(node, [script, ...words, ...this.#placesOf(words[0])]);
  }

  /** What a command has to be told where nothing is at its usual place. */
  #placesOf(verb: string | undefined): readonly string[] {
    const state = `--state=${this.path(STATE)}`;
    if (verb === 'pair') return [state];
    if (verb?.startsWith('--')) return [];
    const socket = `--socket=${this.path(SOCKET)}`;
    if (verb !== 'update') return [socket];
    const tools = ['systemctl', 'dpkg'].map((name) => `--${name}=${join(this.#folder, name)}`);
    return [socket, state, `--root=${this.path('/opt/spire')}`, `--system=${this.#root}`, ...tools];
  }

  /** Runs a program to its end. */
  async #end(command: string, words: readonly string[]): Promise<Ended> {
    const child = spawn(command, [...words], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH },
    });
    const ended = once(child, 'close');
    const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
    const [code] = await ended;
    return { code: typeof code === 'number' ? code : null, out, err };
  }

  pid(): number {
    return this.#isReady ? (this.#service?.pid ?? 0) : 0;
  }

  restarts(): number {
    return this.#restarts;
  }

  signal(name: NodeJS.Signals): void {
    this.#service?.kill(name);
  }

  log(): string {
    return readFileSync(this.#logFile, 'utf8');
  }

  async stop(): Promise<void> {
    await this.halt();
    for (const child of this.#helpers) child.kill('SIGKILL');
    this.#systemd.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** What systemd would do. Returns the exit code of `systemctl`. */
  async #systemctl([verb, unit]: readonly string[]): Promise<number> {
    if (verb === 'start' && unit === 'spire-agent.service') return (await this.start()) ? 0 : 1;
    if (verb === 'stop' && unit === 'spire-agent.service') return this.halt();
    if (verb !== 'start' || unit !== 'spire-update.service') return 0;
    const [node = '', ...words] = this.#execStart(unit);
    const { code, err } = await this.#end(node, [...words, ...this.#placesOf('update')]);
    appendFileSync(this.#logFile, err);
    return code === 0 || code === 75 ? 0 : 1;
  }

  /** Starts the service; true when it says that it is ready. */
  async start(): Promise<boolean> {
    this.#isWanted = true;
    this.#spawnService();
    await until('ready, or ended', () => this.#isReady || !this.#isWanted);
    return this.#isReady;
  }

  #spawnService(): void {
    const [node = '', ...words] = this.#execStart('spire-agent.service');
    const log = this.#openLog();
    const child = spawn(node, words, {
      stdio: ['ignore', log, log],
      env: { NOTIFY_SOCKET: this.#notifySocket, WATCHDOG_USEC: String(WATCHDOG_MS * 1_000) },
    });
    this.#service = child;
    this.#periodMs = WATCHDOG_MS;
    child.once('exit', (code) => this.#ended(code));
  }

  #ended(code: number | null): void {
    this.#cancelWatch();
    this.#isReady = false;
    this.#service = undefined;
    if (code === 0 || code === EXIT_CONFIGURATION) this.#isWanted = false;
    if (!this.#isWanted) return;
    this.#restarts += 1;
    systemClock.after(RESTART_MS, () => {
      if (this.#isWanted) this.#spawnService();
    });
  }

  /** One message of the service: the lines of sd_notify(3), with blanks between. */
  #hear(line: string): void {
    const usec = /\bWATCHDOG_USEC=(\d+)/.exec(line)?.[1];
    if (usec !== undefined) this.#periodMs = Number(usec) / 1_000;
    if (line.includes('READY=1')) this.#isReady = true;
    if (line.includes('STOPPING=1')) this.#cancelWatch();
    else if (/READY=1|WATCHDOG=1/.test(line)) this.#watch();
  }

  #watch(): void {
    this.#cancelWatch();
    const watched = this.#service;
    this.#cancelWatch = systemClock.after(this.#periodMs, () => {
      appendFileSync(this.#logFile, 'Watchdog timeout\n');
      watched?.kill('SIGKILL');
    });
  }

  /** Stops the service as systemd does. */
  async halt(): Promise<number> {
    this.#isWanted = false;
    const child = this.#service;
    if (!child) return 0;
    const ended = once(child, 'exit');
    const cancel = systemClock.after(STOP_LIMIT_MS, () => child.kill('SIGKILL'));
    child.kill('SIGTERM');
    await ended;
    cancel();
    return 0;
  }
}

/** Unpacks the package, pairs, and starts the service. */
export async function startMachine(
  packageFile: string,
): Promise<{ readonly site: PlainSite; readonly machine: Machine }> {
  const site = new PlainSite();
  const machine = new Machine(site);
  try {
    await site.prepare(packageFile);
    const found = await site.surround();
    const paths = { state: site.path(STATE), socket: site.path(SOCKET) };
    writeFileSync(
      site.path(CONFIGURATION),
      JSON.stringify({ ...configurationOf(found), paths, log: { level: 'info' } }),
    );
    const { seed, operatorPubkey, transportPubkey, walletId } = found;
    const paired = await site.spire(
      ...['pair', seed, '--allow-private-relays', '--operator', operatorPubkey],
      ...['--transport', transportPubkey, '--wallet', walletId],
    );
    if (paired.code !== 0) throw new Error(paired.err);
    await site.start();
    await machine.inService();
    return { site, machine };
  } catch (cause) {
    const log = existsSync(site.path('../log')) ? site.log() : '';
    await site.stop();
    throw new Error(`the machine does not come in service:\n${log}`, { cause });
  }
}
