/** One dispenser, its line, and what an agent does to keep it in service. */
import { expect } from 'vitest';
import { makeDispenser } from '#agent/devices.ts';
import type { CashDispenser, DispenseOutcome, UnitCount } from '#hal/cash-dispenser.ts';
import { f56Errors } from '#hal/f56/errors.ts';
import { id30Errors } from '#hal/lcdm/id30/errors.ts';
import { id50Errors } from '#hal/lcdm/id50/errors.ts';
import { makeSimulatedDevice } from '#hal/simulator/models.ts';
import { position } from '#protocol/base/ids.ts';
import { silentLog } from '#protocol/base/log.ts';
import { minorUnits } from '#protocol/base/money.ts';
import { seededRandom } from '#test/support/seeded-random.ts';
import { count } from './acceptor-stand.ts';
import { type Line, type LineKind, makeLine } from './line.ts';

/** A dispenser that the scenarios are played on, and what its faults are called. */
export interface DispenserCase {
  readonly name: string;
  readonly protocol: string;
  readonly model: string;
  /** Every error of its table, as the simulator's fault `error` takes it. */
  readonly errors: readonly number[];
  /** Jams, which keep a note until hands take it. */
  readonly jams: readonly string[];
  /** What goes wrong with a note and leaves none behind. */
  readonly mishaps: readonly string[];
}

const lcdm = {
  protocol: 'lcdm',
  jams: ['jamBeforeDiverter', 'jamBeforeEject', 'jamBeforeExit', 'noteInExit'],
  mishaps: ['pickUpFailure', 'countMismatch', 'wrongCassette', 'reject'],
};

/** Every dispenser. */
export const dispenserCases: readonly DispenserCase[] = [
  {
    name: 'f56',
    protocol: 'f56',
    model: 'f56',
    errors: [...f56Errors.keys()].map((code) => code << 8),
    jams: ['jamOnPath', 'jamBeforeReject', 'jamAtExit'],
    mishaps: ['pickUpFailure', 'countMismatch', 'wrongCassette', 'reject', 'tooLong', 'tooShort'],
  },
  { ...lcdm, name: 'lcdm-4000', model: 'lcdm-4000', errors: [...id30Errors.keys()] },
  { ...lcdm, name: 'lcdm-2000', model: 'lcdm-2000', errors: [...id50Errors.keys()] },
];

const CASSETTES = { 1: { denomination: 20, count: 200 }, 2: { denomination: 50, count: 200 } };
const IN_ALL = 400;
/** Rounds of helping until it must be back in service. */
const HELP_ROUNDS = 12;
const ROUND_MS = 4000;

/** Where notes were. */
export interface Places {
  readonly bays: number;
  readonly customer: number;
  readonly reject: number;
}

/** The whole bench. */
export class DispenserStand {
  readonly line: Line;
  readonly dispenser: CashDispenser;
  /** Errors without the last bytes on the port. */
  bareErrors = 0;

  private constructor(line: Line, dispenser: CashDispenser) {
    this.line = line;
    this.dispenser = dispenser;
    dispenser.subscribe((event) => {
      const isBare = event.kind === 'device.failed' && event.error.recording.length === 0;
      if (isBare) this.bareErrors++;
    });
  }

  /** Put together; nothing is open yet. */
  static async made(kind: LineKind, { protocol, model }: DispenserCase): Promise<DispenserStand> {
    const contents = { currency: 'USD', cassettes: CASSETTES };
    const line = await makeLine(kind, (clock) =>
      makeSimulatedDevice(protocol, model, clock, contents),
    );
    const { port, clock } = line;
    const random = seededRandom(model);
    const dispenser = makeDispenser({ protocol, model, port, clock, random, log: silentLog });
    return new DispenserStand(line, dispenser);
  }

  /** Open and initialised: 20s in bay 1, 50s in bay 2. */
  static async ready(kind: LineKind, what: DispenserCase): Promise<DispenserStand> {
    const stand = await DispenserStand.made(kind, what);
    const { dispenser } = stand;
    dispenser.setNotes?.([
      { position: position(1), currency: 'USD', value: minorUnits(2000) },
      { position: position(2), currency: 'USD', value: minorUnits(5000) },
    ]);
    await stand.run(dispenser.open());
    await stand.run(dispenser.initialise());
    expect(await stand.run(dispenser.status())).toMatchObject({ device: 'ready' });
    return stand;
  }

  run<T>(promise: Promise<T>): Promise<T> {
    return this.line.clock.resolve(promise);
  }

  dispense(first: number, second: number): Promise<DispenseOutcome> {
    const units: UnitCount[] = [
      { position: position(1), count: first },
      { position: position(2), count: second },
    ];
    return this.dispenser.dispense(units.filter((unit) => unit.count > 0));
  }

  fault(name: string, value?: number): void {
    const fault = { do: 'fault', name, times: 1 } as const;
    this.line.device.control(value === undefined ? fault : { ...fault, value });
  }

  places(): Places {
    const { units, customer, reject } = this.line.device.truth();
    const bays = Object.values(units).reduce((sum, unit) => sum + unit.count, 0);
    return { bays, customer: count(customer), reject: count(reject) };
  }

  /** Every note is in one place, and what was said of them is so. */
  expectTrue(outcome: DispenseOutcome, before: Places, wanted: number): void {
    expect(this.bareErrors).toBe(0);
    const after = this.places();
    const { path } = this.line.device.truth();
    expect(after.bays + after.customer + after.reject + count(path)).toBe(IN_ALL);
    expect(after.customer - before.customer).toBeLessThanOrEqual(wanted);
    if (outcome.kind === 'notExecuted') expect(after.bays).toBe(before.bays);
    if (outcome.kind !== 'answered' || outcome.error?.countsTrusted === false) return;
    const sum = (what: 'presented' | 'rejected') =>
      outcome.units.reduce((all, unit) => all + unit[what], 0);
    expect(sum('presented')).toBe(after.customer - before.customer);
    expect(sum('rejected')).toBe(after.reject - before.reject);
    if (!outcome.error) expect(sum('presented')).toBe(wanted);
  }

  /** What people and the agent do until it is ready again. */
  async help(): Promise<void> {
    const { device, clock } = this.line;
    for (const name of Object.keys(device.faults)) device.control({ do: 'fault', name, times: 0 });
    for (let round = 0; round < HELP_ROUNDS; round++) {
      await this.line.plug();
      device.control({ do: 'power', on: true });
      this.putCassettesIn();
      this.take();
      await clock.advance(ROUND_MS);
      this.take();
      const { device: condition } = await this.run(this.dispenser.status());
      if (condition === 'ready') return;
      if (condition !== 'offline') await this.run(this.dispenser.initialise());
    }
    expect(await this.run(this.dispenser.status())).toMatchObject({ device: 'ready' });
  }

  /** The notes of a bay that is out are nowhere in the machine. */
  putCassettesIn(): void {
    for (const at of [1, 2]) {
      this.line.device.control({ do: 'cassette', position: at, present: true });
    }
  }

  take(): void {
    try {
      this.line.device.control({ do: 'take' });
    } catch (error) {
      expect(String(error)).toMatch(/nothing to take|no notes/);
    }
  }

  async close(): Promise<void> {
    await this.run(this.dispenser.close());
    await this.line.close();
  }
}
