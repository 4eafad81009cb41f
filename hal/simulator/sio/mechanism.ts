/**
 * The inside of a simulated SIO validator: where the one note is, and what is said of it. It knows
 * words and no bytes. Source: cash-hardware.md 5.8 and 13.
 */
import type { CancelTimer, Clock } from '#protocol/base/clock.ts';
import type { ReportName } from '../../sio/commands.ts';
import { type DeviceTruth, type Notes, SimulatorError } from '../device.ts';
import type { FaultSwitches } from '../faults.ts';
import { NotePlaces } from '../notes.ts';
import type { SioFaultName } from './faults.ts';

/** How long things take, in milliseconds. */
export interface SioTimings {
  /** From a command's byte to its echo. */
  readonly echoMs: number;
  /** From the slot to the value. */
  readonly readMs: number;
  readonly stackMs: number;
  readonly returnMs: number;
  /** A note in escrow goes back by itself after that, while the escrow time-out is on. */
  readonly escrowTimeoutMs: number;
  readonly bootMs: number;
}

/** Like a common model's. */
export const SIO_TIMINGS: SioTimings = {
  echoMs: 5,
  readMs: 900,
  stackMs: 1200,
  returnMs: 700,
  escrowTimeoutMs: 10_000,
  bootMs: 1000,
};

/** What no public source says of a device. */
export interface SioUndocumented {
  /** ENABLE ALL opens channels that were shut, too. */
  readonly enableAllOpensChannels: boolean;
  /** While it is busy with a note it hears ACCEPT and REJECT only. */
  readonly isDeafWhileBusy: boolean;
  /** It takes notes when it is switched on, before anything was said to it. */
  readonly isEnabledAtPowerUp: boolean;
}

/** What the inside is made of. */
export interface SioMechanismParts {
  readonly clock: Clock;
  readonly timings: SioTimings;
  /** Face values by channel, from 1. */
  readonly channels: readonly number[];
  readonly undocumented: SioUndocumented;
  readonly switches: FaultSwitches<SioFaultName>;
  /** Says a report or the channel of a note. */
  readonly say: (word: ReportName | number) => void;
  /** A fault has cut the power. */
  readonly onPowerCut: () => void;
}

interface NoteInside {
  readonly denomination: number;
  /** Undefined when it is no note of the dataset. */
  readonly channel: number | undefined;
  /** Past the point of no return. */
  isPast: boolean;
}

/** The inside of a validator, switched on and empty. */
export class SioMechanism {
  readonly #parts: SioMechanismParts;
  readonly #places = new NotePlaces<'path' | 'cashbox' | 'customer'>();
  readonly #shutChannels = new Set<number>();
  #isEnabled: boolean;
  #isEscrowOn: boolean = false;
  #isTimeoutOn: boolean = true;
  #isBoxIn: boolean = true;
  #isBoxFull: boolean = false;
  #isJammed: boolean = false;
  #isInEscrow: boolean = false;
  #note: NoteInside | undefined;
  #cancel: CancelTimer = () => undefined;

  constructor(parts: SioMechanismParts) {
    this.#parts = parts;
    this.#isEnabled = parts.undocumented.isEnabledAtPowerUp;
  }

  get isBusy(): boolean {
    return this.#note !== undefined;
  }

  get isInEscrow(): boolean {
    return this.#isInEscrow;
  }

