import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  addSats,
  denominationOfMinor,
  denominationsOf,
  feeSats,
  minorDigits,
  minorOfDenomination,
  minorPerBtc,
  minorUnits,
  minorWithin,
  principalOfNote,
  principalOfPayout,
  roundHalfEven,
  sats,
  wireOfCashIn,
  wireOfCashOut,
} from '#protocol/base/money.ts';

const amount = fc.integer({ min: 0, max: 10 ** 12 }).map(minorUnits);
const rate = fc.integer({ min: 1, max: 10 ** 12 }).map(minorPerBtc);

test('the worked figures of the operator come out exactly', () => {
  // Source: bitspire-wire.md 6.2, 3 % and 5 % of 82,386, each leg rounded by itself.
  const principal = sats(82_386);
  expect(feeSats(principal, { kind: 'legs', platform: 0.03, operator: 0 })).toBe(2_472);
  expect(feeSats(principal, { kind: 'legs', platform: 0, operator: 0.05 })).toBe(4_119);
  const fee = feeSats(principal, { kind: 'legs', platform: 0.03, operator: 0.05 });
  expect(wireOfCashIn(principal, fee)).toBe(75_795);
  expect(wireOfCashOut(principal, fee)).toBe(82_386 + 6_591);
  expect(feeSats(sats(222_320), { kind: 'total', total: 0.0777 })).toBe(17_274);
});

test('halves go to the even neighbour, as in Python', () => {
  const rounded = [0.5, 1.5, 2.5, 3.5, 2.4, 2.6, 7].map(roundHalfEven);
  expect(rounded).toEqual([0, 2, 2, 4, 2, 3, 7]);
});

test('a note rounds down, a payout rounds up, and they are a sat apart at most', () => {
  fc.assert(
    fc.property(amount, rate, (value, perBtc) => {
      const exact = (BigInt(value) * 100_000_000n) / BigInt(perBtc);
      fc.pre(exact < BigInt(Number.MAX_SAFE_INTEGER));
      const note = principalOfNote(value, perBtc);
      const payout = principalOfPayout(value, perBtc);
      expect(BigInt(note)).toBe(exact);
      const isWhole = (BigInt(value) * 100_000_000n) % BigInt(perBtc) === 0n;
      expect(payout - note).toBe(isWhole ? 0 : 1);
    }),
  );
});

test('products beyond 2^53 are exact', () => {
  // 10^8 minor units times 10^8 is 10^16, above 9.007 * 10^15.
  expect(principalOfNote(minorUnits(100_000_000), minorPerBtc(70_000_000))).toBe(142_857_142);
  expect(principalOfPayout(minorUnits(100_000_000), minorPerBtc(70_000_000))).toBe(142_857_143);
});

test('what fits under a limit does not pass it, and one unit more would', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10 ** 9 }).map(sats), rate, (limit, perBtc) => {
      fc.pre(limit * perBtc < Number.MAX_SAFE_INTEGER);
      const fits = minorWithin(limit, perBtc);
      expect(principalOfNote(fits, perBtc)).toBeLessThanOrEqual(limit);
      expect(principalOfPayout(minorUnits(fits + 1), perBtc)).toBeGreaterThan(limit);
    }),
  );
});

test('what is no count is refused by name', () => {
  for (const wrong of [-1, 0.5, Number.NaN, 2 ** 53]) {
    expect(() => sats(wrong)).toThrow('sats');
    expect(() => minorUnits(wrong)).toThrow('minor units');
    expect(() => minorPerBtc(wrong)).toThrow('minor units per bitcoin');
  }
  expect(() => minorPerBtc(0)).toThrow('positive');
  expect(() => addSats(sats(Number.MAX_SAFE_INTEGER), sats(1))).toThrow('sats');
  expect(addSats(sats(1), sats(2))).toBe(3);
});

test('face values and minor units are each other’s inverse', () => {
  expect(minorOfDenomination(20, 'USD')).toBe(2_000);
  expect(minorOfDenomination(1_000, 'JPY')).toBe(1_000);
  expect(denominationOfMinor(minorUnits(2_000), 'USD')).toBe(20);
  expect(denominationOfMinor(minorUnits(2_050), 'USD')).toBeUndefined();
  const values = [2_000, 2_050, 100].map(minorUnits);
  expect(denominationsOf(values, 'USD')).toEqual([20, 1]);
  expect(minorDigits('GTQ')).toBe(2);
  expect(() => minorDigits('dollars')).toThrow('dollars');
});
