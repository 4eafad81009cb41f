import { describe, expect, test } from 'vitest';
import type { DepositOutcome } from '#hal/cash-acceptor.ts';
import { DeviceError } from '#protocol/base/errors.ts';
import { ALL_VALUES, Bench, type BenchOptions, count, dollars } from './bench.ts';

const ACCEPT = 172;
const REJECT = 173;
const DISABLE = 185;

/** Readings of what no document says; the driver must do with all of them. */
const readings: readonly [string, BenchOptions][] = [
  ['as usual', {}],
  ['at 9600 baud', { device: { baudRate: 9600 } }],
  ['at the speed of 300 baud', { cable: { paced: true } }],
  ['ENABLE ALL opens all channels', { device: { undocumented: { enableAllOpensChannels: true } } }],
  ['deaf while it is busy', { device: { undocumented: { isDeafWhileBusy: true } } }],
  ['enabled at power-up', { device: { undocumented: { isEnabledAtPowerUp: true } } }],
];

describe('identification', () => {
  test('says who it is, and leaves it shut', async () => {
    const bench = new Bench();
    expect(await bench.run(bench.acceptor.open())).toEqual({
      protocol: 'sio',
      model: 'nv10',
      firmware: 'not reported',
      serialNumber: undefined,
    });
    expect(bench.acceptor.capabilities).toEqual({
      escrow: true,
      hold: false,
      repeatsCredit: false,
      counters: false,
      powerUpEvidence: false,
    });
    expect(bench.acceptor.values()).toEqual(ALL_VALUES);
    expect(() => bench.insert(20)).toThrow('takes no note');
    expect(bench.sent(ACCEPT) + bench.sent(REJECT)).toBe(0);
  });

  test('silence', async () => {
    const bench = new Bench();
    bench.device.control({ do: 'power', on: false });
    await expect(bench.run(bench.acceptor.open())).rejects.toMatchObject({ code: 'timeOut' });
    const wrongSpeed = new Bench({ driver: { baudRate: 9600 } });
    await expect(wrongSpeed.run(wrongSpeed.acceptor.open())).rejects.toMatchObject({
      code: 'timeOut',
    });
  });

  test('a device without escrow is refused by name where one with escrow is configured', async () => {
    const bench = new Bench({ device: { model: 'nv10-no-escrow' }, driver: { model: 'nv10' } });
    await expect(bench.run(bench.acceptor.open())).rejects.toMatchObject({
      code: 'unsupportedCommand',
      message: expect.stringContaining('nv10-no-escrow'),
    });
  });

  test('something else that answers is refused', async () => {
    const bench = new Bench();
    bench.fault('deaf', undefined, 9);
    const opening = bench.acceptor.open();
    await bench.clock.advance(100);
    bench.fault('glitch', 0xfc);
    await expect(bench.run(opening)).rejects.toMatchObject({ code: 'unsupportedCommand' });
  });

  test('ports that are not there or not free', async () => {
    const bench = new Bench();
    bench.cable.lock();
    await expect(bench.acceptor.open()).rejects.toMatchObject({ code: 'locked' });
    bench.cable.unplug();
    await expect(bench.acceptor.open()).rejects.toMatchObject({ code: 'notFound' });
    bench.cable.plug();
    await bench.run(bench.acceptor.open());
    await expect(bench.acceptor.open()).rejects.toMatchObject({ code: 'sequenceError' });
  });
});

describe.each(readings)('with escrow, %s', (_, options) => {
  test('deposited, returned, refused', async () => {
    const bench = await new Bench(options).start();
    await bench.escrow(20);
    expect(bench.told('note.inserted')).toHaveLength(1);
    const outcome = await bench.deposit();
    expect(outcome).toMatchObject({ kind: 'deposited', value: 2000 });
    expect(outcome.evidence).toBe('120 busy, 5 note, ACCEPT sent, 172 echo, 121 not busy');
    await bench.acceptor.confirmDeposit();
    await bench.run(bench.acceptor.accept(ALL_VALUES));
    await bench.escrow(50);
    expect(await bench.returnNote()).toMatchObject({ kind: 'returned' });
    await bench.run(bench.acceptor.accept(ALL_VALUES));
    bench.fault('reject');
    bench.insert(5);
    await bench.heard('note.refused');
    await bench.clock.advance(3000);
    expect(bench.device.truth()).toMatchObject({ cashbox: { 20: 1 }, customer: { 50: 1, 5: 1 } });
    expect(bench.device.violations()).toEqual([]);
    bench.expectConserved();
  });

  test('only what is accepted comes to escrow, and nothing when the slot is shut', async () => {
    const bench = await new Bench(options).start([dollars(5), dollars(20)]);
    bench.insert(50);
    await bench.heard('note.refused');
    await bench.clock.advance(2000);
    await bench.escrow(5);
    await bench.deposit();
    await bench.run(bench.acceptor.accept([dollars(5)]));
    bench.insert(20);
    await bench.heard('note.refused');
    await bench.clock.advance(2000);
    await bench.run(bench.acceptor.accept([]));
    expect(() => bench.insert(5)).toThrow('takes no note');
    bench.expectConserved();
  });
});

