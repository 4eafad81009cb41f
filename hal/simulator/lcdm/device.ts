/**
 * A simulated LCDM-4000 that speaks bytes. It follows the protocol and no driver, in the documented
 * form and in the one of Lamassu's machines. What is out of turn is answered as the protocol says,
 * or not at all, and written down in `violations`. Source: cash-hardware.md 7.1 and 13.
 */
import type { Clock } from '#protocol/base/clock.ts';
import {
  BAYS,
  type CommandName,
  commandOfCode,
  commands,
  decodeNibbles,
  dispenseBytes,
  encodeNibbles,
  NOTES_MAX,
  OFFSET,
  STAT_NEAR_END,
  sequenceAfter,
  slitsOfLength,
  TYPE_REMOVED,
} from '../../lcdm/commands.ts';
import {
  type LcdmModel,
  type LcdmModelName,
  LONG_STATUS_BODY_BYTES,
  lcdmLine,
  lcdmModels,
  STATUS_BODY_BYTES,
} from '../../lcdm/models.ts';
import type { LcdmFrame } from '../../lcdm/wire.ts';
import type { LineSettings } from '../../port.ts';
import {
  type ControlCommand,
  type DeviceTruth,
  type SimulatedDevice,
  SimulatorError,
} from '../device.ts';
import { FaultSwitches } from '../faults.ts';
import type { SimulatedCassette } from '../protocol.ts';
import { LcdmDeviceLink } from './device-link.ts';
import {
  type LastResultMemory,
  LCDM_DEVICE_TIMINGS,
  type LcdmDeviceTimings,
  type LcdmFaultName,
  LcdmMechanism,
  lcdmFaults,
  type MechanismResult,
} from './mechanism.ts';

/** What may differ between simulated dispensers. */
export interface LcdmDeviceOptions {
  readonly model?: LcdmModelName;
  /** By position; a position that is left out has no cassette. */
  readonly cassettes?: Readonly<Record<string, SimulatedCassette>>;
  readonly parity?: LineSettings['parity'];
  readonly timings?: Partial<LcdmDeviceTimings>;
  /** What a power cut leaves of the last result. */
  readonly memory?: LastResultMemory;
  /** The number of the last command that dispensed, where the model counts them. */
  readonly sequenceNumber?: number;
  /** A bay with fewer notes says near end. */
  readonly nearEndCount?: number;
}

const BAD_COMMAND = 0x30;
const BAD_PARAMETER = 0x31;
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
const NEAR_END_COUNT = 10;
const OPACITY = 0x50;
const LENGTH_MM = 156;
const VIOLATIONS_MAX = 1000;

/** A simulated LCDM dispenser, switched on, with everything in order. */
export class LcdmDevice implements SimulatedDevice {
  readonly kind = 'dispenser';
  readonly protocol = 'lcdm';
  readonly line: LineSettings;
  readonly faults = lcdmFaults;
  readonly #model: LcdmModel;
  readonly #timings: LcdmDeviceTimings;
  readonly #switches = new FaultSwitches<LcdmFaultName>(lcdmFaults);
  readonly #mechanism: LcdmMechanism;
  readonly #link: LcdmDeviceLink;
  readonly #violations: string[] = [];
  #send: (bytes: Uint8Array) => void = () => undefined;
  #isOn: boolean = true;
  #sequence: number;
  #opacities: readonly number[] = Array.from({ length: BAYS }, () => OPACITY);
  #lengths: readonly number[] = Array.from({ length: BAYS }, () => slitsOfLength(LENGTH_MM));

