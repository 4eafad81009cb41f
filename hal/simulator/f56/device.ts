/**
 * A simulated F53 or F56 that speaks bytes. It follows the protocol and no driver. What is out of
 * turn is refused as the protocol says, or not heard, and written down in `violations`. No
 * document gives the first byte of its response to STATUS, or most bits of its sensors: the former
 * is made as the others are, the latter are 0. Source: cash-hardware.md 6 and 13.
 */
import type { Clock } from '#protocol/base/clock.ts';
import {
  BAYS,
  commandOf,
  commands,
  DISPENSED_AT,
  decodeNumber,
  EXIT_AT,
  EXIT_BIT,
  encodeNumber,
  FIELD_SEPARATOR,
  REJECTED_AT,
  RESPONSE_ERROR,
} from '../../f56/commands.ts';
import { F56_LINE, type F56Model, type F56ModelName, f56Models } from '../../f56/models.ts';
import type { ControlCommand, DeviceTruth, SimulatedDevice } from '../device.ts';
import { FaultSwitches } from '../faults.ts';
import { handleDispenser } from '../hands.ts';
import type { SimulatedCassette } from '../protocol.ts';
import { Violations } from '../violations.ts';
import { F56DeviceLink } from './device-link.ts';
import {
  ERROR,
  F56_DEVICE_TIMINGS,
  type F56DeviceTimings,
  type F56FaultName,
  f56Faults,
} from './faults.ts';
import { F56Mechanism, type MechanismResult } from './mechanism.ts';

/** What may differ between simulated dispensers. */
export interface F56DeviceOptions {
  readonly model?: F56ModelName;
  /** ISO 4217, of all its notes: their lengths are those of the driver's table. */
  readonly currency?: string;
  /** By position; a position that is left out has no cassette. */
  readonly cassettes?: Readonly<Record<string, SimulatedCassette>>;
  readonly timings?: Partial<F56DeviceTimings>;
}

/** Set in the first byte of a response, as 60 02 is answered by E0 02. */
const RESPONSE_BIT = 0x80;
/** Bytes of parameters in a response to STATUS: made as long as that to INITIALISE. */
const STATUS_BYTES = 0x34;
const ODRS_INITIALISE: readonly number[] = [0x00, 0x40];
const ODR_COUNT = 0xe4;

/** A simulated F53 or F56, switched on, with everything in order. */
export class F56Device implements SimulatedDevice {
  readonly kind = 'dispenser';
  readonly protocol = 'f56';
  readonly line = F56_LINE;
  readonly faults = f56Faults;
  readonly #model: F56Model;
  readonly #timings: F56DeviceTimings;
  readonly #switches = new FaultSwitches<F56FaultName>(f56Faults);
  readonly #mechanism: F56Mechanism;
  readonly #link: F56DeviceLink;
  readonly #violations = new Violations();
  #send: (bytes: Uint8Array) => void = () => undefined;
  #isOn: boolean = true;

