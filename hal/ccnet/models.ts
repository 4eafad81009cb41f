/** What differs between CCNET validators, as data. Source: cash-hardware.md 3, 3.3. */
import { type MinorUnits, minorDigits, minorUnits } from '#protocol/base/money.ts';

/** One family of validators. All of them are driven alike; the name is for who must be there. */
export interface CcnetModel {
  readonly title: string;
  /** What its part number begins with, up to the hyphen. */
  readonly partNumberStart: string;
}

/** Families by name. Emulations by other makers answer with part numbers of their own. */
export const ccnetModels = {
  sm: { title: 'CashCode SM', partNumberStart: 'SM' },
  msm: { title: 'CashCode MSM', partNumberStart: 'MSM' },
  mvu: { title: 'CashCode MVU', partNumberStart: 'MVU' },
  mfl: { title: 'CashCode MFL', partNumberStart: 'MFL' },
  gx: { title: 'CashCode GX', partNumberStart: 'GX' },
} as const satisfies Record<string, CcnetModel>;

/** A family's name. */
export type CcnetModelName = keyof typeof ccnetModels;

/**
 * Currencies by the letters of the bill table, where those are no ISO 4217 code themselves:
 * firmware writes the country or the currency. Source: cash-hardware.md 3.3; ISO 3166 and 4217.
 */
export const countryCurrencies: Readonly<Record<string, string>> = {
  USA: 'USD',
  CAN: 'CAD',
  CHE: 'CHF',
  GBR: 'GBP',
  RUS: 'RUB',
  UKR: 'UAH',
  KAZ: 'KZT',
  MEX: 'MXN',
  POL: 'PLN',
  CZE: 'CZK',
  HUN: 'HUF',
  ROU: 'RON',
  BGR: 'BGN',
  MDA: 'MDL',
  GEO: 'GEL',
  ARM: 'AMD',
  UZB: 'UZS',
  QAT: 'QAR',
  ARE: 'AED',
  IND: 'INR',
  CHN: 'CNY',
};

/** One kind of note that the device knows. */
export interface BillType {
  /** What ESCROW and BILL STACKED say: its line in the bill table, from 0. */
  readonly type: number;
  /** ISO 4217, or the letters as they are for a country that is not known here. */
  readonly currency: string;
  /** Face value in major units: value times ten to the exponent. */
  readonly value: number;
  readonly exponent: number;
}

/** Lines of the bill table, and bits of each mask. */
export const BILL_TYPES = 24;
const ENTRY_BYTES = 5;
const PART_NUMBER_BYTES = 15;
const SERIAL_NUMBER_BYTES = 12;
/** Set in an exponent that is negative. */
const NEGATIVE_BIT = 0x80;
/** A higher exponent is no banknote; the bound keeps values within the safe integers. */
const EXPONENT_MAX = 9;

/** Who a validator says it is. */
export interface CcnetIdentification {
  readonly partNumber: string;
  /** Undefined when it is blank. */
  readonly serialNumber: string | undefined;
}

/**
 * Reads an answer to IDENTIFICATION. Undefined when the texts cannot be printed, or are missing.
 */
export function decodeIdentification(data: Uint8Array): CcnetIdentification | undefined {
  const partNumber = textOf(data.subarray(0, PART_NUMBER_BYTES));
  const rest = data.subarray(PART_NUMBER_BYTES, PART_NUMBER_BYTES + SERIAL_NUMBER_BYTES);
  const serialNumber = textOf(rest);
  if (!partNumber || serialNumber === undefined) return undefined;
  return { partNumber, serialNumber: serialNumber || undefined };
}

/** The family of a part number, as `SM` of `SM-US1234`; undefined for no family of ours. */
export function modelOfPartNumber(partNumber: string): CcnetModelName | undefined {
  const [start = ''] = partNumber.split(/[-\d\s]/, 1);
  const names = Object.keys(ccnetModels).filter((name): name is CcnetModelName =>
    Object.hasOwn(ccnetModels, name),
  );
  return names.find((name) => ccnetModels[name].partNumberStart === start.toUpperCase());
}

/**
 * The kinds of note in an answer to GET BILL TABLE: 24 times value, three letters, exponent.
 * Lines with value 0 are unused, lines that are no note are left out. Undefined for bytes of
 * another size.
 */
export function decodeBillTable(data: Uint8Array): readonly BillType[] | undefined {
  if (data.length !== BILL_TYPES * ENTRY_BYTES) return undefined;
  const table: BillType[] = [];
  for (let type = 0; type < BILL_TYPES; type++) {
    const line = data.subarray(type * ENTRY_BYTES, (type + 1) * ENTRY_BYTES);
    const value = line[0] ?? 0;
    const letters = Buffer.from(line.subarray(1, 4)).toString('latin1').toUpperCase();
    const size = (line[4] ?? 0) & ~NEGATIVE_BIT;
    const isNegative = ((line[4] ?? 0) & NEGATIVE_BIT) !== 0;
    if (value === 0 || size > EXPONENT_MAX || !/^[A-Z]{3}$/.test(letters)) continue;
    const currency = countryCurrencies[letters] ?? letters;
    // Adding 0 makes 0 of -0.
    table.push({ type, currency, value, exponent: (isNegative ? -size : size) + 0 });
  }
  return table;
}

/** The value of a kind of note in the configured currency; undefined for any other currency. */
export function billValue(bill: BillType, currency: string): MinorUnits | undefined {
  if (bill.currency !== currency) return undefined;
  const power = bill.exponent + minorDigits(currency);
  return power < 0 ? undefined : minorUnits(bill.value * 10 ** power);
}

/**
 * The six bytes of ENABLE BILL TYPES: these types are accepted, and each stops in escrow. Types
 * 23 to 16 are in the first byte. Source: cash-hardware.md 3.3, two implementations; a third is
 * wrong.
 */
export function billTypesData(enabledTypes: readonly number[]): readonly number[] {
  const mask = [0, 0, 0];
  for (const type of enabledTypes) {
    const at = 2 - Math.floor(type / 8);
    mask[at] = (mask[at] ?? 0) | (1 << (type % 8));
  }
  return [...mask, ...mask];
}

/** Whether a type's bit is set in three bytes of mask. */
export function isInMask(mask: ArrayLike<number>, type: number): boolean {
  return (((mask[2 - Math.floor(type / 8)] ?? 0) >> (type % 8)) & 1) === 1;
}

/** Text without what it was filled up with; undefined when it cannot be printed. */
function textOf(bytes: Uint8Array): string | undefined {
  const text = Buffer.from(bytes).toString('latin1').replaceAll('\0', ' ').trim();
  return /^[\x20-\x7e]*$/.test(text) ? text : undefined;
}
