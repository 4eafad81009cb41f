import { expect, test } from 'vitest';
import { rejectReasons } from '#hal/ccnet/commands.ts';
import { encodeFrame } from '#hal/ccnet/wire.ts';
import { US_NOTES } from '#hal/simulator/ccnet/mechanism.ts';
import { playPromises, playStatePromises } from '../escrow-promises.ts';
import { ALL_VALUES, Bench, count, dollars, SENT, STRICT, UNITS } from './bench.ts';

const hexOf = (...body: number[]) => Buffer.from(encodeFrame(body)).toString('hex');

test('opens without moving anything, then initialises and can tell the values', async () => {
  const bench = new Bench({ device: STRICT });
  const identity = await bench.run(bench.acceptor.open());
  expect(identity).toEqual({
    protocol: 'ccnet',
    model: 'CashCode SM',
    firmware: 'SM-US1234',
    serialNumber: '123456789012',
  });
  expect(bench.acceptor.values()).toEqual(ALL_VALUES);
  expect(bench.acceptor.status()).toMatchObject({ device: 'attention', powerUp: 'none' });
  const questions = [SENT.poll, SENT.ack, SENT.identification, SENT.billTable];
  expect(new Set(bench.port.sent)).toEqual(new Set(questions));
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

test.each(UNITS)('deposits, each credit once: %s unit', async (_unit, device) => {
  const bench = await new Bench({ device }).start();
  await bench.escrow(20);
  expect(bench.events).toEqual([
    { kind: 'note.inserted' },
    { kind: 'note.escrowed', value: dollars(20) },
  ]);
  const outcome = await bench.deposit();
  expect(outcome).toMatchObject({ kind: 'deposited', value: dollars(20) });
  expect(outcome.evidence).toContain('81:04 note stacked');
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

test('BILL STACKED has no ACK before the credit is on disk, and one directly after', async () => {
  const bench = await new Bench({ device: STRICT }).start();
  await bench.escrow(20);
  const before = bench.port.sent.length;
  await bench.deposit();
  await bench.clock.advance(3000);
  const since = bench.port.sent.slice(before);
  const stackedAt = bench.port.recording().findIndex(({ hex }) => hex === hexOf(0x81, 4));
  const afterwards = bench.port.recording().slice(stackedAt + 1);
  expect(since).toContain(SENT.stack);
  // A credit that is not acknowledged is said again to each poll; polls come more rarely meanwhile.
  expect(afterwards.map(({ hex }) => hex)).not.toContain(SENT.ack);
  expect(afterwards.filter(({ hex }) => hex === hexOf(0x81, 4)).length).toBeGreaterThan(2);
  expect(() => bench.insert(5)).toThrow('billStacked');
  const confirmedAt = bench.port.sent.length;
  await bench.run(bench.acceptor.confirmDeposit());
  expect(bench.port.sent.slice(confirmedAt)).toEqual([SENT.ack]);
  await bench.clock.advance(500);
  expect(bench.port.sent.filter((hex) => hex === SENT.stack)).toHaveLength(1);
  bench.insert(5);
});

test('confirmed within half a second, the ACK is the word after BILL STACKED', async () => {
  const bench = await new Bench({ device: { ackWithinMs: 600, strictAck: true } }).start();
  await bench.escrow(20);
  await bench.deposit();
  await bench.clock.advance(480);
  await bench.run(bench.acceptor.confirmDeposit());
  await bench.clock.advance(500);
  await bench.escrow(5);
  expect(bench.told('credit.unexpected')).toEqual([]);
});

test('STACK leaves when the bus has rested after the ACK of ESCROW, within 20 ms', async () => {
  const bench = await new Bench({ device: STRICT }).start();
  let decidedMs = 0;
  bench.acceptor.subscribe((event) => {
    if (event.kind !== 'note.escrowed') return;
    decidedMs = bench.clock.monotonic();
    void bench.acceptor.deposit();
  });
  bench.insert(20);
  await bench.clock.until(() => bench.port.sent.at(-1) === SENT.stack);
  expect(bench.clock.monotonic() - decidedMs).toBeLessThanOrEqual(20);
  const sent = bench.port.recording().flatMap(({ direction, hex, monotonicMs }) => {
    return direction === 'out' ? [{ hex, monotonicMs }] : [];
  });
  const [ack, stack] = sent.slice(-2);
  expect([ack?.hex, stack?.hex]).toEqual([SENT.ack, SENT.stack]);
  expect((stack?.monotonicMs ?? 0) - (ack?.monotonicMs ?? 0)).toBeGreaterThanOrEqual(20);
  expect(bench.device.violations()).toEqual([]);
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

test('settings that are refused, or not confirmed, are errors', async () => {
  const bench = await new Bench().start();
  bench.fault('illegal', 0x34);
  const refused = bench.run(bench.acceptor.accept([]));
  await expect(refused).rejects.toMatchObject({ code: 'refused' });
  bench.fault('deaf', 0x34, 3);
  const silent = bench.run(bench.acceptor.accept([]));
  await expect(silent).rejects.toMatchObject({ code: 'timeOut' });
  bench.fault('nak', 0x34, 2);
  await bench.run(bench.acceptor.accept([]));
  expect(() => bench.insert(20)).toThrow('disabled');
});

test('other currencies are never enabled', async () => {
  const euro = { type: 7, country: 'EUR', value: 5, exponent: 1 };
  const notes = [...US_NOTES.slice(0, 6), euro];
  const bench = await new Bench({ device: { notes } }).start([...ALL_VALUES, dollars(50)]);
  expect(bench.acceptor.values()).not.toContain(dollars(100));
  const eurosOnly = await new Bench({ device: { notes: [euro] } }).start();
  expect(eurosOnly.acceptor.values()).toEqual([]);
  expect(() => eurosOnly.insert(50)).toThrow('disabled');
});

/** Until the cash box is taken out; each leaves the device in another state. */
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
    await bench.clock.advance(300);
  },
  returning: async (bench) => {
    await bench.escrow(20);
    void bench.returnNote();
    await bench.clock.advance(300);
  },
};

test.each(
  Object.keys(MOMENTS).flatMap(
    (moment) =>
      [
        [moment, false],
        [moment, true],
      ] as const,
  ),
)('the cash box goes out and in while %s; it waits for RESET then: %s', async (moment, waits) => {
  const bench = await new Bench({ device: { refitNeedsReset: waits } }).start();
  await MOMENTS[moment]?.(bench);
  bench.device.control({ do: 'cashbox', present: false });
  await bench.clock.advance(500);
  expect(bench.acceptor.status()).toMatchObject({ device: 'fault', cashBox: 'missing' });
  expect((await bench.initialise()).device).toBe('fault');
  bench.device.control({ do: 'cashbox', present: true });
  await bench.clock.advance(5000);
  const isOut = { device: 'fault', cashBox: 'missing' };
  expect(bench.acceptor.status()).toMatchObject(
    waits ? isOut : { device: 'attention', cashBox: 'ok' },
  );
  expect((await bench.initialise()).device).toBe('ready');
  expect(bench.acceptor.status()).toMatchObject({ device: 'ready', cashBox: 'ok' });
  bench.expectConserved();
  expect(count(bench.device.truth().path)).toBe(0);
});

test('a failure is a fault with its code until reset', async () => {
  const bench = await new Bench().start();
  bench.fault('failure', 0x51);
  await bench.heard('device.failed');
  expect(bench.acceptor.status().fault).toEqual({
    code: '47:51',
    text: '47:51 failure: transport motor speed',
  });
  expect(bench.events.find((event) => event.kind === 'device.failed')).toMatchObject({
    error: { code: 'hardwareError', recording: expect.any(Array) },
  });
  expect((await bench.initialise()).device).toBe('ready');
});

test.each(['escrow', 'stacking'])('a busy device is waited for: %s', async (moment) => {
  const bench = await new Bench({ device: STRICT }).start();
  await bench.escrow(20);
  const deposit = moment === 'stacking' ? bench.deposit() : undefined;
  if (deposit) await bench.clock.advance(50);
  bench.fault('busy', 10);
  await bench.clock.advance(300);
  expect(bench.acceptor.status().device).toBe('ready');
  await bench.clock.advance(1000);
  expect(await (deposit ?? bench.deposit())).toMatchObject({ kind: 'deposited' });
  expect(bench.device.violations()).toEqual([]);
});

test('a credit of another type than escrow named: unknown, and a credit without a value', async () => {
  const bench = await new Bench({ device: STRICT }).start();
  bench.fault('otherType', 6);
  await bench.escrow(20);
  const outcome = await bench.deposit();
  expect(outcome).toMatchObject({ kind: 'unknown' });
  expect(outcome.evidence).toMatch(/80:04 escrow.*81:06 note stacked/);
  expect(bench.told('credit.unexpected')).toEqual([
    { kind: 'credit.unexpected', value: undefined },
  ]);
  await bench.run(bench.acceptor.confirmDeposit());
  await bench.clock.advance(1000);
  await bench.escrow(5);
  bench.expectConserved();
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
  await bench.clock.advance(300);
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

for (const [unit, device] of UNITS) {
  playPromises(`ccnet, ${unit} unit`, {
    make: (cable) => new Bench({ device, cable }),
    inhibited: { reason: 'inhibited', code: '1C:68' },
    givesBack: 'escrowTimeout',
    jam: { fault: 'jamValidator', code: '43' },
    jamStacking: { fault: 'jamCassette', code: '44', words: '44 jam at the cash box' },
    full: 'cassetteFull',
    paused: '46',
  });
}

playStatePromises({
  make: (device) => new Bench({ device: { ...STRICT, ...device } }),
  stack: { code: 0x35, hex: SENT.stack },
  returnCode: 0x36,
  ack: 0x00,
  returning: hexOf(0x18),
  notCarriedOut: [
    ['deaf', 0x35],
    ['nak', 0x35],
    ['illegal', 0x35],
    ['busy', 3],
  ],
  notUnderstood: 'nak',
  decisionLimitMs: 76_000,
  rejecting: '1C',
  reasons: rejectReasons,
  cheat: '45',
});
