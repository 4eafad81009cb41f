import { expect, test } from 'vitest';
import { rejectReasons } from '#hal/id003/commands.ts';
import { encodeFrame } from '#hal/id003/wire.ts';
import { Cable } from '#hal/simulator/cable.ts';
import { Id003Device } from '#hal/simulator/id003/device.ts';
import { US_NOTES } from '#hal/simulator/id003/mechanism.ts';
import { MemoryPort } from '#hal/simulator/memory-port.ts';
import { ALL_VALUES, Bench, count, dollars } from './bench.ts';

test('opens without moving anything, then initialises and can tell the values', async () => {
  const bench = new Bench();
  const identity = await bench.run(bench.acceptor.open());
  expect(identity).toMatchObject({ protocol: 'id003', model: 'UBA', serialNumber: undefined });
  expect(identity.firmware).toContain('ID003-05V272');
  expect(bench.acceptor.values()).toEqual(ALL_VALUES);
  expect(bench.acceptor.status()).toMatchObject({ device: 'attention', powerUp: 'none' });
  expect(new Set(bench.port.sent)).toEqual(new Set(['fc05886f5f', 'fc058a7d7c', 'fc05112756']));
  expect(await bench.initialise()).toMatchObject({ device: 'ready', note: 'none' });
  expect(bench.acceptor.status()).toEqual({
    device: 'ready',
    cashBox: 'ok',
    powerUp: 'none',
    fault: undefined,
  });
  expect(() => bench.insert(20)).toThrow('takes no note');
  await bench.run(bench.acceptor.close());
  bench.device.stop();
  expect(bench.clock.pending).toBe(0);
  expect(bench.device.violations()).toEqual([]);
});

test('deposits: the credit is repeated until it is confirmed, and counts once', async () => {
  const bench = await new Bench().start();
  await bench.escrow(20);
  expect(bench.events).toEqual([
    { kind: 'note.inserted' },
    { kind: 'note.escrowed', value: dollars(20) },
  ]);
  const outcome = await bench.deposit();
  expect(outcome).toMatchObject({ kind: 'deposited', value: dollars(20) });
  expect(outcome.evidence).toContain('15 vend valid');
  await bench.clock.advance(5000);
  expect(bench.device.truth().cashbox).toEqual({ '20': 1 });
  expect(() => bench.insert(5)).toThrow('vendValid');
  await bench.run(bench.acceptor.confirmDeposit());
  await bench.clock.advance(1000);
  await bench.escrow(5);
  expect(await bench.deposit()).toMatchObject({ kind: 'deposited', value: dollars(5) });
  await bench.run(bench.acceptor.confirmDeposit());
  expect(bench.credits).toEqual(['deposit', 'deposit']);
  expect(bench.told('credit.unexpected')).toEqual([]);
  bench.expectConserved();
  expect(bench.device.violations()).toEqual([]);
});

test('the deposit command leaves in the same instant as the decision', async () => {
  const bench = await new Bench().start();
  const sentMs: number[] = [];
  bench.acceptor.subscribe((event) => {
    if (event.kind !== 'note.escrowed') return;
    void bench.acceptor.deposit();
    if (bench.port.sent.at(-1) === 'fc05423936') sentMs.push(bench.clock.monotonic());
  });
  await bench.escrow(20);
  expect(sentMs).toEqual([bench.clock.monotonic()]);
});

test('behind a late answer the next poll lets the decision go first', async () => {
  const bench = await new Bench().start();
  bench.insert(20);
  await bench.heard('note.inserted');
  const { chunks } = bench.cable.passed('toHost');
  for (let nth = chunks; nth < chunks + 20; nth++) {
    bench.cable.addFault({ direction: 'toHost', unit: 'chunk', nth, do: 'delay', ms: 150 });
  }
  let sentBefore = 0;
  bench.acceptor.subscribe(async (event) => {
    if (event.kind !== 'note.escrowed') return;
    sentBefore = bench.port.sent.length;
    for (let turns = 0; turns < 50; turns++) await Promise.resolve();
    void bench.acceptor.deposit();
  });
  await bench.heard('note.escrowed');
  await bench.clock.advance(0);
  expect(bench.port.sent.slice(sentBefore)).toEqual(['fc05423936']);
});

