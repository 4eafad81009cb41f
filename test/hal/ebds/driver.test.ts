import { expect, test } from 'vitest';
import { playPromises } from '../escrow-promises.ts';
import { ALL_VALUES, Bench, commandOf, count, dollars, MODELS } from './bench.ts';

test('a poll that waits while notes are enabled does not shut the slot again', async () => {
  const bench = await new Bench().start();
  // The answer comes when the next poll is due, which then follows at once.
  const { chunks } = bench.cable.passed('toHost');
  for (const nth of [chunks, chunks + 1]) {
    bench.cable.addFault({ direction: 'toHost', unit: 'chunk', nth, do: 'delay', ms: 150 });
  }
  await bench.run(bench.acceptor.accept(bench.acceptor.values()));
  await bench.clock.advance(500);
  const frames = bench.port.sent.map((hex) => Buffer.from(hex, 'hex'));
  const polls = frames.slice(frames.findLastIndex((frame) => (frame[2] ?? 0) >> 4 === 7) + 1);
  expect(polls.length).toBeGreaterThan(2);
  expect(new Set(polls.map((frame) => frame[3]))).toEqual(new Set([0x7f]));
});

test('opens without moving anything, then initialises and can tell the values', async () => {
  const bench = new Bench();
  const identity = await bench.run(bench.acceptor.open());
  expect(identity).toEqual({
    protocol: 'ebds',
    model: 'Cashflow SC',
    firmware: '285001123 USD',
    serialNumber: '12345678',
  });
  expect(bench.acceptor.values()).toEqual(ALL_VALUES);
  expect(bench.acceptor.status()).toMatchObject({ device: 'attention', powerUp: 'none' });
  for (const word of ['stack', 'return', 'reset', 'extended 3']) expect(bench.sent(word)).toBe(0);
  expect(await bench.initialise()).toMatchObject({ device: 'ready', note: 'none' });
  expect(bench.acceptor.status()).toEqual({
    device: 'ready',
    cashBox: 'ok',
    powerUp: 'none',
    fault: undefined,
  });
  expect(() => bench.insert(20)).toThrow('disabled');
  await bench.run(bench.acceptor.close());
  bench.device.stop();
  expect(bench.clock.pending).toBe(0);
  expect(bench.device.violations()).toEqual([]);
});

test.each(MODELS)('deposits, each credit once: %s', async (_model, device) => {
  const bench = await new Bench({ device }).start();
  await bench.escrow(20);
  expect(bench.events).toEqual([
    { kind: 'note.inserted' },
    { kind: 'note.escrowed', value: dollars(20) },
  ]);
  const outcome = await bench.deposit();
  expect(outcome).toMatchObject({ kind: 'deposited', value: dollars(20) });
  expect(outcome.evidence).toMatch(/stack sent; .*stacking.*; 11 .*stacked/);
  await bench.clock.advance(5000);
  expect(bench.device.truth().cashbox).toEqual({ '20': 1 });
  await bench.run(bench.acceptor.confirmDeposit());
  await bench.clock.advance(1000);
  await bench.escrow(5);
  expect(await bench.deposit()).toMatchObject({ kind: 'deposited', value: dollars(5) });
  await bench.run(bench.acceptor.confirmDeposit());
  await bench.clock.advance(1000);
  await bench.escrow(100);
  await bench.returnNote();
  expect(bench.credits).toEqual(['deposit', 'deposit']);
  expect(bench.told('credit.unexpected')).toEqual([]);
  bench.expectConserved();
  expect(bench.device.violations()).toEqual([]);
});

