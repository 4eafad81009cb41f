import { expect, test } from 'vitest';
import { rejectReasons } from '#hal/id003/commands.ts';
import { encodeFrame } from '#hal/id003/wire.ts';
import { Cable } from '#hal/simulator/cable.ts';
import { Id003Device } from '#hal/simulator/id003/device.ts';
import { US_NOTES } from '#hal/simulator/id003/mechanism.ts';
import { MemoryPort } from '#hal/simulator/memory-port.ts';
import { playPromises, playStatePromises } from '../escrow-promises.ts';
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

test('other currencies are never enabled', async () => {
  const euro = { escrowCode: 0x68, country: 0xe0, value: 5, exponent: 1 };
  const notes = [...US_NOTES.slice(0, 6), euro];
  const bench = await new Bench({ device: { notes } }).start([...ALL_VALUES, dollars(50)]);
  expect(bench.acceptor.values()).not.toContain(dollars(100));
  const eurosOnly = await new Bench({ device: { notes: [euro] } }).start();
  expect(eurosOnly.acceptor.values()).toEqual([]);
  expect(() => eurosOnly.insert(50)).toThrow('disabled');
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

test('another device on the port must be initialised', async () => {
  const bench = await new Bench().start();
  const device = new Id003Device({ clock: bench.clock, options: { version: 'i(USA)-100-SS' } });
  const cable = new Cable({ clock: bench.clock, device });
  bench.port.use(new MemoryPort({ path: 'other', clock: bench.clock, cable }));
  bench.cable.unplug();
  await bench.clock.until(() => bench.acceptor.status().device === 'attention');
  expect(await bench.initialise()).toMatchObject({ device: 'ready' });
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

playPromises('id003', {
  make: (cable) => new Bench({ cable }),
  inhibited: { reason: 'inhibited', code: '17:79' },
  givesBack: 'escrowTimeout',
  jam: { fault: 'jamAcceptor', code: '45' },
  jamStacking: { fault: 'jamStacker', code: '46', words: '46 jam in the stacker' },
  full: 'stackerFull',
  paused: '47',
  keepsNote: true,
});

playStatePromises({
  make: (device) => new Bench({ device }),
  stack: { code: 0x42, hex: 'fc05423936' },
  returnCode: 0x43,
  ack: 0x50,
  returning: Buffer.from(encodeFrame(0x18)).toString('hex'),
  notCarriedOut: [
    ['deaf', 0x42],
    ['communicationError', 0x42],
    ['invalidCommand', 0x42],
  ],
  notUnderstood: 'communicationError',
  decisionLimitMs: 46_000,
  rejecting: '17',
  reasons: rejectReasons,
  cheat: '48',
});
