import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ExtendedNote } from '#hal/ebds/commands.ts';
import {
  channelMask,
  channelValue,
  decodeText,
  ebdsModelNames,
  inhibitMask,
  isBlank,
  isExtendedCode,
  isNoteNamed,
  modelOfPartNumber,
  modelsOfCode,
  notesOf,
  noteValue,
  statusValue,
} from '#hal/ebds/models.ts';
import { statusOf } from './replies.ts';

const note = (change: Partial<ExtendedNote> = {}): ExtendedNote => ({
  index: 0,
  currency: 'USD',
  base: 20,
  exponent: 0,
  classification: 0,
  ...change,
});

test('the model code tells the family, and the part number which of several', () => {
  expect(modelsOfCode(0x54)).toEqual(['cashflow-sc', 'sc-advance']);
  expect(modelsOfCode(0x55)).toEqual(['cashflow-sc', 'sc-advance']);
  expect(modelsOfCode(0x01)).toEqual(['apex-7000']);
  expect(modelsOfCode(0x50)).toEqual([]);
  expect([0x54, 0x01, 0x50].map(isExtendedCode)).toEqual([true, false, false]);
  expect(modelOfPartNumber('280001123', ebdsModelNames)).toBe('cashflow-sc');
  expect(modelOfPartNumber('285991123', ebdsModelNames)).toBe('cashflow-sc');
  expect(modelOfPartNumber('286001123', ebdsModelNames)).toBe('sc-advance');
  expect(modelOfPartNumber('290001123', ebdsModelNames)).toBeUndefined();
  expect(modelOfPartNumber('2860', ebdsModelNames)).toBeUndefined();
  expect(modelOfPartNumber('none', ebdsModelNames)).toBeUndefined();
});

test('text ends with the first byte that is none', () => {
  expect(decodeText(Buffer.from('12345678\0\0\0'))).toBe('12345678');
  expect(decodeText(Buffer.from(' SC \x01rest'))).toBe('SC');
  expect(decodeText(new Uint8Array(20))).toBeUndefined();
});

test('a note is its base times ten to the exponent, in its own currency', () => {
  expect(noteValue(note(), 'USD')).toBe(2000);
  expect(noteValue(note(), 'EUR')).toBeUndefined();
  expect(noteValue(note({ currency: 'JPY', base: 1, exponent: 3 }), 'JPY')).toBe(1000);
  expect(noteValue(note({ base: 50, exponent: -2 }), 'USD')).toBe(50);
  expect(noteValue(note({ base: 5, exponent: -3 }), 'USD')).toBeUndefined();
  expect(noteValue(note({ base: 0 }), 'USD')).toBeUndefined();
  expect(noteValue(note({ base: 999, exponent: 99 }), 'USD')).toBeUndefined();
});

test('a note that is suspected, or not identified, is no money', () => {
  const values = [0, 1, 2, 3, 4].map((classification) =>
    noteValue(note({ classification }), 'USD'),
  );
  expect(values).toEqual([2000, undefined, undefined, undefined, 2000]);
});

test('channels 1 to 7 are dollars, and nothing else is', () => {
  const channels = [0, 1, 2, 3, 4, 5, 6, 7, 8];
  expect(channels.map((channel) => channelValue('apex-7000', channel, 'USD'))).toEqual([
    ...[undefined, 100, 200, 500, 1000, 2000, 5000, 10000, undefined],
  ]);
  expect(channelValue('apex-7000', 3, 'EUR')).toBeUndefined();
  expect(channelValue('cashflow-sc', 3, 'USD')).toBeUndefined();
});

test('only a note in the device is named, in the way of its family', () => {
  const escrowed = statusOf({ state: ['escrowed'], note: 'USD020+00' });
  const inTable = statusOf({ state: ['escrowed'], note: 'USD020+00', index: 3 });
  const empty = statusOf({ state: ['escrowed'], note: '' });
  const numbered = statusOf({ state: ['escrowed'], channel: 3 });
  const named = [escrowed, inTable, empty, numbered].map((status) => [
    isNoteNamed(status, 'sc-advance'),
    statusValue(status, 'sc-advance', 'USD'),
  ]);
  expect(named).toEqual([
    [true, 2000],
    [false, undefined],
    [true, undefined],
    [false, undefined],
  ]);
  expect(isNoteNamed(numbered, 'apex-7000')).toBe(true);
  expect(statusValue(numbered, 'apex-7000', 'USD')).toBe(500);
});

test('"stacked" of no note is blank', () => {
  expect(isBlank(statusOf({ state: ['stacked'] }))).toBe(true);
  expect(isBlank(statusOf({ state: ['stacked'], channel: 3 }))).toBe(false);
  expect(isBlank(statusOf({ state: ['stacked'], note: '' }))).toBe(true);
  expect(isBlank(statusOf({ state: ['stacked'], note: 'USD020+00' }))).toBe(false);
});

test('notes of the configured currency alone can be enabled', () => {
  const table = [note({ index: 1 }), note({ index: 2, currency: 'EUR' }), note({ index: 9 })];
  expect(notesOf({ model: 'sc-advance', table }, 'USD')).toEqual([
    { number: 1, value: 2000 },
    { number: 9, value: 2000 },
  ]);
  expect(notesOf({ model: 'apex-7000', table: [] }, 'USD')).toHaveLength(7);
  expect(notesOf({ model: 'apex-7000', table: [] }, 'EUR')).toEqual([]);
});

test('note 1 is bit 0 of the first byte, note 8 of the second; what does not fit is off', () => {
  expect(inhibitMask([1, 7, 8, 50], 8)).toEqual([0x41, 0x01, 0, 0, 0, 0, 0, 0x01]);
  expect(inhibitMask([127, 128, 134], 19).slice(17)).toEqual([0, 0x03]);
  expect(channelMask([1, 3, 7])).toBe(0x45);
  const indexes = fc.uniqueArray(fc.integer({ min: 1, max: 128 }));
  fc.assert(
    fc.property(indexes, (enabled) => {
      const mask = inhibitMask(enabled, 19);
      const isOn = (index: number) =>
        (((mask[Math.floor((index - 1) / 7)] ?? 0) >> ((index - 1) % 7)) & 1) === 1;
      for (let index = 1; index <= 128; index++) expect(isOn(index)).toBe(enabled.includes(index));
      expect(mask.every((byte) => byte <= 0x7f)).toBe(true);
    }),
  );
});