test('the reply that told of a credit is asked for again until it is on disk, and no longer', async () => {
  const bench = await new Bench().start();
  await bench.escrow(20);
  await bench.deposit();
  const before = bench.port.sent.length;
  await bench.clock.advance(3000);
  const since = bench.port.sent.slice(before);
  expect(since.length).toBeGreaterThan(20);
  expect(new Set(since).size).toBe(1);
  // Each was answered with the credit: a program that died now would be told of it.
  const said = bench.port.recording().filter(({ direction }) => direction === 'in');
  expect(new Set(said.slice(-20).map(({ hex }) => hex)).size).toBe(1);
  expect(said.at(-1)?.hex).toMatch(/^021e7.0211/);
  await bench.run(bench.acceptor.confirmDeposit());
  await bench.clock.advance(300);
  const last = bench.port.recording().findLast(({ direction }) => direction === 'in');
  expect(last?.hex).toMatch(/^020b2.01/);
});

test('a credit that nobody writes down is waited for 10 s: then the device is heard again', async () => {
  const bench = await new Bench().start();
  await bench.escrow(20);
  await bench.deposit();
  await bench.clock.advance(5000);
  bench.device.control({ do: 'cashbox', present: false });
  await bench.clock.advance(4000);
  expect(bench.acceptor.status().cashBox).toBe('ok');
  await bench.clock.advance(2000);
  expect(bench.acceptor.status().cashBox).toBe('missing');
});

test('the stack bit leaves as soon as it is decided', async () => {
  const bench = await new Bench().start();
  let decidedMs = 0;
  bench.acceptor.subscribe((event) => {
    if (event.kind !== 'note.escrowed') return;
    decidedMs = bench.clock.monotonic();
    void bench.acceptor.deposit();
  });
  bench.insert(20);
  await bench.clock.until(() => commandOf(bench.port.sent.at(-1) ?? '') === 'stack');
  expect(bench.clock.monotonic()).toBe(decidedMs);
});

test('a note stays in escrow until it is decided, however long that takes', async () => {
  const bench = await new Bench().start();
  await bench.escrow(20);
  await bench.clock.advance(600_000);
  expect(bench.told('note.returned')).toEqual([]);
  expect(count(bench.device.truth().path)).toBe(1);
  for (const word of ['stack', 'return', 'reset']) expect(bench.sent(word)).toBe(0);
  expect(await bench.deposit()).toMatchObject({ kind: 'deposited', value: dollars(20) });
});

test('a note given back is waited for until a hand takes it, for a minute', async () => {
  const bench = await new Bench().start();
  bench.fault('notTaken', undefined, 2);
  await bench.escrow(50);
  bench.clock.after(45_000, () => bench.device.control({ do: 'take' }));
  expect(await bench.returnNote()).toMatchObject({ kind: 'returned' });
  await bench.clock.advance(1000);
  await bench.escrow(50);
  expect(await bench.returnNote()).toMatchObject({ kind: 'unknown' });
  expect(count(bench.device.truth().path)).toBe(1);
  bench.device.control({ do: 'take' });
  await bench.heard('note.returned');
  await bench.clock.advance(1000);
  expect(bench.told('note.returned')).toHaveLength(1);
  await bench.escrow(5);
});

test.each(MODELS)('a rejected note is refused, once: %s', async (_model, device) => {
  const bench = await new Bench({ device }).start();
  bench.fault('reject');
  bench.insert(20);
  await bench.heard('note.refused');
  expect(bench.events.at(-1)).toEqual({ kind: 'note.refused', reason: 'other', code: 'd1.1' });
  await bench.clock.advance(2000);
  expect(bench.told('note.refused')).toHaveLength(1);
  expect(bench.device.truth().customer).toEqual({ '20': 1 });
});

test('settings that are refused, or not confirmed, are errors, and shut the slot', async () => {
  const bench = await new Bench().start();
  bench.fault('invalid', 7);
  const refused = bench.run(bench.acceptor.accept([dollars(5)]));
  await expect(refused).rejects.toMatchObject({ code: 'refused' });
  await bench.clock.advance(300);
  expect(() => bench.insert(5)).toThrow('disabled');
  bench.fault('deaf', 7, 100);
  const silent = bench.run(bench.acceptor.accept([dollars(5)]));
  await expect(silent).rejects.toMatchObject({ code: 'timeOut' });
  bench.fault('deaf', 7, 0);
  bench.fault('loseReply', 7, 4);
  await bench.run(bench.acceptor.accept([dollars(5)]));
  await bench.clock.advance(300);
  await bench.escrow(5);
});

