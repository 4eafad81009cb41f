/**
 * The cassette dispenser as the agent sees it, in XFS4IoT's words. Cash units are bays, known by
 * position; the dispenser never knows what denomination lies in one, unless it measures notes and
 * is told. Nothing here names a brand.
 */
import type { DeviceError, RecordedChunk } from '#protocol/base/errors.ts';
import type { Position } from '#protocol/base/ids.ts';
import type { MinorUnits } from '#protocol/base/money.ts';
import type { DeviceIdentity } from './cash-acceptor.ts';
import type { Unsubscribe } from './port.ts';

/** What this device can do and prove. */
export interface CashDispenserCapabilities {
  readonly positions: readonly Position[];
  /** Most notes that one command may ask for. */
  readonly batchMax: number;
  /** It can repeat the result of its last note-moving command. */
  readonly lastResult: boolean;
  /** It counts note-moving commands, so that a lost command is told from a lost answer. */
  readonly sequenceNumber: boolean;
  /** A test dispense goes to the reject tray and not to the slot. */
  readonly rejectTrayTest: boolean;
  /** It senses notes at the exit, and so their being taken. */
  readonly sensesExit: boolean;
}

/** Notes asked of one bay. */
export interface UnitCount {
  readonly position: Position;
  readonly count: number;
}

/** What lies in one bay. */
export interface UnitNotes {
  readonly position: Position;
  /** ISO 4217. */
  readonly currency: string;
  /** Face value of each of its notes. */
  readonly value: MinorUnits;
}

/** What one bay did in one command. */
export interface UnitResult {
  readonly position: Position;
  /** Notes that reached the customer. */
  readonly presented: number;
  /** Notes that went to the reject tray. */
  readonly rejected: number;
}

/** What is to be known before a command leaves, so that a lost answer can be judged later. */
export interface DispenseBaseline {
  /** The device's last result in its own bytes, hex; undefined where it has none. */
  readonly lastResultHex: string | undefined;
  readonly sequenceNumber: number | undefined;
}

/** A device's error word, and what its table says of it. */
export interface DispenseError {
  readonly code: string;
  readonly text: string;
  /** The counts hold in spite of it. */
  readonly countsTrusted: boolean;
  /** `doubtful`: notes of bays that were not asked may have moved, counted or not. */
  readonly otherBays?: 'doubtful';
}

/** How a note-moving command ended. */
export type DispenseOutcome =
  /** The device answered with counts, with or without an error. */
  | {
      readonly kind: 'answered';
      readonly units: readonly UnitResult[];
      readonly error: DispenseError | undefined;
      readonly evidence: string;
    }
  /** The device itself refused the command before it did anything. */
  | { readonly kind: 'notExecuted'; readonly evidence: string }
  /** No answer, or none that can be read: notes may have moved. */
  | { readonly kind: 'unknown'; readonly evidence: string };

/** What the device says of its last note-moving command. */
export interface LastResult {
  /** Its own bytes, hex, to be compared with a baseline. */
  readonly hex: string;
  /** Undefined when that command was no dispense, or the device knows of none. */
  readonly dispense:
    | { readonly units: readonly UnitResult[]; readonly error: DispenseError | undefined }
    | undefined;
}

/** The dispenser's condition, as it answers now. */
export interface CashDispenserStatus {
  readonly device: 'offline' | 'attention' | 'ready' | 'fault';
  /** Notes on the way inside. */
  readonly path: 'clear' | 'notes' | 'unknown';
  /** Notes at the exit that a person can reach. */
  readonly exit: 'clear' | 'notes' | 'unknown';
  readonly rejectTray: 'ok' | 'full' | 'missing' | 'unknown';
  readonly units: readonly {
    readonly position: Position;
    readonly status: 'ok' | 'low' | 'missing' | 'unknown';
    /**
     * What the unit reads off the cassette that stands there, in its own words: another word is
     * another cassette. Absent where it reads nothing, or nothing stands there.
     */
    readonly cassette?: string;
  }[];
  readonly fault: { readonly code: string; readonly text: string } | undefined;
}

/** News from the dispenser. */
export type CashDispenserEvent =
  | { readonly kind: 'status.changed'; readonly device: CashDispenserStatus['device'] }
  | { readonly kind: 'device.failed'; readonly error: DeviceError };

/** A cassette dispenser. One command at a time; every promise settles in bounded time. */
export interface CashDispenser {
  readonly capabilities: CashDispenserCapabilities;
  /** Tells the listener of all news from now on. */
  subscribe(listener: (event: CashDispenserEvent) => void): Unsubscribe;
  /**
   * Opens the port and identifies the model before anything that means different things on two
   * models is sent; keeps in touch from then on. Moves nothing.
   * @throws DeviceError `timeOut` when nothing answers, `unsupportedCommand` for another device.
   */
  open(): Promise<DeviceIdentity>;
  /**
   * Tells what all bays hold, where the device measures notes and has to know; absent where it does
   * not. Sends nothing. When it makes a difference to the device it has to be initialised again:
   * until then its `status` is not `ready`, and it hands out nothing.
   */
  setNotes?(notes: readonly UnitNotes[]): void;
  /** Whether the device can hand out such notes; absent where it takes any. Sends nothing. */
  holds?(notes: UnitNotes): boolean;
  /** Asks the device now; silence is `offline`. */
  status(): Promise<CashDispenserStatus>;
  /** Makes the device ready; may move notes from the path to the reject tray or to the exit. */
  initialise(): Promise<DispenseOutcome>;
  /** Reads what a lost answer will be judged by. Moves nothing. */
  baseline(): Promise<DispenseBaseline>;
  /** Hands out notes; the command is sent once, and a lost reply is `unknown`. */
  dispense(units: readonly UnitCount[]): Promise<DispenseOutcome>;
  /** The same to the reject tray where `rejectTrayTest`, else to the slot. */
  testDispense(units: readonly UnitCount[]): Promise<DispenseOutcome>;
  /** The device's memory of its last note-moving command; undefined without `lastResult`. */
  lastResult(): Promise<LastResult | undefined>;
  /** Waits until the exit is clear, at most `limitMs`; `notSensed` without `sensesExit`. */
  waitTaken(limitMs: number): Promise<'taken' | 'notTaken' | 'notSensed' | 'unknown'>;
  /** The last chunks on its port, oldest first; absent where nobody keeps them. */
  recording?(): readonly RecordedChunk[];
  /** Settles everything that waits as `unknown` or `canceled`, and closes the port. */
  close(): Promise<void>;
}
