/** What a driver costs the processor while nobody is there. */
import type { DemoDevices } from '#agent/demo/machine.ts';
import { makeAcceptor, makeDispenser } from '#agent/devices.ts';
import { Cable } from '#hal/simulator/cable.ts';
import { MemoryPort } from '#hal/simulator/memory-port.ts';
import { makeSimulatedDevice } from '#hal/simulator/models.ts';
import { systemRandom } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { WatchedPort } from './watched-port.ts';

const IDLE_MS = 300_000;
const CURRENCY = 'USD';
const CASSETTES = { '1': { denomination: 20, count: 50 } };

/** Cost of idling, driver and simulated device together. */
export interface PollCost {
  readonly pollsPerSecond: number;
  readonly microsecondsPerPoll: number;
  /** Of one core, at the pace that the driver keeps. */
  readonly percent: number;
}

/** Which device, as the demo's registries name it. */
export type IdleDevice =
  | { readonly kind: 'validator'; readonly device: DemoDevices['validator'] }
  | { readonly kind: 'dispenser'; readonly device: DemoDevices['dispenser'] };

/** Lets a device that is ready idle for five minutes of a virtual clock. */
export async function pollCost(idle: IdleDevice): Promise<PollCost> {
  const clock = new VirtualClock();
  const { protocol, model } = idle.device;
  const cassettes = idle.kind === 'dispenser' ? CASSETTES : {};
  const contents = { currency: CURRENCY, cassettes };
  const device = makeSimulatedDevice(protocol, model, clock, contents);
  const cable = new Cable({ clock, device });
  const port = new WatchedPort(new MemoryPort({ path: 'memory', clock, cable }));
  const driver = await ready(idle, port, clock);
  const [chunks, before] = [port.chunksOut, process.cpuUsage()];
  await clock.advance(IDLE_MS);
  const { user, system } = process.cpuUsage(before);
  const polls = port.chunksOut - chunks;
  await clock.resolve(driver.close());
  device.stop();
  return {
    pollsPerSecond: (polls * 1_000) / IDLE_MS,
    microsecondsPerPoll: (user + system) / polls,
    percent: (user + system) / 10 / IDLE_MS,
  };
}

/** Its driver, as far as the agent brings it before a customer comes. */
async function ready({ kind, device }: IdleDevice, port: WatchedPort, clock: VirtualClock) {
  const parts = { ...device, port, clock, random: systemRandom, log: silentLog };
  if (kind === 'dispenser') {
    const dispenser = makeDispenser(parts);
    await clock.resolve(dispenser.open());
    await clock.resolve(dispenser.initialise());
    return dispenser;
  }
  const acceptor = makeAcceptor({ ...parts, currency: CURRENCY });
  await clock.resolve(acceptor.open());
  await clock.resolve(acceptor.initialise());
  await clock.resolve(acceptor.accept(acceptor.values()));
  return acceptor;
}
