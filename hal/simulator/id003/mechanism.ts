/**
 * The inside of a simulated ID-003 validator: where the one note is, which state is said of it, and
 * what hands, motors and power cuts do. It knows no bytes.
 * Source: JCM ID-003 protocol; cash-hardware.md 2.5 and 13.
 */
import type { CancelTimer, Clock } from '#protocol/base/clock.ts';
import type { CommandName, Id003Status } from '../../id003/commands.ts';
import { maskBit } from '../../id003/models.ts';
import { type DeviceTruth, type Notes, SimulatorError } from '../device.ts';
import type { FaultSwitches } from '../faults.ts';
import { NotePlaces } from '../notes.ts';

/** One line of the currency table. */
export interface Id003Note {
  readonly escrowCode: number;
  readonly country: number;
  readonly value: number;
  readonly exponent: number;
}

/** How long things take, in milliseconds. */
export interface Id003Timings {
  readonly replyMs: number;
  readonly initialiseMs: number;
  readonly acceptMs: number;
  /** From escrow until the note is past the point of no return. */
  readonly leverMs: number;
  /** From there until it lies in the cash box. */
  readonly stackMs: number;
  /** How long STACKED is shown. */
  readonly stackedMs: number;
  readonly returnMs: number;
  readonly rejectMs: number;
  /** A note in escrow goes back by itself after that. */
  readonly escrowTimeoutMs: number;
}

/** US layout: 61 = $1, 62 unused, up to 67 = $100. Source: cash-hardware.md 2.6. */
export const US_NOTES: readonly Id003Note[] = [
  { escrowCode: 0x61, country: 0x01, value: 1, exponent: 0 },
  { escrowCode: 0x62, country: 0x00, value: 0, exponent: 0 },
  { escrowCode: 0x63, country: 0x01, value: 5, exponent: 0 },
  { escrowCode: 0x64, country: 0x01, value: 1, exponent: 1 },
  { escrowCode: 0x65, country: 0x01, value: 2, exponent: 1 },
  { escrowCode: 0x66, country: 0x01, value: 5, exponent: 1 },
  { escrowCode: 0x67, country: 0x01, value: 1, exponent: 2 },
  { escrowCode: 0x68, country: 0x00, value: 0, exponent: 0 },
];

/** Like a common model's. */
export const ID003_TIMINGS: Id003Timings = {
  replyMs: 10,
  initialiseMs: 1500,
  acceptMs: 800,
  leverMs: 200,
  stackMs: 500,
  stackedMs: 300,
  returnMs: 700,
  rejectMs: 500,
  escrowTimeoutMs: 20_000,
};

/** The faults it can be given. */
export const id003Faults = {
  deaf: 'does not hear commands; value: only this command code',
  loseReply: 'carries commands out and loses the reply; value: only this command code',
  late: 'answers late; value: by so many ms, 400 when left out',
  badChecksum: 'answers with a wrong checksum',
  noise: 'answers with noise before the frame',
  duplicateReply: 'answers twice',
  communicationError: 'answers 4A and does nothing; value: only this command code',
  invalidCommand: 'answers 4B and does nothing; value: only this command code',
  reject: 'rejects the next note; value: the reason code, 71 hex when left out',
  jamAcceptor: 'the next note jams in the acceptor, until taken and reset',
  jamStacker: 'the next note jams on its way to the cash box, until taken and reset',
  stackerFull: 'the cash box is full after the next credit, until emptied and reset',
  cheat: 'the next note is pulled back while it is stacked',
  failure: 'fails now, until reset; value: the failure code, A2 hex when left out',
  pause: 'a second note blocks the slot now, until taken; value: or for so many ms',
  escrowTimeout: 'the next note is given back by itself; value: after so many ms in escrow',
  powerCutAtStack: 'the power goes just when STACK has been heard',
  powerCutBeforeCredit: 'the power goes while the note is past escrow, before its credit',
  powerCutAfterCredit: 'the power goes after the credit was said, before ACK',
} as const satisfies Record<string, string>;

