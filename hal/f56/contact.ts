/** Keeps in touch with one F53 or F56: identifies it, asks for STATUS, notices its absence. */
import type { Clock } from '#protocol/base/clock.ts';
import { DeviceError } from '#protocol/base/errors.ts';
import type { Log } from '#protocol/base/log.ts';
import type { Port } from '../port.ts';
import { Presence, RECONNECT_MS } from '../presence.ts';
import { decodeStatus, type F56Status } from './commands.ts';
import { F56Link, type F56Timings } from './link.ts';
import type { F56Model } from './models.ts';

/** Attempts to reach a silent unit after which the port is opened anew: about 10 s. */
const REOPEN_AFTER_ATTEMPTS = 5;

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
  readonly #presence: Presence;

  constructor(options: F56ContactOptions) {
    this.#options = options;
    const { port, clock, log, timings } = options;
    const onLost = (reason: string) => this.#presence.goAway('lost', reason);
    this.link = new F56Link({ port, clock, log, timings, onLost });
    this.#presence = new Presence({
      name: 'f56',
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

  /** Nothing will come of it any more. */
  get isClosed(): boolean {
    return this.#presence.isClosed;
  }

  /**
   * Opens the port, identifies the unit and keeps in touch from then on.
   * @throws DeviceError as `Port.open` does, `timeOut` and `unsupportedCommand`; it is then closed.
   */
  async open(): Promise<void> {
    await this.#presence.open(() => this.#identify());
    void this.#serve();
  }

  /** Ends it; everything that waits is answered. */
  async close(): Promise<void> {
    await this.#presence.close();
  }

  /** STATUS now; undefined when the unit is out of touch. */
  async status(): Promise<F56Status | undefined> {
    if (!this.isOnline) return undefined;
    const reply = await this.link.askStatus();
    if (!this.isOnline) return undefined;
    const status = reply.kind === 'answered' ? decodeStatus(reply.data) : undefined;
    if (status) this.#options.onStatus(status);
    else this.#presence.goAway('silent', 'the dispenser does not answer');
    return status;
  }

  async #serve(): Promise<void> {
    await this.#presence.pause(this.#options.pollMs);
    while (!this.#presence.isClosed) {
      if (this.isOnline) await this.status();
      else await this.#findAgain();
      await this.#presence.pause(this.isOnline ? this.#options.pollMs : RECONNECT_MS);
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
    this.#presence.found();
    this.#options.onFound();
    this.#options.onStatus(status);
  }

  async #findAgain(): Promise<void> {
    const error = await this.#presence.findAgain(() => this.#identify());
    if (error?.code === 'unsupportedCommand') this.#options.onOther(error);
  }
}
