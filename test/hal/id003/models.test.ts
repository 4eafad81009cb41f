import { expect, test } from 'vitest';
import {
  decodeCurrencyTable,
  decodeVersion,
  denominationMask,
  entryValue,
  modelOfVersion,
} from '#hal/id003/models.ts';

test('the first letter of the version names the family; case counts', () => {
  expect(modelOfVersion('U(USA)-02-1S')).toBe('UBA');
  expect(modelOfVersion('i(USA)-100-SS')).toBe('iVIZION');
  expect(modelOfVersion('X')).toBe('unknown (X)');
  expect(decodeVersion(Buffer.from('U(USA) \0\0'))).toBe('U(USA)');
  expect(decodeVersion(Uint8Array.of(0x55, 0x01))).toBeUndefined();
  expect(decodeVersion(new Uint8Array(0))).toBeUndefined();
});

test('reads the currency table: value times ten to the exponent, unused slots left out', () => {
  const bytes = [0x61, 1, 1, 0, 0x62, 0, 0, 0, 0x63, 1, 0, 3, 0x67, 1, 1, 2, 0x70, 0xe0, 5, 1];
  const table = decodeCurrencyTable(Uint8Array.from(bytes)) ?? [];
  expect(table).toEqual([
    { escrowCode: 0x61, currency: 'USD', denomination: 1 },
    { escrowCode: 0x67, currency: 'USD', denomination: 100 },
    { escrowCode: 0x70, currency: 'EUR', denomination: 50 },
  ]);
  expect(table.map((entry) => entryValue(entry, 'USD'))).toEqual([100, 10_000, undefined]);
});

test('leaves out what cannot be switched off alone, and refuses what is no table', () => {
  expect(decodeCurrencyTable(Uint8Array.of(0x71, 1, 1, 0, 0x61, 1, 1, 99))).toEqual([]);
  expect(decodeCurrencyTable(Uint8Array.of(0x61, 1, 1))).toBeUndefined();
  expect(decodeCurrencyTable(new Uint8Array(0))).toBeUndefined();
});

test('a set bit of the mask disables', () => {
  expect(denominationMask([])).toEqual([0xff, 0xff]);
  expect(denominationMask([0x61, 0x65, 0x68])).toEqual([0x6e, 0xff]);
  expect(denominationMask([0x69, 0x70])).toEqual([0xff, 0x7e]);
});
