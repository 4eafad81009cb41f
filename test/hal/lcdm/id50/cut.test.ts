/**
 * An LCDM-2000: the line and the power are cut, and bytes are damaged, at every byte of a dispense
 * of both bays. Each time the outcome must agree with where the notes are, no note may be lost, and
 * no command may leave twice.
 */
import { expect, test } from 'vitest';
import type { DispenseOutcome } from '#hal/cash-dispenser.ts';
import { ID50 } from '#hal/lcdm/wire.ts';
import type { CableDamage, CableDirection } from '#hal/simulator/cable.ts';
import { asked, gone, type Rig, readyRig, sentCommands, total } from '../rig.ts';

const DIRECTIONS: readonly CableDirection[] = ['toDevice', 'toHost'];
const ASK = { 1: 2, 2: 1 } as const;

async function bytesOfDispense(direction: CableDirection): Promise<number> {
  const rig = await readyRig({ device: { model: 'lcdm-2000' } });
  const before = rig.cable.passed(direction).bytes;
  await rig.clock.resolve(rig.dispenser.dispense(asked(ASK)));
  return rig.cable.passed(direction).bytes - before;
}

interface Run {
  readonly rig: Rig;
  readonly outcome: DispenseOutcome;
}

async function runWith(
  direction: CableDirection,
  nth: number,
  makeDamage: (rig: Rig) => CableDamage,
): Promise<Run> {
  const rig = await readyRig({ device: { model: 'lcdm-2000' } });
  const passed = rig.cable.passed(direction).bytes;
  rig.cable.addFault({ direction, unit: 'byte', nth: passed + nth, ...makeDamage(rig) });
  const outcome = await rig.clock.resolve(rig.dispenser.dispense(asked(ASK)));
  return { rig, outcome };
}

async function expectSound({ rig, outcome }: Run): Promise<void> {
  // What was started in spite of the outcome would have come to its end by then.
  await rig.clock.advance(3000);
  const truth = rig.device.truth();
  expect(gone(truth)).toBe(total(truth.customer) + total(truth.reject) + total(truth.path));
  for (const code of [0x45, 0x55]) {
    expect(sentCommands(rig, code, ID50).length).toBeLessThanOrEqual(1);
  }
  if (outcome.kind === 'notExecuted') expect(gone(truth)).toBe(0);
  if (outcome.kind === 'answered') {
    const sum = (what: 'presented' | 'rejected') =>
      outcome.units.reduce((all, unit) => all + unit[what], 0);
    expect(sum('presented')).toBe(total(truth.customer));
    expect(sum('rejected')).toBe(total(truth.reject));
    if (outcome.error === undefined) expect(sum('presented')).toBe(3);
  }
}

/** Sensors are all that the unit has to say afterwards. */
async function expectToldAfterwards({ rig }: Run): Promise<void> {
  rig.device.control({ do: 'power', on: true });
  await rig.clock.advance(10_000);
  const truth = rig.device.truth();
  const status = await rig.clock.resolve(rig.dispenser.status());
  expect(status.device).toBe('attention');
  expect(status.path).toBe(total(truth.path) > 0 ? 'notes' : 'clear');
  await rig.clock.resolve(rig.dispenser.initialise());
  expect((await rig.clock.resolve(rig.dispenser.status())).device).toBe('ready');
}

const damages: readonly CableDamage[] = [
  { do: 'drop' },
  { do: 'flip' },
  { do: 'flip', mask: 0x01 },
  { do: 'double' },
  { do: 'insert', bytes: [0x15] },
  { do: 'insert', bytes: [0x06] },
  { do: 'insert', bytes: [0x8d] },
  { do: 'insert', bytes: [0xff, 0x01, 0x50] },
  { do: 'delay', ms: 400 },
];

test.each(DIRECTIONS)('every damage of every byte %s', async (direction) => {
  const kinds = new Set<string>();
  const bytes = await bytesOfDispense(direction);
  for (let nth = 0; nth < bytes; nth++) {
    for (const damage of damages) {
      const run = await runWith(direction, nth, () => damage);
      await expectSound(run);
      kinds.add(run.outcome.kind);
    }
  }
  expect(bytes).toBeGreaterThan(25);
  expect(kinds).toContain('answered');
});

test.each(DIRECTIONS)('the power is cut at every byte %s', async (direction) => {
  const bytes = await bytesOfDispense(direction);
  for (let nth = 0; nth < bytes; nth++) {
    const run = await runWith(direction, nth, (rig) => ({
      do: 'cut',
      task: () => rig.device.control({ do: 'power', on: false }),
    }));
    await expectSound(run);
    await expectToldAfterwards(run);
  }
});

test.each(DIRECTIONS)('the line is cut at every byte %s', async (direction) => {
  const bytes = await bytesOfDispense(direction);
  for (let nth = 0; nth < bytes; nth++) {
    const run = await runWith(direction, nth, (rig) => ({
      do: 'cut',
      task: () => rig.cable.unplug(),
    }));
    await expectSound(run);
    await run.rig.clock.advance(5000);
    run.rig.cable.plug();
    await expectToldAfterwards(run);
  }
});

test('the power is cut at any moment while notes move', async () => {
  const onPath = new Set<number>();
  for (let afterMs = 25; afterMs < 1500; afterMs += 50) {
    const rig = await readyRig({ device: { model: 'lcdm-2000' } });
    const moving = rig.dispenser.dispense(asked(ASK));
    await rig.clock.until(() => sentCommands(rig, 0x45, ID50).length === 1);
    await rig.clock.advance(afterMs);
    rig.device.control({ do: 'power', on: false });
    const outcome = await rig.clock.resolve(moving);
    await expectSound({ rig, outcome });
    onPath.add(total(rig.device.truth().path));
    await expectToldAfterwards({ rig, outcome });
  }
  expect([...onPath].sort()).toEqual([0, 1]);
});
