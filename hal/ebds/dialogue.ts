/**
 * What the device's replies mean for the one note inside: a pure function of state and input. Here
 * it is decided what is proven: a note is deposited on "stacked" with a value alone, and a credit
 * counts once. Source: cash-hardware.md 4.3, 4.6 and appendix B.
 */
import type { MinorUnits } from '#protocol/base/money.ts';
import {
  ended,
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
import { describeStatus, type EbdsStatus, flagCode, has } from './commands.ts';
import { disturbsNote } from './condition.ts';
import { isBlank } from './models.ts';

/** All that is known of the note inside and of its credit. */
export interface NoteDialogue extends NoteState {
  /** Value of the last note that was in escrow, for a credit that does not name one of ours. */
  readonly lastValue: MinorUnits | undefined;
  readonly lastStatus: EbdsStatus | undefined;
}

/** A status and what is known of it beside its bits. */
export interface StatusInput {
  readonly kind: 'status';
  readonly status: EbdsStatus;
  /** Notes and credits are announced only in service. */
  readonly inService: boolean;
  /** The device is being identified: a note in escrow is not described, events are told. */
  readonly isIdentifying: boolean;
  /** Whether the status names the note as this model does in service. */
  readonly isNamed: boolean;
  /** Value of the note that it names; undefined for one of no configured kind too. */
  readonly value: MinorUnits | undefined;
}

/** What can happen. */
export type DialogueInput = StatusInput | NoteInput | { readonly kind: 'creditConfirmed' };

/** What is to be done about it. */
export type DialogueEffect = NoteEffect;

/** A state and what is to be done. */
export type DialogueStep = Step<NoteDialogue>;

/** Nothing inside, nothing known. */
export const emptyDialogue: NoteDialogue = {
  ...nothingInside,
  lastValue: undefined,
  lastStatus: undefined,
};

/** What is said of a note that goes back and was never announced. */
const NEVER_ANNOUNCED = flagCode('escrowed');

/** The next state. */
export function advance(state: NoteDialogue, input: DialogueInput): DialogueStep {
  switch (input.kind) {
    case 'status':
      return onStatus(state, input);
    case 'creditConfirmed':
      return only({ ...state, credit: isUnconfirmed(state) ? 'confirmed' : state.credit });
    default:
      return onNoteInput(state, input, isInEscrow(state));
  }
}

/** Whether a credit is known that is not on disk yet: nothing may make the device forget it. */
export function isUnconfirmed({ credit }: NoteDialogue): boolean {
  return credit === 'pending' || credit === 'reported';
}

/** Whether a command may leave for the note that waits in escrow now. */
export function mayStillSend(state: NoteDialogue, command: Move): boolean {
  return mayLeave(state, isInEscrow(state), command);
}

/** One reply may say several things: first what became of a note, then where the next one is. */
const PARTS: readonly ((state: NoteDialogue, input: StatusInput) => DialogueStep)[] = [
  onStacked,
  onWentBack,
  onTrouble,
  onPosition,
];

function onStatus(before: NoteDialogue, input: StatusInput): DialogueStep {
  const { status } = input;
  const words = describeStatus(status);
  const isNew = before.lastStatus === undefined || describeStatus(before.lastStatus) !== words;
  let step: DialogueStep = only(isNew ? noted(before, words) : before);
  for (const part of PARTS) {
    const { state, effects } = part(step.state, input);
    step = { state, effects: [...step.effects, ...effects] };
  }
  return { ...step, state: { ...step.state, lastStatus: status } };
}

/**
 * The credit names the note itself, and that is its value; where it does not, it is that of the
 * note in escrow. Where escrow named another note, one is in the cash box and nobody can tell
 * which: no deposit, and a credit without a value.
 */
function onStacked(state: NoteDialogue, input: StatusInput): DialogueStep {
  const { status, inService, isNamed, value } = input;
  // Until the next note is drawn in, this is the credit that is known already.
  if (!has(status, 'stacked') || state.credit !== 'none') return only(state);
  const clear: NoteDialogue = { ...state, note: undefined, inserted: false };
  // Some devices say this after power-up or when the cash box is put back: it credits nothing.
  if (isBlank(status)) return ended(clear, 'unknown');
  const escrowed = state.note ? state.note.value : state.lastValue;
  const isOther = isNamed && state.note !== undefined && value !== escrowed;
  const named = isNamed ? value : escrowed;
  const worth = isOther ? undefined : named;
  return onNewCredit(state, worth, inService);
}

/** The device's own word that a note is out again; one that was never announced is refused. */
function onWentBack(state: NoteDialogue, { status, inService }: StatusInput): DialogueStep {
  const word = has(status, 'rejected') ? 'rejected' : 'returned';
  if (!has(status, word)) return only(state);
  const { note } = state;
  const clear: NoteDialogue = { ...state, note: undefined, inserted: false };
  if (state.operation !== 'none') return ended(clear, 'returned');
  if (!inService) return only(clear);
  if (note?.value !== undefined)
    return { state: clear, effects: [tell({ kind: 'note.returned' })] };
  const refused = { kind: 'note.refused', reason: 'other', code: flagCode(word) } as const;
  return { state: clear, effects: [tell(refused)] };
}

function onTrouble(state: NoteDialogue, { status }: StatusInput): DialogueStep {
  if (!disturbsNote(status)) return only(state);
  const { state: clear, effects } = onDisturbed(state);
  const before = state.lastStatus;
  const isCheat = has(status, 'cheated') && !(before && has(before, 'cheated'));
  if (!isCheat) return { state: clear, effects };
  const fraud = tell({ kind: 'fraud.attempted', code: flagCode('cheated') });
  return { state: clear, effects: [...effects, fraud] };
}

function onPosition(state: NoteDialogue, input: StatusInput): DialogueStep {
  const { status, isIdentifying } = input;
  // What comes after a credit is looked at once that credit is on disk; it is said again.
  if (isUnconfirmed(state) || isIdentifying || disturbsNote(status)) return only(state);
  if (has(status, 'escrowed')) return onEscrow(state, input);
  if (has(status, 'accepting')) return onAccepting(state, input.inService, NEVER_ANNOUNCED);
  if (has(status, 'returning')) return only(withNote(state, { leaving: true }));
  return has(status, 'idling') && !has(status, 'stacking')
    ? onClear(state, NEVER_ANNOUNCED)
    : only(state);
}

function onEscrow(before: NoteDialogue, input: StatusInput): DialogueStep {
  const { inService, isNamed, value, status } = input;
  const inEscrow: NoteDialogue = { ...before, lastStatus: status };
  const isSame = before.note && !before.note.leaving && (!isNamed || before.note.value === value);
  if (isSame) return withCommand(inEscrow, isInEscrow(inEscrow));
  // The answer to a command that is no poll: which note it is, the next poll tells.
  if (!isNamed) return only(inEscrow);
  const { state, effects } = before.note ? onClear(inEscrow, NEVER_ANNOUNCED) : only(inEscrow);
  if (!inService) return { state: { ...state, credit: 'none' }, effects };
  const note = { value, ...newNote };
  const words = describeStatus(status);
  const news = onNewNote({ ...state, lastValue: value }, note, { words, isInEscrow });
  return { state: news.state, effects: [...effects, ...news.effects] };
}

function isInEscrow({ lastStatus, note }: NoteDialogue): boolean {
  return lastStatus !== undefined && has(lastStatus, 'escrowed') && note?.leaving === false;
}
