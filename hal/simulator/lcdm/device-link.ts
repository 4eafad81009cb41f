/**
 * The line of a simulated LCDM: command, ACK or NAK, response, the host's ACK or NAK, and with ID
 * 30
 * EOT. One exchange at a time; what the host says out of turn is a violation.
 * Source: cash-hardware.md 7.1, 7.2.
 */
import type { CancelTimer, Clock } from '#protocol/base/clock.ts';
import { commandOf, type LcdmDialect } from '../../lcdm/dialect.ts';
import { controls, encodeFrame, type LcdmFrame, LcdmFramer } from '../../lcdm/wire.ts';
import type { FaultSwitches } from '../faults.ts';
import type { LcdmFaultName } from './faults.ts';
import type { LcdmDeviceTimings } from './mechanism.ts';

/** Silence after which what is no frame is answered with NAK. */
const QUIET_MS = 100;
/** From the host's ACK to EOT. */
const EOT_MS = 5;
/** "Up to 3 tries each way." */
const TRIES = 3;
/** Longest body of a command, and some more: a frame ends where 03 and a fitting BCC are. */
const BODY_BYTES_MAX = 24;
const BODY_SIZES = Array.from({ length: BODY_BYTES_MAX + 1 }, (_, size) => size);
const STRAY = 0xff;
const LATE_ACK_MS = 1000;
const LATE_RESPONSE_MS = 5000;

/** What a line is made of. */
export interface LcdmDeviceLinkParts {
  readonly clock: Clock;
  readonly timings: LcdmDeviceTimings;
  readonly switches: FaultSwitches<LcdmFaultName>;
  readonly dialect: LcdmDialect;
  readonly send: (bytes: Uint8Array) => void;
  /** Whether this command gets ACK at all. */
  readonly acknowledges: (frame: LcdmFrame) => boolean;
  /** Carries a command out; `respond` ends it. */
  readonly onCommand: (frame: LcdmFrame) => void;
  readonly onViolation: (words: string) => void;
}

interface Response {
  readonly code: number;
  readonly bytes: Uint8Array;
  /** The fault that swallows it, decided once for all its repetitions. */
  readonly isLost: boolean;
  readonly onEnded: () => void;
  tries: number;
}

/** One host's line. */
export class LcdmDeviceLink {
  readonly #parts: LcdmDeviceLinkParts;
  readonly #framer: LcdmFramer;
  readonly #timers = new Set<CancelTimer>();
  #cancelQuiet: CancelTimer = () => undefined;
  #cancelRepeat: CancelTimer = () => undefined;
  #state: 'idle' | 'busy' | 'answering' | 'deaf' = 'idle';
  #response: Response | undefined;
  #garbageBytes = 0;

  constructor(parts: LcdmDeviceLinkParts) {
    this.#parts = parts;
    const { id } = parts.dialect;
    this.#framer = new LcdmFramer({ id, sender: 'host', bodySizes: () => BODY_SIZES });
  }