interface Scenario {
  readonly name: string;
  readonly faults: readonly (readonly [string, number?, number?])[];
  readonly expect: DepositOutcome['kind'];
  /** Where the note is then. */
  readonly note: 'cashbox' | 'customer' | 'path';
  readonly sent?: readonly [accepts: number, rejects: number];
}

const deposits: readonly Scenario[] = [
  { name: 'all is well', faults: [], expect: 'deposited', note: 'cashbox' },
  { name: 'a late echo', faults: [['late', 900]], expect: 'deposited', note: 'cashbox' },
  { name: 'two echoes', faults: [['duplicateEcho']], expect: 'deposited', note: 'cashbox' },
  { name: 'NOT BUSY is lost', faults: [['loseNotBusy']], expect: 'deposited', note: 'cashbox' },
  { name: 'the echo is lost', faults: [['loseEcho', ACCEPT]], expect: 'unknown', note: 'cashbox' },
  {
    name: 'the echo is flipped to that of REJECT',
    faults: [['flipEcho', ACCEPT]],
    expect: 'unknown',
    note: 'cashbox',
  },
  {
    name: 'ACCEPT is heard as REJECT',
    faults: [['mishear', ACCEPT]],
    expect: 'unknown',
    note: 'customer',
  },
  {
    name: 'ACCEPT is not heard: the escrow time-out gives the note back',
    faults: [['deaf', ACCEPT]],
    expect: 'returned',
    note: 'customer',
  },
  {
    name: 'ACCEPT is refused',
    faults: [['commandError', ACCEPT]],
    expect: 'returned',
    note: 'customer',
  },
  {
    name: 'pulled back while it is stacked',
    faults: [['strimming']],
    expect: 'unknown',
    note: 'customer',
  },
  { name: 'a jam on its way', faults: [['jam']], expect: 'unknown', note: 'path' },
  { name: 'full or jammed with it', faults: [['stackerFull']], expect: 'unknown', note: 'cashbox' },
  {
    name: 'the power goes when ACCEPT was heard',
    faults: [['powerCutAtAccept']],
    expect: 'unknown',
    note: 'customer',
    sent: [1, 1],
  },
  {
    name: 'the power goes in the stacker',
    faults: [['powerCutInStacker'], ['loseEcho', ACCEPT]],
    expect: 'unknown',
    note: 'cashbox',
    sent: [1, 1],
  },
];

test.each(deposits)('deposit: $name', async ({ faults, expect: kind, note, sent = [1, 0] }) => {
  const bench = await new Bench().start();
  await bench.escrow(20);
  for (const [name, value, times] of faults) bench.fault(name, value, times);
  const outcome = await bench.run(bench.acceptor.deposit(), 60_000);
  expect(outcome.kind).toBe(kind);
  await bench.clock.advance(5000);
  bench.device.control({ do: 'power', on: true });
  await bench.clock.advance(5000);
  expect(bench.device.truth()[note]).toEqual({ 20: 1 });
  expect([bench.sent(ACCEPT), bench.sent(REJECT)]).toEqual(sent);
});

test('ACCEPT that was lost is not repeated: REJECT is sent once, and its echo is proof', async () => {
  const bench = new Bench({ device: { timings: { escrowTimeoutMs: 60_000 } } });
  await bench.start();
  await bench.escrow(20);
  bench.fault('deaf', ACCEPT);
  const started = bench.clock.monotonic();
  expect(await bench.deposit()).toMatchObject({ kind: 'returned' });
  expect(bench.clock.monotonic() - started).toBeLessThan(16_000);
  expect([bench.sent(ACCEPT), bench.sent(REJECT)]).toEqual([1, 1]);
});

