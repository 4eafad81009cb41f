/**
 * A Fujitsu F53 or F56. What moves notes is sent once; what the unit says of it becomes the
 * outcome, and silence becomes `unknown` for good: it has no memory that could be asked.
 */
import { type Clock, sleep } from '#protocol/base/clock.ts';
import { type AtmErrorCode, DeviceError } from '#protocol/base/errors.ts';
import type { Log } from '#protocol/base/log.ts';
import { denominationOfMinor } from '#protocol/base/money.ts';
import type { DeviceIdentity } from '../cash-acceptor.ts';
import type {
  CashDispenser,
  CashDispenserCapabilities,
  CashDispenserEvent,
  CashDispenserStatus,
  DispenseBaseline,
  DispenseOutcome,
  UnitCount,
  UnitNotes,
} from '../cash-dispenser.ts';
import { News } from '../news.ts';
import type { Port, Unsubscribe } from '../port.ts';
import { countsByBay, type Knowledge, offlineStatus, wordStatus } from './answers.ts';
import { BAYS, type F56Status, type NoteSize } from './commands.ts';
import { F56Contact } from './contact.ts';
import { F56_TIMINGS, type F56Timings } from './link.ts';
import { BATCH_MAX, type F56Model, type F56ModelName, f56Models } from './models.ts';
import { dispenseNotes, initialiseUnit, type MoveParts, type MoveResult } from './moves.ts';
import { sizeOfNotes } from './notes.ts';

/** STATUS of an idle unit: with its bids it is missed within two seconds. */
const POLL_MS = 500;
/** A note that is rejected and picked again takes a second at most. */
const NOTE_MS = 1000;
/** Between two looks at the exit. Source: Lamassu's driver; cash-hardware.md 6.4. */
const TAKEN_POLL_MS = 1000;
/** Looks without an answer that are borne. Source: the same. */
const TAKEN_MISSES_MAX = 3;
const NOBODY_SAID = 'nobody has said what notes its bays hold';

/** What is configured; times in milliseconds. */
export interface F56Options {
  readonly model: F56ModelName;
  /** Bays that are fitted, when not all of the model's are. */
  readonly positions?: readonly number[];
  /** Fewer notes for one command than usual. */
  readonly batchMax?: number;
  readonly pollMs?: number;
  readonly timings?: Partial<F56Timings>;
}

/** What the driver is made of. */
export interface F56DispenserParts {
  readonly port: Port;
  readonly clock: Clock;
  readonly log: Log;
  readonly options: F56Options;
}

/** The notes that the unit is to know, by bay from 0; and why it cannot, in words. */
interface Told {
  readonly sizes: readonly (NoteSize | undefined)[];
  readonly fault: string | undefined;
}

/** Drives one F53 or F56. It has to be told by `setNotes` what its bays hold. */
export class F56Dispenser implements CashDispenser {
  readonly capabilities: CashDispenserCapabilities;
  readonly #parts: F56DispenserParts;
  readonly #model: F56Model;
  readonly #timings: F56Timings;
  readonly #news = new News<CashDispenserEvent>();
  #contact: F56Contact | undefined;
  #told: Told = { sizes: [], fault: NOBODY_SAID };
  /** What INITIALISE said to the unit; undefined when the next one is due. */
  #initialised: Told['sizes'] | undefined;
  #path: Knowledge['path'] = 'unknown';
  #lastError: number | undefined;
  #isMoving: boolean = false;
  #last: F56Status | undefined;
  #shown: CashDispenserStatus['device'] = 'offline';
  #shownFault: string | undefined;
  #toldOther: boolean = false;

  /** @throws RangeError for positions or a batch that the model cannot have. */
  constructor(parts: F56DispenserParts) {
    const { options } = parts;
    const model = f56Models[options.model];
    this.#parts = parts;
    this.#model = model;
    this.#timings = { ...F56_TIMINGS, ...options.timings };
    const positions = model.positions.filter((one) => options.positions?.includes(one) ?? true);
    if (options.positions && positions.length !== new Set(options.positions).size) {
      throw new RangeError(`an ${model.name} has no such bays: ${options.positions.join(', ')}`);
    }
    const batchMax = options.batchMax ?? BATCH_MAX;
    if (!Number.isInteger(batchMax) || batchMax < 1 || batchMax > BATCH_MAX) {
      throw new RangeError(`batch of an ${model.name} must be 1 to ${BATCH_MAX}`);
    }
    this.capabilities = {
      positions,
      batchMax,
      lastResult: false,
      sequenceNumber: false,
      // No command is known that picks notes to the reject box.
      rejectTrayTest: false,
      sensesExit: true,
    };
  }

