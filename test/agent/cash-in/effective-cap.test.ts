import fc from 'fast-check';
import { expect, test } from 'vitest';
import { effectiveCap } from '#agent/cash-in/effective-cap.ts';
import { afterNote, fittingValues } from '#agent/cash-in/terms.ts';
import { minorPerBtc, minorUnits, principalOfNote, sats } from '#protocol/base/money.ts';

const limit = fc.nat(1_000_000);
const sources = fc.record({
  configured: fc.option(limit, { nil: null }),
  operator: fc.oneof(limit, fc.constant(null), fc.constant(undefined)),
  learned: fc.option(limit, { nil: undefined }),
  noEscrow: fc.option(limit, { nil: undefined }),
  spendable: fc.integer({ min: -1_000_000, max: 1_000_000 }),
  budget: fc.integer({ min: -1_000_000, max: 1_000_000 }),
});

test('the cap is the least of all limits, never below zero, and names the one that binds', () => {
  fc.assert(
    fc.property(sources, (given) => {
      const { capSats, binding, agreed } = effectiveCap(given);
      const limits = Object.values(given).filter((one): one is number => typeof one === 'number');
      expect(capSats).toBe(Math.max(0, Math.min(...limits)));
      expect(Math.max(0, given[binding] ?? Number.NaN)).toBe(capSats);
      const { configured, operator, learned, noEscrow } = given;
      const operators = [configured, operator, learned, noEscrow].filter(
        (one): one is number => typeof one === 'number',
      );
      expect(agreed).toBe(operators.length === 0 ? null : Math.min(...operators));
    }),
  );
});

test('a note fits exactly when the cap still holds with it', () => {
  const values = [1, 5, 10, 20, 50, 100].map((dollars) => minorUnits(dollars * 100));
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2_000_000_000 }), limit, limit, (rate, done, cap) => {
      const price = minorPerBtc(rate);
      const fits = fittingValues([...values].reverse(), price, sats(done), sats(cap));
      expect(fits).toEqual(values.filter((value) => done + principalOfNote(value, price) <= cap));
    }),
  );
});

test('the worked figures: 82,386 at 3 % and 5 % leave 75,795', () => {
  const legs = { kind: 'legs', platform: 0.03, operator: 0.05 } as const;
  expect(afterNote(sats(0), sats(82_386), legs)).toEqual({
    principal: 82_386,
    fee: 2_472 + 4_119,
    net: 75_795,
  });
  // The fee is that of the sum, not the sum of fees.
  const half = afterNote(sats(0), sats(41_193), legs);
  expect(afterNote(half.principal, sats(41_193), legs).net).toBe(75_795);
});
