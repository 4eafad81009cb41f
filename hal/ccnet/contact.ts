/** Keeps in touch with one CCNET device: polls it, notices its absence, finds it again. */
import type { Clock } from '#protocol/base/clock.ts';
import type { DeviceError } from '#protocol/base/errors.ts';
import type { Log } from '#protocol/base/log.ts';
import type { Port } from '../port.ts';
import { Presence, RECONNECT_MS } from '../presence.ts';
import { billToBillStatuses, type CcnetStatus, decodeStatus, describeStatus } from './commands.ts';
import { type IdentifiedDevice, identify, requireSame } from './identify.ts';
import { CcnetLink, isRefusal } from './link.ts';
import type { CcnetModelName } from './models.ts';

/** Unanswered polls until the device counts as offline: 1.3 s with the usual time-out. */
const MISSES_MAX = 4;
/** Attempts to reach a silent device after which the port is opened anew: about 10 s. */
const REOPEN_AFTER_ATTEMPTS = 10;
/**
 * So long no poll follows BILL STACKED, so that its ACK, which leaves when the credit is on disk,
 * is the next word on the line: a unit may go on to other states at the next poll. With the time
 * until silence is noticed it stays within 2 s.
 */
const CONFIRM_WAIT_MS = 500;
/**
 * States kept until it is known whose they are; a device has one note inside, and tells little of
 * it.
 */
const EARLY_MAX = 256;

/** What keeping in touch needs. */
export interface CcnetContactOptions {
  readonly port: Port;
  readonly clock: Clock;
  readonly log: Log;
  readonly pollMs: number;
  readonly replyTimeoutMs: number;
  readonly wanted: CcnetModelName | undefined;
  /** The device has been found (again). What it said meanwhile follows by `onStatus`. */
  readonly onIdentified: (found: IdentifiedDevice) => void;
  readonly onStatus: (status: CcnetStatus) => void;
  /** It is out of touch. Commands that waited have been answered before. */
  readonly onAway: (reason: string) => void;
  /** Another device is in its place. */
  readonly onOther: (error: DeviceError) => void;
}

/** One device, from `open` until `close`; made anew for the next time. */
export class CcnetContact {
  readonly link: CcnetLink;
  readonly #options: CcnetContactOptions;
  readonly #presence: Presence;
  #known: IdentifiedDevice | undefined;
  #early: CcnetStatus[] = [];
  #misses = 0;

  constructor(options: CcnetContactOptions) {
    this.#options = options;
    const { port, clock, log, replyTimeoutMs } = options;
    this.link = new CcnetLink({
      port,
      clock,
      log,
      replyTimeoutMs,
      onLateState: (body) => this.#onLateState(body),
      onLost: (reason) => this.#goAway('lost', reason),
    });
    this.#presence = new Presence({
      name: 'ccnet',
      port,
      clock,
      log,
      reopenAfter: REOPEN_AFTER_ATTEMPTS,
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

  /**
   * Opens the port, identifies the device and keeps in touch from then on.
   * @throws DeviceError as `Port.open` and `identify` do; the contact is then closed.
   */
  async open(): Promise<void> {
    await this.#presence.open(() => this.#identify());
    void this.#serve();
  }

  /**
   * The credit heard last is on disk: its ACK leaves, if it is still the last thing that was
   * said.
   */
  acknowledgeCredit(): void {
    if (this.link.acknowledgeCredit()) this.#presence.wake();
  }

  /** Ends it; everything that waits is answered. */
  async close(): Promise<void> {
    await this.#presence.close();
  }

  async #serve(): Promise<void> {
    const { clock } = this.#options;
    while (!this.isClosed) {
      const startedMs = clock.monotonic();
      if (this.isOnline) await this.#poll();
      else await this.#findAgain();
      await this.#presence.untilDue(this.#everyMs(), startedMs);
    }
  }

  #everyMs(): number {
    if (!this.isOnline) return RECONNECT_MS;
    if (this.link.holdsCredit) return CONFIRM_WAIT_MS;
    return this.#misses > 0 ? 0 : this.#options.pollMs;
  }

  async #poll(): Promise<void> {
    const reply = await this.link.exchange({ command: 'poll' });
    // A lost port has answered for the device: it is not silent, it is away.
    if (reply === 'unsent' || !this.isOnline) return;
    if (reply === 'silent' || isRefusal(reply)) {
      this.#misses++;
      if (this.#misses >= MISSES_MAX) this.#goAway('silent', 'the device does not answer');
      return;
    }
    this.#misses = 0;
    const status = decodeStatus(reply);
    if (status) this.#options.onStatus(status);
    else this.#noteForeign(reply);
  }

  #onLateState(body: Uint8Array): void {
    const status = decodeStatus(body);
    if (!status || this.isClosed) return;
    if (this.isOnline) this.#options.onStatus(status);
    else this.#remember(status);
  }

  /** A state that is only said again is no news, and would crowd out what came before it. */
  #remember(status: CcnetStatus): void {
    const last = this.#early.at(-1);
    if (last && describeStatus(last) === describeStatus(status)) return;
    this.#early = [...this.#early, status].slice(-EARLY_MAX);
  }

  async #findAgain(): Promise<void> {
    const error = await this.#presence.findAgain(() => this.#identify());
    // What another device has said is not of ours; nor may be what is behind the port by now.
    const isOther = error?.code === 'unsupportedCommand' && this.#presence.isSilent;
    if (isOther || this.#presence.isLost) this.#early = [];
    if (isOther) this.#options.onOther(error);
  }

  async #identify(): Promise<void> {
    const { port, clock, wanted } = this.#options;
    const found = await identify({
      link: this.link,
      port,
      clock,
      wanted,
      onStatus: (status) => this.#remember(status),
      isClosed: () => !this.#presence.isSilent,
    });
    requireSame(this.#known, found, { port });
    this.#presence.found();
    this.#known = found;
    this.#misses = 0;
    this.#options.onIdentified(found);
    for (const status of this.#early.splice(0)) this.#options.onStatus(status);
  }

  #noteForeign(body: Uint8Array): void {
    const code = body[0] ?? 0;
    const text = billToBillStatuses[code] ?? 'unknown';
    this.#options.log.warn({ code, text }, 'ccnet state of no bill validator');
  }

  #goAway(state: 'silent' | 'lost', reason: string): void {
    // Behind another plug there may be another device.
    if (state === 'lost') this.#early = [];
    this.#presence.goAway(state, reason);
  }
}