  /** Where every note is. */
  truth(): DeviceTruth {
    const path = this.#places.in('path');
    const cashbox = this.#places.in('cashbox');
    return { units: {}, reject: {}, cashbox, path, customer: this.#places.in('customer') };
  }

  /** Ends its timer. */
  stop(): void {
    this.#cancel();
  }

  // What the host wants

  enable(isEnabled: boolean): void {
    this.#isEnabled = isEnabled;
    if (isEnabled && this.#parts.undocumented.enableAllOpensChannels) this.#shutChannels.clear();
  }

  setEscrow(isOn: boolean): void {
    this.#isEscrowOn = isOn;
  }

  setEscrowTimeout(isOn: boolean): void {
    this.#isTimeoutOn = isOn;
  }

  shut(channel: number, isShut: boolean): void {
    if (isShut) this.#shutChannels.add(channel);
    else this.#shutChannels.delete(channel);
  }

  /** The note in escrow goes to the cash box. */
  accept(): void {
    this.#isInEscrow = false;
    this.#stack(() => undefined);
  }

  /** It goes back. */
  giveBack(): void {
    this.#isInEscrow = false;
    this.#after(this.#parts.timings.returnMs, () => this.#letGo());
  }

  // What hands and the world do

  insert(denomination: number): void {
    if (!this.#isEnabled || !this.#isBoxIn || this.#isBoxFull || this.#note) {
      throw new SimulatorError('sequenceError', 'the validator takes no note now');
    }
    const { switches, say, channels, timings } = this.#parts;
    const at = channels.indexOf(denomination);
    const channel = denomination > 0 && at >= 0 ? at + 1 : undefined;
    this.#note = { denomination, channel, isPast: false };
    this.#places.put('path', denomination);
    if (switches.strikes('slow')) say('slow');
    if (!switches.strikes('loseBusy')) say('busy');
    this.#after(timings.readMs, () => this.#judge());
  }

  /** Hands take out what is jammed. */
  take(): void {
    if (!this.#isJammed) throw new SimulatorError('sequenceError', 'there is nothing to take');
    this.#isJammed = false;
    this.#letGo();
  }

  /** Puts the cash box in or takes it out; gives what was emptied from it. */
  cashbox(present: boolean, empty: boolean): Notes {
    this.#isBoxIn = present;
    if (empty) this.#isBoxFull = false;
    return empty ? this.#places.takeAll('cashbox') : {};
  }

  /** The power goes: everything stops where it is, and all settings are forgotten. */
  powerOff(): void {
    this.#cancel();
    this.#cancel = () => undefined;
    this.#isInEscrow = false;
    this.#isEscrowOn = false;
    this.#isTimeoutOn = true;
    this.#isEnabled = this.#parts.undocumented.isEnabledAtPowerUp;
    this.#shutChannels.clear();
  }

  /** It comes again: a note inside goes where its place tells, and nothing is said of it. */
  boot(): void {
    const note = this.#note;
    if (!note || this.#isJammed) return;
    this.#note = undefined;
    this.#places.move('path', note.isPast ? 'cashbox' : 'customer', note.denomination);
  }

  // The way of a note

  #judge(): void {
    const { switches, say, timings } = this.#parts;
    const channel = this.#note?.channel;
    const refusal = switches.strike('reject');
    const isShut = channel === undefined || this.#shutChannels.has(channel) || !this.#isEnabled;
    if (switches.strikes('takenToClearJam')) {
      say('noteTaken');
      this.#drop();
      this.#rest();
    } else if (refusal || isShut) {
      say(refusal?.value === 50 ? 'fraudChannel' : 'unrecognised');
      this.#after(timings.returnMs, () => this.#letGo());
    } else if (this.#isEscrowOn) this.#hold(channel);
    else {
      // Without escrow it is said when it is in the box, after NOT BUSY.
      this.#stack(() => this.#sayValue(channel));
    }
  }

  #hold(channel: number): void {
    const { switches, say, timings } = this.#parts;
    this.#isInEscrow = true;
    this.#sayValue(channel);
    const fault = switches.strike('abort');
    const limitMs = fault ? (fault.value ?? 500) : timings.escrowTimeoutMs;
    if (!fault && !this.#isTimeoutOn) return;
    this.#after(limitMs, () => {
      say('aborted');
      this.giveBack();
    });
  }

  #stack(then: () => void): void {
    const { switches, say, timings } = this.#parts;
    this.#after(timings.stackMs / 2, () => {
      if (switches.strikes('strimming')) {
        say('strimming');
        this.#letGo();
      } else if (switches.strikes('jam')) {
        this.#isJammed = true;
        say('stackerFull');
      } else if (this.#note) {
        this.#note.isPast = true;
        if (switches.strikes('powerCutInStacker')) this.#parts.onPowerCut();
        else {
          this.#after(timings.stackMs / 2, () => {
            this.#drop();
            this.#rest();
            then();
          });
        }
      }
    });
  }

  #sayValue(channel: number): void {
    if (!this.#parts.switches.strikes('loseValue')) this.#parts.say(channel);
  }

  #drop(): void {
    if (this.#note) this.#places.move('path', 'cashbox', this.#note.denomination);
    this.#note = undefined;
    if (!this.#parts.switches.strikes('stackerFull')) return;
    this.#isBoxFull = true;
    this.#parts.say('stackerFull');
  }

  #letGo(): void {
    if (this.#note) this.#places.move('path', 'customer', this.#note.denomination);
    this.#note = undefined;
    this.#rest();
  }

  #rest(): void {
    if (!this.#parts.switches.strikes('loseNotBusy')) this.#parts.say('notBusy');
  }

  #after(delayMs: number, task: () => void): void {
    this.#cancel();
    this.#cancel = this.#parts.clock.after(delayMs, task);
  }
}
