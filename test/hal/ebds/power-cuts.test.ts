/**
 * The power goes, or the program dies, or one byte is lost, at every single byte of the way of one
 * note. Afterwards the note is in one place, what was said of it is true, and it was credited once.
 */
import { expect, test } from 'vitest';
import type { EbdsDeviceOptions } from '#hal/simulator/ebds/device.ts';
import { ebdsOptions } from '#hal/simulator/ebds/protocol.ts';
import { atEveryByte, powerCut, programDies, type Way } from '../every-byte.ts';
import { Bench, type BenchOptions, commandOf } from './bench.ts';

const FAST: EbdsDeviceOptions = {
  // A short table, so that each of the many starts is quick.
  notes: [5, 20].map((denomination, at) => ({ index: at + 1, currency: 'USD', denomination })),
  timings: { initialiseMs: 400, acceptMs: 200, leverMs: 150, stackMs: 200, returnMs: 200 },
};

/** The way of a note on such a bench. */
const way = (options: BenchOptions): Way => ({ make: () => new Bench(options), stacksSent });

/** A frame that is said again under the same ACK bit counts as one. */
const stacksSent = (sent: readonly string[]) =>
  sent.filter((hex, at) => hex !== sent[at - 1] && commandOf(hex) === 'stack').length;

const USUAL: BenchOptions = { device: FAST, driver: { pollMs: 200 } };
const NUMBERED: BenchOptions = {
  ...USUAL,
  device: { ...FAST, ...ebdsOptions('apex-7000', { currency: 'USD' }) },
};

test.each([
  ['b', true],
  ['b', false],
  ['a', true],
  ['c', true],
] as const)(
  'a power cut at every byte; the unit keeps to policy %s, and tells the credit then: %s',
  async (policy, reportsCreditAfterPowerUp) => {
    const fixed = policy === 'b' ? {} : { fixedPolicy: policy };
    const device = { ...FAST, ...fixed, reportsCreditAfterPowerUp };
    const ends = await atEveryByte(way({ ...USUAL, device }), powerCut);
    expect(ends.get('deposited')).toBeGreaterThan(20);
    expect(ends.get('returned')).toBeGreaterThan(10);
    // Past escrow without a credit: only a unit that tells its value can prove where the note went.
    const isToldAll = policy === 'b' && reportsCreditAfterPowerUp;
    if (isToldAll) expect(ends.get('unknown')).toBeUndefined();
    else expect(ends.get('unknown')).toBeGreaterThan(10);
  },
);

test.each([
  ['described notes', USUAL],
  ['numbered notes', NUMBERED],
])('the program dies at every byte: %s', async (_notes, options) => {
  const ends = await atEveryByte(way(options), programDies);
  expect(ends.get('deposited')).toBeGreaterThan(20);
});

test.each([
  ['drop', USUAL],
  ['flip', NUMBERED],
  ['double', USUAL],
] as const)('one byte is spoilt: %s', async (kind, options) => {
  const ends = await atEveryByte(way(options), () => ({ do: kind }));
  expect(ends.get('unknown')).toBeUndefined();
});

test('one byte is late by half a second', async () => {
  const ends = await atEveryByte(way(USUAL), () => ({ do: 'delay', ms: 500 }));
  expect(ends.get('unknown')).toBeUndefined();
});

test('every command says power-up policy B, from the first poll on', async () => {
  const bench = await new Bench().start();
  await bench.escrow(20);
  await bench.deposit();
  const policies = bench.port.sent.flatMap((hex) => {
    const command = commandOf(hex);
    if (command.startsWith('auxiliary')) return [];
    // The third of the settings; in an extended command they begin one byte further on.
    const at = command.startsWith('extended') ? 12 : 10;
    return [Number.parseInt(hex.slice(at, at + 2), 16) & 0x0c];
  });
  expect(policies.length).toBeGreaterThan(20);
  expect(new Set(policies)).toEqual(new Set([0x04]));
});

