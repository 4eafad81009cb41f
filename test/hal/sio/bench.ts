import { SioDevice, type SioDeviceOptions } from '#hal/simulator/sio/device.ts';
import { SioAcceptor, type SioOptions } from '#hal/sio/driver.ts';
import type { MinorUnits } from '#protocol/base/money.ts';
import { AcceptorBench, type BenchCable, dollars } from '../acceptor-bench.ts';

export { count, dollars } from '../acceptor-bench.ts';

export interface BenchOptions {
  readonly device?: SioDeviceOptions;
  readonly driver?: Partial<SioOptions>;
  readonly cable?: BenchCable;
}

export const CHANNELS = [1, 2, 5, 10, 20, 50, 100];
export const ALL_VALUES = CHANNELS.map(dollars);

export class Bench extends AcceptorBench<SioDevice, SioAcceptor> {
  /** Notes that may be in the box, of which nobody knows. */
  doubts = 0;

  constructor({ device = {}, driver = {}, cable }: BenchOptions = {}) {
    const line = device.baudRate === undefined ? {} : { baudRate: device.baudRate };
    const options = { model: device.model ?? 'nv10', currency: 'USD', channels: CHANNELS };
    super({
      device: (clock) => new SioDevice({ clock, options: { channels: CHANNELS, ...device } }),
      acceptor: (parts) =>
        new SioAcceptor({ ...parts, options: { ...options, ...line, ...driver } }),
      cable,
      values: ALL_VALUES,
    });
  }

  protected override onUnexpected(value: MinorUnits | undefined): void {
    if (value === undefined) this.doubts++;
    else super.onUnexpected(value);
  }

  /** How often a byte left the driver. */
  sent(code: number): number {
    const hex = code.toString(16);
    return this.port.sent.filter((one) => one === hex).length;
  }
}
