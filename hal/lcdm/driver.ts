/**
 * A Puloon LCDM dispenser, of either ID. What moves notes is sent once; what the unit says of it
 * becomes the outcome, and silence becomes `unknown`, which `lastResult` may clear up later where
 * the unit has one. What an ID's words are is in its folder.
 */
import type { Clock } from '#protocol/base/clock.ts';
import { type AtmErrorCode, DeviceError } from '#protocol/base/errors.ts';
import type { Log } from '#protocol/base/log.ts';
import type { DeviceIdentity } from '../cash-acceptor.ts';
import type {
  CashDispenser,
  CashDispenserCapabilities,
  CashDispenserEvent,
  CashDispenserStatus,
  DispenseBaseline,
  DispenseOutcome,
  LastResult,
  UnitCount,
} from '../cash-dispenser.ts';
import { News } from '../news.ts';
import type { LineSettings, Port, Unsubscribe } from '../port.ts';
import {
  countsByBay,
  deviceOf,
  faultOf,
  hasNotesInside,
  offlineStatus,
  wordStatus,
} from './answers.ts';
import { LcdmContact } from './contact.ts';
import type { LcdmQuestion } from './dialect.ts';
import { slitsOfLength } from './id30/commands.ts';
import { Id30Unit } from './id30/unit.ts';
import { Id50Unit } from './id50/unit.ts';
import { LCDM_TIMINGS, type LcdmTimings } from './link.ts';
import { type LcdmModel, type LcdmModelName, lcdmLine, lcdmModels } from './models.ts';
import type { LcdmTurn, LcdmUnit, UnitStatus } from './unit.ts';
import { ID30 } from './wire.ts';

/** STATUS of an idle unit: a pulled plug is noticed before the next customer is served. */
const POLL_MS = 2000;
/** A note that is rejected and picked again takes a second at most. Source: TerminalClient. */
const NOTE_MS = 1000;

/** What is configured; times in milliseconds. */
export interface LcdmOptions {
  readonly model: LcdmModelName;
  /** Bays that are fitted, when not all of the model's are. */
  readonly positions?: readonly number[];
  /** When the unit's switches say otherwise than its model. */
  readonly parity?: LineSettings['parity'];
  /** Fewer notes for one command than the model's. */
  readonly batchMax?: number;
  /** ID 30: note lengths in mm by position, written to the unit at `initialise` if they differ. */
  readonly lengthMmByPosition?: Readonly<Record<number, number>>;
  readonly pollMs?: number;
  readonly timings?: Partial<LcdmTimings>;
}

/** What the driver is made of. */
export interface LcdmDispenserParts {
  readonly port: Port;
  readonly clock: Clock;
  readonly log: Log;
  readonly options: LcdmOptions;
}

/** Drives one LCDM dispenser. */
export class LcdmDispenser implements CashDispenser {
  readonly capabilities: CashDispenserCapabilities;
  readonly #parts: LcdmDispenserParts;
  readonly #model: LcdmModel;
  readonly #unit: LcdmUnit;
  readonly #timings: LcdmTimings;
  readonly #news = new News<CashDispenserEvent>();
  #contact: LcdmContact | undefined;
  #isInitialised: boolean = false;
  #isMoving: boolean = false;
  #last: UnitStatus | undefined;
  #shown: CashDispenserStatus['device'] = 'offline';
  #toldOther: boolean = false;