test('gives a note back when asked', async () => {
  const bench = await new Bench().start();
  await bench.escrow(50);
  expect(await bench.returnNote()).toMatchObject({ kind: 'returned' });
  expect(bench.device.truth().customer).toEqual({ '50': 1 });
  expect(bench.told('note.returned')).toEqual([]);
  await expect(bench.acceptor.returnNote()).rejects.toMatchObject({ code: 'sequenceError' });
  await expect(bench.acceptor.deposit()).rejects.toMatchObject({ code: 'sequenceError' });
  expect(bench.device.violations()).toEqual([]);
});

test.each(Object.entries(rejectReasons))('tells reject reason %s', async (code, { reason }) => {
  const bench = await new Bench().start();
  bench.fault('reject', Number(code));
  bench.insert(20);
  await bench.heard('note.refused');
  const hex = Number(code).toString(16).toUpperCase();
  expect(bench.events.at(-1)).toEqual({ kind: 'note.refused', reason, code: `17:${hex}` });
  await bench.clock.advance(2000);
  expect(bench.told('note.refused')).toHaveLength(1);
  expect(bench.device.truth().customer).toEqual({ '20': 1 });
});

test('a value that is not accepted never comes to escrow', async () => {
  const bench = await new Bench().start([dollars(5), dollars(20)]);
  for (const value of [1, 10, 50, 100]) {
    bench.insert(value);
    await bench.heard('note.refused');
    expect(bench.events.at(-1)).toMatchObject({ reason: 'inhibited', code: '17:79' });
    await bench.clock.advance(2000);
  }
  expect(bench.told('note.escrowed')).toEqual([]);
  for (const value of [5, 20]) {
    await bench.escrow(value);
    await bench.returnNote();
  }
  await bench.run(bench.acceptor.accept([]));
  expect(() => bench.insert(20)).toThrow('disabled');
  expect(bench.device.violations()).toEqual([]);
});

test('closing waits for the note inside, and a later wish replaces an earlier one', async () => {
  const bench = await new Bench().start();
  await bench.escrow(20);
  const first = bench.acceptor.accept([dollars(5)]);
  const replaced = expect(first).rejects.toMatchObject({ code: 'canceled' });
  const second = bench.acceptor.accept([]);
  await bench.clock.advance(1000);
  await bench.deposit();
  await bench.run(bench.acceptor.confirmDeposit());
  await bench.run(second);
  await replaced;
  expect(() => bench.insert(20)).toThrow('disabled');
  expect(bench.device.violations()).toEqual([]);
});

test('other currencies are never enabled', async () => {
  const euro = { escrowCode: 0x68, country: 0xe0, value: 5, exponent: 1 };
  const notes = [...US_NOTES.slice(0, 6), euro];
  const bench = await new Bench({ device: { notes } }).start([...ALL_VALUES, dollars(50)]);
  expect(bench.acceptor.values()).not.toContain(dollars(100));
  const eurosOnly = await new Bench({ device: { notes: [euro] } }).start();
  expect(eurosOnly.acceptor.values()).toEqual([]);
  expect(() => eurosOnly.insert(50)).toThrow('disabled');
});

test('a note that the device itself gives back is told, once', async () => {
  const bench = await new Bench().start();
  bench.fault('escrowTimeout', 3000);
  await bench.escrow(20);
  await bench.heard('note.returned', 10_000);
  await bench.clock.advance(3000);
  expect(bench.told('note.returned')).toHaveLength(1);
  await expect(bench.acceptor.deposit()).rejects.toMatchObject({ code: 'sequenceError' });
});

