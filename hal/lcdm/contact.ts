/** Keeps in touch with one LCDM unit: identifies it, asks for STATUS, notices its absence. */
import type { Clock } from '#protocol/base/clock.ts';
import { DeviceError } from '#protocol/base/errors.ts';
import type { Log } from '#protocol/base/log.ts';
import type { LineSettings, Port } from '../port.ts';
import { Presence, RECONNECT_MS } from '../presence.ts';
import { nameOfId } from './dialect.ts';
import { id30Dialect } from './id30/commands.ts';
import { id50Dialect } from './id50/commands.ts';
import { LcdmLink, type LcdmTimings } from './link.ts';
import type { LcdmUnit, UnitStatus } from './unit.ts';

/** Attempts to reach a silent unit after which the port is opened anew: about 10 s. */
const REOPEN_AFTER_ATTEMPTS = 3;

/** What keeping in touch needs. */
export interface LcdmContactOptions {
  readonly port: Port;
  readonly clock: Clock;
  readonly log: Log;
  readonly unit: LcdmUnit;
  readonly line: LineSettings;
  readonly timings: LcdmTimings;
  /** Between two STATUS of an idle unit. */
  readonly pollMs: number;
  /** The unit has been found, or found again. */
  readonly onFound: () => void;
  readonly onStatus: (status: UnitStatus) => void;
  /** It is out of touch; what was under way ends by itself. */
  readonly onAway: (reason: string) => void;
  /** Another unit has come in its place. */
  readonly onOther: (error: DeviceError) => void;
}

/** One unit, from `open` until `close`; made anew for the next time. */
export class LcdmContact {
  readonly link: LcdmLink;
  readonly #options: LcdmContactOptions;
  readonly #presence: Presence;

  constructor(options: LcdmContactOptions) {
    this.#options = options;
    const { port, clock, log, line, timings } = options;
    const { dialect } = options.unit;
    const onLost = (reason: string) => this.#presence.goAway('lost', reason);
    this.link = new LcdmLink({ port, clock, log, line, dialect, timings, onLost });
    this.#presence = new Presence({
      name: 'lcdm',
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

  /**
   * Opens the port, identifies the unit and keeps in touch from then on; gives its firmware.
   * @throws DeviceError as `Port.open` does, `timeOut` and `unsupportedCommand`; it is then closed.
   */
  async open(): Promise<string> {
    const firmware = await this.#presence.open(() => this.#identify());
    void this.#serve();
    return firmware;
  }

  /** Ends it; everything that waits is answered. */
  async close(): Promise<void> {
    await this.#presence.close();
  }

  /** STATUS now; undefined when the unit is out of touch. */
  async status(): Promise<UnitStatus | undefined> {
    return (await this.askStatus()).status;
  }

  /** STATUS, and whether that exchange came to its proper end. */
  async askStatus(): Promise<{
    readonly status: UnitStatus | undefined;
    readonly isEnded: boolean;
  }> {
    const { unit } = this.#options;
    const none = { status: undefined, isEnded: false };
    if (!this.isOnline) return none;
    const reply = await this.link.ask(unit.dialect.status);
    if (!this.isOnline) return none;
    const status = reply.kind === 'answered' ? unit.decodeStatus(reply.frame.body) : undefined;
    if (status) this.#options.onStatus(status);
    else this.#presence.goAway('silent', 'the dispenser does not answer');
    return { status, isEnded: reply.kind === 'answered' && reply.isEnded };
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
   * STATUS of its ID is a question on every unit with that ID, and not understood by any other;
   * only then is anything asked that another unit does not have. Nothing that is sent here moves a
   * note.
   */
  async #identify(): Promise<string> {
    const { unit, port } = this.#options;
    const { dialect } = unit;
    const reply = await this.link.ask(dialect.status);
    const other = dialect.id === id30Dialect.id ? id50Dialect : id30Dialect;
    const isOther =
      reply.kind === 'otherId' ||
      (reply.kind !== 'answered' && (await this.link.hearsOtherId(other.status.code)));
    if (isOther) throw this.#other(`an ${nameOfId(other.id)} has answered`);
    if (reply.kind !== 'answered') {
      throw new DeviceError(
        'timeOut',
        `no ${nameOfId(dialect.id)} answers on ${port.path}; parity may differ (${reply.evidence})`,
        { recording: port.recording() },
      );
    }
    const status = unit.decodeStatus(reply.frame.body);
    if (!status) throw this.#other('its status cannot be read');
    const firmware = await unit.identify(this.link, reply.frame.body);
    if (typeof firmware !== 'string') throw this.#other(firmware.message);
    this.#presence.found();
    this.#options.onFound();
    this.#options.onStatus(status);
    return firmware;
  }

  async #findAgain(): Promise<void> {
    const error = await this.#presence.findAgain(() => this.#identify());
    if (error?.code === 'unsupportedCommand') this.#options.onOther(error);
  }

  #other(why: string): DeviceError {
    const { unit, port } = this.#options;
    return new DeviceError('unsupportedCommand', `not an ${unit.model} on ${port.path}: ${why}`, {
      recording: port.recording(),
    });
  }
}
