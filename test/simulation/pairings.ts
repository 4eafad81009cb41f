/**
 * Which devices a run may have: every simulated one for which the agent has a driver. A further
 * protocol joins by its entries in the two registries.
 */
import { makeAcceptor, makeDispenser } from '#agent/devices.ts';
import { lcdmModels } from '#hal/lcdm/models.ts';
import { Cable } from '#hal/simulator/cable.ts';
import { type SimulatedDevice, SimulatorError } from '#hal/simulator/device.ts';
import { Id003Device } from '#hal/simulator/id003/device.ts';
import { LcdmDevice } from '#hal/simulator/lcdm/device.ts';
import { MemoryPort } from '#hal/simulator/memory-port.ts';
import { simulatedProtocols } from '#hal/simulator/models.ts';
import { denominationsOf } from '#hal/simulator/notes.ts';
import type { SimulatedCassette } from '#hal/simulator/protocol.ts';
import { type Clock, systemRandom } from '#protocol/base/clock.ts';
import { ConfigError } from '#protocol/base/errors.ts';
import { silentLog } from '#protocol/base/log.ts';
import { seededRandom } from '#test/support/seeded-random.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import type { DeviceChoice } from '#test/support/whole-machine.ts';
import type { Dice } from './dice.ts';

/** A device by name, with what no document says of it. */
export interface DeviceName {
  readonly protocol: string;
  readonly model: string;
  /** One of the variants of `variantsOf`. */
  readonly variant: string;
}

const CURRENCY = 'USD';

/** Readings of what the device's document leaves open; `usual` is the registry's own device. */
function variantsOf(protocol: string): readonly string[] {
  if (protocol === 'lcdm') return ['survives', 'finishedOnly', 'lost'];
  if (protocol === 'id003') return ['usual', 'creditAfterPowerUp'];
  return ['usual'];
}

/** Devices of one kind that can be simulated and driven. */
function devicesOf(kind: SimulatedDevice['kind']): readonly DeviceName[] {
  const clock = new VirtualClock();
  return Object.entries(simulatedProtocols).flatMap(([protocol, { models }]) =>
    models.flatMap((model) => {
      const names = variantsOf(protocol).map((variant) => ({ protocol, model, variant }));
      const [first] = names;
      if (!first) return [];
      const device = makeDevice(first, clock, {});
      device.stop();
      return device.kind === kind && isDriven(device, first, clock) ? names : [];
    }),
  );
}

function isDriven(device: SimulatedDevice, { protocol, model }: DeviceName, clock: Clock): boolean {
  const port = new MemoryPort({ path: 'trial', clock, cable: new Cable({ clock, device }) });
  const options = { protocol, model, port, clock, random: systemRandom, log: silentLog };
  try {
    if (device.kind === 'acceptor') {
      makeAcceptor({ ...options, currency: CURRENCY, channels: channelsOf(protocol) });
    } else makeDispenser(options);
    return true;
  } catch (error) {
    if (error instanceof ConfigError) return false;
    throw error;
  }
}

/** What the configuration has to say of a validator that cannot be asked. */
function channelsOf(protocol: string): readonly number[] | undefined {
  return protocol === 'sio' ? denominationsOf(CURRENCY) : undefined;
}

const acceptors = devicesOf('acceptor');
const dispensers = devicesOf('dispenser');

/** A pair for a run: every protocol as often as another, however many models speak it. */
export function pickPair(dice: Dice): { validator: DeviceName; dispenser: DeviceName } {
  return { validator: pickDevice(dice, acceptors), dispenser: pickDevice(dice, dispensers) };
}

function pickDevice(dice: Dice, devices: readonly DeviceName[]): DeviceName {
  const protocol = dice.pick([...new Set(devices.map((device) => device.protocol))]);
  return dice.pick(devices.filter((device) => device.protocol === protocol));
}

/** Every fault that any of the devices can be given, as `<protocol>.<fault>`. */
export function allDeviceFaults(): readonly string[] {
  const protocols = new Set([...acceptors, ...dispensers].map(({ protocol }) => protocol));
  return [...protocols].flatMap((protocol) =>
    Object.keys(simulatedProtocols[protocol]?.faults ?? {}).map((name) => `${protocol}.${name}`),
  );
}

/** Faults of a protocol and what they do, in the registry's words. */
export function faultsOf({ protocol }: DeviceName): Readonly<Record<string, string>> {
  return simulatedProtocols[protocol]?.faults ?? {};
}

/** As many of these cassettes as the dispenser has bays for. */
export function fittingCassettes(
  name: DeviceName,
  wanted: readonly SimulatedCassette[],
): Cassettes {
  for (let bays = wanted.length; bays > 0; bays--) {
    const some = wanted.slice(0, bays).map((cassette, at) => [String(at + 1), cassette]);
    const cassettes: Cassettes = Object.fromEntries(some);
    try {
      makeDevice(name, new VirtualClock(), cassettes).stop();
      return cassettes;
    } catch (error) {
      if (!(error instanceof SimulatorError)) throw error;
    }
  }
  throw new Error(`${name.protocol} ${name.model} has no bay`);
}

type Cassettes = Readonly<Record<string, SimulatedCassette>>;

/** What a whole machine is made with. */
export function deviceChoice(
  name: DeviceName,
  cassettes: Cassettes,
  pollMs: number | undefined,
): DeviceChoice {
  const { protocol, model } = name;
  const channels = channelsOf(protocol);
  const make = (clock: Clock) => makeDevice(name, clock, cassettes);
  return {
    ...{ protocol, model, make },
    ...(channels ? { channels } : {}),
    ...(pollMs === undefined ? {} : { pollMs }),
  };
}

function makeDevice(
  { protocol, model, variant }: DeviceName,
  clock: Clock,
  cassettes: Cassettes,
): SimulatedDevice {
  const lcdm = Object.values(lcdmModels).find(({ name }) => name === model);
  if (lcdm && (variant === 'lost' || variant === 'finishedOnly')) {
    return new LcdmDevice({ clock, options: { model: lcdm.name, cassettes, memory: variant } });
  }
  if (variant === 'creditAfterPowerUp') {
    return new Id003Device({ clock, options: { creditAfterPowerUpInStacker: true } });
  }
  const known = simulatedProtocols[protocol];
  if (!known) throw new Error(`there is no simulated ${protocol}`);
  // Drawn alike in every run; what the driver draws is the plan's.
  const random = seededRandom('device');
  return known.make(model, clock, { currency: CURRENCY, cassettes, random });
}
