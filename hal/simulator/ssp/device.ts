/**
 * A simulated SSP validator that speaks bytes. It follows the protocol and no driver: plain or
 * encrypted, POLL or POLL WITH ACK, any order of settings. What is out of turn is answered as the
 * protocol says and written down in `violations`.
 * Source: ITL SSP manual GA138; cash-hardware.md 5 and 13.
 */
import { type Clock, type Random, systemRandom } from '#protocol/base/clock.ts';
import {
  type CommandName,
  decodeCommand,
  events as eventTable,
  hexCode,
  replies,
  type SspEvent,
} from '../../ssp/commands.ts';
import { SSP_LINE } from '../../ssp/wire.ts';
import type { ControlCommand, DeviceTruth, SimulatedDevice } from '../device.ts';
import { FaultSwitches } from '../faults.ts';
import { handleValidator } from '../hands.ts';
import { Violations } from '../violations.ts';
import { type SspDeviceAnswer, SspDeviceLink } from './device-link.ts';
import { SSP_TIMINGS, type SspFaultName, type SspTimings, sspFaults } from './faults.ts';
import { SSP_HABITS, type SspHabits, SspMechanism, type SspNote } from './mechanism.ts';

/** What may differ between simulated validators. */
export interface SspDeviceOptions {
  /** `required`: answers FA until keys are agreed. */
  readonly encryption?: 'none' | 'optional' | 'required';
  /** Without it POLL WITH ACK is a command that is not known. */
  readonly pollWithAck?: boolean;
  readonly counters?: boolean;
  /** Highest protocol version that it takes. */
  readonly protocolMax?: number;
  readonly unitType?: number;
  readonly firmware?: string;
  readonly serialNumber?: number;
  /** The channels of the dataset. */
  readonly notes?: readonly SspNote[];
  readonly timings?: Partial<SspTimings>;
  readonly habits?: Partial<SspHabits>;
  readonly random?: Random;
}

/** US dataset. */
export const US_NOTES: readonly SspNote[] = [1, 2, 5, 10, 20, 50, 100].map((denomination, at) => ({
  channel: at + 1,
  currency: 'USD',
  denomination,
}));

/** As in the manual's example of an NV200. */
const FIRMWARE = 'NV02004141498000';
const SERIAL_NUMBER = 1_873_452;
/** What it speaks after a start, until the host says another. */
const PROTOCOL_AT_START = 4;
const PROTOCOL_MAX = 8;

/** A simulated SSP validator. It is made switched on, just started, empty and disabled. */
export class SspDevice implements SimulatedDevice {
  readonly kind = 'acceptor';
  readonly protocol = 'ssp';
  readonly line = SSP_LINE;
  readonly faults = sspFaults;
  readonly #options: Required<Omit<SspDeviceOptions, 'timings' | 'habits'>>;
  readonly #switches = new FaultSwitches<SspFaultName>(sspFaults);
  readonly #mechanism: SspMechanism;
  readonly #link: SspDeviceLink;
  readonly #violations = new Violations();
  #protocolVersion = PROTOCOL_AT_START;