/** A fault by name. */
export type Id003FaultName = keyof typeof id003Faults;
type Place = 'path' | 'cashbox' | 'customer';

/** The one note that can be inside, and how far it is. */
interface NoteInside {
  readonly denomination: number;
  readonly escrowCode: number | undefined;
  /** RESET gives it back from the acceptor, and puts it in the cash box from the stacker. */
  at: 'acceptor' | 'stacker';
  /** STACK-1: its credit was acknowledged while it was still on its way. */
  isCredited: boolean;
}

/** What the host can set. */
export type Id003Setting = Extract<CommandName, `set${string}`>;

/** Power-up defaults: all kinds of note enabled, poll mode, inhibited. */
const defaultSettings = (): Record<Id003Setting, readonly number[]> => ({
  setDenominations: [0, 0],
  setSecurity: [0, 0],
  setCommunicationMode: [0],
  setInhibit: [1],
  setDirection: [0],
  setOptionalFunction: [0, 0],
  setBarcodeFunction: [0, 0],
  setBarcodeInhibit: [0],
});

/** A state to go to. */
type NextStatus = { readonly name: Id003Status['name']; readonly detail?: number };

/** What the inside tells the outside. */
export interface Id003MechanismParts {
  readonly clock: Clock;
  readonly timings: Id003Timings;
  readonly notes: readonly Id003Note[];
  readonly creditAfterPowerUpInStacker: boolean;
  readonly switches: FaultSwitches<Id003FaultName>;
  /** Another state is said from now on. */
  readonly onNews: () => void;
  /** The host did what it must not. */
  readonly onViolation: (words: string) => void;
}

/** The inside of a validator. It is made switched on, in POWER UP, empty. */
export class Id003Mechanism {
  readonly #parts: Id003MechanismParts;
  readonly #places = new NotePlaces<Place>();
  #settings = defaultSettings();
  #isOn: boolean = true;
  #status: Id003Status = { name: 'powerUp', detail: undefined };
  #note: NoteInside | undefined;
  #jam: 'jamInAcceptor' | 'jamInStacker' | undefined;
  #isBoxIn: boolean = true;
  #isBoxFull: boolean = false;
  #isPaused: boolean = false;
  #whenUnpaused: (() => void) | undefined;
  /** A credit that was said and not acknowledged; remembered over a power cut. */
  #openCredit: boolean = false;
  #cancelStep: CancelTimer = () => undefined;
  #cancelPause: CancelTimer = () => undefined;

  constructor(parts: Id003MechanismParts) {
    this.#parts = parts;
  }

