/** A driver, a cable and a simulated unit on a virtual clock; and what left the driver. */
import type { DispenseOutcome, UnitCount } from '#hal/cash-dispenser.ts';
import { LcdmDispenser, type LcdmOptions } from '#hal/lcdm/driver.ts';
import { ID30, type LcdmId } from '#hal/lcdm/wire.ts';
import type { LineSettings, Port, PortEvent, Unsubscribe } from '#hal/port.ts';
import { Cable, type CableOptions } from '#hal/simulator/cable.ts';
import type { DeviceTruth, Notes, SimulatedDevice } from '#hal/simulator/device.ts';
import { LcdmDevice, type LcdmDeviceOptions } from '#hal/simulator/lcdm/device.ts';
import { MemoryPort } from '#hal/simulator/memory-port.ts';
import type { RecordedChunk } from '#protocol/base/errors.ts';
import { position } from '#protocol/base/ids.ts';
import { silentLog } from '#protocol/base/log.ts';
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
  readonly device?: LcdmDeviceOptions;
  readonly driver?: Partial<LcdmOptions>;
  readonly cable?: Omit<CableOptions, 'clock' | 'device'>;
  /** Another unit instead of a simulated LCDM. */
  readonly other?: (clock: VirtualClock) => SimulatedDevice;
}

/** Everything on the bench. */
export interface Rig {
  readonly clock: VirtualClock;
  readonly device: SimulatedDevice;
  readonly cable: Cable;
  readonly port: TappedPort;
  readonly dispenser: LcdmDispenser;
}

/** Puts a rig together; nothing is open yet. */
export function makeRig(options: RigOptions = {}): Rig {
  const clock = new VirtualClock();
  const device =
    options.other?.(clock) ??
    new LcdmDevice({ clock, options: { cassettes: CASSETTES, ...options.device } });
  const cable = new Cable({ clock, device, ...options.cable });
  const port = new TappedPort(new MemoryPort({ path: 'memory:lcdm', clock, cable }));
  const model = options.device?.model ?? 'lcdm-4000';
  const dispenser = new LcdmDispenser({
    port,
    clock,
    log: silentLog,
    options: { model, ...options.driver },
  });
  return { clock, device, cable, port, dispenser };
}

/** A rig that is open and initialised. */
export async function readyRig(options: RigOptions = {}): Promise<Rig> {
  const rig = makeRig(options);
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

/** Commands of a code that left the driver, with ID 30 unless another is said. */
export function sentCommands(rig: Rig, code: number, id: LcdmId = ID30): string[] {
  const start = `04${id.toString(16)}02${code.toString(16)}`;
  return rig.port.sent.filter((hex) => hex.startsWith(start));
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
