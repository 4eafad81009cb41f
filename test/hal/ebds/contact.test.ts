/** The line and who is at its end: damage, silence, unplugging, and who answers. */
import { expect, test } from 'vitest';
import type { PortEvent, Unsubscribe } from '#hal/port.ts';
import { Cable } from '#hal/simulator/cable.ts';
import { EbdsDevice } from '#hal/simulator/ebds/device.ts';
import { ebdsOptions } from '#hal/simulator/ebds/protocol.ts';
import { MemoryPort } from '#hal/simulator/memory-port.ts';
import { ALL_VALUES, Bench, commandOf, dollars, hexOf, MODELS } from './bench.ts';

const LINE_FAULTS = [
  ...['late', 'badChecksum', 'noise', 'duplicateReply', 'wrongAck', 'parity', 'loseReply'],
  ...['deaf', 'invalid'],
];

test.each(
  MODELS.flatMap(([model, device]) => LINE_FAULTS.map((fault) => [fault, model, device] as const)),
)(
  'a line with trouble (%s) throughout, %s: conserved and credited once',
  async (fault, _model, device) => {
    const bench = await new Bench({ device }).start();
    for (let round = 0; round < 3; round++) {
      await bench.escrow(20);
      const isHarmless = ['noise', 'duplicateReply', 'parity'].includes(fault);
      bench.fault(fault, undefined, isHarmless ? 500 : 2);
      const outcome = await bench.deposit();
      if (isHarmless) expect(outcome.kind).toBe('deposited');
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

test.each(MODELS)('every answer later than the time-out: one credit: %s', async (_m, device) => {
  const bench = await new Bench({ device }).start();
  await bench.escrow(20);
  bench.fault('late', 300, 1000);
  const outcome = await bench.deposit();
  if (outcome.kind === 'deposited') await bench.run(bench.acceptor.confirmDeposit());
  await bench.clock.advance(10_000);
  bench.fault('late', undefined, 0);
  await bench.clock.advance(10_000);
  expect(bench.credits).toHaveLength(1);
  bench.expectConserved();
});

test('an answer with the other ACK bit is none: the same frame is sent again', async () => {
  const bench = await new Bench().start();
  bench.fault('wrongAck', undefined, 1);
  await bench.clock.advance(1000);
  const at = bench.port.sent.findIndex((hex, i, all) => i > 0 && hex === all[i - 1]);
  expect(at).toBeGreaterThan(0);
  expect(bench.acceptor.status().device).toBe('ready');
});

/** A line that hands back what is written on it before the device hears it, as a loop does. */
class EchoingPort extends MemoryPort {
  readonly #listeners: ((event: PortEvent) => void)[] = [];

  override subscribe(listener: (event: PortEvent) => void): Unsubscribe {
    this.#listeners.push(listener);
    return super.subscribe(listener);
  }

  override write(bytes: Uint8Array): void {
    for (const listener of this.#listeners) listener({ kind: 'data', bytes });
    super.write(bytes);
  }
}

test('an echo of our own frames is no answer', async () => {
  const bench = new Bench();
  bench.port.use(new EchoingPort({ path: 'echo', clock: bench.clock, cable: bench.cable }));
  await bench.start();
  await bench.escrow(20);
  expect(await bench.deposit()).toMatchObject({ kind: 'deposited', value: dollars(20) });
  expect(bench.acceptor.values()).toEqual(ALL_VALUES);
  expect(bench.device.violations()).toEqual([]);
});

test('a stack bit lost with the plug is not sent again: the note goes back', async () => {
  const bench = await new Bench().start();
  await bench.escrow(20);
  bench.fault('deaf', 1, 10);
  const deposit = bench.deposit();
  await bench.clock.advance(40);
  bench.cable.unplug();
  expect(await deposit).toMatchObject({ kind: 'unknown' });
  bench.fault('deaf', 1, 0);
  bench.cable.plug();
  await bench.heard('note.returned', 20_000);
  expect(bench.sent('stack')).toBe(1);
  expect(bench.device.truth().customer).toEqual({ '20': 1 });
  expect(bench.device.violations()).toEqual([]);
});

test('another device behind the same plug is refused by name, until ours is back', async () => {
  const bench = await new Bench().start();
  const { clock, port, acceptor } = bench;
  const mine = new MemoryPort({ path: 'memory', clock, cable: bench.cable });
  const device = new EbdsDevice({ clock, options: { identity: { serialNumber: '999' } } });
  port.use(new MemoryPort({ path: 'memory', clock, cable: new Cable({ clock, device }) }));
  bench.cable.unplug();
  await clock.advance(5000);
  expect(acceptor.status()).toMatchObject({ device: 'offline', fault: { code: 'other' } });
  expect(acceptor.status().fault?.text).toContain('with serial number 999 and not the Cashflow SC');
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

const USD = { currency: 'USD', cassettes: {} };

test.each([
  ['sc-advance', 'cashflow-sc', 'a Cashflow SC; a SC Advance is configured'],
  ['cashflow-sc', 'apex-7000', 'a Pyramid Apex 7000; a Cashflow SC is configured'],
  ['apex-7000', 'sc-advance', 'a SC Advance; a Pyramid Apex 7000 is configured'],
] as const)('with %s configured, a %s is refused by name', async (model, there, words) => {
  const bench = new Bench({ driver: { model }, device: ebdsOptions(there, USD) });
  const opened = bench.run(bench.acceptor.open());
  await expect(opened).rejects.toMatchObject({
    code: 'unsupportedCommand',
    message: expect.stringContaining(words),
  });
  for (const word of ['stack', 'return', 'reset']) expect(bench.sent(word)).toBe(0);
});

test.each([
  ['a recycler', { deviceType: 1 }],
  ['a device of type 3', { deviceType: 3 }],
  ['a device of the unknown model 50', { modelCode: 0x50 }],
  [
    'part number 299991123, of no Cashflow SC or SC Advance',
    { applicationPartNumber: '299991123' },
  ],
  ['part number none, of no Cashflow SC or SC Advance', { applicationPartNumber: '' }],
])('%s is refused by name', async (words, identity) => {
  const bench = new Bench({ device: { identity } });
  const opened = bench.run(bench.acceptor.open());
  await expect(opened).rejects.toMatchObject({
    code: 'unsupportedCommand',
    message: expect.stringContaining(words),
  });
});

test('of a device with numbered notes nothing is asked that means other things there', async () => {
  const bench = await new Bench({ device: ebdsOptions('apex-7000', USD) }).start();
  await bench.escrow(20);
  await bench.deposit();
  expect(new Set(bench.port.sent.map(commandOf))).toEqual(new Set(['poll', 'stack']));
  const polls = bench.port.sent.filter((hex) => commandOf(hex) === 'poll');
  expect(new Set(polls.map((hex) => hex.slice(10, 12)))).toEqual(new Set(['04']));
});

test('a first poll that the device takes for an old one does not matter', async () => {
  const bench = new Bench();
  // Somebody has talked to it before, with the ACK bit that we begin with.
  await bench.clock.advance(3000);
  bench.device.receive(Uint8Array.from(Buffer.from(hexOf(6, 0, 0, 0, 5), 'hex')));
  await bench.clock.advance(100);
  await bench.start();
  await bench.escrow(20);
});

test('power-up is waited for, and nothing of a note before it is asked', async () => {
  const timings = { initialiseMs: 9000 };
  const bench = new Bench({ device: { timings } });
  expect(await bench.run(bench.acceptor.open())).toMatchObject({ model: 'Cashflow SC' });
  expect(bench.clock.monotonic()).toBeGreaterThan(9000);
});

test('a reset is followed until the device is back, without counting as silence', async () => {
  const timings = { resetMs: 12_000 };
  const bench = await new Bench({ device: { timings } }).start();
  bench.fault('failure');
  await bench.heard('device.failed');
  expect((await bench.initialise()).device).toBe('ready');
  const offline = bench.events.filter((event) => {
    return event.kind === 'status.changed' && event.status.device === 'offline';
  });
  expect(offline).toEqual([]);
});
