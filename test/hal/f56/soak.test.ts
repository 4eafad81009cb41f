/**
 * Dispenses with any trouble at any moment; whatever happens, no note is made up and none is
 * lost.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { DispenseOutcome } from '#hal/cash-dispenser.ts';
import { f56Faults } from '#hal/simulator/f56/faults.ts';
import { soakSettings } from '../soak.ts';
import { asked, type Rig, readyRig, sentCommands, take, total } from './rig.ts';

/** What is most common in the field, and most told of in counts, comes more often. */
const OFTEN = ['pickUpFailure', 'pickUpFailure', 'pickUpFailure', 'keepsNotes'];
const FAULTS = [...Object.keys(f56Faults).filter((name) => name !== 'loseNote'), ...OFTEN];
const START = 40;

const trouble = fc.record({
  faults: fc.array(
    fc.record({
      name: fc.constantFrom(...FAULTS),
      times: fc.integer({ min: 1, max: 6 }),
      value: fc.option(fc.constantFrom(1, 2, 3, 400, 0x1600, 0xe100), { nil: undefined }),
      afterMs: fc.integer({ min: 0, max: 2000 }),
    }),
    { maxLength: 3 },
  ),
  unplugMs: fc.option(fc.integer({ min: 0, max: 2500 }), { nil: undefined, freq: 5 }),
  cutMs: fc.option(fc.integer({ min: 0, max: 2500 }), { nil: undefined, freq: 5 }),
  takeMs: fc.option(fc.integer({ min: 0, max: 4000 }), { nil: undefined }),
  first: fc.integer({ min: 0, max: 6 }),
  second: fc.integer({ min: 1, max: 6 }),
});

type Trouble = typeof trouble extends fc.Arbitrary<infer T> ? T : never;

const NO_TROUBLE: Trouble = {
  faults: [],
  unplugMs: undefined,
  cutMs: undefined,
  takeMs: undefined,
  first: 2,
  second: 1,
};
const ALWAYS: readonly Trouble[][] = [[NO_TROUBLE], [{ ...NO_TROUBLE, unplugMs: 1000 }]];

interface Places {
  readonly bays: number;
  readonly customer: number;
  readonly reject: number;
  readonly path: number;
}

function places(rig: Rig): Places {
  const { units, customer, reject, path } = rig.device.truth();
  return {
    bays: Object.values(units).reduce((sum, unit) => sum + unit.count, 0),
    customer: total(customer),
    reject: total(reject),
    path: total(path),
  };
}

/** Lifts every trouble and brings the unit back into service, as people and the agent would. */
async function settle(rig: Rig): Promise<void> {
  const { cable, clock, device, dispenser } = rig;
  for (const name of Object.keys(f56Faults)) device.control({ do: 'fault', name, times: 0 });
  for (let attempt = 0; attempt < 10; attempt++) {
    cable.plug();
    device.control({ do: 'power', on: true });
    await clock.advance(20_000);
    take(rig);
    const status = await clock.resolve(dispenser.status());
    if (status.device === 'ready') return;
    if (status.device === 'attention') await clock.resolve(dispenser.initialise());
  }
  expect((await clock.resolve(dispenser.status())).device).toBe('ready');
}

/** What the outcome says must be so, as far as it says anything. */
function expectTrue(outcome: DispenseOutcome, before: Places, after: Places): void {
  const out = after.customer - before.customer;
  if (outcome.kind === 'notExecuted') expect(after.bays).toBe(before.bays);
  if (outcome.kind !== 'answered' || outcome.error?.countsTrusted === false) return;
  const presented = outcome.units.reduce((sum, unit) => sum + unit.presented, 0);
  const rejected = outcome.units.reduce((sum, unit) => sum + unit.rejected, 0);
  expect(presented).toBe(out);
  expect(rejected).toBe(after.reject - before.reject);
  expect(presented + rejected).toBe(before.bays - after.bays);
}

test('any trouble: each note in one place, and nothing said that is not so', async () => {
  const kinds = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(fc.array(trouble, { minLength: 1, maxLength: 5 }), async (troubles) => {
      const cassettes = {
        1: { denomination: 20, count: START },
        2: { denomination: 50, count: START },
      };
      const rig = await readyRig({ device: { cassettes } });
      const { clock, device, cable, dispenser } = rig;
      let commands = 0;
      for (const step of troubles) {
        for (const { name, times, value, afterMs } of step.faults) {
          const fault = { do: 'fault', name, times } as const;
          clock.after(afterMs, () =>
            device.control(value === undefined ? fault : { ...fault, value }),
          );
        }
        if (step.unplugMs !== undefined) clock.after(step.unplugMs, () => cable.unplug());
        if (step.cutMs !== undefined) {
          clock.after(step.cutMs, () => device.control({ do: 'power', on: false }));
        }
        if (step.takeMs !== undefined) clock.after(step.takeMs, () => take(rig));
        const before = places(rig);
        const units = asked({ 1: step.first, 2: step.second });
        const outcome = await clock.resolve(dispenser.dispense(units));
        const sent = sentCommands(rig, 'billCount').length;
        expect(sent - commands).toBeLessThanOrEqual(1);
        commands = sent;
        // Nothing goes on that was called done: only what is unknown may.
        const told = outcome.kind === 'unknown' ? undefined : places(rig);
        await clock.advance(5000);
        const after = places(rig);
        if (told) expect(after.bays).toBe(told.bays);
        expectTrue(outcome, before, { ...after, reject: told?.reject ?? after.reject });
        expect(after.bays + after.customer + after.reject + after.path).toBe(2 * START);
        const words = outcome.kind === 'answered' ? (outcome.error?.countsTrusted ?? 'clean') : '';
        const kind = `${outcome.kind} ${words}`;
        kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
        await settle(rig);
      }
      await clock.resolve(dispenser.close());
      device.stop();
      await clock.advance(10_000);
      expect(clock.pending).toBe(0);
    }),
    { ...soakSettings(100), examples: ALWAYS.map((troubles) => [troubles]) },
  );
  // The two below are always among them.
  expect(kinds.get('answered clean')).toBeGreaterThan(0);
  expect(kinds.get('unknown ')).toBeGreaterThan(0);
});
