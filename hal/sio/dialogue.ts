/**
 * What the device's words mean for the one note inside: a pure function of state and input. There
 * is no checksum, so the order of words is the only guard: a note counts only if something was
 * drawn in just before it, and an echo only if that very command was sent.
 * Source: cash-hardware.md 5.8 and appendix B.
 */
import type { MinorUnits } from '#protocol/base/money.ts';
import type { CashAcceptorEvent } from '../cash-acceptor.ts';
import type { DecisionInput, NoteOutcome } from '../decision.ts';
import { commands, describeWord, type ReportName, reports, type SioWord } from './commands.ts';

/** Longest time from the last sign that something is drawn in to its value. Source: Bleskomat. */
export const DRAWN_MS = 2000;
const UNSPOKEN = 'a note was drawn in, and what came of it was never said';
/** Most characters of evidence kept for one note; a whole one has a tenth of that. */
const TRAIL_LENGTH_MAX = 1000;

/** A note whose value is known. */
export interface SioNote {
  readonly channel: number;
  /** Undefined for a channel that is not configured: it was never announced and goes back. */
  readonly value: MinorUnits | undefined;
  /** Without escrow: it is in the cash box already. */
  readonly isInBox: boolean;
  /** Each leaves once for a note. */
  readonly acceptSent: boolean;
  readonly rejectSent: boolean;
  /** ACCEPT was heard: the note is on its way to the cash box. */
  readonly acceptEchoed: boolean;
  /** REJECT was echoed although ACCEPT had left too: proof only once the device is done. */
  readonly rejectEchoed: boolean;
  /** Two values were said of it: nobody may be given either. */
  readonly isDoubtful: boolean;
}

/** All that is known of the note inside. */
export interface SioDialogue {
  readonly hasEscrow: boolean;
  /** 120 was said, and not 121 since. */
  readonly isBusy: boolean;
  /** When something was last seen drawn in, of which the device has not yet said what it is. */
  readonly drawnMs: number | undefined;
  /** Of that, BUSY was never heard: NOT BUSY alone told of it, as a glitch would. */
  readonly isUnseen: boolean;
  /** Without escrow: a value that came before the device was done with the note. */
  readonly early: { readonly channel: number; readonly value: MinorUnits | undefined } | undefined;
  /** Without escrow: trouble that was said while a note was drawn in; its value may still come. */
  readonly trouble: ReportName | undefined;
  readonly note: SioNote | undefined;
  /** What the agent waits for. */
  readonly operation: 'none' | 'deposit' | 'return';
  /** Without escrow: values of which one note may come in; empty when the slot is shut. */
  readonly armed: readonly MinorUnits[];
  /** Evidence: what was sent and heard since the note was drawn in. */
  readonly trail: string;
}

/** What can happen. */
export type SioInput =
  | {
      readonly kind: 'word';
      readonly word: SioWord;
      readonly atMs: number;
      /** Notes are announced only in service. */
      readonly inService: boolean;
      /** The value of the channel that a note's word names. */
      readonly value: MinorUnits | undefined;
    }
  /** Just these values are open from now on. */
  | { readonly kind: 'armed'; readonly values: readonly MinorUnits[] }
  | DecisionInput
  | { readonly kind: 'acceptSent' }
  | { readonly kind: 'rejectSent' }
  /** It is in touch long after it has heard ACCEPT, and has said nothing more. */
  | { readonly kind: 'settled' };

/** What is to be done about it. */
export type SioEffect =
  | { readonly kind: 'tell'; readonly event: CashAcceptorEvent }
  /** What the agent waits for has ended. */
  | { readonly kind: 'ended'; readonly outcome: NoteOutcome }
  /** Let the command leave now. */
  | { readonly kind: 'send'; readonly command: 'accept' | 'reject' }
  /** ACCEPT was heard: see to it that the device is still there when the note must be stacked. */
  | { readonly kind: 'awaitStacked' }
  /** Shut the slot at once: the next note must not come in under what was open for this one. */
  | { readonly kind: 'shut' }
  /** The device has lost its settings, or must be looked at by a person. */
  | { readonly kind: 'disturbed'; readonly fault: ReportName | 'settings' }
  /** Bytes that cannot be: worth the last chunks on the port. */
  | { readonly kind: 'failed'; readonly reason: string };

