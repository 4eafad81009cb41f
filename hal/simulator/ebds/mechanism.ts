/**
 * The inside of a simulated EBDS validator: where the one note is, which state is said of it, and
 * what hands, motors and power cuts do. It knows no bytes.
 * Source: cash-hardware.md 4.2, 4.3, 4.6 and 13.
 */
import type { CancelTimer, Clock } from '#protocol/base/clock.ts';
import { type DeviceTruth, type Notes, SimulatorError } from '../device.ts';
import type { FaultSwitches } from '../faults.ts';
import { NotePlaces } from '../notes.ts';
import type { EbdsFaultName } from './faults.ts';
import {
  type EbdsCondition,
  type EbdsNews,
  type EbdsNote,
  type EbdsState,
  type EbdsSwitches,
  type EbdsTimings,
  type EbdsWishes,
  powerUpPolicies,
} from './inside.ts';

/** What the inside tells the outside, and how it is built. */
export interface EbdsMechanismParts {
  readonly clock: Clock;
  readonly timings: EbdsTimings;
  readonly notes: readonly EbdsNote[];
  readonly switches: EbdsSwitches;
  readonly faults: FaultSwitches<EbdsFaultName>;
  /** Something that would be said has changed. */
  readonly onChange: () => void;
}

type Place = 'path' | 'cashbox' | 'customer';

/** The one note that can be inside, and how far it is. */
interface NoteInside {
  readonly denomination: number;
  readonly kind: EbdsNote | undefined;
  at: 'mouth' | 'escrow' | 'stacker';
}

const NO_WISHES: EbdsWishes = {
  isEnabled: () => false,
  isOn: false,
  escrow: true,
  policy: 'a',
};

/** The inside of a validator. It is made switched on and starting, empty. */
export class EbdsMechanism {
  readonly #parts: EbdsMechanismParts;
  readonly #places = new NotePlaces<Place>();
  #wishes = NO_WISHES;
  #isOn: boolean = true;
  #isStarting: boolean = false;
  #state: EbdsState = 'idling';
  #news: EbdsNews | undefined;
  #note: NoteInside | undefined;
  #isHeld: boolean = false;
  #isJammed: boolean = false;
  #isCheated: boolean = false;
  #isFailed: boolean = false;
  #isStalled: boolean = false;
  #isPathOpen: boolean = false;
  #isBoxIn: boolean = true;
  #isBoxFull: boolean = false;
  #isPaused: boolean = false;
  #whenUnpaused: (() => void) | undefined;
  #whenTaken: (() => void) | undefined;
  /** A credit whose note is in the box and that was not told; kept over a power cut. */
  #untold: EbdsNote | undefined;
  #isCreditSaid: boolean = false;
  #cancelStep: CancelTimer = () => undefined;
  #cancelPause: CancelTimer = () => undefined;

  constructor(parts: EbdsMechanismParts) {
    this.#parts = parts;
    this.#startThen({ holds: false });
  }

  get isOn(): boolean {
    return this.#isOn;
  }

  /** What is wrong hides where the note is. */
  get state(): EbdsState {
    const isWrong = this.#isJammed || this.#isFailed || this.#isStalled || this.#isPathOpen;
    const isBoxWrong = !this.#isBoxIn || this.#isBoxFull;
    const isHidden = this.#isHeld && !this.#parts.switches.showsHeldNote && !this.#isStarting;
    return isWrong || isBoxWrong || isHidden ? 'outOfService' : this.#state;
  }

  get news(): EbdsNews | undefined {
    return this.#news;
  }

  /** Everything else that is said in bits. */
  get conditions(): Readonly<Record<EbdsCondition, boolean>> {
    return {
      cheated: this.#isCheated,
      jammed: this.#isJammed,
      stackerFull: this.#isBoxFull,
      cassetteAttached: this.#isBoxIn,
      paused: this.#isPaused,
      powerUp: this.#isStarting,
      failure: this.#isFailed,
      transportOpen: this.#isPathOpen,
      stalled: this.#isStalled,
      preStack: this.state === 'stacking' && this.#note?.at === 'stacker',
    };
  }

