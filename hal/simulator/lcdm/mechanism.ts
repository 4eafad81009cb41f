/**
 * The inside of a simulated LCDM: cassettes, path, reject tray, exit, and what it remembers. Every
 * note is somewhere at every moment, also when the power goes. Source: cash-hardware.md 7 and 13.
 */
import type { CancelTimer, Clock } from '#protocol/base/clock.ts';
import { BAYS_MAX } from '../../lcdm/answers.ts';
import { type DeviceTruth, SimulatorError } from '../device.ts';
import type { FaultSwitches } from '../faults.ts';
import { NotePlaces } from '../notes.ts';
import type { SimulatedCassette } from '../protocol.ts';
import type { LcdmFaultName } from './faults.ts';

/** How long things take, in milliseconds. */
export interface LcdmDeviceTimings {
  readonly acknowledgeMs: number;
  /** From ACK until the answer to a question. */
  readonly answerMs: number;
  /** Motors up to speed. */
  readonly startMs: number;
  /** One note from its cassette to where it ends. */
  readonly noteMs: number;
  /** Tries of a pick-up that fails. */
  readonly pickFailureMs: number;
  readonly purgeMs: number;
  /** RESET, and after the power came. */
  readonly bootMs: number;
  /** A response that nobody acknowledged is said again. */
  readonly repeatMs: number;
}

/** The usual times. Source: cash-hardware.md 7.1: ACK from 50 ms on, ready 2 s after RESET. */
export const LCDM_DEVICE_TIMINGS: LcdmDeviceTimings = {
  acknowledgeMs: 50,
  answerMs: 30,
  startMs: 300,
  noteMs: 150,
  pickFailureMs: 1000,
  purgeMs: 3000,
  bootMs: 1800,
  repeatMs: 2000,
};

/** What may go wrong with a command; each ID has a code of its own for it. */
export type Trouble =
  | 'none'
  | 'pickUp'
  /** The bay has run out. */
  | 'empty'
  | 'jamBeforeDiverter'
  | 'jamBeforeEject'
  | 'jamBeforeExit'
  | 'noteInExit'
  | 'countMismatch'
  | 'notesOnPath'
  | 'tooManyNotes'
  | 'tooManyRejects'
  | 'purge'
  | 'noCassette'
  | 'nearEnd'
  | 'noRejectTray'
  /** A note of another bay came, the one that is given with it. */
  | 'wrongCassette'
  /** What the fault `error` says without a value. */
  | 'other';

/** Most notes in one command, with the rejected ones. Source: cash-hardware.md 7.1. */
const NOTES_MAX = 100;
/** Faults that last until they are lifted. */
const STANDING: readonly LcdmFaultName[] = [
  'rejectTrayMissing',
  'nearEnd',
  'nearEndStops',
  'keepError',
];
/** "Rejecting too many notes for one transaction (default limit: 10 notes)". */
const REJECTS_MAX = 10;

/** Where a note stands on the path: before the sensors of diverter, ejector or exit. */
type Stand = 'diverter' | 'eject' | 'exit';

interface PathNote {
  readonly bay: number;
  readonly denomination: number;
  readonly stand: Stand;
  /** Stuck: PURGE does not move it. */
  readonly isJammed: boolean;
}

interface Unit {
  denomination: number;
  count: number;
  isPresent: boolean;
  /** What its magnets say. */
  code: number;
}

/** What one bay did. */
export interface BayTally {
  /** Notes that left the cassette. */
  picked: number;
  presented: number;
  rejected: number;
}

/** The result of a command that moves notes. */
export interface MechanismResult {
  readonly command: 'dispense' | 'testDispense' | 'purge';
  /** As the device says it. */
  error: number;
  readonly bays: readonly BayTally[];
}

interface Job {
  readonly result: MechanismResult;
  readonly remaining: number[];
  readonly onDone: (result: MechanismResult) => void;
  landed: number;
}

/** What survives a power cut of the last result, which no document says. */
export type LastResultMemory =
  /** Counts are kept as notes pass, also those of a command that was cut short. */
  | 'survives'
  /** Only results that were complete; a command that was cut short leaves the one before it. */
  | 'finishedOnly'
  /** Nothing. */
  | 'lost';

/** What a mechanism is made of. */
export interface LcdmMechanismParts {
  readonly clock: Clock;
  readonly timings: LcdmDeviceTimings;
  readonly cassettes: Readonly<Record<string, SimulatedCassette>>;
  readonly bays: number;
  /** A bay with fewer notes says near end. */
  readonly nearEndCount: number;
  readonly memory: LastResultMemory;
  readonly switches: FaultSwitches<LcdmFaultName>;
  /** What the device calls a trouble with a bay. */
  readonly codeOf: (trouble: Trouble, bay: number) => number;
  /** A note has gone where it belongs. */
  readonly onNote: (place: 'reject' | 'customer') => void;
  /** A fault has cut the power. */
  readonly onPowerCut: () => void;
}

