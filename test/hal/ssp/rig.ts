import { expect } from 'vitest';
import type {
  AcceptorBaseline,
  CashAcceptorEvent,
  DepositOutcome,
  InitialiseOutcome,
  ReturnOutcome,
} from '#hal/cash-acceptor.ts';
import { Cable, type CableOptions } from '#hal/simulator/cable.ts';
import type { Notes } from '#hal/simulator/device.ts';
import { MemoryPort } from '#hal/simulator/memory-port.ts';
import { SspDevice, type SspDeviceOptions } from '#hal/simulator/ssp/device.ts';
import { SspAcceptor } from '#hal/ssp/driver.ts';
import type { SspModelName } from '#hal/ssp/models.ts';
import type { SspOptions } from '#hal/ssp/options.ts';
import { silentLog } from '#protocol/base/log.ts';
import { type MinorUnits, minorUnits } from '#protocol/base/money.ts';
import { seededRandom } from '#test/support/seeded-random.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { TapPort } from '../id003/bench.ts';

export interface RigOptions {
  readonly model?: SspModelName;
  readonly device?: SspDeviceOptions;
  readonly driver?: Partial<SspOptions>;
  readonly cable?: Partial<Pick<CableOptions, 'paced' | 'split' | 'faults'>>;
}

/** Every dollar value of the simulated device's dataset. */
export const ALL_VALUES = [1, 2, 5, 10, 20, 50, 100].map((dollars) => minorUnits(dollars * 100));

export const dollars = (value: number): MinorUnits => minorUnits(value * 100);

/** Both ways of speaking: every scenario must hold in each. */
export const MODELS: readonly SspModelName[] = ['ssp', 'essp'];

/** One driver on one simulated device, on virtual time. `boot` replaces the program alone. */
export class Rig {
  readonly clock = new VirtualClock();
  readonly model: SspModelName;
  readonly device: SspDevice;
  readonly cable: Cable;
  readonly port: TapPort;
  readonly events: CashAcceptorEvent[] = [];
  /** Everything that told of money in the box, once each. */
  readonly credits: string[] = [];
  readonly #options: RigOptions;
  readonly #random = seededRandom('ssp rig');
  #inserted = 0;
  acceptor: SspAcceptor;

  constructor(options: RigOptions = {}) {
    this.#options = options;
    this.model = options.model ?? 'ssp';
    const { clock } = this;
    const encryption = this.model === 'essp' ? 'required' : 'optional';
    const random = seededRandom('ssp device');
    this.device = new SspDevice({ clock, options: { encryption, random, ...options.device } });
    this.cable = new Cable({ clock, device: this.device, ...options.cable });
    this.port = new TapPort(new MemoryPort({ path: 'memory', clock, cable: this.cable }));
    this.acceptor = this.boot();
  }

  boot(): SspAcceptor {
    this.acceptor = new SspAcceptor({
      port: this.port,
      clock: this.clock,
      log: silentLog,
      random: this.#random,
      options: { model: this.model, currency: 'USD', ...this.#options.driver },
    });
    this.acceptor.subscribe((event) => {
      this.events.push(event);
      if (event.kind === 'credit.unexpected') this.credits.push('unexpected');
    });
    return this.acceptor;
  }

  run<T>(promise: Promise<T>, limitMs?: number): Promise<T> {
    return this.clock.resolve(promise, limitMs);
  }

  async initialise(since?: AcceptorBaseline): Promise<InitialiseOutcome> {
    const outcome = await this.run(this.acceptor.initialise(since));
    if (outcome.note === 'deposited') this.credits.push('initialise');
    return outcome;
  }

  async deposit(): Promise<DepositOutcome> {
    const outcome = await this.run(this.acceptor.deposit());
    if (outcome.kind === 'deposited') this.credits.push('deposit');
    return outcome;
  }

  async returnNote(): Promise<ReturnOutcome> {
    const outcome = await this.run(this.acceptor.returnNote());
    if (outcome.kind === 'deposited') this.credits.push('return');
    return outcome;
  }

  /** From nothing to an open slot. */
  async start(values: readonly MinorUnits[] = ALL_VALUES): Promise<this> {
    await this.run(this.acceptor.open());
    expect(await this.initialise()).toMatchObject({ device: 'ready', note: 'none' });
    await this.run(this.acceptor.accept(values));
    this.events.length = 0;
    return this;
  }

  /** Until the note that was taken has left the slot free, and the host has heard so. */
  async settled(): Promise<void> {
    await this.run(this.acceptor.confirmDeposit());
    await this.clock.advance(2000);
  }

  insert(denomination: number): void {
    this.device.control({ do: 'insert', denomination });
    this.#inserted++;
  }

  fault(name: string, value?: number, times = 1): void {
    this.device.control({ do: 'fault', name, times, ...(value === undefined ? {} : { value }) });
  }

  async escrow(denomination: number): Promise<void> {
    this.insert(denomination);
    await this.heard('note.escrowed');
  }

  heard(kind: CashAcceptorEvent['kind'], limitMs?: number): Promise<void> {
    const count = this.told(kind).length;
    return this.clock.until(() => this.told(kind).length > count, limitMs);
  }

  told(kind: CashAcceptorEvent['kind']): CashAcceptorEvent[] {
    return this.events.filter((event) => event.kind === kind);
  }

  /** Every note is in one place, and nothing was credited that does not lie in the box. */
  expectConserved(removedFromBox = 0): void {
    const { path, cashbox, customer } = this.device.truth();
    const inBox = count(cashbox) + removedFromBox;
    expect(count(path) + inBox + count(customer)).toBe(this.#inserted);
    expect(this.credits.length).toBeLessThanOrEqual(inBox + count(path));
  }
}

export function count(notes: Notes): number {
  return Object.values(notes).reduce((sum, value) => sum + value, 0);
}
