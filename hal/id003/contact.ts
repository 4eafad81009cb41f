/** Keeps in touch with one ID-003 device: polls it, notices its absence, finds it again. */
import type { Clock } from '#protocol/base/clock.ts';
import type { Log } from '#protocol/base/log.ts';
import type { Port } from '../port.ts';
import { Presence, RECONNECT_MS } from '../presence.ts';
import { decodeStatus, type Id003Status, RECYCLER_EXTENDED, recyclerStatuses } from './commands.ts';
import { type IdentifiedDevice, identify } from './identify.ts';
import { Id003Link, isRefusal } from './link.ts';
import type { Id003Frame } from './wire.ts';

/** Unanswered polls until the device counts as offline: 1.3 s with the usual time-out. */
const MISSES_MAX = 4;

/** Unanswered polls after which the port is opened anew: about 10 s. */
const REOPEN_AFTER_MISSES = 20;

/** What keeping in touch needs. */
export interface Id003ContactOptions {
  readonly port: Port;
  readonly clock: Clock;
  readonly log: Log;
  readonly pollMs: number;
  readonly replyTimeoutMs: number;
  /** The device has been found (again); its state at that moment comes with it. */
  readonly onIdentified: (found: IdentifiedDevice) => void;
  readonly onStatus: (status: Id003Status) => void;
  /** It is out of touch. Commands that waited have been answered before. */
  readonly onAway: (reason: string) => void;
}

/** One device, from `open` until `close`; made anew for the next time. */
export class Id003Contact {
  readonly link: Id003Link;
  readonly #options: Id003ContactOptions;
  readonly #presence: Presence;
  #misses = 0;
  #polls = 0;

  constructor(options: Id003ContactOptions) {
    this.#options = options;
    const { port, clock, log, replyTimeoutMs } = options;
    const onLost = (reason: string) => this.#presence.goAway('lost', reason);
    this.link = new Id003Link({ port, clock, log, replyTimeoutMs, onLost });
    this.#presence = new Presence({
      name: 'id003',
      port,
      clock,
      log,
      line: this.link.line,
      onAway: options.onAway,
    });
  }

  /** It answers, and was identified since it was last away. */
  get isOnline(): boolean {
    return this.#presence.isOnline;
  }

  get isClosed(): boolean {
    return this.#presence.isClosed;
  }

  /** Polls so far, sent or waiting: tells an answer from before a command from one after it. */
  get polls(): number {
    return this.#polls;
  }

  /**
   * Opens the port, identifies the device and keeps in touch from then on.
   * @throws DeviceError as `Port.open` and `identify` do; the contact is then closed.
   */
  async open(): Promise<void> {
    await this.#presence.open(() => this.#identify());
    void this.#serve();
  }

  /** Ends it; everything that waits is answered. */
  async close(): Promise<void> {
    await this.#presence.close();
  }

  async #serve(): Promise<void> {
    const { clock, pollMs } = this.#options;
    while (!this.isClosed) {
      const startedMs = clock.monotonic();
      if (this.#presence.isLost) await this.#findAgain();
      else await this.#poll();
      const whenOnline = this.#misses > 0 ? 0 : pollMs;
      const everyMs = this.isOnline ? whenOnline : RECONNECT_MS;
      await this.#presence.untilDue(everyMs, startedMs);
    }
  }

  async #poll(): Promise<void> {
    this.#polls++;
    const reply = await this.link.exchange({ command: 'statusRequest', accepts: isPollAnswer });
    // A lost port has answered for the device: it is not silent, it is away.
    if (reply === 'unsent' || this.isClosed || this.#presence.isLost) return;
    if (reply === 'silent' || isRefusal(reply)) {
      this.#misses++;
      if (this.#misses >= MISSES_MAX) this.#presence.goAway('silent', 'the device does not answer');
      if (this.#misses % REOPEN_AFTER_MISSES === 0) {
        await this.#presence.openAnew();
      }
      return;
    }
    this.#misses = 0;
    const status = decodeStatus(reply);
    if (!this.isOnline) await this.#findAgain();
    else if (status) this.#options.onStatus(status);
    else this.#options.log.warn({ code: reply.code }, 'id003 state of a recycler, not supported');
  }

  async #findAgain(): Promise<void> {
    await this.#presence.findAgain(() => this.#identify());
  }

  async #identify(): Promise<void> {
    const device = await identify(this.link, this.#options.port);
    // The port may have been lost or closed just when the last answer had come.
    if (!this.#presence.isSilent) return;
    this.#presence.found();
    this.#misses = 0;
    this.#options.onIdentified(device);
  }
}

function isPollAnswer(frame: Id003Frame): boolean {
  if (decodeStatus(frame) !== undefined || isRefusal(frame)) return true;
  return frame.code in recyclerStatuses || frame.code === RECYCLER_EXTENDED;
}
