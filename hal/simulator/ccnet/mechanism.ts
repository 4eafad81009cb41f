/**
 * The inside of a simulated CCNET validator: where the one note is, which state is said of it, and
 * what hands, motors and power cuts do. It knows no bytes.
 * Source: CashCode NET, bill validator; cash-hardware.md 3.4, 3.5 and 13.
 */
import type { CancelTimer, Clock } from '#protocol/base/clock.ts';
import type { CcnetStatus } from '../../ccnet/commands.ts';
import { isInMask } from '../../ccnet/models.ts';
import { type DeviceTruth, type Notes, SimulatorError } from '../device.ts';
import type { FaultSwitches } from '../faults.ts';
import { NotePlaces } from '../notes.ts';
import type { CcnetFaultName } from './faults.ts';

/** One line of the bill table. */
export interface CcnetNote {
  /** Its line, from 0. */
  readonly type: number;
  /** Three letters. */
  readonly country: string;
  readonly value: number;
  /** Below 0 for fractions. */
  readonly exponent: number;
}

/** How long things take, in milliseconds. */
export interface CcnetTimings {
  readonly replyMs: number;
  readonly initialiseMs: number;
  readonly acceptMs: number;
  /** From STACK until the note is past the point of no return. */
  readonly leverMs: number;
  /** From there until it lies in the cash box. */
  readonly stackMs: number;
  readonly returnMs: number;
  readonly rejectMs: number;
  /** A note in escrow goes back by itself after that. */
  readonly escrowTimeoutMs: number;
  /** So long HOLD keeps it. */
  readonly holdMs: number;
}

/** Seven dollar notes, as a US firmware numbers them. */
export const US_NOTES: readonly CcnetNote[] = [
  { type: 0, country: 'USA', value: 1, exponent: 0 },
  { type: 1, country: 'USA', value: 2, exponent: 0 },
  { type: 2, country: 'USA', value: 5, exponent: 0 },
  { type: 3, country: 'USA', value: 1, exponent: 1 },
  { type: 4, country: 'USA', value: 2, exponent: 1 },
  { type: 5, country: 'USA', value: 5, exponent: 1 },
  { type: 6, country: 'USA', value: 1, exponent: 2 },
];

/** Like a common model's; an answer begins within 10 ms by the book. */
export const CCNET_TIMINGS: CcnetTimings = {
  replyMs: 5,
  initialiseMs: 1500,
  acceptMs: 800,
  leverMs: 200,
  stackMs: 500,
  returnMs: 700,
  rejectMs: 500,
  escrowTimeoutMs: 10_500,
  holdMs: 10_000,
};

type Place = 'path' | 'cashbox' | 'customer';

/** The one note that can be inside, and how far it is. */
interface NoteInside {
  readonly denomination: number;
  readonly type: number | undefined;
  /** RESET gives it back from the validator, and puts it in the cash box from the stacker. */
  at: 'validator' | 'stacker';
}

/** A state to go to. */
type NextStatus = { readonly name: CcnetStatus['name']; readonly detail?: number };

/** What the inside tells the outside, and how it is built. */
export interface CcnetMechanismParts {
  readonly clock: Clock;
  readonly timings: CcnetTimings;
  readonly notes: readonly CcnetNote[];
  readonly creditAfterPowerUpInStacker: boolean;
  readonly strictAck: boolean;
  readonly refitNeedsReset: boolean;
  readonly switches: FaultSwitches<CcnetFaultName>;
  /** The host did what it must not. */
  readonly onViolation: (words: string) => void;
}

const NO_TYPES: readonly number[] = [0, 0, 0];