test('neither is heard: unknown, within both bounds', async () => {
  const bench = new Bench({ device: { timings: { escrowTimeoutMs: 600_000 } } });
  await bench.start();
  await bench.escrow(20);
  bench.fault('deaf', ACCEPT);
  bench.fault('deaf', undefined, 999);
  const started = bench.clock.monotonic();
  expect(await bench.deposit()).toMatchObject({ kind: 'unknown' });
  expect(bench.clock.monotonic() - started).toBeLessThanOrEqual(30_000);
  expect([bench.sent(ACCEPT), bench.sent(REJECT)]).toEqual([1, 1]);
});

describe('return', () => {
  test.each([
    ['the echo is lost', ['loseEcho', REJECT], 'returned'],
    ['the echo is flipped', ['flipEcho', REJECT], 'unknown'],
    ['REJECT is heard as ACCEPT', ['mishear', REJECT], 'unknown'],
    ['REJECT is not heard', ['deaf', REJECT], 'returned'],
  ] as const)('%s', async (_, [name, value], kind) => {
    const bench = await new Bench().start();
    await bench.escrow(20);
    bench.fault(name, value);
    expect((await bench.returnNote()).kind).toBe(kind);
    expect([bench.sent(ACCEPT), bench.sent(REJECT)]).toEqual([0, 1]);
    bench.expectConserved();
  });
});

describe('out of turn', () => {
  test('no note, no decision; and no second decision', async () => {
    const bench = await new Bench().start();
    await expect(bench.acceptor.deposit()).rejects.toMatchObject({ code: 'sequenceError' });
    await expect(bench.acceptor.returnNote()).rejects.toMatchObject({ code: 'sequenceError' });
    await bench.escrow(20);
    const first = bench.acceptor.deposit();
    await expect(bench.acceptor.deposit()).rejects.toMatchObject({ code: 'sequenceError' });
    await expect(bench.acceptor.returnNote()).rejects.toMatchObject({ code: 'sequenceError' });
    expect((await bench.run(first)).kind).toBe('deposited');
    expect(bench.sent(ACCEPT)).toBe(1);
  });

  test('a note that comes while nobody is in service goes back', async () => {
    const bench = new Bench({ device: { undocumented: { isEnabledAtPowerUp: true } } });
    bench.insert(20);
    await bench.clock.advance(800);
    await bench.run(bench.acceptor.open());
    await bench.clock.advance(15_000);
    expect(bench.device.truth().customer).toEqual({ 20: 1 });
    expect(bench.credits).toEqual([]);
  });

  test('a glitch that looks like a note is none, and is told with the last bytes', async () => {
    const bench = await new Bench().start();
    bench.fault('glitch', 5);
    await bench.clock.advance(100);
    expect(bench.told('note.escrowed')).toEqual([]);
    const [event] = bench.told('device.failed');
    expect(event?.kind === 'device.failed' && event.error.recording.length).toBeGreaterThan(0);
  });

  test('a mode that was forgotten: the note is in doubt, and the settings are sent again', async () => {
    const bench = await new Bench().start();
    bench.fault('forgetMode');
    bench.insert(20);
    await bench.heard('credit.unexpected');
    expect(bench.told('note.escrowed')).toEqual([]);
    expect(bench.doubts).toBe(1);
    expect(bench.acceptor.status().device).toBe('attention');
    await bench.initialise();
    await bench.run(bench.acceptor.accept(ALL_VALUES));
    await bench.escrow(5);
    expect((await bench.deposit()).kind).toBe('deposited');
    await bench.clock.advance(2000);
    bench.expectConserved();
  });

  test('the ping mends a mode that was forgotten while nothing was inside', async () => {
    const bench = await new Bench().start();
    bench.fault('forgetMode');
    await bench.clock.advance(2000);
    await bench.escrow(20);
    expect((await bench.deposit()).kind).toBe('deposited');
  });
});