/** What is known after a power cut at this moment, on a unit with these habits. */
test.each([
  ['powerCutAtStack', {}, 'noteInAcceptor', 'returned', 1],
  ['powerCutAtStack', { showsHeldNote: true }, 'noteInAcceptor', 'returned', 0],
  ['powerCutAtStack', { fixedPolicy: 'a' }, 'noteInAcceptor', 'returned', 0],
  ['powerCutBeforeCredit', {}, 'creditPending', 'deposited', 0],
  ['powerCutBeforeCredit', { reportsCreditAfterPowerUp: false }, 'unknown', 'unknown', 0],
  ['powerCutBeforeCredit', { fixedPolicy: 'c' }, 'unknown', 'unknown', 0],
] as const)('what is known after %s (%j)', async (fault, device, powerUp, note, resets) => {
  const bench = await new Bench({ device }).start();
  await bench.escrow(20);
  bench.fault(fault);
  expect(await bench.deposit()).toMatchObject({ kind: 'unknown' });
  bench.device.control({ do: 'power', on: true });
  await bench.clock.until(() => bench.acceptor.status().device !== 'offline');
  await bench.clock.advance(500);
  expect(bench.acceptor.status().powerUp).toBe(powerUp);
  expect(await bench.initialise()).toMatchObject({ note });
  if (note === 'deposited') await bench.run(bench.acceptor.confirmDeposit());
  if (note === 'deposited') expect(await bench.initialise()).toMatchObject({ note: 'none' });
  expect(bench.acceptor.status()).toMatchObject({ device: 'ready', powerUp: 'none' });
  expect(bench.sent('reset')).toBe(resets);
  expect(bench.device.violations()).toEqual([]);
  bench.expectConserved();
});

test('a note that no reset brings out stays a fault, until hands have taken it', async () => {
  const bench = await new Bench({ device: { resetGivesBack: false } }).start();
  await bench.escrow(20);
  bench.fault('powerCutAtStack');
  await bench.deposit();
  bench.device.control({ do: 'power', on: true });
  await bench.clock.until(() => bench.acceptor.status().device !== 'offline');
  expect(await bench.initialise()).toMatchObject({ device: 'fault', note: 'unknown' });
  expect(bench.acceptor.status().fault?.text).toContain('a note may be held inside');
  bench.device.control({ do: 'take' });
  // Hands may have put it anywhere: the device has not said that it gave it back.
  expect(await bench.initialise()).toMatchObject({ device: 'ready', note: 'unknown' });
  bench.expectConserved();
});

test.each([false, true])(
  'the power goes between credit and confirmation, told again: %s: one credit',
  async (reportsCreditAfterPowerUp) => {
    const bench = await new Bench({ device: { reportsCreditAfterPowerUp } }).start();
    await bench.escrow(20);
    bench.fault('powerCutAfterCredit');
    expect(await bench.deposit()).toMatchObject({ kind: 'deposited' });
    await bench.clock.advance(4000);
    bench.device.control({ do: 'power', on: true });
    await bench.clock.until(() => bench.acceptor.status().device === 'attention');
    expect(await bench.initialise()).toMatchObject({ device: 'attention', note: 'none' });
    await bench.run(bench.acceptor.confirmDeposit());
    expect((await bench.initialise()).device).toBe('ready');
    expect(bench.credits).toEqual(['deposit']);
    expect(bench.told('credit.unexpected')).toEqual([]);
    bench.expectConserved();
  },
);

test('a credit told to a program that died: told again or not, never twice, never lost unsaid', async () => {
  const notes = new Map<string, number>();
  for (let waitMs = 0; waitMs < 10; waitMs++) {
    const bench = await new Bench().start();
    // The ACK bit of the reply that tells of the credit is a matter of when.
    await bench.clock.advance(waitMs * 100);
    await bench.escrow(20);
    await bench.run(bench.acceptor.deposit());
    await bench.run(bench.acceptor.close());
    bench.boot();
    await bench.run(bench.acceptor.open());
    const { powerUp } = bench.acceptor.status();
    const { note } = await bench.initialise();
    expect(powerUp).toBe(note === 'deposited' ? 'creditPending' : 'none');
    notes.set(note, (notes.get(note) ?? 0) + 1);
    await bench.run(bench.acceptor.confirmDeposit());
    await bench.clock.advance(1000);
    expect(await bench.initialise()).toMatchObject({ device: 'ready', note: 'none' });
    expect(bench.told('credit.unexpected')).toEqual([]);
    bench.expectConserved();
  }
  expect([...notes.keys()].sort()).toEqual(['deposited', 'none']);
});

test('left alone it takes a further note; that does not pass for the first one', async () => {
  const bench = await new Bench({ device: { timings: { hostTimeoutMs: 5000 } } }).start();
  await bench.escrow(20);
  void bench.acceptor.deposit();
  await bench.clock.advance(50);
  await bench.run(bench.acceptor.close());
  await bench.clock.advance(1000);
  bench.insert(20);
  await bench.clock.advance(8000);
  bench.boot();
  await bench.run(bench.acceptor.open(), 30_000);
  const { note } = await bench.initialise();
  expect(bench.device.truth()).toMatchObject({ cashbox: { '20': 1 }, customer: { '20': 1 } });
  expect(note).toBe('unknown');
});
