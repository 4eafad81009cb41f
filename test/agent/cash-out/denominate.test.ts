/** Denominating against a slow twin that tries everything. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Bay, denominate, offeredAmounts, splitBatches } from '#agent/cash-out/denominate.ts';
import { position } from '#protocol/base/ids.ts';
import { minorUnits } from '#protocol/base/money.ts';

const NOTES_MAX = 40;
const LIMITS = { cashOutNotesMax: NOTES_MAX };

const bay = (at: number, value: number, count: number): Bay => ({
  position: position(at),
  value: minorUnits(value),
  count,
});

/** Values that trap a greedy payer: 80 is two 40s, and not 50 and three 10s. */
const someBays = fc
  .array(fc.record({ value: fc.constantFrom(10, 20, 40, 50), count: fc.nat(4) }), {
    minLength: 1,
    maxLength: 4,
  })
  .map((bays) => bays.map(({ value, count }, at) => bay(at + 1, value, count)));

/** Fewest notes over all ways to take notes from bays; infinite when none makes the amount. */
function fewest(amount: number, bays: readonly Bay[]): number {
  const [first, ...others] = bays;
  if (amount === 0) return 0;
  if (!first || amount < 0) return Number.POSITIVE_INFINITY;
  const ways = Array.from(
    { length: first.count + 1 },
    (_, take) => take + fewest(amount - take * first.value, others),
  );
  return Math.min(...ways);
}

const total = (units: readonly { readonly count: number }[]): number =>
  units.reduce((sum, { count }) => sum + count, 0);

test('exactly the amount, with the fewest notes there can be, or nothing', () => {
  fc.assert(
    fc.property(someBays, fc.integer({ min: 1, max: 400 }), (bays, amount) => {
      const units = denominate(minorUnits(amount), bays, NOTES_MAX);
      const best = fewest(amount, bays);
      if (!units) {
        expect(best).toBe(Number.POSITIVE_INFINITY);
        return;
      }
      expect(total(units)).toBe(best);
      const of = (at: number) => bays.find((one) => one.position === at);
      expect(units.reduce((sum, u) => sum + u.count * (of(u.position)?.value ?? 0), 0)).toBe(
        amount,
      );
      for (const unit of units) {
        expect(unit.count).toBeGreaterThan(0);
        expect(unit.count).toBeLessThanOrEqual(of(unit.position)?.count ?? 0);
      }
      expect(new Set(units.map((unit) => unit.position)).size).toBe(units.length);
    }),
    { numRuns: 500 },
  );
});

test('bays of one value empty evenly: a bay that gave ends no lower than its twin less one', () => {
  fc.assert(
    fc.property(fc.nat(9), fc.nat(9), fc.integer({ min: 1, max: 18 }), (one, other, notes) => {
      const units = denominate(
        minorUnits(notes * 20),
        [bay(1, 20, one), bay(2, 20, other)],
        NOTES_MAX,
      );
      expect(units !== undefined).toBe(one + other >= notes);
      const given = (at: number) => units?.find((unit) => unit.position === at)?.count ?? 0;
      const [first, second] = [one - given(1), other - given(2)];
      if (given(1) > 0) expect(first).toBeGreaterThanOrEqual(second - 1);
      if (given(2) > 0) expect(second).toBeGreaterThanOrEqual(first - 1);
    }),
  );
});

test('greedy traps, nothing, and one note too many', () => {
  const bays = [bay(1, 2_000, 4), bay(2, 5_000, 4)];
  expect(denominate(minorUnits(6_000), bays, NOTES_MAX)).toEqual([{ position: 1, count: 3 }]);
  expect(denominate(minorUnits(3_000), bays, NOTES_MAX)).toBeUndefined();
  const trap = [bay(1, 1_000, 9), bay(2, 4_000, 9), bay(3, 5_000, 9)];
  expect(denominate(minorUnits(8_000), trap, NOTES_MAX)).toEqual([{ position: 2, count: 2 }]);
  expect(denominate(minorUnits(0), bays, NOTES_MAX)).toBeUndefined();
  expect(denominate(minorUnits(6_000), bays, 2)).toBeUndefined();
  expect(denominate(minorUnits(2_000), [], NOTES_MAX)).toBeUndefined();
});

test('offers: at most twelve, ascending, each can be made, smallest and largest among them', () => {
  fc.assert(
    fc.property(someBays, fc.option(fc.integer({ min: 10, max: 500 })), (bays, cap) => {
      const cashOutMaxMinor = cap ?? undefined;
      const offers = offeredAmounts(bays, { ...LIMITS, cashOutMaxMinor });
      expect(offers.length).toBeLessThanOrEqual(12);
      expect([...new Set(offers)].sort((a, b) => a - b)).toEqual(offers);
      const made = Array.from({ length: 500 }, (_, at) => at + 1)
        .filter((amount) => amount <= (cashOutMaxMinor ?? 500))
        .filter((amount) => denominate(minorUnits(amount), bays, NOTES_MAX));
      // Ten of the largest note is as far as an offer goes.
      const top = Math.max(0, ...bays.filter((b) => b.count > 0).map(({ value }) => value)) * 10;
      const sensible = made.filter((amount) => amount <= top);
      expect(offers.at(0)).toBe(sensible.at(0));
      expect(offers.at(-1)).toBe(sensible.at(-1));
      for (const offer of offers) expect(made).toContain(offer);
    }),
  );
});

test('batches keep every note, in order, and none is more than the device takes', () => {
  const units = fc.array(
    fc.record({ position: fc.integer({ min: 1, max: 4 }), count: fc.nat(50) }),
    {
      maxLength: 4,
    },
  );
  fc.assert(
    fc.property(units, fc.integer({ min: 1, max: 40 }), (counts, batchMax) => {
      const asked = counts.map((unit) => ({ ...unit, position: position(unit.position) }));
      const batches = splitBatches(asked, batchMax);
      for (const batch of batches) {
        expect(total(batch)).toBeGreaterThan(0);
        expect(total(batch)).toBeLessThanOrEqual(batchMax);
      }
      expect(batches.length).toBe(Math.ceil(total(asked) / batchMax));
      const bays = (all: typeof asked) => all.flatMap((u) => Array(u.count).fill(u.position));
      expect(bays(batches.flat())).toEqual(bays(asked));
    }),
  );
});
