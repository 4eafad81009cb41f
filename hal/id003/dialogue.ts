/**
 * What the device's states mean for the one note inside: a pure function of state and input. Here
 * it is decided what is proven: a note is deposited on VEND VALID alone, and a credit counts once.
 * Source: cash-hardware.md 2.5 and appendix B.
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
import { describeStatus, type Id003Status, rejectReasons, statusCode } from './commands.ts';

/** A note in escrow. */
interface Id003Note extends EscrowedNote {
  readonly escrowCode: number | undefined;
}

/** All that is known of the note inside and of its credit. */
export interface NoteDialogue extends NoteState {
  readonly note: Id003Note | undefined;
  /** Value of the last note that was in escrow, for a credit that comes late. */
  readonly lastValue: MinorUnits | undefined;
  readonly lastStatus: Id003Status | undefined;
}

/** What can happen. */
export type DialogueInput =
  | {
      readonly kind: 'status';
      readonly status: Id003Status;
      /** Notes and credits are announced only in service. */
      readonly inService: boolean;
      /** Value of the note that an ESCROW names. */
      readonly value: MinorUnits | undefined;
    }
  | NoteInput
  | { readonly kind: 'creditConfirmed' };

/** What is to be done about it. */
export type DialogueEffect =
  | NoteEffect
  /** A confirmed credit is still being reported: the device has not heard ACK. */
  | { readonly kind: 'acknowledge' };

/** A state and what is to be done. */
export type DialogueStep = Step<NoteDialogue, DialogueEffect>;

/** Nothing inside, nothing known. */
export const emptyDialogue: NoteDialogue = {
  ...nothingInside,
  lastValue: undefined,
  lastStatus: undefined,
};

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

function onStatus(
  before: NoteDialogue,
  input: Extract<DialogueInput, { kind: 'status' }>,
): DialogueStep {
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
    case 'vendValid':
      return onCredit(state, input.inService);
    case 'rejecting':
    case 'returning':
      return onGoingBack(state, input, isNew);
    case 'idling':
    case 'disabled':
      return onClear(state, escrowCodeOf(state));
    case 'stacking':
    case 'pause':
      return only(state);
    case 'cheated':
      return also(onDisturbed(state), isNew && tell({ kind: 'fraud.attempted', code: '48' }));
    case 'stacked':
    case 'initialising':
    case 'powerUp':
    case 'powerUpInAcceptor':
    case 'powerUpInStacker':
    case 'stackerFull':
    case 'stackerOpen':
    case 'jamInAcceptor':
    case 'jamInStacker':
    case 'failure':
      return onDisturbed(state);
  }
}

function onEscrow(
  before: NoteDialogue,
  input: Extract<DialogueInput, { kind: 'status' }>,
): DialogueStep {
  const code = input.status.name === 'escrow' ? input.status.detail : before.note?.escrowCode;
  if (before.note && before.note.escrowCode === code && !before.note.leaving) {
    return withCommand(before, isInEscrow(before));
  }
  const { state, effects } = before.note ? onClear(before, escrowCodeOf(before)) : only(before);
  if (!input.inService) return { state, effects };
  const { value } = input;
  const note = { escrowCode: code, value, ...newNote };
  const words = describeStatus(input.status);
  const news = onNewNote({ ...state, lastValue: value }, note, { words, isInEscrow });
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

/** The credit does not name the note: it is the last one that was in escrow. */
function onCredit(state: NoteDialogue, inService: boolean): DialogueStep {
  if (state.credit === 'confirmed') return { state, effects: [{ kind: 'acknowledge' }] };
  if (state.credit !== 'none') return only(state);
  return onNewCredit(state, state.note ? state.note.value : state.lastValue, inService);
}

function onGoingBack(
  state: NoteDialogue,
  input: Extract<DialogueInput, { kind: 'status' }>,
  isNew: boolean,
): DialogueStep {
  if (state.note) return only(withNote(state, { leaving: true }));
  const { status } = input;
  if (status.name !== 'rejecting' || !input.inService || !isNew) return only(state);
  const reason = rejectReasons[status.detail ?? 0]?.reason ?? 'other';
  const event = { kind: 'note.refused', reason, code: statusCode(status) } as const;
  return { state: { ...state, inserted: false }, effects: [tell(event)] };
}

/** What is said of a note that goes back and was never announced. */
function escrowCodeOf({ note }: NoteDialogue): string {
  return statusCode({ name: 'escrow', detail: note?.escrowCode });
}

function onConfirmed(state: NoteDialogue): DialogueStep {
  if (state.credit !== 'pending' && state.credit !== 'reported') return only(state);
  const next: NoteDialogue = { ...state, credit: 'confirmed' };
  const isReported = state.lastStatus?.name === 'vendValid';
  return { state: next, effects: isReported ? [{ kind: 'acknowledge' }] : [] };
}

function same(one: Id003Status, other: Id003Status): boolean {
  return one.name === other.name && one.detail === other.detail;
}

function also(step: DialogueStep, effect: DialogueEffect | false): DialogueStep {
  return effect ? { state: step.state, effects: [...step.effects, effect] } : step;
}
