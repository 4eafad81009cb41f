import { expect } from 'vitest';
import type {
  AcceptorBaseline,
  CashAcceptor,
  CashAcceptorEvent,
  DepositOutcome,
  InitialiseOutcome,
  ReturnOutcome,
} from '#hal/cash-acceptor.ts';
import type { Port } from '#hal/port.ts';
import { Cable, type CableOptions } from '#hal/simulator/cable.ts';
import type { Notes, SimulatedDevice } from '#hal/simulator/device.ts';
import { MemoryPort } from '#hal/simulator/memory-port.ts';
import { type Log, silentLog } from '#protocol/base/log.ts';
import { type MinorUnits, minorUnits } from '#protocol/base/money.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { TapPort } from './tap-port.ts';

/** What the cable does to bytes. */
export type BenchCable = Partial<Pick<CableOptions, 'paced' | 'split' | 'faults'>>;

/** What every driver is made of. */
export interface DriverParts {
  readonly port: Port;
  readonly clock: VirtualClock;
  readonly log: Log;
}

/** How one protocol's device and driver are made. */
export interface AcceptorMakers<Device, Acceptor> {
  device(clock: VirtualClock): Device;
  acceptor(parts: DriverParts): Acceptor;
  readonly cable?: BenchCable | undefined;
  /** Every value that the simulated device knows. */
  readonly values: readonly MinorUnits[];
}

export const dollars = (value: number): MinorUnits => minorUnits(value * 100);

/** One driver on one simulated device, on virtual time. `boot` replaces the program alone. */
export class AcceptorBench<Device extends SimulatedDevice, Acceptor extends CashAcceptor> {
  readonly clock = new VirtualClock();
  readonly device: Device;
  readonly cable: Cable;
  readonly port: TapPort;
  readonly events: CashAcceptorEvent[] = [];
  /** Everything that told of money in the box, once each. */
  readonly credits: string[] = [];
  inserted = 0;
  acceptor: Acceptor;
  readonly #makers: AcceptorMakers<Device, Acceptor>;

  constructor(makers: AcceptorMakers<Device, Acceptor>) {
    this.#makers = makers;
    const { clock } = this;
    this.device = makers.device(clock);
    this.cable = new Cable({ clock, device: this.device, ...makers.cable });
    this.port = new TapPort(new MemoryPort({ path: 'memory', clock, cable: this.cable }));
    this.acceptor = this.boot();
  }

  boot(): Acceptor {
    const { port, clock } = this;
    this.acceptor = this.#makers.acceptor({ port, clock, log: silentLog });
    this.acceptor.subscribe((event) => {
      this.events.push(event);
      if (event.kind === 'credit.unexpected') this.onUnexpected(event.value);
    });
    return this.acceptor;
  }

  /** A credit that nobody asked for; some devices only say that there may be one. */
  protected onUnexpected(_value: MinorUnits | undefined): void {
    this.credits.push('unexpected');
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
  async start(values: readonly MinorUnits[] = this.#makers.values): Promise<this> {
    await this.run(this.acceptor.open());
    expect(await this.initialise()).toMatchObject({ device: 'ready', note: 'none' });
    await this.run(this.acceptor.accept(values));
    this.events.length = 0;
    return this;
  }

  insert(denomination: number): void {
    this.device.control({ do: 'insert', denomination });
    this.inserted++;
  }

  fault(name: string, value?: number, times = 1): void {
    this.device.control({ do: 'fault', name, times, ...(value === undefined ? {} : { value }) });
  }

  async escrow(denomination: number): Promise<void> {
    this.insert(denomination);
    await this.heard('note.escrowed');
  }

  heard(kind: CashAcceptorEvent['kind'], limitMs?: number): Promise<void> {
    const before = this.told(kind).length;
    return this.clock.until(() => this.told(kind).length > before, limitMs);
  }

  told(kind: CashAcceptorEvent['kind']): CashAcceptorEvent[] {
    return this.events.filter((event) => event.kind === kind);
  }

  /** Every note is in one place, and nothing was credited that does not lie in the box. */
  expectConserved(removedFromBox = 0): void {
    const { path, cashbox, customer } = this.device.truth();
    const inBox = count(cashbox) + removedFromBox;
    expect(count(path) + inBox + count(customer)).toBe(this.inserted);
    expect(this.credits.length).toBeLessThanOrEqual(inBox);
  }
}

export function count(notes: Notes): number {
  return Object.values(notes).reduce((sum, value) => sum + value, 0);
}