test('other currencies are never enabled, and what comes to escrow all the same goes back', async () => {
  const notes = [
    { index: 1, currency: 'USD', denomination: 20 },
    { index: 2, currency: 'EUR', denomination: 50 },
  ];
  const bench = await new Bench({ device: { notes } }).start();
  expect(bench.acceptor.values()).toEqual([dollars(20)]);
  bench.insert(50);
  await bench.heard('note.refused');
  expect(bench.device.truth().customer).toEqual({ '50': 1 });
  const eurosOnly = await new Bench({ device: { notes: notes.slice(1) } }).start();
  expect(eurosOnly.acceptor.values()).toEqual([]);
  expect(() => eurosOnly.insert(50)).toThrow('disabled');
});

test('decided just when the device gives it back: in one place, and that is said', async () => {
  const kinds = new Set<string>();
  for (let decideMs = 2900; decideMs <= 3150; decideMs += 2) {
    const bench = await new Bench().start();
    bench.fault('escrowTimeout', 3000);
    await bench.escrow(20);
    await bench.clock.advance(decideMs);
    const outcome = await bench.deposit().catch(() => undefined);
    bench.expectConserved();
    if (outcome) kinds.add(outcome.kind);
    const { cashbox, customer } = bench.device.truth();
    if (outcome?.kind === 'deposited') expect(cashbox).toEqual({ '20': 1 });
    if (outcome?.kind === 'returned') expect(customer).toEqual({ '20': 1 });
  }
  expect(kinds).toEqual(new Set(['deposited', 'returned']));
});

test.each([false, true])('a jam while stacking leaves it open; needs reset: %s', async (needs) => {
  const bench = await new Bench({ device: { jamNeedsReset: needs } }).start();
  bench.fault('jamStacker');
  await bench.escrow(20);
  const outcome = await bench.deposit();
  expect(outcome).toMatchObject({ kind: 'unknown' });
  expect(outcome.evidence).toContain('jammed');
  expect(bench.acceptor.status()).toMatchObject({ device: 'fault', fault: { code: 'd1.2' } });
  bench.device.control({ do: 'take' });
  expect(await bench.initialise()).toMatchObject({ device: 'ready', note: 'unknown' });
  expect(bench.sent('reset')).toBe(needs ? 1 : 0);
  bench.expectConserved();
});

/** Until something happens; each leaves the device in another state. */
const MOMENTS: Readonly<Record<string, (bench: Bench) => Promise<void>>> = {
  idling: async () => undefined,
  disabled: (bench) => bench.run(bench.acceptor.accept([])),
  accepting: async (bench) => {
    bench.insert(20);
    await bench.heard('note.inserted');
  },
  escrow: (bench) => bench.escrow(20),
  stacking: async (bench) => {
    await bench.escrow(20);
    void bench.deposit();
    await bench.clock.advance(100);
  },
  'past the point of no return': async (bench) => {
    await bench.escrow(20);
    void bench.deposit();
    await bench.clock.advance(500);
  },
  returning: async (bench) => {
    await bench.escrow(20);
    void bench.returnNote();
    await bench.clock.advance(300);
  },
};

test.each(Object.keys(MOMENTS))('the cash box goes out and in while %s', async (moment) => {
  const bench = await new Bench().start();
  await MOMENTS[moment]?.(bench);
  bench.device.control({ do: 'cashbox', present: false });
  await bench.clock.advance(500);
  expect(bench.acceptor.status()).toMatchObject({ device: 'fault', cashBox: 'missing' });
  expect((await bench.initialise()).device).toBe('fault');
  bench.device.control({ do: 'cashbox', present: true });
  await bench.clock.advance(5000);
  expect(bench.acceptor.status()).toMatchObject({ device: 'attention', cashBox: 'ok' });
  const { note } = await bench.initialise();
  if (note === 'deposited') {
    await bench.run(bench.acceptor.confirmDeposit());
    await bench.initialise();
  }
  expect(bench.acceptor.status()).toMatchObject({ device: 'ready', cashBox: 'ok' });
  const { cashbox, customer, path } = bench.device.truth();
  expect(count(path)).toBe(0);
  if (note === 'deposited') expect(cashbox).toEqual({ '20': 1 });
  if (note === 'returned') expect(customer).toEqual({ '20': 1 });
  bench.expectConserved();
  expect(bench.device.violations()).toEqual([]);
});

