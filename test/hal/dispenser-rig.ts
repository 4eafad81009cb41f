/** A dispenser's driver, a cable and a simulated unit on virtual time; and what left the driver. */
import { expect } from 'vitest';
import type {
  CashDispenser,
  DispenseOutcome,
  UnitCount,
  UnitNotes,
  UnitResult,
} from '#hal/cash-dispenser.ts';
import { Cable, type CableOptions } from '#hal/simulator/cable.ts';
import type { ControlCommand, DeviceTruth, Notes, SimulatedDevice } from '#hal/simulator/device.ts';
import { MemoryPort } from '#hal/simulator/memory-port.ts';
import { position } from '#protocol/base/ids.ts';
import { minorOfDenomination } from '#protocol/base/money.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { TapPort } from './tap-port.ts';

/** Two bays: 1 holds 20s, 2 holds 50s. */
export const CASSETTES = {
  1: { denomination: 20, count: 60 },
  2: { denomination: 50, count: 60 },
} as const;

/** What a rig is made of. */
export interface RigOptions<DeviceOptions, DriverOptions> {
  readonly device?: DeviceOptions;
  readonly driver?: Partial<DriverOptions>;
  readonly cable?: Omit<CableOptions, 'clock' | 'device'>;
  /** Another unit instead of a simulated one of this kind. */
  readonly other?: (clock: VirtualClock) => SimulatedDevice;
}

/** Everything on the bench. */
export interface Rig<Dispenser extends CashDispenser = CashDispenser> {
  readonly clock: VirtualClock;
  readonly device: SimulatedDevice;
  readonly cable: Cable;
  readonly port: TapPort;
  readonly dispenser: Dispenser;
}

/** Puts a rig together; nothing is open yet. */
export function rigOf<Dispenser extends CashDispenser>(
  makeDevice: (clock: VirtualClock) => SimulatedDevice,
  makeDispenser: (parts: { readonly port: TapPort; readonly clock: VirtualClock }) => Dispenser,
  options: Omit<CableOptions, 'clock' | 'device'> = {},
): Rig<Dispenser> {
  const clock = new VirtualClock();
  const device = makeDevice(clock);
  const cable = new Cable({ clock, device, ...options });
  const port = new TapPort(new MemoryPort({ path: 'memory', clock, cable }));
  return { clock, device, cable, port, dispenser: makeDispenser({ port, clock }) };
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

/** Something goes wrong, and what is told of it. */
export interface Scenario {
  readonly name: string;
  readonly hands: readonly ControlCommand[];
  /** Notes by position; two of each when left out. */
  readonly ask?: Readonly<Record<number, number>>;
  readonly expect:
    | {
        readonly presented: readonly [number, number];
        readonly rejected?: readonly [number, number];
        readonly error?: string;
        readonly isTrusted?: boolean;
      }
    | 'notExecuted'
    | 'unknown';
}

/** The command that switches a fault on. */
export const fault = (name: string, value?: number, times = 1): ControlCommand =>
  value === undefined ? { do: 'fault', name, times } : { do: 'fault', name, times, value };

/** Plays one on a rig that is ready. */
export async function play(rig: Rig, scenario: Scenario): Promise<DispenseOutcome> {
  const { hands, ask = { 1: 2, 2: 2 }, expect: wanted } = scenario;
  for (const command of hands) rig.device.control(command);
  // Taking a cassette out takes its notes along, so what is gone is counted from afterwards.
  const before = rig.device.truth();
  const outcome = await dispense(rig, ask);
  expect(outcome.kind).toBe(typeof wanted === 'string' ? wanted : 'answered');
  if (typeof wanted === 'object' && outcome.kind === 'answered') {
    expect(counts(outcome, 'presented')).toEqual(wanted.presented);
    expect(counts(outcome, 'rejected')).toEqual(wanted.rejected ?? [0, 0]);
    expect(outcome.error?.code).toBe(wanted.error);
    expect(outcome.error?.countsTrusted).toBe(wanted.isTrusted);
  }
  expectConserved(rig, before, outcome);
  return outcome;
}

/** What an outcome says of the two bays. */
export function counts(outcome: DispenseOutcome, what: 'presented' | 'rejected'): number[] {
  const units: readonly UnitResult[] = outcome.kind === 'answered' ? outcome.units : [];
  return [1, 2].map((at) => units.find((unit) => unit.position === at)?.[what] ?? 0);
}

/** What was said must be what is: that is all a customer's money hangs on. */
export function expectConserved(rig: Rig, before: DeviceTruth, outcome: DispenseOutcome): void {
  const truth = rig.device.truth();
  const out = total(truth.customer) + total(truth.reject) + total(truth.path);
  expect(inBays(before) - inBays(truth)).toBe(out);
  if (outcome.kind === 'notExecuted') expect(out).toBe(0);
  if (outcome.kind !== 'answered' || outcome.error?.countsTrusted === false) return;
  const sum = (numbers: readonly number[]) => numbers.reduce((all, one) => all + one, 0);
  expect(total(truth.customer)).toBe(sum(counts(outcome, 'presented')));
  expect(total(truth.reject)).toBe(sum(counts(outcome, 'rejected')));
}
