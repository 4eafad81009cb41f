/**
 * What holds for the one note inside of every validator that keeps it in escrow until a command
 * moves it, whatever the words of its protocol are: which command it is due, and what its end
 * proves. Pure. What counts as a credit is decided in the protocol's own dialogue.
 * Source: cash-hardware.md, appendix B.
 */
import type { MinorUnits } from '#protocol/base/money.ts';
import type { CashAcceptorEvent } from './cash-acceptor.ts';
import type { DecisionInput, NoteOutcome } from './decision.ts';

/** Most words of evidence kept for one note. */
const TRAIL_MAX = 32;

/** A note in escrow. */
export interface EscrowedNote {
  /** Undefined for a note of no configured kind: it was never announced and goes back. */
  readonly value: MinorUnits | undefined;
  /** The deposit command has left; it never leaves again for this note. */
  readonly stackSent: boolean;
  readonly returnSent: boolean;
  /** The device has said that it heard the return command; not every protocol has such a word. */
  readonly returnAcknowledged?: boolean;
  /** The device was seen giving it back. */
  readonly leaving: boolean;
}

/** What every dialogue keeps. */
export interface NoteState {
  readonly note: EscrowedNote | undefined;
  /** What the agent waits for. */
  readonly operation: 'none' | 'deposit' | 'return';
  /** Something was drawn in and announced. */
  readonly inserted: boolean;
  /**
   * `pending`: seen before service, not told yet. `reported`: told, once. `confirmed`: on disk.
   * It ends only when the next note is drawn in: no note is stacked without being seen in escrow,
   * so every word of a stacked note until then is the same credit, also across a power cut or a new
   * cable.
   */
  readonly credit: 'none' | 'pending' | 'reported' | 'confirmed';
  /** Evidence: what was sent and seen since the note came into escrow. */
  readonly trail: readonly string[];
}

/** The two commands that move a note. */
export type Move = 'stack' | 'return';

/** What can happen to it, beside what the device says. */
export type NoteInput =
  | DecisionInput
  /** The command has left. */
  | { readonly kind: 'sent'; readonly command: Move }
  /** The answer to it; whether that was a word of its own that it was heard. */
  | { readonly kind: 'answered'; readonly acknowledged: boolean; readonly evidence: string }
  /** The device is about to be made ready; where the note then goes, who does it says. */
  | { readonly kind: 'initialising' }
  | { readonly kind: 'creditTold' };

/** What is to be done about it. */
export type NoteEffect =
  | { readonly kind: 'tell'; readonly event: CashAcceptorEvent }
  /** What the agent waits for has ended. */
  | { readonly kind: 'ended'; readonly outcome: NoteOutcome }
  /** Let the command leave now, unless the note is gone by the time that the line is free. */
  | { readonly kind: 'send'; readonly command: Move };

/** A state and what is to be done. */
export interface Step<State, Effect = NoteEffect> {
  readonly state: State;
  readonly effects: readonly Effect[];
}

/** Nothing inside, nothing known. */
export const nothingInside: NoteState & { readonly note: undefined } = {
  note: undefined,
  operation: 'none',
  inserted: false,
  credit: 'none',
  trail: [],
};

/** A note that has just come to escrow. */
export const newNote = { stackSent: false, returnSent: false, leaving: false } as const;

/** Whether a note waits in escrow that was announced, and of which nothing is decided yet. */
export function isUndecided({ note, operation }: NoteState): boolean {
  return note?.value !== undefined && !note.stackSent && !note.returnSent && operation === 'none';
}

/** The next state, when it was not the device that said something. */
export function onNoteInput<State extends NoteState>(
  state: State,
  input: NoteInput,
  isInEscrow: boolean,
): Step<State> {
  switch (input.kind) {
    case 'deposit':
    case 'return':
      return withCommand({ ...state, operation: input.kind }, isInEscrow);
    case 'sent': {
      const isStack = input.command === 'stack';
      const change = isStack ? { stackSent: true } : { returnSent: true };
      return only(noted(withNote(state, change), `${input.command} sent`));
    }
    case 'answered': {
      const returnAcknowledged = input.acknowledged && state.note?.returnSent === true;
      return only(noted(withNote(state, { returnAcknowledged }), input.evidence));
    }
    case 'late':
      return onLate(noted(state, input.reason), isInEscrow);
    case 'gaveUp':
      return ended(noted(state, input.reason), 'unknown');
    case 'initialising':
      return only({ ...state, note: undefined, inserted: false });
    case 'creditTold':
      return only({ ...state, credit: state.credit === 'pending' ? 'reported' : state.credit });
  }
}

/**
 * The command that the note in escrow is due. Each leaves once: a lost deposit command is never
 * sent again, and a note whose deposit nobody waits for any more goes back.
 */
export function withCommand<State extends NoteState>(
  state: State,
  isInEscrow: boolean,
): Step<State> {
  const { note, operation } = state;
  if (!note || !isInEscrow || note.returnSent) return only(state);
  if (operation === 'deposit') {
    return note.stackSent ? only(state) : { state, effects: [{ kind: 'send', command: 'stack' }] };
  }
  const isOrphan = note.stackSent || note.value === undefined;
  if (operation === 'none' && !isOrphan) return only(state);
  return { state, effects: [{ kind: 'send', command: 'return' }] };
}

