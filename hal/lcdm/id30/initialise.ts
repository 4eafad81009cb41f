/**
 * Makes a unit ready: PURGE only if notes stand inside, RESET, note lengths if they are configured.
 * PURGE takes notes from the path to the reject tray, and may hand out one that stands in the exit;
 * it can damage notes, so it is never sent to a clear path. Source: cash-hardware.md 7.1.
 */
import type { DispenseError, DispenseOutcome } from '../../cash-dispenser.ts';
import { faultOf, hasNotesInside } from '../answers.ts';
import type { LcdmReply } from '../link.ts';
import type { InitialiseResult, LcdmTurn, LcdmUnit, UnitStatus } from '../unit.ts';
import { BAYS, commands, decodeNibbles, encodeNibbles, OFFSET, slitsOfLength } from './commands.ts';

/** What initialising needs. */
export interface Id30InitialiseParts {
  readonly unit: LcdmUnit & { moved(reply: LcdmReply): DispenseOutcome };
  readonly turn: LcdmTurn;
  /** How often the model answers RESET. */
  readonly resetResponses: number;
  readonly lengthMmByPosition: Readonly<Record<number, number>>;
}

/** Makes the unit ready. Every command that may move a note is sent once. */
export async function initialiseId30(parts: Id30InitialiseParts): Promise<InitialiseResult> {
  const before = await parts.turn.status();
  if (!before) {
    const evidence = 'the dispenser did not answer STATUS; nothing was sent that moves notes';
    return { outcome: { kind: 'notExecuted', evidence }, isReady: false };
  }
  const isClear = !hasNotesInside(before);
  const purged = isClear ? nothingMoved(parts.unit) : await purge(parts);
  if (purged.kind !== 'answered') return { outcome: purged, isReady: false };
  const reset = await resetUnit(parts, purged, isClear ? before : await parts.turn.status());
  if (reset.outcome.kind !== 'answered' || !reset.isReady) return reset;
  const lengthsError = await setLengths(parts);
  if (!lengthsError) {
    const error = purged.error ?? reset.outcome.error;
    return { outcome: { ...reset.outcome, error }, isReady: true };
  }
  return { outcome: { ...reset.outcome, error: lengthsError }, isReady: false };
}

type Answered = Extract<DispenseOutcome, { readonly kind: 'answered' }>;

function nothingMoved({ positions }: LcdmUnit): Answered {
  const units = positions.map((at) => ({ position: at, presented: 0, rejected: 0 }));
  return { kind: 'answered', units, error: undefined, evidence: 'path and exit were clear' };
}

async function purge({ unit, turn }: Id30InitialiseParts): Promise<DispenseOutcome> {
  const outcome = unit.moved(await turn.link.move(commands.purge, [], turn.responseMs(0)));
  return { ...outcome, evidence: `PURGE ${outcome.evidence}` };
}

/** RESET says nothing of notes: where those went that stood inside before it, nobody knows. */
async function resetUnit(
  parts: Id30InitialiseParts,
  { units, evidence: earlier }: Answered,
  before: UnitStatus | undefined,
): Promise<InitialiseResult> {
  const { turn, resetResponses } = parts;
  const hasPurged = units.some((unit) => unit.presented + unit.rejected > 0);
  const without = (evidence: string): InitialiseResult => {
    const error = { code: 'reset', text: 'RESET was not carried out', countsTrusted: true };
    const outcome: DispenseOutcome = hasPurged
      ? { kind: 'answered', units, error, evidence }
      : { kind: 'notExecuted', evidence };
    return { outcome, isReady: false };
  };
  if (!before) return without(`${earlier}; no answer to STATUS, RESET was not sent`);
  const reply = await turn.link.reset(commands.reset, resetResponses);
  const evidence = `${earlier}; RESET ${reply.evidence}`;
  if (reply.kind === 'refused' || reply.kind === 'unsent') return without(evidence);
  const after = reply.kind === 'done' ? await turn.status() : undefined;
  if (!after) return { outcome: { kind: 'unknown', evidence }, isReady: false };
  if (hasNotesInside(before) && !hasNotesInside(after)) {
    const words = `${evidence} (notes that stood inside are gone)`;
    return { outcome: { kind: 'unknown', evidence: words }, isReady: false };
  }
  const error = faultOf(after) && after.error;
  const isReady = !error && !hasNotesInside(after);
  return { outcome: { kind: 'answered', units, error, evidence }, isReady };
}

/** Writes the note lengths, if they are configured and others are stored: the memory wears out. */
async function setLengths(parts: Id30InitialiseParts): Promise<DispenseError | undefined> {
  const entries = Object.entries(parts.lengthMmByPosition);
  if (entries.length === 0) return undefined;
  const wanted = Array.from({ length: BAYS }, () => 0);
  for (const [at, lengthMm] of entries) wanted[Number(at) - 1] = slitsOfLength(lengthMm);
  const { link } = parts.turn;
  const stored = await link.ask(commands.getLengths);
  const isRead = stored.kind === 'answered' && stored.frame.body[0] === OFFSET;
  const values = isRead ? decodeNibbles(stored.frame.body.subarray(1)) : undefined;
  if (values && wanted.every((slits, bay) => slits === 0 || slits === values[bay]))
    return undefined;
  // A zero keeps what is stored for that bay.
  const reply = await link.ask(commands.setLengths, encodeNibbles(wanted));
  if (reply.kind === 'answered' && reply.frame.body[0] === OFFSET) return undefined;
  const text = `the note lengths could not be set (${reply.evidence})`;
  return { code: 'setLengths', text, countsTrusted: true };
}
