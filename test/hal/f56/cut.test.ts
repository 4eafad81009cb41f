/**
 * The line and the power are cut, and bytes are damaged, at every byte of a dispense in turn. Each
 * time the outcome must agree with where the notes are, no note may be lost, and no second command
 * may leave. The unit has no memory: what is in doubt stays in doubt, and the exit is watched.
 */
import { describe, expect, test } from 'vitest';
import type { DispenseOutcome } from '#hal/cash-dispenser.ts';
import type { CableDamage, CableDirection } from '#hal/simulator/cable.ts';
import { asked, dispense, gone, type Rig, readyRig, sentCommands, take, total } from './rig.ts';

const DIRECTIONS: readonly CableDirection[] = ['toDevice', 'toHost'];
const ASK = { 1: 2, 2: 1 } as const;

interface Run {
  readonly rig: Rig;
  readonly outcome: DispenseOutcome;
}

/** Bytes of one dispense, with the question before it. */
async function bytesOfDispense(): Promise<Record<CableDirection, number>> {
  const rig = await readyRig();
  const before = DIRECTIONS.map((direction) => rig.cable.passed(direction).bytes);
  await rig.clock.resolve(rig.dispenser.dispense(asked(ASK)));
  const [toDevice = 0, toHost = 0] = DIRECTIONS.map(
    (direction, at) => rig.cable.passed(direction).bytes - (before[at] ?? 0),
  );
  return { toDevice, toHost };
}

async function runWith(
  direction: CableDirection,
  nth: number,
  makeDamage: (rig: Rig) => CableDamage,
): Promise<Run> {
  const rig = await readyRig();
  const passed = rig.cable.passed(direction).bytes;
  rig.cable.addFault({ direction, unit: 'byte', nth: passed + nth, ...makeDamage(rig) });
  const outcome = await rig.clock.resolve(rig.dispenser.dispense(asked(ASK)));
  return { rig, outcome };
}

async function expectSound({ rig, outcome }: Run): Promise<void> {
  // What was started in spite of the outcome would have come to its end by then.
  await rig.clock.advance(3000);
  const truth = rig.device.truth();
  const delivered = total(truth.customer);
  const rejected = total(truth.reject);
  expect(gone(truth)).toBe(delivered + rejected + total(truth.path));
  expect(sentCommands(rig, 'billCount').length).toBeLessThanOrEqual(1);
  if (outcome.kind === 'notExecuted') expect(gone(truth)).toBe(0);
  if (outcome.kind === 'answered') {
    expect(outcome.units.reduce((sum, unit) => sum + unit.presented, 0)).toBe(delivered);
    expect(outcome.units.reduce((sum, unit) => sum + unit.rejected, 0)).toBe(rejected);
  }
}

/** When all is well again it works again, without anybody's help but a hand at the exit. */
async function expectMended({ rig }: Run): Promise<void> {
  const { clock, device, cable, dispenser } = rig;
  cable.plug();
  device.control({ do: 'power', on: true });
  await clock.advance(40_000);
  const before = total(device.truth().customer);
  const status = await clock.resolve(dispenser.status());
  expect(status.exit).toBe(before > 0 ? 'notes' : 'clear');
  expect(['ready', 'attention', 'fault']).toContain(status.device);
  take(rig);
  if ((await clock.resolve(dispenser.status())).device !== 'ready') {
    await clock.resolve(dispenser.initialise());
  }
  let again = await dispense(rig, { 1: 1 });
  if (again.kind === 'notExecuted') {
    // The outage fell into a question and was over when that was asked again: the unit says so.
    expect(again.evidence).toContain('f00399e100');
    await clock.resolve(dispenser.initialise());
    again = await dispense(rig, { 1: 1 });
  }
  expect(again).toMatchObject({ kind: 'answered', error: undefined });
  expect(total(device.truth().customer)).toBe(before + 1);
}

const damages: readonly CableDamage[] = [
  { do: 'drop' },
  { do: 'flip' },
  { do: 'flip', mask: 0x01 },
  // ACK into NAK.
  { do: 'flip', mask: 0x13 },
  // ACK into ENQ.
  { do: 'flip', mask: 0x03 },
  { do: 'double' },
  { do: 'insert', bytes: [0x10, 0x15] },
  { do: 'insert', bytes: [0x10, 0x06] },
  { do: 'insert', bytes: [0x10, 0x05] },
  { do: 'insert', bytes: [0xff, 0x10, 0x02] },
  { do: 'delay', ms: 400 },
];

/**
 * Inside of the two long frames of the unit, where one byte is as another: some damages will
 * do.
 */
function isInFrame(direction: CableDirection, nth: number): boolean {
  if (direction === 'toDevice') return false;
  const [status, response] = [6, 76];
  return (nth >= status + 8 && nth < status + 60) || (nth >= response + 8 && nth < response + 161);
}

describe.each(DIRECTIONS)('%s', (direction) => {
  test('every damage of every byte', async () => {
    const kinds = new Set<string>();
    const bytes = (await bytesOfDispense())[direction];
    for (let nth = 0; nth < bytes; nth++) {
      for (const [at, damage] of damages.entries()) {
        if (isInFrame(direction, nth) && (at + nth) % damages.length > 1) continue;
        const run = await runWith(direction, nth, () => damage);
        await expectSound(run);
        kinds.add(run.outcome.kind);
      }
    }
    expect(bytes).toBeGreaterThan(55);
    if (direction === 'toHost') expect(bytes).toBe(76 + 165);
    expect(kinds).toContain('answered');
  });

  test('the power is cut at every byte', async () => {
    const bytes = (await bytesOfDispense())[direction];
    for (let nth = 0; nth < bytes; nth++) {
      const run = await runWith(direction, nth, (rig) => ({
        do: 'cut',
        task: () => rig.device.control({ do: 'power', on: false }),
      }));
      await expectSound(run);
      await expectMended(run);
    }
  });

  test('the line is cut at every byte', async () => {
    const bytes = (await bytesOfDispense())[direction];
    for (let nth = 0; nth < bytes; nth++) {
      const run = await runWith(direction, nth, (rig) => ({
        do: 'cut',
        task: () => rig.cable.unplug(),
      }));
      await expectSound(run);
      await expectMended(run);
    }
  });
});

test('the power is cut at any moment while notes move', async () => {
  const onPath = new Set<number>();
  for (let afterMs = 25; afterMs < 1200; afterMs += 50) {
    const rig = await readyRig();
    const moving = rig.dispenser.dispense(asked(ASK));
    await rig.clock.until(() => sentCommands(rig, 'billCount').length === 1);
    await rig.clock.advance(afterMs);
    rig.device.control({ do: 'power', on: false });
    const run = { rig, outcome: await rig.clock.resolve(moving) };
    await expectSound(run);
    onPath.add(total(rig.device.truth().path));
    await expectMended(run);
  }
  expect([...onPath].sort()).toEqual([0, 1]);
});