test('STACK never leaves once the device has said that the note goes back', async () => {
  const returning = Buffer.from(encodeFrame(0x18)).toString('hex');
  let returned = 0;
  for (let decideMs = 2900; decideMs <= 3150; decideMs += 2) {
    const bench = await new Bench().start();
    bench.fault('escrowTimeout', 3000);
    await bench.escrow(20);
    await bench.clock.advance(decideMs);
    const outcome = await bench.deposit().catch(() => undefined);
    bench.expectConserved();
    const chunks = bench.port.recording().map(({ hex }) => hex);
    const stackAt = chunks.indexOf('fc05423936');
    const returningAt = chunks.indexOf(returning);
    if (stackAt >= 0 && returningAt >= 0) expect(stackAt).toBeLessThan(returningAt);
    if (outcome?.kind === 'returned') returned++;
    else if (outcome) expect(outcome.kind).toBe('deposited');
  }
  expect(returned).toBeGreaterThan(10);
});

test('a jam before escrow is a fault until cleared and reset', async () => {
  const bench = await new Bench().start();
  bench.fault('jamAcceptor');
  bench.insert(20);
  await bench.heard('device.failed');
  await bench.clock.advance(500);
  expect(bench.acceptor.status()).toMatchObject({ device: 'fault', fault: { code: '45' } });
  expect((await bench.initialise()).device).toBe('fault');
  bench.device.control({ do: 'take' });
  expect(await bench.initialise()).toMatchObject({ device: 'ready', note: 'unknown' });
  bench.expectConserved();
});

test('a jam while stacking leaves the outcome open', async () => {
  const bench = await new Bench().start();
  bench.fault('jamStacker');
  await bench.escrow(20);
  const outcome = await bench.deposit();
  expect(outcome).toMatchObject({ kind: 'unknown' });
  expect(outcome.evidence).toContain('46 jam in the stacker');
  expect(bench.acceptor.status()).toMatchObject({ device: 'fault', fault: { code: '46' } });
  bench.expectConserved();
});

test.each(['escrow', 'depositing'])('the cash box goes out and in: %s', async (moment) => {
  const bench = await new Bench().start();
  await bench.escrow(20);
  const deposit = moment === 'depositing' ? bench.deposit() : undefined;
  bench.device.control({ do: 'cashbox', present: false });
  await bench.clock.advance(500);
  expect(bench.acceptor.status()).toMatchObject({ device: 'fault', cashBox: 'missing' });
  if (deposit) expect(await deposit).toMatchObject({ kind: 'unknown' });
  bench.device.control({ do: 'cashbox', present: true });
  await bench.clock.advance(5000);
  expect(bench.acceptor.status()).toMatchObject({ device: 'attention', cashBox: 'ok' });
  expect((await bench.initialise()).device).toBe('ready');
  bench.expectConserved();
});

test('a full cash box shows after the credit, which is not lost', async () => {
  const bench = await new Bench().start();
  bench.fault('stackerFull');
  await bench.escrow(20);
  expect(await bench.deposit()).toMatchObject({ kind: 'deposited' });
  await bench.run(bench.acceptor.confirmDeposit());
  await bench.clock.advance(1000);
  expect(bench.acceptor.status()).toMatchObject({ device: 'fault', cashBox: 'full' });
  expect((await bench.initialise()).device).toBe('fault');
  bench.device.control({ do: 'cashbox', present: true, empty: true });
  expect((await bench.initialise()).device).toBe('ready');
  bench.expectConserved(1);
});

test('a note pulled back while it is stacked is no deposit', async () => {
  const bench = await new Bench().start();
  bench.fault('cheat');
  await bench.escrow(100);
  expect(await bench.deposit()).toMatchObject({ kind: 'unknown' });
  expect(bench.told('fraud.attempted')).toHaveLength(1);
  expect(bench.acceptor.status()).toMatchObject({ device: 'attention', fault: { code: '48' } });
  expect((await bench.initialise()).device).toBe('ready');
  bench.expectConserved();
});

test('a failure is a fault with its code until reset', async () => {
  const bench = await new Bench().start();
  bench.fault('failure', 0xa5);
  await bench.heard('device.failed');
  expect(bench.acceptor.status().fault).toEqual({
    code: '49:A5',
    text: '49:A5 failure: transport motor speed',
  });
  expect(bench.events.find((event) => event.kind === 'device.failed')).toMatchObject({
    error: { code: 'hardwareError', recording: expect.any(Array) },
  });
  expect((await bench.initialise()).device).toBe('ready');
});

