/** Notes handed out with any trouble at any moment; whatever happens, none is made up or lost. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { DispenseOutcome } from '#hal/cash-dispenser.ts';
import type { LcdmModelName } from '#hal/lcdm/models.ts';
import { lcdmFaults } from '#hal/simulator/lcdm/faults.ts';
import { soakSettings } from '../soak.ts';
import { asked, gone, type Rig, readyRig, total } from './rig.ts';

/** A note that is nowhere is what the law below must not allow: it is tried by itself. */
const FAULTS = Object.keys(lcdmFaults).filter((name) => name !== 'loseNote');
const MODELS: readonly LcdmModelName[] = ['lcdm-4000', 'lcdm-4000-lamassu', 'lcdm-2000'];

const trouble = fc.record({
  fault: fc.option(fc.constantFrom(...FAULTS), { nil: undefined }),
  value: fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined }),
  times: fc.integer({ min: 1, max: 4 }),
  unplugMs: fc.option(fc.integer({ min: 0, max: 3000 }), { nil: undefined, freq: 5 }),
  cutMs: fc.option(fc.integer({ min: 0, max: 3000 }), { nil: undefined, freq: 5 }),
  upper: fc.integer({ min: 0, max: 4 }),
  lower: fc.integer({ min: 0, max: 4 }),
});

/** Lifts every trouble, and does what people and the agent would do. */
async function settle(rig: Rig): Promise<void> {
  for (const name of FAULTS) rig.device.control({ do: 'fault', name, times: 0 });
  rig.cable.plug();
  rig.device.control({ do: 'power', on: true });
  await rig.clock.advance(10_000);
  rig.device.control({ do: 'take' });
  for (let round = 0; round < 3; round++) {
    if ((await rig.clock.resolve(rig.dispenser.status())).device === 'ready') return;
    await rig.clock.resolve(rig.dispenser.initialise());
  }
  expect((await rig.clock.resolve(rig.dispenser.status())).device).toBe('ready');
}

interface Moved {
  readonly gone: number;
  readonly customer: number;
  readonly reject: number;
}

function movedSince(rig: Rig, before: Moved): Moved {
  const truth = rig.device.truth();
  return {
    gone: gone(truth) - before.gone,
    customer: total(truth.customer) - before.customer,
    reject: total(truth.reject) - before.reject,
  };
}

/** What may be concluded from an outcome is so. */
function expectTrue(outcome: DispenseOutcome, moved: Moved, wanted: number): void {
  if (outcome.kind === 'notExecuted') expect(moved.gone).toBe(0);
  if (outcome.kind !== 'answered' || outcome.error?.countsTrusted === false) return;
  const sum = (what: 'presented' | 'rejected') =>
    outcome.units.reduce((all, unit) => all + unit[what], 0);
  expect(sum('presented')).toBe(moved.customer);
  expect(sum('rejected')).toBe(moved.reject);
  expect(sum('presented')).toBeLessThanOrEqual(wanted);
}

test.each(MODELS)(
  '%s: any trouble, each note in one place, nothing said untruly',
  async (model) => {
    await fc.assert(
      fc.asyncProperty(fc.array(trouble, { minLength: 1, maxLength: 5 }), async (troubles) => {
        const rig = await readyRig({ device: { model } });
        for (const { fault, value, times, unplugMs, cutMs, upper, lower } of troubles) {
          const wanted = upper + lower;
          if (wanted === 0) continue;
          const set = value === undefined ? {} : { value };
          if (fault) rig.device.control({ do: 'fault', name: fault, times, ...set });
          if (unplugMs !== undefined) rig.clock.after(unplugMs, () => rig.cable.unplug());
          if (cutMs !== undefined) {
            rig.clock.after(cutMs, () => rig.device.control({ do: 'power', on: false }));
          }
          const before = movedSince(rig, { gone: 0, customer: 0, reject: 0 });
          const counts = asked({
            ...(upper > 0 ? { 1: upper } : {}),
            ...(lower > 0 ? { 2: lower } : {}),
          });
          const outcome = await rig.clock.resolve(rig.dispenser.dispense(counts));
          // A command that went on without us would have come to its end by then.
          await rig.clock.advance(10_000);
          const truth = rig.device.truth();
          expect(gone(truth)).toBe(total(truth.customer) + total(truth.reject) + total(truth.path));
          expectTrue(outcome, movedSince(rig, before), wanted);
          // All is well only when all went out, unless the unit was made to say so of nothing.
          const isWell = outcome.kind === 'answered' && !outcome.error && fault !== 'error';
          if (isWell) expect(movedSince(rig, before).customer).toBe(wanted);
          await settle(rig);
        }
        await rig.dispenser.close();
        rig.device.stop();
      }),
      soakSettings(60),
    );
  },
);
