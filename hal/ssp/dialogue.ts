/**
 * What the device's events mean for the one note inside: a pure function of state and input. Here
 * it is decided what is proven, and whether a poll may leave: a POLL accepts a note that waits in
 * escrow, so none leaves while one waits that nobody has decided to deposit.
 * Source: GA138, Read, Note Credit, Hold, Poll With Ack; cash-hardware.md 5.5 and appendix B.
 */
import type { MinorUnits } from '#protocol/base/money.ts';
import type { CashAcceptorEvent } from '../cash-acceptor.ts';
import { noted, only, tell } from '../escrowed-note.ts';
import { describeEvent, type EventName, events as eventTable, type SspEvent } from './commands.ts';
import type {
  DialogueEffect,
  DialogueInput,
  DialogueStep,
  NoteDialogue,
  NoteInside,
  ToldEvent,
} from './inside.ts';

/**
 * Polls in a row that tell nothing of a note before it is taken to be gone: 2 s. Its end was then
 * told in an answer that was lost.
 */
const QUIET_MAX = 10;
/** HOLDs after which a note that nobody decides about goes back: three minutes. */
const HOLDS_MAX = 450;

/** Whether a POLL may leave: it accepts a note that waits in escrow. */
export function mayPoll({ note, operation }: NoteDialogue): boolean {
  if (!note?.inEscrow) return true;
  return operation === 'deposit' && !note.rejectSent && !note.unwanted;
}

/** Whether REJECT may leave for the note that waits in escrow. */
export function mayReject({ note }: NoteDialogue): boolean {
  return note?.inEscrow === true && !note.rejectSent;
}

/** What was sent and heard, for a record. */
export function evidenceOf(state: NoteDialogue): string {
  return state.trail.join(', ');
}

/** The next state. */
export function advance(state: NoteDialogue, input: DialogueInput): DialogueStep {
  switch (input.kind) {
    case 'polled':
      return onPolled(state, input);
    case 'held':
      return onHeld(state, input.isHeld, input.inService);
    case 'deposit':
    case 'return':
      return withCommand({ ...state, operation: input.kind }, true);
    case 'release':
      return withCommand(withNote(state, { unwanted: true }), true);
    case 'pollSent':
      return only(noted(withNote(state, { pollSent: true }), 'POLL sent'));
    case 'rejectSent':
      return only(noted(withNote(state, { rejectSent: true }), 'REJECT sent'));
    case 'rejectAnswered':
      return onRejectAnswered(state, input.answer);
    case 'late':
      return onLate(noted(state, input.reason));
    case 'gaveUp':
      return onGaveUp(noted(state, input.reason));
    case 'counted':
      return onCounted(state, input.note, input.inService);
    case 'begin':
      return only({ ...state, ended: 'none' });
    case 'creditTold':
      return only({ ...state, credit: state.credit === 'pending' ? 'reported' : state.credit });
    case 'creditConfirmed':
      return onConfirmed(state);
    case 'acknowledged':
      return only({ ...state, owed: undefined });
  }
}

/** Whether this is the answer that the device repeats until EVENT ACK, and so is no news. */
export function isRepeated({ owed }: NoteDialogue, events: readonly SspEvent[]): boolean {
  return owed !== undefined && owed === wordsOf(events);
}

type Polled = Extract<DialogueInput, { kind: 'polled' }>;

/**
 * Something moves inside while one of these is said. A credit that is repeated until EVENT ACK is
 * among them, so that whoever wants to change the slot waits until it is confirmed.
 */
const MOTION: ReadonlySet<EventName> = new Set([
  'read',
  'stacking',
  'rejecting',
  'initialising',
  'credit',
]);

/** Where the note is cannot be told any more once one of these was said. */
const DISTURBANCE: ReadonlySet<EventName> = new Set([
  'slaveReset',
  'safeJam',
  'unsafeJam',
  'fraudAttempt',
]);

