/** Every protocol that is fuzzed: a further one is one entry here. */
import { id003Target } from './id003.ts';
import type { FuzzTarget } from './target.ts';

/** The protocols by name. */
export const fuzzTargets: readonly FuzzTarget[] = [id003Target];
