/** The line and who is at its end: damage, silence, unplugging, and who answers. */
import { expect, test } from 'vitest';
import { encodeFrame } from '#hal/ccnet/wire.ts';
import { Cable } from '#hal/simulator/cable.ts';
import { CcnetDevice } from '#hal/simulator/ccnet/device.ts';
import { MemoryPort } from '#hal/simulator/memory-port.ts';
import { Bench, SENT, STRICT, UNITS } from './bench.ts';

const hexOf = (...body: number[]) => Buffer.from(encodeFrame(body)).toString('hex');

test('a credit that comes damaged is asked for again by NAK, and so not lost', async () => {
  const bench = await new Bench().start();
  await bench.escrow(20);
  const deposit = bench.deposit();
  // The answer to STACK comes first, and is not asked for again.
  await bench.clock.advance(50);
  bench.fault('badChecksum', undefined, 1000);
  await bench.clock.advance(900);
  bench.fault('badChecksum', undefined, 0);
  expect(await deposit).toMatchObject({ kind: 'deposited' });
  expect(bench.port.sent).toContain(hexOf(0xff));
});

const LINE_FAULTS = ['late', 'badChecksum', 'noise', 'duplicateReply', 'nak', 'illegal', 'deaf'];

test.each(
  UNITS.flatMap(([unit, device]) => LINE_FAULTS.map((fault) => [fault, unit, device] as const)),
)(
  'a line with trouble (%s) throughout, %s unit: conserved and credited once',
  async (fault, _unit, device) => {
    const bench = await new Bench({ device }).start();
    for (let round = 0; round < 3; round++) {
      await bench.escrow(20);
      bench.fault(fault, undefined, fault === 'noise' || fault === 'duplicateReply' ? 500 : 2);
      const outcome = await bench.deposit();
      bench.expectConserved();
      if (outcome.kind === 'deposited') await bench.run(bench.acceptor.confirmDeposit());
      bench.fault(fault, undefined, 2);
      await bench.clock.advance(3000);
      bench.fault(fault, undefined, 0);
      await bench.clock.until(() => bench.acceptor.status().device === 'ready');
      await bench.clock.advance(1000);
    }
    bench.expectConserved();
    expect(bench.told('credit.unexpected')).toEqual([]);
  },
);

test.each(UNITS)(
  'every answer later than the time-out: one credit: %s unit',
  async (_u, device) => {
    const bench = await new Bench({ device }).start();
    await bench.escrow(20);
    bench.fault('late', 350, 1000);
    const outcome = await bench.deposit();
    if (outcome.kind === 'deposited') await bench.run(bench.acceptor.confirmDeposit());
    await bench.clock.advance(10_000);
    bench.fault('late', undefined, 0);
    await bench.clock.advance(10_000);
    expect(bench.credits).toHaveLength(1);
    bench.expectConserved();
  },
);

test('unplugged with a note in escrow: it goes back before the device can be asked', async () => {
  const bench = await new Bench().start();
  await bench.escrow(20);
  bench.cable.unplug();
  await expect(bench.acceptor.deposit()).rejects.toMatchObject({ code: 'sequenceError' });
  await bench.clock.advance(1000);
  bench.cable.plug();
  await bench.heard('note.returned', 20_000);
  await bench.clock.until(() => bench.acceptor.status().device === 'ready');
  expect(bench.told('note.escrowed')).toHaveLength(1);
  expect(bench.device.truth().customer).toEqual({ '20': 1 });
  await bench.clock.advance(1000);
  await bench.escrow(5);
});

test('STACK lost with the plug: the note goes back by itself, and no RETURN leaves for it', async () => {
  const bench = await new Bench().start();
  await bench.escrow(20);
  bench.fault('deaf', 0x35);
  const deposit = bench.deposit();
  await bench.clock.advance(40);
  bench.cable.unplug();
  expect(await deposit).toMatchObject({ kind: 'unknown' });
  bench.cable.plug();
  // Its escrow is said at each of fifty polls, all before the device can be asked who it is.
  await bench.heard('note.returned', 20_000);
  await bench.clock.advance(1000);
  expect(bench.port.sent).not.toContain(SENT.return);
  expect(bench.device.violations()).toEqual([]);
  await bench.escrow(5);
});

test('a credit that waits for its ACK does not hide a failure behind it', async () => {
  const bench = await new Bench({ device: STRICT }).start();
  await bench.escrow(20);
  const deposit = bench.deposit();
  await bench.clock.advance(300);
  bench.cable.unplug();
  await deposit;
  await bench.clock.advance(1000);
  bench.fault('failure');
  bench.cable.plug();
  await bench.heard('credit.unexpected', 5000);
  await bench.run(bench.acceptor.confirmDeposit());
  await bench.clock.advance(1000);
  expect(bench.acceptor.status()).toMatchObject({ device: 'fault', fault: { code: '47:50' } });
  expect((await bench.initialise()).device).toBe('ready');
  bench.expectConserved();
});

