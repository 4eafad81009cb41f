/** What a technician sees who tries a device: notes come in and go back, and nothing is kept. */
import { expect, onTestFinished, test } from 'vitest';
import { makeAcceptor, makeDispenser } from '#agent/devices.ts';
import { type WatchedEvent, watchAcceptor, watchDispenser } from '#agent/probe/watch.ts';
import { Cable } from '#hal/simulator/cable.ts';
import { MemoryPort } from '#hal/simulator/memory-port.ts';
import { simulatedProtocols } from '#hal/simulator/models.ts';
import { silentLog } from '#protocol/base/log.ts';
import { seededRandom } from '#test/support/seeded-random.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

/** A device on a line, its driver's parts, and what was told. */
function line(protocol: string, model?: string) {
  const clock = new VirtualClock();
  const simulated = simulatedProtocols[protocol];
  if (!simulated) throw new Error(`no simulator of ${protocol}`);
  const cassettes = { '1': { denomination: 20, count: 10 } };
  const name = model ?? simulated.models[0] ?? '';
  const device = simulated.make(name, clock, { currency: 'USD', cassettes });
  onTestFinished(() => device.stop());
  const cable = new Cable({ clock, device });
  const port = new MemoryPort({ path: 'tty', clock, cable });
  const random = seededRandom('watch');
  const parts = { protocol, model, port, clock, random, log: silentLog };
  const events: WatchedEvent[] = [];
  const stop = new AbortController();
  const options = {
    clock,
    tell: (event: WatchedEvent) => void events.push(event),
    signal: stop.signal,
  };
  const kinds = () => events.map(({ kind }) => kind);
  const until = (kind: string) => clock.until(() => kinds().includes(kind), 60_000);
  return { clock, cable, device, parts, events, stop, options, kinds, until };
}

test.each(['id003', 'ssp', 'ccnet', 'ebds'])(
  '%s: a note is told of and given back',
  async (protocol) => {
    const { clock, device, parts, events, stop, options, until } = line(protocol);
    const ended = watchAcceptor(makeAcceptor({ ...parts, currency: 'USD' }), options);
    await until('slot.opened');
    await clock.until(() => {
      try {
        device.control({ do: 'insert', denomination: 20 });
        return true;
      } catch {
        return false;
      }
    });
    await until('return.settled');
    expect(events.find(({ kind }) => kind === 'note.escrowed')).toMatchObject({ value: 2_000 });
    expect(events.find(({ kind }) => kind === 'return.settled')).toMatchObject({
      outcome: 'returned',
    });
    stop.abort();
    await clock.resolve(ended);
    expect(events.at(-1)).toEqual({ kind: 'slot.closed' });
    expect(device.truth()).toMatchObject({ cashbox: {}, path: {}, customer: { '20': 1 } });
    expect(() => device.control({ do: 'insert', denomination: 20 })).toThrow();
  },
);

test('a device that keeps every note is not opened', async () => {
  const { clock, parts, options, kinds } = line('sio', 'nv10-no-escrow');
  const acceptor = makeAcceptor({ ...parts, currency: 'USD', channels: [20] });
  await expect(clock.resolve(watchAcceptor(acceptor, options))).rejects.toThrow(
    'it cannot give a note back',
  );
  expect(kinds()).not.toContain('slot.opened');
});

test('a device with a note inside from before is not reset', async () => {
  const { clock, device, parts, options, kinds } = line('id003');
  const first = makeAcceptor({ ...parts, currency: 'USD' });
  await clock.resolve(first.open());
  await clock.resolve(first.initialise());
  await clock.resolve(first.accept(first.values()));
  await clock.until(() => {
    try {
      device.control({ do: 'insert', denomination: 20 });
      return true;
    } catch {
      return false;
    }
  });
  await clock.until(() => device.truth().path['20'] === 1, 10_000);
  device.control({ do: 'power', on: false });
  await clock.resolve(first.close());
  device.control({ do: 'power', on: true });
  await clock.advance(5_000);
  const acceptor = makeAcceptor({ ...parts, currency: 'USD' });
  await expect(clock.resolve(watchAcceptor(acceptor, options))).rejects.toThrow('note inside');
  expect(kinds()).not.toContain('slot.opened');
  expect(device.truth().path).toEqual({ '20': 1 });
});

test('a dispenser is asked again and again, and every change is told once', async () => {
  const { clock, device, parts, events, stop, options, until } = line('lcdm');
  const before = device.truth();
  const ended = watchDispenser(makeDispenser(parts), options);
  await until('status');
  await clock.advance(5_000);
  expect(events).toHaveLength(1);
  device.control({ do: 'power', on: false });
  await clock.until(() => events.length > 1, 30_000);
  expect(events[1]).toMatchObject({ kind: 'status', device: 'offline' });
  stop.abort();
  await clock.resolve(ended);
  expect(device.truth()).toEqual(before);
});

test('a device that is unplugged meanwhile is told of, and nothing is said to be done', async () => {
  const { clock, cable, parts, events, stop, options, until } = line('id003');
  const ended = watchAcceptor(makeAcceptor({ ...parts, currency: 'USD' }), options);
  ended.catch(() => undefined);
  await until('slot.opened');
  cable.unplug();
  await until('device.failed');
  expect(events.find(({ kind }) => kind === 'device.failed')).toMatchObject({
    reason: expect.stringMatching(/\w/),
  });
  stop.abort();
  await clock.resolve(ended.catch(() => undefined));
  expect(events.map(({ kind }) => kind)).not.toContain('return.settled');
});

test('a note whose giving back nobody saw is not said to be given back', async () => {
  const { clock, cable, device, parts, events, stop, options, kinds, until } = line('id003');
  const ended = watchAcceptor(makeAcceptor({ ...parts, currency: 'USD' }), options);
  ended.catch(() => undefined);
  await until('slot.opened');
  await clock.until(() => {
    try {
      device.control({ do: 'insert', denomination: 20 });
      return true;
    } catch {
      return false;
    }
  });
  await clock.until(() => {
    const isThere = kinds().includes('note.escrowed');
    if (isThere) cable.unplug();
    return isThere;
  });
  stop.abort();
  await clock.resolve(ended.catch(() => undefined));
  expect(events.find(({ kind }) => kind === 'return.settled')).toMatchObject({
    outcome: 'unknown',
  });
  expect(kinds().at(-1)).not.toBe('slot.closed');
  expect(device.truth().cashbox).toEqual({});
});

test('a jammed device is not opened, and its own words say why', async () => {
  const { clock, device, parts, options, stop, kinds, until } = line('id003');
  device.control({ do: 'fault', name: 'jamAcceptor', times: 1 });
  const first = watchAcceptor(makeAcceptor({ ...parts, currency: 'USD' }), options);
  first.catch(() => undefined);
  await until('slot.opened');
  device.control({ do: 'insert', denomination: 20 });
  await clock.until(() => device.truth().path['20'] === 1, 10_000);
  await clock.advance(2_000);
  stop.abort();
  await clock.resolve(first.catch(() => undefined));
  const again = makeAcceptor({ ...parts, currency: 'USD' });
  const second = watchAcceptor(again, { ...options, signal: new AbortController().signal });
  await expect(clock.resolve(second)).rejects.toThrow(/not enabled: .*jam/i);
  expect(kinds().filter((kind) => kind === 'slot.opened')).toHaveLength(1);
});
