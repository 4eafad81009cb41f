/**
 * The inside of a simulated F53 or F56: cassettes, path, reject box, exit. Every note is somewhere
 * at every moment, also when the power goes. Source: cash-hardware.md 6 and 13.
 */
import type { CancelTimer, Clock } from '#protocol/base/clock.ts';
import { position } from '#protocol/base/ids.ts';
import { minorOfDenomination } from '#protocol/base/money.ts';
import { BAYS, type NoteSize } from '../../f56/commands.ts';
import { sizeOfNotes } from '../../f56/notes.ts';
import { type DeviceTruth, type Notes, SimulatorError } from '../device.ts';
import type { FaultSwitches } from '../faults.ts';
import { NotePlaces } from '../notes.ts';
import type { SimulatedCassette } from '../protocol.ts';
import {
  ERROR,
  type F56DeviceTimings,
  type F56FaultName,
  ofBay,
  standingFaults,
} from './faults.ts';

/** Rejected notes and their errors, when more come than the command allows. */
const REJECTS = {
  tooLong: ERROR.tooLong,
  tooShort: ERROR.tooShort,
  reject: ERROR.tooThick,
} as const;

interface PathNote {
  readonly bay: number;
  readonly denomination: number;
  /** Stuck: INITIALISE does not move it. */
  readonly isJammed: boolean;
}

interface Unit {
  denomination: number;
  count: number;
  isPresent: boolean;
}

/** What one bay did. */
export interface BayTally {
  presented: number;
  rejected: number;
}

/** The result of a command that moves notes; the error is undefined for none. */
export interface MechanismResult {
  readonly error: number | undefined;
  readonly bays: readonly BayTally[];
}

/** What a BILL COUNT asks for, by bay. */
export interface CountOrder {
  readonly counts: readonly number[];
  readonly rejectsMax: readonly number[];
}

/** Lengths of one bay in mm, as INITIALISE gave them; two zeros for a bay that is not used. */
export type BayLengths = Pick<NoteSize, 'lengthMaxMm' | 'lengthMinMm'>;

interface Job {
  readonly bays: readonly BayTally[];
  readonly remaining: number[];
  readonly rejectsMax: readonly number[];
  readonly onDone: (result: MechanismResult) => void;
  landed: number;
}

/** What a mechanism is made of. */
export interface F56MechanismParts {
  readonly clock: Clock;
  readonly timings: F56DeviceTimings;
  readonly currency: string;
  readonly cassettes: Readonly<Record<string, SimulatedCassette>>;
  readonly bays: number;
  readonly switches: FaultSwitches<F56FaultName>;
  /** A fault has cut the power. */
  readonly onPowerCut: () => void;
}

/** The inside of a dispenser. */
export class F56Mechanism {
  readonly #parts: F56MechanismParts;
  readonly #places = new NotePlaces<'reject' | 'exit' | 'customer'>();
  readonly #units = new Map<number, Unit>();
  readonly #standing = new Map<F56FaultName, number | undefined>();
  #path: PathNote[] = [];
  #moving: { readonly bay: number; readonly denomination: number } | undefined;
  #lengths: readonly BayLengths[] | undefined;
  #cancel: CancelTimer = () => undefined;

  constructor(parts: F56MechanismParts) {
    this.#parts = parts;
    for (const [at, { denomination, count }] of Object.entries(parts.cassettes)) {
      this.#units.set(this.#bayAt(Number(at)), { denomination, count, isPresent: true });
    }
  }

  /** What the exit sensor says. */
  get hasNotesAtExit(): boolean {
    if (this.#standing.has('exitStuck')) return true;
    return !this.#standing.has('exitBlind') && Object.keys(this.#places.in('exit')).length > 0;
  }

  /** The error that STATUS says; undefined for none. */
  get standingError(): number | undefined {
    if (this.#standing.has('statusError')) return this.#standing.get('statusError') ?? ERROR.down;
    if (this.#standing.has('rejectBoxMissing')) return ERROR.rejectBoxMissing;
    return this.#standing.has('rejectBoxFull') ? ERROR.rejectBoxFull : undefined;
  }

  /** Switches a fault that lasts; false for one that strikes. */
  stand(name: F56FaultName, times: number, value: number | undefined): boolean {
    if (!standingFaults.includes(name)) return false;
    if (times > 0) this.#standing.set(name, value);
    else this.#standing.delete(name);
    return true;
  }

  /** Takes lengths on, and notes that are not stuck off the path. `onDone` is called once. */
  initialise(lengths: readonly BayLengths[], onDone: (result: MechanismResult) => void): void {
    const { switches, timings } = this.#parts;
    this.#lengths = undefined;
    this.#after(timings.initialiseMs, () => {
      const to = switches.strikes('initialiseEjects') ? 'exit' : 'reject';
      for (const note of this.#path.filter((one) => !one.isJammed)) {
        this.#places.put(to, note.denomination);
      }
      this.#path = this.#path.filter((one) => one.isJammed);
      const fault = switches.strike('initialiseError');
      const jam = this.#path.length > 0 ? ERROR.jamOnPath : undefined;
      const error = fault ? (fault.value ?? ERROR.down) : (jam ?? this.standingError);
      if (error === undefined) this.#lengths = lengths;
      onDone({ error, bays: tallies() });
    });
  }

  /** Picks and delivers; `onDone` is called once, unless the power goes. */
  count({ counts, rejectsMax }: CountOrder, onDone: (result: MechanismResult) => void): void {
    const remaining = Array.from({ length: BAYS }, (_, bay) => counts[bay] ?? 0);
    const job = { bays: tallies(), remaining, rejectsMax, onDone, landed: 0 };
    const refusal = this.#refusal(job);
    if (refusal !== undefined) {
      this.#after(this.#parts.timings.answerMs, () => this.#finish(job, refusal));
      return;
    }
    this.#after(this.#parts.timings.startMs, () => {
      if (!this.#cutAfter(job)) this.#step(job);
    });
  }

