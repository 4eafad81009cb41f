import { describe, expect, test } from 'vitest';
import {
  commands,
  decodeCount,
  decodeResult,
  decodeRomVersion,
  decodeStatus,
  encodeCount,
  ROM_CHECKS,
} from '#hal/lcdm/id50/commands.ts';
import { dispenseError, id50Error, id50Errors, isRefusal } from '#hal/lcdm/id50/errors.ts';
import { id50Models } from '#hal/lcdm/models.ts';

const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
const ascii = (text: string) => Uint8Array.from(Buffer.from(text, 'latin1'));

describe('commands', () => {
  test('every code is there once, and as documented', () => {
    const codes = Object.values(commands).map((command) => command.code);
    // Source: cash-hardware.md 7.2.
    expect(codes).toEqual([0x44, 0x45, 0x46, 0x47, 0x55, 0x56, 0x76, 0x77]);
    expect(new Set(codes).size).toBe(codes.length);
  });

  test('all but the two questions may move a note', () => {
    const questions = Object.entries(commands).filter(([, { moves }]) => !moves);
    expect(questions.map(([name]) => name)).toEqual(['status', 'romVersion']);
  });

  test('counts are two digits, and nothing else is', () => {
    for (const count of [0, 1, 9, 10, 60, 99]) {
      const [tens, ones] = encodeCount(count);
      expect(decodeCount(tens, ones)).toBe(count);
    }
    expect(() => encodeCount(100)).toThrow(RangeError);
    expect(() => encodeCount(-1)).toThrow(RangeError);
    expect(decodeCount(0x30, 0x3a)).toBeUndefined();
    expect(decodeCount(0x2f, 0x30)).toBeUndefined();
    expect(decodeCount(0x30, undefined)).toBeUndefined();
  });

  test('EXIT is what was delivered, CHK what was picked', () => {
    expect(decodeResult(bytes('30 36 30 35 30 31 30 31'))).toEqual({
      error: 0x30,
      counts: { picked: 6, presented: 5, rejected: 1 },
    });
    expect(decodeResult(bytes('30 36 30 4f 30 31 30 31'))).toBeUndefined();
    expect(decodeResult(bytes('37'))).toEqual({ error: 0x37, counts: undefined });
  });

  test('status of the LCDM-2000 names every bit', () => {
    const model = id50Models['lcdm-2000'];
    const none = decodeStatus(model, bytes('30 30 80 00'));
    expect(none).toEqual({
      error: 0x30,
      sensors: { check: false, diverter: false, eject: false, exit: false },
      isRejectTrayOut: false,
      bays: [
        { isNearEnd: false, isRemoved: false },
        { isNearEnd: false, isRemoved: false },
      ],
    });
    const sensors = (first: number, second: number) =>
      Object.entries(decodeStatus(model, Uint8Array.of(0x30, 0x30, 0x80 | first, second)).sensors)
        .filter(([, isSet]) => isSet)
        .map(([name]) => name);
    const named = [0, 1, 2, 3, 4, 5, 6].map((bit) => sensors(1 << bit, 0));
    expect(named).toEqual([
      ['check'],
      ['check'],
      ['diverter'],
      ['diverter'],
      ['eject'],
      ['exit'],
      [],
    ]);
    expect([3, 4].map((bit) => sensors(0, 1 << bit))).toEqual([['check'], ['check']]);
    const all = decodeStatus(model, bytes('30 30 c0 66'));
    expect(all.isRejectTrayOut).toBe(true);
    expect(all.bays).toEqual([
      { isNearEnd: true, isRemoved: true },
      { isNearEnd: true, isRemoved: true },
    ]);
  });

  test('status of the LCDM-1000 has one bay, and its tray and cassette elsewhere', () => {
    const model = id50Models['lcdm-1000'];
    const status = decodeStatus(model, bytes('30 30 80 03'));
    expect(status).toMatchObject({ isRejectTrayOut: true, bays: [{ isRemoved: true }] });
    expect(decodeStatus(model, bytes('30 30 80 78')).sensors.check).toBe(false);
  });

  test('known ROM versions tell one bay from two', () => {
    for (const [name, check] of Object.entries(ROM_CHECKS)) {
      const letter = name.slice(0, 1);
      expect(decodeRomVersion(ascii(name + check))).toEqual({ letter, name, check });
    }
    expect(decodeRomVersion(ascii('T20T562'))).toBeUndefined();
    expect(decodeRomVersion(ascii('T20X5624'))).toBeUndefined();
    expect(decodeRomVersion(bytes('54 32 30 54 35 36 00 34'))).toBeUndefined();
  });
});

describe('errors', () => {
  /** Source: cash-hardware.md 7.2. */
  const documented = [
    ...[0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x3a, 0x3b, 0x3c, 0x3d, 0x3f],
    ...[0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x4b, 0x4c],
    ...[0x4e, 0x4f, 0x50],
  ];

  test('all documented ones are there, and no other', () => {
    expect([...id50Errors.keys()]).toEqual(documented);
  });

  test('counts are doubtful wherever a note may be out and not counted', () => {
    const isTrusted = (code: number) => id50Error(code)?.countsTrusted === true;
    expect(documented.filter(isTrusted)).toEqual([
      ...[0x32, 0x33, 0x36, 0x37, 0x38, 0x3b, 0x3f],
      ...[0x40, 0x42, 0x43, 0x44, 0x45, 0x46, 0x4c, 0x50],
    ]);
  });

  test('a note of the cassette that was not asked is told of', () => {
    const stray = documented.filter((code) => dispenseError(code)?.otherBays === 'doubtful');
    expect(stray).toEqual([0x4f]);
  });

  test('good and normal stop are no errors, and one that is in no list is not trusted', () => {
    expect([0x30, 0x31].map(dispenseError)).toEqual([undefined, undefined]);
    expect(dispenseError(0x77)).toMatchObject({ code: '77', countsTrusted: false });
    expect([0x37, 0x3b, 0x32].map(isRefusal)).toEqual([true, true, false]);
  });
});
