/** What is on a line is found by questions alone, whatever it is. */
import { describe, expect, test } from 'vitest';
import { makeAcceptor, probedProtocols } from '#agent/devices.ts';
import { probePort } from '#agent/probe/probe.ts';
import { Cable } from '#hal/simulator/cable.ts';
import type { SimulatedDevice } from '#hal/simulator/device.ts';
import { MemoryPort } from '#hal/simulator/memory-port.ts';
import { simulatedProtocols } from '#hal/simulator/models.ts';
import { DeviceError } from '#protocol/base/errors.ts';
import { silentLog } from '#protocol/base/log.ts';
import { seededRandom } from '#test/support/seeded-random.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

const CASSETTES = { '1': { denomination: 20, count: 10 } };

/** A line with a simulated device on it, and what a probe says of it. */
function line(protocol: string, model?: string) {
  const clock = new VirtualClock();
  const simulated = simulatedProtocols[protocol];
  if (!simulated) throw new Error(`no simulator of ${protocol}`);
  const contents = { currency: 'USD', cassettes: CASSETTES };
  const device: SimulatedDevice = simulated.make(
    model ?? simulated.models[0] ?? '',
    clock,
    contents,
  );
  const cable = new Cable({ clock, device });
  const told: string[] = [];
  const makePort = () => new MemoryPort({ path: 'tty', clock, cable });
  const probe = (protocols = probedProtocols) =>
    clock.resolve(
      probePort({
        path: 'tty',
        makePort,
        clock,
        random: seededRandom('probe'),
        log: silentLog,
        currency: 'USD',
        protocols,
        tell: (text) => told.push(text),
      }),
    );
  return { clock, device, cable, told, makePort, probe };
}

/** The one way in which a device wants to be asked. */
const only = (protocol: string, model?: string) =>
  probedProtocols
    .filter((one) => one.protocol === protocol)
    .map((one) => ({
      ...one,
      models: model !== undefined && one.models.includes(model) ? [model] : one.models,
    }));

const all = Object.entries(simulatedProtocols).flatMap(([protocol, { models }]) =>
  models.map((model) => [protocol, model] as const),
);

describe.each(all)('%s %s', (protocol, model) => {
  test('is found among all protocols, and nothing has moved', async () => {
    const { device, probe } = line(protocol, model);
    const before = device.truth();
    const { device: found, attempts } = await probe();
    expect(found).toMatchObject({ device: device.kind === 'acceptor' ? 'validator' : 'dispenser' });
    expect(found?.protocol).toBe(protocol);
    expect(found?.identity?.protocol).toBe(protocol);
    expect(attempts.at(-1)?.outcome).toBe('found');
    expect(device.truth()).toEqual(before);
    device.stop();
  });

  test('asked alone, it hears nothing that is out of turn', async () => {
    const { device, probe } = line(protocol, model);
    const { device: found } = await probe(only(protocol, model));
    expect(found?.protocol).toBe(protocol);
    expect(device.violations()).toEqual([]);
    device.stop();
  });
});

test.each(['id003', 'ssp', 'ccnet', 'ebds'])(
  '%s: a note that waits in escrow stays there',
  async (name) => {
    const { device, clock, cable, makePort, probe } = line(name);
    const random = seededRandom('driver');
    const common = { clock, random, log: silentLog, currency: 'USD', model: undefined };
    const acceptor = makeAcceptor({ ...common, protocol: name, port: makePort() });
    await clock.resolve(acceptor.open());
    await clock.resolve(acceptor.initialise());
    await clock.resolve(acceptor.accept(acceptor.values()));
    let isEscrowed = false;
    acceptor.subscribe(({ kind }) => {
      isEscrowed ||= kind === 'note.escrowed';
    });
    await clock.until(() => {
      try {
        device.control({ do: 'insert', denomination: 20 });
        return true;
      } catch {
        return false;
      }
    });
    await clock.until(() => isEscrowed, 10_000);
    // The program that took it ends at once.
    cable.unplug();
    await clock.resolve(acceptor.close());
    cable.plug();
    const inside = device.truth();
    expect(inside.path).toEqual({ '20': 1 });
    await probe(only(name)).catch((error: unknown) => {
      // One that does not say who it is with a note inside is left alone.
      expect(error).toBeInstanceOf(DeviceError);
    });
    expect(device.truth().cashbox).toEqual(inside.cashbox);
    device.stop();
  },
);

test('a port that is not there, or another program’s, ends it at once', async () => {
  const away = line('id003');
  away.cable.unplug();
  await expect(away.probe()).rejects.toMatchObject({ code: 'notFound' });
  expect(away.told).toEqual(['trying sio (nv10)']);
  const locked = line('id003');
  locked.cable.lock();
  await expect(locked.probe()).rejects.toMatchObject({ code: 'locked' });
});

test('a line on which nobody answers: every protocol is named with what came of it', async () => {
  const { device, probe, told } = line('id003');
  device.control({ do: 'power', on: false });
  const { device: found, attempts } = await probe();
  expect(found).toBeNull();
  const known = probedProtocols.flatMap(({ models }) => models);
  expect(attempts.map(({ outcome }) => outcome)).toEqual(known.map(() => 'silent'));
  expect(told).toHaveLength(known.length);
});

test('what is shown of a validator and of a dispenser', async () => {
  const validator = line('id003');
  const { device: accepts } = await validator.probe();
  expect(accepts).toMatchObject({
    condition: { code: 'attention' },
    status: { notes: expect.arrayContaining([20, 50]) },
    capabilities: { escrow: true },
  });
  const dispenser = line('lcdm');
  const { device: dispenses } = await dispenser.probe();
  expect(dispenses).toMatchObject({
    status: { path: 'clear', units: expect.any(Array) },
    capabilities: { positions: expect.any(Array) },
  });
  const counting = line('ssp');
  expect((await counting.probe()).device?.counters).toMatchObject({ stacked: expect.any(Number) });
});
