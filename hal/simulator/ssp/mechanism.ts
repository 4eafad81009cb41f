/**
 * The inside of a simulated SSP validator: where the one note is, which events are told of it, and
 * what hands, motors and power cuts do. It knows no bytes.
 * Source: ITL SSP manual GA138, event descriptions; cash-hardware.md 5.4, 5.5 and 13.
 */
import type { CancelTimer, Clock } from '#protocol/base/clock.ts';
import { type EventName, events as eventTable, type SspEvent } from '../../ssp/commands.ts';
import { type DeviceTruth, type Notes, SimulatorError } from '../device.ts';
import type { FaultSwitches } from '../faults.ts';
import { NotePlaces } from '../notes.ts';
import type { SspFaultName, SspTimings } from './faults.ts';

/** One channel of the dataset. */
export interface SspNote {
  readonly channel: number;
  /** ISO 4217. */
  readonly currency: string;
  readonly denomination: number;
}

/** What is not documented, or differs between firmware. */
export interface SspHabits {
  /** DISABLED is said in every answer while it lasts, as in the field; else once, by the manual. */
  readonly repeatsDisabled: boolean;
  /** STACKING is said until the note is in the cash box; else only its credit and STACKED are. */
  readonly saysStacking: boolean;
  /** E1 and E2 name the channel; else they say 0. */
  readonly knowsChannelAtPowerUp: boolean;
  /** E2 comes also for a note whose credit was told before the power went. */
  readonly clearsCreditedNotes: boolean;
  /** A credit that was not acknowledged is told again after a power cut. */
  readonly remembersCredit: boolean;
}

/** What a validator does that no one changed. */
export const SSP_HABITS: SspHabits = {
  repeatsDisabled: true,
  saysStacking: true,
  knowsChannelAtPowerUp: true,
  clearsCreditedNotes: true,
  remembersCredit: false,
};

type Place = 'path' | 'cashbox' | 'customer';
type Stage = 'reading' | 'escrow' | 'stacking' | 'rejecting';

/** The one note that can be inside, and how far it is. */
interface NoteInside {
  readonly denomination: number;
  readonly channel: number | undefined;
  stage: Stage;
  /** Its value was given in an answer: the next POLL accepts it. */
  isReported: boolean;
  /** Beyond what hands can reach: at power-up it goes to the cash box. */
  isPast: boolean;
  isCredited: boolean;
}

/** What the inside tells the outside. */
export interface SspMechanismParts {
  readonly clock: Clock;
  readonly timings: SspTimings;
  readonly notes: readonly SspNote[];
  readonly habits: SspHabits;
  readonly switches: FaultSwitches<SspFaultName>;
  /** It starts again: keys and sequence flag are forgotten. */
  readonly onRestart: () => void;
  /** The host did what it must not. */
  readonly onViolation: (words: string) => void;
}

/** Events that a host of an older protocol version is not told. Source: GA138, event tables. */
const MINIMUM_VERSION: Partial<Record<EventName, number>> = {
  clearedToCashbox: 5,
  clearedFromFront: 5,
  notePathOpen: 6,
  channelDisable: 7,
};

/** Reasons that the validator has by itself. Source: GA138, reject codes. */
const REJECTED = { unrecognised: 2, byHost: 8, disabled: 12, escrowTimeout: 19, noStack: 29 };

/** The inside of a validator. It is made switched on, just started, empty and disabled. */
export class SspMechanism {
  readonly #parts: SspMechanismParts;
  readonly #places = new NotePlaces<Place>();
  readonly #counters = { stacked: 0, rejected: 0 };
  #power: 'off' | 'starting' | 'initialising' | 'on' = 'on';
  #isEnabled: boolean = false;
  #inhibits = 0;
  #note: NoteInside | undefined;
  #jam: 'safeJam' | 'unsafeJam' | undefined;
  #isPathOpen: boolean = false;
  #isBoxIn: boolean = true;
  #isBoxFull: boolean = false;
  #rejectCode = 0;
  /** Events that are told once, oldest first. */
  #queue: SspEvent[];
  /** An answer that stays until EVENT ACK. */
  #owed: readonly SspEvent[] | undefined;
  #rememberedCredit: SspEvent | undefined;
  #cancelStep: CancelTimer = () => undefined;
  #cancelSilence: CancelTimer = () => undefined;

