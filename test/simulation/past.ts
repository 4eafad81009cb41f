/** Histories that once broke a promise: each is run again for ever. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Plan, planOf } from './plan.ts';

/** One of them, as short as it could be made. */
export interface PastHistory {
  readonly promise: string;
  /** What was wrong, in the words of whoever mended it. */
  readonly found: string;
  readonly plan: Plan;
}

/** The plan of a run by its name: one that is kept, or the one that its seed makes. */
export function planNamed(name: string): Plan {
  return pastHistories.find(({ plan }) => plan.seed === name)?.plan ?? planOf(name);
}

/** All of them. */
export const pastHistories: readonly PastHistory[] = JSON.parse(
  readFileSync(join(import.meta.dirname, 'seeds.json'), 'utf8'),
);
