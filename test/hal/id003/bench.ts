import { Id003Acceptor, type Id003Options } from '#hal/id003/driver.ts';
import { Id003Device, type Id003DeviceOptions } from '#hal/simulator/id003/device.ts';
import { AcceptorBench, type BenchCable, dollars } from '../acceptor-bench.ts';

export { count, dollars } from '../acceptor-bench.ts';

export interface BenchOptions {
  readonly device?: Id003DeviceOptions;
  readonly driver?: Partial<Id003Options>;
  readonly cable?: BenchCable | undefined;
}

/** Every dollar value of the simulated device's table. */
export const ALL_VALUES = [1, 5, 10, 20, 50, 100].map(dollars);

export class Bench extends AcceptorBench<Id003Device, Id003Acceptor> {
  constructor({ device = {}, driver = {}, cable }: BenchOptions = {}) {
    super({
      device: (clock) => new Id003Device({ clock, options: device }),
      acceptor: (parts) => new Id003Acceptor({ ...parts, options: { currency: 'USD', ...driver } }),
      cable,
      values: ALL_VALUES,
    });
  }
}
