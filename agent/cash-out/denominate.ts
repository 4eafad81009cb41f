/** Which notes from which bays make an amount (XFS4IoT: denominate). Pure. */
import assert from 'node:assert';
import type { UnitCount } from '#hal/cash-dispenser.ts';
import type { Position } from '#protocol/base/ids.ts';
import { type MinorUnits, minorUnits } from '#protocol/base/money.ts';

/** Notes that may be counted on in one bay. */
export interface Bay {
  readonly position: Position;
  readonly value: MinorUnits;
  readonly count: number;
}

/** Amounts offered at a time; more do not fit a screen. */
const OFFERED_MAX = 12;

/** Notes of one value over all bays that hold it. */
interface Pile {
  readonly value: number;
  readonly count: number;
}

function pilesOf(bays: readonly Bay[]): readonly Pile[] {
  const counts = new Map<number, number>();
  for (const { value, count } of bays) counts.set(value, (counts.get(value) ?? 0) + count);
  return [...counts]
    .map(([value, count]) => ({ value, count }))
    .filter(({ count }) => count > 0)
    .sort((a, b) => b.value - a.value);
}

/** How many notes of each pile make an amount; undefined when none do. */
type LeastNotes = (amount: number) => readonly number[] | undefined;

/**
 * Least notes for an amount from piles of limited size. Exact: the best of each rest is worked out
 * once for each pile and kept, for every amount that is asked.
 */
function leastNotesOf(piles: readonly Pile[]): LeastNotes {
  const known = piles.map(() => new Map<number, readonly number[] | undefined>());
  const best = (at: number, rest: number): readonly number[] | undefined => {
    if (rest === 0) return piles.slice(at).map(() => 0);
    const [pile, knownHere] = [piles[at], known[at]];
    if (!pile || !knownHere) return undefined;
    if (knownHere.has(rest)) return knownHere.get(rest);
    let least: readonly number[] | undefined;
    let leastSum = Number.POSITIVE_INFINITY;
    for (let take = Math.min(pile.count, Math.floor(rest / pile.value)); take >= 0; take--) {
      const tail = best(at + 1, rest - take * pile.value);
      if (!tail) continue;
      const sum = take + sumOf(tail);
      if (sum < leastSum) {
        least = [take, ...tail];
        leastSum = sum;
      }
    }
    knownHere.set(rest, least);
    return least;
  };
  return (amount) => (amount > 0 ? best(0, amount) : undefined);
}

const sumOf = (counts: readonly number[]): number => counts.reduce((sum, next) => sum + next, 0);

/** Takes notes of one value one by one from the bay that has most, so that bays empty evenly. */
function spread(take: number, bays: readonly Bay[]): readonly UnitCount[] {
  const left = new Map(bays.map(({ position, count }) => [position, count]));
  const taken = new Map<Position, number>();
  for (let note = 0; note < take; note++) {
    const [fullest] = [...left].sort(([p, a], [q, b]) => b - a || p - q);
    assert(fullest, 'only notes that are there are planned');
    left.set(fullest[0], fullest[1] - 1);
    taken.set(fullest[0], (taken.get(fullest[0]) ?? 0) + 1);
  }
  return [...taken].map(([position, count]) => ({ position, count }));
}

/**
 * Notes by position that make exactly this amount, as few as possible, taken evenly from bays of
 * the same value. Undefined when the bays cannot make it, or not with `notesMax` notes.
 */
export function denominate(
  amount: MinorUnits,
  bays: readonly Bay[],
  notesMax: number,
): readonly UnitCount[] | undefined {
  const piles = pilesOf(bays);
  const counts = leastNotesOf(piles)(amount);
  if (!counts || sumOf(counts) > notesMax) return undefined;
  return piles
    .flatMap(({ value }, at) =>
      spread(
        counts[at] ?? 0,
        bays.filter((bay) => bay.value === value),
      ),
    )
    .sort((a, b) => a.position - b.position);
}

/** Limits on what one cash-out may come to. */
export interface PayoutLimits {
  readonly cashOutNotesMax: number;
  readonly cashOutMaxMinor?: number | undefined;
}

/** Greatest common divisor: no amount between its multiples can be made. */
function divisorOf(values: readonly number[]): number {
  const divide = (a: number, b: number): number => (b === 0 ? a : divide(b, a % b));
  return values.reduce(divide, 0);
}

/** Most amounts that are tried for an offer; they grow by what all notes have in common. */
const TRIED_MAX = 200;

/**
 * Up to twelve amounts that the bays can make now, ascending: the six smallest, and six more spread
 * to the largest.
 */
export function offeredAmounts(bays: readonly Bay[], limits: PayoutLimits): readonly MinorUnits[] {
  const piles = pilesOf(bays);
  const largest = piles[0]?.value;
  if (largest === undefined) return [];
  const step = divisorOf(piles.map(({ value }) => value));
  const ceiling = Math.min(limits.cashOutMaxMinor ?? Number.MAX_SAFE_INTEGER, largest * 10);
  const leastNotes = leastNotesOf(piles);
  const makeable: MinorUnits[] = [];
  for (let amount = step; amount <= Math.min(ceiling, step * TRIED_MAX); amount += step) {
    const counts = leastNotes(amount);
    if (counts && sumOf(counts) <= limits.cashOutNotesMax) makeable.push(minorUnits(amount));
  }
  if (makeable.length <= OFFERED_MAX) return makeable;
  const half = OFFERED_MAX / 2;
  const tail = makeable.slice(half);
  const spreadOut = Array.from(
    { length: half },
    (_, at) => tail[Math.round(((at + 1) * (tail.length - 1)) / half)],
  );
  return [...makeable.slice(0, half), ...spreadOut.filter((amount) => amount !== undefined)];
}

/** Splits what is asked into commands that the device takes, bay by bay. */
export function splitBatches(
  units: readonly UnitCount[],
  batchMax: number,
): readonly (readonly UnitCount[])[] {
  const batches: UnitCount[][] = [];
  let room = 0;
  for (const { position, count } of units) {
    for (let left = count; left > 0; ) {
      if (room === 0) {
        batches.push([]);
        room = batchMax;
      }
      const take = Math.min(left, room);
      batches.at(-1)?.push({ position, count: take });
      left -= take;
      room -= take;
    }
  }
  return batches;
}