test.each(Object.keys(MOMENTS))('the note path is opened and shut while %s', async (moment) => {
  const bench = await new Bench().start();
  await MOMENTS[moment]?.(bench);
  bench.fault('transportOpen');
  await bench.clock.advance(500);
  expect(bench.acceptor.status()).toMatchObject({ device: 'fault', fault: { code: 'd2.6' } });
  bench.fault('transportOpen', undefined, 0);
  await bench.clock.advance(5000);
  const { note } = await bench.initialise();
  if (note === 'deposited') {
    await bench.run(bench.acceptor.confirmDeposit());
    await bench.initialise();
  }
  expect(bench.acceptor.status().device).toBe('ready');
  expect(count(bench.device.truth().path)).toBe(0);
  bench.expectConserved();
});

test('"stacked" of nothing when the cash box is put back credits nothing', async () => {
  const bench = await new Bench().start();
  bench.device.control({ do: 'cashbox', present: false });
  await bench.clock.advance(500);
  bench.device.control({ do: 'cashbox', present: true });
  bench.fault('blankStacked');
  await bench.clock.advance(1000);
  expect(await bench.initialise()).toMatchObject({ device: 'ready', note: 'unknown' });
  await bench.run(bench.acceptor.accept(ALL_VALUES));
  bench.fault('blankStacked');
  await bench.clock.advance(1000);
  expect(bench.credits).toEqual([]);
  await bench.escrow(20);
  expect(await bench.deposit()).toMatchObject({ kind: 'deposited' });
});

test('a note pulled back while it is stacked is no deposit', async () => {
  const bench = await new Bench().start();
  bench.fault('cheat');
  await bench.escrow(100);
  const outcome = await bench.deposit();
  // Said together with "returned", which is the device's own word.
  expect(outcome).toMatchObject({ kind: 'returned' });
  expect(bench.told('fraud.attempted')).toEqual([{ kind: 'fraud.attempted', code: 'd1.0' }]);
  expect(bench.device.truth().customer).toEqual({ '100': 1 });
  bench.expectConserved();
});

test.each([
  ['failure', 'd2.2'],
  ['stall', 'd3.0'],
])('a %s is a fault with its code until reset, once', async (fault, code) => {
  const bench = await new Bench().start();
  bench.fault(fault);
  await bench.heard('device.failed');
  expect(bench.acceptor.status().fault).toMatchObject({ code });
  expect(bench.events.find((event) => event.kind === 'device.failed')).toMatchObject({
    error: { code: 'hardwareError', recording: expect.any(Array) },
  });
  expect((await bench.initialise()).device).toBe('ready');
  expect(bench.sent('reset')).toBe(1);
  await bench.run(bench.acceptor.accept(ALL_VALUES));
  await bench.escrow(20);
});

test('a failure with a note in escrow: the reset gives it back, and that is said', async () => {
  const bench = await new Bench().start();
  await bench.escrow(20);
  bench.fault('failure');
  await bench.clock.advance(500);
  expect(await bench.initialise()).toMatchObject({ device: 'ready', note: 'returned' });
  expect(bench.device.truth().customer).toEqual({ '20': 1 });
});

test('a credit of another note than escrow named: unknown, and no value', async () => {
  const bench = await new Bench().start();
  bench.fault('otherNote', 7);
  await bench.escrow(20);
  const outcome = await bench.deposit();
  expect(outcome).toMatchObject({ kind: 'unknown' });
  expect(outcome.evidence).toMatch(/escrowed, USD 20E0.*stacked, USD 100E0/);
  expect(bench.told('credit.unexpected')).toEqual([
    { kind: 'credit.unexpected', value: undefined },
  ]);
  await bench.run(bench.acceptor.confirmDeposit());
  await bench.clock.advance(1000);
  await bench.escrow(5);
  bench.expectConserved();
});

