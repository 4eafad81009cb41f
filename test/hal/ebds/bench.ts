import { expect } from 'vitest';
import type {
  CashAcceptorEvent,
  DepositOutcome,
  InitialiseOutcome,
  ReturnOutcome,
} from '#hal/cash-acceptor.ts';
import { EbdsAcceptor } from '#hal/ebds/driver.ts';
import type { EbdsOptions } from '#hal/ebds/options.ts';
import { EbdsFramer, encodeFrame } from '#hal/ebds/wire.ts';
import { Cable, type CableOptions } from '#hal/simulator/cable.ts';
import type { Notes } from '#hal/simulator/device.ts';
import { EbdsDevice, type EbdsDeviceOptions } from '#hal/simulator/ebds/device.ts';
import { ebdsOptions } from '#hal/simulator/ebds/protocol.ts';
import { MemoryPort } from '#hal/simulator/memory-port.ts';
import { silentLog } from '#protocol/base/log.ts';
import { type MinorUnits, minorUnits } from '#protocol/base/money.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { TapPort } from '../id003/bench.ts';

export interface BenchOptions {
  readonly device?: EbdsDeviceOptions;
  readonly driver?: Partial<EbdsOptions>;
  readonly cable?: Partial<Pick<CableOptions, 'paced' | 'split' | 'faults'>>;
}

/** Every dollar value of the simulated device's table. */
export const ALL_VALUES = [1, 2, 5, 10, 20, 50, 100].map((dollars) => minorUnits(dollars * 100));

const USD = { currency: 'USD', cassettes: {} };

/** Notes described, in both lengths of inhibits, and notes numbered: what is promised holds on all. */
export const MODELS: readonly (readonly [string, EbdsDeviceOptions])[] = [
  ['cashflow-sc', ebdsOptions('cashflow-sc', USD)],
  ['sc-advance', { ...ebdsOptions('sc-advance', USD), confirmsExtended: true }],
  ['apex-7000', ebdsOptions('apex-7000', USD)],
];

export const dollars = (value: number): MinorUnits => minorUnits(value * 100);

/** A frame in hex, without spaces. */
export const hexOf = (type: number, ack: 0 | 1, ...data: number[]): string =>
  Buffer.from(encodeFrame(type, ack, data)).toString('hex');

/** What a frame that was sent is for; the word of an omnibus command is its second byte. */
export function commandOf(hex: string): string {
  const [event] = new EbdsFramer().push(Uint8Array.from(Buffer.from(hex, 'hex')));
  if (event?.kind !== 'frame') return 'noise';
  const { type, data } = event.frame;
  const [first = 0, mode = 0, third = 0] = data;
  if (type === 6) return third === 0x7f ? 'reset' : `auxiliary ${third}`;
  if (type === 7) return `extended ${first}`;
  if (type !== 1) return `type ${type}`;
  return (mode & 0x20) !== 0 ? 'stack' : (mode & 0x40) !== 0 ? 'return' : 'poll';
}

/** One driver on one simulated device, on virtual time. `boot` replaces the program alone. */
export class Bench {
  readonly clock = new VirtualClock();
  readonly device: EbdsDevice;
  readonly cable: Cable;
  readonly port: TapPort;
  readonly events: CashAcceptorEvent[] = [];
  /** Everything that told of money in the box, once each. */
  readonly credits: string[] = [];
  #options: BenchOptions;
  #inserted = 0;
  acceptor: EbdsAcceptor;

  constructor(options: BenchOptions = {}) {
    this.#options = options;
    const { clock } = this;
    this.device = new EbdsDevice({ clock, options: options.device ?? {} });
    this.cable = new Cable({ clock, device: this.device, ...options.cable });
    this.port = new TapPort(new MemoryPort({ path: 'memory', clock, cable: this.cable }));
    this.acceptor = this.boot();
  }

  boot(): EbdsAcceptor {
    this.acceptor = new EbdsAcceptor({
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

  /** Frames that were sent for this, each once: a frame that was said again counts as one. */
  sent(command: string): number {
    const frames = this.port.sent.filter((hex, at, all) => hex !== all[at - 1]);
    return frames.filter((hex) => commandOf(hex) === command).length;
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
