/**
 * What the inside of a simulated EBDS validator is described by: its notes, times and states, what
 * the host wants of it, and what differs between units. Source: cash-hardware.md 4.
 */

/** A note that the validator knows. */
export interface EbdsNote {
  /** Its line in the note table, from 1; up to 7 its channel too. */
  readonly index: number;
  /** ISO 4217. */
  readonly currency: string;
  readonly denomination: number;
}

/** How long things take, in milliseconds. */
export interface EbdsTimings {
  readonly replyMs: number;
  /** After a soft reset nothing is heard and nothing said for so long. */
  readonly resetMs: number;
  readonly initialiseMs: number;
  readonly acceptMs: number;
  /** From the stack bit until the note is past the point of no return. */
  readonly leverMs: number;
  /** From there until it lies in the cash box. */
  readonly stackMs: number;
  readonly returnMs: number;
  readonly rejectMs: number;
  /** A device that hears nothing for so long gives a note in escrow back, and shuts the slot. */
  readonly hostTimeoutMs: number;
}

/** Like a common model's. */
export const EBDS_TIMINGS: EbdsTimings = {
  replyMs: 10,
  resetMs: 1500,
  initialiseMs: 1500,
  acceptMs: 800,
  leverMs: 200,
  stackMs: 500,
  returnMs: 700,
  rejectMs: 500,
  hostTimeoutMs: 30_000,
};

/** What the host wants, as of the last command. */
export interface EbdsWishes {
  /** Which notes are taken. */
  readonly isEnabled: (note: EbdsNote) => boolean;
  /** Whether any note is drawn in at all. */
  readonly isOn: boolean;
  readonly escrow: boolean;
  /** Kept over a power cut; what it says is in `powerUpPolicies`. */
  readonly policy: keyof typeof powerUpPolicies;
}

/**
 * What becomes of a note when the power comes back. Source: cash-hardware.md 4.2; that one in
 * escrow goes back under A is not certain there.
 */
export const powerUpPolicies = {
  a: { holdsEscrow: false, reportsValue: false },
  b: { holdsEscrow: true, reportsValue: true },
  c: { holdsEscrow: true, reportsValue: false },
} as const;

/** What is said of the device, in one state at a time; `outOfService` is none of the seven bits. */
export type EbdsState =
  | 'idling'
  | 'accepting'
  | 'escrowed'
  | 'stacking'
  | 'returning'
  | 'outOfService';

/** Said in one reply only. `note` is what a credit names; undefined for a blank one. */
export type EbdsNews =
  | { readonly kind: 'stacked'; readonly note: EbdsNote | undefined }
  | { readonly kind: 'returned' | 'rejected' };

/** What is not documented, or differs between units. */
export interface EbdsSwitches {
  /**
   * Under power-up policy B a credit that was not told before the power cut is told after it, with
   * its value. Without it the note is stacked and "stacked" names none, as under A and C.
   */
  readonly reportsCreditAfterPowerUp: boolean;
  /** A note that is held after power-up shows as escrowed, and the host decides. */
  readonly showsHeldNote: boolean;
  /** A soft reset gives a note back that is not past escrow; else it is held, as after power-up. */
  readonly resetGivesBack: boolean;
  /** A jam that hands have cleared stays one until a soft reset. */
  readonly jamNeedsReset: boolean;
}

/** Conditions that have a bit of their own. */
export type EbdsCondition =
  | 'cheated'
  | 'jammed'
  | 'stackerFull'
  | 'cassetteAttached'
  | 'paused'
  | 'powerUp'
  | 'failure'
  | 'transportOpen'
  | 'stalled'
  | 'preStack';
