/** A driver, a cable and a simulated unit on a virtual clock; and what left the driver. */
import type { DispenseOutcome, UnitCount, UnitNotes } from '#hal/cash-dispenser.ts';
import { type CommandName, commands } from '#hal/f56/commands.ts';
import { F56Dispenser, type F56Options } from '#hal/f56/driver.ts';
import { encodeControl } from '#hal/f56/wire.ts';
import type { LineSettings, Port, PortEvent, Unsubscribe } from '#hal/port.ts';
import { Cable, type CableOptions } from '#hal/simulator/cable.ts';
import type { DeviceTruth, Notes, SimulatedDevice } from '#hal/simulator/device.ts';
import { F56Device, type F56DeviceOptions } from '#hal/simulator/f56/device.ts';
import { MemoryPort } from '#hal/simulator/memory-port.ts';
import type { RecordedChunk } from '#protocol/base/errors.ts';
import { position } from '#protocol/base/ids.ts';
import { silentLog } from '#protocol/base/log.ts';
import { minorOfDenomination } from '#protocol/base/money.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

/** Two bays: 1 holds 20s, 2 holds 50s. */
export const CASSETTES = {
  1: { denomination: 20, count: 60 },
  2: { denomination: 50, count: 60 },
} as const;

/** A port that writes down what the driver sent. */
class TappedPort implements Port {
  readonly path: string;
  readonly sent: string[] = [];
  readonly #port: Port;
  constructor(port: Port) {
    this.#port = port;
    this.path = port.path;
  }
  open(line: LineSettings): Promise<void> {
    return this.#port.open(line);
  }
  write(bytes: Uint8Array): void {
    this.sent.push(Buffer.from(bytes).toString('hex'));
    this.#port.write(bytes);
  }
  subscribe(listener: (event: PortEvent) => void): Unsubscribe {
    return this.#port.subscribe(listener);
  }
  close(): Promise<void> {
    return this.#port.close();
  }
  recording(): readonly RecordedChunk[] {
    return this.#port.recording();
  }
}

/** What a rig is made of. */
export interface RigOptions {
  readonly device?: F56DeviceOptions;
  readonly driver?: Partial<F56Options>;
  readonly cable?: Omit<CableOptions, 'clock' | 'device'>;
  /** Another unit instead of a simulated F56. */
  readonly other?: (clock: VirtualClock) => SimulatedDevice;
}

/** Everything on the bench. */
export interface Rig {
  readonly clock: VirtualClock;
  readonly device: SimulatedDevice;
  readonly cable: Cable;
  readonly port: TappedPort;
  readonly dispenser: F56Dispenser;
}

/** Puts a rig together; nothing is open yet. */
export function makeRig(options: RigOptions = {}): Rig {
  const clock = new VirtualClock();
  const device =
    options.other?.(clock) ??
    new F56Device({ clock, options: { cassettes: CASSETTES, ...options.device } });
  const cable = new Cable({ clock, device, ...options.cable });
  const port = new TappedPort(new MemoryPort({ path: 'memory:f56', clock, cable }));
  const model = options.device?.model ?? 'f56';
  const dispenser = new F56Dispenser({
    port,
    clock,
    log: silentLog,
    options: { model, ...options.driver },
  });
  return { clock, device, cable, port, dispenser };
}

/** Notes that lie in bays, by position. */
export function held(
  denominations: Readonly<Record<number, number>>,
  currency = 'USD',
): UnitNotes[] {
  return Object.entries(denominations).map(([at, denomination]) => ({
    position: position(Number(at)),
    currency,
    value: minorOfDenomination(denomination, currency),
  }));
}

/** A rig that is open and initialised. */
export async function readyRig(options: RigOptions = {}): Promise<Rig> {
  const rig = makeRig(options);
  rig.dispenser.setNotes(held({ 1: 20, 2: 50 }));
  await rig.clock.resolve(rig.dispenser.open());
  await rig.clock.resolve(rig.dispenser.initialise());
  return rig;
}

/** Notes asked, by position. */
export function asked(counts: Readonly<Record<number, number>>): UnitCount[] {
  return Object.entries(counts).map(([at, count]) => ({ position: position(Number(at)), count }));
}

/** Asks for notes and waits for the outcome. */
export function dispense(
  rig: Rig,
  counts: Readonly<Record<number, number>>,
): Promise<DispenseOutcome> {
  return rig.clock.resolve(rig.dispenser.dispense(asked(counts)));
}

/** Hands take what lies at the exit. */
export function take(rig: Rig): void {
  rig.device.control({ do: 'take' });
}

/** Commands that left the driver, as frames in hex: their data begins behind 4 bytes. */
export function sentCommands(rig: Rig, name: CommandName): string[] {
  const code = Buffer.from(commands[name].code).toString('hex');
  return rig.port.sent.filter((hex) => hex.startsWith('1002') && hex.startsWith(code, 8));
}

/** ENQs that left the driver. */
export function bids(rig: Rig): number {
  const enq = Buffer.from(encodeControl('enq')).toString('hex');
  return rig.port.sent.filter((hex) => hex === enq).length;
}

/** All notes of a place. */
export function total(notes: Notes): number {
  return Object.values(notes).reduce((sum, count) => sum + count, 0);
}

/** Notes in the bays. */
export function inBays(truth: DeviceTruth): number {
  return Object.values(truth.units).reduce((sum, unit) => sum + unit.count, 0);
}

/** Notes that left the bays of a unit that began with `CASSETTES`. */
export function gone(truth: DeviceTruth): number {
  return CASSETTES[1].count + CASSETTES[2].count - inBays(truth);
}
