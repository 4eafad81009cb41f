import { expect } from 'vitest';
import type {
  CashAcceptorEvent,
  DepositOutcome,
  InitialiseOutcome,
  ReturnOutcome,
} from '#hal/cash-acceptor.ts';
import { Cable, type CableOptions } from '#hal/simulator/cable.ts';
import type { Notes } from '#hal/simulator/device.ts';
import { MemoryPort } from '#hal/simulator/memory-port.ts';
import { SioDevice, type SioDeviceOptions } from '#hal/simulator/sio/device.ts';
import { SioAcceptor, type SioOptions } from '#hal/sio/driver.ts';
import { silentLog } from '#protocol/base/log.ts';
import { type MinorUnits, minorUnits } from '#protocol/base/money.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { TapPort } from '../id003/bench.ts';

export interface BenchOptions {
  readonly device?: SioDeviceOptions;
  readonly driver?: Partial<SioOptions>;
  readonly cable?: Partial<Pick<CableOptions, 'paced' | 'split' | 'faults'>>;
}

export const CHANNELS = [1, 2, 5, 10, 20, 50, 100];
export const ALL_VALUES = CHANNELS.map((dollars) => minorUnits(dollars * 100));
export const dollars = (value: number): MinorUnits => minorUnits(value * 100);

/** One driver on one simulated device, on virtual time. */
export class Bench {
  readonly clock = new VirtualClock();
  readonly device: SioDevice;
  readonly cable: Cable;
  readonly port: TapPort;
  readonly events: CashAcceptorEvent[] = [];
  readonly acceptor: SioAcceptor;
  /** Everything that told of money in the box, once each. */
  credits = 0;
  /** Notes that may be in the box, of which nobody knows. */
  doubts = 0;
  inserted = 0;

  constructor({ device = {}, driver = {}, cable = {} }: BenchOptions = {}) {
    const { clock } = this;
    this.device = new SioDevice({ clock, options: { channels: CHANNELS, ...device } });
    this.cable = new Cable({ clock, device: this.device, ...cable });
    this.port = new TapPort(new MemoryPort({ path: 'memory', clock, cable: this.cable }));
    this.acceptor = new SioAcceptor({
      port: this.port,
      clock,
      log: silentLog,
      options: {
        model: device.model ?? 'nv10',
        currency: 'USD',
        channels: CHANNELS,
        ...(device.baudRate === undefined ? {} : { baudRate: device.baudRate }),
        ...driver,
      },
    });
    this.acceptor.subscribe((event) => {
      this.events.push(event);
      if (event.kind !== 'credit.unexpected') return;
      if (event.value === undefined) this.doubts++;
      else this.credits++;
    });
  }

  run<T>(promise: Promise<T>, limitMs?: number): Promise<T> {
    return this.clock.resolve(promise, limitMs);
  }

  initialise(): Promise<InitialiseOutcome> {
    return this.run(this.acceptor.initialise());
  }

  async deposit(): Promise<DepositOutcome> {
    const outcome = await this.run(this.acceptor.deposit());
    if (outcome.kind === 'deposited') this.credits++;
    return outcome;
  }

  async returnNote(): Promise<ReturnOutcome> {
    const outcome = await this.run(this.acceptor.returnNote());
    if (outcome.kind === 'deposited') this.credits++;
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

  /** How often a byte left the driver. */
  sent(code: number): number {
    const hex = code.toString(16);
    return this.port.sent.filter((one) => one === hex).length;
  }

  /** Every note is in one place, and nothing was credited that does not lie in the box. */
  expectConserved(removedFromBox = 0): void {
    const { path, cashbox, customer } = this.device.truth();
    const inBox = count(cashbox) + removedFromBox;
    expect(count(path) + inBox + count(customer)).toBe(this.inserted);
    expect(this.credits).toBeLessThanOrEqual(inBox);
  }
}

export function count(notes: Notes): number {
  return Object.values(notes).reduce((sum, value) => sum + value, 0);
}