  constructor(parts: SspMechanismParts) {
    this.#parts = parts;
    this.#queue = [said('slaveReset'), said('disabled')];
  }

  /** Has power, and has started far enough to answer. */
  get isAnswering(): boolean {
    return this.#power === 'initialising' || this.#power === 'on';
  }

  get rejectCode(): number {
    return this.#rejectCode;
  }

  get counters(): { readonly stacked: number; readonly rejected: number } {
    return this.#counters;
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
    this.#cancelSilence();
  }

  // What the host wants

  /** A command was heard: silence begins anew. Source: GA138, Hold: 10 s. */
  hear(): void {
    this.#cancelSilence();
    this.#cancelSilence = this.#parts.clock.after(this.#parts.timings.silenceMs, () => {
      this.#shut();
      if (this.#isInEscrow()) this.#giveBack(REJECTED.escrowTimeout);
    });
  }

  /** What has happened. It accepts a note whose value was given before. */
  poll(withAck: boolean, protocolVersion: number): readonly SspEvent[] {
    if (withAck && this.#owed) return this.#owed;
    if (this.#isInEscrow() && this.#note?.isReported) this.#accept();
    const isTold = ({ name }: SspEvent) => protocolVersion >= (MINIMUM_VERSION[name] ?? 0);
    const answer = [...this.#queue, ...this.#standing(withAck)].filter(isTold);
    this.#queue = [];
    if (this.#note && this.#isInEscrow()) this.#note.isReported = true;
    if (withAck && answer.some(({ name }) => eventTable[name].ack)) this.#owed = answer;
    return answer;
  }

  /** EVENT ACK; false when nothing waits for it. */
  acknowledge(): boolean {
    const isOwed = this.#owed !== undefined;
    this.#owed = undefined;
    return isOwed;
  }

  /** HOLD; false when no note is in escrow. */
  hold(): boolean {
    return this.#isInEscrow();
  }

  /** REJECT; false when no note is in escrow. */
  reject(): boolean {
    if (!this.#isInEscrow()) return false;
    this.#giveBack(REJECTED.byHost);
    return true;
  }

  /** ENABLE; false when it cannot be. */
  enable(): boolean {
    if (this.#power !== 'on' || this.#isDisturbed()) return false;
    this.#isEnabled = true;
    return true;
  }

  disable(): void {
    if (this.#isInEscrow()) {
      this.#parts.onViolation('DISABLE while a note is in escrow: it is given back');
      this.#giveBack(REJECTED.disabled);
    }
    this.#shut();
  }

  /** A bit for each channel, from the lowest; set enables. */
  setInhibits(mask: number): void {
    this.#inhibits = mask;
    if (mask === 0) this.#queue.push(said('channelDisable'));
  }

  /** As after a power cut. */
  restart(): void {
    this.stop();
    if (this.#parts.habits.remembersCredit) {
      const untold = [...(this.#owed ?? []), ...this.#queue];
      this.#rememberedCredit ??= untold.find(({ name }) => name === 'credit');
    }
    this.#parts.onRestart();
    this.#isEnabled = false;
    this.#inhibits = 0;
    this.#queue = [];
    this.#owed = undefined;
    this.#power = 'starting';
    const { startMs, initialiseMs } = this.#parts.timings;
    this.#after(startMs, () => {
      this.#power = 'initialising';
      this.#after(initialiseMs, () => this.#started());
    });
  }

  // What hands and the world do

  insert(denomination: number): void {
    const why = this.#whyClosed();
    if (why) throw new SimulatorError('sequenceError', `the validator takes no note: ${why}`);
    const channel = this.#parts.notes.find((note) => note.denomination === denomination)?.channel;
    this.#note = {
      denomination,
      channel,
      stage: 'reading',
      isReported: false,
      isPast: false,
      isCredited: false,
    };
    this.#places.put('path', denomination);
    this.#after(this.#parts.timings.readMs, () => this.#judge());
  }

  power(on: boolean): void {
    if (on === (this.#power !== 'off')) return;
    this.restart();
    if (on) return;
    this.stop();
    this.#power = 'off';
  }

  /** Puts the cash box in or takes it out; gives what was emptied from it. */
  cashbox(present: boolean, empty: boolean): Notes {
    const removed = empty ? this.#places.takeAll('cashbox') : {};
    if (empty) this.#isBoxFull = false;
    const isChange = present !== this.#isBoxIn;
    this.#isBoxIn = present;
    if (!isChange || this.#power !== 'on') return removed;
    if (present) {
      this.#queue.push(said('cashboxReplaced'));
      return removed;
    }
    this.#shut();
    if (this.#note?.stage === 'stacking') {
      if (this.#note.isCredited) this.#jamIn('safeJam');
      else this.#giveBack(REJECTED.noStack);
    }
    return removed;
  }

  /** Hands clear a jam. The device says so until it is reset. */
  take(): void {
    if (!this.#jam) {
      throw new SimulatorError('sequenceError', 'there is nothing to take');
    }
    this.#letGo();
  }

  /** The path is opened, or closed. */
  openPath(isOpen: boolean): void {
    this.#isPathOpen = isOpen;
    if (isOpen) this.#shut();
    if (isOpen && this.#isInEscrow()) this.#giveBack(REJECTED.disabled);
  }

  // The way of a note

  #judge(): void {
    const { switches, clock } = this.#parts;
    const note = this.#note;
    if (!note) return;
    const reject = switches.strike('reject');
    const isInhibited = ((this.#inhibits >> ((note.channel ?? 1) - 1)) & 1) === 0;
    if (switches.strikes('jamAcceptor')) this.#jamIn('unsafeJam');
    else if (reject) this.#giveBack(reject.value ?? REJECTED.unrecognised);
    else if (note.channel === undefined) this.#giveBack(REJECTED.unrecognised);
    else if (isInhibited || !this.#isEnabled) this.#giveBack(REJECTED.disabled);
    else {
      note.stage = 'escrow';
      const lost = switches.strike('escrowLost');
      if (!lost) return;
      this.#cancelStep = clock.after(lost.value ?? 1000, () => {
        if (note.stage === 'escrow') this.#giveBack(REJECTED.escrowTimeout);
      });
    }
  }

  #accept(): void {
    const { switches, timings } = this.#parts;
    const note = this.#note;
    if (!note) return;
    note.stage = 'stacking';
    this.#after(timings.creditMs, () => {
      const isCut = switches.strikes('powerCutBeforeCredit');
      note.isPast = true;
      if (isCut) this.power(false);
      else if (switches.strikes('jamStacker')) this.#jamIn('safeJam');
      else if (switches.strikes('fraud')) this.#pulledBack(note);
      else {
        note.isCredited = true;
        this.#queue.push(said('credit', note.channel));
        this.#after(timings.stackMs, () => this.#stacked(note));
      }
    });
    if (switches.strikes('powerCutAtAccept')) this.power(false);
  }

  #stacked(note: NoteInside): void {
    this.#dropInBox(note);
    this.#queue.push(said('stacked'));
    if (!this.#parts.switches.strikes('stackerFull')) return;
    this.#isBoxFull = true;
    this.#queue.push(said('stackerFull'));
    this.#shut();
  }

  #pulledBack(note: NoteInside): void {
    this.#queue.push(said('fraudAttempt', note.channel));
    this.#letGo();
  }

  #giveBack(code: number): void {
    if (!this.#note) return;
    this.#rejectCode = code;
    this.#note.stage = 'rejecting';
    this.#after(this.#parts.timings.rejectMs, () => {
      this.#letGo();
      this.#counters.rejected++;
      this.#queue.push(said('rejected'));
    });
  }

  #jamIn(jam: 'safeJam' | 'unsafeJam'): void {
    this.#cancelStep();
    this.#jam = jam;
    this.#shut();
  }

  #dropInBox(note: NoteInside): void {
    this.#places.move('path', 'cashbox', note.denomination);
    this.#counters.stacked++;
    this.#note = undefined;
  }

  #letGo(): void {
    if (this.#note) this.#places.move('path', 'customer', this.#note.denomination);
    this.#note = undefined;
  }

  /** The start is over: what was inside has gone where its place tells. */
  #started(): void {
    this.#power = 'on';
    this.#queue = [said('slaveReset')];
    if (this.#rememberedCredit) this.#queue.push(this.#rememberedCredit);
    this.#rememberedCredit = undefined;
    const note = this.#note;
    if (this.#jam && !note) this.#jam = undefined;
    if (note && !this.#jam) this.#clear(note);
    if (this.#isBoxFull) this.#queue.push(said('stackerFull'));
    this.#queue.push(said('disabled'));
    this.hear();
  }

  #clear(note: NoteInside): void {
    const { knowsChannelAtPowerUp, clearsCreditedNotes } = this.#parts.habits;
    const channel = knowsChannelAtPowerUp ? (note.channel ?? 0) : 0;
    if (!note.isPast) {
      this.#letGo();
      this.#queue.push(said('clearedFromFront', channel));
      return;
    }
    this.#dropInBox(note);
    if (note.isCredited && !clearsCreditedNotes) return;
    this.#queue.push(said('clearedToCashbox', channel));
  }

  #shut(): void {
    if (this.#isEnabled) this.#queue.push(said('disabled'));
    this.#isEnabled = false;
  }

  /** While it starts it does nothing with a note but clear it. */
  #isInEscrow(): boolean {
    return this.#power === 'on' && this.#note?.stage === 'escrow';
  }

  #isDisturbed(): boolean {
    const isStuck = this.#jam !== undefined || this.#isPathOpen;
    return isStuck || !this.#isBoxIn || this.#isBoxFull;
  }

  #whyClosed(): string | undefined {
    if (this.#power !== 'on') return `it is ${this.#power}`;
    if (this.#note || this.#isDisturbed()) return 'it is not free';
    if (!this.#isEnabled || this.#inhibits === 0) return 'it is disabled';
    return this.#owed ? 'an event is not acknowledged' : undefined;
  }

  /** Events that are said in every answer while they last. */
  #standing(withAck: boolean): SspEvent[] {
    if (this.#power === 'initialising') return withAck ? [said('initialising')] : [];
    const isSaid = this.#queue.some(({ name }) => name === 'disabled');
    const repeatsDisabled = this.#parts.habits.repeatsDisabled && !this.#isEnabled && !isSaid;
    return [
      ...this.#noteNow(),
      ...(this.#jam ? [said(this.#jam)] : []),
      ...(this.#isPathOpen ? [said('notePathOpen')] : []),
      ...(this.#isBoxIn ? [] : [said('cashboxRemoved')]),
      ...(repeatsDisabled ? [said('disabled')] : []),
    ];
  }

  #noteNow(): SspEvent[] {
    if (!this.#note || this.#jam) return [];
    switch (this.#note.stage) {
      case 'reading':
        return [said('read', 0)];
      case 'escrow':
        return [said('read', this.#note.channel)];
      case 'stacking':
        return this.#parts.habits.saysStacking ? [said('stacking')] : [];
      case 'rejecting':
        return [said('rejecting')];
    }
  }

  #after(afterMs: number, then: () => void): void {
    this.#cancelStep();
    this.#cancelStep = this.#parts.clock.after(afterMs, then);
  }
}

function said(name: EventName, channel?: number): SspEvent {
  return { name, channel };
}
