/** What a dispense command came to, by its evidence alone (design 7.5, 7.6). Pure. */
import type {
  CashDispenserStatus,
  DispenseBaseline,
  DispenseOutcome,
  LastResult,
  UnitCount,
  UnitResult,
} from '#hal/cash-dispenser.ts';

/** `unknown` is a lawful end: it is never dispensed again, and an operator settles it. */
export type DispenseClass = 'exact' | 'partial' | 'none' | 'unknown';

/** A judged command: what each bay is proven, or said, to have done. */
export interface Judgement {
  readonly class: DispenseClass;
  readonly units: readonly UnitResult[];
  /** False when the counts are only what the device says, and may be wrong. */
  readonly trusted: boolean;
  /** `doubtful`: also bays that were not asked may have fewer notes than the book says. */
  readonly otherBays?: 'doubtful';
  readonly evidence: string;
}

/** Everything that a command is judged by. */
export interface DispenseEvidence {
  readonly asked: readonly UnitCount[];
  readonly outcome: DispenseOutcome;
  /** Asked after the command. */
  readonly status: CashDispenserStatus;
  /** What was read before the command. */
  readonly baseline: DispenseBaseline;
  /** The device's memory, where it has one and the answer was lost. */
  readonly last: LastResult | undefined;
  /** Its number now, where it counts its commands. */
  readonly sequenceNumber: number | undefined;
  /** Its exit shows notes until they are taken: those that it has counted lie there. */
  readonly sensesExit?: boolean;
}

const unknown = (evidence: string): Judgement => ({
  class: 'unknown',
  units: [],
  trusted: false,
  evidence,
});

/** Counts that no device can mean: from a bay that was not asked, or more than was asked of it. */
function impossible(asked: readonly UnitCount[], units: readonly UnitResult[]): boolean {
  return units.some(({ position, presented, rejected }) => {
    const most = asked.find((unit) => unit.position === position)?.count ?? 0;
    const whole = Number.isSafeInteger(presented) && Number.isSafeInteger(rejected);
    const stray = most === 0 && rejected > 0;
    return !whole || presented < 0 || rejected < 0 || presented > most || stray;
  });
}

/** The bays that were not asked are in doubt as well. */
const doubtAll = (judgement: Judgement): Judgement => ({ ...judgement, otherBays: 'doubtful' });

function judgeCounts(
  { asked, status, sensesExit = false }: DispenseEvidence,
  answer: Pick<Extract<DispenseOutcome, { kind: 'answered' }>, 'units' | 'error' | 'evidence'>,
): Judgement {
  const { units, error, evidence } = answer;
  if (impossible(asked, units)) return doubtAll(unknown(`counts that cannot be: ${evidence}`));
  const wanted = asked.reduce((sum, { count }) => sum + count, 0);
  const presented = units.reduce((sum, unit) => sum + unit.presented, 0);
  if (presented === wanted && !error) return { class: 'exact', units, trusted: true, evidence };
  const lyingThere = sensesExit && presented > 0 && status.exit === 'notes';
  const clear = status.path === 'clear' && (status.exit === 'clear' || lyingThere);
  // Short and no error is a command that was interrupted: its counts may lag behind the notes.
  const proven = clear && error?.countsTrusted === true;
  if (!proven) {
    const judgement = { ...unknown(evidence), units };
    return error?.otherBays ? doubtAll(judgement) : judgement;
  }
  if (presented === wanted) return { class: 'exact', units, trusted: true, evidence };
  return { class: presented === 0 ? 'none' : 'partial', units, trusted: true, evidence };
}

/**
 * Judges a command. A shortfall is proven only when the error's table entry trusts the counts and
 * path and exit are clear. A last result equal to the one before proves nothing, unless the
 * sequence number shows that the command never ran (design 8).
 */
export function classify(evidence: DispenseEvidence): Judgement {
  const { outcome, status, last, baseline, sequenceNumber } = evidence;
  if (outcome.kind === 'answered') return judgeCounts(evidence, outcome);
  if (outcome.kind === 'notExecuted') {
    return { class: 'none', units: [], trusted: true, evidence: outcome.evidence };
  }
  const changed = last !== undefined && last.hex !== baseline.lastResultHex;
  if (baseline.sequenceNumber !== undefined && sequenceNumber === baseline.sequenceNumber) {
    // A unit whose memory changed and whose number did not has lost one of the two.
    if (changed)
      return unknown(`${outcome.evidence}; last result ${last.hex} without a new number`);
    return {
      class: 'none',
      units: [],
      trusted: true,
      evidence: `${outcome.evidence}; the sequence number did not rise`,
    };
  }
  // Exactly one more is our command; any other number is a counter that was reset or that wrapped.
  // A unit that was cut off in it may still have the result before, which may read like ours: the
  // number proves whose it is only while the unit has been in order ever since.
  const ran =
    status.device === 'ready' &&
    baseline.sequenceNumber !== undefined &&
    sequenceNumber === baseline.sequenceNumber + 1;
  if (last?.dispense && (ran || changed)) {
    const words = `${outcome.evidence}; last result ${last.hex}`;
    return judgeCounts(evidence, { ...last.dispense, evidence: words });
  }
  return unknown(outcome.evidence);
}