  /** @throws SimulatorError `notFound` for a cassette where the model has no bay. */
  constructor(parts: { readonly clock: Clock; readonly options?: F56DeviceOptions }) {
    const { clock, options = {} } = parts;
    this.#model = f56Models[options.model ?? 'f56'];
    this.#timings = { ...F56_DEVICE_TIMINGS, ...options.timings };
    this.#mechanism = new F56Mechanism({
      clock,
      timings: this.#timings,
      currency: options.currency ?? 'USD',
      cassettes: options.cassettes ?? {},
      bays: this.#model.positions.length,
      switches: this.#switches,
      onPowerCut: () => this.#power(false),
    });
    this.#link = new F56DeviceLink({
      clock,
      timings: this.#timings,
      switches: this.#switches,
      send: (bytes) => this.#send(bytes),
      onCommand: (data) => this.#onCommand(data),
      onViolation: (words) => this.#violations.add(words),
    });
  }

  receive(bytes: Uint8Array): void {
    if (this.#isOn) this.#link.receive(bytes);
  }

  connect(send: (bytes: Uint8Array) => void): void {
    this.#send = send;
  }

  control(command: ControlCommand): unknown {
    return handleDispenser(
      {
        mechanism: this.#mechanism,
        fault: (name, times, value) =>
          this.#mechanism.stand(this.#switches.set(name, times, value), times, value),
        power: (on) => this.#power(on),
      },
      command,
    );
  }

  truth(): DeviceTruth {
    return this.#mechanism.truth();
  }

  violations(): readonly string[] {
    return this.#violations.list();
  }

  stop(): void {
    this.#link.stop();
    this.#mechanism.stop();
  }

  // Commands

  #onCommand(data: Uint8Array): void {
    const name = commandOf(data);
    const [first = 0, second = 0] = data;
    if (name === undefined) {
      this.#violations.add(`command ${hex(data)}, which it does not know`);
      const refusal = [RESPONSE_ERROR, second, 0, ERROR.format >> 8, 0, FIELD_SEPARATOR];
      this.#link.after(this.#timings.answerMs, () => this.#link.respond(refusal));
      return;
    }
    const wrong = wrongForm(data, commands[name].parameterBytes);
    const error = wrong ?? (name === 'status' ? undefined : wrongParameter(name, data));
    if (error !== undefined) {
      this.#violations.add(`${name} with a parameter or a form that cannot be: ${hex(data)}`);
      this.#answer(first, second, { error, bays: [] });
    } else if (name === 'status') {
      this.#answer(first, second, { error: this.#mechanism.standingError, bays: [] });
    } else if (name === 'initialise') {
      const lengths = bays((bay) => ({
        lengthMaxMm: data[4 + 2 * bay] ?? 0,
        lengthMinMm: data[5 + 2 * bay] ?? 0,
      }));
      this.#mechanism.initialise(lengths, (result) => this.#respond(first, second, result));
    } else {
      const [counts = [], rejectsMax = []] = [4, 12].map((from) =>
        bays((bay) => decodeNumber(data[from + 2 * bay], data[from + 2 * bay + 1]) ?? 0),
      );
      const order = { counts, rejectsMax };
      this.#mechanism.count(order, (result) => this.#respond(first, second, result));
    }
  }

  // What is said

  #answer(first: number, second: number, result: MechanismResult): void {
    this.#link.after(this.#timings.answerMs, () => this.#respond(first, second, result));
  }

  /** Header, error, sensors and counts at their places, everything else 0. */
  #respond(first: number, second: number, { error, bays: tallied }: MechanismResult): void {
    const isCount = second === commands.billCount.code[1];
    const size = isCount ? commands.billCount.responseBytes : STATUS_BYTES;
    const data = Array.from({ length: 3 + size }, () => 0);
    data[0] = error === undefined ? first | RESPONSE_BIT : RESPONSE_ERROR;
    data[1] = second;
    data[2] = size;
    data[3] = (error ?? 0) >> 8;
    data[4] = (error ?? 0) & 0xff;
    data[EXIT_AT] = this.#mechanism.hasNotesAtExit ? EXIT_BIT : 0;
    if (isCount) {
      const { presented, rejected } = digits(tallied);
      data.splice(DISPENSED_AT, presented.length, ...presented);
      data.splice(REJECTED_AT, rejected.length, ...rejected);
    }
    this.#link.respond([...data, FIELD_SEPARATOR]);
  }

  // What hands do

  #power(on: boolean): void {
    if (on === this.#isOn) return;
    this.#isOn = on;
    this.#link.deafen();
    if (on) this.#link.after(this.#timings.bootMs, () => this.#link.wake());
    else this.#mechanism.powerOff();
  }
}

/** What is wrong with a command's shape. */
function wrongForm(data: Uint8Array, parameterBytes: number): number | undefined {
  const front = parameterBytes === 0 ? 2 : 3;
  if (data.length !== front + parameterBytes + 1) return ERROR.format;
  if (parameterBytes > 0 && data[2] !== parameterBytes) return ERROR.format;
  return data.at(-1) === FIELD_SEPARATOR ? undefined : ERROR.noSeparator;
}

/** What is wrong with what it says. */
function wrongParameter(name: 'initialise' | 'billCount', data: Uint8Array): number | undefined {
  const odr = data[3] ?? 0;
  if (name === 'initialise') {
    if (!ODRS_INITIALISE.includes(odr)) return ERROR.parameter;
    const isUpsideDown = bays((bay) => (data[4 + 2 * bay] ?? 0) < (data[5 + 2 * bay] ?? 0));
    return isUpsideDown.includes(true) ? ERROR.lengths : undefined;
  }
  const numbers = Array.from({ length: 2 * BAYS }, (_, at) => {
    const [tens, ones] = [data[4 + 2 * at], data[5 + 2 * at]];
    const value = decodeNumber(tens, ones);
    const [high, low] = value === undefined ? [] : encodeNumber(value);
    // A digit with a wrong parity bit is none.
    return high === tens && low === ones ? value : undefined;
  });
  const isAsking = numbers.slice(0, BAYS).some((count) => count !== undefined && count > 0);
  const hasDigits = numbers.every((value) => value !== undefined);
  return odr === ODR_COUNT && isAsking && hasDigits ? undefined : ERROR.parameter;
}

function digits(tallied: MechanismResult['bays']): {
  readonly presented: readonly number[];
  readonly rejected: readonly number[];
} {
  return {
    presented: bays((bay) => encodeNumber(tallied[bay]?.presented ?? 0)).flat(),
    rejected: bays((bay) => encodeNumber(tallied[bay]?.rejected ?? 0)).flat(),
  };
}

function bays<T>(make: (bay: number) => T): T[] {
  return Array.from({ length: BAYS }, (_, bay) => make(bay));
}

function hex(data: Uint8Array): string {
  return Buffer.from(data).toString('hex');
}