/** A state and what is to be done. */
export interface SioStep {
  readonly state: SioDialogue;
  readonly effects: readonly SioEffect[];
}

const UNDECIDED = {
  acceptSent: false,
  rejectSent: false,
  acceptEchoed: false,
  rejectEchoed: false,
  isDoubtful: false,
} as const;

/** Nothing inside, nothing known. */
export function emptyDialogue(hasEscrow: boolean): SioDialogue {
  return {
    hasEscrow,
    isBusy: false,
    drawnMs: undefined,
    isUnseen: false,
    early: undefined,
    trouble: undefined,
    note: undefined,
    operation: 'none',
    armed: [],
    trail: '',
  };
}

/** The next state. */
export function advance(before: SioDialogue, input: SioInput): SioStep {
  const step = stepOf(before, input);
  const { trouble, isBusy, drawnMs } = step.state;
  if (trouble === undefined || isBusy || drawnMs !== undefined) return step;
  const state = { ...step.state, trouble: undefined };
  return also({ ...step, state }, { kind: 'disturbed', fault: trouble });
}

function stepOf(state: SioDialogue, input: SioInput): SioStep {
  switch (input.kind) {
    case 'word':
      return onWordInTime(noted(state, describeWord(input.word)), input);
    case 'armed':
      return only({ ...state, armed: input.values });
    case 'deposit':
    case 'return':
      return withCommand({ ...state, operation: input.kind });
    case 'acceptSent':
      return only(noted(withNote(state, { acceptSent: true }), 'ACCEPT sent'));
    case 'rejectSent':
      return only(noted(withNote(state, { rejectSent: true }), 'REJECT sent'));
    case 'settled':
      return state.note?.acceptEchoed ? deposited(state, state.note) : only(state);
    case 'late':
      return onLate(noted(state, input.reason));
    case 'gaveUp':
      return onGaveUp(noted(state, input.reason));
  }
}

/** What was sent and heard, for a record. */
export function evidenceOf({ trail }: SioDialogue): string {
  return trail;
}

/** Whether a command may leave for the note that waits in escrow now. */
export function mayStillSend({ note }: SioDialogue, command: 'accept' | 'reject'): boolean {
  if (!note || note.isInBox || note.rejectSent || note.acceptEchoed) return false;
  return command === 'reject' || !note.acceptSent;
}

type Heard = Extract<SioInput, { readonly kind: 'word' }>;

/**
 * Without escrow the device owes a word for what it drew in: silence may be a value that was
 * lost.
 */
function onWordInTime(state: SioDialogue, input: Heard): SioStep {
  const { hasEscrow, isBusy, drawnMs } = state;
  const isOwed = !hasEscrow && !isBusy && drawnMs !== undefined;
  if (!isOwed || input.atMs - drawnMs <= DRAWN_MS) return onWord(state, input);
  const { state: next, effects } = onWord({ ...state, drawnMs: undefined }, input);
  return { state: next, effects: [...unexpected(next, undefined).effects, ...effects] };
}

function onWord(state: SioDialogue, input: Heard): SioStep {
  const { word } = input;
  switch (word.kind) {
    case 'note':
      return onNote(state, input, word.channel);
    case 'echo':
      return onEcho(state, word.code);
    case 'report':
      return onReport(state, input, word.report);
  }
}

