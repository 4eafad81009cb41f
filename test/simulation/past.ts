/** Histories that once broke a promise: each is run again for ever. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Plan } from './plan.ts';

/** One of them, as short as it could be made. */
export interface PastHistory {
  readonly promise: string;
  /** What was wrong, in the words of whoever mended it. */
  readonly found: string;
  readonly plan: Plan;
}

/** All of them. */
export const pastHistories: readonly PastHistory[] = JSON.parse(
  readFileSync(join(import.meta.dirname, 'seeds.json'), 'utf8'),
);
