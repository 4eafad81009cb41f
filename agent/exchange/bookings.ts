/**
 * What an exchange moves in the note ledger. The plan follows from the answers; what is booked
 * already is kept with the exchange; each commit moves the difference, so that an answer taken
 * back is moved back and no count is ever written over.
 */
import assert from 'node:assert';
import { z } from 'zod';
import { type MinorUnits, minorUnits } from '#protocol/base/money.ts';
import type { JsonValue } from '#state/json.ts';
import {
  type Account,
  account,
  bagAccount,
  bayAccount,
  type NoteMove,
} from '#state/note-ledger.ts';
import type { Store } from '#state/store.ts';
import { BOOK_SHORT } from '../cash-out/dispense-batch.ts';
import {
  type BayStanding,
  type BoxStanding,
  differencesOf,
  type Pile,
  type Standing,
} from './standing.ts';

/** Notes of one value from here to there. */
export type PlannedMove = Pick<NoteMove, 'from' | 'to' | 'value' | 'count'> & {
  /** `counted`, `over`, `short`, `sealed`, `loaded`, `test` */
  readonly what: string;
};

const bookedSchema = z.array(
  z.object({
    from: z.string().transform(account),
    to: z.string().transform(account),
    value: z.int().positive().transform(minorUnits),
    count: z.int().positive(),
  }),
);

/** Accounts that hold nothing themselves, and so may owe. */
const OUTSIDE: ReadonlySet<Account> = new Set(['customer', 'technician', 'unaccounted']);

/** What was counted leaves its place, after the books were put right. */
function countedMoves(
  place: Account,
  counted: readonly Pile[],
  expected: readonly Pile[],
): PlannedMove[] {
  const differences = differencesOf({ counted, expected }).map(({ value, count }): PlannedMove => {
    return count > 0
      ? { from: 'unaccounted', to: place, value, count, what: 'over' }
      : { from: place, to: 'unaccounted', value, count: -count, what: 'short' };
  });
  const taken = counted.map(({ value, count }): PlannedMove => {
    return { from: place, to: 'technician', value, count, what: 'counted' };
  });
  return [...differences, ...taken];
}

function sealedMoves(place: Account, seal: string, expected: readonly Pile[]): PlannedMove[] {
  return expected.map(({ value, count }) => {
    return { from: place, to: bagAccount(seal), value, count, what: 'sealed' };
  });
}

function outMoves(place: Account, one: BayStanding | BoxStanding): PlannedMove[] {
  if (one.choice === 'seal' && one.seal !== null) {
    return sealedMoves(place, one.seal, one.expected);
  }
  if (one.choice !== 'count' || one.counted === null) return [];
  return countedMoves(place, one.counted, one.expected);
}

/** Everything that the answers, and the tests that ran, move. */
export function planOf({ bays, boxes, tests }: Standing): PlannedMove[] {
  const moves: PlannedMove[] = [];
  for (const box of boxes) moves.push(...outMoves(box.place, box));
  for (const bay of bays) {
    const place = bayAccount(bay.before.position);
    moves.push(...outMoves(place, bay));
    if (bay.value !== null && bay.count !== null) {
      const { value, count } = bay;
      moves.push({ from: 'technician', to: place, value, count, what: 'loaded' });
    }
  }
  for (const test of tests) {
    const bay = bays.find(({ before }) => before.position === test.position);
    const isLoaded = bay !== undefined && bay.value !== null && bay.count !== null;
    // While the answer that put them in is taken back, nobody knows what the test drew.
    const from = isLoaded ? bayAccount(test.position) : 'unaccounted';
    const value = isLoaded && bay.value !== null ? bay.value : test.value;
    const draw = { from, value, what: 'test' } as const;
    // A note at the slot is the technician's to take: maintenance, and no sale.
    moves.push({ ...draw, to: 'technician', count: test.presented });
    moves.push({ ...draw, to: 'reject', count: test.rejected });
  }
  return moves.filter(({ count }) => count > 0);
}

const keyOf = ({ from, to, value }: Omit<PlannedMove, 'what' | 'count'>): string =>
  `${from}>${to}>${value}`;

/** One line for each way and value. */
function inSum<Move extends Omit<PlannedMove, 'what'>>(moves: readonly Move[]): Map<string, Move> {
  const sums = new Map<string, Move>();
  for (const move of moves) {
    const key = keyOf(move);
    sums.set(key, { ...move, count: move.count + (sums.get(key)?.count ?? 0) });
  }
  return sums;
}

/** What an exchange has moved by now, in sum. @throws ZodError for what this program never wrote. */
export function bookedOf(booked: readonly JsonValue[]) {
  return bookedSchema.parse(booked);
}

/** What an account would hold had this exchange not begun. */
export function withoutBooked(store: Store, booked: readonly JsonValue[], place: Account): Pile[] {
  const back = bookedOf(booked).flatMap(({ from, to, value, count }) => [
    { account: from, value, count },
    { account: to, value, count: -count },
  ]);
  const there = store.ledger.balance(place).map((pile) => ({ account: place, ...pile }));
  const held = new Map<MinorUnits, number>();
  for (const { account, value, count } of [...there, ...back]) {
    if (account === place) held.set(value, count + (held.get(value) ?? 0));
  }
  return [...held]
    .map(([value, count]) => ({ value, count }))
    .filter(({ count }) => count > 0)
    .sort((one, other) => one.value - other.value);
}

/**
 * Moves what the plan has and the books have not, and back what they have too much; inside a
 * commit. Returns what is booked from then on.
 */
export function bookDifference(
  store: Store,
  currency: string,
  reference: string,
  plan: readonly PlannedMove[],
  booked: readonly JsonValue[],
): JsonValue[] {
  const wanted = inSum(plan);
  const done = inSum(bookedOf(booked));
  const due: PlannedMove[] = [];
  for (const [key, { from, to, value, count }] of done) {
    const excess = count - (wanted.get(key)?.count ?? 0);
    if (excess > 0) due.push({ from: to, to: from, value, count: excess, what: 'takenBack' });
  }
  for (const [key, move] of wanted) {
    const missing = move.count - (done.get(key)?.count ?? 0);
    if (missing > 0) due.push({ ...move, count: missing });
  }
  const cause = (what: string) => `exchange ${reference}: ${what}`;
  for (let left = due; left.length > 0; ) {
    const next = left.find((move) => isThere(store, move)) ?? left[0];
    assert(next !== undefined, 'a move is left');
    fill(store, currency, next);
    const { from, to, value, count, what } = next;
    store.ledger.move({ from, to, value, count, currency, cause: cause(what) });
    left = left.filter((move) => move !== next);
  }
  return [...wanted.values()].map(({ from, to, value, count }) => ({ from, to, value, count }));
}

const isThere = (store: Store, { from, value, count }: PlannedMove): boolean =>
  OUTSIDE.has(from) || store.ledger.count(from, value) >= count;

/** A device has drawn notes meanwhile that the answers did not know of: the books are put right. */
function fill(store: Store, currency: string, move: PlannedMove): void {
  const { from, value, count } = move;
  if (OUTSIDE.has(from)) return;
  const missing = count - store.ledger.count(from, value);
  if (missing <= 0) return;
  const cause = BOOK_SHORT;
  store.ledger.move({ from: 'unaccounted', to: from, value, count: missing, currency, cause });
}