function onReport(state: SioDialogue, input: Heard, report: ReportName): SioStep {
  const code = String(reports[report].code);
  switch (report) {
    case 'busy':
      return onBusy(state, input);
    case 'notBusy':
      return onNotBusy(state, input);
    case 'unrecognised':
      return onRefused(state, input, { kind: 'note.refused', reason: 'unrecognised', code });
    case 'fraudChannel': {
      const refused = onRefused(state, input, { kind: 'note.refused', reason: 'other', code });
      return also(refused, tell({ kind: 'fraud.attempted', code }));
    }
    case 'strimming':
      return also(onDisturbed(state), tell({ kind: 'fraud.attempted', code }));
    case 'stackerFull':
      // Told once the note that filled it is spoken of: a fault ends the session it is owed to.
      if (!state.hasEscrow) return only({ ...state, trouble: report });
      return also(onDisturbed(state), { kind: 'disturbed', fault: report });
    case 'aborted':
      return onAborted(state);
    case 'noteTaken':
      return onTaken(state);
    case 'slow':
    case 'commandError':
      return only(state);
  }
}

function onBusy(before: SioDialogue, { atMs, inService, word }: Heard): SioStep {
  // A note that waits in escrow has said so already.
  if (before.note && !before.note.isInBox) return only({ ...before, isBusy: true });
  const isNew = !before.isBusy;
  const state = { ...before, isBusy: true, drawnMs: atMs, isUnseen: false, early: undefined };
  const next = isNew ? { ...state, trail: describeWord(word) } : state;
  const effects = isNew && inService ? [tell({ kind: 'note.inserted' })] : [];
  const step = { state: next, effects };
  // The last one's value was lost, or its NOT BUSY.
  const isUnsaid = before.drawnMs !== undefined && !before.isUnseen;
  const isOwed = isNew ? isUnsaid : before.early !== undefined;
  return isOwed && !before.hasEscrow ? owingLast(before, step) : step;
}

/** Without escrow, and the next note is there: the one before is in the box, and was not said. */
function owingLast({ early }: SioDialogue, { state, effects }: SioStep): SioStep {
  const { effects: owed } = unexpected(state, early?.value);
  return { state: { ...state, armed: [] }, effects: [...owed, { kind: 'shut' }, ...effects] };
}

function onNotBusy(before: SioDialogue, { atMs }: Heard): SioStep {
  const state = { ...before, isBusy: false };
  const { note, early, drawnMs } = state;
  if (note && !note.isInBox) {
    // It has left escrow. Where ACCEPT never left there was only one way out.
    if (note.acceptEchoed) return deposited(state, note);
    const gone = cleared(state);
    return note.acceptSent && !note.rejectEchoed ? ended(gone, 'unknown') : returned(gone, note);
  }
  if (drawnMs === undefined) {
    // Done with what it never said it drew in: BUSY was lost, and the value may still come.
    const wasMissed = !state.hasEscrow && !before.isBusy;
    return only(wasMissed ? { ...state, drawnMs: atMs, isUnseen: true } : state);
  }
  // Without escrow its value comes next, or has come already.
  if (early === undefined) return only({ ...state, drawnMs: atMs });
  return onCredit(state, early.channel, early.value);
}

function onNote(state: SioDialogue, { atMs, inService, value }: Heard, channel: number): SioStep {
  const { drawnMs, note, hasEscrow, isBusy } = state;
  if (note && !note.isInBox) {
    return note.channel === channel ? only(state) : onSecondValue(state);
  }
  // As long as it is busy it is drawing in, however long ago it has begun.
  const isAtWork = !hasEscrow && isBusy;
  if (drawnMs === undefined || (!isAtWork && atMs - drawnMs > DRAWN_MS)) {
    return failed(state, `note on channel ${channel} although none was drawn in`);
  }
  if (isAtWork) return only({ ...state, early: { channel, value } });
  if (!hasEscrow) return onCredit(state, channel, value);
  if (!isBusy) {
    // Taken without escrow, by a device that has forgotten its mode; or NOT BUSY was a glitch, and
    // it is in escrow and will go back. Nobody knows, so it is told without its value.
    const { state: next, effects } = unexpected(cleared(state), undefined);
    return { state: next, effects: [...effects, { kind: 'disturbed', fault: 'settings' }] };
  }
  const held: SioNote = {
    channel,
    value,
    isInBox: false,
    ...UNDECIDED,
  };
  const next = { ...state, note: held, drawnMs: undefined };
  if (value === undefined || !inService) return withCommand(next);
  return { state: next, effects: [tell({ kind: 'note.escrowed', value })] };
}

