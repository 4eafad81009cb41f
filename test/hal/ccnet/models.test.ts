import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  BILL_TYPES,
  billTypesData,
  billValue,
  ccnetModels,
  decodeBillTable,
  decodeIdentification,
  isInMask,
  modelOfPartNumber,
} from '#hal/ccnet/models.ts';

test('the letters of the part number name the family', () => {
  expect(modelOfPartNumber('SM-US1234')).toBe('sm');
  expect(modelOfPartNumber('MSM-3024RU')).toBe('msm');
  expect(modelOfPartNumber('MVU 1201')).toBe('mvu');
  expect(modelOfPartNumber('gx3010')).toBe('gx');
  for (const [name, { partNumberStart }] of Object.entries(ccnetModels)) {
    expect(modelOfPartNumber(`${partNumberStart}-XX0001`)).toBe(name);
  }
  expect(modelOfPartNumber('SMART-1')).toBeUndefined();
  expect(modelOfPartNumber('-SM')).toBeUndefined();
});

test('reads 15 bytes of part number and 12 of serial number', () => {
  const read = (text: string) => decodeIdentification(Buffer.from(text.padEnd(34, ' ')));
  expect(read('SM-US1234      123456789012')).toEqual({
    partNumber: 'SM-US1234',
    serialNumber: '123456789012',
  });
  expect(read('SM-US1234')).toEqual({ partNumber: 'SM-US1234', serialNumber: undefined });
  expect(read('SM-US1234\0\0\0\0\0\0\0\0\0')).toMatchObject({ serialNumber: undefined });
  expect(read('')).toBeUndefined();
  expect(read('SM\x01')).toBeUndefined();
  expect(read('SM-US1234      1234\xff')).toBeUndefined();
});

const tableOf = (...lines: readonly (readonly number[])[]) => {
  const bytes = new Uint8Array(BILL_TYPES * 5);
  for (const [at, line] of lines.entries()) bytes.set(line, at * 5);
  return bytes;
};
const [USA, EUR, RUS, JPY] = ['USA', 'EUR', 'RUS', 'JPY'].map((text) => [...Buffer.from(text)]);

test('reads the bill table: value times ten to the exponent, unused lines left out', () => {
  const table = decodeBillTable(
    tableOf(
      [1, ...(USA ?? []), 0],
      [0, 0, 0, 0, 0],
      [5, ...(USA ?? []), 0x81],
      [5, ...(EUR ?? []), 1],
    ),
  );
  expect(table).toEqual([
    { type: 0, currency: 'USD', value: 1, exponent: 0 },
    { type: 2, currency: 'USD', value: 5, exponent: -1 },
    { type: 3, currency: 'EUR', value: 5, exponent: 1 },
  ]);
  expect(table?.map((bill) => billValue(bill, 'USD'))).toEqual([100, 50, undefined]);
  expect(table?.map((bill) => billValue(bill, 'EUR'))).toEqual([undefined, undefined, 5000]);
});

test('a value that is no whole number of the smallest unit is none', () => {
  const [yen, rouble] =
    decodeBillTable(tableOf([5, ...(JPY ?? []), 0x81], [1, ...(RUS ?? []), 3])) ?? [];
  expect(yen && billValue(yen, 'JPY')).toBeUndefined();
  expect(rouble && billValue(rouble, 'RUB')).toBe(100_000);
});

test('lines that are no note are left out, and bytes of another size are no table', () => {
  expect(decodeBillTable(tableOf([1, 0x41, 0x42, 0x31, 0], [1, ...(USA ?? []), 10]))).toEqual([]);
  expect(decodeBillTable(new Uint8Array(119))).toBeUndefined();
  expect(decodeBillTable(new Uint8Array(121))).toBeUndefined();
});

test('types 23 to 16 are in the first byte, 7 to 0 in the third; all stop in escrow', () => {
  expect(billTypesData([])).toEqual([0, 0, 0, 0, 0, 0]);
  expect(billTypesData([0, 9, 23])).toEqual([0x80, 0x02, 0x01, 0x80, 0x02, 0x01]);
  expect(billTypesData([2, 3, 4, 5, 6])).toEqual([0, 0, 0x7c, 0, 0, 0x7c]);
});

test('a type is in the mask exactly when it was put there', () => {
  const types = fc.uniqueArray(fc.integer({ min: 0, max: BILL_TYPES - 1 }));
  fc.assert(
    fc.property(types, (enabled) => {
      const data = billTypesData(enabled);
      const all = Array.from({ length: BILL_TYPES }, (_, type) => type);
      const isEnabled = (type: number) => enabled.includes(type);
      expect(all.filter((type) => isInMask(data.slice(0, 3), type))).toEqual(all.filter(isEnabled));
      expect(all.filter((type) => isInMask(data.slice(3), type))).toEqual(all.filter(isEnabled));
    }),
  );
});