  /** Bytes from the host. */
  receive(bytes: Uint8Array): void {
    if (this.#state === 'deaf') return;
    for (const event of this.#framer.push(bytes)) {
      if (event.kind === 'discarded') this.#garbageBytes += event.bytes.length;
      else if (event.kind === 'frame') this.#onFrame(event.frame);
      else if (event.kind === 'control') this.#onControl(event.control === 'ack');
    }
    this.#cancelQuiet();
    if (this.#garbageBytes === 0 && this.#framer.pendingBytes === 0) return;
    this.#cancelQuiet = this.#parts.clock.after(QUIET_MS, () => this.#onQuiet());
  }

  /** Says the response to the command that is carried out, and waits for the host's ACK. */
  respond(code: number, body: readonly number[], onEnded: () => void = () => undefined): void {
    const { switches, dialect } = this.#parts;
    const isLost = switches.strikes('loseResponse', this.#isFor(code));
    const bytes = encodeFrame(dialect.id, 'device', code, body);
    const late = switches.strike('lateResponse', () => this.#moves(code));
    this.#response = { code, bytes, isLost, onEnded, tries: 0 };
    this.#after(late ? (late.value ?? LATE_RESPONSE_MS) : 0, () => this.#say());
  }

  /** Goes on with the command after a response: there will be another. */
  hold(): void {
    this.#state = 'busy';
  }

  /** Hears nothing until `wake`; everything under way is forgotten. */
  deafen(): void {
    this.stop();
    this.#state = 'deaf';
  }

  /** Hears again. */
  wake(): void {
    this.#state = 'idle';
  }

  /** Runs something later, unless the line is made deaf before. */
  after(delayMs: number, task: () => void): void {
    this.#after(delayMs, task);
  }

  /** Ends its timers. */
  stop(): void {
    this.#cancelQuiet();
    this.#cancelRepeat();
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
    this.#framer.reset();
    this.#garbageBytes = 0;
    this.#response = undefined;
  }

  #onFrame(frame: LcdmFrame): void {
    const { timings, switches, onViolation, acknowledges, onCommand } = this.#parts;
    const name = this.#nameOf(frame.command);
    if (switches.strikes('silence', isOrAny(frame.command))) return;
    if (this.#state === 'busy') {
      onViolation(`${name} while another command is carried out`);
      return;
    }
    if (this.#state === 'answering') {
      onViolation(`${name} before the last response was acknowledged`);
      this.#abandon();
    }
    if (switches.strikes('nak', this.#isFor(frame.command))) {
      this.#after(timings.acknowledgeMs, () => this.#control('nak'));
      return;
    }
    this.#state = 'busy';
    const late = switches.strike('lateAck', () => this.#moves(frame.command));
    this.#after(timings.acknowledgeMs + (late ? (late.value ?? LATE_ACK_MS) : 0), () => {
      if (acknowledges(frame) && !switches.strikes('loseAck', this.#isFor(frame.command)))
        this.#control('ack');
      onCommand(frame);
    });
  }

  #onControl(isAck: boolean): void {
    const { switches, onViolation } = this.#parts;
    const response = this.#response;
    if (this.#state !== 'answering' || !response) {
      onViolation('ACK or NAK when nothing was said');
      return;
    }
    if (isAck && switches.strikes('loseHostAck', this.#isFor(response.code))) return;
    this.#cancelRepeat();
    if (!isAck && response.tries < TRIES) {
      this.#after(this.#parts.timings.acknowledgeMs, () => this.#say());
      return;
    }
    this.#response = undefined;
    if (!this.#parts.dialect.hasEnd) {
      this.#state = 'idle';
      response.onEnded();
      return;
    }
    this.#state = 'busy';
    this.#after(EOT_MS, () => {
      if (!switches.strikes('loseEot', this.#isFor(response.code))) this.#control('eot');
      this.#state = 'idle';
      response.onEnded();
    });
  }

  #say(): void {
    const { switches, timings, clock } = this.#parts;
    const response = this.#response;
    if (!response) return;
    this.#state = 'answering';
    response.tries++;
    const bytes = Uint8Array.from(response.bytes);
    if (switches.strikes('badBcc', this.#isFor(response.code)))
      bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 0x55;
    if (!response.isLost) {
      if (switches.strikes('strayFf', isOrAny(response.code)))
        this.#parts.send(Uint8Array.of(STRAY));
      this.#parts.send(bytes);
    }
    this.#cancelRepeat = clock.after(timings.repeatMs, () => {
      if (response.tries < TRIES) this.#say();
      else this.#abandon();
    });
  }

  /** Nobody wants the response. */
  #abandon(): void {
    const response = this.#response;
    this.#cancelRepeat();
    this.#response = undefined;
    this.#state = 'idle';
    response?.onEnded();
  }

  /** What was heard is no frame, and no more comes. */
  #onQuiet(): void {
    const bytes = this.#garbageBytes + this.#framer.reset().length;
    this.#garbageBytes = 0;
    if (bytes === 0) return;
    this.#parts.onViolation(`${bytes} bytes that are no frame`);
    if (this.#state === 'idle') this.#control('nak');
  }

  #control(control: keyof typeof controls): void {
    this.#parts.send(Uint8Array.of(controls[control]));
  }

  #after(delayMs: number, task: () => void): void {
    const cancel = this.#parts.clock.after(delayMs, () => {
      this.#timers.delete(cancel);
      task();
    });
    this.#timers.add(cancel);
  }

  #nameOf(code: number): string {
    const { commands } = this.#parts.dialect;
    const found = Object.entries(commands).find(([, command]) => command.code === code);
    return found?.[0] ?? 'a command that is not known';
  }

  #moves(code: number): boolean {
    return commandOf(this.#parts.dialect, code)?.moves === true;
  }

  /** A fault's value is the code of a command; without one it is for those that move notes. */
  #isFor(code: number): (value: number | undefined) => boolean {
    const isMoving = this.#moves(code);
    return (value) => value === code || (value === undefined && isMoving);
  }
}

/** A fault's value is the code of a command; without one it is for all. */
function isOrAny(code: number): (value: number | undefined) => boolean {
  return (value) => value === undefined || value === code;
}
