import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  commands,
  describeWord,
  inhibitCode,
  isCommandCode,
  reports,
  uninhibitCode,
  wordOf,
} from '#hal/sio/commands.ts';
import { channelValues } from '#hal/sio/models.ts';
import { readWords, type SioWireEvent } from '#hal/sio/wire.ts';

describe('codes', () => {
  /** Source: cash-hardware.md 5.8. */
  const channels = Array.from({ length: 16 }, (_, at) => at + 1);
  const documentedReports = [20, 30, 40, 50, 60, 70, 80, 120, 121, 255];
  const documentedCommands = [
    ...channels.map((channel) => 130 + channel),
    ...channels.map((channel) => 150 + channel),
    ...[170, 171, 172, 173, 182, 184, 185, 190, 191, 192, 193],
  ];

  test('every one is there once, and as documented', () => {
    expect(Object.values(reports).map(({ code }) => code)).toEqual(documentedReports);
    const all = Array.from({ length: 256 }, (_, byte) => byte);
    expect(all.filter(isCommandCode)).toEqual(documentedCommands);
    const named = Object.values(commands).map(({ code }) => code);
    expect(new Set([...named, ...documentedReports, ...channels]).size).toBe(11 + 10 + 16);
    expect([inhibitCode(1), inhibitCode(16), uninhibitCode(1), uninhibitCode(16)]).toEqual([
      131, 146, 151, 166,
    ]);
  });

  test('a device can say these and nothing else', () => {
    const known = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => wordOf(byte));
    const documented = [...channels, ...documentedReports, ...documentedCommands];
    expect(known).toEqual(documented.sort((one, other) => one - other));
  });

  test('only ACCEPT and REJECT may move a note', () => {
    const moving = Object.entries(commands).filter(([, { moves }]) => moves);
    expect(moving.map(([name]) => name)).toEqual(['accept', 'reject']);
  });

  test.each([
    [3, '3 note'],
    [20, '20 note not recognised'],
    [172, '172 echo'],
  ])('%d is described', (byte, words) => {
    const word = wordOf(byte);
    expect(word && describeWord(word)).toBe(words);
  });
});

test('any chunking of any bytes gives the same words and the same waste', () => {
  const words = (events: readonly SioWireEvent[]) =>
    events.flatMap((event) => (event.kind === 'word' ? [event.word] : []));
  const waste = (events: readonly SioWireEvent[]) =>
    events.flatMap((event) => (event.kind === 'discarded' ? [...event.bytes] : []));
  void fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.array(fc.nat(9)), (bytes, sizes) => {
      const whole = readWords(bytes);
      const pieces: SioWireEvent[] = [];
      let at = 0;
      for (const size of [...sizes, bytes.length]) {
        pieces.push(...readWords(bytes.subarray(at, at + size)));
        at += size;
      }
      expect(words(pieces)).toEqual(words(whole));
      expect(waste(pieces)).toEqual(waste(whole));
      expect(words(whole).length + waste(whole).length).toBe(bytes.length);
    }),
    { numRuns: 500 },
  );
});

test('channels have the values that are configured, and 0 is none', () => {
  expect([...channelValues([5, 0, 20], 'EUR')]).toEqual([
    [1, 500],
    [3, 2000],
  ]);
  expect(() => channelValues([], 'EUR')).toThrow(RangeError);
  expect(() => channelValues([0], 'EUR')).toThrow(RangeError);
  expect(() => channelValues(Array(17).fill(5), 'EUR')).toThrow(RangeError);
});