  constructor(parts: { readonly clock: Clock; readonly options?: SspDeviceOptions }) {
    const { clock, options = {} } = parts;
    const timings = { ...SSP_TIMINGS, ...options.timings };
    this.#options = {
      encryption: 'optional',
      pollWithAck: true,
      counters: true,
      protocolMax: PROTOCOL_MAX,
      unitType: 0,
      firmware: FIRMWARE,
      serialNumber: SERIAL_NUMBER,
      notes: US_NOTES,
      random: systemRandom,
      ...options,
    };
    const { notes, random, encryption } = this.#options;
    const switches = this.#switches;
    const onViolation = (words: string) => this.#violations.add(words);
    this.#mechanism = new SspMechanism({
      clock,
      timings,
      notes,
      habits: { ...SSP_HABITS, ...options.habits },
      switches,
      onRestart: () => this.#forget(),
      onViolation,
    });
    this.#link = new SspDeviceLink({
      clock,
      random,
      replyMs: timings.replyMs,
      switches,
      encryption,
      isAnswering: () => this.#mechanism.isAnswering,
      onCommand: (data) => this.#onCommand(data),
      onHeard: () => this.#mechanism.hear(),
      onViolation,
    });
  }

  receive(bytes: Uint8Array): void {
    this.#link.receive(bytes);
  }

  connect(send: (bytes: Uint8Array) => void): void {
    this.#link.connect(send);
  }

  control(command: ControlCommand): unknown {
    return handleValidator(
      {
        mechanism: this.#mechanism,
        fault: (name, times, value) => this.#fault(name, times, value),
        power: (on) => this.#mechanism.power(on),
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
    this.#mechanism.stop();
    this.#link.forget();
  }

  // What the host says

  #onCommand(data: Uint8Array): SspDeviceAnswer {
    const code = data[0] ?? 0;
    const name = decodeCommand(code);
    const body = [...data.subarray(1)];
    if (name === undefined || !this.#isKnown(name)) {
      // Whether an optional command is known is found out by asking.
      const isOptional = name !== undefined && OPTIONAL_COMMANDS.has(name);
      if (!isOptional) this.#violations.add(`command ${hexCode(code)}: no such command`);
      return { data: [replies.commandNotKnown] };
    }
    const sizes = BODY_SIZES[name] ?? [0];
    if (!sizes.includes(body.length)) {
      this.#violations.add(`command ${hexCode(code)} with ${body.length} bytes`);
      return { data: [replies.wrongParameterCount] };
    }
    if (name === 'poll' || name === 'pollWithAck') return this.#poll(name === 'pollWithAck');
    if (name === 'reset') {
      return { data: [replies.ok], after: () => this.#mechanism.restart() };
    }
    return { data: this.#carryOut(name, body) };
  }

  #isKnown(name: CommandName): boolean {
    if (name === 'pollWithAck' || name === 'eventAck') return this.#options.pollWithAck;
    if (name === 'getCounters' || name === 'resetCounters') return this.#options.counters;
    return VALIDATOR_COMMANDS.has(name);
  }

  #carryOut(name: CommandName, body: readonly number[]): readonly number[] {
    const done = (isDone: boolean) => [isDone ? replies.ok : replies.cannotBeProcessed];
    const { serialNumber, firmware } = this.#options;
    switch (name) {
      case 'setInhibits':
        this.#mechanism.setInhibits(body.reduceRight((mask, byte) => mask * 256 + byte, 0));
        return [replies.ok];
      case 'setupRequest':
        return [replies.ok, ...this.#setup()];
      case 'unitData':
        return [replies.ok, ...this.#unit(), this.#protocolVersion];
      case 'channelValues':
        return [replies.ok, ...this.#channelValues()];
      case 'channelSecurity': {
        const { notes } = this.#options;
        return [replies.ok, notes.length, ...notes.map(() => 2)];
      }
      case 'hostProtocolVersion':
        return this.#setProtocol(body[0] ?? 0);
      case 'getSerialNumber':
        return [replies.ok, ...bigEndian(serialNumber, 4)];
      case 'getFirmwareVersion':
        return [replies.ok, ...Buffer.from(firmware, 'latin1')];
      case 'getDatasetVersion':
        return [replies.ok, ...Buffer.from(`${this.#currency()}01610`, 'latin1')];
      case 'getBuildRevision':
        return [replies.ok, 0, 20, 0];
      case 'lastRejectCode':
        return [replies.ok, this.#mechanism.rejectCode];
      case 'getCounters': {
        const { stacked, rejected } = this.#mechanism.counters;
        const counters = [stacked, 0, 0, 0, rejected];
        return [replies.ok, 5, ...counters.flatMap((count) => littleEndian(count, 4))];
      }
      case 'hold':
        return done(this.#mechanism.hold());
      case 'reject':
        return done(this.#mechanism.reject());
      case 'eventAck':
        return done(this.#mechanism.acknowledge());
      case 'enable':
        return done(this.#mechanism.enable());
      case 'disable':
        this.#mechanism.disable();
        return [replies.ok];
      case 'setBaudRate':
        // The line that it is put on has one speed.
        return done(body[0] === 0);
      default:
        return [replies.ok];
    }
  }

  #poll(withAck: boolean): SspDeviceAnswer {
    const said = this.#mechanism.poll(withAck, this.#protocolVersion);
    const unknown = this.#switches.strike('unknownEvent');
    const data = [
      replies.ok,
      ...said.flatMap(eventBytes),
      ...(unknown ? [unknown.value ?? 0xa0] : []),
    ];
    const isCredit = said.some(({ name }) => name === 'credit' || name === 'clearedToCashbox');
    const isCut = isCredit && this.#switches.strikes('powerCutAfterCredit');
    if (!isCut) return { data, isCredit };
    return { data, isCredit, after: () => this.#mechanism.power(false) };
  }

  #setProtocol(version: number): readonly number[] {
    if (version > this.#options.protocolMax || version < PROTOCOL_AT_START) return [replies.fail];
    this.#protocolVersion = version;
    return [replies.ok];
  }

  #currency(): string {
    return this.#options.notes[0]?.currency ?? 'USD';
  }

  #unit(): number[] {
    const { unitType, firmware } = this.#options;
    const digits = `0${firmware.slice(6, 9)}`;
    return [unitType, ...Buffer.from(`${digits}${this.#currency()}`, 'latin1'), ...bigEndian(1, 3)];
  }

  #setup(): number[] {
    const { notes } = this.#options;
    const highest = Math.max(...notes.map(({ channel }) => channel));
    const byChannel = Array.from({ length: highest }, (_, at) =>
      notes.find(({ channel }) => channel === at + 1),
    );
    // A value of more than a byte is in the four bytes at the end only.
    const isWide = notes.some(({ denomination }) => denomination > 255);
    const head = this.#unit();
    if (isWide) head[10] = 0;
    return [
      ...head,
      highest,
      ...byChannel.map((note) => (isWide ? 0 : (note?.denomination ?? 0))),
      ...byChannel.map(() => (isWide ? 0 : 2)),
      ...bigEndian(100, 3),
      this.#protocolVersion,
      ...(this.#protocolVersion < 6 ? [] : expanded(byChannel)),
    ];
  }

  #channelValues(): number[] {
    const { notes } = this.#options;
    const values = notes.map(({ denomination }) => Math.min(denomination, 255));
    const more = this.#protocolVersion < 6 ? [] : expanded(notes);
    return [notes.length, ...values, ...more];
  }

  // What hands do

  #fault(name: string, times: number, value: number | undefined): void {
    const fault = this.#switches.set(name, times, value);
    switch (fault) {
      case 'pathOpen':
        this.#mechanism.openPath(times > 0);
        return;
      case 'keysLost':
        if (this.#switches.strikes(fault)) this.#link.loseKeys();
        return;
      case 'countSkip':
        if (this.#switches.strikes(fault)) this.#link.skipCount();
        return;
      case 'slaveReset':
        if (this.#switches.strikes(fault) && this.#mechanism.isAnswering) this.#mechanism.restart();
        return;
      default:
    }
  }

  #forget(): void {
    this.#link.forget();
    this.#protocolVersion = PROTOCOL_AT_START;
  }
}

/** Bytes behind the code; none where it is not named. */
const BODY_SIZES: Partial<Record<CommandName, readonly number[]>> = {
  setInhibits: [1, 2, 3],
  hostProtocolVersion: [1],
  getSerialNumber: [0, 1],
  setBaudRate: [2],
  configureBezel: [4, 5],
};

/** What older firmware does not know. */
const OPTIONAL_COMMANDS: ReadonlySet<CommandName> = new Set([
  'pollWithAck',
  'eventAck',
  'getCounters',
  'resetCounters',
]);

/** Of the table, what a validator without payout unit knows. */
const VALIDATOR_COMMANDS: ReadonlySet<CommandName> = new Set([
  'reset',
  'setInhibits',
  'bezelOn',
  'bezelOff',
  'setupRequest',
  'hostProtocolVersion',
  'poll',
  'reject',
  'disable',
  'enable',
  'getSerialNumber',
  'unitData',
  'channelValues',
  'channelSecurity',
  'sync',
  'lastRejectCode',
  'hold',
  'getFirmwareVersion',
  'getDatasetVersion',
  'setBaudRate',
  'getBuildRevision',
  'configureBezel',
]);

function eventBytes({ name, channel }: SspEvent): number[] {
  return [eventTable[name].code, ...(channel === undefined ? [] : [channel])];
}

function expanded(notes: readonly (SspNote | undefined)[]): number[] {
  return [
    ...notes.flatMap((note) => [...Buffer.from(note?.currency ?? 'XXX', 'latin1')]),
    ...notes.flatMap((note) => littleEndian(note?.denomination ?? 0, 4)),
  ];
}

function littleEndian(value: number, size: number): number[] {
  return Array.from({ length: size }, (_, at) => Math.floor(value / 256 ** at) % 256);
}

function bigEndian(value: number, size: number): number[] {
  return littleEndian(value, size).reverse();
}
