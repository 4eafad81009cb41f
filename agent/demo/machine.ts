/** The simulated half of the demo: the world on loopback, two devices, a pairing by a real seed. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Port } from '#hal/port.ts';
import { SystemPort } from '#hal/serial-port.ts';
import { Cable } from '#hal/simulator/cable.ts';
import { type SimulatedDevice, SimulatorError } from '#hal/simulator/device.ts';
import { MemoryPort } from '#hal/simulator/memory-port.ts';
import { makeSimulatedDevice } from '#hal/simulator/models.ts';
import type { SimulatedCassette } from '#hal/simulator/protocol.ts';
import { openPty } from '#hal/simulator/pty.ts';
import type { Clock, Random } from '#protocol/base/clock.ts';
import type { Log } from '#protocol/base/log.ts';
import { pair } from '#protocol/pairing/pair.ts';
import { PairingFile } from '#protocol/pairing/pairing-file.ts';
import { parseSeed } from '#protocol/pairing/seed.ts';
import { RelayPool } from '#protocol/relay/pool.ts';
import { startWorld, type World } from '#protocol/simulator/world.ts';
import { type Config, parseConfig } from '../config.ts';

/** What the demo runs on. */
export interface DemoContext {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** Which devices the demo has, by protocol or model. */
export interface DemoDevices {
  readonly validator: {
    readonly protocol: string;
    readonly model: string | undefined;
    /** For one that cannot be asked for the values of its channels. */
    readonly channels?: readonly number[];
  };
  readonly dispenser: { readonly protocol: string; readonly model: string | undefined };
}

const CURRENCY = 'USD';
/** What a fresh demo's bays hold; two of them the same, as in the field. */
const CASSETTES = {
  '1': { denomination: 20, count: 60 },
  '2': { denomination: 20, count: 40 },
  '3': { denomination: 50, count: 30 },
  '4': { denomination: 100, count: 10 },
};
const WALLET_SATS = 5_000_000;
/** $97,117.00 a bitcoin: one dollar is 1,029 sats. */
const RATE_MINOR_PER_BTC = 9_711_700;

const contentsSchema = z.record(
  z.string(),
  z.object({ denomination: z.int(), count: z.int().nonnegative() }),
);

type Cassettes = Readonly<Record<string, SimulatedCassette>>;

/** As many of these cassettes, from the top, as the dispenser has bays for. */
function fitting(
  cassettes: Cassettes,
  { protocol, model }: DemoDevices['dispenser'],
  clock: Clock,
): Cassettes {
  for (let bays = Object.keys(cassettes).length; bays > 0; bays--) {
    const some = Object.fromEntries(Object.entries(cassettes).slice(0, bays));
    try {
      makeSimulatedDevice(protocol, model, clock, { currency: CURRENCY, cassettes: some }).stop();
      return some;
    } catch (error) {
      if (!(error instanceof SimulatorError) || error.code !== 'notFound') throw error;
    }
  }
  return {};
}

/** Where the cassettes' contents are kept between two runs. */
const contentsFile = (folder: string): string => join(folder, 'cassettes.json');

/** The devices and how each is reached. */
export interface Hardware {
  readonly validator: SimulatedDevice;
  readonly dispenser: SimulatedDevice;
  readonly ports: { readonly validator: Port; readonly dispenser: Port };
  /** Keeps what the cassettes hold for the next run. */
  save(): void;
  /** Pulls or plugs the validator's cable. */
  plugValidator(isIn: boolean): void;
  stop(): void;
}

/** Makes both devices, in memory or behind real ptys. */
export async function openHardware(
  context: DemoContext,
  folder: string,
  devices: DemoDevices,
  behindPtys: boolean,
): Promise<Hardware> {
  const { clock } = context;
  const kept = contentsFile(folder);
  const cassettes = existsSync(kept)
    ? contentsSchema.parse(JSON.parse(readFileSync(kept, 'utf8')))
    : CASSETTES;
  const contents = { currency: CURRENCY, cassettes: fitting(cassettes, devices.dispenser, clock) };
  const make = ({ protocol, model }: DemoDevices['validator']) =>
    makeSimulatedDevice(protocol, model, clock, contents);
  const validator = make(devices.validator);
  const dispenser = make(devices.dispenser);
  const connect = behindPtys ? connectPty : connectMemory;
  const first = await connect(validator, clock);
  const second = await connect(dispenser, clock);
  return {
    validator,
    dispenser,
    ports: { validator: first.port, dispenser: second.port },
    save: () => writeFileSync(kept, JSON.stringify(dispenser.truth().units, undefined, 2)),
    plugValidator: first.plug,
    stop: () => {
      validator.stop();
      dispenser.stop();
      first.stop();
      second.stop();
    },
  };
}

interface Connection {
  readonly port: Port;
  plug(isIn: boolean): void;
  stop(): void;
}

async function connectMemory(device: SimulatedDevice, clock: Clock): Promise<Connection> {
  const cable = new Cable({ clock, device });
  return {
    port: new MemoryPort({ path: `memory:${device.protocol}`, clock, cable }),
    plug: (isIn) => (isIn ? cable.plug() : cable.unplug()),
    stop: () => undefined,
  };
}

async function connectPty(device: SimulatedDevice, clock: Clock): Promise<Connection> {
  const pty = await openPty();
  let isIn = true;
  pty.onData((bytes) => {
    if (isIn) device.receive(bytes);
  });
  device.connect((bytes) => {
    if (isIn) pty.write(bytes);
  });
  return {
    port: new SystemPort({ path: pty.path, clock }),
    plug: (plugged) => {
      isIn = plugged;
    },
    stop: () => pty.close(),
  };
}

/** The world with its operator's documents published, and its wallet funded when it is new. */
export async function openWorld(
  context: DemoContext,
  folder: string,
  { dispenser }: Pick<DemoDevices, 'dispenser'>,
): Promise<World> {
  const world = await startWorld({ ...context, folder: join(folder, 'world') });
  if (!world.isNew) return world;
  world.keeper.fund(WALLET_SATS);
  await world.keeper.publishFees();
  await world.keeper.publishCassettes(fitting(CASSETTES, dispenser, context.clock));
  return world;
}

/** Pairs by the world's seed, once; a machine that is paired keeps its pairing. */
export async function pairOnce(context: DemoContext, world: World, stateFolder: string) {
  mkdirSync(stateFolder, { recursive: true, mode: 0o700 });
  const file = new PairingFile({ path: join(stateFolder, 'pairing.json'), ...context });
  if (file.load()) return;
  await pair({
    ...context,
    seed: parseSeed(world.seed, { allowPrivateRelays: true }),
    operatorPubkey: world.operatorPubkey,
    transportPubkey: world.transportPubkey,
    walletId: world.walletId,
    allowPrivateRelays: true,
    file,
    makeRelays: (urls, auth) => new RelayPool({ ...context, urls, auth }),
  });
}

/** The demo's configuration: everything a real one has, on loopback. */
export function demoConfig(
  folder: string,
  devices: DemoDevices,
  ports: Readonly<Record<'validator' | 'dispenser', Pick<Port, 'path'>>>,
  screenPort: number,
): Config {
  const device = (kind: 'validator' | 'dispenser') => ({
    protocol: devices[kind].protocol,
    ...(devices[kind].model === undefined ? {} : { model: devices[kind].model }),
    port: ports[kind].path,
  });
  return parseConfig({
    currency: CURRENCY,
    model: 'bitSpire demo',
    support: { contact: 'Demo operator, +1 555 0100' },
    validator: {
      ...device('validator'),
      ...(devices.validator.channels ? { channels: devices.validator.channels } : {}),
    },
    dispenser: device('dispenser'),
    network: 'regtest',
    limits: { max_cash_in_sats: 2_000_000 },
    rate: { kind: 'fixed', minorPerBtc: RATE_MINOR_PER_BTC },
    cassettes: { changedDenomination: 'apply', raisedCount: 'set' },
    beacon: { public: true, cashLevel: true },
    allowPrivateHosts: true,
    paths: { state: join(folder, 'state'), socket: join(folder, 'agent.sock') },
    screen: { port: screenPort },
    log: { level: 'warn' },
  });
}
