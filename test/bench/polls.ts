/** What a driver costs the processor while nobody is there. */
import type { DemoDevices } from '#agent/demo/machine.ts';
import { makeAcceptor } from '#agent/devices.ts';
import { Cable } from '#hal/simulator/cable.ts';
import { MemoryPort } from '#hal/simulator/memory-port.ts';
import { makeSimulatedDevice } from '#hal/simulator/models.ts';
import { systemRandom } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { WatchedPort } from './watched-port.ts';

const IDLE_MS = 300_000;

/** Cost of idling, driver and simulated device together. */
export interface PollCost {
  readonly pollsPerSecond: number;
  readonly microsecondsPerPoll: number;
  /** Of one core, at the pace that the driver keeps. */
  readonly percent: number;
}

/** Lets an enabled validator idle for five minutes of a virtual clock. */
export async function pollCost(validator: DemoDevices['validator']): Promise<PollCost> {
  const clock = new VirtualClock();
  const { protocol, model, channels } = validator;
  const device = makeSimulatedDevice(protocol, model, clock, { currency: 'USD', cassettes: {} });
  const cable = new Cable({ clock, device });
  const port = new WatchedPort(new MemoryPort({ path: 'memory', clock, cable }));
  const acceptor = makeAcceptor({
    ...{ protocol, model, channels, port, clock, random: systemRandom },
    log: silentLog,
    currency: 'USD',
  });
  await clock.resolve(acceptor.open());
  await clock.resolve(acceptor.initialise());
  await clock.resolve(acceptor.accept(acceptor.values()));
  const [chunks, before] = [port.chunksOut, process.cpuUsage()];
  await clock.advance(IDLE_MS);
  const { user, system } = process.cpuUsage(before);
  const polls = port.chunksOut - chunks;
  await clock.resolve(acceptor.close());
  device.stop();
  return {
    pollsPerSecond: (polls * 1_000) / IDLE_MS,
    microsecondsPerPoll: (user + system) / polls,
    percent: (user + system) / 10 / IDLE_MS,
  };
}
