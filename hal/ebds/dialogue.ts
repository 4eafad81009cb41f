/**
 * What the device's replies mean for the one note inside: a pure function of state and input. Here
 * it
 * is decided what is proven: a note is deposited on "stacked" with a value alone, and a credit
 * counts
 * once. Source: cash-hardware.md 4.3, 4.6 and appendix B.
 */
import type { MinorUnits } from '#protocol/base/money.ts';
import type { CashAcceptorEvent, DepositOutcome, ReturnOutcome } from '../cash-acceptor.ts';
import { describeStatus, type EbdsStatus, flagCode, has } from './commands.ts';
import { disturbsNote } from './condition.ts';
import { isBlank } from './models.ts';

/** Most words of evidence kept for one note. */
const TRAIL_MAX = 32;

/** A note in escrow. */
export interface EscrowedNote {
  /** Undefined for a note of no configured kind: it was never announced and goes back. */
  readonly value: MinorUnits | undefined;
  /** The stack bit has left; it never leaves again for this note. */
  readonly stackSent: boolean;
  readonly returnSent: boolean;
  /** The device was seen giving it back. */
  readonly leaving: boolean;
}

/** All that is known of the note inside and of its credit. */
export interface NoteDialogue {
  readonly note: EscrowedNote | undefined;
  /** What the agent waits for. */
  readonly operation: 'none' | 'deposit' | 'return';
  /** Something was drawn in and announced. */
  readonly inserted: boolean;
  /**
   * `pending`: seen before service, not told yet. `reported`: told, once. `confirmed`: on disk.
   * It ends only when the next note is drawn in: no note is stacked without being seen in escrow,
   * so every "stacked" until then is the same credit, also across a power cut or a new cable.
   */
  readonly credit: 'none' | 'pending' | 'reported' | 'confirmed';
  /** Value of the last note that was in escrow, for a credit that does not name one of ours. */
  readonly lastValue: MinorUnits | undefined;
  readonly lastStatus: EbdsStatus | undefined;
  /** Evidence: what was sent and seen since the note came into escrow. */
  readonly trail: readonly string[];
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
export type DialogueInput =
  | StatusInput
  | { readonly kind: 'deposit' }
  | { readonly kind: 'return' }
  | { readonly kind: 'stackSent' }
  | { readonly kind: 'returnSent' }
  /** What became of the command itself, for the evidence. */
  | { readonly kind: 'answered'; readonly evidence: string }
  /** The first bound has passed: a deposit that plainly did not begin may be undone. */
  | { readonly kind: 'late'; readonly reason: string }
  /** The device is out of touch, or the last bound has passed: who waits is told `unknown`. */
  | { readonly kind: 'gaveUp'; readonly reason: string }
  /** Initialising begins; it decides where the note goes, and who does it says so. */
  | { readonly kind: 'initialising' }
  | { readonly kind: 'creditTold' }
  | { readonly kind: 'creditConfirmed' };

/** What is to be done about it. */
export type DialogueEffect =
  | { readonly kind: 'tell'; readonly event: CashAcceptorEvent }
  | { readonly kind: 'depositEnded'; readonly outcome: DepositOutcome }
  | { readonly kind: 'returnEnded'; readonly outcome: ReturnOutcome }
  /** Let the command leave now, unless the note is gone by the time that the line is free. */
  | { readonly kind: 'send'; readonly command: 'stack' | 'return' };

/** A state and what is to be done. */
export interface DialogueStep {
  readonly state: NoteDialogue;
  readonly effects: readonly DialogueEffect[];
}

/** Nothing inside, nothing known. */
export const emptyDialogue: NoteDialogue = {
  note: undefined,
  operation: 'none',
  inserted: false,
  credit: 'none',
  lastValue: undefined,
  lastStatus: undefined,
  trail: [],
};

/** The next state. */
export function advance(state: NoteDialogue, input: DialogueInput): DialogueStep {
  switch (input.kind) {
    case 'status':
      return onStatus(state, input);
    case 'deposit':
    case 'return':
      return withCommand({ ...state, operation: input.kind });
    case 'stackSent':
      return only(noted(withNote(state, { stackSent: true }), 'stack sent'));
    case 'returnSent':
      return only(noted(withNote(state, { returnSent: true }), 'return sent'));
    case 'answered':
      return only(noted(state, input.evidence));
    case 'late':
      return onLate(noted(state, input.reason));
    case 'gaveUp':
      return ended(noted(state, input.reason), 'unknown');
    case 'initialising':
      return only({ ...state, note: undefined, inserted: false });
    case 'creditTold':
      return only({ ...state, credit: state.credit === 'pending' ? 'reported' : state.credit });
    case 'creditConfirmed':
      return only({ ...state, credit: isUnconfirmed(state) ? 'confirmed' : state.credit });
  }
}

/** What was sent and seen, for a record. */
export function evidenceOf(state: NoteDialogue): string {
  return state.trail.join('; ');
}

/** Whether a credit is known that is not on disk yet: nothing may make the device forget it. */
export function isUnconfirmed({ credit }: NoteDialogue): boolean {
  return credit === 'pending' || credit === 'reported';
}

/** Whether a command may leave for the note that waits in escrow now. */
export function mayStillSend(state: NoteDialogue, command: 'stack' | 'return'): boolean {
  const { note } = state;
  if (!note || !isInEscrow(state) || note.returnSent) return false;
  return command === 'return' || (!note.stackSent && state.operation === 'deposit');
}

/** One reply may say several things: first what became of a note, then where the next one is. */
const PARTS: readonly ((state: NoteDialogue, input: StatusInput) => DialogueStep)[] = [
  onStacked,
  onWentBack,
  onDisturbed,
  onPosition,
];

function onStatus(before: NoteDialogue, input: StatusInput): DialogueStep {
  const { status } = input;
  const words = describeStatus(status);
  const isNew = before.lastStatus === undefined || describeStatus(before.lastStatus) !== words;
  let step = only(isNew ? noted(before, words) : before);
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
  if (worth !== undefined && state.operation !== 'none') {
    const kind = state.operation === 'deposit' ? 'depositEnded' : 'returnEnded';
    const outcome = { kind: 'deposited', value: worth, evidence: evidenceOf(state) } as const;
    const credited: NoteDialogue = { ...clear, credit: 'reported', operation: 'none' };
    return { state: credited, effects: [{ kind, outcome }] };
  }
  const { state: idle, effects } = ended(clear, 'unknown');
  if (!inService) return { state: { ...idle, credit: 'pending' }, effects };
  const news = tell({ kind: 'credit.unexpected', value: worth });
  return { state: { ...idle, credit: 'reported' }, effects: [...effects, news] };
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

function onDisturbed(state: NoteDialogue, { status }: StatusInput): DialogueStep {
  if (!disturbsNote(status)) return only(state);
  const { state: next, effects } = ended(state, 'unknown');
  const clear: NoteDialogue = { ...next, note: undefined, inserted: false };
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
  if (has(status, 'accepting')) return onAccepting(state, input.inService);
  if (has(status, 'returning')) return only(withNote(state, { leaving: true }));
  return has(status, 'idling') && !has(status, 'stacking') ? onClear(state) : only(state);
}

function onAccepting(before: NoteDialogue, inService: boolean): DialogueStep {
  const { state, effects } = before.note ? onClear(before) : only(before);
  const next: NoteDialogue = { ...state, inserted: true, credit: 'none' };
  const isNews = inService && !state.inserted;
  return { state: next, effects: isNews ? [...effects, tell({ kind: 'note.inserted' })] : effects };
}

function onEscrow(before: NoteDialogue, input: StatusInput): DialogueStep {
  const { inService, isNamed, value, status } = input;
  const inEscrow: NoteDialogue = { ...before, lastStatus: status };
  const isSame = before.note && !before.note.leaving && (!isNamed || before.note.value === value);
  if (isSame) return withCommand(inEscrow);
  // The answer to a command that is no poll: which note it is, the next poll tells.
  if (!isNamed) return only(inEscrow);
  const { state, effects } = before.note ? onClear(inEscrow) : only(inEscrow);
  if (!inService) return { state: { ...state, credit: 'none' }, effects };
  const note = { value, stackSent: false, returnSent: false, leaving: false };
  const next: NoteDialogue = {
    ...state,
    note,
    inserted: true,
    credit: 'none',
    lastValue: value,
    trail: [describeStatus(status)],
  };
  const inserted: DialogueEffect[] = state.inserted ? [] : [tell({ kind: 'note.inserted' })];
  const news =
    value === undefined ? withCommand(next).effects : [tell({ kind: 'note.escrowed', value })];
  return { state: next, effects: [...effects, ...inserted, ...news] };
}

/**
 * The command that the note in escrow is due. Each leaves once: a lost stack bit is never sent
 * again,
 * and a note whose deposit nobody waits for any more goes back.
 */
function withCommand(state: NoteDialogue): DialogueStep {
  const { note, operation } = state;
  if (!note || !isInEscrow(state) || note.returnSent) return only(state);
  if (operation === 'deposit') {
    return note.stackSent ? only(state) : { state, effects: [{ kind: 'send', command: 'stack' }] };
  }
  const isOrphan = note.stackSent || note.value === undefined;
  if (operation === 'none' && !isOrphan) return only(state);
  return { state, effects: [{ kind: 'send', command: 'return' }] };
}

function isInEscrow({ lastStatus, note }: NoteDialogue): boolean {
  return lastStatus !== undefined && has(lastStatus, 'escrowed') && note?.leaving === false;
}

/**
 * The stack bit was sent and the device still says "escrowed" after all that time: the command had
 * no
 * effect. It is not repeated; the note is asked back, and what the device then does is proof.
 */
function onLate(state: NoteDialogue): DialogueStep {
  const { note, operation } = state;
  if (operation === 'deposit' && note?.stackSent && !note.returnSent && isInEscrow(state)) {
    return { state, effects: [{ kind: 'send', command: 'return' }] };
  }
  return ended(state, 'unknown');
}

/**
 * No note is inside any more, and nothing was said of it. Where the stack bit has left, only the
 * device's own word that the note went back is proof; where it never did, there was no other way.
 */
function onClear(state: NoteDialogue): DialogueStep {
  const { note, operation } = state;
  const clear: NoteDialogue = { ...state, note: undefined, inserted: false };
  if (!note) return only(clear);
  const isProven = note.leaving || !note.stackSent;
  if (operation !== 'none') return ended(clear, isProven ? 'returned' : 'unknown');
  if (!isProven) return only(clear);
  const event: CashAcceptorEvent =
    note.value === undefined
      ? { kind: 'note.refused', reason: 'other', code: flagCode('escrowed') }
      : { kind: 'note.returned' };
  return { state: clear, effects: [tell(event)] };
}

function ended(state: NoteDialogue, kind: 'returned' | 'unknown'): DialogueStep {
  if (state.operation === 'none') return only(state);
  const outcome = { kind, evidence: evidenceOf(state) };
  const effect: DialogueEffect =
    state.operation === 'deposit'
      ? { kind: 'depositEnded', outcome }
      : { kind: 'returnEnded', outcome };
  return { state: { ...state, operation: 'none' }, effects: [effect] };
}

function withNote(state: NoteDialogue, change: Partial<EscrowedNote>): NoteDialogue {
  return state.note ? { ...state, note: { ...state.note, ...change } } : state;
}

function noted(state: NoteDialogue, words: string): NoteDialogue {
  return { ...state, trail: [...state.trail, words].slice(-TRAIL_MAX) };
}

function tell(event: CashAcceptorEvent): DialogueEffect {
  return { kind: 'tell', event };
}

function only(state: NoteDialogue): DialogueStep {
  return { state, effects: [] };
}
