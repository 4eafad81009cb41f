import { describe, expect, test } from 'vitest';
import {
  answeredCommand,
  commandOf,
  commands,
  decodeNumber,
  encodeInitialise,
  encodeNumber,
} from '#hal/f56/commands.ts';
import {
  cassetteOf,
  dispenseError,
  errorWord,
  f56Error,
  f56Errors,
  isRefusal,
  rejectBoxOf,
} from '#hal/f56/errors.ts';
import { knownNotes, sizeOfNotes } from '#hal/f56/notes.ts';
import { held } from './rig.ts';

const sizeOf = (currency: string, denomination: number) => {
  const [unit] = held({ 1: denomination }, currency);
  return unit && sizeOfNotes(unit);
};

describe('commands', () => {
  test('every code is there once, and as known', () => {
    const codes = Object.values(commands).map(({ code }) => Buffer.from(code).toString('hex'));
    expect(codes).toEqual(['0001', '6002', '6003']);
    expect(commandOf(Uint8Array.of(0x60, 0x03, 0x15))).toBe('billCount');
    expect(commandOf(Uint8Array.of(0x60, 0x01))).toBeUndefined();
  });

  test('what may move a note is marked so', () => {
    const moving = Object.entries(commands).filter(([, command]) => command.moves);
    expect(moving.map(([name]) => name)).toEqual(['initialise', 'billCount']);
  });

  test('a response is told by its first two bytes', () => {
    const answers = (...start: number[]) => answeredCommand(Uint8Array.from(start));
    expect([answers(0xe0, 2), answers(0xf0, 2)]).toEqual(['initialise', 'initialise']);
    expect([answers(0xe0, 3), answers(0xf0, 3)]).toEqual(['billCount', 'billCount']);
    expect([answers(0x80, 1), answers(0xe0, 1), answers(0xf0, 1)]).toEqual(Array(3).fill('status'));
    expect(answers(0x80, 3)).toBe('status');
  });

  test('digits carry even parity', () => {
    // Source: cash-hardware.md 6.3.
    const digits = [0x30, 0xb1, 0xb2, 0x33, 0xb4, 0x35, 0x36, 0xb7, 0xb8, 0x39];
    expect(digits.map((_, digit) => encodeNumber(digit)[1])).toEqual(digits);
    for (let value = 0; value < 100; value++) {
      const [tens, ones] = encodeNumber(value);
      expect(decodeNumber(tens, ones)).toBe(value);
      expect(decodeNumber(tens & 0x7f, ones & 0x7f)).toBe(value);
    }
    for (const value of [-1, 100, 1.5]) expect(() => encodeNumber(value)).toThrow(RangeError);
    for (const byte of [0x2f, 0x3a, 0x00, 0xff, undefined]) {
      expect(decodeNumber(0x30, byte)).toBeUndefined();
      expect(decodeNumber(byte, 0x30)).toBeUndefined();
    }
  });

  test('a bay without notes has no length, and one polymer note makes it polymer', () => {
    const data = encodeInitialise([undefined, sizeOf('EUR', 5), sizeOf('GBP', 20)]);
    expect(data.slice(3)).toEqual([
      ...[0x40, 0, 0, 0x82, 0x6e, 0x95, 0x81, 0, 0],
      ...[0x0c, 0x0c, 0x0d, 0x0c, 0x1c],
    ]);
  });
});

describe('notes', () => {
  test('are as in the table of lamassu-machine 8.6', () => {
    // One of each kind of row. Source: cash-hardware.md A.1.
    const size = (
      lengthMaxMm: number,
      lengthMinMm: number,
      thickness: number,
      isPolymer = false,
    ) => ({ lengthMaxMm, lengthMinMm, thickness, isPolymer });
    expect(sizeOf('USD', 100)).toEqual(size(0xa6, 0x92, 0x0d));
    expect(sizeOf('AED', 1000)).toEqual(size(0xad, 0x99, 0x0c));
    expect(sizeOf('CAD', 20)).toEqual(size(0xa2, 0x8e, 0x0d, true));
    expect(sizeOf('EUR', 50)).toEqual(size(0x96, 0x82, 0x0c));
    // Its limits stand the wrong way round there.
    expect(sizeOf('CNY', 100)).toEqual(size(0xa5, 0x91, 0x0d));
    expect(sizeOf('JPY', 2000)).toEqual(size(0x9c, 0x98, 0x0d));
    expect(sizeOf('MKD', 5000)).toEqual(size(0xa0, 0x96, 0x0c, true));
    expect(sizeOf('HRK', 1000)).toEqual(size(0x9b, 0x91, 0x0c));
    expect(sizeOf('ZAR', 200)).toEqual(size(0xa2, 0x8e, 0x0c));
  });

  test('are all there, and none can be said upside down', () => {
    const currencies = new Set(knownNotes.map((name) => name.slice(0, 3)));
    expect(currencies.size).toBe(36);
    expect(knownNotes).toHaveLength(216);
    for (const name of knownNotes) {
      const [currency = '', denomination] = name.split(' ');
      const size = sizeOf(currency, Number(denomination));
      expect(size?.lengthMaxMm).toBeGreaterThan(size?.lengthMinMm ?? 0);
      expect(size?.lengthMinMm).toBeGreaterThan(100);
      expect(size?.lengthMaxMm).toBeLessThan(181);
      expect([12, 13]).toContain(size?.thickness);
    }
  });

  test('that are not there have no size', () => {
    expect(sizeOf('USD', 3)).toBeUndefined();
    expect(sizeOf('BTC', 1)).toBeUndefined();
    expect(sizeOf('GBP', 100)).toBeUndefined();
  });
});

