import fc from 'fast-check';
import { test } from 'vitest';
import { ccnetFaults } from '#hal/simulator/ccnet/faults.ts';
import { soak } from '../trouble-soak.ts';
import { Bench } from './bench.ts';

test('any trouble: each note in one place, never more credits than notes in the box', () =>
  soak({
    faults: Object.keys(ccnetFaults),
    options: fc.record({
      creditAfterPowerUpInStacker: fc.boolean(),
      strictAck: fc.boolean(),
      strictTiming: fc.boolean(),
      refitNeedsReset: fc.boolean(),
    }),
    make: (device) => new Bench({ device }),
    // Asked who it is only where the book allows it, and never in a rest of the bus.
    neverSaid: /only when|had to rest/,
  }));
