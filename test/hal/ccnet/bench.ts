import { expect } from 'vitest';
import type {
  CashAcceptorEvent,
  DepositOutcome,
  InitialiseOutcome,
  ReturnOutcome,
} from '#hal/cash-acceptor.ts';
import { CcnetAcceptor } from '#hal/ccnet/driver.ts';
import type { CcnetOptions } from '#hal/ccnet/options.ts';
import { Cable, type CableOptions } from '#hal/simulator/cable.ts';
import { CcnetDevice, type CcnetDeviceOptions } from '#hal/simulator/ccnet/device.ts';
import type { Notes } from '#hal/simulator/device.ts';
import { MemoryPort } from '#hal/simulator/memory-port.ts';
import { silentLog } from '#protocol/base/log.ts';
import { type MinorUnits, minorUnits } from '#protocol/base/money.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { TapPort } from '../id003/bench.ts';

export interface BenchOptions {
  readonly device?: CcnetDeviceOptions;
  readonly driver?: Partial<CcnetOptions>;
  readonly cable?: Partial<Pick<CableOptions, 'paced' | 'split' | 'faults'>>;
}

/** Every dollar value of the simulated device's table. */
export const ALL_VALUES = [1, 2, 5, 10, 20, 50, 100].map((dollars) => minorUnits(dollars * 100));

/** To the letter: events are repeated until their ACK, and the bus must rest after one. */
export const STRICT: CcnetDeviceOptions = { strictAck: true, strictTiming: true };

/** A unit that goes on without an ACK, and one that does not: what is promised holds on both. */
export const UNITS: readonly (readonly [string, CcnetDeviceOptions])[] = [
  ['tolerant', {}],
  ['strict', STRICT],
];

/** Frames as they are sent. */
export const SENT = {
  ack: '02030600c282',
  reset: '0203063041b3',
  poll: '02030633da81',
  stack: '02030635ece4',
  return: '0203063677d6',
  identification: '02030637fec7',
  billTable: '020306414fd1',
  disable: '02030c34000000000000170c',
} as const;

export const dollars = (value: number): MinorUnits => minorUnits(value * 100);

/** One driver on one simulated device, on virtual time. `boot` replaces the program alone. */
export class Bench {
  readonly clock = new VirtualClock();
  readonly device: CcnetDevice;
  readonly cable: Cable;
  readonly port: TapPort;
  readonly events: CashAcceptorEvent[] = [];
  /** Everything that told of money in the box, once each. */
  readonly credits: string[] = [];
  #options: BenchOptions;
  #inserted = 0;
  acceptor: CcnetAcceptor;

  constructor(options: BenchOptions = {}) {
    this.#options = options;
    const { clock } = this;
    this.device = new CcnetDevice({ clock, options: options.device ?? {} });
    this.cable = new Cable({ clock, device: this.device, ...options.cable });
    this.port = new TapPort(new MemoryPort({ path: 'memory', clock, cable: this.cable }));
    this.acceptor = this.boot();
  }

  boot(): CcnetAcceptor {
    this.acceptor = new CcnetAcceptor({
      port: this.port,
      clock: this.clock,
      log: silentLog,
      options: { currency: 'USD', ...this.#options.driver },
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

  async initialise(): Promise<InitialiseOutcome> {
    const outcome = await this.run(this.acceptor.initialise());
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
    expect(this.credits.length).toBeLessThanOrEqual(inBox);
  }
}

export function count(notes: Notes): number {
  return Object.values(notes).reduce((sum, value) => sum + value, 0);
}