  /** @throws RangeError for positions, batch or lengths that the model cannot have. */
  constructor(parts: LcdmDispenserParts) {
    const { options } = parts;
    const model = lcdmModels[options.model];
    this.#parts = parts;
    this.#model = model;
    this.#timings = { ...LCDM_TIMINGS, ...options.timings };
    const positions = model.positions.filter((one) => options.positions?.includes(one) ?? true);
    if (options.positions && positions.length !== new Set(options.positions).size) {
      throw new RangeError(`an ${model.name} has no such bays: ${options.positions.join(', ')}`);
    }
    const batchMax = options.batchMax ?? model.batchMax;
    if (!Number.isInteger(batchMax) || batchMax < 1 || batchMax > model.batchMax) {
      throw new RangeError(`batch of an ${model.name} must be 1 to ${model.batchMax}`);
    }
    const lengths = options.lengthMmByPosition ?? {};
    for (const [at, lengthMm] of Object.entries(lengths)) {
      if (!positions.some((one) => one === Number(at))) throw new RangeError(`no bay ${at}`);
      if (model.id !== ID30) throw new RangeError(`an ${model.name} stores no note lengths`);
      slitsOfLength(lengthMm);
    }
    this.#unit =
      model.id === ID30 ? new Id30Unit(model, positions, lengths) : new Id50Unit(model, positions);
    this.capabilities = {
      positions,
      batchMax,
      ...this.#unit.proves,
      rejectTrayTest: true,
      // Notes drop into an open tray; the exit sensor sees one that stays, and none that is taken.
      sensesExit: false,
    };
  }

  subscribe(listener: (event: CashDispenserEvent) => void): Unsubscribe {
    return this.#news.subscribe(listener);
  }

  async open(): Promise<DeviceIdentity> {
    if (this.#contact) throw this.#error('sequenceError', 'the dispenser is open already');
    const { port, clock, log, options } = this.#parts;
    const contact = new LcdmContact({
      port,
      clock,
      log,
      unit: this.#unit,
      line: lcdmLine(options.parity ?? this.#model.parity),
      timings: this.#timings,
      pollMs: options.pollMs ?? POLL_MS,
      onFound: () => this.#onFound(),
      onStatus: (status) => this.#onStatus(status),
      onAway: (reason) => this.#onAway(reason),
      onOther: (error) => this.#onOther(error),
    });
    this.#contact = contact;
    try {
      const firmware = await contact.open();
      return { protocol: 'lcdm', model: this.#model.name, firmware, serialNumber: undefined };
    } catch (error) {
      if (this.#contact === contact) this.#contact = undefined;
      throw error;
    }
  }

  async status(): Promise<CashDispenserStatus> {
    const status = await this.#contact?.status();
    const { positions } = this.capabilities;
    if (!status) return offlineStatus(positions);
    return wordStatus(status, this.#isInitialised);
  }

  async initialise(): Promise<DispenseOutcome> {
    const contact = this.#contact;
    if (!contact) return { kind: 'notExecuted', evidence: 'the dispenser is not open' };
    return this.#alone(async () => {
      const { outcome, isReady } = await this.#unit.initialise(this.#turn(contact));
      this.#isInitialised = isReady && contact.isOnline;
      this.#publish();
      return this.#judged('initialise', outcome);
    });
  }

  async baseline(): Promise<DispenseBaseline> {
    return this.#unit.baseline((question, name, read) => this.#ask(question, name, read));
  }

  async dispense(units: readonly UnitCount[]): Promise<DispenseOutcome> {
    return this.#dispense('dispense', units);
  }

  async testDispense(units: readonly UnitCount[]): Promise<DispenseOutcome> {
    return this.#dispense('testDispense', units);
  }

  async lastResult(): Promise<LastResult | undefined> {
    return this.#unit.lastResult((question, name, read) => this.#ask(question, name, read));
  }

  async waitTaken(_limitMs: number): Promise<'notSensed'> {
    return 'notSensed';
  }

  async close(): Promise<void> {
    const contact = this.#contact;
    this.#contact = undefined;
    this.#isInitialised = false;
    this.#last = undefined;
    await contact?.close();
    this.#publish();
  }

  // Notes

  /** @throws DeviceError `invalidData` for counts that cannot be asked, `sequenceError` */
  async #dispense(
    command: 'dispense' | 'testDispense',
    units: readonly UnitCount[],
  ): Promise<DispenseOutcome> {
    const counts = countsByBay(units, this.capabilities);
    if (typeof counts === 'string') throw this.#error('invalidData', counts);
    return this.#alone(async () => {
      const contact = this.#contact;
      if (!contact) return { kind: 'notExecuted', evidence: 'the dispenser is not open' };
      return this.#judged(command, await this.#unit.dispense(command, counts, this.#turn(contact)));
    });
  }

