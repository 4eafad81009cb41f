import { describe, expect, test } from 'vitest';
import {
  commandOfCode,
  commands,
  decodeLastStatus,
  decodeNibbles,
  decodeResult,
  decodeSequence,
  decodeStatus,
  encodeNibbles,
  sequenceAfter,
  slitsOfLength,
} from '#hal/lcdm/id30/commands.ts';
import { dispenseError, id30Error, id30Errors, isRefusal } from '#hal/lcdm/id30/errors.ts';

const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));

describe('commands', () => {
  test('every code is there once, and as documented', () => {
    const codes = Object.values(commands).map((command) => command.code);
    expect([...new Set(codes)].sort()).toEqual([...codes].sort());
    // Source: cash-hardware.md 7.1.
    const known = [
      0x44, 0x50, 0x51, 0x52, 0x53, 0x55, 0x58, 0x5a, 0x5b, 0x5c, 0x5d, 0x5e, 0x5f, 0x67,
    ];
    expect([...codes].sort()).toEqual(known.sort());
    expect(commandOfCode(0x52)).toBe('dispense');
    expect(commandOfCode(0x45)).toBeUndefined();
  });

  test('what may move a note is marked so', () => {
    const moving = Object.entries(commands).filter(([, command]) => command.moves);
    expect(moving.map(([name]) => name).sort()).toEqual(
      ['dispense', 'purge', 'reset', 'sensorDiagnostics', 'testDispense'].sort(),
    );
  });

  test('a result is read by position', () => {
    const body = bytes('20 30 23 20 31 22 21 32 20 20 30 20 20 30');
    expect(decodeResult(body)).toEqual({
      error: 0,
      bays: [
        { presented: 3, rejected: 0 },
        { presented: 2, rejected: 1 },
        { presented: 0, rejected: 0 },
        { presented: 0, rejected: 0 },
      ],
    });
    expect(decodeLastStatus(Uint8Array.of(0x52, ...body))?.command).toBe('dispense');
  });

  test('a number below 20 hex, or above what one command can move, is no number', () => {
    expect(decodeResult(bytes('20 30 1f 20 31 22 21 32 20 20 30 20 20 30'))).toBeUndefined();
    expect(decodeResult(bytes('1f 30 20 20 31 22 21 32 20 20 30 20 20 30'))).toBeUndefined();
    expect(decodeResult(bytes('20 30 85 20 31 22 21 32 20 20 30 20 20 30'))).toBeUndefined();
    expect(decodeResult(bytes('20 30 84 20 31 22 21 32 20 20 30 20 20 30'))).toBeDefined();
  });

  test('status names sensors and cassettes, whatever else its bytes have set', () => {
    const body = bytes('20 4a 24 31 70 e6 2c 32 70 e6 20 30 70 e6 24 33 70 e6');
    const status = decodeStatus(body);
    expect(status?.sensors).toEqual({
      diverterLeft: false,
      diverterRight: true,
      eject: false,
      exit: true,
      reject: false,
    });
    expect(status?.bays).toEqual([
      { isNearEnd: false, cassette: 'present', code: 1 },
      { isNearEnd: true, cassette: 'present', code: 2 },
      { isNearEnd: false, cassette: 'removed', code: 0 },
      // A cassette of the third kind in the fourth bay.
      { isNearEnd: false, cassette: 'other', code: 3 },
    ]);
  });

  test('lengths, digits and sequence numbers', () => {
    expect(slitsOfLength(156)).toBe(198);
    expect(() => slitsOfLength(0)).toThrow(RangeError);
    expect(() => slitsOfLength(300)).toThrow(RangeError);
    const digits = Uint8Array.from(encodeNibbles([198, 0, 255, 1]));
    expect(decodeNibbles(digits)).toEqual([198, 0, 255, 1]);
    expect(decodeNibbles(Uint8Array.of(0x41, 0x30))).toBeUndefined();
    expect(decodeSequence(Uint8Array.of(0x20, 0x26))).toBe(6);
    expect(decodeSequence(Uint8Array.of(0x50, 0x26))).toBeUndefined();
    expect([0, 1, 222].map(sequenceAfter)).toEqual([1, 2, 0]);
  });
});

describe('errors', () => {
  /** Source: cash-hardware.md 7.1; 29 by one more C# driver; 32 to 34 by the Python driver. */
  const documented = [
    ...Array.from({ length: 14 }, (_, at) => at + 1),
    ...[0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x29],
    ...[0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36],
    ...[0x40, 0x41, 0x42, 0x43, 0x51, 0x58],
  ];

  test('all documented ones are there, and no other', () => {
    expect([...id30Errors.keys()]).toEqual(documented);
  });

  test('counts are doubtful wherever a note may be out and not counted', () => {
    const trusted = documented.filter((code) => id30Error(code).countsTrusted);
    expect(trusted).toEqual([
      ...[0x01, 0x02, 0x03, 0x0b, 0x0c, 0x0d],
      ...[0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x30, 0x31, 0x51, 0x58],
    ]);
  });

  test('notes of bays that were not asked are told of', () => {
    const stray = documented.filter((code) => dispenseError(code)?.otherBays === 'doubtful');
    expect(stray).toEqual([0x40, 0x41, 0x42, 0x43]);
  });

  test('no error is none, and one that is in no list is not trusted', () => {
    expect(dispenseError(0)).toBeUndefined();
    expect(dispenseError(0x77)).toEqual({
      code: '77',
      text: 'an error that is in no list',
      countsTrusted: false,
    });
    expect([0x30, 0x31, 0x01].map(isRefusal)).toEqual([true, true, false]);
  });
});