  /** The state that it says; undefined without power. */
  get status(): Id003Status | undefined {
    if (!this.#isOn) return undefined;
    return this.#isPaused ? { name: 'pause', detail: undefined } : this.#status;
  }

  get settings(): Readonly<Record<Id003Setting, readonly number[]>> {
    return this.#settings;
  }

  get isInEscrow(): boolean {
    const name = this.status?.name;
    return name === 'escrow' || name === 'holding';
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

  set(setting: Id003Setting, data: readonly number[]): void {
    const { name } = this.#status;
    const isQuiet = name === 'idling' || name === 'disabled';
    // INHIBIT in mid-note is lawful: that note is finished under the old setting.
    const isLawful = setting === 'setInhibit' && !name.startsWith('powerUp');
    if (!isQuiet && !isLawful && name !== 'initialising') {
      this.#parts.onViolation(`${setting} in state ${name}`);
    }
    this.#settings[setting] = data;
    if (isQuiet) this.#rest();
  }

  /** STACK-1 credits at the lever; STACK-2 and -3 when the note is in the cash box. */
  stack(when: 'atLever' | 'inBox'): void {
    const { leverMs, stackMs } = this.#parts.timings;
    this.#go({ name: 'stacking' }, leverMs, () => {
      if (this.#parts.switches.strikes('cheat')) {
        this.#letGo();
        this.#go({ name: 'cheated' });
        return;
      }
      if (this.#note) this.#note.at = 'stacker';
      if (this.#parts.switches.strikes('powerCutBeforeCredit')) this.power(false);
      else if (this.#parts.switches.strikes('jamStacker')) this.#jamIn('jamInStacker');
      else if (when === 'atLever') {
        this.#credit();
        this.#after(stackMs, () => this.#dropInBox());
      } else {
        this.#after(stackMs, () => {
          this.#dropInBox();
          this.#credit();
        });
      }
    });
    if (this.#parts.switches.strikes('powerCutAtStack')) this.power(false);
  }

  giveBack(): void {
    this.#go({ name: 'returning' }, this.#parts.timings.returnMs, () => this.#letGoAndRest());
  }

  hold(): void {
    this.#go({ name: 'holding' }, this.#parts.timings.escrowTimeoutMs, () => this.giveBack());
  }

  acknowledge(): void {
    if (this.#status.name.startsWith('powerUp')) return;
    if (this.#status.name !== 'vendValid') {
      this.#parts.onViolation(`ACK in state ${this.#status.name}`);
      return;
    }
    this.#openCredit = false;
    if (this.#parts.switches.strikes('stackerFull')) this.#isBoxFull = true;
    // With STACK-1 the note may still be on its way: STACKED is said from here on until it is in.
    if (this.#note) {
      this.#note.isCredited = true;
      this.#setStatus({ name: 'stacked' });
    } else this.#showStacked();
  }

  reset(): void {
    if (this.#openCredit && this.#status.name === 'vendValid') {
      this.#parts.onViolation('RESET before ACK of a VEND VALID: the credit is forgotten');
      this.#openCredit = false;
    }
    this.#initialise();
  }

  // What hands and the world do

  insert(denomination: number): void {
    const { status } = this;
    if (status?.name !== 'idling') {
      const words = status ? `in state ${status.name}` : 'without power';
      throw new SimulatorError('sequenceError', `the validator takes no note ${words}`);
    }
    const kind = this.#parts.notes.find(
      ({ country, value, exponent }) => country !== 0 && value * 10 ** exponent === denomination,
    );
    this.#note = { denomination, escrowCode: kind?.escrowCode, at: 'acceptor', isCredited: false };
    this.#places.put('path', denomination);
    this.#go({ name: 'accepting' }, this.#parts.timings.acceptMs, () => this.#judge());
  }

  power(on: boolean): void {
    if (on === this.#isOn) return;
    this.stop();
    this.#isOn = on;
    this.#isPaused = false;
    this.#whenUnpaused = undefined;
    if (!on) return;
    this.#settings = defaultSettings();
    const isRemembered = this.#parts.creditAfterPowerUpInStacker && this.#openCredit;
    const isInStacker = this.#note ? this.#note.at === 'stacker' : isRemembered;
    const otherwise = this.#note ? 'powerUpInAcceptor' : 'powerUp';
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
    if (isRefit) this.#initialise();
    // A credit that was not acknowledged yet is still said first.
    else if (isRemoval && this.#status.name !== 'vendValid') this.#go({ name: 'stackerOpen' });
    return removed;
  }

  /** Hands clear a jam, or take back the second note that blocks the slot. */
  take(): void {
    if (this.#isPaused) this.unpause();
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
    this.#parts.onNews();
    if (forMs === undefined) return;
    this.#cancelPause();
    this.#cancelPause = this.#parts.clock.after(forMs, () => this.unpause());
  }

  unpause(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#cancelPause();
    this.#parts.onNews();
    const next = this.#whenUnpaused;
    this.#whenUnpaused = undefined;
    next?.();
  }

  // The way of a note

  #judge(): void {
    const { switches, timings } = this.#parts;
    const escrowCode = this.#note?.escrowCode;
    const reject = switches.strike('reject');
    const bit = escrowCode === undefined ? undefined : maskBit(escrowCode);
    const [low = 0, high = 0] = this.#settings.setDenominations;
    if (switches.strikes('jamAcceptor')) this.#jamIn('jamInAcceptor');
    else if (reject) this.#reject(reject.value ?? 0x71);
    else if (escrowCode === undefined || bit === undefined) this.#reject(0x76);
    else if ((((high << 8) | low) >> bit) & 1) this.#reject(0x79);
    else {
      const limitMs = switches.strike('escrowTimeout')?.value ?? timings.escrowTimeoutMs;
      this.#go({ name: 'escrow', detail: escrowCode }, limitMs, () => this.giveBack());
    }
  }

  #reject(reason: number): void {
    const { rejectMs } = this.#parts.timings;
    this.#go({ name: 'rejecting', detail: reason }, rejectMs, () => this.#letGoAndRest());
  }

  #jamIn(jam: 'jamInAcceptor' | 'jamInStacker'): void {
    this.#jam = jam;
    this.#go({ name: jam });
  }

  #credit(): void {
    this.#openCredit = true;
    this.#go({ name: 'vendValid' });
  }

  #dropInBox(): void {
    const note = this.#note;
    if (note) this.#places.move('path', 'cashbox', note.denomination);
    this.#note = undefined;
    if (note?.isCredited && this.#status.name === 'stacked') {
      this.#after(this.#parts.timings.stackedMs, () => this.#rest());
    }
  }

  #showStacked(): void {
    this.#go({ name: 'stacked' }, this.#parts.timings.stackedMs, () => this.#rest());
  }