function onPolled(before: NoteDialogue, input: Polled): DialogueStep {
  const { events, inService, acks } = input;
  const words = wordsOf(events);
  if (isRepeated(before, events)) {
    return { state: before, effects: before.credit === 'confirmed' ? [ACKNOWLEDGE] : [] };
  }
  const busy = events.some(({ name }) => MOTION.has(name));
  const isNew = words !== '' && before.trail.at(-1) !== words;
  let step: DialogueStep = only({ ...(isNew ? noted(before, words) : before), busy });
  for (const event of events) step = then(step, (state) => onEvent(state, event, inService));
  if (events.some(({ name }) => DISTURBANCE.has(name))) step = then(step, onDisturbed);
  else step = then(step, (state) => onQuiet(state, busy, inService));
  if (acks && events.some(({ name }) => eventTable[name].ack)) {
    step = then(step, (state) => onOwed(state, words, inService));
  }
  return then(step, (state) => withCommand(state, inService));
}

function onEvent(state: NoteDialogue, event: ToldEvent, inService: boolean): DialogueStep {
  switch (event.name) {
    case 'read':
      return event.channel === 0
        ? onReading(state, inService)
        : onEscrow(state, event, inService, describeEvent(event));
    case 'stacking':
      return only(withNote(state, { inEscrow: false }));
    case 'credit':
    case 'clearedToCashbox':
      return onCredit(state, event.value ?? state.note?.value ?? state.lastValue, inService);
    case 'rejecting':
      return only(withNote(state, { inEscrow: false, leaving: true }));
    case 'rejected':
      if (state.note || state.operation !== 'none') return onReturned(state, inService);
      return {
        state: { ...state, inserted: false },
        effects: inService ? [{ kind: 'askWhy' }] : [],
      };
    case 'clearedFromFront':
      return onReturned(state, inService);
    case 'stacked':
      return onGone(state, false, inService);
    case 'fraudAttempt':
      return { state, effects: [tell({ kind: 'fraud.attempted', code: 'E6' })] };
    default:
      return only(state);
  }
}

function onReading(before: NoteDialogue, inService: boolean): DialogueStep {
  const { state, effects } = before.note ? onClear(before, inService) : only(before);
  const isNews = inService && !state.inserted;
  return {
    state: { ...forNextNote(state), inserted: true },
    effects: isNews ? [...effects, tell({ kind: 'note.inserted' })] : effects,
  };
}

/** A credit ends with the next note, unless nobody has been told of it yet. */
function forNextNote(state: NoteDialogue): NoteDialogue {
  const notesRead = state.notesRead + (state.inserted ? 0 : 1);
  const credit = state.credit === 'pending' ? 'pending' : 'none';
  return { ...state, credit, notesRead, doubt: false };
}

function onEscrow(
  before: NoteDialogue,
  { channel, value }: ToldEvent,
  inService: boolean,
  words: string,
): DialogueStep {
  const isSame = before.note?.channel === channel && before.note?.leaving === false;
  if (isSame) return only(withNote(before, { inEscrow: true }));
  const { state, effects } = before.note ? onClear(before, inService) : only(before);
  const announced = value === undefined ? false : inService;
  const next: NoteDialogue = {
    ...forNextNote(state),
    note: { ...NEW_NOTE, channel, value, announced },
    inserted: true,
    lastValue: value,
    trail: [words],
  };
  if (!inService) return { state: next, effects };
  const inserted: DialogueEffect[] = state.inserted ? [] : [tell({ kind: 'note.inserted' })];
  const news = value === undefined ? [] : [tell({ kind: 'note.escrowed', value })];
  return { state: next, effects: [...effects, ...inserted, ...news] };
}

const NEW_NOTE: NoteInside = {
  channel: undefined,
  value: undefined,
  announced: false,
  inEscrow: true,
  pollSent: false,
  rejectSent: false,
  rejectAcknowledged: false,
  leaving: false,
  unwanted: false,
  holds: 0,
};