  subscribe(listener: (event: CashDispenserEvent) => void): Unsubscribe {
    return this.#news.subscribe(listener);
  }

  async open(): Promise<DeviceIdentity> {
    if (this.#contact) throw this.#error('sequenceError', 'the dispenser is open already');
    const { port, clock, log, options } = this.#parts;
    const contact = new F56Contact({
      port,
      clock,
      log,
      model: this.#model,
      timings: this.#timings,
      pollMs: options.pollMs ?? POLL_MS,
      onFound: () => {
        this.#toldOther = false;
      },
      onStatus: (status) => {
        this.#last = status;
        this.#publish();
      },
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
    // No word is known by which it tells its firmware, its number, or which model it is.
    const firmware = 'not reported';
    return { protocol: 'f56', model: this.#model.name, firmware, serialNumber: undefined };
  }

  holds(notes: UnitNotes): boolean {
    return sizeOfNotes(notes) !== undefined;
  }

  setNotes(notes: readonly UnitNotes[]): void {
    const { positions } = this.capabilities;
    const fitted = notes.filter(({ position }) => positions.includes(position));
    const unknown = fitted.find((unit) => sizeOfNotes(unit) === undefined);
    const sizes = Array.from({ length: BAYS }, (_, bay) => {
      const unit = fitted.find(({ position }) => position === bay + 1);
      return unit && sizeOfNotes(unit);
    });
    const fault = fitted.length > 0 ? undefined : NOBODY_SAID;
    this.#told = { sizes, fault: unknown ? notInTable(unknown) : fault };
    this.#publish();
  }

  async status(): Promise<CashDispenserStatus> {
    const status = await this.#contact?.status();
    return status ? this.#word(status) : offlineStatus(this.capabilities.positions);
  }

  async initialise(): Promise<DispenseOutcome> {
    return this.#alone('initialise', async (contact) => {
      const { sizes, fault } = this.#told;
      if (fault !== undefined) return notExecuted(fault);
      const result = await initialiseUnit(this.#moveParts(contact, 0), sizes, this.#path);
      if (result.outcome.kind === 'notExecuted' && result.errorCode === undefined) return result;
      this.#initialised = result.isReady && contact.isOnline ? sizes : undefined;
      return result;
    });
  }

  /** There is nothing that a lost answer could be judged by. */
  async baseline(): Promise<DispenseBaseline> {
    return { lastResultHex: undefined, sequenceNumber: undefined };
  }

  async dispense(units: readonly UnitCount[]): Promise<DispenseOutcome> {
    const counts = countsByBay(units, this.capabilities);
    if (typeof counts === 'string') throw this.#error('invalidData', counts);
    return this.#alone('dispense', async (contact) => {
      const why = await this.#whyNotReady(contact, counts);
      if (why !== undefined) return notExecuted(why);
      const asked = counts.reduce((sum, count) => sum + count, 0);
      const result = await dispenseNotes(this.#moveParts(contact, asked), counts);
      if (!result.isReady) this.#initialised = undefined;
      return result;
    });
  }

  async testDispense(units: readonly UnitCount[]): Promise<DispenseOutcome> {
    return this.dispense(units);
  }

  async lastResult(): Promise<undefined> {
    return undefined;
  }

  async waitTaken(limitMs: number): Promise<'taken' | 'notTaken' | 'unknown'> {
    const { clock } = this.#parts;
    const contact = this.#contact;
    const endMs = clock.monotonic() + limitMs;
    let misses = 0;
    while (contact && !contact.isClosed) {
      const status = await contact.status();
      misses = status ? 0 : misses + 1;
      if (status && !status.hasNotesAtExit) return 'taken';
      if (misses > TAKEN_MISSES_MAX) return 'unknown';
      const leftMs = endMs - clock.monotonic();
      if (leftMs <= 0) return status ? 'notTaken' : 'unknown';
      await sleep(clock, Math.min(leftMs, TAKEN_POLL_MS));
    }
    return 'unknown';
  }

  async close(): Promise<void> {
    const contact = this.#contact;
    this.#contact = undefined;
    this.#forget();
    await contact?.close();
    this.#publish();
  }

  // Notes

  #moveParts(contact: F56Contact, asked: number): MoveParts {
    const { positions } = this.capabilities;
    return { contact, positions, responseMs: this.#timings.moveMs + asked * NOTE_MS };
  }

  /**
   * Makes sure, by a question only, that the unit is there, idle, has nothing left to say of an
   * earlier command, and that its exit is clear: else old notes could be taken for the new ones.
   */
  async #whyNotReady(contact: F56Contact, counts: readonly number[]): Promise<string | undefined> {
    if (!contact.isOnline) return 'the dispenser is offline';
    if (!this.#isInitialised()) return 'the dispenser is not initialised';
    const strange = counts.findIndex((count, bay) => count > 0 && !this.#initialised?.[bay]);
    if (strange >= 0) return `nobody has said what notes bay ${strange + 1} holds`;
    const status = await contact.status();
    if (!status) return 'the dispenser did not answer STATUS';
    if (status.errorCode !== undefined) return 'the dispenser reports an error';
    return status.hasNotesAtExit ? 'notes lie at the exit' : undefined;
  }

  async #alone(
    command: 'initialise' | 'dispense',
    task: (contact: F56Contact) => Promise<MoveResult | Refusal>,
  ): Promise<DispenseOutcome> {
    if (this.#isMoving) throw this.#error('sequenceError', 'another command that moves notes runs');
    const contact = this.#contact;
    if (!contact) return notExecuted('the dispenser is not open').outcome;
    this.#isMoving = true;
    try {
      const result = await task(contact);
      if ('path' in result) {
        this.#path = contact.isOnline ? result.path : 'unknown';
        const isNothing = result.outcome.kind === 'notExecuted' && result.errorCode === undefined;
        if (!isNothing) this.#lastError = result.errorCode;
      }
      this.#publish();
      return this.#judged(command, result.outcome);
    } finally {
      this.#isMoving = false;
    }
  }

  #judged(command: string, outcome: DispenseOutcome): DispenseOutcome {
    const { log } = this.#parts;
    if (outcome.kind === 'unknown') {
      log.error({ command, evidence: outcome.evidence }, 'f56 outcome unknown');
      const error = this.#error('hardwareError', `the outcome of ${command} is unknown`);
      this.#news.tell({ kind: 'device.failed', error });
    } else log.info({ command, outcome }, 'f56 outcome');
    return outcome;
  }

  /** What the unit was told is still what its bays hold. */
  #isInitialised(): boolean {
    const { sizes } = this.#told;
    return this.#initialised?.every((size, bay) => size === sizes[bay]) ?? false;
  }

  // News

  #onAway(reason: string): void {
    this.#forget();
    this.#publish();
    this.#news.tell({ kind: 'device.failed', error: this.#error('deviceNotReady', reason) });
  }

