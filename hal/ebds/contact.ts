/** Keeps in touch with one EBDS device: polls it, notices its absence, finds it again. */
import { type Clock, withDeadline } from '#protocol/base/clock.ts';
import { DeviceError } from '#protocol/base/errors.ts';
import type { Log } from '#protocol/base/log.ts';
import { closedWhile } from '../opening.ts';
import type { Port } from '../port.ts';
import { type EbdsStatus, has } from './commands.ts';
import { disturbsNote } from './condition.ts';
import { type IdentifiedDevice, identify, isStatus, requireSame } from './identify.ts';
import { type EbdsAnswer, EbdsLink } from './link.ts';
import type { EbdsModelName } from './models.ts';
import { type EbdsSettings, omnibusBytes, quietSettings } from './settings.ts';

/** Unanswered polls, each sent three times, until the device counts as offline: about 1.5 s. */
const MISSES_MAX = 2;
/** How often a lost port is tried, or a silent device asked. */
const RECONNECT_MS = 500;
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
  #state: 'online' | 'silent' | 'lost' | 'closed' = 'lost';
  #known: IdentifiedDevice | undefined;
  #misses = 0;
  #patientUntilMs = 0;
  #wake: () => void = () => undefined;
  #early: EbdsStatus[] = [];

  constructor(options: EbdsContactOptions) {
    this.#options = options;
    const { port, clock, log, replyTimeoutMs } = options;
    const onLost = (reason: string) => this.#goAway('lost', reason);
    const onStatus = (status: EbdsStatus) => this.#onStatus(status);
    this.link = new EbdsLink({ port, clock, log, replyTimeoutMs, onStatus, onLost });
  }

  /** It answers, and was identified since it was last away. */
  get isOnline(): boolean {
    return this.#state === 'online';
  }

  get isClosed(): boolean {
    return this.#state === 'closed';
  }

  /**
   * Opens the port, identifies the device and keeps in touch from then on.
   * @throws DeviceError as `Port.open` and `identify` do; the contact is then closed.
   */
  async open(): Promise<void> {
    try {
      await this.link.open();
      this.#state = 'silent';
      await this.#identify();
      if (!this.isOnline) throw this.#unanswered();
    } catch (error) {
      // Whoever closed it has made the silence that identifying complains of.
      const wasClosed = this.isClosed;
      await this.close();
      throw wasClosed ? closedWhile(this.#options.port, 'identifying') : error;
    }
    void this.#serve();
  }

  /** One poll with the settings of this moment, beside those that keep in touch. */
  poll(): Promise<EbdsAnswer> {
    return this.#pollWith(() => this.#options.settings());
  }

  /** Polls now and not when the next poll would be due. */
  hurry(): void {
    this.#wake();
  }

  /** A reset was sent: for so long silence does not mean that the device is away. */
  bePatient(forMs: number): void {
    this.#patientUntilMs = this.#options.clock.monotonic() + forMs;
  }

  /** Ends it; everything that waits is answered. */
  async close(): Promise<void> {
    this.#state = 'closed';
    this.#wake();
    await this.link.close();
  }

  async #serve(): Promise<void> {
    const { clock, pollMs } = this.#options;
    while (!this.isClosed) {
      const startedMs = clock.monotonic();
      if (this.#state === 'lost') await this.#reconnect();
      else await this.#keepInTouch();
      const whenOnline = this.#misses > 0 ? 0 : pollMs;
      const everyMs = this.isOnline ? whenOnline : RECONNECT_MS;
      await this.#pause(everyMs - (clock.monotonic() - startedMs));
    }
  }

  async #keepInTouch(): Promise<void> {
    const settings = this.isOnline ? this.#options.settings : () => quietSettings;
    const answer = await this.#pollWith(settings);
    // A lost port has answered for the device: it is not silent, it is away.
    if (answer === 'unsent' || this.isClosed || this.#state === 'lost') return;
    if (answer !== 'silent') {
      this.#misses = 0;
      if (!this.isOnline) await this.#identifyAgain();
      return;
    }
    if (this.#options.clock.monotonic() < this.#patientUntilMs) return;
    this.#misses++;
    if (this.#misses >= MISSES_MAX) this.#goAway('silent', 'the device does not answer');
    if (this.#misses % REOPEN_AFTER_MISSES === 0) {
      this.#goAway('lost', 'the port is opened anew');
      await this.link.drop();
    }
  }

  async #reconnect(): Promise<void> {
    try {
      await this.link.open();
    } catch (error) {
      if (!(error instanceof DeviceError)) throw error;
      this.#options.log.debug({ reason: error.message }, 'ebds port is still away');
      return;
    }
    if (this.#state === 'lost') this.#state = 'silent';
    await this.#identifyAgain();
  }

  async #identifyAgain(): Promise<void> {
    try {
      await this.#identify();
    } catch (error) {
      if (!(error instanceof DeviceError)) throw error;
      this.#options.log.debug({ reason: error.message }, 'ebds device is not back yet');
      if (this.#state !== 'silent' || error.code !== 'unsupportedCommand') return;
      // What another device has said is not of ours.
      this.#early = [];
      this.#options.onOther(error);
    }
  }

  async #identify(): Promise<void> {
    const { port, clock, wanted } = this.#options;
    const isClosed = () => this.isClosed;
    const found = await identify({ link: this.link, port, clock, wanted, isClosed });
    requireSame(this.#known, found, { port });
    // The port may have been lost or closed just when the last answer had come.
    if (this.#state !== 'silent') return;
    this.#known = found;
    this.#state = 'online';
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
    if (this.isClosed) return;
    const wasOnline = this.isOnline;
    this.#state = state;
    // To find out who answers next, new commands are needed.
    this.link.hold(false);
    if (wasOnline) {
      this.#options.log.warn({ reason }, 'ebds out of touch');
      this.#options.onAway(reason);
    }
    this.#wake();
  }

  async #pause(delayMs: number): Promise<void> {
    if (delayMs <= 0 || this.isClosed) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    await withDeadline(this.#options.clock, delayMs, promise);
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