function onHeld(state: NoteDialogue, isHeld: boolean, inService: boolean): DialogueStep {
  if (!isHeld) return only(withNote(state, { inEscrow: false }));
  const found: NoteDialogue = { ...state, note: NEW_NOTE, trail: ['a note waits in escrow'] };
  const next = state.note && !state.note.leaving ? state : found;
  const holds = (next.note?.holds ?? 0) + 1;
  // A REJECT that has left was plainly not carried out, so it may leave again.
  const change = { inEscrow: true, rejectSent: false, holds };
  return withCommand(withNote({ ...next, busy: true }, change), inService);
}

/**
 * The command that the note in escrow is due. A note of no configured kind, one that was found, one
 * whose deposit nobody waits for any more, and one that was forgotten go back.
 */
function withCommand(state: NoteDialogue, inService: boolean): DialogueStep {
  const { note, operation } = state;
  if (!note?.inEscrow || note.rejectSent) return only(state);
  if (operation === 'deposit' && !note.unwanted) {
    return { state, effects: note.pollSent ? [] : [{ kind: 'poll' }] };
  }
  const isOrphan = note.pollSent || note.holds > HOLDS_MAX || (inService && !note.announced);
  if (operation === 'none' && !note.unwanted && !isOrphan) return only(state);
  return { state: withNote(state, { unwanted: true }), effects: [{ kind: 'reject' }] };
}

function onRejectAnswered(state: NoteDialogue, answer: 'done' | 'refused'): DialogueStep {
  if (answer === 'done') {
    const next = withNote(state, { inEscrow: false, rejectAcknowledged: true });
    return only(noted(next, 'REJECT acknowledged'));
  }
  // The device says that it did nothing. HOLD tells whether the note still waits; if it does,
  // REJECT may be sent again.
  return only(noted(withNote(state, { rejectSent: false }), 'REJECT refused'));
}

/**
 * The deposit was asked for and the note still waits in escrow after all that time. It is asked
 * back, and what the device does then is proof either way.
 */
function onLate(state: NoteDialogue): DialogueStep {
  if (state.operation === 'deposit' && state.note?.inEscrow && !state.note.rejectSent) {
    return withCommand(withNote(state, { unwanted: true }), true);
  }
  return onGaveUp(state);
}

function onGaveUp(state: NoteDialogue): DialogueStep {
  const doubt = state.doubt || state.note?.pollSent === true;
  // Who was told `unknown` decides no more, so a note that turns out to wait still goes back.
  const unwanted = state.note?.unwanted === true || state.operation !== 'none';
  return ended({ ...withNote(state, { unwanted }), doubt, busy: false }, 'unknown');
}

function onCredit(
  state: NoteDialogue,
  value: MinorUnits | undefined,
  inService: boolean,
): DialogueStep {
  const gone: NoteDialogue = { ...state, note: undefined, inserted: false, doubt: false };
  if (state.credit !== 'none') return only(gone);
  const evidence = evidenceOf(state);
  const idle: NoteDialogue = { ...gone, credit: 'reported', operation: 'none' };
  if (state.operation !== 'none' && value !== undefined) {
    const outcome = { kind: 'deposited', value, evidence } as const;
    return { state: idle, effects: [{ kind: 'ended', outcome }] };
  }
  if (!inService) return only({ ...idle, credit: 'pending', creditValue: value });
  return { state: idle, effects: [tell({ kind: 'credit.unexpected', value })] };
}

/** The device's own word that a note went back. */
function onReturned(state: NoteDialogue, inService: boolean): DialogueStep {
  const { note, operation, doubt } = state;
  const clear: NoteDialogue = { ...state, note: undefined, inserted: false, doubt: false };
  if (operation !== 'none') return ended(clear, 'returned');
  const next: NoteDialogue = { ...clear, ended: 'returned' };
  if (!inService || (!note && !doubt)) return only(next);
  const event: CashAcceptorEvent =
    note && !note.announced
      ? { kind: 'note.refused', reason: 'other', code: 'EC' }
      : { kind: 'note.returned' };
  return { state: next, effects: [tell(event)] };
}

