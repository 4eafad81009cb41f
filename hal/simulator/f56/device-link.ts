/**
 * The line of a simulated F53 or F56: the host's ENQ, ACK, command, ACK or NAK; then its own ENQ,
 * ACK, response, ACK or NAK. What the host says out of turn is not heard, and is a violation.
 * Source: cash-hardware.md 6.1.
 */
import type { CancelTimer, Clock } from '#protocol/base/clock.ts';
import { type CommandName, commandOf, commands } from '../../f56/commands.ts';
import { encodeControl, encodeFrame, type F56Control, F56Framer } from '../../f56/wire.ts';
import type { FaultSwitches } from '../faults.ts';
import type { F56DeviceTimings, F56FaultName } from './faults.ts';

/** Silence after which bytes that are no frame are answered with NAK. */
const QUIET_MS = 100;
/** "3 tries on missing/NAK." */
const TRIES = 3;
/** Steps that a command may take after ENQ: one to begin, one for a byte that never comes. */
const GRANTED_STEPS = 3;
const LATE_BID_MS = 1000;
const LATE_ACK_MS = 1000;
const LATE_RESPONSE_MS = 5000;
const NOISE = Uint8Array.of(0xff, 0x00, 0x41);
const CRC_MASK = 0x55;

/** What a line is made of. */
export interface F56DeviceLinkParts {
  readonly clock: Clock;
  readonly timings: F56DeviceTimings;
  readonly switches: FaultSwitches<F56FaultName>;
  readonly send: (bytes: Uint8Array) => void;
  /** Carries a command out; `respond` ends it. */
  readonly onCommand: (data: Uint8Array) => void;
  readonly onViolation: (words: string) => void;
}

interface Response {
  /** Second byte of the command, by which faults are chosen. */
  readonly code: number;
  readonly bytes: Uint8Array;
  /** The fault that swallows it, decided once for all its repetitions. */
  readonly isLost: boolean;
  /** Gives way to a host that bids. */
  readonly isMeek: boolean;
  tries: number;
}

/** One host's line. */
export class F56DeviceLink {
  readonly #parts: F56DeviceLinkParts;
  readonly #framer = new F56Framer();
  readonly #timers = new Set<CancelTimer>();
  #cancelQuiet: CancelTimer = () => undefined;
  #cancelStep: CancelTimer = () => undefined;
  #state: 'idle' | 'granting' | 'granted' | 'busy' | 'bidding' | 'answering' | 'deaf' = 'idle';
  #response: Response | undefined;
  #lastBytes: Uint8Array | undefined;
  #garbageBytes = 0;

  constructor(parts: F56DeviceLinkParts) {
    this.#parts = parts;
  }

