import fc from 'fast-check';
import { test } from 'vitest';
import { id003Faults } from '#hal/simulator/id003/mechanism.ts';
import { soak } from '../trouble-soak.ts';
import { Bench } from './bench.ts';

test('any trouble: each note in one place, never more credits than notes in the box', () =>
  soak({
    faults: Object.keys(id003Faults),
    options: fc.record({ creditAfterPowerUpInStacker: fc.boolean() }),
    make: (device) => new Bench({ device }),
  }));
