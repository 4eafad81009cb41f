import fc from 'fast-check';
import { test } from 'vitest';
import { ebdsFaults } from '#hal/simulator/ebds/faults.ts';
import { soak } from '../trouble-soak.ts';
import { Bench, MODELS } from './bench.ts';

test('any trouble: each note in one place, never more credits than notes in the box', () =>
  soak({
    faults: Object.keys(ebdsFaults),
    options: fc.record({
      reportsCreditAfterPowerUp: fc.boolean(),
      showsHeldNote: fc.boolean(),
      resetGivesBack: fc.boolean(),
      jamNeedsReset: fc.boolean(),
      model: fc.constantFrom(...MODELS),
    }),
    make: ({ model: [, model], ...switches }) => new Bench({ device: { ...model, ...switches } }),
  }));
