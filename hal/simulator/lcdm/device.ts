/**
 * A simulated LCDM that speaks bytes, of either ID. It follows the protocol and no driver. What is
 * out of turn is answered as the protocol says, or not at all, and written down in `violations`.
 * Source: cash-hardware.md 7 and 13.
 */
import type { Clock } from '#protocol/base/clock.ts';
import { id30Dialect } from '../../lcdm/id30/commands.ts';
import { id50Dialect } from '../../lcdm/id50/commands.ts';
import { type LcdmModelName, lcdmLine, lcdmModels } from '../../lcdm/models.ts';
import { ID30, PROGRESS } from '../../lcdm/wire.ts';
import type { LineSettings } from '../../port.ts';
import type { ControlCommand, DeviceTruth, SimulatedDevice } from '../device.ts';
import { FaultSwitches } from '../faults.ts';
import { handleDispenser } from '../hands.ts';
import type { SimulatedCassette } from '../protocol.ts';
import { Violations } from '../violations.ts';
import { LcdmDeviceLink } from './device-link.ts';
import { type LcdmFaultName, lcdmFaults } from './faults.ts';
import { Id30Words, id30Code } from './id30.ts';
import { Id50Words, id50Code } from './id50.ts';
import {
  type LastResultMemory,
  LCDM_DEVICE_TIMINGS,
  type LcdmDeviceTimings,
  LcdmMechanism,
} from './mechanism.ts';
import type { LcdmDeviceWords } from './words.ts';

/** What may differ between simulated dispensers. */
export interface LcdmDeviceOptions {
  readonly model?: LcdmModelName;
  /** By position; a position that is left out has no cassette. */
  readonly cassettes?: Readonly<Record<string, SimulatedCassette>>;
  readonly parity?: LineSettings['parity'];
  readonly timings?: Partial<LcdmDeviceTimings>;
  /** ID 30: what a power cut leaves of the last result. */
  readonly memory?: LastResultMemory;
  /** The number of the last command that dispensed, where the model counts them. */
  readonly sequenceNumber?: number;
  /** A bay with fewer notes says near end. */
  readonly nearEndCount?: number;
}

const NEAR_END_COUNT = 10;

/** A simulated LCDM dispenser, switched on, with everything in order. */
export class LcdmDevice implements SimulatedDevice {
  readonly kind = 'dispenser';
  readonly protocol = 'lcdm';
  readonly line: LineSettings;
  readonly faults = lcdmFaults;
  readonly #timings: LcdmDeviceTimings;
  readonly #switches = new FaultSwitches<LcdmFaultName>(lcdmFaults);
  readonly #mechanism: LcdmMechanism;
  readonly #link: LcdmDeviceLink;
  readonly #words: LcdmDeviceWords;
  readonly #violations = new Violations();
  #send: (bytes: Uint8Array) => void = () => undefined;
  #isOn: boolean = true;

  /** @throws SimulatorError `notFound` for a cassette where the model has no bay. */
  constructor(parts: { readonly clock: Clock; readonly options?: LcdmDeviceOptions }) {
    const { clock, options = {} } = parts;
    const model = lcdmModels[options.model ?? 'lcdm-4000'];
    const dialect = model.id === ID30 ? id30Dialect : id50Dialect;
    const switches = this.#switches;
    const onViolation = (words: string) => this.#violations.add(words);
    this.line = lcdmLine(options.parity ?? model.parity);
    this.#timings = { ...LCDM_DEVICE_TIMINGS, ...options.timings };
    this.#mechanism = new LcdmMechanism({
      clock,
      timings: this.#timings,
      cassettes: options.cassettes ?? {},
      bays: model.positions.length,
      nearEndCount: options.nearEndCount ?? NEAR_END_COUNT,
      memory: options.memory ?? 'survives',
      switches,
      codeOf: model.id === ID30 ? id30Code : id50Code,
      onNote: (place) => this.#sayProgress(place),
      onPowerCut: () => this.#power(false),
    });
    this.#link = new LcdmDeviceLink({
      clock,
      timings: this.#timings,
      switches,
      dialect,
      send: (bytes) => this.#send(bytes),
      acknowledges: (frame) => this.#words.acknowledges(frame),
      onCommand: (frame) => this.#words.onCommand(frame),
      onViolation,
    });
    const inside = {
      mechanism: this.#mechanism,
      link: this.#link,
      switches,
      timings: this.#timings,
      onViolation,
      boot: () => this.#boot(),
    };
    this.#words =
      model.id === ID30
        ? new Id30Words(model, options.sequenceNumber ?? 0, inside)
        : new Id50Words(model, inside);
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

  #sayProgress(place: 'reject' | 'customer'): void {
    if (this.#words.dialect.id === ID30 || !this.#switches.strikes('progress')) return;
    const byte = place === 'reject' ? PROGRESS.rejecting : PROGRESS.dispensing;
    this.#send(Uint8Array.of(byte));
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
}