test.each(MODELS)('a credit of no note is none: %s', async (_model, device) => {
  const bench = await new Bench({ device }).start();
  bench.fault('noValue');
  await bench.escrow(20);
  expect(await bench.deposit()).toMatchObject({ kind: 'unknown' });
  await bench.clock.advance(1000);
  expect(bench.credits).toEqual([]);
  expect(bench.acceptor.status().device).toBe('ready');
});

test('a lost answer to the stack bit is asked for again, and nothing is done twice', async () => {
  const bench = await new Bench().start();
  await bench.escrow(20);
  bench.fault('loseReply', 1, 2);
  expect(await bench.deposit()).toMatchObject({ kind: 'deposited' });
  const stacks = bench.port.sent.filter((hex) => commandOf(hex) === 'stack');
  expect(stacks).toHaveLength(3);
  expect(new Set(stacks).size).toBe(1);
  expect(count(bench.device.truth().cashbox)).toBe(1);
  expect(bench.device.violations()).toEqual([]);
});

test('a stack bit that was never answered is not sent as a new command: the note goes back', async () => {
  const bench = await new Bench().start();
  await bench.escrow(20);
  // Three attempts, and then the polls that find out.
  bench.fault('deaf', 1, 3);
  const outcome = await bench.deposit();
  expect(outcome).toMatchObject({ kind: 'returned' });
  expect(outcome.evidence).toContain('return sent');
  expect(bench.sent('stack')).toBe(1);
  expect(bench.device.truth().customer).toEqual({ '20': 1 });
});

test('a stack bit that was refused is not sent again: the note goes back', async () => {
  const bench = await new Bench().start();
  await bench.escrow(20);
  bench.fault('invalid', 1);
  const outcome = await bench.deposit();
  expect(outcome).toMatchObject({ kind: 'returned' });
  expect(outcome.evidence).toContain('invalid command');
  expect(bench.sent('stack')).toBe(1);
  expect(bench.device.truth().customer).toEqual({ '20': 1 });
});

test('close settles everything that waits, in any moment', async () => {
  const bench = await new Bench().start();
  await bench.escrow(20);
  const deposit = bench.deposit();
  const accept = expect(bench.acceptor.accept([])).rejects.toMatchObject({ code: 'canceled' });
  await bench.clock.advance(50);
  await bench.run(bench.acceptor.close());
  expect(await deposit).toMatchObject({ kind: 'unknown' });
  await accept;
  await bench.run(bench.acceptor.open());
  expect(await bench.initialise()).toMatchObject({ note: 'deposited' });
  await bench.run(bench.acceptor.confirmDeposit());
  const initialise = bench.acceptor.initialise();
  await bench.run(bench.acceptor.close());
  expect(await bench.run(initialise)).toMatchObject({ device: 'offline' });
  await expect(bench.acceptor.initialise()).rejects.toMatchObject({ code: 'sequenceError' });
  const opened = expect(bench.acceptor.open()).rejects.toMatchObject({ code: 'canceled' });
  await bench.clock.advance(10);
  await bench.run(bench.acceptor.close());
  await opened;
  bench.device.stop();
  await bench.clock.advance(100_000);
  expect(bench.clock.pending).toBe(0);
  expect(count(bench.device.truth().cashbox)).toBe(1);
});

for (const [model, device] of MODELS) {
  playPromises(`ebds, ${model}`, {
    make: (cable) => new Bench({ device, cable }),
    inhibited: { reason: 'other', code: 'd1.1' },
    givesBack: 'escrowTimeout',
    jam: { fault: 'jamAcceptor', code: 'd1.2' },
    jamStacking: { fault: 'jamStacker', code: 'd1.2', words: 'jammed' },
    full: 'stackerFull',
    paused: 'd1.5',
    keepsNote: true,
  });
}