describe('errors', () => {
  /** Source: cash-hardware.md 6.5, and the list that it is taken from for what it sums up. */
  const documented = [
    ...[0x01, 0x02, 0x04],
    ...[0x10, 0x20, 0x30, 0x40].flatMap((bay) => [0, 1, 2, 4, 6, 8].map((kind) => bay + kind)),
    ...[0x50, 0x51, 0x52, 0x70, 0x76, 0x77, 0x78, 0x7a, 0x7b, 0x7c, 0x7d],
    ...[0x80, 0x82, 0x83, 0x84, 0x85, 0x86, 0x88, 0x89],
    ...[0xa0, 0xa1, 0xa2, 0xa4, 0xa7, 0xa9, 0xaa, 0xac, 0xaf],
    ...[0xb0, 0xb5, 0xb8, 0xb9, 0xba, 0xbc, 0xbd, 0xbe, 0xc0, 0xc1],
    ...[0xe1, 0xe4, 0xe5, 0xe6, 0xe8, 0xea, 0xec, 0xee, 0xef],
    ...[0xf1, 0xf6, 0xf8, 0xfc, 0xfd],
  ];

  test('all documented ones are there once, and no other', () => {
    expect([...f56Errors.keys()]).toEqual(documented);
  });

  test('counts are trusted only where no note has left its cassette', () => {
    const trusted = documented.filter((kind) => f56Error(kind << 8).countsTrusted);
    expect(trusted).toEqual([
      ...[0x10, 0x20, 0x30, 0x40].flatMap((bay) => [0, 1, 6, 8].map((kind) => bay + kind)),
      ...[0xb0, 0xe1, 0xe4, 0xe5, 0xe6, 0xe8, 0xea, 0xec, 0xee],
    ]);
    expect(documented.filter((kind) => f56Error(kind << 8).leavesNotes)).toEqual([
      ...[0x70, 0x78, 0x7a, 0x7b, 0x7c, 0x7d],
    ]);
  });

  test('a note of a cassette that was not asked is told of', () => {
    const stray = documented.filter((kind) => dispenseError(kind << 8)?.otherBays === 'doubtful');
    expect(stray).toEqual([0x85]);
  });

  test('the detail does not change the kind', () => {
    expect(f56Error(0x7823)).toBe(f56Error(0x7801));
    expect(dispenseError(0x7823)?.code).toBe('7823');
    expect(errorWord(0x0104)).toBe('0104');
  });

  test('no error is none, and one that is in no list is not trusted', () => {
    expect(dispenseError(undefined)).toBeUndefined();
    expect(dispenseError(0x9901)).toEqual({
      code: '9901',
      text: 'an error that is in no list',
      countsTrusted: false,
    });
  });

  test('refusals, cassettes and the reject box', () => {
    expect(documented.filter((kind) => isRefusal(kind << 8))).toEqual([
      ...[0xe1, 0xe4, 0xe5, 0xe6, 0xe8, 0xea, 0xec, 0xee],
    ]);
    expect(isRefusal(0xe700)).toBe(false);
    expect(cassetteOf(0x2000)).toEqual({ bay: 2, status: 'missing' });
    expect(cassetteOf(0x4105)).toEqual({ bay: 4, status: 'low' });
    expect(cassetteOf(0x1600)).toEqual({ bay: 1, status: 'unknown' });
    expect([0x0100, 0x5000, 0x7801].map(cassetteOf)).toEqual(Array(3).fill(undefined));
    expect([0xb000, 0xb512, 0xba00, undefined].map(rejectBoxOf)).toEqual([
      'missing',
      'full',
      'unknown',
      'unknown',
    ]);
  });
});