test('another device behind the same plug is refused by name, until ours is back', async () => {
  const bench = await new Bench().start();
  const { clock, port, acceptor } = bench;
  const mine = new MemoryPort({ path: 'memory', clock, cable: bench.cable });
  const device = new CcnetDevice({ clock, options: { serialNumber: '999' } });
  port.use(new MemoryPort({ path: 'memory', clock, cable: new Cable({ clock, device }) }));
  bench.cable.unplug();
  await clock.advance(5000);
  expect(acceptor.status()).toMatchObject({ device: 'offline', fault: { code: 'other' } });
  expect(acceptor.status().fault?.text).toContain('with serial number 999 and not the CashCode SM');
  const refusals = bench.told('device.failed').slice(1);
  expect(refusals).toMatchObject([{ error: { code: 'unsupportedCommand' } }]);
  expect(device.violations()).toEqual([]);
  bench.cable.plug();
  await port.close();
  port.use(mine);
  await clock.until(() => acceptor.status().device === 'ready', 30_000);
  expect(acceptor.status().fault).toBeUndefined();
  device.stop();
});

test('a device of another family than is configured is refused by name', async () => {
  const bench = new Bench({ driver: { model: 'msm' } });
  const opened = bench.run(bench.acceptor.open());
  await expect(opened).rejects.toMatchObject({
    code: 'unsupportedCommand',
    message: expect.stringContaining('it is a CashCode SM; a CashCode MSM is configured'),
  });
  expect(bench.port.sent).not.toContain(SENT.reset);
  const emulation = new Bench({ device: { partNumber: 'ICT-A7' } });
  const identity = await emulation.run(emulation.acceptor.open());
  expect(identity).toMatchObject({ model: 'unknown (ICT-A7)', firmware: 'ICT-A7' });
});

test('a bill-to-bill unit is refused by name', async () => {
  const bench = new Bench();
  const bytes = [...encodeFrame([0x1d, 0])];
  bench.cable.addFault({ direction: 'toHost', unit: 'chunk', nth: 0, do: 'insert', bytes });
  const opened = bench.run(bench.acceptor.open());
  await expect(opened).rejects.toMatchObject({
    code: 'unsupportedCommand',
    message: expect.stringContaining('it is a bill-to-bill unit, dispensing'),
  });
});

test('one that does not tell who it is, or says nothing of use, is none', async () => {
  const silent = new Bench();
  silent.fault('deaf', 0x37, 3);
  const opened = silent.run(silent.acceptor.open());
  await expect(opened).rejects.toMatchObject({ code: 'timeOut' });
  const illegal = new Bench();
  illegal.fault('illegal', 0x41);
  await expect(illegal.run(illegal.acceptor.open())).rejects.toMatchObject({
    code: 'unsupportedCommand',
    message: expect.stringContaining('it does not tell its bill table'),
  });
  const nameless = new Bench({ device: { partNumber: ' ' } });
  await expect(nameless.run(nameless.acceptor.open())).rejects.toMatchObject({
    message: expect.stringContaining('its identification cannot be read'),
  });
});

test('it is asked who it is only where that is lawful: an idling one is switched off first', async () => {
  const bench = await new Bench().start();
  await bench.run(bench.acceptor.close());
  bench.boot();
  const before = bench.port.sent.length;
  await bench.run(bench.acceptor.open());
  const words = bench.port.sent.slice(before).filter((hex) => hex !== SENT.ack);
  expect(words.slice(0, 4)).toEqual([SENT.poll, SENT.disable, SENT.poll, SENT.identification]);
  expect(bench.device.violations()).toEqual([]);
});

test('a note in escrow at the start goes back, but nobody knows which it was', async () => {
  const bench = await new Bench().start();
  await bench.escrow(20);
  await bench.run(bench.acceptor.close());
  bench.boot();
  await bench.run(bench.acceptor.open(), 30_000);
  // Left alone it may have stacked ours, lost its credit with the program, and drawn in another.
  expect(bench.acceptor.status()).toMatchObject({ powerUp: 'unknown' });
  expect(await bench.initialise()).toMatchObject({ device: 'ready', note: 'unknown' });
  expect(bench.device.truth().customer).toEqual({ '20': 1 });
  expect(bench.device.violations()).toEqual([]);
});