/** The inside of a validator. It is made switched on, in POWER UP, empty. */
export class CcnetMechanism {
  readonly #parts: CcnetMechanismParts;
  readonly #places = new NotePlaces<Place>();
  #acceptMask = NO_TYPES;
  #escrowMask = NO_TYPES;
  #securityMask = NO_TYPES;
  #isOn: boolean = true;
  #status: CcnetStatus = { name: 'powerUp', detail: undefined };
  /** Said instead of the state, until it was said once (or acknowledged, where that is needed). */
  #event: { readonly status: CcnetStatus; isSaid: boolean } | undefined;
  #note: NoteInside | undefined;
  #jam: 'jamInValidator' | 'jamInCassette' | undefined;
  #isBoxIn: boolean = true;
  #isBoxFull: boolean = false;
  #isPaused: boolean = false;
  #whenUnpaused: (() => void) | undefined;
  #whenTaken: (() => void) | undefined;
  /** A credit whose note is in the box and that is not done with; remembered over a power cut. */
  #openCredit: { readonly type: number } | undefined;
  #cancelStep: CancelTimer = () => undefined;
  #cancelPause: CancelTimer = () => undefined;

  constructor(parts: CcnetMechanismParts) {
    this.#parts = parts;
  }

  get isOn(): boolean {
    return this.#isOn;
  }

  /** What it would say to a poll now. */
  get status(): CcnetStatus {
    return this.#event?.status ?? this.base;
  }

  /** The state behind an event that is still to be said; commands are judged by it. */
  get base(): CcnetStatus {
    return this.#isPaused ? { name: 'pause', detail: undefined } : this.#status;
  }

  get isInEscrow(): boolean {
    const { name } = this.base;
    return name === 'escrow' || name === 'holding';
  }