/** One of the two values is a glitch: the note goes back while that can still be. */
function onSecondValue(before: SioDialogue): SioStep {
  const state = withNote(before, { isDoubtful: true });
  const step = state.note?.acceptSent ? only(state) : sending(state, 'reject');
  return also(step, { kind: 'failed', reason: 'two values for one note' });
}

/**
 * Without escrow a note is in the cash box when its value is said. The one note that the slot was
 * open for is announced as one in escrow is, and `deposit` then only says so; any other is a credit
 * that nobody asked for, and so cannot carry a session beyond its cap. One that BUSY did not come
 * before is owned up to and has no value: two glitches would look the same.
 */
function onCredit(before: SioDialogue, channel: number, said: MinorUnits | undefined): SioStep {
  const state = { ...before, drawnMs: undefined, isUnseen: false, early: undefined };
  const value = before.isUnseen ? undefined : said;
  const isAwaited = value !== undefined && state.armed.includes(value);
  if (!isAwaited) return also(unexpected({ ...state, armed: [] }, value), { kind: 'shut' });
  const note: SioNote = { channel, value, isInBox: true, ...UNDECIDED };
  const effects: SioEffect[] = [{ kind: 'shut' }, tell({ kind: 'note.escrowed', value })];
  return { state: { ...state, armed: [], note }, effects };
}

function unexpected(state: SioDialogue, value: MinorUnits | undefined): SioStep {
  return { state, effects: [tell({ kind: 'credit.unexpected', value })] };
}

/** The command that the note in escrow is due. Each leaves once. */
function withCommand(state: SioDialogue): SioStep {
  const { note, operation } = state;
  if (!note) return only(state);
  if (note.isInBox) return operation === 'none' ? only(state) : deposited(state, note);
  if (operation === 'deposit') return sending(state, 'accept');
  return sending(state, 'reject');
}

function sending(state: SioDialogue, command: 'accept' | 'reject'): SioStep {
  const effects: SioEffect[] = mayStillSend(state, command) ? [{ kind: 'send', command }] : [];
  return { state, effects };
}

/**
 * An echo counts only for the command that was sent: one flipped bit makes ACCEPT of REJECT, on the
 * way there or back, and then nobody knows. That of ACCEPT says that it was heard; that the note is
 * in the box is proven when the device has come to rest without a word of trouble.
 */
function onEcho(state: SioDialogue, code: number): SioStep {
  const { note } = state;
  const isAccept = code === commands.accept.code;
  if (!note || note.isInBox || (!isAccept && code !== commands.reject.code)) return only(state);
  const wasBoth = note.acceptSent && note.rejectSent;
  if (isAccept && note.acceptSent && !wasBoth) {
    const isNew = !note.acceptEchoed;
    const heard = withNote(state, { acceptEchoed: true });
    return isNew ? { state: heard, effects: [{ kind: 'awaitStacked' }] } : only(heard);
  }
  // A device that has started again since ACCEPT might echo anything; it would not be busy then.
  if (!isAccept && wasBoth) return only(withNote(state, { rejectEchoed: true }));
  if (!isAccept && note.rejectSent) return returned(cleared(state), note);
  if (!note.acceptSent && !note.rejectSent) return failed(state, `${code} that was not sent`);
  // ACCEPT is heard after all when REJECT has left too: which one the note obeys is not known.
  if (state.operation === 'none') return unexpected(cleared(state), note.value);
  return ended(cleared(state), 'unknown');
}

function onAborted(state: SioDialogue): SioStep {
  const { note } = state;
  if (!note || note.isInBox) return only({ ...state, drawnMs: undefined, early: undefined });
  return returned(cleared(state), note);
}

function onRefused(before: SioDialogue, { inService }: Heard, event: CashAcceptorEvent): SioStep {
  if (before.note && !before.note.isInBox) return onDisturbed(before);
  const state = { ...before, drawnMs: undefined, early: undefined };
  const step = { state, effects: inService ? [tell(event)] : [] };
  return before.isBusy && before.early ? owingLast(before, step) : step;
}