test('a second note pauses a deposit and does not end it', async () => {
  const bench = await new Bench().start();
  await bench.escrow(20);
  bench.fault('pause', 4000);
  await bench.clock.advance(500);
  expect(bench.acceptor.status()).toMatchObject({ device: 'fault', fault: { code: '47' } });
  expect(await bench.deposit()).toMatchObject({ kind: 'deposited' });
  expect(bench.device.violations()).toEqual([]);
});

test('a lost ACK of STACK changes nothing', async () => {
  const bench = await new Bench().start();
  await bench.escrow(20);
  bench.fault('loseReply', 0x42);
  expect(await bench.deposit()).toMatchObject({ kind: 'deposited' });
  expect(bench.device.violations()).toEqual([]);
});

test.each(['deaf', 'communicationError', 'invalidCommand'])(
  'a STACK that never arrived (%s) is not sent again: the note goes back',
  async (fault) => {
    const bench = await new Bench({ device: { timings: { escrowTimeoutMs: 90_000 } } }).start();
    await bench.escrow(20);
    bench.fault(fault, 0x42);
    const outcome = await bench.deposit();
    expect(outcome).toMatchObject({ kind: 'returned' });
    expect(outcome.evidence).toContain('return sent; acknowledged');
    expect(bench.device.truth().customer).toEqual({ '20': 1 });
    expect(bench.port.sent.filter((hex) => hex === 'fc05423936')).toHaveLength(1);
  },
);

test('a device that stays in escrow whatever is said: open, and in time', async () => {
  const bench = await new Bench({ device: { timings: { escrowTimeoutMs: 900_000 } } }).start();
  await bench.escrow(20);
  bench.fault('deaf', 0x42);
  bench.fault('communicationError', 0x43, 1000);
  const startedMs = bench.clock.monotonic();
  expect(await bench.deposit()).toMatchObject({ kind: 'unknown' });
  expect(bench.clock.monotonic() - startedMs).toBeLessThan(46_000);
  await expect(bench.acceptor.deposit()).rejects.toMatchObject({ code: 'sequenceError' });
});

test('a lost ACK of the credit is said again and credits nothing', async () => {
  const bench = await new Bench().start();
  await bench.escrow(20);
  await bench.deposit();
  bench.fault('deaf', 0x50);
  await bench.run(bench.acceptor.confirmDeposit());
  await bench.clock.advance(1000);
  expect(bench.told('credit.unexpected')).toEqual([]);
  expect(bench.device.violations()).toEqual([]);
  await bench.escrow(20);
});

test.each(['late', 'badChecksum', 'noise', 'duplicateReply', 'communicationError', 'deaf'])(
  'a line with trouble (%s) throughout: conserved and credited once',
  async (fault) => {
    const bench = await new Bench().start();
    for (let round = 0; round < 3; round++) {
      await bench.escrow(20);
      bench.fault(fault, undefined, fault === 'noise' || fault === 'duplicateReply' ? 500 : 2);
      const outcome = await bench.deposit();
      bench.expectConserved();
      if (outcome.kind !== 'deposited') continue;
      await bench.run(bench.acceptor.confirmDeposit());
      bench.fault(fault, undefined, 2);
      await bench.clock.advance(3000);
    }
    bench.expectConserved();
    expect(bench.told('credit.unexpected')).toEqual([]);
  },
);

test('every answer late by more than the time-out: never two credits for one note', async () => {
  const bench = await new Bench().start();
  await bench.escrow(20);
  bench.fault('late', 350, 1000);
  const outcome = await bench.deposit();
  if (outcome.kind === 'deposited') await bench.run(bench.acceptor.confirmDeposit());
  await bench.clock.advance(10_000);
  bench.fault('late', undefined, 0);
  await bench.clock.advance(10_000);
  expect(bench.credits).toHaveLength(1);
  bench.expectConserved();
});

