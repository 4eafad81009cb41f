/**
 * What the device's states mean for the one note inside: a pure function of state and input. Here
 * it is decided what is proven: a note is deposited on BILL STACKED alone, and a credit counts
 * once. Source: cash-hardware.md 3.4, 3.5 and appendix B.
 */
import type { MinorUnits } from '#protocol/base/money.ts';
import {
  type EscrowedNote,
  type Move,
  mayLeave,
  type NoteEffect,
  type NoteInput,
  type NoteState,
  newNote,
  noted,
  nothingInside,
  onAccepting,
  onClear,
  onDisturbed,
  only,
  onNewCredit,
  onNewNote,
  onNoteInput,
  type Step,
  tell,
  withCommand,
  withNote,
} from '../escrowed-note.ts';
import { type CcnetStatus, describeStatus, rejectReasons, statusCode } from './commands.ts';

/** A note in escrow. */
interface CcnetNote extends EscrowedNote {
  /** Its line in the bill table; undefined when only HOLDING was heard of it. */
  readonly type: number | undefined;
}

/** All that is known of the note inside and of its credit. */
export interface NoteDialogue extends NoteState {
  readonly note: CcnetNote | undefined;
  readonly lastStatus: CcnetStatus | undefined;
}

/** What can happen. */
export type DialogueInput =
  | {
      readonly kind: 'status';
      readonly status: CcnetStatus;
      /** Notes and credits are announced only in service. */
      readonly inService: boolean;
      /** Value of the note that ESCROW or BILL STACKED names. */
      readonly value: MinorUnits | undefined;
    }
  | NoteInput
  | { readonly kind: 'creditConfirmed' };

/** What is to be done about it. */
export type DialogueEffect =
  | NoteEffect
  /** The credit is on disk, and BILL STACKED is the last that was heard: it is due its ACK. */
  | { readonly kind: 'acknowledge' };

/** A state and what is to be done. */
export type DialogueStep = Step<NoteDialogue, DialogueEffect>;

/** Nothing inside, nothing known. */
export const emptyDialogue: NoteDialogue = {
  ...nothingInside,
  lastStatus: undefined,
};

type StatusInput = Extract<DialogueInput, { kind: 'status' }>;

/** The next state. */
export function advance(state: NoteDialogue, input: DialogueInput): DialogueStep {
  switch (input.kind) {
    case 'status':
      return onStatus(state, input);
    case 'creditConfirmed':
      return onConfirmed(state);
    default:
      return onNoteInput(state, input, isInEscrow(state));
  }
}

function onStatus(before: NoteDialogue, input: StatusInput): DialogueStep {
  const { status } = input;
  const isNew = before.lastStatus === undefined || !same(before.lastStatus, status);
  const state = {
    ...(isNew ? noted(before, describeStatus(status)) : before),
    lastStatus: status,
  };
  switch (status.name) {
    case 'accepting':
      return onAccepting(state, input.inService, escrowCodeOf(state));
    case 'escrow':
    case 'holding':
      return onEscrow(state, input);
    case 'billStacked':
      return onCredit(state, input);
    case 'billReturned':
      return onReturned(state);
    case 'rejecting':
    case 'returning':
      return onGoingBack(state, input, isNew);
    case 'idling':
    case 'disabled':
      return onClear(state, escrowCodeOf(state));
    case 'stacking':
    case 'pause':
    case 'busy':
      return only(state);
    case 'cheated':
      return also(onDisturbed(state), isNew && tell({ kind: 'fraud.attempted', code: '45' }));
    case 'initialising':
    case 'powerUp':
    case 'powerUpInValidator':
    case 'powerUpInStacker':
    case 'cassetteFull':
    case 'cassetteRemoved':
    case 'jamInValidator':
    case 'jamInCassette':
    case 'failure':
      return onDisturbed(state);
  }
}

function onEscrow(before: NoteDialogue, input: StatusInput): DialogueStep {
  const type = input.status.name === 'escrow' ? input.status.detail : before.note?.type;
  if (before.note && before.note.type === type && !before.note.leaving) {
    return withCommand(before, isInEscrow(before));
  }
  const { state, effects } = before.note ? onClear(before, escrowCodeOf(before)) : only(before);
  if (!input.inService) return { state, effects };
  const note = { type, value: input.value, ...newNote };
  const news = onNewNote(state, note, { words: describeStatus(input.status), isInEscrow });
  return { state: news.state, effects: [...effects, ...news.effects] };
}

/** Whether a command may leave for the note that waits in escrow now. */
export function mayStillSend(state: NoteDialogue, command: Move): boolean {
  return mayLeave(state, isInEscrow(state), command);
}

function isInEscrow(state: NoteDialogue): boolean {
  const name = state.lastStatus?.name;
  return (name === 'escrow' || name === 'holding') && state.note?.leaving === false;
}

/**
 * The credit names the note's type itself, and that is its value. Where escrow named another
 * type, a note is in the cash box and nobody can tell which: no deposit, and a credit without a
 * value.
 */
function onCredit(state: NoteDialogue, input: StatusInput): DialogueStep {
  if (state.credit === 'confirmed') return { state, effects: [{ kind: 'acknowledge' }] };
  if (state.credit !== 'none') return only(state);
  const escrowedType = state.note?.type ?? input.status.detail;
  const value = escrowedType === input.status.detail ? input.value : undefined;
  return onNewCredit(state, value, input.inService);
}

/** The device's own word that the note is out again. */
function onReturned(state: NoteDialogue): DialogueStep {
  return onClear(withNote(state, { leaving: true }), escrowCodeOf(state));
}

function onGoingBack(state: NoteDialogue, input: StatusInput, isNew: boolean): DialogueStep {
  if (state.note) return only(withNote(state, { leaving: true }));
  const { status } = input;
  if (status.name !== 'rejecting' || !input.inService || !isNew) return only(state);
  const reason = rejectReasons[status.detail ?? 0]?.reason ?? 'other';
  const event = { kind: 'note.refused', reason, code: statusCode(status) } as const;
  return { state: { ...state, inserted: false }, effects: [tell(event)] };
}

/** What is said of a note that goes back and was never announced. */
function escrowCodeOf({ note }: NoteDialogue): string {
  return statusCode({ name: 'escrow', detail: note?.type });
}

function onConfirmed(state: NoteDialogue): DialogueStep {
  if (state.credit !== 'pending' && state.credit !== 'reported') return only(state);
  const next: NoteDialogue = { ...state, credit: 'confirmed' };
  const isReported = state.lastStatus?.name === 'billStacked';
  return { state: next, effects: isReported ? [{ kind: 'acknowledge' }] : [] };
}

function same(one: CcnetStatus, other: CcnetStatus): boolean {
  return one.name === other.name && one.detail === other.detail;
}

function also(step: DialogueStep, effect: DialogueEffect | false): DialogueStep {
  return effect ? { state: step.state, effects: [...step.effects, effect] } : step;
}
