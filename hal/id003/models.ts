/** What differs between ID-003 devices, as data. Source: cash-hardware.md 2.6, 2.7. */
import { type MinorUnits, minorOfDenomination } from '#protocol/base/money.ts';

/** Model families by the first letter of the version text. Case counts. */
const FAMILIES: Readonly<Record<string, string>> = {
  U: 'UBA',
  W: 'WBA',
  i: 'iVIZION',
  E: 'EBA',
  D: 'DBV',
  P: 'PUB-7',
  T: 'TBV',
  V: 'Vega',
  S: 'CashCode emulation',
  F: 'CashCode emulation',
  G: 'GPT',
  R: 'KBSP',
  A: 'Ardac',
};

/** Currencies by country code of the currency table. */
export const countryCurrencies: Readonly<Record<number, string>> = {
  1: 'USD',
  8: 'CAD',
  22: 'CHF',
  39: 'RUB',
  45: 'CNY',
  48: 'HUF',
  81: 'KZT',
  92: 'UAH',
  99: 'INR',
  120: 'IRR',
  126: 'MDL',
  134: 'UZS',
  224: 'EUR',
};

/** One kind of note that the device knows. */
export interface CurrencyEntry {
  /** What ESCROW says, 61 to 70. */
  readonly escrowCode: number;
  /** ISO 4217; undefined for a country that is not known here. */
  readonly currency: string | undefined;
  /** Face value in major units. */
  readonly denomination: number;
}

/** First escrow code; its bit in the denomination mask is bit 0 of the first byte. */
const ESCROW_CODE_FIRST = 0x61;
/** Two bytes of mask. */
const ESCROW_CODES_MAX = 16;
const ENTRY_BYTES = 4;
/** A higher exponent is no banknote; the bound keeps values within the safe integers. */
const EXPONENT_MAX = 9;

/** The model's family, as `UBA`; the letter itself when it is unknown. */
export function modelOfVersion(version: string): string {
  const letter = version.slice(0, 1);
  return FAMILIES[letter] ?? `unknown (${letter})`;
}

/** The text of a version reply; undefined when it is not printable ASCII. */
export function decodeVersion(data: Uint8Array): string | undefined {
  const text = Buffer.from(data).toString('latin1').replace(/\0+$/, '').trim();
  return /^[\x20-\x7e]+$/.test(text) ? text : undefined;
}

/**
 * The kinds of note in a reply to CURRENCY ASSIGN REQUEST: N times escrow code, country, value,
 * exponent. Slots with country 0 or value 0 are unused. Undefined when the bytes are no such table.
 */
export function decodeCurrencyTable(data: Uint8Array): readonly CurrencyEntry[] | undefined {
  if (data.length === 0 || data.length % ENTRY_BYTES !== 0) return undefined;
  const entries: CurrencyEntry[] = [];
  for (let at = 0; at < data.length; at += ENTRY_BYTES) {
    const [escrowCode = 0, country = 0, value = 0, exponent = 0] = data.subarray(at, at + 4);
    if (country === 0 || value === 0) continue;
    // Without a bit in the mask it could never be switched off alone, so it is not a kind of ours.
    if (maskBit(escrowCode) === undefined || exponent > EXPONENT_MAX) continue;
    const denomination = value * 10 ** exponent;
    entries.push({ escrowCode, currency: countryCurrencies[country], denomination });
  }
  return entries;
}

/** The value of a kind of note in the configured currency; undefined for any other currency. */
export function entryValue(entry: CurrencyEntry, currency: string): MinorUnits | undefined {
  if (entry.currency !== currency) return undefined;
  return minorOfDenomination(entry.denomination, currency);
}

/** The bit of an escrow code in the denomination mask, 0 to 15; undefined for no such code. */
export function maskBit(escrowCode: number): number | undefined {
  const bit = escrowCode - ESCROW_CODE_FIRST;
  return bit >= 0 && bit < ESCROW_CODES_MAX ? bit : undefined;
}

/** The two bytes of SET DENOMINATIONS. A set bit **disables**, so everything not named is set. */
export function denominationMask(enabledEscrowCodes: readonly number[]): readonly number[] {
  let mask = 0xffff;
  for (const code of enabledEscrowCodes) {
    const bit = maskBit(code);
    if (bit !== undefined) mask &= ~(1 << bit);
  }
  return [mask & 0xff, (mask >> 8) & 0xff];
}
