/**
 * Money of the machine: sats, fiat in minor units, rates and fees. Everything is a non-negative
 * safe
 * integer; the only floating point is the fee formula, which must equal the server's (design 7.2).
 */

declare const brand: unique symbol;

/** Satoshis, a non-negative safe integer. */
export type Sats = number & { readonly [brand]: 'sats' };
/** Fiat in the currency's minor unit (cents), a non-negative safe integer. */
export type MinorUnits = number & { readonly [brand]: 'minorUnits' };
/** Price of one bitcoin in minor units of the machine's currency, a positive safe integer. */
export type MinorPerBtc = number & { readonly [brand]: 'minorPerBtc' };

const SATS_PER_BTC = 100_000_000n;

function assertCount(value: number, name: string): void {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(`${name} must be a non-negative safe integer, got ${value}`);
  }
}

/** Makes sats. @throws RangeError when the value is no non-negative safe integer. */
export function sats(value: number): Sats {
  assertCount(value, 'sats');
  return value as Sats;
}

/** Makes minor units. @throws RangeError when the value is no non-negative safe integer. */
export function minorUnits(value: number): MinorUnits {
  assertCount(value, 'minor units');
  return value as MinorUnits;
}

/** Makes a rate. @throws RangeError when the value is no positive safe integer. */
export function minorPerBtc(value: number): MinorPerBtc {
  assertCount(value, 'minor units per bitcoin');
  if (value === 0) throw new RangeError('minor units per bitcoin must be positive');
  return value as MinorPerBtc;
}

/** Sum of sats. @throws RangeError beyond the safe integers. */
export function addSats(...values: readonly Sats[]): Sats {
  return sats(values.reduce<number>((sum, value) => sum + value, 0));
}

/** Principal of a note put in: rounded down, the machine keeps the fraction (design 6.1). */
export function principalOfNote(value: MinorUnits, rate: MinorPerBtc): Sats {
  return sats(Number((BigInt(value) * SATS_PER_BTC) / BigInt(rate)));
}

/** Principal of notes handed out: rounded up, the customer pays the fraction (design 7.2). */
export function principalOfPayout(value: MinorUnits, rate: MinorPerBtc): Sats {
  const divisor = BigInt(rate);
  return sats(Number((BigInt(value) * SATS_PER_BTC + divisor - 1n) / divisor));
}

/** The most fiat whose principal stays within these sats, rounded down. */
export function minorWithin(limit: Sats, rate: MinorPerBtc): MinorUnits {
  return minorUnits(Number((BigInt(limit) * BigInt(rate)) / SATS_PER_BTC));
}

/** Rounds half to even, as Python's `round` does on the server (bitspire-wire.md 6.2). */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const fraction = value - floor;
  if (fraction < 0.5) return floor;
  if (fraction > 0.5) return floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

/**
 * Fractions of principal of one direction: one leg each for platform and operator, or one
 * total.
 */
export type FeeFractions =
  | { readonly kind: 'legs'; readonly platform: number; readonly operator: number }
  | { readonly kind: 'total'; readonly total: number };

/**
 * Fee in sats: each leg rounded half to even by itself, as the server does (bitspire-wire.md
 * 6.2).
 */
export function feeSats(principal: Sats, fractions: FeeFractions): Sats {
  if (fractions.kind === 'total') return sats(roundHalfEven(principal * fractions.total));
  return sats(
    roundHalfEven(principal * fractions.platform) + roundHalfEven(principal * fractions.operator),
  );
}

/** Sats on the wire of a cash-in: what the customer withdraws. */
export function wireOfCashIn(principal: Sats, fee: Sats): Sats {
  return sats(principal - fee);
}

/** Sats on the wire of a cash-out: what the customer pays. */
export function wireOfCashOut(principal: Sats, fee: Sats): Sats {
  return sats(principal + fee);
}

/** Digits by currency: asking for them takes longer than all else that a view is made of. */
const digitsKnown = new Map<string, number>();

/** Digits after the point in a currency, 2 for USD. @throws RangeError for no ISO 4217 shape. */
export function minorDigits(currency: string): number {
  const known = digitsKnown.get(currency);
  if (known !== undefined) return known;
  if (!/^[A-Z]{3}$/.test(currency)) throw new RangeError(`not a currency code: ${currency}`);
  const format = new Intl.NumberFormat('en', { style: 'currency', currency });
  const digits = format.resolvedOptions().maximumFractionDigits ?? 2;
  digitsKnown.set(currency, digits);
  return digits;
}

/** A note's face value (20) in minor units (2000 for USD). */
export function minorOfDenomination(denomination: number, currency: string): MinorUnits {
  return minorUnits(denomination * 10 ** minorDigits(currency));
}

/** A value in minor units as a note's face value; undefined when it is no whole number. */
export function denominationOfMinor(value: MinorUnits, currency: string): number | undefined {
  const denomination = value / 10 ** minorDigits(currency);
  return Number.isInteger(denomination) ? denomination : undefined;
}

/** Face values in whole units of a currency; notes of part of a unit are left out. */
export function denominationsOf(values: readonly MinorUnits[], currency: string): number[] {
  return values.flatMap((value) => denominationOfMinor(value, currency) ?? []);
}
