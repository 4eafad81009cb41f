/**
 * What systemd is told of the service: that it is ready, how it is, that it ends, and, every third
 * of the watchdog's time, that it lives. It is fed only on proof, so that a machine which can no
 * longer write down what it does is started again and not believed. Source: sd_notify(3).
 */
import { spawn } from 'node:child_process';
import { z } from 'zod';
import type { CancelTimer, Clock } from '#protocol/base/clock.ts';
import { messageOf } from '#protocol/base/errors.ts';
import type { Log } from '#protocol/base/log.ts';
import type { Store } from '#state/store.ts';
import { isDiskFull } from '#state/store-error.ts';
import type { MachineView } from '../api/schemas.ts';

/** What systemd gives a service. Source: sd_notify(3), sd_watchdog_enabled(3). */
export interface SystemdEnvironment {
  /** NOTIFY_SOCKET; without it nobody listens and nothing is sent. */
  readonly socket: string | undefined;
  /** WATCHDOG_USEC: how long systemd waits for a sign of life, in microseconds. */
  readonly watchdogUsec: string | undefined;
  /** WATCHDOG_PID: whose watchdog it is. */
  readonly watchdogPid: string | undefined;
}

/** What the watchdog needs. */
export interface WatchdogOptions {
  readonly environment: SystemdEnvironment;
  readonly clock: Clock;
  readonly log: Log;
  /** Sends one message; systemd's own helper unless given. Node has no datagram sockets of unix. */
  readonly helper?: string;
}

/** Throws when the machine is not alive; what it returns is shown as the service's status. */
export type ProveLife = () => string;

/** Signs of life in the time that systemd waits: one may be lost, and one be late. */
const FEEDS_PER_PERIOD = 3;
/** A helper that hangs is ended after this, ms, so that they never pile up. */
const HELPER_LIMIT_MS = 5_000;
/** Longest status line: systemd shows it in one row. */
const STATUS_CHARACTERS_MAX = 200;

const positive = z.coerce.number().int().positive();

/** Speaks to systemd; does nothing where there is none. */
export class Watchdog {
  readonly #options: WatchdogOptions;
  readonly #periodMs: number | undefined;
  #cancel: CancelTimer = () => undefined;
  #sending: Promise<void> = Promise.resolve();
  #starving: boolean = false;

  constructor(options: WatchdogOptions) {
    this.#options = options;
    const { watchdogUsec, watchdogPid } = options.environment;
    const isOurs = watchdogPid === undefined || watchdogPid === String(process.pid);
    const usec = positive.safeParse(watchdogUsec);
    this.#periodMs = isOurs && usec.success ? usec.data / 1_000 : undefined;
  }

  /** Says that the service serves, and from now on that it lives, as long as that is proven. */
  async ready(prove: ProveLife): Promise<void> {
    await this.#send(['READY=1', status(prove())]);
    if (this.#periodMs === undefined || this.#options.environment.socket === undefined) return;
    this.#feed(prove, this.#periodMs / FEEDS_PER_PERIOD);
  }

  /** Says that the service ends; systemd waits for no sign of life any more. */
  async stopping(words: string): Promise<void> {
    this.#cancel();
    this.#cancel = () => undefined;
    await this.#send(['STOPPING=1', status(words)]);
  }

  /**
   * Does what may keep the program from answering for as long as `limitMs`: systemd is told to wait
   * so much longer, and to wait as before when it is done.
   */
  async patiently<T>(limitMs: number, work: () => Promise<T>): Promise<T> {
    if (this.#periodMs === undefined) return work();
    const usec = (ms: number) => `WATCHDOG_USEC=${Math.round(ms * 1_000)}`;
    await this.#send(['WATCHDOG=1', usec(limitMs + this.#periodMs)]);
    try {
      return await work();
    } finally {
      await this.#send(['WATCHDOG=1', usec(this.#periodMs)]);
    }
  }

  #feed(prove: ProveLife, everyMs: number): void {
    this.#cancel = this.#options.clock.after(everyMs, () => {
      this.#feed(prove, everyMs);
      void this.#send(this.#signs(prove));
    });
  }

  /** A sign of life, or the reason why there is none. */
  #signs(prove: ProveLife): readonly string[] {
    try {
      const words = prove();
      this.#starving = false;
      return ['WATCHDOG=1', status(words)];
    } catch (err) {
      if (!this.#starving) this.#options.log.error({ err }, 'watchdog not fed');
      this.#starving = true;
      return [status(`Not alive: ${messageOf(err)}`)];
    }
  }

  /** Resolves when systemd has taken it, or cannot be told; one message at a time, in order. */
  #send(lines: readonly string[]): Promise<void> {
    const { socket } = this.#options.environment;
    if (socket === undefined) return Promise.resolve();
    this.#sending = this.#sending.then(() => this.#run(socket, lines));
    return this.#sending;
  }

  #run(socket: string, lines: readonly string[]): Promise<void> {
    const { clock, log, helper = 'systemd-notify' } = this.#options;
    return new Promise((resolve) => {
      const child = spawn(helper, [...lines], {
        env: { NOTIFY_SOCKET: socket, PATH: '/usr/bin:/bin' },
        stdio: 'ignore',
      });
      const cancel = clock.after(HELPER_LIMIT_MS, () => child.kill('SIGKILL'));
      const end = (fault?: object) => {
        cancel();
        if (fault) log.error({ ...fault, helper }, 'systemd not told');
        resolve();
      };
      child.once('error', (err) => end({ err }));
      child.once('exit', (status, signal) => end(status === 0 ? undefined : { status, signal }));
    });
  }
}

/** One line, as systemd takes it. */
function status(words: string): string {
  const line = words.replace(/\p{Cc}/gu, ' ').slice(0, STATUS_CHARACTERS_MAX);
  return `STATUS=${line}`;
}

/** Where the last proof of life is: it also tells how long a machine was dead. */
const ALIVE = 'alive';
/** Entries of the journal's end that are proven each time: a handful, at no cost. */
const TAIL_ENTRIES = 16;

/**
 * Proves that the database takes a write to the disk, that the journal's end is whole, and that the
 * machines answer. Returns how the machine is, in words.
 * @throws StoreError when nothing can be written down any more. A full disk is no such case: a
 * restart makes no room, and would only take away who says so.
 */
export function proveLife(store: Store, clock: Clock, view: () => MachineView): string {
  const full = writeSign(store, clock);
  const { chain, problem } = store.journal.verifyTail(TAIL_ENTRIES);
  if (chain !== 'ok') throw new Error(`the journal is broken: ${problem}`);
  const { state, cashIn, cashOut } = view();
  const words = [state, side('cash-in', cashIn), side('cash-out', cashOut)];
  return [...words, ...(full ? ['the disk is full'] : [])].join('; ');
}

/** Writes a sign of life. Returns whether the disk is full. */
function writeSign(store: Store, clock: Clock): boolean {
  try {
    const monotonicMs = Math.floor(clock.monotonic());
    store.commit(() => store.facts.put(ALIVE, { monotonicMs }, clock.now()));
    return false;
  } catch (error) {
    if (isDiskFull(error)) return true;
    throw error;
  }
}

function side(name: string, { open, reasons }: MachineView['cashIn']): string {
  return open ? `${name} open` : `${name} closed (${reasons.map(({ code }) => code).join(', ')})`;
}
