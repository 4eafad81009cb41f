/**
 * What the device's states mean for the one note inside: a pure function of state and input. Here
 * it is decided what is proven: a note is deposited on BILL STACKED alone, and a credit counts
 * once.
 * Source: cash-hardware.md 3.4, 3.5 and appendix B.
 */
import type { MinorUnits } from '#protocol/base/money.ts';
import type { CashAcceptorEvent, DepositOutcome, ReturnOutcome } from '../cash-acceptor.ts';
import { type CcnetStatus, describeStatus, rejectReasons, statusCode } from './commands.ts';

/** Most words of evidence kept for one note. */
const TRAIL_MAX = 32;

/** A note in escrow. */
export interface EscrowedNote {
  /** Its line in the bill table; undefined when only HOLDING was heard of it. */
  readonly type: number | undefined;
  /** Undefined for a note of no configured kind: it was never announced and goes back. */
  readonly value: MinorUnits | undefined;
  /** The deposit command has left; it never leaves again for this note. */
  readonly stackSent: boolean;
  readonly returnSent: boolean;
  readonly returnAcknowledged: boolean;
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
   * so every BILL STACKED until then is the same credit, also across a power cut or a new cable.
   */
  readonly credit: 'none' | 'pending' | 'reported' | 'confirmed';
  readonly lastStatus: CcnetStatus | undefined;
  /** Evidence: what was sent and seen since the note came into escrow. */
  readonly trail: readonly string[];
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
  | { readonly kind: 'deposit' }
  | { readonly kind: 'return' }
  | { readonly kind: 'stackSent' }
  | { readonly kind: 'returnSent' }
  /** The answer to STACK or RETURN. */
  | { readonly kind: 'answered'; readonly acknowledged: boolean; readonly evidence: string }
  /** The first bound has passed: a deposit that plainly did not begin may be undone. */
  | { readonly kind: 'late'; readonly reason: string }
  /** The device is out of touch, or the last bound has passed: who waits is told `unknown`. */
  | { readonly kind: 'gaveUp'; readonly reason: string }
  /** RESET is about to leave; it decides where the note goes, and who sent it says so. */
  | { readonly kind: 'reset' }
  | { readonly kind: 'creditTold' }
  | { readonly kind: 'creditConfirmed' };

/** What is to be done about it. */
export type DialogueEffect =
  | { readonly kind: 'tell'; readonly event: CashAcceptorEvent }
  | { readonly kind: 'depositEnded'; readonly outcome: DepositOutcome }
  | { readonly kind: 'returnEnded'; readonly outcome: ReturnOutcome }
  /** The credit is on disk, and BILL STACKED is the last that was heard: it is due its ACK. */
  | { readonly kind: 'acknowledge' }
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
  lastStatus: undefined,
  trail: [],
};

type StatusInput = Extract<DialogueInput, { kind: 'status' }>;

/** The next state. */
export function advance(state: NoteDialogue, input: DialogueInput): DialogueStep {
  switch (input.kind) {
    case 'status':
      return onStatus(state, input);
    case 'deposit':
    case 'return':
      return withCommand({ ...state, operation: input.kind });
    case 'stackSent':
      return only(noted(withNote(state, { stackSent: true }), 'STACK sent'));
    case 'returnSent':
      return only(noted(withNote(state, { returnSent: true }), 'RETURN sent'));
    case 'answered': {
      const returnAcknowledged = input.acknowledged && state.note?.returnSent === true;
      return only(noted(withNote(state, { returnAcknowledged }), input.evidence));
    }
    case 'late':
      return onLate(noted(state, input.reason));
    case 'gaveUp':
      return ended(noted(state, input.reason), 'unknown');
    case 'reset':
      return only({ ...state, note: undefined, inserted: false });
    case 'creditTold':
      return only({ ...state, credit: state.credit === 'pending' ? 'reported' : state.credit });
    case 'creditConfirmed':
      return onConfirmed(state);
  }
}

