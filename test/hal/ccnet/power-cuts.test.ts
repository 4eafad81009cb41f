/**
 * The power goes, or the program dies, or one byte is lost, at every single byte of the way of one
 * note. Afterwards the note is in one place, what was said of it is true, and it was credited once.
 */
import { expect, test } from 'vitest';
import type { CcnetDeviceOptions } from '#hal/simulator/ccnet/device.ts';
import { atEveryByte, powerCut, programDies, type Way } from '../every-byte.ts';
import { Bench, type BenchOptions, SENT, STRICT } from './bench.ts';

const FAST: CcnetDeviceOptions = {
  timings: { initialiseMs: 400, acceptMs: 200, leverMs: 150, stackMs: 200, returnMs: 200 },
};

/** The way of a note on such a bench. */
const way = (options: BenchOptions): Way => ({ make: () => new Bench(options), stacksSent });

const stacksSent = (sent: readonly string[]) => sent.filter((hex) => hex === SENT.stack).length;

const FORGETFUL: BenchOptions = { device: FAST, driver: { pollMs: 200 } };
const STRICT_FAST: BenchOptions = { device: { ...FAST, ...STRICT }, driver: { pollMs: 200 } };

test.each([false, true])('a power cut at every byte, credit remembered: %s', async (remembers) => {
  const device = { ...FAST, ...STRICT, creditAfterPowerUpInStacker: remembers };
  const ends = await atEveryByte(way({ ...STRICT_FAST, device }), powerCut);
  expect(ends.get('deposited')).toBeGreaterThan(20);
  expect(ends.get('returned')).toBeGreaterThan(10);
  // Past escrow without a credit: only a device that remembers it can prove where the note went.
  if (remembers) expect(ends.get('unknown')).toBeUndefined();
  else expect(ends.get('unknown')).toBeGreaterThan(10);
});

test.each([
  ['forgetful', FORGETFUL],
  ['strict', STRICT_FAST],
])('the program dies at every byte: %s unit', async (unit, options) => {
  const ends = await atEveryByte(way(options), programDies);
  expect(ends.get('deposited')).toBeGreaterThan(20);
  // The book's unit says its credit until ACK; one that goes on without has told it to the dead.
  if (unit === 'forgetful') expect(ends.get('unknown')).toBeGreaterThan(0);
});

test.each([
  ['drop', FORGETFUL],
  ['drop', STRICT_FAST],
  ['flip', FORGETFUL],
  ['double', STRICT_FAST],
] as const)('one byte is spoilt: %s', async (kind, options) => {
  const ends = await atEveryByte(way(options), () => ({ do: kind }));
  expect(ends.get('unknown')).toBeUndefined();
});

test('one byte is late by half a second', async () => {
  const ends = await atEveryByte(way(STRICT_FAST), () => ({ do: 'delay', ms: 500 }));
  expect(ends.get('unknown')).toBeUndefined();
});

test('the disk has half a second: until then no poll makes a forgetful unit forget', async () => {
  const bench = await new Bench({ device: { creditAfterPowerUpInStacker: true } }).start();
  await bench.escrow(20);
  await bench.run(bench.acceptor.deposit());
  await bench.clock.advance(450);
  bench.device.control({ do: 'power', on: false });
  await bench.run(bench.acceptor.close());
  bench.boot();
  bench.device.control({ do: 'power', on: true });
  await bench.run(bench.acceptor.open());
  expect(bench.acceptor.status()).toMatchObject({ powerUp: 'noteInStacker' });
  expect(await bench.initialise()).toMatchObject({ device: 'attention', note: 'deposited' });
});

test('one that forgets: what it told the dead program is not known to the next', async () => {
  const bench = await new Bench().start();
  await bench.escrow(20);
  await bench.run(bench.acceptor.deposit());
  await bench.run(bench.acceptor.close());
  // Left alone it takes a further note and gives it back; that must not pass for the first one.
  bench.insert(20);
  await bench.clock.advance(1500);
  bench.boot();
  await bench.run(bench.acceptor.open(), 30_000);
  const { note } = await bench.initialise();
  expect(note).toBe('unknown');
  expect(bench.device.truth()).toMatchObject({ cashbox: { 20: 1 }, customer: { 20: 1 } });
});
