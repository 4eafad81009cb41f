/**
 * The power goes, or the program dies, or one byte is lost, at every single byte of the way of one
 * note. Afterwards the note is in one place, what was said of it is true, and it was credited once.
 */
import { expect, test } from 'vitest';
import type { Id003DeviceOptions } from '#hal/simulator/id003/device.ts';
import { atEveryByte, powerCut, programDies, type Way } from '../every-byte.ts';
import { Bench, type BenchOptions } from './bench.ts';

const FAST: Id003DeviceOptions = {
  timings: { initialiseMs: 400, acceptMs: 200, leverMs: 150, stackMs: 200, returnMs: 200 },
};

/** The way of a note on such a bench. */
const way = (options: BenchOptions): Way => ({ make: () => new Bench(options), stacksSent });

const stacksSent = (sent: readonly string[]) => sent.filter((hex) => hex === 'fc05423936').length;

test.each([false, true])('a power cut at every byte, credit remembered: %s', async (remembers) => {
  const device = { ...FAST, creditAfterPowerUpInStacker: remembers };
  const ends = await atEveryByte(way({ device }), powerCut);
  expect(ends.get('deposited')).toBeGreaterThan(20);
  expect(ends.get('returned')).toBeGreaterThan(10);
  // Past escrow without a credit: only a device that remembers it can prove where the note went.
  if (remembers) expect(ends.get('unknown')).toBeUndefined();
  else expect(ends.get('unknown')).toBeGreaterThan(10);
});

test('the program dies at every byte', async () => {
  const ends = await atEveryByte(way({ device: FAST }), programDies);
  expect(ends.get('deposited')).toBeGreaterThan(20);
});

test.each(['drop', 'flip', 'double'] as const)('one byte is spoilt: %s', async (kind) => {
  const ends = await atEveryByte(way({ device: FAST }), () => ({ do: kind }));
  expect(ends.get('unknown')).toBeUndefined();
});

test('one byte is late by half a second', async () => {
  const ends = await atEveryByte(way({ device: FAST }), () => ({ do: 'delay', ms: 500 }));
  expect(ends.get('unknown')).toBeUndefined();
});