/** The inside of a dispenser. */
export class LcdmMechanism {
  readonly #parts: LcdmMechanismParts;
  readonly #places = new NotePlaces<'reject' | 'customer'>();
  readonly #units = new Map<number, Unit>();
  readonly #standing = new Map<LcdmFaultName, number | undefined>();
  #path: PathNote[] = [];
  #moving: { readonly bay: number; readonly denomination: number } | undefined;
  #cancel: CancelTimer = () => undefined;
  #last: MechanismResult | undefined;
  #lastError: number;
  /** Bays in the order in which they are asked, from 0. */
  order: readonly number[] = Array.from({ length: BAYS_MAX }, (_, bay) => bay);

  constructor(parts: LcdmMechanismParts) {
    this.#parts = parts;
    this.#lastError = parts.codeOf('none', 0);
    for (const [at, { denomination, count }] of Object.entries(parts.cassettes)) {
      this.#units.set(this.#bayAt(Number(at)), {
        ...{ denomination, count, isPresent: true, code: Number(at) },
      });
    }
  }

  /** The last command that moved notes, as far as the device remembers. */
  get last(): MechanismResult | undefined {
    return this.#last;
  }

  /** What STATUS says of a bay. */
  bay(bay: number): {
    readonly isPresent: boolean;
    readonly isNearEnd: boolean;
    readonly code: number;
  } {
    const unit = this.#units.get(bay);
    const isPresent = unit?.isPresent === true;
    const which = this.#standing.get('nearEnd');
    const isForced = this.#standing.has('nearEnd') && (which === undefined || which === bay + 1);
    const isLow = (unit?.count ?? 0) < this.#parts.nearEndCount;
    const code = unit?.code ?? bay + 1;
    return { isPresent, isNearEnd: isPresent && (isForced || isLow), code };
  }

  /** Whether a note stands before a sensor. */
  isCovered(stand: Stand): boolean {
    return this.#path.some((note) => note.stand === stand);
  }

  /** The error that STATUS says. */
  get standingError(): number {
    if (this.#standing.has('rejectTrayMissing')) return this.#codeOf('noRejectTray');
    return this.#standing.has('keepError') ? this.#lastError : this.#codeOf('none');
  }

  /** Switches a fault that lasts; false for one that strikes. */
  stand(name: LcdmFaultName, times: number, value: number | undefined): boolean {
    if (!STANDING.includes(name)) return false;
    if (times > 0) this.#standing.set(name, value);
    else this.#standing.delete(name);
    return true;
  }

  /** Picks and delivers; `onDone` is called once, unless the power goes. */
  run(
    command: 'dispense' | 'testDispense',
    counts: readonly number[],
    onDone: (result: MechanismResult) => void,
  ): void {
    const job = {
      result: { command, error: this.#codeOf('none'), bays: tallies() },
      remaining: Array.from({ length: BAYS_MAX }, (_, bay) => counts[bay] ?? 0),
      onDone,
      landed: 0,
    };
    if (this.#parts.memory === 'survives') this.#last = job.result;
    const refusal = this.#refusal(job);
    this.#after(this.#parts.timings.startMs, () => {
      if (refusal !== undefined) this.#finish(job, refusal);
      else if (!this.#cutAfter(job)) this.#step(job);
    });
  }

  /** Moves notes off the path: to the reject tray, and out of the exit to the customer. */
  purge(onDone: (result: MechanismResult) => void): void {
    const result: MechanismResult = {
      command: 'purge',
      error: this.#codeOf('none'),
      bays: tallies(),
    };
    if (this.#parts.memory === 'survives') this.#last = result;
    this.#after(this.#parts.timings.purgeMs, () => {
      for (const note of this.#path.filter((one) => !one.isJammed)) {
        const tally = result.bays[note.bay];
        if (tally) tally[note.stand === 'exit' ? 'presented' : 'rejected']++;
        this.#places.put(note.stand === 'exit' ? 'customer' : 'reject', note.denomination);
      }
      this.#path = this.#path.filter((one) => one.isJammed);
      if (this.#path.length > 0) result.error = this.#codeOf('purge');
      this.#last = result;
      this.#lastError = result.error;
      onDone(result);
    });
  }

  /** The power goes: everything stops where it is. */
  powerOff(): void {
    this.#cancel();
    this.#cancel = () => undefined;
    if (this.#moving) this.#path.push({ ...this.#moving, stand: 'diverter', isJammed: false });
    this.#moving = undefined;
    if (this.#parts.memory === 'lost') this.#last = undefined;
    this.#lastError = this.#codeOf('none');
  }

  /** Ends its timer. */
  stop(): void {
    this.#cancel();
  }

  /** Hands take a note out of the exit, and put what is stuck or left inside in the reject tray. */
  take(): void {
    for (const { stand, denomination } of this.#path) {
      this.#places.put(stand === 'exit' ? 'customer' : 'reject', denomination);
    }
    this.#path = [];
  }

  /** Hands take a cassette out, put one in, or fill it. @throws SimulatorError */
  cassette(
    at: number,
    {
      denomination,
      count,
      present,
      code,
    }: Partial<SimulatedCassette> & { readonly present?: boolean; readonly code?: number },
  ): void {
    const bay = this.#bayAt(at);
    const unit = this.#units.get(bay);
    if (unit) {
      unit.denomination = denomination ?? unit.denomination;
      unit.count = count ?? unit.count;
      unit.isPresent = present ?? unit.isPresent;
      unit.code = code ?? unit.code;
      return;
    }
    if (denomination === undefined) {
      throw new SimulatorError('usage', `bay ${at} has no cassette: say its denomination`);
    }
    const isPresent = present ?? true;
    this.#units.set(bay, { denomination, count: count ?? 0, isPresent, code: code ?? at });
  }

  /** Where every note is; a cassette that is out of the machine takes its notes along. */
  truth(): DeviceTruth {
    const units = [...this.#units].filter(([, unit]) => unit.isPresent);
    const path = new NotePlaces<'path'>();
    for (const note of this.#path) path.put('path', note.denomination);
    if (this.#moving) path.put('path', this.#moving.denomination);
    return {
      units: Object.fromEntries(
        units.map(([bay, { denomination, count }]) => [bay + 1, { denomination, count }]),
      ),
      reject: this.#places.in('reject'),
      cashbox: {},
      path: path.in('path'),
      customer: this.#places.in('customer'),
    };
  }

  // One command

  /** What keeps a command from beginning. */
  #refusal(job: Job): number | undefined {
    const asked = this.order.filter((bay) => (job.remaining[bay] ?? 0) > 0);
    const fault = this.#parts.switches.strike('error');
    if (fault) return fault.value ?? this.#codeOf('other');
    if (this.#standing.has('rejectTrayMissing')) return this.#codeOf('noRejectTray');
    if (this.#path.length > 0) return this.#codeOf('notesOnPath');
    const missing = asked.find((bay) => !this.bay(bay).isPresent);
    if (missing !== undefined) return this.#codeOf('noCassette', missing);
    if (this.#standing.has('nearEndStops') && asked.some((bay) => this.bay(bay).isNearEnd)) {
      return this.#codeOf('nearEnd');
    }
    return undefined;
  }

  #step(job: Job): void {
    const { timings } = this.#parts;
    const bay = this.order.find((one) => (job.remaining[one] ?? 0) > 0);
    const counted = sum(job.result.bays, 'presented') + sum(job.result.bays, 'rejected');
    const isTest = job.result.command === 'testDispense';
    if (bay === undefined) {
      this.#finish(job, this.#codeOf('none'));
    } else if (!isTest && sum(job.result.bays, 'rejected') > REJECTS_MAX) {
      this.#finish(job, this.#codeOf('tooManyRejects', bay));
    } else if (counted >= NOTES_MAX) {
      this.#finish(job, this.#codeOf('tooManyNotes', bay));
    } else if (this.#strikes('pickUpFailure', job)) {
      this.#after(timings.pickFailureMs, () => this.#finish(job, this.#codeOf('pickUp', bay)));
    } else if (this.#units.get(bay)?.count === 0) {
      this.#after(timings.pickFailureMs, () => this.#finish(job, this.#codeOf('empty', bay)));
    } else {
      const stuck = this.#stuck(job);
      const other = this.#otherBay(bay);
      this.#pick(job, bay, other ?? bay);
      this.#after(timings.noteMs, () => {
        if (stuck) this.#strand(job, bay, stuck);
        else if (other !== undefined) this.#landOther(job, bay, other);
        else this.#land(job, bay);
      });
    }
  }

  /** A fault that leaves the next note on the way. */
  #stuck(job: Job): { readonly trouble: Trouble; readonly stand: Stand } | undefined {
    if (this.#strikes('jamBeforeDiverter', job)) {
      return { trouble: 'jamBeforeDiverter', stand: 'diverter' };
    }
    if (this.#strikes('jamBeforeEject', job)) return { trouble: 'jamBeforeEject', stand: 'eject' };
    if (this.#strikes('jamBeforeExit', job)) return { trouble: 'jamBeforeExit', stand: 'eject' };
    if (this.#strikes('noteInExit', job)) return { trouble: 'noteInExit', stand: 'exit' };
    return undefined;
  }

  #otherBay(bay: number): number | undefined {
    const others = [...this.#units.keys()].filter((one) => {
      const unit = this.#units.get(one);
      return one !== bay && unit?.isPresent === true && unit.count > 0;
    });
    const fits = (value: number | undefined) =>
      value === undefined ? others.length > 0 : others.includes(value - 1);
    const fault = this.#parts.switches.strike('wrongCassette', fits);
    if (!fault) return undefined;
    return fault.value === undefined ? others[0] : fault.value - 1;
  }

  #pick(job: Job, asked: number, bay: number): void {
    const unit = this.#units.get(bay);
    if (!unit) throw new Error(`there is no bay ${bay + 1} to pick from`);
    unit.count--;
    const tally = job.result.bays[asked];
    if (tally) tally.picked++;
    this.#moving = { bay, denomination: unit.denomination };
  }

  #strand(
    job: Job,
    bay: number,
    { trouble, stand }: { readonly trouble: Trouble; readonly stand: Stand },
  ): void {
    if (this.#moving) {
      this.#path.push({ ...this.#moving, stand, isJammed: trouble !== 'noteInExit' });
    }
    this.#moving = undefined;
    this.#finish(job, this.#codeOf(trouble, bay));
  }

  /** It goes to the reject tray, and is counted for the bay that was asked: a wrong count. */
  #landOther(job: Job, bay: number, other: number): void {
    this.#drop('reject');
    const tally = job.result.bays[bay];
    if (tally) tally.rejected++;
    this.#finish(job, this.#codeOf('wrongCassette', other));
  }

  #land(job: Job, bay: number): void {
    const { switches } = this.#parts;
    const tally = job.result.bays[bay];
    if (!tally) throw new Error(`there is no bay ${bay + 1} to count`);
    job.landed++;
    if (this.#strikes('countMismatch', job, job.landed - 1)) {
      this.#drop('customer');
      this.#finish(job, this.#codeOf('countMismatch', bay));
      return;
    }
    const isTest = job.result.command === 'testDispense';
    if (!isTest && switches.strikes('reject')) {
      this.#drop('reject');
      tally.rejected++;
    } else {
      job.remaining[bay] = (job.remaining[bay] ?? 0) - 1;
      tally[isTest ? 'rejected' : 'presented']++;
      if (switches.strikes('loseNote')) this.#moving = undefined;
      else this.#drop(isTest ? 'reject' : 'customer');
    }
    if (!this.#cutAfter(job)) this.#step(job);
  }

  #drop(place: 'reject' | 'customer'): void {
    if (this.#moving) this.#places.put(place, this.#moving.denomination);
    this.#moving = undefined;
    this.#parts.onNote(place);
  }

  #finish(job: Job, error: number): void {
    if (this.#parts.switches.strikes('powerCutBeforeResponse')) {
      this.#parts.onPowerCut();
      return;
    }
    job.result.error = error;
    this.#last = job.result;
    this.#lastError = error;
    job.onDone(job.result);
  }

  #cutAfter(job: Job): boolean {
    const isNow = (value: number | undefined) => (value ?? 0) === job.landed;
    if (!this.#parts.switches.strikes('powerCutAfterNote', isNow)) return false;
    this.#parts.onPowerCut();
    return true;
  }

  /** Whether a fault strikes now that may wait for so many notes. */
  #strikes(name: LcdmFaultName, job: Job, landed = job.landed): boolean {
    return this.#parts.switches.strikes(name, (value) => (value ?? 0) <= landed);
  }

  #codeOf(trouble: Trouble, bay = 0): number {
    return this.#parts.codeOf(trouble, bay);
  }

  #bayAt(at: number): number {
    if (Number.isInteger(at) && at >= 1 && at <= this.#parts.bays) return at - 1;
    throw new SimulatorError('notFound', `there is no bay ${at}: 1 to ${this.#parts.bays}`);
  }

  #after(delayMs: number, task: () => void): void {
    this.#cancel = this.#parts.clock.after(delayMs, task);
  }
}

function tallies(): BayTally[] {
  return Array.from({ length: BAYS_MAX }, () => ({ picked: 0, presented: 0, rejected: 0 }));
}

function sum(bays: readonly BayTally[], what: keyof BayTally): number {
  return bays.reduce((total, tally) => total + tally[what], 0);
}