  /** @throws SimulatorError `notFound` for a cassette where the model has no bay. */
  constructor(parts: { readonly clock: Clock; readonly options?: LcdmDeviceOptions }) {
    const { clock, options = {} } = parts;
    this.#model = lcdmModels[options.model ?? 'lcdm-4000'];
    this.line = lcdmLine(options.parity ?? this.#model.parity);
    this.#timings = { ...LCDM_DEVICE_TIMINGS, ...options.timings };
    this.#sequence = options.sequenceNumber ?? 0;
    this.#mechanism = new LcdmMechanism({
      clock,
      timings: this.#timings,
      cassettes: options.cassettes ?? {},
      bays: this.#model.positions.length,
      nearEndCount: options.nearEndCount ?? NEAR_END_COUNT,
      memory: options.memory ?? 'survives',
      switches: this.#switches,
      onPowerCut: () => this.#power(false),
    });
    this.#link = new LcdmDeviceLink({
      clock,
      timings: this.#timings,
      switches: this.#switches,
      send: (bytes) => this.#send(bytes),
      acknowledges: (frame) => this.#acknowledges(frame),
      onCommand: (frame) => this.#onCommand(frame),
      onViolation: (words) => this.#violate(words),
    });
  }

  receive(bytes: Uint8Array): void {
    if (this.#isOn) this.#link.receive(bytes);
  }

  connect(send: (bytes: Uint8Array) => void): void {
    this.#send = send;
  }

  control(command: ControlCommand): unknown {
    switch (command.do) {
      case 'insert':
      case 'cashbox':
        throw new SimulatorError('usage', 'a dispenser takes no notes in');
      case 'fault': {
        const { times = 1, value } = command;
        const name = this.#switches.set(command.name, times, value);
        this.#mechanism.stand(name, times, value);
        break;
      }
      case 'power':
        this.#power(command.on);
        break;
      case 'cassette':
        this.#mechanism.cassette(command.position, command);
        break;
      case 'take':
        this.#mechanism.take();
        break;
      case 'state':
        break;
    }
    return this.truth();
  }

  truth(): DeviceTruth {
    return this.#mechanism.truth();
  }

  violations(): readonly string[] {
    return this.#violations;
  }

  stop(): void {
    this.#link.stop();
    this.#mechanism.stop();
  }

  // Commands

  /** RESET of the documented form has no answer at all. */
  #acknowledges(frame: LcdmFrame): boolean {
    if (commandOfCode(frame.command) !== 'reset') return true;
    return this.#model.resetResponses > 0 || this.#switches.strikes('acknowledgeReset');
  }

  #onCommand(frame: LcdmFrame): void {
    const name = commandOfCode(frame.command);
    const isKnown = name !== undefined && (name !== 'getSequence' || this.#model.sequenceNumber);
    if (!isKnown) {
      this.#violate(`command ${frame.command.toString(16)}, which this model does not know`);
      this.#answer(frame, [BAD_COMMAND + OFFSET]);
    } else if (frame.body.length !== this.#requestBytes(name)) {
      this.#violate(`${name} with ${frame.body.length} bytes`);
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
        this.#mechanism.purge((result) => this.#respond(frame, this.#result(result)));
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
      this.#violate(`${name} with a parameter that cannot be`);
      this.#answer(frame, this.#refusal(name));
      return;
    }
    if (dispenseForm === 'sequence') this.#sequence = (rest.at(-1) ?? OFFSET) - OFFSET;
    this.#mechanism.run(name, counts, (result) => {
      this.#respond(frame, [...this.#result(result), ...blanks(RESERVED_BYTES)]);
    });
  }

  /** The same number twice would be the same command twice, so it is refused. */
  #isNext(rest: Uint8Array): boolean {
    const number = (rest.at(-1) ?? 0) - OFFSET;
    if (number < 0 || number === this.#sequence) return false;
    if (number !== sequenceAfter(this.#sequence)) {
      this.#violate(`sequence number ${number} after ${this.#sequence}`);
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
    this.#mechanism.run('testDispense', counts, (result) => {
      const opacity = this.#opacities[bay] ?? 0;
      const length = this.#lengths[bay] ?? 0;
      const rejected = result.bays[bay]?.rejected ?? 0;
      const measured = [opacity, length, OFFSET, rejected].map((value) => (value + OFFSET) & 0xff);
      this.#respond(frame, [result.error + OFFSET, ...measured]);
    });
  }

  #status(): readonly number[] {
    const bays = blanks(BAYS).map((_, bay) => ({ bay, ...this.#mechanism.bay(bay) }));
    const sensors =
      (this.#mechanism.isCovered('diverter') ? 0b0011 : 0) |
      (this.#mechanism.isCovered('eject') ? 0b0100 : 0) |
      (this.#mechanism.isCovered('exit') ? 0b1000 : 0);
    const body = [
      this.#mechanism.standingError + OFFSET,
      DISP_BASE | sensors,
      ...bays.flatMap(({ bay, isPresent, isNearEnd }) => [
        STAT_BASE | (isPresent ? STAT_MOUNTED : 0) | (isNearEnd ? STAT_NEAR_END : 0),
        isPresent ? TYPE_REMOVED + bay + 1 : TYPE_REMOVED,
        ((this.#opacities[bay] ?? 0) + OFFSET) & 0xff,
        ((this.#lengths[bay] ?? 0) + OFFSET) & 0xff,
      ]),
    ];
    const isLong = this.#model.statusBodySizes.includes(LONG_STATUS_BODY_BYTES);
    return isLong ? [...body, ...blanks(LONG_STATUS_BODY_BYTES - STATUS_BODY_BYTES)] : body;
  }

  /** Before any command that moves notes there is nothing to repeat. */
  #lastStatus(): readonly number[] {
    const { last } = this.#mechanism;
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
        return [OFFSET, ...this.#mechanism.order.map((bay) => TYPE_REMOVED + bay + 1)];
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
        this.#mechanism.order = order;
        return [OFFSET];
      }
    }
  }

  #reset(frame: LcdmFrame): void {
    const fault = this.#switches.strike('resetResponses');
    const responses = fault?.value ?? this.#model.resetResponses;
    if (responses <= 0) {
      this.#link.deafen();
      this.#boot();
      return;
    }
    this.#respond(frame, [OFFSET], () => {
      if (responses < 2) return;
      this.#link.hold();
      this.#link.after(MOTOR_MS, () => this.#respond(frame, [OFFSET]));
    });
  }

  // What is said

  #answer(frame: LcdmFrame, body: readonly number[]): void {
    this.#link.after(this.#timings.answerMs, () => this.#respond(frame, body));
  }

  #respond(frame: LcdmFrame, body: readonly number[], onEnded?: () => void): void {
    this.#link.respond(frame.command, body, onEnded);
  }

  /** ERR MISS 4 x {EXIT REJECT TYPE}. */
  #result({ error, bays }: Pick<MechanismResult, 'error' | 'bays'>): readonly number[] {
    const all = blanks(BAYS).flatMap((_, bay) => {
      const { presented = 0, rejected = 0 } = bays[bay] ?? {};
      const type = this.#mechanism.bay(bay).isPresent ? TYPE_REMOVED + bay + 1 : TYPE_REMOVED;
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

  // What hands do

  #power(on: boolean): void {
    if (on === this.#isOn) return;
    this.#isOn = on;
    this.#link.deafen();
    if (on) this.#boot();
    else this.#mechanism.powerOff();
  }

  #boot(): void {
    this.#link.after(this.#timings.bootMs, () => this.#link.wake());
  }

  #violate(words: string): void {
    if (this.#violations.length < VIOLATIONS_MAX) this.#violations.push(words);
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