describe('condition', () => {
  test('a full or jammed stacker needs a person, who switches it off and on', async () => {
    const bench = await new Bench().start();
    await bench.escrow(20);
    bench.fault('stackerFull');
    await bench.deposit();
    await bench.clock.advance(3000);
    expect(bench.acceptor.status()).toEqual({
      device: 'fault',
      cashBox: 'full',
      powerUp: 'unknown',
      fault: { code: '60', text: 'stacker full or jammed' },
    });
    await expect(bench.acceptor.accept(ALL_VALUES)).rejects.toMatchObject({
      code: 'deviceNotReady',
    });
    bench.device.control({ do: 'cashbox', present: true, empty: true });
    bench.device.control({ do: 'power', on: false });
    await bench.clock.advance(4000);
    bench.device.control({ do: 'power', on: true });
    await bench.clock.advance(4000);
    expect(bench.acceptor.status()).toMatchObject({ device: 'attention', cashBox: 'full' });
    expect(await bench.initialise()).toMatchObject({ device: 'ready' });
    expect(bench.acceptor.status().cashBox).toBe('ok');
  });

  test('cheats and a slow mechanism are told', async () => {
    const bench = await new Bench().start();
    bench.fault('reject', 50);
    bench.fault('slow');
    bench.insert(20);
    await bench.heard('fraud.attempted');
    expect(bench.told('note.refused')).toHaveLength(1);
    expect(bench.told('device.failed')).toHaveLength(1);
  });

  test('a note taken to clear a jam is owed without a value', async () => {
    const bench = await new Bench().start();
    bench.fault('takenToClearJam');
    bench.insert(20);
    await bench.heard('credit.unexpected');
    expect(bench.told('credit.unexpected')).toEqual([
      { kind: 'credit.unexpected', value: undefined },
    ]);
    expect(bench.device.truth().cashbox).toEqual({ 20: 1 });
  });

  test('settings that are not echoed keep the slot shut', async () => {
    const bench = new Bench();
    await bench.run(bench.acceptor.open());
    bench.fault('loseEcho', 140, 3);
    expect(await bench.initialise()).toMatchObject({ device: 'attention' });
    await bench.initialise();
    bench.fault('loseEcho', 155, 3);
    await expect(bench.run(bench.acceptor.accept(ALL_VALUES))).rejects.toMatchObject({
      code: 'timeOut',
    });
    await bench.run(bench.acceptor.accept(ALL_VALUES));
    await bench.escrow(20);
  });

  test('a device that has gone is missed within two seconds, and found again', async () => {
    const bench = await new Bench().start();
    const started = bench.clock.monotonic();
    bench.device.control({ do: 'power', on: false });
    await bench.clock.until(() => bench.acceptor.status().device === 'offline');
    expect(bench.clock.monotonic() - started).toBeLessThanOrEqual(2400);
    // In case it is the adapter that has hung itself up, the port is opened anew.
    await bench.clock.advance(20_000);
    expect(bench.port.opened).toBeGreaterThan(1);
    bench.device.control({ do: 'power', on: true });
    await bench.clock.until(() => bench.acceptor.status().device === 'attention');
    await bench.initialise();
    await bench.run(bench.acceptor.accept(ALL_VALUES));
    await bench.escrow(20);
  });

  test('unplugged in a deposit: unknown at once; plugged in again it is shut first', async () => {
    const bench = await new Bench().start();
    await bench.escrow(20);
    const depositing = bench.acceptor.deposit();
    await bench.clock.advance(1);
    bench.cable.unplug();
    expect(await depositing).toMatchObject({ kind: 'unknown' });
    expect(bench.acceptor.status().device).toBe('offline');
    bench.cable.plug();
    const before = bench.sent(DISABLE);
    await bench.clock.until(() => bench.acceptor.status().device === 'attention');
    expect(bench.sent(DISABLE)).toBeGreaterThan(before);
    await bench.clock.advance(2000);
    expect(bench.device.truth().cashbox).toEqual({ 20: 1 });
    expect(bench.sent(ACCEPT)).toBe(1);
  });

  test('a busy device that never says that it is done is pinged after all', async () => {
    const bench = await new Bench().start();
    bench.fault('loseNotBusy', undefined, 1);
    await bench.escrow(20);
    await bench.deposit();
    const arming = bench.acceptor.accept([dollars(5)]);
    await expect(bench.run(arming, 10_000)).rejects.toMatchObject({ code: 'deviceNotReady' });
    expect(bench.acceptor.status().device).toBe('attention');
    await bench.initialise();
    await bench.run(bench.acceptor.accept([dollars(5)]));
  });

  test('closing settles everything and leaves no timer', async () => {
    const bench = await new Bench().start();
    await bench.escrow(20);
    const depositing = bench.acceptor.deposit();
    await bench.acceptor.close();
    expect(await depositing).toMatchObject({ kind: 'unknown' });
    bench.device.stop();
    await bench.clock.advance(60_000);
    expect(bench.clock.pending).toBe(0);
    await expect(bench.acceptor.accept([])).rejects.toBeInstanceOf(DeviceError);
  });
});

