import { expect } from 'vitest';
import { SspDevice, type SspDeviceOptions } from '#hal/simulator/ssp/device.ts';
import { SspAcceptor } from '#hal/ssp/driver.ts';
import type { SspModelName } from '#hal/ssp/models.ts';
import type { SspOptions } from '#hal/ssp/options.ts';
import { seededRandom } from '#test/support/seeded-random.ts';
import { AcceptorBench, type BenchCable, count, dollars } from '../acceptor-bench.ts';

export { count, dollars } from '../acceptor-bench.ts';

export interface RigOptions {
  readonly model?: SspModelName;
  readonly device?: SspDeviceOptions;
  readonly driver?: Partial<SspOptions>;
  readonly cable?: BenchCable | undefined;
}

/** Every dollar value of the simulated device's dataset. */
export const ALL_VALUES = [1, 2, 5, 10, 20, 50, 100].map(dollars);

/** Both ways of speaking: every scenario must hold in each. */
export const MODELS: readonly SspModelName[] = ['ssp', 'essp'];

export class Rig extends AcceptorBench<SspDevice, SspAcceptor> {
  readonly model: SspModelName;

  constructor({ model = 'ssp', device = {}, driver = {}, cable }: RigOptions = {}) {
    const encryption = model === 'essp' ? 'required' : 'optional';
    const random = seededRandom('ssp rig');
    super({
      device: (clock) => {
        const options = { encryption, random: seededRandom('ssp device'), ...device } as const;
        return new SspDevice({ clock, options });
      },
      acceptor: (parts) =>
        new SspAcceptor({ ...parts, random, options: { model, currency: 'USD', ...driver } }),
      cable,
      values: ALL_VALUES,
    });
    this.model = model;
  }

  /** Until the note that was taken has left the slot free, and the host has heard so. */
  async settled(): Promise<void> {
    await this.run(this.acceptor.confirmDeposit());
    await this.clock.advance(2000);
  }

  /** A credit may be told while its note is still on the way into the box. */
  override expectConserved(removedFromBox = 0): void {
    const { path, cashbox, customer } = this.device.truth();
    const inBox = count(cashbox) + removedFromBox;
    expect(count(path) + inBox + count(customer)).toBe(this.inserted);
    expect(this.credits.length).toBeLessThanOrEqual(inBox + count(path));
  }
}