/**
 * A note may be in the cash box that nobody was told the value of; also one that was never seen
 * drawn in: BUSY may have been lost, and NOT BUSY is of the same note then.
 */
function onTaken(state: SioDialogue): SioStep {
  if (state.operation !== 'none') return onDisturbed(state);
  const isUnseen = !state.hasEscrow && state.drawnMs === undefined;
  return unexpected({ ...cleared(state), isBusy: state.isBusy || isUnseen }, undefined);
}

/** A word after which the note's whereabouts cannot be told. */
function onDisturbed(state: SioDialogue): SioStep {
  return ended(cleared(state), 'unknown');
}

/**
 * Without escrow, what was drawn in may be in the box, and no more will be said of it.
 * With it the note goes back by itself, unless the device forgot its mode just before: a person is
 * told.
 */
function onGaveUp(before: SioDialogue): SioStep {
  const { hasEscrow, isBusy, drawnMs, early } = before;
  const state = { ...cleared(before), isBusy: false, armed: [] };
  if (!hasEscrow && (drawnMs !== undefined || early)) return unexpected(state, early?.value);
  const step = ended(state, 'unknown');
  const isUnspoken = isBusy && drawnMs !== undefined;
  return isUnspoken ? also(step, { kind: 'failed', reason: UNSPOKEN }) : step;
}

/**
 * ACCEPT was sent and the note still waits after all that time: the command was lost. It is not
 * repeated; the note is asked back, and the device's answer and then NOT BUSY are proof.
 */
function onLate(state: SioDialogue): SioStep {
  const { note, operation } = state;
  if (operation === 'deposit' && note?.acceptSent && mayStillSend(state, 'reject')) {
    return sending(state, 'reject');
  }
  return ended(cleared(state), 'unknown');
}

function deposited(before: SioDialogue, { value, isDoubtful }: SioNote): SioStep {
  if (isDoubtful) return ended(cleared(before), 'unknown');
  const state = { ...cleared(before), note: undefined, operation: 'none' as const };
  if (value === undefined || before.operation === 'none') return unexpected(state, value);
  const outcome = { kind: 'deposited', value, evidence: evidenceOf(before) } as const;
  return { state, effects: [{ kind: 'ended', outcome }] };
}

function returned(state: SioDialogue, note: SioNote): SioStep {
  if (state.operation !== 'none') return ended(state, 'returned');
  const code = String(note.channel);
  const event: CashAcceptorEvent =
    note.value === undefined
      ? { kind: 'note.refused', reason: 'other', code }
      : { kind: 'note.returned' };
  return { state, effects: [tell(event)] };
}

function ended(state: SioDialogue, kind: 'returned' | 'unknown'): SioStep {
  if (state.operation === 'none') return only(state);
  const outcome = { kind, evidence: evidenceOf(state) };
  return { state: { ...state, operation: 'none' }, effects: [{ kind: 'ended', outcome }] };
}

/** No note is on its way. One that is in the box waits to be asked for, whatever happens. */
function cleared(state: SioDialogue): SioDialogue {
  const note = state.note?.isInBox ? state.note : undefined;
  return { ...state, note, drawnMs: undefined, early: undefined };
}

function withNote(state: SioDialogue, change: Partial<SioNote>): SioDialogue {
  return state.note ? { ...state, note: { ...state.note, ...change } } : state;
}

function noted(state: SioDialogue, words: string): SioDialogue {
  const trail = state.trail === '' ? words : `${state.trail}, ${words}`;
  return {
    ...state,
    trail: trail.length > TRAIL_LENGTH_MAX ? trail.slice(-TRAIL_LENGTH_MAX) : trail,
  };
}

function failed(state: SioDialogue, reason: string): SioStep {
  return { state, effects: [{ kind: 'failed', reason }] };
}

function tell(event: CashAcceptorEvent): SioEffect {
  return { kind: 'tell', event };
}

function only(state: SioDialogue): SioStep {
  return { state, effects: [] };
}

function also(step: SioStep, effect: SioEffect): SioStep {
  return { state: step.state, effects: [...step.effects, effect] };
}
