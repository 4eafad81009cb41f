/**
 * Whether a device is in touch: what every contact goes through, whatever the device speaks. How it
 * is asked and identified is the contact's own.
 */
import { type Clock, withDeadline } from '#protocol/base/clock.ts';
import { DeviceError } from '#protocol/base/errors.ts';
import type { Log } from '#protocol/base/log.ts';
import { closedWhile, type Line } from './line.ts';
import type { Port } from './port.ts';

/** How often a lost port is tried, or a silent device asked. */
export const RECONNECT_MS = 500;
/**
 * Shortest silence behind an answer. When the program was late, the next question would be due at
 * once; but what the answer told may be decided just now, and that command goes first.
 */
const GAP_MS = 10;

/** What it needs. */
export interface PresenceOptions {
  /** The protocol, for the log. */
  readonly name: string;
  readonly port: Port;
  readonly clock: Clock;
  readonly log: Log;
  /** Silent attempts to identify it until the port is opened anew: about 10 s, as it is asked. */
  readonly reopenAfter?: number;
  /** Closed and opened with the device; it says by itself when the port is lost. */
  readonly line: Pick<Line, 'open' | 'drop' | 'close'>;
  /** It was in touch, and is not any more. Commands that waited have been answered before. */
  readonly onAway: (reason: string) => void;
}

/** One device, from `open` until `close`. */
export class Presence {
  readonly #options: PresenceOptions;
  /** `silent`: the port is open, the device was not identified since. `lost`: there is no port. */
  #state: 'online' | 'silent' | 'lost' | 'closed' = 'lost';
  #wake: () => void = () => undefined;
  #silentAttempts = 0;

  constructor(options: PresenceOptions) {
    this.#options = options;
  }

  /** It answers, and was identified since it was last away. */
  get isOnline(): boolean {
    return this.#state === 'online';
  }

  /** The port is open, and who is there has to be found out. */
  get isSilent(): boolean {
    return this.#state === 'silent';
  }

  get isLost(): boolean {
    return this.#state === 'lost';
  }

  /** Nothing will come of it any more. */
  get isClosed(): boolean {
    return this.#state === 'closed';
  }

  /**
   * Opens the port and identifies the device; closes it all when that fails.
   * @throws DeviceError as `Port.open` and `identify` do, and `canceled` when closed meanwhile.
   */
  async open<Found>(identify: () => Promise<Found>): Promise<Found> {
    const { line, port } = this.#options;
    try {
      await line.open();
      this.#state = 'silent';
      return await identify();
    } catch (error) {
      // Whoever closed it has made the silence that identifying complains of.
      const wasClosed = this.isClosed;
      await this.close();
      throw wasClosed ? closedWhile(port, 'identifying') : error;
    }
  }

  /**
   * Tries a lost port again, and then the device; gives why it was not identified. Undefined when
   * it was, and while the port is still away. Where it only stays silent, the port is opened anew.
   */
  async findAgain(identify: () => Promise<unknown>): Promise<DeviceError | undefined> {
    const { log, name } = this.#options;
    try {
      if (this.isLost && !(await this.#reopen())) return undefined;
      await identify();
      return undefined;
    } catch (error) {
      if (!(error instanceof DeviceError)) throw error;
      log.debug({ reason: error.message }, `${name} device is not back yet`);
      if (error.code === 'timeOut' && this.isSilent) await this.#onSilent();
      return error;
    }
  }

  /**
   * It has been identified.
   * @throws DeviceError `canceled` when the port was lost or closed just as the last answer came.
   */
  found(): void {
    if (!this.isSilent) throw closedWhile(this.#options.port, 'identifying');
    this.#state = 'online';
    this.#silentAttempts = 0;
  }

  /** It is out of touch: it does not answer, or its port is gone. */
  goAway(state: 'silent' | 'lost', reason: string): void {
    if (this.isClosed) return;
    const wasOnline = this.isOnline;
    this.#state = state;
    if (wasOnline) {
      this.#options.log.warn({ reason }, `${this.#options.name} out of touch`);
      this.#options.onAway(reason);
    }
    this.wake();
  }

  /** Lets go of the port, to open it again: an adapter that has hung itself up may come back. */
  async openAnew(): Promise<void> {
    this.goAway('lost', 'the port is opened anew');
    await this.#options.line.drop();
  }

  /** Waits until the next question, which is due `everyMs` after the last one left. */
  untilDue(everyMs: number, askedMs: number): Promise<void> {
    const leftMs = everyMs - (this.#options.clock.monotonic() - askedMs);
    return this.pause(everyMs > 0 ? Math.max(leftMs, GAP_MS) : 0);
  }

  /** Waits; `wake` ends it. */
  async pause(delayMs: number): Promise<void> {
    if (delayMs <= 0 || this.isClosed) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    await withDeadline(this.#options.clock, delayMs, promise);
  }

  /** Asks now and not when the next question would be due. */
  wake(): void {
    this.#wake();
  }

  /** Ends it, and the line with it; everything that waits there is answered. */
  async close(): Promise<void> {
    this.#state = 'closed';
    this.wake();
    await this.#options.line.close();
  }

  async #onSilent(): Promise<void> {
    this.#silentAttempts++;
    const { reopenAfter } = this.#options;
    if (reopenAfter && this.#silentAttempts % reopenAfter === 0) await this.openAnew();
  }

  async #reopen(): Promise<boolean> {
    const { line, log, name } = this.#options;
    try {
      await line.open();
    } catch (error) {
      if (!(error instanceof DeviceError)) throw error;
      log.debug({ reason: error.message }, `${name} port is still away`);
      return false;
    }
    if (this.isLost) this.#state = 'silent';
    return true;
  }
}
