/**
 * Makes a unit ready: PURGE only if notes stand inside, RESET, note lengths if they are configured.
 * PURGE takes notes from the path to the reject tray, and may hand out one that stands in the exit;
 * it can damage notes, so it is never sent to a clear path. Source: cash-hardware.md 7.1.
 */
import type { Position } from '#protocol/base/ids.ts';
import type { DispenseError, DispenseOutcome, UnitResult } from '../cash-dispenser.ts';
import { faultOf, hasNotesInside, moveOutcome } from './answers.ts';
import { BAYS, decodeNibbles, encodeNibbles, OFFSET, slitsOfLength } from './commands.ts';
import type { LcdmContact } from './contact.ts';
import { dispenseError } from './errors.ts';
import type { LcdmModel } from './models.ts';

/** What initialising needs. */
export interface InitialiseParts {
  readonly contact: LcdmContact;
  readonly model: LcdmModel;
  readonly positions: readonly Position[];
  readonly lengthMmByPosition: Readonly<Record<number, number>>;
  /** Longest wait for the response to PURGE. */
  readonly responseMs: number;
}

/** How it ended. */
export interface InitialiseResult {
  readonly outcome: DispenseOutcome;
  /** The next command may be sent. */
  readonly isReady: boolean;
}

/** Makes the unit ready. Every command that may move a note is sent once. */
export async function initialiseUnit(parts: InitialiseParts): Promise<InitialiseResult> {
  const before = await parts.contact.status();
  if (!before) {
    const evidence = 'the dispenser did not answer STATUS; nothing was sent that moves notes';
    return { outcome: { kind: 'notExecuted', evidence }, isReady: false };
  }
  const purged = hasNotesInside(before) ? await purge(parts) : nothingMoved(parts.positions);
  if (purged.kind !== 'answered') return { outcome: purged, isReady: false };
  const reset = await resetUnit(parts, purged.units, purged.evidence);
  if (reset.outcome.kind !== 'answered' || !reset.isReady) return reset;
  const lengthsError = await setLengths(parts);
  if (!lengthsError) {
    const error = purged.error ?? reset.outcome.error;
    return { outcome: { ...reset.outcome, error }, isReady: true };
  }
  return { outcome: { ...reset.outcome, error: lengthsError }, isReady: false };
}

type Answered = Extract<DispenseOutcome, { readonly kind: 'answered' }>;

function nothingMoved(positions: readonly Position[]): Answered {
  const units = positions.map((at) => ({ position: at, presented: 0, rejected: 0 }));
  return { kind: 'answered', units, error: undefined, evidence: 'path and exit were clear' };
}

async function purge({
  contact,
  positions,
  responseMs,
}: InitialiseParts): Promise<DispenseOutcome> {
  const reply = await contact.link.move('purge', [], responseMs);
  const outcome = moveOutcome(reply, positions);
  return { ...outcome, evidence: `PURGE ${outcome.evidence}` };
}

/** RESET says nothing of notes: where those went that stood inside before it, nobody knows. */
async function resetUnit(
  parts: InitialiseParts,
  units: readonly UnitResult[],
  earlier: string,
): Promise<InitialiseResult> {
  const { contact, model } = parts;
  const hasPurged = units.some((unit) => unit.presented + unit.rejected > 0);
  const without = (evidence: string): InitialiseResult => {
    const error = { code: 'reset', text: 'RESET was not carried out', countsTrusted: true };
    const outcome: DispenseOutcome = hasPurged
      ? { kind: 'answered', units, error, evidence }
      : { kind: 'notExecuted', evidence };
    return { outcome, isReady: false };
  };
  const before = await contact.status();
  if (!before) return without(`${earlier}; no answer to STATUS, RESET was not sent`);
  const reply = await contact.link.reset(model.resetResponses);
  const evidence = `${earlier}; RESET ${reply.evidence}`;
  if (reply.kind === 'refused' || reply.kind === 'unsent') return without(evidence);
  const after = reply.kind === 'done' ? await contact.status() : undefined;
  if (!after) return { outcome: { kind: 'unknown', evidence }, isReady: false };
  if (hasNotesInside(before) && !hasNotesInside(after)) {
    const words = `${evidence} (notes that stood inside are gone)`;
    return { outcome: { kind: 'unknown', evidence: words }, isReady: false };
  }
  const error = faultOf(after) && dispenseError(after.error);
  const isReady = !error && !hasNotesInside(after);
  return { outcome: { kind: 'answered', units, error, evidence }, isReady };
}

/** Writes the note lengths, if they are configured and others are stored: the memory wears out. */
async function setLengths(parts: InitialiseParts): Promise<DispenseError | undefined> {
  const entries = Object.entries(parts.lengthMmByPosition);
  if (entries.length === 0) return undefined;
  const wanted = Array.from({ length: BAYS }, () => 0);
  for (const [at, lengthMm] of entries) wanted[Number(at) - 1] = slitsOfLength(lengthMm);
  const { link } = parts.contact;
  const stored = await link.ask('getLengths');
  const isRead = stored.kind === 'answered' && stored.frame.body[0] === OFFSET;
  const values = isRead ? decodeNibbles(stored.frame.body.subarray(1)) : undefined;
  if (values && wanted.every((slits, bay) => slits === 0 || slits === values[bay]))
    return undefined;
  // A zero keeps what is stored for that bay.
  const reply = await link.ask('setLengths', encodeNibbles(wanted));
  if (reply.kind === 'answered' && reply.frame.body[0] === OFFSET) return undefined;
  const text = `the note lengths could not be set (${reply.evidence})`;
  return { code: 'setLengths', text, countsTrusted: true };
}