const direct: BenchOptions = { device: { model: 'nv10-no-escrow' } };

describe('without escrow', () => {
  test('it says so, and a note that was let in is deposited when it is asked for', async () => {
    const bench = await new Bench(direct).start([dollars(20)]);
    expect(bench.acceptor.capabilities.escrow).toBe(false);
    await bench.escrow(20);
    expect(bench.device.truth().cashbox).toEqual({ 20: 1 });
    expect(await bench.deposit()).toMatchObject({ kind: 'deposited', value: 2000 });
    expect(bench.device.violations()).toEqual([]);
  });

  test('it cannot be given back: the outcome says so', async () => {
    const bench = await new Bench(direct).start([dollars(20)]);
    await bench.escrow(20);
    expect(await bench.returnNote()).toMatchObject({ kind: 'deposited', value: 2000 });
    expect(bench.sent(REJECT)).toBe(0);
  });

  test('one note for each time that the slot is opened', async () => {
    const bench = await new Bench(direct).start([dollars(20)]);
    await bench.escrow(20);
    await bench.clock.advance(100);
    expect(() => bench.insert(20)).toThrow('takes no note');
    await bench.deposit();
    await bench.run(bench.acceptor.accept([dollars(20)]));
    await bench.escrow(20);
    expect((await bench.deposit()).kind).toBe('deposited');
    bench.expectConserved();
  });

  test('shutting comes too late: the second note is owed and is no deposit', async () => {
    const bench = await new Bench(direct).start([dollars(20), dollars(50)]);
    bench.fault('deaf', DISABLE, 9);
    await bench.escrow(20);
    bench.insert(50);
    await bench.heard('credit.unexpected');
    expect(bench.told('note.escrowed')).toHaveLength(1);
    expect(bench.told('credit.unexpected')).toEqual([{ kind: 'credit.unexpected', value: 5000 }]);
    expect(await bench.deposit()).toMatchObject({ value: 2000 });
    bench.expectConserved();
  });

  test('only values that fit are open, also where ENABLE ALL opens all', async () => {
    for (const enableAllOpensChannels of [false, true]) {
      const device = { ...direct.device, undocumented: { enableAllOpensChannels } };
      const bench = await new Bench({ device }).start([dollars(5)]);
      for (const denomination of [100, 20, 1]) {
        bench.insert(denomination);
        await bench.heard('note.refused');
        await bench.clock.advance(2000);
      }
      await bench.escrow(5);
      expect(bench.device.truth().cashbox).toEqual({ 5: 1 });
    }
  });

  test('a note that fell into the box just before the line was lost is not forgotten', async () => {
    const bench = await new Bench(direct).start([dollars(20)]);
    await bench.escrow(20);
    bench.cable.unplug();
    expect(await bench.deposit()).toMatchObject({ kind: 'deposited', value: 2000 });
  });

  test('a note that comes in while the slot is still being opened is deposited', async () => {
    for (const isDeafWhileBusy of [false, true]) {
      const device = { ...direct.device, undocumented: { isDeafWhileBusy } };
      const bench = new Bench({ device });
      await bench.run(bench.acceptor.open());
      await bench.initialise();
      const opening = bench.acceptor.accept([dollars(20)]);
      await bench.clock.until(() => bench.sent(184) === 1);
      await bench.clock.advance(6);
      bench.insert(20);
      await bench.heard('note.escrowed');
      await bench.run(opening);
      expect(await bench.deposit()).toMatchObject({ kind: 'deposited', value: 2000 });
      expect(bench.credits).toHaveLength(1);
    }
  });

  test('refused notes leave the slot open', async () => {
    const bench = await new Bench(direct).start([dollars(20)]);
    bench.fault('reject', undefined, 2);
    for (let turn = 0; turn < 2; turn++) {
      bench.insert(20);
      await bench.heard('note.refused');
      await bench.clock.advance(2000);
    }
    await bench.escrow(20);
    expect(count(bench.device.truth().customer)).toBe(2);
  });
});
