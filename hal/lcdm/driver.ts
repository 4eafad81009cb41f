/**
 * A Puloon LCDM-4000 and its relatives (ID 30). What moves notes is sent once; what the unit says
 * of it becomes the outcome, and silence becomes `unknown`, which `lastResult` may clear up later.
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
import type { LineSettings, Port, Unsubscribe } from '../port.ts';
import {
  countsByBay,
  deviceOf,
  faultOf,
  hasNotesInside,
  moveOutcome,
  offlineStatus,
  unitResults,
  wordStatus,
} from './answers.ts';
import {
  decodeLastStatus,
  decodeSequence,
  encodeDispense,
  type LcdmStatus,
  sequenceAfter,
  slitsOfLength,
} from './commands.ts';
import { LcdmContact } from './contact.ts';
import { dispenseError } from './errors.ts';
import { initialiseUnit } from './initialise.ts';
import { LCDM_TIMINGS, type LcdmReply, type LcdmTimings } from './link.ts';
import { type LcdmModel, type LcdmModelName, lcdmLine, lcdmModels } from './models.ts';

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
  /** Note lengths in mm by position, written to the unit at `initialise` if they differ. */
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
  readonly #timings: LcdmTimings;
  readonly #listeners = new Set<(event: CashDispenserEvent) => void>();
  #contact: LcdmContact | undefined;
  #isInitialised: boolean = false;
  #isMoving: boolean = false;
  #last: LcdmStatus | undefined;
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
    for (const [at, lengthMm] of Object.entries(options.lengthMmByPosition ?? {})) {
      if (!positions.some((one) => one === Number(at))) throw new RangeError(`no bay ${at}`);
      slitsOfLength(lengthMm);
    }
    this.capabilities = {
      positions,
      batchMax,
      lastResult: true,
      sequenceNumber: model.sequenceNumber,
      rejectTrayTest: true,
      // Notes drop into an open tray; the exit sensor sees one that stays, and none that is taken.
      sensesExit: false,
    };
  }

  subscribe(listener: (event: CashDispenserEvent) => void): Unsubscribe {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async open(): Promise<DeviceIdentity> {
    if (this.#contact) throw this.#error('sequenceError', 'the dispenser is open already');
    const { port, clock, log, options } = this.#parts;
    const contact = new LcdmContact({
      port,
      clock,
      log,
      model: this.#model,
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
      await contact.open();
    } catch (error) {
      if (this.#contact === contact) this.#contact = undefined;
      throw error;
    }
    // The family has no word for its firmware that all of its units know.
    const firmware = 'not reported';
    return { protocol: 'lcdm', model: this.#model.name, firmware, serialNumber: undefined };
  }

  async status(): Promise<CashDispenserStatus> {
    const status = await this.#contact?.status();
    const { positions } = this.capabilities;
    if (!status) return offlineStatus(positions);
    return wordStatus(positions, status, this.#isInitialised);
  }

  async initialise(): Promise<DispenseOutcome> {
    const contact = this.#contact;
    if (!contact) return { kind: 'notExecuted', evidence: 'the dispenser is not open' };
    return this.#alone(async () => {
      const { lengthMmByPosition = {} } = this.#parts.options;
      const responseMs = this.#timings.moveMs;
      const model = this.#model;
      const { outcome, isReady } = await initialiseUnit({
        contact,
        model,
        positions: this.capabilities.positions,
        lengthMmByPosition,
        responseMs,
      });
      this.#isInitialised = isReady && contact.isOnline;
      this.#publish();
      return this.#judged('initialise', outcome);
    });
  }

  async baseline(): Promise<DispenseBaseline> {
    const last = await this.#ask('lastStatus');
    const sequenceNumber = this.#model.sequenceNumber ? await this.#sequence() : undefined;
    return { lastResultHex: hex(last.frame.body), sequenceNumber };
  }

  async dispense(units: readonly UnitCount[]): Promise<DispenseOutcome> {
    return this.#dispense('dispense', units);
  }

  async testDispense(units: readonly UnitCount[]): Promise<DispenseOutcome> {
    return this.#dispense('testDispense', units);
  }

  async lastResult(): Promise<LastResult | undefined> {
    const { frame } = await this.#ask('lastStatus');
    const last = decodeLastStatus(frame.body);
    const isDispense = last?.command === 'dispense' || last?.command === 'testDispense';
    if (!last || !isDispense) return { hex: hex(frame.body), dispense: undefined };
    const units = unitResults(this.capabilities.positions, last.result);
    return { hex: hex(frame.body), dispense: { units, error: dispenseError(last.result.error) } };
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
      const ready = await this.#isReadyToMove();
      if (ready.kind === 'notExecuted') return this.#judged(command, ready);
      const contact = ready.contact;
      const asked = counts.reduce((sum, count) => sum + count, 0);
      const body = encodeDispense(this.#model, counts, sequenceAfter(ready.sequence));
      const responseMs = this.#timings.moveMs + asked * NOTE_MS;
      const reply = await contact.link.move(command, body, responseMs);
      return this.#judged(command, moveOutcome(reply, this.capabilities.positions));
    });
  }

  /**
   * Makes sure, by questions only, that the unit is there, idle, empty inside, and has nothing left
   * to say of an earlier command: else its old words could be taken for the new answer.
   */
  async #isReadyToMove(): Promise<
    | { readonly kind: 'ready'; readonly contact: LcdmContact; readonly sequence: number }
    | Extract<DispenseOutcome, { readonly kind: 'notExecuted' }>
  > {
    const no = (why: string) =>
      ({ kind: 'notExecuted', evidence: `${why}; nothing was sent` }) as const;
    const contact = this.#contact;
    if (!contact?.isOnline) return no('the dispenser is offline');
    if (!this.#isInitialised) return no('the dispenser is not initialised');
    const { status, isEnded } = await contact.askStatus();
    if (!status || !isEnded) return no('the dispenser did not answer STATUS in full');
    if (hasNotesInside(status)) return no('notes stand on the path or in the exit');
    if (!this.#model.sequenceNumber) return { kind: 'ready', contact, sequence: 0 };
    const reply = await contact.link.ask('getSequence');
    const isAnswered = reply.kind === 'answered' && reply.isEnded;
    const sequence = isAnswered ? decodeSequence(reply.frame) : undefined;
    if (sequence === undefined) return no('the dispenser did not tell its sequence number');
    return { kind: 'ready', contact, sequence };
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
      this.#tell({ kind: 'device.failed', error });
    } else log.info({ command, outcome }, 'lcdm outcome');
    return outcome;
  }

  // Questions

  /** @throws DeviceError `timeOut` when the unit does not answer. */
  async #ask(
    command: 'lastStatus' | 'getSequence',
  ): Promise<Extract<LcdmReply, { readonly kind: 'answered' }>> {
    const contact = this.#contact;
    if (!contact) throw this.#error('canceled', 'the dispenser is closed');
    const reply = await contact.link.ask(command);
    if (reply.kind === 'answered') return reply;
    throw this.#error('timeOut', `the dispenser did not answer ${command} (${reply.evidence})`);
  }

  async #sequence(): Promise<number> {
    const reply = await this.#ask('getSequence');
    const sequence = decodeSequence(reply.frame);
    if (sequence !== undefined) return sequence;
    throw this.#error('hardwareError', `no sequence number in the answer (${reply.evidence})`);
  }

  // News

  #onFound(): void {
    this.#toldOther = false;
  }

  #onStatus(status: LcdmStatus): void {
    const before = this.#last && faultOf(this.#last);
    const fault = faultOf(status);
    this.#last = status;
    if (fault && fault.code !== before?.code) {
      const error = this.#error('hardwareError', `${fault.code}: ${fault.text}`);
      this.#tell({ kind: 'device.failed', error });
    }
    this.#publish();
  }

  #onAway(reason: string): void {
    this.#last = undefined;
    // It may have lost power: it must be initialised again.
    this.#isInitialised = false;
    this.#publish();
    this.#tell({ kind: 'device.failed', error: this.#error('deviceNotReady', reason) });
  }

  #onOther(error: DeviceError): void {
    if (this.#toldOther) return;
    this.#toldOther = true;
    this.#tell({ kind: 'device.failed', error });
  }

  #publish(): void {
    const device = this.#last ? deviceOf(this.#last, this.#isInitialised) : 'offline';
    if (device === this.#shown) return;
    this.#shown = device;
    this.#parts.log.info({ device }, 'lcdm status');
    this.#tell({ kind: 'status.changed', device });
  }

  #tell(event: CashDispenserEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }

  #error(code: AtmErrorCode, message: string): DeviceError {
    const { port } = this.#parts;
    return new DeviceError(code, `${message} on ${port.path}`, { recording: port.recording() });
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