  #turn(contact: LcdmContact): LcdmTurn {
    return {
      link: contact.link,
      status: () => contact.status(),
      whyNot: () => this.#whyNot(contact),
      responseMs: (notes) => this.#timings.moveMs + notes * NOTE_MS,
    };
  }

  /** By STATUS alone. A unit that is not done with it could repeat old words as the new answer. */
  async #whyNot(contact: LcdmContact): Promise<string | undefined> {
    if (!contact.isOnline) return 'the dispenser is offline';
    if (!this.#isInitialised) return 'the dispenser is not initialised';
    const { status, isEnded } = await contact.askStatus();
    if (!status || !isEnded) return 'the dispenser did not answer STATUS in full';
    return hasNotesInside(status) ? 'notes stand on the path or in the exit' : undefined;
  }

  async #alone(task: () => Promise<DispenseOutcome>): Promise<DispenseOutcome> {
    if (this.#isMoving) throw this.#error('sequenceError', 'another command that moves notes runs');
    this.#isMoving = true;
    try {
      return await task();
    } finally {
      this.#isMoving = false;
    }
  }

  #judged(command: string, outcome: DispenseOutcome): DispenseOutcome {
    const { log } = this.#parts;
    if (outcome.kind === 'unknown') {
      log.error({ command, evidence: outcome.evidence }, 'lcdm outcome unknown');
      const error = this.#error('hardwareError', `the outcome of ${command} is unknown`);
      this.#news.tell({ kind: 'device.failed', error });
    } else log.info({ command, outcome }, 'lcdm outcome');
    return outcome;
  }

  // Questions

  async #ask<Read>(
    question: LcdmQuestion,
    name: string,
    read: (body: Uint8Array) => Read | undefined,
  ): Promise<Read> {
    const contact = this.#contact;
    if (!contact) throw this.#error('canceled', 'the dispenser is closed');
    const reply = await contact.link.ask(question);
    if (reply.kind !== 'answered') {
      throw this.#error('timeOut', `the dispenser did not answer ${name} (${reply.evidence})`);
    }
    const found = read(reply.frame.body);
    if (found !== undefined) return found;
    throw this.#error('hardwareError', `the answer to ${name} is none (${reply.evidence})`);
  }

  // News

  #onFound(): void {
    this.#toldOther = false;
  }

  #onStatus(status: UnitStatus): void {
    const before = this.#last && faultOf(this.#last);
    const fault = faultOf(status);
    this.#last = status;
    if (fault && fault.code !== before?.code) {
      const error = this.#error('hardwareError', `${fault.code}: ${fault.text}`);
      this.#news.tell({ kind: 'device.failed', error });
    }
    this.#publish();
  }

  #onAway(reason: string): void {
    this.#last = undefined;
    // It may have lost power: it must be initialised again.
    this.#isInitialised = false;
    this.#publish();
    this.#news.tell({ kind: 'device.failed', error: this.#error('deviceNotReady', reason) });
  }

  #onOther(error: DeviceError): void {
    if (this.#toldOther) return;
    this.#toldOther = true;
    this.#news.tell({ kind: 'device.failed', error });
  }

  #publish(): void {
    const device = this.#last ? deviceOf(this.#last, this.#isInitialised) : 'offline';
    if (device === this.#shown) return;
    this.#shown = device;
    this.#parts.log.info({ device }, 'lcdm status');
    this.#news.tell({ kind: 'status.changed', device });
  }

  #error(code: AtmErrorCode, message: string): DeviceError {
    const { port } = this.#parts;
    return new DeviceError(code, `${message} on ${port.path}`, { recording: port.recording() });
  }
}
