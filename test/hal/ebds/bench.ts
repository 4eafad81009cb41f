import { EbdsAcceptor } from '#hal/ebds/driver.ts';
import type { EbdsOptions } from '#hal/ebds/options.ts';
import { EbdsFramer, encodeFrame } from '#hal/ebds/wire.ts';
import { EbdsDevice, type EbdsDeviceOptions } from '#hal/simulator/ebds/device.ts';
import { ebdsOptions } from '#hal/simulator/ebds/protocol.ts';
import { AcceptorBench, type BenchCable, dollars } from '../acceptor-bench.ts';

export { count, dollars } from '../acceptor-bench.ts';

export interface BenchOptions {
  readonly device?: EbdsDeviceOptions;
  readonly driver?: Partial<EbdsOptions>;
  readonly cable?: BenchCable | undefined;
}

/** Every dollar value of the simulated device's table. */
export const ALL_VALUES = [1, 2, 5, 10, 20, 50, 100].map(dollars);

const USD = { currency: 'USD', cassettes: {} };

/** Notes described, in both lengths of inhibits, and notes numbered: what is promised holds on all. */
export const MODELS: readonly (readonly [string, EbdsDeviceOptions])[] = [
  ['cashflow-sc', ebdsOptions('cashflow-sc', USD)],
  ['sc-advance', { ...ebdsOptions('sc-advance', USD), confirmsExtended: true }],
  ['apex-7000', ebdsOptions('apex-7000', USD)],
];

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

export class Bench extends AcceptorBench<EbdsDevice, EbdsAcceptor> {
  constructor({ device = {}, driver = {}, cable }: BenchOptions = {}) {
    super({
      device: (clock) => new EbdsDevice({ clock, options: device }),
      acceptor: (parts) => new EbdsAcceptor({ ...parts, options: { currency: 'USD', ...driver } }),
      cable,
      values: ALL_VALUES,
    });
  }

  /** Frames that were sent for this, each once: a frame that was said again counts as one. */
  sent(command: string): number {
    const frames = this.port.sent.filter((hex, at, all) => hex !== all[at - 1]);
    return frames.filter((hex) => commandOf(hex) === command).length;
  }
}
