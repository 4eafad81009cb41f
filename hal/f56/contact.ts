/** Keeps in touch with one F53 or F56: identifies it, asks for STATUS, notices its absence. */
import { type Clock, withDeadline } from '#protocol/base/clock.ts';
import { DeviceError } from '#protocol/base/errors.ts';
import type { Log } from '#protocol/base/log.ts';
import { closedWhile } from '../opening.ts';
import type { Port } from '../port.ts';
import { decodeStatus, type F56Status } from './commands.ts';
import { F56Link, type F56Timings } from './link.ts';
import type { F56Model } from './models.ts';

/** How often a lost port is tried, or a silent unit asked. */
const RECONNECT_MS = 500;

/** What keeping in touch needs. */
export interface F56ContactOptions {
  readonly port: Port;
  readonly clock: Clock;
  readonly log: Log;
  readonly model: F56Model;
  readonly timings: F56Timings;
  /** Between two STATUS of an idle unit. */
  readonly pollMs: number;
  /** The unit has been found, or found again. */
  readonly onFound: () => void;
  readonly onStatus: (status: F56Status) => void;
  /** It is out of touch; what was under way ends by itself. */
  readonly onAway: (reason: string) => void;
  /** Another unit has come in its place. */
  readonly onOther: (error: DeviceError) => void;
}

/** One unit, from `open` until `close`; made anew for the next time. */
export class F56Contact {
  readonly link: F56Link;
  readonly #options: F56ContactOptions;
  #state: 'online' | 'silent' | 'lost' | 'closed' = 'lost';
  #wake: () => void = () => undefined;

  constructor(options: F56ContactOptions) {
    this.#options = options;
    const { port, clock, log, timings } = options;
    const onLost = (reason: string) => this.#goAway('lost', reason);
    this.link = new F56Link({ port, clock, log, timings, onLost });
  }

  /** It answers, and was identified since it was last away. */
  get isOnline(): boolean {
    return this.#state === 'online';
  }

  /** Nothing will come of it any more. */
  get isClosed(): boolean {
    return this.#state === 'closed';
  }

  /**
   * Opens the port, identifies the unit and keeps in touch from then on.
   * @throws DeviceError as `Port.open` does, `timeOut` and `unsupportedCommand`; it is then closed.
   */
  async open(): Promise<void> {
    try {
      await this.link.open();
      this.#state = 'silent';
      await this.#identify();
    } catch (error) {
      // Whoever closed it has made the silence that identifying complains of.
      const wasClosed = this.isClosed;
      await this.close();
      throw wasClosed ? closedWhile(this.#options.port, 'identifying') : error;
    }
    void this.#serve();
  }

  /** Ends it; everything that waits is answered. */
  async close(): Promise<void> {
    this.#state = 'closed';
    this.#wake();
    await this.link.close();
  }

  /** STATUS now; undefined when the unit is out of touch. */
  async status(): Promise<F56Status | undefined> {
    if (!this.isOnline) return undefined;
    const reply = await this.link.askStatus();
    if (!this.isOnline) return undefined;
    const status = reply.kind === 'answered' ? decodeStatus(reply.data) : undefined;
    if (status) this.#options.onStatus(status);
    else this.#goAway('silent', 'the dispenser does not answer');
    return status;
  }

  async #serve(): Promise<void> {
    await this.#pause(this.#options.pollMs);
    while (this.#state !== 'closed') {
      if (this.#state === 'lost') await this.#reopen();
      else if (this.#state === 'silent') await this.#identifyAgain();
      else await this.status();
      await this.#pause(this.isOnline ? this.#options.pollMs : RECONNECT_MS);
    }
  }

  /**
   * STATUS is a question, and moves nothing. Its answer shows a unit that speaks D-level, by link,
   * length and CRC; which of the two models it is, no word that we know tells.
   */
  async #identify(): Promise<void> {
    const { model, port } = this.#options;
    const recording = () => port.recording();
    const reply = await this.link.askStatus();
    if (reply.kind !== 'answered') {
      throw new DeviceError(
        'timeOut',
        `no F53 or F56 answers on ${port.path} (${reply.evidence})`,
        {
          recording: recording(),
        },
      );
    }
    const status = decodeStatus(reply.data);
    if (!status) {
      const words = `not an ${model.name} on ${port.path}: its status has no sensors`;
      throw new DeviceError('unsupportedCommand', words, { recording: recording() });
    }
    // The port may have been lost or closed just when the answer had come.
    if (this.#state !== 'silent') throw closedWhile(this.#options.port, 'identifying');
    this.#state = 'online';
    this.#options.onFound();
    this.#options.onStatus(status);
  }

  async #reopen(): Promise<void> {
    try {
      await this.link.open();
    } catch (error) {
      if (!(error instanceof DeviceError)) throw error;
      this.#options.log.debug({ reason: error.message }, 'f56 port is still away');
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
      this.#options.log.debug({ reason: error.message }, 'f56 dispenser is not back yet');
      if (error.code === 'unsupportedCommand') this.#options.onOther(error);
    }
  }

  #goAway(state: 'silent' | 'lost', reason: string): void {
    if (this.#state === 'closed') return;
    const wasOnline = this.isOnline;
    this.#state = state;
    if (wasOnline) {
      this.#options.log.warn({ reason }, 'f56 out of touch');
      this.#options.onAway(reason);
    }
    this.#wake();
  }

  async #pause(delayMs: number): Promise<void> {
    if (this.#state === 'closed') return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    await withDeadline(this.#options.clock, delayMs, promise);
  }
}
