/** Keeps in touch with one EBDS device: polls it, notices its absence, finds it again. */
import type { Clock } from '#protocol/base/clock.ts';
import { DeviceError } from '#protocol/base/errors.ts';
import type { Log } from '#protocol/base/log.ts';
import type { Port } from '../port.ts';
import { Presence, RECONNECT_MS } from '../presence.ts';
import { type EbdsStatus, has } from './commands.ts';
import { disturbsNote } from './condition.ts';
import { type IdentifiedDevice, identify, isStatus, requireSame } from './identify.ts';
import { type EbdsAnswer, EbdsLink } from './link.ts';
import type { EbdsModelName } from './models.ts';
import { type EbdsSettings, omnibusBytes, quietSettings } from './settings.ts';

/** Unanswered polls, each sent three times, until the device counts as offline: about 1.5 s. */
const MISSES_MAX = 2;
/** Unanswered polls after which the port is opened anew: about 10 s. */
const REOPEN_AFTER_MISSES = 8;

/**
 * News kept until it is known whose they are; a device has one note inside, and tells little of
 * it.
 */
const EARLY_MAX = 256;

/** What keeping in touch needs. */
export interface EbdsContactOptions {
  readonly port: Port;
  readonly clock: Clock;
  readonly log: Log;
  readonly pollMs: number;
  readonly replyTimeoutMs: number;
  readonly wanted: EbdsModelName | undefined;
  /** What every poll says. */
  readonly settings: () => EbdsSettings;
  /** The device has been found (again). What it said meanwhile, and its status, follow. */
  readonly onIdentified: (found: IdentifiedDevice) => void;
  /**
   * Every status of our device. What it said while it was being identified comes after
   * `onIdentified`, as far as it was news; notes in escrow are not described there.
   */
  readonly onStatus: (status: EbdsStatus, isIdentifying: boolean) => void;
  /** It is out of touch. Commands that waited have been answered before. */
  readonly onAway: (reason: string) => void;
  /** Another device is in its place. */
  readonly onOther: (error: DeviceError) => void;
}

/** One device, from `open` until `close`; made anew for the next time. */
export class EbdsContact {
  readonly link: EbdsLink;
  readonly #options: EbdsContactOptions;
  readonly #presence: Presence;
  #known: IdentifiedDevice | undefined;
  #misses = 0;
  #patientUntilMs = 0;
  #early: EbdsStatus[] = [];

  constructor(options: EbdsContactOptions) {
    this.#options = options;
    const { port, clock, log, replyTimeoutMs } = options;
    const onLost = (reason: string) => this.#goAway('lost', reason);
    const onStatus = (status: EbdsStatus) => this.#onStatus(status);
    this.link = new EbdsLink({ port, clock, log, replyTimeoutMs, onStatus, onLost });
    this.#presence = new Presence({
      name: 'ebds',
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

  /**
   * Opens the port, identifies the device and keeps in touch from then on.
   * @throws DeviceError as `Port.open` and `identify` do; the contact is then closed.
   */
  async open(): Promise<void> {
    await this.#presence.open(async () => {
      await this.#identify();
      if (!this.isOnline) throw this.#unanswered();
    });
    void this.#serve();
  }

  /** One poll with the settings of this moment, beside those that keep in touch. */
  poll(): Promise<EbdsAnswer> {
    return this.#pollWith(() => this.#options.settings());
  }

  /** Polls now and not when the next poll would be due. */
  hurry(): void {
    this.#presence.wake();
  }

  /** A reset was sent: for so long silence does not mean that the device is away. */
  bePatient(forMs: number): void {
    this.#patientUntilMs = this.#options.clock.monotonic() + forMs;
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
      else await this.#keepInTouch();
      const whenOnline = this.#misses > 0 ? 0 : pollMs;
      const everyMs = this.isOnline ? whenOnline : RECONNECT_MS;
      await this.#presence.untilDue(everyMs, startedMs);
    }
  }

  async #keepInTouch(): Promise<void> {
    const settings = this.isOnline ? this.#options.settings : () => quietSettings;
    const answer = await this.#pollWith(settings);
    // A lost port has answered for the device: it is not silent, it is away.
    if (answer === 'unsent' || this.isClosed || this.#presence.isLost) return;
    if (answer !== 'silent') {
      this.#misses = 0;
      if (!this.isOnline) await this.#findAgain();
      return;
    }
    if (this.#options.clock.monotonic() < this.#patientUntilMs) return;
    this.#misses++;
    if (this.#misses >= MISSES_MAX) this.#goAway('silent', 'the device does not answer');
    if (this.#misses % REOPEN_AFTER_MISSES === 0) {
      await this.#presence.openAnew();
    }
  }

  async #findAgain(): Promise<void> {
    const error = await this.#presence.findAgain(() => this.#identify());
    if (!this.#presence.isSilent || error?.code !== 'unsupportedCommand') return;
    // What another device has said is not of ours.
    this.#early = [];
    this.#options.onOther(error);
  }

  async #identify(): Promise<void> {
    const { port, clock, wanted } = this.#options;
    const isClosed = () => this.isClosed;
    const found = await identify({ link: this.link, port, clock, wanted, isClosed });
    requireSame(this.#known, found, { port });
    // The port may have been lost or closed just when the last answer had come.
    if (!this.#presence.isSilent) return;
    this.#known = found;
    this.#presence.found();
    this.#misses = 0;
    this.#options.onIdentified(found);
    for (const status of this.#early.splice(0)) this.#options.onStatus(status, true);
    // The first status in which a note inside is described.
    const answer = await this.poll();
    if (typeof answer === 'string' && this.isOnline) this.#goAway('silent', 'it went silent');
  }

  #onStatus(status: EbdsStatus): void {
    if (this.isOnline) this.#options.onStatus(status, false);
    else if (isNews(status)) this.#early = [...this.#early, status].slice(-EARLY_MAX);
  }

  #pollWith(settings: () => EbdsSettings): Promise<EbdsAnswer> {
    return this.link.exchange({
      command: 'poll',
      data: () => omnibusBytes(settings()),
      accepts: isStatus,
    });
  }

  #goAway(state: 'silent' | 'lost', reason: string): void {
    // To find out who answers next, new commands are needed.
    this.link.hold(false);
    this.#presence.goAway(state, reason);
  }

  #unanswered(): DeviceError {
    const { port } = this.#options;
    const words = `the validator on ${port.path} answered no more`;
    return new DeviceError('timeOut', words, { recording: port.recording() });
  }
}

/** Whether a status says what is said only once, or what must not be missed. */
function isNews(status: EbdsStatus): boolean {
  const isEvent = has(status, 'stacked') || has(status, 'returned') || has(status, 'rejected');
  return isEvent || disturbsNote(status);
}
