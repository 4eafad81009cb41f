/**
 * The line and the power are cut, and bytes are damaged, at every byte of a dispense in turn. Each
 * time the outcome must agree with where the notes are, no note may be lost, no second command may
 * leave; and when the power is back, the unit's own words must tell what happened, or tell nothing.
 */
import { describe, expect, test } from 'vitest';
import type { DispenseBaseline, DispenseOutcome } from '#hal/cash-dispenser.ts';
import type { LcdmModelName } from '#hal/lcdm/models.ts';
import type { CableDamage, CableDirection } from '#hal/simulator/cable.ts';
import type { LastResultMemory } from '#hal/simulator/lcdm/mechanism.ts';
import { asked, gone, type Rig, readyRig, sentCommands, total } from './rig.ts';

const MODELS: readonly LcdmModelName[] = ['lcdm-4000', 'lcdm-4000-lamassu'];
const DIRECTIONS: readonly CableDirection[] = ['toDevice', 'toHost'];
const DISPENSE = 0x52;
const ASK = { 1: 2, 2: 1 } as const;

interface Run {
  readonly rig: Rig;
  readonly outcome: DispenseOutcome;
  readonly before: DispenseBaseline;
}

/** Bytes of one dispense, with the questions before it. */
async function bytesOfDispense(model: LcdmModelName): Promise<Record<CableDirection, number>> {
  const rig = await readyRig({ device: { model } });
  await rig.clock.resolve(rig.dispenser.baseline());
  const before = DIRECTIONS.map((direction) => rig.cable.passed(direction).bytes);
  await rig.clock.resolve(rig.dispenser.dispense(asked(ASK)));
  const [toDevice = 0, toHost = 0] = DIRECTIONS.map(
    (direction, at) => rig.cable.passed(direction).bytes - (before[at] ?? 0),
  );
  return { toDevice, toHost };
}

async function runWith(
  model: LcdmModelName,
  direction: CableDirection,
  nth: number,
  makeDamage: (rig: Rig) => CableDamage,
): Promise<Run> {
  const rig = await readyRig({ device: { model } });
  const before = await rig.clock.resolve(rig.dispenser.baseline());
  const passed = rig.cable.passed(direction).bytes;
  rig.cable.addFault({ direction, unit: 'byte', nth: passed + nth, ...makeDamage(rig) });
  const outcome = await rig.clock.resolve(rig.dispenser.dispense(asked(ASK)));
  return { rig, outcome, before };
}

async function expectSound({ rig, outcome }: Run): Promise<void> {
  // What was started in spite of the outcome would have come to its end by then.
  await rig.clock.advance(3000);
  const truth = rig.device.truth();
  const delivered = total(truth.customer);
  const rejected = total(truth.reject);
  expect(gone(truth)).toBe(delivered + rejected + total(truth.path));
  expect(sentCommands(rig, DISPENSE).length).toBeLessThanOrEqual(1);
  if (outcome.kind === 'notExecuted') expect(gone(truth)).toBe(0);
  if (outcome.kind === 'answered') {
    expect(outcome.units.reduce((sum, unit) => sum + unit.presented, 0)).toBe(delivered);
    expect(outcome.units.reduce((sum, unit) => sum + unit.rejected, 0)).toBe(rejected);
  }
}

const damages: readonly CableDamage[] = [
  { do: 'drop' },
  { do: 'flip' },
  { do: 'flip', mask: 0x01 },
  { do: 'double' },
  { do: 'insert', bytes: [0x15] },
  { do: 'insert', bytes: [0x06] },
  { do: 'insert', bytes: [0xff, 0x01, 0x30] },
  { do: 'delay', ms: 400 },
];

