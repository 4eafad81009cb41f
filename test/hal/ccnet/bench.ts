import { CcnetAcceptor } from '#hal/ccnet/driver.ts';
import type { CcnetOptions } from '#hal/ccnet/options.ts';
import { CcnetDevice, type CcnetDeviceOptions } from '#hal/simulator/ccnet/device.ts';
import { AcceptorBench, type BenchCable, dollars } from '../acceptor-bench.ts';

export { count, dollars } from '../acceptor-bench.ts';

export interface BenchOptions {
  readonly device?: CcnetDeviceOptions;
  readonly driver?: Partial<CcnetOptions>;
  readonly cable?: BenchCable | undefined;
}

/** Every dollar value of the simulated device's table. */
export const ALL_VALUES = [1, 2, 5, 10, 20, 50, 100].map(dollars);

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

export class Bench extends AcceptorBench<CcnetDevice, CcnetAcceptor> {
  constructor({ device = {}, driver = {}, cable }: BenchOptions = {}) {
    super({
      device: (clock) => new CcnetDevice({ clock, options: device }),
      acceptor: (parts) => new CcnetAcceptor({ ...parts, options: { currency: 'USD', ...driver } }),
      cable,
      values: ALL_VALUES,
    });
  }
}