  /** Three bytes of types to accept, three of types under high security. */
  get settings(): readonly number[] {
    return [...this.#acceptMask, ...this.#securityMask];
  }

  /** Where every note is. */
  truth(): DeviceTruth {
    const path = this.#places.in('path');
    const cashbox = this.#places.in('cashbox');
    return { units: {}, reject: {}, cashbox, path, customer: this.#places.in('customer') };
  }

  /** Ends its timers. */
  stop(): void {
    this.#cancelStep();
    this.#cancelPause();
  }

  // What the host wants

  /** The answer to a poll. An event that was said is done with, unless its ACK is needed. */
  poll(): CcnetStatus {
    if (this.#event?.isSaid && !this.#parts.strictAck) this.#dropEvent();
    if (this.#event) this.#event.isSaid = true;
    return this.status;
  }

  /** The host has acknowledged what it was told last. */
  acknowledge(): void {
    if (this.#event?.isSaid) this.#dropEvent();
  }

  enable(accept: readonly number[], escrow: readonly number[]): void {
    this.#noteSetting('ENABLE BILL TYPES');
    this.#acceptMask = accept;
    this.#escrowMask = escrow;
    if (this.#isQuiet()) this.#rest();
  }

  secure(types: readonly number[]): void {
    this.#noteSetting('SET SECURITY');
    this.#securityMask = types;
  }

  stack(): void {
    const { leverMs, stackMs } = this.#parts.timings;
    this.#go({ name: 'stacking' }, leverMs, () => {
      if (this.#parts.switches.strikes('cheat')) {
        this.#letGo();
        this.#go({ name: 'cheated' });
        return;
      }
      if (this.#note) this.#note.at = 'stacker';
      if (this.#parts.switches.strikes('powerCutBeforeCredit')) this.power(false);
      else if (this.#parts.switches.strikes('jamCassette')) this.#jamIn('jamInCassette');
      else {
        this.#after(stackMs, () => {
          this.#dropInBox();
          this.#rest();
          this.#sayCredit();
        });
      }
    });
    if (this.#parts.switches.strikes('powerCutAtStack')) this.power(false);
  }

  giveBack(): void {
    const taken = () => {
      const type = this.#note?.type ?? 0;
      this.#letGo();
      this.#rest();
      this.#say({ name: 'billReturned', detail: type });
    };
    const waits = this.#parts.switches.strikes('notTaken');
    this.#go({ name: 'returning' }, waits ? undefined : this.#parts.timings.returnMs, taken);
    if (waits) this.#whenTaken = taken;
  }

  hold(): void {
    this.#go({ name: 'holding' }, this.#parts.timings.holdMs, () => this.giveBack());
  }

  reset(): void {
    if (this.#openCredit && this.#event?.status.name === 'billStacked') {
      this.#parts.onViolation('RESET before ACK of BILL STACKED: the credit is forgotten');
      this.#openCredit = undefined;
    }
    this.#initialise();
  }

  // What hands and the world do

  insert(denomination: number): void {
    if (this.#event?.isSaid && !this.#parts.strictAck) this.#dropEvent();
    if (!this.#isOn || this.status.name !== 'idling') {
      const words = this.#isOn ? `in state ${this.status.name}` : 'without power';
      throw new SimulatorError('sequenceError', `the validator takes no note ${words}`);
    }
    const kind = this.#parts.notes.find(
      ({ value, exponent }) => value !== 0 && value * 10 ** exponent === denomination,
    );
    this.#note = { denomination, type: kind?.type, at: 'validator' };
    this.#places.put('path', denomination);
    this.#go({ name: 'accepting' }, this.#parts.timings.acceptMs, () => this.#judge());
  }

  power(on: boolean): void {
    if (on === this.#isOn) return;
    this.stop();
    this.#isOn = on;
    this.#isPaused = false;
    this.#whenUnpaused = undefined;
    this.#whenTaken = undefined;
    this.#event = undefined;
    if (!on) return;
    this.#forgetSettings();
    const isRemembered = this.#parts.creditAfterPowerUpInStacker && this.#openCredit !== undefined;
    const isInStacker = this.#note ? this.#note.at === 'stacker' : isRemembered;
    const otherwise = this.#note ? 'powerUpInValidator' : 'powerUp';
    this.#status = { name: isInStacker ? 'powerUpInStacker' : otherwise, detail: undefined };
  }

  /** Puts the cash box in or takes it out; gives what was emptied from it. */
  cashbox(present: boolean, empty: boolean): Notes {
    const removed = empty ? this.#places.takeAll('cashbox') : {};
    if (empty) this.#isBoxFull = false;
    const isRefit = present && !this.#isBoxIn;
    const isRemoval = !present && this.#isBoxIn;
    this.#isBoxIn = present;
    if (!this.#isOn || this.#status.name.startsWith('powerUp')) return removed;
    if (isRemoval) this.#go({ name: 'cassetteRemoved' });
    else if (isRefit && !this.#parts.refitNeedsReset) this.#initialise();
    return removed;
  }

  /** Hands clear a jam, or take a note out of the slot: one given back, or a second one. */
  take(): void {
    if (this.#isPaused) this.unpause();
    else if (this.#whenTaken) this.#whenTaken();
    else if (this.#jam) {
      this.#jam = undefined;
      this.#letGo();
    } else throw new SimulatorError('sequenceError', 'there is nothing to take');
  }

  fail(code: number): void {
    if (this.#isOn) this.#go({ name: 'failure', detail: code });
  }

  pause(forMs: number | undefined): void {
    if (!this.#isOn) return;
    this.#isPaused = true;
    if (forMs === undefined) return;
    this.#cancelPause();
    this.#cancelPause = this.#parts.clock.after(forMs, () => this.unpause());
  }

  unpause(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#cancelPause();
    const next = this.#whenUnpaused;
    this.#whenUnpaused = undefined;
    next?.();
  }

  // The way of a note

  #judge(): void {
    const { switches, timings } = this.#parts;
    const type = this.#note?.type;
    const reject = switches.strike('reject');
    if (switches.strikes('jamValidator')) this.#jamIn('jamInValidator');
    else if (reject) this.#reject(reject.value ?? 0x60);
    else if (type === undefined) this.#reject(0x65);
    else if (!isInMask(this.#acceptMask, type)) this.#reject(0x68);
    else if (!isInMask(this.#escrowMask, type)) this.stack();
    else {
      const limitMs = switches.strike('escrowTimeout')?.value ?? timings.escrowTimeoutMs;
      this.#go({ name: 'escrow', detail: type }, limitMs, () => this.giveBack());
    }
  }

  #reject(reason: number): void {
    const { rejectMs } = this.#parts.timings;
    this.#go({ name: 'rejecting', detail: reason }, rejectMs, () => {
      this.#letGo();
      this.#rest();
    });
    if (this.#parts.strictAck) this.#say({ name: 'rejecting', detail: reason });
  }

  #jamIn(jam: 'jamInValidator' | 'jamInCassette'): void {
    this.#jam = jam;
    this.#go({ name: jam });
  }

  #sayCredit(): void {
    if (!this.#openCredit) return;
    const other = this.#parts.switches.strike('otherType');
    const detail = other ? (other.value ?? 0) : this.#openCredit.type;
    this.#say({ name: 'billStacked', detail });
  }

  #say(status: CcnetStatus): void {
    this.#event = { status, isSaid: false };
  }

  #dropEvent(): void {
    const isCredit = this.#event?.status.name === 'billStacked';
    this.#event = undefined;
    if (!isCredit) return;
    this.#openCredit = undefined;
    if (!this.#parts.switches.strikes('cassetteFull')) return;
    this.#isBoxFull = true;
    if (this.#isQuiet()) this.#rest();
  }

  #dropInBox(): void {
    if (!this.#note) return;
    this.#places.move('path', 'cashbox', this.#note.denomination);
    this.#openCredit = { type: this.#note.type ?? 0 };
    this.#note = undefined;
  }

  #letGo(): void {
    if (this.#note) this.#places.move('path', 'customer', this.#note.denomination);
    this.#note = undefined;
  }

  /** Settings are forgotten. Half-way through, a note inside has gone where its place tells. */
  #initialise(): void {
    const halfMs = this.#parts.timings.initialiseMs / 2;
    this.#forgetSettings();
    this.#isPaused = false;
    this.#event = undefined;
    this.#go({ name: 'initialising' }, halfMs, () => {
      if (this.#jam === undefined) {
        if (this.#note?.at === 'stacker') this.#dropInBox();
        else this.#letGo();
        if (!this.#parts.creditAfterPowerUpInStacker) this.#openCredit = undefined;
      }
      this.#after(halfMs, () => {
        this.#rest();
        if (this.#jam === undefined) this.#sayCredit();
      });
    });
  }

  #forgetSettings(): void {
    this.#acceptMask = NO_TYPES;
    this.#escrowMask = NO_TYPES;
    this.#securityMask = NO_TYPES;
  }

  #isQuiet(): boolean {
    return this.#status.name === 'idling' || this.#status.name === 'disabled';
  }

  /** While a note is inside a setting holds for the next one; the book wants it decided first. */
  #noteSetting(words: string): void {
    const { name } = this.#status;
    if (this.#isQuiet() || name === 'initialising' || name === 'accepting') return;
    this.#parts.onViolation(`${words} in state ${name}`);
  }

  /** The state of rest: what is wrong first, else idling or disabled. */
  #rest(): void {
    if (this.#jam) this.#go({ name: this.#jam });
    else if (!this.#isBoxIn) this.#go({ name: 'cassetteRemoved' });
    else if (this.#isBoxFull) this.#go({ name: 'cassetteFull' });
    else this.#go({ name: this.#acceptMask.some((byte) => byte !== 0) ? 'idling' : 'disabled' });
  }

  /** Goes to a state and on from there after a while. */
  #go(status: NextStatus, afterMs?: number, then?: () => void): void {
    this.#cancelStep();
    this.#whenUnpaused = undefined;
    this.#whenTaken = undefined;
    this.#status = { name: status.name, detail: status.detail };
    if (afterMs !== undefined && then) this.#after(afterMs, then);
  }

  #after(afterMs: number, then: () => void): void {
    this.#cancelStep = this.#parts.clock.after(afterMs, () => {
      if (this.#isPaused) this.#whenUnpaused = then;
      else then();
    });
  }
}