/** What was sent and seen, for a record. */
export function evidenceOf(state: NoteDialogue): string {
  return state.trail.join(', ');
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
      return onAccepting(state, input.inService);
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
      return onClear(state);
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

function onAccepting(before: NoteDialogue, inService: boolean): DialogueStep {
  const { state, effects } = before.note ? onClear(before) : only(before);
  const next: NoteDialogue = { ...state, inserted: true, credit: 'none' };
  const isNews = inService && !state.inserted;
  return { state: next, effects: isNews ? [...effects, tell({ kind: 'note.inserted' })] : effects };
}

function onEscrow(before: NoteDialogue, input: StatusInput): DialogueStep {
  const type = input.status.name === 'escrow' ? input.status.detail : before.note?.type;
  if (before.note && before.note.type === type && !before.note.leaving) return withCommand(before);
  const { state, effects } = before.note ? onClear(before) : only(before);
  if (!input.inService) return { state, effects };
  const { value } = input;
  const note = {
    type,
    value,
    stackSent: false,
    returnSent: false,
    returnAcknowledged: false,
    leaving: false,
  };
  const next: NoteDialogue = {
    ...state,
    note,
    inserted: true,
    credit: 'none',
    trail: [describeStatus(input.status)],
  };
  const inserted: DialogueEffect[] = state.inserted ? [] : [tell({ kind: 'note.inserted' })];
  const news =
    value === undefined ? withCommand(next).effects : [tell({ kind: 'note.escrowed', value })];
  return { state: next, effects: [...effects, ...inserted, ...news] };
}

/**
 * The command that the note in escrow is due. Each leaves once: a lost STACK is never sent again,
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

/** Whether a command may leave for the note that waits in escrow now. */
export function mayStillSend(state: NoteDialogue, command: 'stack' | 'return'): boolean {
  const { note } = state;
  if (!note || !isInEscrow(state) || note.returnSent) return false;
  return command === 'return' || (!note.stackSent && state.operation === 'deposit');
}

function isInEscrow(state: NoteDialogue): boolean {
  const name = state.lastStatus?.name;
  return (name === 'escrow' || name === 'holding') && state.note?.leaving === false;
}

/**
 * STACK was sent and the device still says ESCROW after all that time: the command was lost. It is
 * not repeated; the note is asked back, and the device's answer to that is proof either way.
 */
function onLate(state: NoteDialogue): DialogueStep {
  const { note, operation } = state;
  if (operation === 'deposit' && note?.stackSent && !note.returnSent && isInEscrow(state)) {
    return { state, effects: [{ kind: 'send', command: 'return' }] };
  }
  return ended(state, 'unknown');
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
  const next: NoteDialogue = { ...state, credit: 'reported', note: undefined, inserted: false };
  if (value !== undefined && state.operation !== 'none') {
    const outcome = { kind: 'deposited', value, evidence: evidenceOf(state) } as const;
    const kind = state.operation === 'deposit' ? 'depositEnded' : 'returnEnded';
    return { state: { ...next, operation: 'none' }, effects: [{ kind, outcome }] };
  }
  const { state: idle, effects } = ended(next, 'unknown');
  if (!input.inService) return { state: { ...idle, credit: 'pending' }, effects };
  return { state: idle, effects: [...effects, tell({ kind: 'credit.unexpected', value })] };
}

/** The device's own word that the note is out again. */
function onReturned(state: NoteDialogue): DialogueStep {
  return onClear(withNote(state, { leaving: true }));
}

function onGoingBack(state: NoteDialogue, input: StatusInput, isNew: boolean): DialogueStep {
  if (state.note) return only(withNote(state, { leaving: true }));
  const { status } = input;
  if (status.name !== 'rejecting' || !input.inService || !isNew) return only(state);
  const reason = rejectReasons[status.detail ?? 0]?.reason ?? 'other';
  const event = { kind: 'note.refused', reason, code: statusCode(status) } as const;
  return { state: { ...state, inserted: false }, effects: [tell(event)] };
}

/**
 * No note is inside any more, and no credit came. Where the deposit command has left, only the
 * device's own word that the note went back is proof; where it never did, there was no other way.
 */
function onClear(state: NoteDialogue): DialogueStep {
  const { note, operation } = state;
  const clear: NoteDialogue = { ...state, note: undefined, inserted: false };
  if (!note) return only(clear);
  const isProven = note.leaving || note.returnAcknowledged || !note.stackSent;
  if (operation !== 'none') return ended(clear, isProven ? 'returned' : 'unknown');
  if (!isProven) return only(clear);
  const event: CashAcceptorEvent =
    note.value === undefined
      ? { kind: 'note.refused', reason: 'other', code: escrowCodeOf(note) }
      : { kind: 'note.returned' };
  return { state: clear, effects: [tell(event)] };
}

function escrowCodeOf(note: EscrowedNote): string {
  return statusCode({ name: 'escrow', detail: note.type });
}

/** A state in which the note's whereabouts cannot be told. */
function onDisturbed(state: NoteDialogue): DialogueStep {
  const { state: next, effects } = ended(state, 'unknown');
  return { state: { ...next, note: undefined, inserted: false }, effects };
}

function onConfirmed(state: NoteDialogue): DialogueStep {
  if (state.credit !== 'pending' && state.credit !== 'reported') return only(state);
  const next: NoteDialogue = { ...state, credit: 'confirmed' };
  const isReported = state.lastStatus?.name === 'billStacked';
  return { state: next, effects: isReported ? [{ kind: 'acknowledge' }] : [] };
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

function same(one: CcnetStatus, other: CcnetStatus): boolean {
  return one.name === other.name && one.detail === other.detail;
}

function tell(event: CashAcceptorEvent): DialogueEffect {
  return { kind: 'tell', event };
}

function only(state: NoteDialogue): DialogueStep {
  return { state, effects: [] };
}

function also(step: DialogueStep, effect: DialogueEffect | false): DialogueStep {
  return effect ? { state: step.state, effects: [...step.effects, effect] } : step;
}
