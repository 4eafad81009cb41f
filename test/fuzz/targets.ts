/** Every protocol that is fuzzed: a further one is one entry here. */
import { f56Target } from './f56.ts';
import { id003Target } from './id003.ts';
import { lcdmTarget } from './lcdm.ts';
import type { FuzzTarget } from './target.ts';

/** The protocols by name. */
export const fuzzTargets: readonly FuzzTarget[] = [id003Target, f56Target, lcdmTarget];