/** No note is inside any more, and there was no credit. */
function onGone(state: NoteDialogue, isProven: boolean, inService: boolean): DialogueStep {
  if (!state.note) return only(state);
  if (isProven) return onReturned(state, inService);
  const clear: NoteDialogue = { ...state, note: undefined, inserted: false, doubt: true };
  return ended({ ...clear, ended: 'unknown' }, 'unknown');
}

/**
 * Where a POLL that accepts it has left, only the device's own word that the note went back is
 * proof; where none did, there was no other way.
 */
function onClear(state: NoteDialogue, inService: boolean): DialogueStep {
  const { note } = state;
  return onGone(state, note?.pollSent === false || note?.leaving === true, inService);
}

function onQuiet(state: NoteDialogue, busy: boolean, inService: boolean): DialogueStep {
  const isQuiet = !busy && state.note !== undefined;
  const quiet = isQuiet ? state.quiet + 1 : 0;
  const next: NoteDialogue = { ...state, quiet };
  if (quiet < QUIET_MAX || state.note?.inEscrow) return only(next);
  return onClear({ ...next, quiet: 0 }, inService);
}

function onDisturbed(state: NoteDialogue): DialogueStep {
  const hadNote = state.note !== undefined || state.inserted;
  const doubt = state.doubt || hadNote;
  const ending: NoteDialogue['ended'] = hadNote ? 'unknown' : state.ended;
  return ended({ ...state, note: undefined, inserted: false, doubt, ended: ending }, 'unknown');
}

function onOwed(state: NoteDialogue, words: string, inService: boolean): DialogueStep {
  const owing: NoteDialogue = { ...state, owed: words };
  const isOpen = state.credit === 'pending' || state.credit === 'reported';
  // Before service the evidence must stay until it is on disk, and then notes are let in.
  const isFree = !isOpen && (inService || state.credit === 'confirmed');
  return { state: owing, effects: isFree ? [ACKNOWLEDGE] : [] };
}

function onCounted(
  state: NoteDialogue,
  note: 'deposited' | 'returned' | 'unknown',
  inService: boolean,
): DialogueStep {
  const clear: NoteDialogue = { ...state, doubt: false };
  switch (note) {
    case 'deposited':
      return onCredit(noted(clear, 'counted as stacked'), state.lastValue, inService);
    case 'returned': {
      const next: NoteDialogue = { ...noted(clear, 'counted as rejected'), ended: 'returned' };
      return { state: next, effects: inService ? [tell({ kind: 'note.returned' })] : [] };
    }
    case 'unknown':
      return only(clear);
  }
}

function onConfirmed(state: NoteDialogue): DialogueStep {
  if (state.credit !== 'pending' && state.credit !== 'reported') return only(state);
  const next: NoteDialogue = { ...state, credit: 'confirmed' };
  return { state: next, effects: state.owed === undefined ? [] : [ACKNOWLEDGE] };
}

function ended(state: NoteDialogue, kind: 'returned' | 'unknown'): DialogueStep {
  if (state.operation === 'none') return only(state);
  const outcome = { kind, evidence: evidenceOf(state) };
  return { state: { ...state, operation: 'none' }, effects: [{ kind: 'ended', outcome }] };
}

const ACKNOWLEDGE: DialogueEffect = { kind: 'acknowledge' };

function withNote(state: NoteDialogue, change: Partial<NoteInside>): NoteDialogue {
  return state.note ? { ...state, note: { ...state.note, ...change } } : state;
}

function then(step: DialogueStep, next: (state: NoteDialogue) => DialogueStep): DialogueStep {
  const { state, effects } = next(step.state);
  return { state, effects: [...step.effects, ...effects] };
}

function wordsOf(events: readonly SspEvent[]): string {
  return events.map(describeEvent).join(' + ');
}