  /** Bytes from the host. */
  receive(bytes: Uint8Array): void {
    if (this.#state === 'deaf') return;
    this.#hear(this.#framer.push(bytes));
    this.#cancelQuiet();
    if (this.#framer.pendingBytes > 0) {
      this.#cancelQuiet = this.#parts.clock.after(this.#parts.timings.stepMs, () => {
        this.#hear(this.#framer.flush());
        this.#onQuiet();
      });
    } else if (this.#garbageBytes > 0) {
      this.#cancelQuiet = this.#parts.clock.after(QUIET_MS, () => this.#onQuiet());
    }
  }

  /** Bids for the line and says the response to the command that is carried out. */
  respond(data: readonly number[]): void {
    const code = data[1] ?? 0;
    const { switches } = this.#parts;
    const isLost = switches.strikes('loseResponse', isFor(code));
    const late = switches.strike('lateResponse', () => moves(code));
    const bytes = encodeFrame(data);
    this.#lastBytes = bytes;
    this.#after(late ? (late.value ?? LATE_RESPONSE_MS) : 0, () => {
      this.#response = { code, bytes, isLost, isMeek: false, tries: 0 };
      if (switches.strikes('noise', isFor(code))) this.#parts.send(NOISE);
      this.#bid();
    });
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
    this.#cancelStep();
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
    this.#framer.reset();
    this.#garbageBytes = 0;
    this.#response = undefined;
    this.#lastBytes = undefined;
  }

  // What the host says

  #hear(events: ReturnType<F56Framer['push']>): void {
    for (const event of events) {
      if (event.kind === 'discarded') this.#garbageBytes += event.bytes.length;
      else if (event.kind === 'frame') this.#onFrame(event.data);
      else if (event.control === 'enq') this.#onEnq();
      else this.#onReply(event.control === 'ack');
    }
  }

  #onEnq(): void {
    const { switches, onViolation } = this.#parts;
    if (switches.strikes('silence')) return;
    if (this.#state === 'busy') onViolation('ENQ while a command is carried out');
    else if (this.#state === 'answering') {
      onViolation('ENQ before the last response was acknowledged');
    } else if (this.#state === 'bidding' && !this.#response?.isMeek) return;
    else if (switches.strikes('refuseBid')) this.#soon('nak');
    else if (!this.#collides()) this.#grant();
  }

  #grant(): void {
    const { switches, timings } = this.#parts;
    const late = switches.strike('lateBid');
    this.#response = undefined;
    this.#state = 'granting';
    const toIdle = () => {
      this.#state = 'idle';
    };
    this.#step(toIdle, timings.stepMs * GRANTED_STEPS);
    this.#after(timings.acknowledgeMs + (late ? (late.value ?? LATE_BID_MS) : 0), () => {
      if (this.#state !== 'granting' && this.#state !== 'granted') return;
      this.#state = 'granted';
      this.#say('ack');
    });
  }

  /** Bids instead of answering; what it wants to say is what it said last. */
  #collides(): boolean {
    const fault = this.#parts.switches.strike('collision', () => this.#lastBytes !== undefined);
    if (!fault || !this.#lastBytes) return false;
    const isMeek = fault.value !== 1;
    this.#response = { code: 0, bytes: this.#lastBytes, isLost: false, isMeek, tries: 0 };
    this.#bid();
    return true;
  }

  #onFrame(data: Uint8Array): void {
    const { timings, switches, onViolation, onCommand } = this.#parts;
    const name = commandOf(data) ?? 'a command that is not known';
    if (this.#state !== 'granted') {
      onViolation(this.#state === 'busy' ? `${name} while another runs` : `${name} without a bid`);
      return;
    }
    const code = data[1] ?? 0;
    if (switches.strikes('nak', isFor(code))) {
      this.#soon('nak');
      return;
    }
    this.#cancelStep();
    this.#state = 'busy';
    const late = switches.strike('lateAck', () => moves(code));
    this.#after(timings.acknowledgeMs + (late ? (late.value ?? LATE_ACK_MS) : 0), () => {
      if (!switches.strikes('loseAck', isFor(code))) this.#say('ack');
      onCommand(data);
    });
  }

  #onReply(isAck: boolean): void {
    const { switches, onViolation } = this.#parts;
    const response = this.#response;
    if (this.#state === 'bidding' && response) {
      if (!isAck) return;
      response.tries = 0;
      this.#answer(response);
    } else if (this.#state === 'answering' && response) {
      if (isAck && switches.strikes('loseHostAck', isFor(response.code))) return;
      if (isAck || response.tries >= TRIES) this.#end();
      else this.#answer(response);
    } else onViolation('ACK or NAK when nothing was said');
  }

  /** What was heard is no frame, and no more comes. */
  #onQuiet(): void {
    const bytes = this.#garbageBytes;
    this.#garbageBytes = 0;
    if (bytes === 0) return;
    this.#parts.onViolation(`${bytes} bytes that are no frame`);
    if (this.#state === 'granted') this.#say('nak');
  }

  // What the unit says

  /** ENQ until the host answers, at most three times. */
  #bid(): void {
    const response = this.#response;
    if (!response) return;
    this.#state = 'bidding';
    if (response.tries >= TRIES) {
      this.#end();
      return;
    }
    response.tries++;
    if (!response.isLost) this.#say('enq');
    this.#step(() => this.#bid());
  }

  #answer(response: Response): void {
    const { switches, send } = this.#parts;
    this.#state = 'answering';
    if (response.tries >= TRIES) {
      this.#end();
      return;
    }
    response.tries++;
    const bytes = Uint8Array.from(response.bytes);
    if (switches.strikes('badCrc', isFor(response.code))) {
      bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ CRC_MASK;
    }
    if (!response.isLost) send(bytes);
    this.#step(() => this.#answer(response));
  }

  #end(): void {
    this.#cancelStep();
    this.#response = undefined;
    this.#state = 'idle';
  }

  #say(control: F56Control): void {
    this.#parts.send(encodeControl(control));
  }

  #soon(control: F56Control): void {
    this.#after(this.#parts.timings.acknowledgeMs, () => this.#say(control));
  }

  /** What happens when the host does not go on. */
  #step(task: () => void, limitMs = this.#parts.timings.stepMs): void {
    this.#cancelStep();
    this.#cancelStep = this.#parts.clock.after(limitMs, task);
  }

  #after(delayMs: number, task: () => void): void {
    const cancel = this.#parts.clock.after(delayMs, () => {
      this.#timers.delete(cancel);
      task();
    });
    this.#timers.add(cancel);
  }
}

function nameOf(code: number): CommandName | undefined {
  if (code === commands.status.code[1]) return 'status';
  if (code === commands.initialise.code[1]) return 'initialise';
  return code === commands.billCount.code[1] ? 'billCount' : undefined;
}

function moves(code: number): boolean {
  const name = nameOf(code);
  return name !== undefined && commands[name].moves;
}

/** A fault's value is a command's second byte; without one it is for those that move notes. */
function isFor(code: number): (value: number | undefined) => boolean {
  const isMoving = moves(code);
  return (value) => value === code || (value === undefined && isMoving);
}
