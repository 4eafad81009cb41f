/**
 * What is known of the one note inside a validator, what can happen to it, and what is to be done
 * about it. What follows from what is in `dialogue.ts`.
 */
import type { MinorUnits } from '#protocol/base/money.ts';
import type { CashAcceptorEvent } from '../cash-acceptor.ts';
import type { DecisionInput, NoteOutcome } from '../decision.ts';
import type { SspEvent } from './commands.ts';

/** An event, with the value of its channel in the configured currency. */
export interface ToldEvent extends SspEvent {
  readonly value: MinorUnits | undefined;
}

/** The note inside. */
export interface NoteInside {
  /** Undefined when it was found in escrow and its event went unheard. */
  readonly channel: number | undefined;
  /** Undefined for a note of no configured kind, and for one that was found. */
  readonly value: MinorUnits | undefined;
  /** A `note.escrowed` was told of it. */
  readonly announced: boolean;
  /** It waits: the next POLL accepts it. */
  readonly inEscrow: boolean;
  /** A POLL that accepts it has left. */
  readonly pollSent: boolean;
  readonly rejectSent: boolean;
  readonly rejectAcknowledged: boolean;
  /** The device was seen giving it back. */
  readonly leaving: boolean;
  /** It goes back, whoever asks. */
  readonly unwanted: boolean;
  readonly holds: number;
}

/** All that is known of the note inside and of its credit. */
export interface NoteDialogue {
  readonly note: NoteInside | undefined;
  /** What the agent waits for. */
  readonly operation: 'none' | 'deposit' | 'return';
  /** Notes drawn in so far: tells one from the next. */
  readonly notesRead: number;
  /** Something was drawn in and announced. */
  readonly inserted: boolean;
  /**
   * `pending`: heard before service, not told yet. `reported`: told, once. `confirmed`: on disk.
   * It ends only when the next note is drawn in: no note is accepted without having been read, so
   * every credit until then is the same one, also after a power cut or a new cable.
   */
  readonly credit: 'none' | 'pending' | 'reported' | 'confirmed';
  /** Value of a credit that is pending. */
  readonly creditValue: MinorUnits | undefined;
  /** Value of the last note that was in escrow, for a credit that names no channel. */
  readonly lastValue: MinorUnits | undefined;
  /** A note has gone and nobody knows where: the device's counters may still tell. */
  readonly doubt: boolean;
  /** How a note ended that nobody waited for, since `begin`. */
  readonly ended: 'none' | 'returned' | 'unknown';
  /** Something moves, or waits in escrow. */
  readonly busy: boolean;
  readonly quiet: number;
  /** An answer that the device repeats until EVENT ACK. */
  readonly owed: string | undefined;
  /** Evidence: what was sent and heard since the note came into escrow. */
  readonly trail: readonly string[];
}

/** What can happen. */
export type DialogueInput =
  | {
      readonly kind: 'polled';
      readonly events: readonly ToldEvent[];
      /** Notes and credits are announced only in service. */
      readonly inService: boolean;
      /** The poll was a POLL WITH ACK. */
      readonly acks: boolean;
    }
  /** The answer to HOLD: whether a note waits in escrow. */
  | { readonly kind: 'held'; readonly isHeld: boolean; readonly inService: boolean }
  | DecisionInput
  /** A note that waits in escrow goes back, for nobody wants it. */
  | { readonly kind: 'release' }
  | { readonly kind: 'pollSent' }
  | { readonly kind: 'rejectSent' }
  | {
      readonly kind: 'rejectAnswered';
      readonly answer: 'done' | 'refused';
    }
  /** What the counters prove of the note in doubt. */
  | {
      readonly kind: 'counted';
      readonly note: 'deposited' | 'returned' | 'unknown';
      readonly inService: boolean;
    }
  /** A time begins that `ended` is about. */
  | { readonly kind: 'begin' }
  | { readonly kind: 'creditTold' }
  | { readonly kind: 'creditConfirmed' }
  /** EVENT ACK was taken. */
  | { readonly kind: 'acknowledged' };

/** What is to be done about it. */
export type DialogueEffect =
  | { readonly kind: 'tell'; readonly event: CashAcceptorEvent }
  /** What the agent waits for has ended. */
  | { readonly kind: 'ended'; readonly outcome: NoteOutcome }
  /** Let the next poll leave now: it is the deposit. */
  | { readonly kind: 'poll' }
  | { readonly kind: 'reject' }
  /** A note was refused: ask why, and tell. */
  | { readonly kind: 'askWhy' }
  /** Send EVENT ACK. */
  | { readonly kind: 'acknowledge' };

/** A state and what is to be done. */
export interface DialogueStep {
  readonly state: NoteDialogue;
  readonly effects: readonly DialogueEffect[];
}

/** Nothing inside, nothing known. */
export const emptyDialogue: NoteDialogue = {
  note: undefined,
  operation: 'none',
  notesRead: 0,
  inserted: false,
  credit: 'none',
  creditValue: undefined,
  lastValue: undefined,
  doubt: false,
  ended: 'none',
  busy: false,
  quiet: 0,
  owed: undefined,
  trail: [],
};
