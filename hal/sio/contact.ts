/** Keeps in touch with one SIO device: tells it its mode, pings it, notices its absence. */
import type { Clock } from '#protocol/base/clock.ts';
import { DeviceError } from '#protocol/base/errors.ts';
import type { Log } from '#protocol/base/log.ts';
import type { LineSettings, Port } from '../port.ts';
import { Presence, RECONNECT_MS } from '../presence.ts';
import { commands, type SioWord } from './commands.ts';
import { SioLink } from './link.ts';
import type { SioModel } from './models.ts';

/** Unanswered pings until the device counts as offline: 2 s with the usual times. */
const MISSES_MAX = 2;
/** Attempts to reach a silent device after which the port is opened anew: about 10 s. */
const REOPEN_AFTER_ATTEMPTS = 6;
/** Silence of a busy device that holds no note in escrow, after which it is asked all the same. */
const BUSY_ASK_MS = 5000;
/** Longest time that a device is busy with one note: silence then is absence. */
const BUSY_LIMIT_MS = 30_000;

/** What keeping in touch needs. */
export interface SioContactOptions {
  readonly port: Port;
  readonly clock: Clock;
  readonly log: Log;
  readonly model: SioModel;
  readonly line: LineSettings;
  readonly pingMs: number;
  readonly echoMs: number;
  /** The device is doing something with a note: it does not answer pings then. */
  readonly isBusy: () => boolean;
  readonly holdsNote: () => boolean;
  /** The device has been found, or found again: it is shut. */
  readonly onFound: () => void;
  readonly onWord: (word: SioWord) => void;
  /** It answers a ping although it said that it is busy. */
  readonly onRested: () => void;
  /** It is out of touch. */
  readonly onAway: (reason: string) => void;
}

/** One device, from `open` until `close`; made anew for the next time. */
export class SioContact {
  readonly link: SioLink;
  readonly #options: SioContactOptions;
  readonly #presence: Presence;
  #misses = 0;
  #heardMs = 0;

  constructor(options: SioContactOptions) {
    this.#options = options;
    const { port, clock, log, line, echoMs } = options;
    const onLost = (reason: string) => this.#presence.goAway('lost', reason);
    const onWord = (word: SioWord) => this.#onWord(word);
    this.link = new SioLink({ port, clock, log, line, echoMs, onWord, onLost });
    this.#presence = new Presence({
      name: 'sio',
      port,
      clock,
      log,
      reopenAfter: REOPEN_AFTER_ATTEMPTS,
      line: this.link.line,
      onAway: options.onAway,
    });
  }

  /** It answers, and was shut since it was last away. */
  get isOnline(): boolean {
    return this.#presence.isOnline;
  }

  get isClosed(): boolean {
    return this.#presence.isClosed;
  }

  /**
   * Opens the port, identifies the device and keeps in touch from then on.
   * @throws DeviceError as `Port.open` does, `timeOut` and `unsupportedCommand`; it is then closed.
   */
  async open(): Promise<void> {
    await this.#presence.open(() => this.#identify());
    void this.#serve();
  }

  /** Asks it now, once. */
  async isThere(): Promise<boolean> {
    const reply = await this.link.set(modeCode(this.#options.model), 1);
    return reply !== 'silent' && this.isOnline;
  }

  /** Ends it; everything that waits is answered. */
  async close(): Promise<void> {
    await this.#presence.close();
  }

  /**
   * The device has no name: it is one when it says again what it is told. It is shut first, and
   * then told its mode, by which nothing moves; a word that it refuses tells the models apart.
   */
  async #identify(): Promise<void> {
    const { model, port } = this.#options;
    const recording = () => ({ recording: port.recording() });
    const shut = await this.link.set(commands.disableAll.code);
    if (shut !== 'echoed') {
      const isOther = shut === 'refused' || this.link.discardedBytes > 0;
      if (isOther) throw this.#other('it does not speak SIO, or at another speed');
      const hint = 'check its protocol switch, its speed and the port';
      const words = `the validator on ${port.path} does not answer; ${hint}`;
      throw new DeviceError('timeOut', words, recording());
    }
    const mode = await this.link.set(modeCode(model));
    if (mode === 'refused' && model.hasEscrow) {
      throw this.#other('it has no escrow mode, as an nv10-no-escrow');
    }
    if (mode === 'silent') {
      throw new DeviceError('timeOut', `the validator on ${port.path} fell silent`, recording());
    }
    this.#presence.found();
    this.#misses = 0;
    this.#options.onFound();
  }

  async #serve(): Promise<void> {
    const { clock, pingMs } = this.#options;
    while (!this.isClosed) {
      await this.#presence.pause(this.isOnline ? pingMs : RECONNECT_MS);
      if (this.isClosed) return;
      if (!this.isOnline) await this.#presence.findAgain(() => this.#identify());
      else {
        const quietMs = clock.monotonic() - this.#heardMs;
        const isBusy = this.#options.isBusy();
        const limitMs = this.#options.holdsNote() ? BUSY_LIMIT_MS : BUSY_ASK_MS;
        if (!isBusy || quietMs > limitMs) await this.#ping(isBusy, quietMs);
      }
    }
  }

  /** Telling it its mode again also mends a mode that a short loss of power has taken. */
  async #ping(wasBusy: boolean, quietMs: number): Promise<void> {
    const { model, onRested } = this.#options;
    const reply = await this.link.set(modeCode(model), 1);
    if (!this.isOnline) return;
    const isExcused = wasBusy && quietMs <= BUSY_LIMIT_MS;
    if (reply !== 'silent') this.#misses = 0;
    else if (!isExcused) this.#misses++;
    if (this.#misses >= MISSES_MAX) this.#presence.goAway('silent', 'the device does not answer');
    else if (wasBusy && reply !== 'silent') onRested();
  }

  #onWord(word: SioWord): void {
    this.#heardMs = this.#options.clock.monotonic();
    if (!this.isClosed) this.#options.onWord(word);
  }

  #other(why: string): DeviceError {
    const { model, port } = this.#options;
    return new DeviceError('unsupportedCommand', `not an ${model.name} on ${port.path}: ${why}`, {
      recording: port.recording(),
    });
  }
}

/** The command that sets a model's mode; also what it is pinged with. */
function modeCode({ hasEscrow }: SioModel): number {
  return hasEscrow ? commands.escrowOn.code : commands.escrowOff.code;
}
