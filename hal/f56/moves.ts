/**
 * The two commands that may move notes, INITIALISE and BILL COUNT, and what can be said of the
 * notes afterwards. Each is sent once.
 */
import type { Position } from '#protocol/base/ids.ts';
import type { DispenseOutcome } from '../cash-dispenser.ts';
import { countOutcome, type PathState } from './answers.ts';
import { encodeBillCount, encodeInitialise, errorCodeOf, type NoteSize } from './commands.ts';
import type { F56Contact } from './contact.ts';
import { dispenseError, errorWord, f56Error, isRefusal } from './errors.ts';

/** What a command needs. */
export interface MoveParts {
  readonly contact: F56Contact;
  readonly positions: readonly Position[];
  /** Longest wait for the response. */
  readonly responseMs: number;
}

/** How it ended. */
export interface MoveResult {
  readonly outcome: DispenseOutcome;
  /** The next command may be sent without INITIALISE before it. */
  readonly isReady: boolean;
  /** What stands inside now, by all that is known. */
  readonly path: PathState;
  readonly errorCode: number | undefined;
}

type Answered = Extract<DispenseOutcome, { readonly kind: 'answered' }>;

/**
 * Makes the unit ready. Where it takes notes that stand on its path it does not say, and at the
 * exit a customer may be about to take some: then nothing is sent.
 */
export async function initialiseUnit(
  parts: MoveParts,
  sizes: readonly (NoteSize | undefined)[],
  path: PathState,
): Promise<MoveResult> {
  const { contact, positions, responseMs } = parts;
  const end = (outcome: DispenseOutcome, now: PathState, errorCode?: number): MoveResult => ({
    outcome,
    isReady: outcome.kind === 'answered' && errorCode === undefined,
    path: now,
    errorCode,
  });
  const none = (evidence: string) => end({ kind: 'notExecuted', evidence }, path);
  const before = await contact.status();
  if (!before) return none('the dispenser did not answer STATUS; INITIALISE was not sent');
  if (before.hasNotesAtExit) return none('notes lie at the exit; INITIALISE was not sent');
  const reply = await contact.link.move('initialise', encodeInitialise(sizes), responseMs);
  const { evidence } = reply;
  if (reply.kind === 'unsent') return none(evidence);
  if (reply.kind === 'refused') {
    return (await isIdle(contact)) ? none(evidence) : end({ kind: 'unknown', evidence }, 'unknown');
  }
  if (reply.kind !== 'answered' || !reply.isAcknowledged) {
    return end({ kind: 'unknown', evidence }, 'unknown');
  }
  const code = errorCodeOf(reply.data);
  if (code !== undefined && isRefusal(code)) {
    return end({ kind: 'notExecuted', evidence }, path, code);
  }
  const units = positions.map((at) => ({ position: at, presented: 0, rejected: 0 }));
  const answered: Answered = { kind: 'answered', units, error: dispenseError(code), evidence };
  if (code !== undefined) return end(answered, 'unknown', code);
  const after = await contact.status();
  if (!after || after.hasNotesAtExit) {
    const words = after ? 'it brought notes to the exit' : 'no answer to STATUS after it';
    const outcome: DispenseOutcome = { kind: 'unknown', evidence: `${evidence} (${words})` };
    return { outcome, isReady: after !== undefined, path: 'clear', errorCode: undefined };
  }
  if (path === 'clear') return end(answered, 'clear');
  const text = 'notes that may have stood inside were not counted';
  const error = { code: 'path', text, countsTrusted: false };
  return end({ ...answered, error }, 'clear');
}

/** Picks and delivers: notes by bay, top first. */
export async function dispenseNotes(
  { contact, positions, responseMs }: MoveParts,
  counts: readonly number[],
): Promise<MoveResult> {
  const reply = await contact.link.move('billCount', encodeBillCount(counts), responseMs);
  const outcome = countOutcome(reply, positions);
  const errorCode = reply.kind === 'answered' ? errorCodeOf(reply.data) : undefined;
  const { evidence } = reply;
  const doubt = { isReady: false, path: 'unknown', errorCode } as const;
  if (outcome.kind === 'unknown') return { ...doubt, outcome };
  if (outcome.kind === 'notExecuted') {
    const isDoubtful = reply.kind === 'refused' && !(await isIdle(contact));
    if (isDoubtful) return { ...doubt, outcome: { kind: 'unknown', evidence } };
    return { outcome, isReady: errorCode === undefined, path: 'clear', errorCode };
  }
  if (errorCode !== undefined) {
    const after = await afterError(contact, outcome, errorCode);
    return { ...after, isReady: false, errorCode };
  }
  const isExact = positions.every((at) => {
    const unit = outcome.units.find(({ position }) => position === at);
    return unit?.presented === counts[at - 1];
  });
  return isExact ? { outcome, isReady: true, path: 'clear', errorCode } : { ...doubt, outcome };
}

/**
 * After an error units are known to keep notes inside, counted ones as well. So counts are trusted
 * only when the exit agrees: notes are seen there if any were counted, and none if none were.
 */
async function afterError(
  contact: F56Contact,
  outcome: Answered,
  code: number,
): Promise<Pick<MoveResult, 'outcome' | 'path'>> {
  const { countsTrusted, leavesNotes } = f56Error(code);
  if (!countsTrusted) return { outcome, path: leavesNotes ? 'notes' : 'unknown' };
  const status = await contact.status();
  const hasPresented = outcome.units.some(({ presented }) => presented > 0);
  if (status?.hasNotesAtExit === hasPresented) return { outcome, path: 'clear' };
  const { text } = f56Error(code);
  const seen = status ? 'the exit does not agree with the counts' : 'the exit was not seen';
  const error = { code: errorWord(code), text: `${text}; ${seen}`, countsTrusted: false };
  return { outcome: { ...outcome, error }, path: 'unknown' };
}

/**
 * A unit that answers a question carries nothing out, and one that has nothing else to say first
 * has not. An ACK that was damaged into a NAK is told by this: the unit would be picking notes.
 */
async function isIdle(contact: F56Contact): Promise<boolean> {
  const before = contact.link.unaskedMoves;
  return (await contact.status()) !== undefined && contact.link.unaskedMoves === before;
}