test('silence is noticed within 2 s, and the device is found again', async () => {
  const bench = await new Bench().start();
  bench.fault('deaf', undefined, 1_000_000);
  const startedMs = bench.clock.monotonic();
  await bench.clock.until(() => bench.acceptor.status().device === 'offline');
  expect(bench.clock.monotonic() - startedMs).toBeLessThan(2000);
  expect(bench.told('device.failed')).toHaveLength(1);
  await expect(bench.acceptor.accept([])).rejects.toMatchObject({ code: 'deviceNotReady' });
  // Long enough for the port to be opened anew, in case it is the adapter that has hung itself up.
  await bench.clock.advance(30_000);
  expect(bench.port.opened).toBeGreaterThan(1);
  bench.fault('deaf', undefined, 0);
  await bench.clock.until(() => bench.acceptor.status().device === 'ready', 5000);
  await bench.escrow(20);
});

test('unplugged in a deposit: unknown at once, and the credit comes after the replug', async () => {
  const bench = await new Bench().start();
  await bench.escrow(20);
  const deposit = bench.deposit();
  await bench.clock.advance(300);
  bench.cable.unplug();
  expect(await deposit).toMatchObject({ kind: 'unknown' });
  expect(bench.acceptor.status().device).toBe('offline');
  await bench.clock.advance(5000);
  bench.cable.plug();
  await bench.heard('credit.unexpected', 5000);
  expect(bench.told('credit.unexpected')).toEqual([
    { kind: 'credit.unexpected', value: dollars(20) },
  ]);
  await bench.run(bench.acceptor.confirmDeposit());
  await bench.clock.advance(1000);
  await bench.escrow(5);
  bench.expectConserved();
});

test('unplugged with a note in escrow: it is the same note afterwards', async () => {
  const bench = await new Bench().start();
  await bench.escrow(20);
  bench.cable.unplug();
  await expect(bench.acceptor.deposit()).rejects.toMatchObject({ code: 'sequenceError' });
  await bench.clock.advance(1000);
  bench.cable.plug();
  await bench.clock.until(() => bench.acceptor.status().device === 'ready');
  expect(bench.told('note.escrowed')).toHaveLength(1);
  expect(await bench.deposit()).toMatchObject({ kind: 'deposited' });
});

test('another device on the port must be initialised', async () => {
  const bench = await new Bench().start();
  const device = new Id003Device({ clock: bench.clock, options: { version: 'i(USA)-100-SS' } });
  const cable = new Cable({ clock: bench.clock, device });
  bench.port.use(new MemoryPort({ path: 'other', clock: bench.clock, cable }));
  bench.cable.unplug();
  await bench.clock.until(() => bench.acceptor.status().device === 'attention');
  expect(await bench.initialise()).toMatchObject({ device: 'ready' });
});

test('a port that is not there, or held by another, says so', async () => {
  const bench = new Bench();
  bench.cable.unplug();
  await expect(bench.acceptor.open()).rejects.toMatchObject({ code: 'notFound' });
  bench.cable.lock();
  await expect(bench.acceptor.open()).rejects.toMatchObject({ code: 'locked' });
  bench.cable.plug();
  bench.device.control({ do: 'power', on: false });
  await expect(bench.run(bench.acceptor.open())).rejects.toMatchObject({ code: 'timeOut' });
  bench.device.control({ do: 'power', on: true });
  expect(await bench.run(bench.acceptor.open())).toMatchObject({ model: 'UBA' });
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
  const initialise = bench.acceptor.initialise();
  await bench.clock.advance(300);
  await bench.run(bench.acceptor.close());
  expect(await bench.run(initialise)).toMatchObject({ device: 'offline' });
  await expect(bench.acceptor.initialise()).rejects.toMatchObject({ code: 'sequenceError' });
  bench.device.stop();
  await bench.clock.advance(100_000);
  expect(bench.clock.pending).toBe(0);
  expect(count(bench.device.truth().cashbox)).toBeLessThanOrEqual(1);
});

test('paced at line speed and split into single bytes it works the same', async () => {
  const bench = await new Bench({
    cable: { paced: true, split: (length) => Array.from({ length }, () => 1) },
  }).start();
  await bench.escrow(20);
  expect(await bench.deposit()).toMatchObject({ kind: 'deposited', value: dollars(20) });
  await bench.run(bench.acceptor.confirmDeposit());
  expect(bench.device.violations()).toEqual([]);
});