  /** It may have lost power: it must be initialised again, and may hold notes. */
  #forget(): void {
    this.#last = undefined;
    this.#initialised = undefined;
    this.#path = 'unknown';
    this.#lastError = undefined;
  }

  #onOther(error: DeviceError): void {
    if (this.#toldOther) return;
    this.#toldOther = true;
    this.#news.tell({ kind: 'device.failed', error });
  }

  #word(status: F56Status): CashDispenserStatus {
    return wordStatus(status, {
      positions: this.capabilities.positions,
      isInitialised: this.#isInitialised(),
      path: this.#path,
      lastError: this.#lastError,
      notesFault: this.#told.fault,
    });
  }

  #publish(): void {
    const status = this.#last && this.#word(this.#last);
    const fault = status?.device === 'fault' ? status.fault : undefined;
    if (fault && fault.code !== this.#shownFault) {
      const error = this.#error('hardwareError', `${fault.code}: ${fault.text}`);
      this.#news.tell({ kind: 'device.failed', error });
    }
    this.#shownFault = fault?.code;
    const device = status?.device ?? 'offline';
    if (device === this.#shown) return;
    this.#shown = device;
    this.#parts.log.info({ device }, 'f56 status');
    this.#news.tell({ kind: 'status.changed', device });
  }

  #error(code: AtmErrorCode, message: string): DeviceError {
    const { port } = this.#parts;
    return new DeviceError(code, `${message} on ${port.path}`, { recording: port.recording() });
  }
}

interface Refusal {
  readonly outcome: Extract<DispenseOutcome, { readonly kind: 'notExecuted' }>;
}

function notExecuted(why: string): Refusal {
  return { outcome: { kind: 'notExecuted', evidence: `${why}; nothing was sent` } };
}

function notInTable({ position, currency, value }: UnitNotes): string {
  const note = `${currency} ${denominationOfMinor(value, currency) ?? `${value} (minor units)`}`;
  return `how long the ${note} notes of bay ${position} are is not known`;
}
