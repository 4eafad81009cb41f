/** Since when nobody knows what is in a bay: no older document can say it either (design 10). */
import type { Position } from '#protocol/base/ids.ts';
import type { Parts } from '../parts.ts';

const keyOf = (position: Position): string => `doubt:bay:${position}`;

/** Notes that a bay came into doubt now; inside a commit. */
export function noteDoubt({ store, clock }: Pick<Parts, 'store' | 'clock'>, at: Position): void {
  store.facts.put(keyOf(at), true, clock.now());
}

/** When a bay was last left in doubt by a person, Unix ms; undefined when it never was. */
export function doubtedAtUnixMs({ store }: Pick<Parts, 'store'>, at: Position): number | undefined {
  return store.facts.get(keyOf(at))?.atUnixMs;
}