/** Whether a command may leave now: it is asked again at the last moment. */
export function mayLeave(
  { note, operation }: NoteState,
  isInEscrow: boolean,
  command: Move,
): boolean {
  if (!note || !isInEscrow || note.returnSent) return false;
  return command === 'return' || (!note.stackSent && operation === 'deposit');
}

/**
 * The deposit command was sent and the note still waits in escrow after all that time: the command
 * was lost, or had no effect. It is not repeated; the note is asked back, and what the device then
 * does is proof either way.
 */
function onLate<State extends NoteState>(state: State, isInEscrow: boolean): Step<State> {
  const { note, operation } = state;
  if (operation === 'deposit' && note?.stackSent && !note.returnSent && isInEscrow) {
    return { state, effects: [{ kind: 'send', command: 'return' }] };
  }
  return ended(state, 'unknown');
}

/** Another note than before has come to escrow; one of no known value goes back. */
export function onNewNote<State extends NoteState>(
  state: State,
  note: NonNullable<State['note']>,
  { words, isInEscrow }: { readonly words: string; readonly isInEscrow: (state: State) => boolean },
): Step<State> {
  const next: State = { ...state, note, inserted: true, credit: 'none', trail: [words] };
  const { effects } =
    note.value === undefined
      ? withCommand(next, isInEscrow(next))
      : { effects: [tell({ kind: 'note.escrowed', value: note.value })] };
  return {
    state: next,
    effects: state.inserted ? effects : [tell({ kind: 'note.inserted' }), ...effects],
  };
}

/** Something is drawn in; a credit of before is over with it. */
export function onAccepting<State extends NoteState>(
  before: State,
  inService: boolean,
  refusedCode: string,
): Step<State> {
  const { state, effects } = before.note ? onClear(before, refusedCode) : only(before);
  const next: State = { ...state, inserted: true, credit: 'none' };
  const isNews = inService && !state.inserted;
  return { state: next, effects: isNews ? [...effects, tell({ kind: 'note.inserted' })] : effects };
}

/**
 * No note is inside any more, and no credit came. Where the deposit command has left, only the
 * device's own word that the note went back is proof; where it never did, there was no other way.
 * `refusedCode` is told of a note that was never announced.
 */
export function onClear<State extends NoteState>(state: State, refusedCode: string): Step<State> {
  const { note, operation } = state;
  const clear: State = { ...state, note: undefined, inserted: false };
  if (!note) return only(clear);
  const isProven = note.leaving || note.returnAcknowledged === true || !note.stackSent;
  if (operation !== 'none') return ended(clear, isProven ? 'returned' : 'unknown');
  if (!isProven) return only(clear);
  const event: CashAcceptorEvent =
    note.value === undefined
      ? { kind: 'note.refused', reason: 'other', code: refusedCode }
      : { kind: 'note.returned' };
  return { state: clear, effects: [tell(event)] };
}

/** A state in which the note's whereabouts cannot be told. */
export function onDisturbed<State extends NoteState>(state: State): Step<State> {
  const { state: next, effects } = ended(state, 'unknown');
  return { state: { ...next, note: undefined, inserted: false }, effects };
}

/**
 * The device reports a credit that is not known yet; of which note, is the protocol's to say. One
 * of no known value is no deposit.
 */
export function onNewCredit<State extends NoteState>(
  state: State,
  value: MinorUnits | undefined,
  inService: boolean,
): Step<State> {
  const next: State = { ...state, credit: 'reported', note: undefined, inserted: false };
  if (value !== undefined && state.operation !== 'none') {
    const outcome = { kind: 'deposited', value, evidence: evidenceOf(state) } as const;
    return { state: { ...next, operation: 'none' }, effects: [{ kind: 'ended', outcome }] };
  }
  const { state: idle, effects } = ended(next, 'unknown');
  if (!inService) return { state: { ...idle, credit: 'pending' }, effects };
  return { state: idle, effects: [...effects, tell({ kind: 'credit.unexpected', value })] };
}

/** Whoever waits is told; nobody, when nobody does. */
export function ended<State extends NoteState>(
  state: State,
  kind: 'returned' | 'unknown',
): Step<State> {
  if (state.operation === 'none') return only(state);
  const outcome = { kind, evidence: evidenceOf(state) };
  return { state: { ...state, operation: 'none' }, effects: [{ kind: 'ended', outcome }] };
}

/** What was sent and seen, for a record. */
function evidenceOf({ trail }: NoteState): string {
  return trail.join('; ');
}

/** Changes what is known of the note, if there is one. */
export function withNote<State extends NoteState>(
  state: State,
  change: Partial<EscrowedNote>,
): State {
  return state.note ? { ...state, note: { ...state.note, ...change } } : state;
}

/** Adds to the evidence; the oldest words go first. */
export function noted<State extends { readonly trail: readonly string[] }>(
  state: State,
  words: string,
): State {
  return { ...state, trail: [...state.trail, words].slice(-TRAIL_MAX) };
}

/** Something for whoever listens. */
export function tell(event: CashAcceptorEvent): {
  readonly kind: 'tell';
  readonly event: CashAcceptorEvent;
} {
  return { kind: 'tell', event };
}

/** A state with nothing to be done. */
export function only<State>(state: State): Step<State, never> {
  return { state, effects: [] };
}