  /** The note in escrow, if it shows. */
  get escrowed(): EbdsNote | undefined {
    return this.state === 'escrowed' ? this.#note?.kind : undefined;
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

  /** News was said in a reply: no other tells it again. */
  said(): void {
    if (this.#news?.kind === 'stacked') this.#isCreditSaid = true;
    this.#news = undefined;
    this.#isCheated = false;
  }

  /** A new command has come: so the reply to the last one was heard. */
  heard(): void {
    if (this.#isCreditSaid) this.#untold = undefined;
    this.#isCreditSaid = false;
  }

  want(wishes: EbdsWishes): void {
    this.#wishes = wishes;
  }

  stack(): void {
    const { faults, timings } = this.#parts;
    this.#isHeld = false;
    this.#go('stacking', timings.leverMs, () => {
      if (faults.strikes('cheat')) {
        this.#isCheated = true;
        this.#letGo('returned');
        return;
      }
      if (this.#note) this.#note.at = 'stacker';
      if (faults.strikes('powerCutBeforeCredit')) this.power(false);
      else if (faults.strikes('jamStacker')) this.#jam();
      else this.#after(timings.stackMs, () => this.#dropInBox({ isStarting: false }));
    });
    if (faults.strikes('powerCutAtStack')) this.power(false);
  }

  giveBack(): void {
    const { faults, timings } = this.#parts;
    this.#isHeld = false;
    if (this.#note) this.#note.at = 'mouth';
    const waits = faults.strikes('notTaken');
    const taken = () => this.#letGo('returned');
    this.#go('returning', waits ? undefined : timings.returnMs, taken);
    if (waits) this.#whenTaken = taken;
  }

  /** Starts again; what only a person can mend stays. */
  reset(): void {
    this.#isFailed = false;
    this.#isStalled = false;
    if (this.#isJammed && !this.#note) this.#isJammed = false;
    this.#forget();
    this.#startThen({ holds: !this.#parts.switches.resetGivesBack });
  }

  /** The host says nothing any more. */
  hostIsSilent(): void {
    this.#wishes = { ...this.#wishes, isOn: false };
    if (this.state === 'escrowed') this.giveBack();
  }

  // What hands and the world do

  insert(denomination: number): void {
    const isReady = this.#isOn && this.state === 'idling' && !this.#isStarting && !this.#isPaused;
    if (!isReady || !this.#wishes.isOn) {
      const shut = this.#wishes.isOn
        ? `while ${this.#isPaused ? 'paused' : this.state}`
        : 'disabled';
      const words = this.#isOn ? (this.#isStarting ? 'while it starts' : shut) : 'without power';
      throw new SimulatorError('sequenceError', `the validator takes no note: ${words}`);
    }
    const kind = this.#parts.notes.find((note) => note.denomination === denomination);
    this.#untold = undefined;
    this.#note = { denomination, kind, at: 'mouth' };
    this.#places.put('path', denomination);
    this.#go('accepting', this.#parts.timings.acceptMs, () => this.#judge());
  }

  power(on: boolean): void {
    if (on === this.#isOn) return;
    this.stop();
    this.#isOn = on;
    // A failure ends with the power, as it does with a soft reset.
    this.#isFailed = false;
    this.#isStalled = false;
    this.#forget();
    if (on) this.#startThen({ holds: powerUpPolicies[this.#wishes.policy].holdsEscrow });
  }

  /** Puts the cash box in or takes it out; gives what was emptied from it. */
  cashbox(present: boolean, empty: boolean): Notes {
    const removed = empty ? this.#places.takeAll('cashbox') : {};
    if (empty) this.#isBoxFull = false;
    const isRefit = present && !this.#isBoxIn;
    const isRemoval = !present && this.#isBoxIn;
    this.#isBoxIn = present;
    if (!this.#isOn) return removed;
    // The motors stop; with the box back, what was begun is ended.
    if (isRemoval) this.#cancelStep();
    else if (isRefit) this.#findNote({ holds: false });
    this.#parts.onChange();
    return removed;
  }

  /** Hands clear a jam, or take a note out of the slot or the path. */
  take(): void {
    if (this.#isPaused) this.unpause();
    else if (this.#whenTaken) this.#whenTaken();
    else if (this.#isJammed && this.#note) {
      this.#letGo(undefined);
      if (!this.#parts.switches.jamNeedsReset) this.#isJammed = false;
    } else if (this.#isHeld) {
      this.#isHeld = false;
      this.#letGo(undefined);
    } else throw new SimulatorError('sequenceError', 'there is nothing to take');
    this.#parts.onChange();
  }

  fail(): void {
    if (this.#isOn) this.#isFailed = true;
    this.#cancelStep();
    this.#parts.onChange();
  }

  stall(): void {
    if (this.#isOn) this.#isStalled = true;
    this.#cancelStep();
    this.#parts.onChange();
  }

  openPath(isOpen: boolean): void {
    const isShut = this.#isPathOpen && !isOpen;
    this.#isPathOpen = isOpen;
    if (isOpen) this.#cancelStep();
    else if (isShut && this.#isOn) this.#findNote({ holds: false });
    this.#parts.onChange();
  }

  pause(forMs: number | undefined): void {
    if (!this.#isOn) return;
    this.#isPaused = true;
    this.#parts.onChange();
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
    this.#parts.onChange();
  }

  /** "Stacked", of nothing. */
  sayBlank(): void {
    if (this.#isOn) this.#say({ kind: 'stacked', note: undefined });
  }

  // The way of a note

  #judge(): void {
    const { faults } = this.#parts;
    const kind = this.#note?.kind;
    const isTaken = kind !== undefined && this.#wishes.isOn && this.#wishes.isEnabled(kind);
    if (faults.strikes('jamAcceptor')) this.#jam();
    else if (faults.strikes('reject') || !isTaken) this.#reject();
    else {
      if (this.#note) this.#note.at = 'escrow';
      if (this.#wishes.escrow) this.#escrow();
      else this.stack();
    }
  }

  #escrow(): void {
    const timeout = this.#parts.faults.strike('escrowTimeout');
    this.#go('escrowed', timeout && (timeout.value ?? 10_000), () => this.giveBack());
  }

  #reject(): void {
    this.#go('returning', this.#parts.timings.rejectMs, () => this.#letGo('rejected'));
  }

  #jam(): void {
    this.#isJammed = true;
    this.#cancelStep();
    this.#parts.onChange();
  }

  #dropInBox({ isStarting }: { readonly isStarting: boolean }): void {
    const kind = this.#note?.kind;
    if (this.#note) this.#places.move('path', 'cashbox', this.#note.denomination);
    this.#note = undefined;
    this.#untold = kind;
    this.#isStarting = false;
    this.#go('idling');
    if (isStarting) this.#sayUntold();
    else this.#sayCredit(kind);
    if (this.#parts.faults.strikes('stackerFull')) this.#isBoxFull = true;
  }

  #sayCredit(kind: EbdsNote | undefined): void {
    const { faults, notes } = this.#parts;
    const other = faults.strike('otherNote');
    const isBlank = faults.strikes('noValue');
    const index = other && (other.value ?? 1);
    const named = other ? notes.find((note) => note.index === index) : kind;
    this.#say({ kind: 'stacked', note: isBlank ? undefined : named });
  }

  /** After power-up the policy decides whether a credit is told with its value. */
  #sayUntold(): void {
    if (!this.#untold) return;
    const { reportsValue } = powerUpPolicies[this.#wishes.policy];
    const isTold = reportsValue && this.#parts.switches.reportsCreditAfterPowerUp;
    this.#say({ kind: 'stacked', note: isTold ? this.#untold : undefined });
  }

  #letGo(news: 'returned' | 'rejected' | undefined): void {
    if (this.#note) this.#places.move('path', 'customer', this.#note.denomination);
    this.#note = undefined;
    this.#isStarting = false;
    this.#go('idling');
    if (news) this.#say({ kind: news });
  }

  #say(news: EbdsNews): void {
    // They exclude one another: of two that nobody asked for, the later one is told.
    this.#news = news;
    this.#parts.onChange();
  }

  #startThen(found: { readonly holds: boolean }): void {
    this.#isStarting = true;
    this.#go(this.#placeShown(), this.#parts.timings.initialiseMs, () => this.#findNote(found));
  }

  /** What is said of a note that was inside when the power came back. */
  #placeShown(): EbdsState {
    if (!this.#note) return 'idling';
    if (this.#note.at === 'stacker') return 'stacking';
    return this.#note.at === 'escrow' ? 'escrowed' : 'returning';
  }

  /** Ends what was begun with the note that is inside, if any. */
  #findNote({ holds }: { readonly holds: boolean }): void {
    const { timings } = this.#parts;
    const isStarting = this.#isStarting;
    const isBroken = this.#isJammed || this.#isFailed || this.#isStalled;
    if (isBroken || this.#isPathOpen || !this.#isBoxIn) {
      this.#isStarting = false;
      this.#go(this.#placeShown());
    } else if (!this.#note) {
      this.#isStarting = false;
      this.#go('idling');
      if (!this.#news && !this.#isCreditSaid) this.#sayUntold();
    } else if (this.#note.at === 'stacker') {
      this.#go('stacking', timings.stackMs, () => this.#dropInBox({ isStarting }));
    } else if (holds && this.#note.at === 'escrow') {
      this.#isStarting = false;
      this.#isHeld = true;
      this.#go('escrowed');
    } else this.giveBack();
  }

  /** What is kept in volatile memory. Which notes are described as enabled is the caller's. */
  #forget(): void {
    this.#wishes = { ...NO_WISHES, policy: this.#wishes.policy };
    this.#isPaused = false;
    this.#whenUnpaused = undefined;
    this.#whenTaken = undefined;
    this.#news = undefined;
    this.#isCreditSaid = false;
    this.#isCheated = false;
    this.#isHeld = false;
  }

  /** Goes to a state and on from there after a while. */
  #go(state: EbdsState, afterMs?: number, then?: () => void): void {
    this.#cancelStep();
    this.#whenUnpaused = undefined;
    this.#whenTaken = undefined;
    this.#state = state;
    this.#parts.onChange();
    if (afterMs !== undefined && then) this.#after(afterMs, then);
  }

  #after(afterMs: number, then: () => void): void {
    this.#cancelStep = this.#parts.clock.after(afterMs, () => {
      if (this.#isPaused) this.#whenUnpaused = then;
      else then();
    });
  }
}
