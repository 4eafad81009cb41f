/** ID 30: the words of a simulated LCDM-4000. Source: cash-hardware.md 7.1. */
import {
  BAYS,
  type CommandName,
  commandOfCode,
  commands,
  decodeNibbles,
  dispenseBytes,
  encodeNibbles,
  id30Dialect,
  NOTES_MAX,
  OFFSET,
  STAT_NEAR_END,
  sequenceAfter,
  slitsOfLength,
  TYPE_REMOVED,
} from '../../lcdm/id30/commands.ts';
import { type Id30Model, LONG_STATUS_BODY_BYTES, STATUS_BODY_BYTES } from '../../lcdm/models.ts';
import type { LcdmFrame } from '../../lcdm/wire.ts';
import type { MechanismResult, Trouble } from './mechanism.ts';
import type { LcdmDeviceParts, LcdmDeviceWords } from './words.ts';

const BAD_COMMAND = 0x30;
const BAD_PARAMETER = 0x31;
/** Errors less 20 hex. */
const CODES: Readonly<Record<Trouble, number>> = {
  none: 0x00,
  pickUp: 0x01,
  empty: 0x01,
  jamBeforeDiverter: 0x02,
  jamBeforeEject: 0x03,
  jamBeforeExit: 0x04,
  noteInExit: 0x05,
  countMismatch: 0x07,
  notesOnPath: 0x0b,
  tooManyNotes: 0x0c,
  tooManyRejects: 0x0d,
  purge: 0x0e,
  noCassette: 0x24,
  nearEnd: 0x25,
  noRejectTray: 0x26,
  wrongCassette: 0x40,
  other: 0x51,
};
/** Reserved byte of a result. Source: the public Python driver insists on it. */
const MISS = 0x30;
const RESERVED_BYTES = 9;
/** DISP has six sensor bits; a bit above them keeps it from being a control character. */
const DISP_BASE = 0x40;
/** STAT: bit 2 says that a cassette is mounted. Source: one public C# driver. */
const STAT_BASE = 0x20;
const STAT_MOUNTED = 0x04;
/** SENSOR DIAGNOSTICS picks five notes. */
const DIAGNOSTIC_NOTES = 5;
/** Between the two responses to RESET the motors run. */
const MOTOR_MS = 1500;
const OPACITY = 0x50;
const LENGTH_MM = 156;

/** What an LCDM-4000 calls a trouble. */
export function id30Code(trouble: Trouble, bay: number): number {
  return trouble === 'wrongCassette' ? CODES.wrongCassette + bay : CODES[trouble];
}

/** One unit's words, with its settings. */
export class Id30Words implements LcdmDeviceWords {
  readonly dialect = id30Dialect;
  readonly #model: Id30Model;
  readonly #parts: LcdmDeviceParts;
  #sequence: number;
  #opacities: readonly number[] = Array.from({ length: BAYS }, () => OPACITY);
  #lengths: readonly number[] = Array.from({ length: BAYS }, () => slitsOfLength(LENGTH_MM));

  /** `sequence` is the number of the last command that dispensed. */
  constructor(model: Id30Model, sequence: number, parts: LcdmDeviceParts) {
    this.#model = model;
    this.#sequence = sequence;
    this.#parts = parts;
  }

  /** RESET of the documented form has no answer at all. */
  acknowledges(frame: LcdmFrame): boolean {
    if (commandOfCode(frame.command) !== 'reset') return true;
    return this.#model.resetResponses > 0 || this.#parts.switches.strikes('acknowledgeReset');
  }

  onCommand(frame: LcdmFrame): void {
    const name = commandOfCode(frame.command);
    const isKnown = name !== undefined && (name !== 'getSequence' || this.#model.sequenceNumber);
    if (!isKnown) {
      this.#parts.onViolation(
        `command ${frame.command.toString(16)}, which this model does not know`,
      );
      this.#answer(frame, [BAD_COMMAND + OFFSET]);
    } else if (frame.body.length !== this.#requestBytes(name)) {
      this.#parts.onViolation(`${name} with ${frame.body.length} bytes`);
      this.#answer(frame, this.#refusal(name));
    } else this.#carryOut(name, frame);
  }

