/** What many runs came to together, and whether enough of everything happened in them. */
import type { EpisodeResult } from './episode.ts';
import { allDeviceFaults } from './pairings.ts';
import { worldFaults } from './plan.ts';
import { outcomeNames } from './watch.ts';

/** The last line of `npm run sim`. */
export interface Report {
  readonly seed: string;
  readonly transactions: number;
  readonly crashes: number;
  /** How often each fault was given, by name. */
  readonly faults: Readonly<Record<string, number>>;
  readonly outcomes: Readonly<Record<string, number>>;
  readonly violations: number;
  readonly unsettled: number;
  /** Idle stretches count for 60 s at most. */
  readonly simulatedSeconds: number;
  readonly seconds: number;
}

/**
 * Below this not everything need occur. The rarest faults come once in 250 transactions; that one
 * of all should be missing by chance from then on is one in 1,000.
 */
export const COMPLETE_FROM_TRANSACTIONS = 3_000;

/** Nothing yet. */
export function emptyReport(seed: string): Report {
  const zero = { transactions: 0, crashes: 0, violations: 0, unsettled: 0 };
  return { seed, ...zero, faults: {}, outcomes: {}, simulatedSeconds: 0, seconds: 0 };
}

type Counts = Readonly<Record<string, number>>;

function sum(one: Counts, other: Counts): Counts {
  const names = [...new Set([...Object.keys(one), ...Object.keys(other)])].sort();
  return Object.fromEntries(names.map((name) => [name, (one[name] ?? 0) + (other[name] ?? 0)]));
}

/** One more run. */
export function withEpisode(report: Report, result: EpisodeResult): Report {
  return {
    ...report,
    transactions: report.transactions + result.transactions,
    crashes: report.crashes + result.crashes,
    faults: sum(report.faults, result.faults),
    outcomes: sum(report.outcomes, result.outcomes),
    violations: report.violations + (result.violation ? 1 : 0),
    unsettled: report.unsettled + result.unsettled.length,
    simulatedSeconds: report.simulatedSeconds + result.simulatedSeconds,
  };
}

/** Two parts of one run; they ran side by side. */
export function together(one: Report, other: Report): Report {
  return {
    seed: one.seed,
    transactions: one.transactions + other.transactions,
    crashes: one.crashes + other.crashes,
    faults: sum(one.faults, other.faults),
    outcomes: sum(one.outcomes, other.outcomes),
    violations: one.violations + other.violations,
    unsettled: one.unsettled + other.unsettled,
    simulatedSeconds: one.simulatedSeconds + other.simulatedSeconds,
    seconds: Math.max(one.seconds, other.seconds),
  };
}

/** Faults and outcomes that never occurred, though the run was long enough for all of them. */
export function neverOccurred({ transactions, faults, outcomes }: Report): readonly string[] {
  if (transactions < COMPLETE_FROM_TRANSACTIONS) return [];
  return [
    ...[...allDeviceFaults(), ...worldFaults].filter((name) => !faults[name]),
    ...outcomeNames.filter((name) => !outcomes[name]),
  ];
}