describe.each(MODELS)('%s', (model) => {
  test.each(DIRECTIONS)('every damage of every byte %s', async (direction) => {
    const kinds = new Set<string>();
    const bytes = (await bytesOfDispense(model))[direction];
    for (let nth = 0; nth < bytes; nth++) {
      for (const damage of damages) {
        const run = await runWith(model, direction, nth, () => damage);
        await expectSound(run);
        kinds.add(run.outcome.kind);
      }
    }
    expect(bytes).toBeGreaterThan(25);
    expect(kinds).toContain('answered');
  });

  test.each(DIRECTIONS)('the power is cut at every byte %s', async (direction) => {
    const bytes = (await bytesOfDispense(model))[direction];
    for (let nth = 0; nth < bytes; nth++) {
      const run = await runWith(model, direction, nth, powerCut);
      await expectSound(run);
      await expectToldAfterwards(run, model);
    }
  });

  test.each(DIRECTIONS)('the line is cut at every byte %s', async (direction) => {
    const bytes = (await bytesOfDispense(model))[direction];
    for (let nth = 0; nth < bytes; nth++) {
      const run = await runWith(model, direction, nth, (rig) => ({
        do: 'cut',
        task: () => rig.cable.unplug(),
      }));
      await expectSound(run);
      // The unit goes on by itself, and is asked when it is there again.
      await run.rig.clock.advance(5000);
      run.rig.cable.plug();
      await expectToldAfterwards(run, model);
    }
  });

  test('the power is cut at any moment while notes move', async () => {
    const onPath = new Set<number>();
    for (let afterMs = 25; afterMs < 1200; afterMs += 50) {
      const rig = await readyRig({ device: { model } });
      const before = await rig.clock.resolve(rig.dispenser.baseline());
      const moving = rig.dispenser.dispense(asked(ASK));
      await rig.clock.until(() => sentCommands(rig, DISPENSE).length === 1);
      await rig.clock.advance(afterMs);
      rig.device.control({ do: 'power', on: false });
      const outcome = await rig.clock.resolve(moving);
      await expectSound({ rig, outcome, before });
      onPath.add(total(rig.device.truth().path));
      await expectToldAfterwards({ rig, outcome, before }, model);
    }
    expect([...onPath].sort()).toEqual([0, 1]);
  });

  test.each([0, 1, 2, 3])(
    'the power is cut after note %d, whatever is remembered',
    async (notes) => {
      for (const memory of ['survives', 'finishedOnly', 'lost'] as const) {
        const rig = await readyRig({ device: { model, memory } });
        const before = await rig.clock.resolve(rig.dispenser.baseline());
        rig.device.control({ do: 'fault', name: 'powerCutAfterNote', value: notes });
        const outcome = await rig.clock.resolve(rig.dispenser.dispense(asked(ASK)));
        expect(outcome.kind).toBe('unknown');
        await expectSound({ rig, outcome, before });
        expect(total(rig.device.truth().customer)).toBe(notes);
        await expectToldAfterwards({ rig, outcome, before }, model, memory);
      }
    },
  );
});

test('the same amount twice: only a sequence number tells of the second', async () => {
  for (const model of MODELS) {
    for (const isExecuted of [true, false]) {
      const rig = await readyRig({ device: { model } });
      await rig.clock.resolve(rig.dispenser.dispense(asked(ASK)));
      const before = await rig.clock.resolve(rig.dispenser.baseline());
      const fault = isExecuted ? 'loseResponse' : 'silence';
      rig.device.control({ do: 'fault', name: fault, value: DISPENSE });
      const outcome = await rig.clock.resolve(rig.dispenser.dispense(asked(ASK)));
      expect(outcome.kind).toBe('unknown');
      const after = await rig.clock.resolve(rig.dispenser.baseline());
      expect(after.lastResultHex).toBe(before.lastResultHex);
      expect(total(rig.device.truth().customer)).toBe(isExecuted ? 6 : 3);
      const number = rig.dispenser.capabilities.sequenceNumber ? (isExecuted ? 2 : 1) : undefined;
      expect(after.sequenceNumber).toBe(number);
    }
  }
});

function powerCut(rig: Rig): CableDamage {
  return { do: 'cut', task: () => rig.device.control({ do: 'power', on: false }) };
}

/**
 * What an agent may conclude when the unit answers again, and whether that is so. A last result
 * that has changed is this command's; one that has not proves nothing, unless a number tells.
 */
async function expectToldAfterwards(
  { rig, outcome, before }: Run,
  model: LcdmModelName,
  memory: LastResultMemory = 'survives',
): Promise<void> {
  rig.device.control({ do: 'power', on: true });
  await rig.clock.advance(10_000);
  const truth = rig.device.truth();
  const after = await rig.clock.resolve(rig.dispenser.baseline());
  const last = await rig.clock.resolve(rig.dispenser.lastResult());
  const status = await rig.clock.resolve(rig.dispenser.status());
  expect(status.device).not.toBe('offline');
  expect(status.path === 'notes' || status.exit === 'notes').toBe(total(truth.path) > 0);
  if (total(truth.path) > 0) expect(status.device).toBe('attention');
  const hasChanged = after.lastResultHex !== before.lastResultHex;
  if (hasChanged && last?.dispense) {
    const presented = last.dispense.units.reduce((sum, unit) => sum + unit.presented, 0);
    expect(presented).toBe(total(truth.customer));
  }
  if (memory === 'survives' && gone(truth) > 0) expect(hasChanged).toBe(true);
  if (memory !== 'survives' && outcome.kind === 'unknown') expect(hasChanged).toBe(false);
  if (model !== 'lcdm-4000-lamassu') return;
  const wasExecuted = after.sequenceNumber !== before.sequenceNumber;
  if (!wasExecuted) expect(gone(truth)).toBe(0);
  if (gone(truth) > 0) expect(wasExecuted).toBe(true);
}