  #carryOut(name: CommandName, frame: LcdmFrame): void {
    switch (name) {
      case 'reset':
        this.#reset(frame);
        return;
      case 'status':
        this.#answer(frame, this.#status());
        return;
      case 'purge':
        this.#parts.mechanism.purge((result) => this.#respond(frame, this.#result(result)));
        return;
      case 'dispense':
      case 'testDispense':
        this.#dispense(name, frame);
        return;
      case 'lastStatus':
        this.#answer(frame, this.#lastStatus());
        return;
      case 'sensorDiagnostics':
        this.#diagnose(frame);
        return;
      case 'getSequence':
        this.#answer(frame, [OFFSET, this.#sequence + OFFSET]);
        return;
      default:
        this.#answer(frame, this.#setting(name, frame.body));
    }
  }

  #requestBytes(name: CommandName): number {
    const isDispense = name === 'dispense' || name === 'testDispense';
    return isDispense ? dispenseBytes(this.#model) : commands[name].requestBytes;
  }

  #dispense(name: 'dispense' | 'testDispense', frame: LcdmFrame): void {
    const { positions, dispenseForm } = this.#model;
    const counts = [...frame.body.subarray(0, positions.length)].map((byte) => byte - OFFSET);
    const asked = counts.reduce((sum, count) => sum + count, 0);
    const isAskable = counts.every((count) => count >= 0) && asked >= 1 && asked <= NOTES_MAX;
    const rest = frame.body.subarray(positions.length);
    const hasForm = dispenseForm === 'sequence' ? this.#isNext(rest) : hasTimeoutForm(rest);
    if (!isAskable || !hasForm) {
      this.#parts.onViolation(`${name} with a parameter that cannot be`);
      this.#answer(frame, this.#refusal(name));
      return;
    }
    if (dispenseForm === 'sequence') this.#sequence = (rest.at(-1) ?? OFFSET) - OFFSET;
    this.#parts.mechanism.run(name, counts, (result) => {
      this.#respond(frame, [...this.#result(result), ...blanks(RESERVED_BYTES)]);
    });
  }

  /** The same number twice would be the same command twice, so it is refused. */
  #isNext(rest: Uint8Array): boolean {
    const number = (rest.at(-1) ?? 0) - OFFSET;
    if (number < 0 || number === this.#sequence) return false;
    if (number !== sequenceAfter(this.#sequence)) {
      this.#parts.onViolation(`sequence number ${number} after ${this.#sequence}`);
    }
    return rest.subarray(0, -1).every((byte) => byte === OFFSET);
  }

  #diagnose(frame: LcdmFrame): void {
    const bay = (frame.body[0] ?? 0) - TYPE_REMOVED - 1;
    if (!this.#model.positions.some((at) => at === bay + 1)) {
      this.#answer(frame, this.#refusal('sensorDiagnostics'));
      return;
    }
    const counts = blanks(BAYS).map((_, at) => (at === bay ? DIAGNOSTIC_NOTES : 0));
    this.#parts.mechanism.run('testDispense', counts, (result) => {
      const opacity = this.#opacities[bay] ?? 0;
      const length = this.#lengths[bay] ?? 0;
      const rejected = result.bays[bay]?.rejected ?? 0;
      const measured = [opacity, length, OFFSET, rejected].map((value) => (value + OFFSET) & 0xff);
      this.#respond(frame, [result.error + OFFSET, ...measured]);
    });
  }

  #status(): readonly number[] {
    const bays = blanks(BAYS).map((_, bay) => ({ bay, ...this.#parts.mechanism.bay(bay) }));
    const sensors =
      (this.#parts.mechanism.isCovered('diverter') ? 0b0011 : 0) |
      (this.#parts.mechanism.isCovered('eject') ? 0b0100 : 0) |
      (this.#parts.mechanism.isCovered('exit') ? 0b1000 : 0);
    const body = [
      this.#parts.mechanism.standingError + OFFSET,
      DISP_BASE | sensors,
      ...bays.flatMap(({ bay, isPresent, isNearEnd, code }) => [
        STAT_BASE | (isPresent ? STAT_MOUNTED : 0) | (isNearEnd ? STAT_NEAR_END : 0),
        isPresent ? TYPE_REMOVED + code : TYPE_REMOVED,
        ((this.#opacities[bay] ?? 0) + OFFSET) & 0xff,
        ((this.#lengths[bay] ?? 0) + OFFSET) & 0xff,
      ]),
    ];
    const isLong = this.#model.statusBodySizes.includes(LONG_STATUS_BODY_BYTES);
    return isLong ? [...body, ...blanks(LONG_STATUS_BODY_BYTES - STATUS_BODY_BYTES)] : body;
  }

  /** Before any command that moves notes there is nothing to repeat. */
  #lastStatus(): readonly number[] {
    const { last } = this.#parts.mechanism;
    if (last) return [commands[last.command].code, ...this.#result(last)];
    return [OFFSET, ...this.#result({ error: BAD_COMMAND, bays: [] })];
  }

  #setting(
    name: Extract<CommandName, `${'get' | 'set'}${'Opacities' | 'Lengths' | 'Order'}`>,
    body: Uint8Array,
  ): readonly number[] {
    switch (name) {
      case 'getOpacities':
        return [OFFSET, ...encodeNibbles(this.#opacities)];
      case 'getLengths':
        return [OFFSET, ...encodeNibbles(this.#lengths)];
      case 'getOrder':
        return [OFFSET, ...this.#parts.mechanism.order.map((bay) => TYPE_REMOVED + bay + 1)];
      case 'setOpacities':
      case 'setLengths': {
        const values = decodeNibbles(body);
        if (!values) return this.#refusal(name);
        const kept = name === 'setLengths' ? this.#lengths : this.#opacities;
        const next = values.map((value, bay) => value || (kept[bay] ?? 0));
        if (name === 'setLengths') this.#lengths = next;
        else this.#opacities = next;
        return [OFFSET];
      }
      case 'setOrder': {
        const order = [...body].map((byte) => byte - TYPE_REMOVED - 1);
        const isOrder = new Set(order.filter((bay) => bay >= 0 && bay < BAYS)).size === BAYS;
        if (!isOrder) return this.#refusal(name);
        this.#parts.mechanism.order = order;
        return [OFFSET];
      }
    }
  }

  #reset(frame: LcdmFrame): void {
    const fault = this.#parts.switches.strike('resetResponses');
    const responses = fault?.value ?? this.#model.resetResponses;
    if (responses <= 0) {
      this.#parts.link.deafen();
      this.#parts.boot();
      return;
    }
    this.#respond(frame, [OFFSET], () => {
      if (responses < 2) return;
      this.#parts.link.hold();
      this.#parts.link.after(MOTOR_MS, () => this.#respond(frame, [OFFSET]));
    });
  }

  // What is said

  #answer(frame: LcdmFrame, body: readonly number[]): void {
    this.#parts.link.after(this.#parts.timings.answerMs, () => this.#respond(frame, body));
  }

  #respond(frame: LcdmFrame, body: readonly number[], onEnded?: () => void): void {
    this.#parts.link.respond(frame.command, body, onEnded);
  }

  /** ERR MISS 4 x {EXIT REJECT TYPE}. */
  #result({ error, bays }: Pick<MechanismResult, 'error' | 'bays'>): readonly number[] {
    const all = blanks(BAYS).flatMap((_, bay) => {
      const { presented = 0, rejected = 0 } = bays[bay] ?? {};
      const { isPresent, code } = this.#parts.mechanism.bay(bay);
      const type = isPresent ? TYPE_REMOVED + code : TYPE_REMOVED;
      return [presented + OFFSET, rejected + OFFSET, type];
    });
    return [error + OFFSET, MISS, ...all];
  }

  /** A response with an error where it belongs, and nothing done. */
  #refusal(name: CommandName): readonly number[] {
    const [size = 1] = commands[name].responseBytes;
    const hasCounts = name === 'dispense' || name === 'testDispense' || name === 'purge';
    const error = BAD_PARAMETER;
    const front = hasCounts ? this.#result({ error, bays: [] }) : [error + OFFSET];
    return [...front, ...blanks(size - front.length)];
  }
}

/** TO1 TO2 is `20 20`, or `1C 3n`; the rest is reserved. */
function hasTimeoutForm(rest: Uint8Array): boolean {
  const [first, second = 0, ...reserved] = rest;
  const isTimeout = first === 0x1c && second >= 0x30 && second <= 0x39;
  const isNone = first === OFFSET && second === OFFSET;
  return (isTimeout || isNone) && reserved.every((byte) => byte === OFFSET);
}

function blanks(count: number): readonly number[] {
  return Array.from({ length: Math.max(0, count) }, () => OFFSET);
}