  /** The power goes: everything stops where it is. */
  powerOff(): void {
    this.#cancel();
    this.#cancel = () => undefined;
    if (this.#moving) this.#path.push({ ...this.#moving, isJammed: false });
    this.#moving = undefined;
    this.#lengths = undefined;
  }

  /** Ends its timer. */
  stop(): void {
    this.#cancel();
  }

  /** Hands take the notes at the exit, and put what is stuck or left inside in the reject box. */
  take(): void {
    for (const [denomination, count] of Object.entries(this.#places.takeAll('exit'))) {
      this.#places.put('customer', Number(denomination), count);
    }
    for (const { denomination } of this.#path) this.#places.put('reject', denomination);
    this.#path = [];
  }

  /** Hands take a cassette out, put one in, or fill it. @throws SimulatorError */
  cassette(
    at: number,
    { denomination, count, present }: Partial<SimulatedCassette> & { readonly present?: boolean },
  ): void {
    const bay = this.#bayAt(at);
    const unit = this.#units.get(bay);
    if (unit) {
      unit.denomination = denomination ?? unit.denomination;
      unit.count = count ?? unit.count;
      unit.isPresent = present ?? unit.isPresent;
      return;
    }
    if (denomination === undefined) {
      throw new SimulatorError('usage', `bay ${at} has no cassette: say its denomination`);
    }
    this.#units.set(bay, { denomination, count: count ?? 0, isPresent: present ?? true });
  }

  /**
   * Where every note is; a cassette that is out of the machine takes its notes along. What lies at
   * the exit is the customer's, taken or not.
   */
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
      customer: together(this.#places.in('customer'), this.#places.in('exit')),
    };
  }

  // One command

  /** What keeps a command from beginning. */
  #refusal(job: Job): number | undefined {
    const asked = job.remaining.flatMap((count, bay) => (count > 0 ? [bay] : []));
    const fault = this.#parts.switches.strike('error');
    if (fault) return fault.value ?? ERROR.down;
    const lengths = this.#lengths;
    if (!lengths) return ERROR.notInitialised;
    if (this.standingError !== undefined) return this.standingError;
    if (this.#path.length > 0) return ERROR.notesOnPath;
    if (this.hasNotesAtExit && this.#parts.switches.strikes('exitStops')) return ERROR.notesAtExit;
    const unknown = asked.find((bay) => lengths[bay]?.lengthMaxMm === 0);
    if (unknown !== undefined) return ERROR.noLengths + unknown + 1;
    const missing = asked.find((bay) => this.#units.get(bay)?.isPresent !== true);
    return missing === undefined ? undefined : ofBay(missing, ERROR.noCassette);
  }

  #step(job: Job): void {
    const { timings } = this.#parts;
    const bay = job.remaining.findIndex((count) => count > 0);
    if (bay < 0) {
      this.#finish(job, undefined);
    } else if (this.#units.get(bay)?.count === 0) {
      this.#after(timings.pickFailureMs, () => this.#finish(job, ofBay(bay, ERROR.empty)));
    } else if (this.#strikes('pickUpFailure', job)) {
      this.#after(timings.pickFailureMs, () => this.#finish(job, ofBay(bay, ERROR.pickUp)));
    } else {
      const jam = this.#jam(job);
      const other = this.#otherBay(bay);
      this.#pick(other ?? bay);
      this.#after(timings.noteMs, () => {
        if (jam !== undefined) this.#strand(job, jam);
        else if (other !== undefined) this.#landOther(job, bay, other);
        else this.#land(job, bay);
      });
    }
  }

  /** A fault that leaves the next note on the way. */
  #jam(job: Job): number | undefined {
    if (this.#strikes('jamOnPath', job)) return ERROR.jamOnPath;
    if (this.#strikes('jamBeforeReject', job)) return ERROR.jamBeforeReject;
    return this.#strikes('jamAtExit', job) ? ERROR.jamAtExit : undefined;
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

  #pick(bay: number): void {
    const unit = this.#units.get(bay);
    if (!unit) throw new Error(`there is no bay ${bay + 1} to pick from`);
    unit.count--;
    this.#moving = { bay, denomination: unit.denomination };
  }

  #strand(job: Job, error: number): void {
    if (this.#moving) this.#path.push({ ...this.#moving, isJammed: true });
    this.#moving = undefined;
    this.#finish(job, error);
  }

  /** It goes to the reject box, and is counted for the bay that was asked: a wrong count. */
  #landOther(job: Job, bay: number, other: number): void {
    this.#drop('reject');
    const tally = job.bays[bay];
    if (tally) tally.rejected++;
    this.#finish(job, ERROR.wrongCassette + other + 1);
  }

  #land(job: Job, bay: number): void {
    const tally = job.bays[bay];
    if (!tally) throw new Error(`there is no bay ${bay + 1} to count`);
    job.landed++;
    const why = this.#rejection(bay);
    if (this.#strikes('countMismatch', job, job.landed - 1)) {
      this.#drop('exit');
      this.#finish(job, ERROR.countMismatch);
    } else if (why !== undefined) {
      this.#drop('reject');
      tally.rejected++;
      if (tally.rejected > (job.rejectsMax[bay] ?? 0)) this.#finish(job, why);
      else if (!this.#cutAfter(job)) this.#step(job);
    } else {
      job.remaining[bay] = (job.remaining[bay] ?? 0) - 1;
      tally.presented++;
      if (this.#parts.switches.strikes('loseNote')) this.#moving = undefined;
      else this.#drop('exit');
      if (!this.#cutAfter(job)) this.#step(job);
    }
  }

  /** Why the note that is on its way is rejected; undefined when it is not. */
  #rejection(bay: number): number | undefined {
    const { switches, currency } = this.#parts;
    for (const name of ['tooLong', 'tooShort', 'reject'] as const) {
      if (switches.strikes(name)) return REJECTS[name];
    }
    const { denomination = 0 } = this.#moving ?? {};
    const value = minorOfDenomination(denomination, currency);
    const size = sizeOfNotes({ position: position(bay + 1), currency, value });
    const limits = this.#lengths?.[bay];
    if (!size || !limits) return undefined;
    const lengthMm = (size.lengthMaxMm + size.lengthMinMm) / 2;
    if (lengthMm > limits.lengthMaxMm) return ERROR.tooLong;
    return lengthMm < limits.lengthMinMm ? ERROR.tooShort : undefined;
  }

  #drop(place: 'reject' | 'exit'): void {
    if (this.#moving) this.#places.put(place, this.#moving.denomination);
    this.#moving = undefined;
  }

  #finish(job: Job, error: number | undefined): void {
    const { switches, onPowerCut } = this.#parts;
    if (error !== undefined) {
      this.#lengths = undefined;
      const hasCounted = job.bays.some(({ presented }) => presented > 0);
      if (switches.strikes('keepsNotes', () => hasCounted)) this.#keep(job);
    }
    if (switches.strikes('powerCutBeforeResponse')) onPowerCut();
    else job.onDone({ error, bays: job.bays });
  }

  /** What was counted has not reached the exit. */
  #keep(job: Job): void {
    for (const [bay, { presented }] of job.bays.entries()) {
      const denomination = this.#units.get(bay)?.denomination ?? 0;
      const there = Math.min(presented, this.#places.in('exit')[denomination] ?? 0);
      for (let note = 0; note < there; note++) {
        this.#places.put('exit', denomination, -1);
        this.#path.push({ bay, denomination, isJammed: false });
      }
    }
  }

  #cutAfter(job: Job): boolean {
    const isNow = (value: number | undefined) => (value ?? 0) === job.landed;
    if (!this.#parts.switches.strikes('powerCutAfterNote', isNow)) return false;
    this.#parts.onPowerCut();
    return true;
  }

  /** Whether a fault strikes now that may wait for so many notes. */
  #strikes(name: F56FaultName, job: Job, landed = job.landed): boolean {
    return this.#parts.switches.strikes(name, (value) => (value ?? 0) <= landed);
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
  return Array.from({ length: BAYS }, () => ({ presented: 0, rejected: 0 }));
}

function together(one: Notes, other: Notes): Notes {
  const all = { ...one };
  const sum: Record<string, number> = all;
  for (const [value, count] of Object.entries(other)) sum[value] = (sum[value] ?? 0) + count;
  return sum;
}