  #letGo(): void {
    if (this.#note) this.#places.move('path', 'customer', this.#note.denomination);
    this.#note = undefined;
  }

  #letGoAndRest(): void {
    this.#letGo();
    this.#rest();
  }

  /** Settings are forgotten. Half-way through, a note inside has gone where its place tells. */
  #initialise(): void {
    const halfMs = this.#parts.timings.initialiseMs / 2;
    this.#settings = defaultSettings();
    this.#isPaused = false;
    this.#go({ name: 'initialising' }, halfMs, () => {
      const isPast = this.#openCredit || this.#note?.at === 'stacker';
      if (this.#jam === undefined) {
        this.#openCredit = isPast && this.#parts.creditAfterPowerUpInStacker;
        if (this.#note?.at === 'stacker') this.#dropInBox();
        else this.#letGo();
      }
      this.#after(halfMs, () => {
        if (this.#openCredit && this.#jam === undefined) this.#credit();
        else this.#rest();
      });
    });
  }

  /** The state of rest: what is wrong first, else idling or disabled. */
  #rest(): void {
    if (this.#jam) this.#go({ name: this.#jam });
    else if (!this.#isBoxIn) this.#go({ name: 'stackerOpen' });
    else if (this.#isBoxFull) this.#go({ name: 'stackerFull' });
    else this.#go({ name: this.#settings.setInhibit[0] === 0 ? 'idling' : 'disabled' });
  }

  /** Goes to a state and on from there after a while. */
  #go(status: NextStatus, afterMs?: number, then?: () => void): void {
    this.#cancelStep();
    this.#whenUnpaused = undefined;
    this.#setStatus(status);
    if (afterMs !== undefined && then) this.#after(afterMs, then);
  }

  #after(afterMs: number, then: () => void): void {
    this.#cancelStep = this.#parts.clock.after(afterMs, () => {
      if (this.#isPaused) this.#whenUnpaused = then;
      else then();
    });
  }

  #setStatus(status: NextStatus): void {
    const isNew = this.#status.name !== status.name || this.#status.detail !== status.detail;
    this.#status = { name: status.name, detail: status.detail };
    if (isNew) this.#parts.onNews();
  }
}
