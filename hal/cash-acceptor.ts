/**
 * The bill validator as the agent sees it, in XFS4IoT's words: a note is escrowed, then deposited
 * or returned. `deposit` is final: the note is in the cash box. Nothing here names a brand.
 */
import type { DeviceError, RecordedChunk } from '#protocol/base/errors.ts';
import type { MinorUnits } from '#protocol/base/money.ts';
import type { Unsubscribe } from './port.ts';

/** Who the device says it is. */
export interface DeviceIdentity {
  readonly protocol: string;
  readonly model: string;
  readonly firmware: string;
  /** Undefined where the protocol has none. */
  readonly serialNumber: string | undefined;
}

/** What this device can do and prove; the agent asks these and never for the brand. */
export interface CashAcceptorCapabilities {
  /**
   * Notes stop in escrow until the host decides. Without it a note is in the cash box before the
   * host hears of it: `note.escrowed` then tells of the one note that the slot was opened for,
   * `deposit` and `returnNote` both end as `deposited`, and every other note is a
   * `credit.unexpected`. Such a device may be used under a small cap only.
   */
  readonly escrow: boolean;
  /** Escrow can be held for as long as the host wants. */
  readonly hold: boolean;
  /** The device repeats a credit until `confirmDeposit`, so a crash before it loses nothing. */
  readonly repeatsCredit: boolean;
  /** Lifetime counters that survive a power cut. */
  readonly counters: boolean;
  /** At power-up the device tells where a note was left. */
  readonly powerUpEvidence: boolean;
}

/** What the device said about a note left inside when it was last powered up. */
export type PowerUpEvidence =
  | 'none'
  /** Before the point of no return; initialising gives it back. */
  | 'noteInAcceptor'
  /** Past escrow; initialising puts it in the cash box. */
  | 'noteInStacker'
  /** A credit is being reported and was not confirmed yet. */
  | 'creditPending'
  | 'unknown';

/** Condition of the cash box. */
export type CashBoxStatus = 'ok' | 'full' | 'missing' | 'unknown';

/** The acceptor's condition, as last heard. */
export interface CashAcceptorStatus {
  /**
   * `offline`: does not answer. `attention`: answers, must be initialised first. `ready`: can work.
   * `fault`: answers, and cannot work until a person helped (see `fault`).
   */
  readonly device: 'offline' | 'attention' | 'ready' | 'fault';
  readonly cashBox: CashBoxStatus;
  readonly powerUp: PowerUpEvidence;
  /** The device's own word for what is wrong, with its code. */
  readonly fault: { readonly code: string; readonly text: string } | undefined;
}

/** Why the validator gave a note back by itself. */
export type RefuseReason =
  | 'inhibited'
  | 'unrecognised'
  | 'insertion'
  | 'multiple'
  | 'conveying'
  | 'length'
  | 'hardware'
  | 'other';

/** News from the acceptor. */
export type CashAcceptorEvent =
  | { readonly kind: 'status.changed'; readonly status: CashAcceptorStatus }
  /** Something is being drawn in. */
  | { readonly kind: 'note.inserted' }
  /** A note waits for `deposit` or `returnNote`. */
  | { readonly kind: 'note.escrowed'; readonly value: MinorUnits }
  /** The validator itself gave it back. `code` is the device's own. */
  | { readonly kind: 'note.refused'; readonly reason: RefuseReason; readonly code: string }
  /** An escrowed note went back without `returnNote`: escrow time-out, or reset. */
  | { readonly kind: 'note.returned' }
  /**
   * The device reports a credit that no `deposit` is waiting for. Journal it, then
   * `confirmDeposit`.
   * `value` is undefined when the device does not say and the driver does not know.
   */
  | { readonly kind: 'credit.unexpected'; readonly value: MinorUnits | undefined }
  /** A cheat or fraud attempt was sensed. */
  | { readonly kind: 'fraud.attempted'; readonly code: string }
  /** A fault with the last bytes on the port. */
  | { readonly kind: 'device.failed'; readonly error: DeviceError };

/** How a deposit ended. There is no other end, and it comes within the driver's own bound. */
export type DepositOutcome =
  | { readonly kind: 'deposited'; readonly value: MinorUnits; readonly evidence: string }
  | { readonly kind: 'returned'; readonly evidence: string }
  | { readonly kind: 'unknown'; readonly evidence: string };

/** How giving a note back ended. */
export type ReturnOutcome =
  | { readonly kind: 'returned'; readonly evidence: string }
  | { readonly kind: 'deposited'; readonly value: MinorUnits; readonly evidence: string }
  | { readonly kind: 'unknown'; readonly evidence: string };

/** Lifetime counters of a device with `counters`; they wrap. Plain JSON, to be kept on disk. */
export interface AcceptorBaseline {
  readonly stacked: number;
  readonly rejected: number;
}

/** What initialising did to a note that was left inside. */
export interface InitialiseOutcome {
  /** `ready` when the device can work now. */
  readonly device: CashAcceptorStatus['device'];
  /** `deposited` only on the device's own credit report, which waits for `confirmDeposit`. */
  readonly note: 'none' | 'returned' | 'deposited' | 'unknown';
  readonly evidence: string;
}

/**
 * A bill validator. One command is outstanding at a time; every promise settles in bounded
 * time.
 */
export interface CashAcceptor {
  readonly capabilities: CashAcceptorCapabilities;
  /** Note values the device can tell apart in the configured currency; known after `open`. */
  values(): readonly MinorUnits[];
  /** The condition as last heard. */
  status(): CashAcceptorStatus;
  /** Tells the listener of all news from now on. */
  subscribe(listener: (event: CashAcceptorEvent) => void): Unsubscribe;
  /**
   * Opens the port, identifies the device, reads what it says of a note left inside, and keeps in
   * touch from then on (also over unplug and replug). Moves no note; leaves it inhibited.
   * @throws DeviceError `timeOut` when nothing answers, `unsupportedCommand` for another device.
   */
  open(): Promise<DeviceIdentity>;
  /**
   * The counters as they were before the note that is inside, or before the next one: to be kept
   * with the intent to deposit it. Undefined, or absent, when the device cannot tell.
   */
  baseline?(): AcceptorBaseline | undefined;
  /**
   * Resets the device and waits until it is ready. Moves a note that was left inside. `since`: the
   * baseline kept with an intent that is open; a device with counters then tells what they prove.
   */
  initialise(since?: AcceptorBaseline): Promise<InitialiseOutcome>;
  /**
   * Accepts just these values from now on; none closes the slot. A note already drawn in is
   * finished under the old set, so the value must be checked again at escrow.
   * @throws DeviceError when the device did not confirm it.
   */
  accept(values: readonly MinorUnits[]): Promise<void>;
  /**
   * Puts the escrowed note in the cash box; the command is sent once. `sequenceError` without
   * one.
   */
  deposit(): Promise<DepositOutcome>;
  /** Tells the device that a credit is on our disk, where the protocol has such a word. */
  confirmDeposit(): Promise<void>;
  /** Gives the escrowed note back; the command is sent once. `sequenceError` without one. */
  returnNote(): Promise<ReturnOutcome>;
  /** The last chunks on its port, oldest first; absent where nobody keeps them. */
  recording?(): readonly RecordedChunk[];
  /** Settles everything that waits as `unknown` or `canceled`, and closes the port. */
  close(): Promise<void>;
}
