import { describe, expect, test } from 'vitest';
import type { DispenseOutcome } from '#hal/cash-dispenser.ts';
import type { LcdmModelName } from '#hal/lcdm/models.ts';
import { position } from '#protocol/base/ids.ts';
import { counts, expectConserved, fault, play, type Scenario } from '../dispenser-rig.ts';
import { asked, dispense, makeRig, readyRig, sentCommands } from './rig.ts';

const MODELS: readonly LcdmModelName[] = ['lcdm-4000', 'lcdm-4000-lamassu'];
const DISPENSE = 0x52;

const scenarios: readonly Scenario[] = [
  { name: 'all is well', hands: [], expect: { presented: [2, 2] } },
  { name: 'one bay', hands: [], ask: { 2: 5 }, expect: { presented: [0, 5] } },
  {
    name: 'three notes are rejected on the way',
    hands: [fault('reject', undefined, 3)],
    expect: { presented: [2, 2], rejected: [3, 0] },
  },
  {
    name: 'more rejects than the unit allows',
    hands: [fault('reject', undefined, 20)],
    expect: { presented: [0, 0], rejected: [11, 0], error: '0D', isTrusted: true },
  },
  {
    name: 'pick-up fails after three notes',
    hands: [fault('pickUpFailure', 3)],
    expect: { presented: [2, 1], error: '01', isTrusted: true },
  },
  {
    name: 'pick-up fails at once',
    hands: [fault('pickUpFailure')],
    expect: { presented: [0, 0], error: '01', isTrusted: true },
  },
  {
    name: 'a cassette runs empty',
    hands: [{ do: 'cassette', position: 2, count: 1 }],
    expect: { presented: [2, 1], error: '01', isTrusted: true },
  },
  {
    name: 'jam before the diverter',
    hands: [fault('jamBeforeDiverter', 1)],
    expect: { presented: [1, 0], error: '02', isTrusted: true },
  },
  {
    name: 'jam before the eject sensor',
    hands: [fault('jamBeforeEject', 2)],
    expect: { presented: [2, 0], error: '03', isTrusted: true },
  },
  {
    name: 'jam before the exit',
    hands: [fault('jamBeforeExit', 1)],
    expect: { presented: [1, 0], error: '04', isTrusted: false },
  },
  {
    name: 'a note stays in the exit',
    hands: [fault('noteInExit', 3)],
    expect: { presented: [2, 1], error: '05', isTrusted: false },
  },
  {
    name: 'a note is delivered and not counted',
    hands: [fault('countMismatch', 1)],
    expect: { presented: [1, 0], error: '07', isTrusted: false },
  },
  {
    name: 'a note of another bay comes',
    hands: [fault('wrongCassette', 2)],
    expect: { presented: [0, 0], rejected: [1, 0], error: '41', isTrusted: false },
  },
  {
    name: 'a cassette is out',
    hands: [{ do: 'cassette', position: 2, present: false }],
    expect: { presented: [0, 0], error: '24', isTrusted: true },
  },
  {
    name: 'near end, where that stops',
    hands: [fault('nearEnd', 1), fault('nearEndStops')],
    expect: { presented: [0, 0], error: '25', isTrusted: true },
  },
  {
    name: 'no reject tray',
    hands: [fault('rejectTrayMissing')],
    expect: { presented: [0, 0], error: '26', isTrusted: true },
  },
  {
    name: 'an error of another firmware',
    hands: [fault('error', 0x51)],
    expect: { presented: [0, 0], error: '51', isTrusted: true },
  },
  {
    name: 'an error that is in no list',
    hands: [fault('error', 0x77)],
    expect: { presented: [0, 0], error: '77', isTrusted: false },
  },
  {
    name: 'the command is refused by error 31',
    hands: [fault('error', 0x31)],
    expect: 'notExecuted',
  },
  { name: 'the command is answered with NAK', hands: [fault('nak')], expect: 'notExecuted' },
  {
    name: 'the response is damaged twice',
    hands: [fault('badBcc', undefined, 2)],
    expect: { presented: [2, 2] },
  },
  {
    name: 'FF before the response',
    hands: [fault('strayFf', 0x52)],
    expect: { presented: [2, 2] },
  },
  {
    name: 'ACK is late, still in time',
    hands: [fault('lateAck', 500)],
    expect: { presented: [2, 2] },
  },
  {
    name: 'the response is very late',
    hands: [fault('lateResponse', 55_000)],
    expect: { presented: [2, 2] },
  },
  { name: 'our ACK is lost once', hands: [fault('loseHostAck')], expect: { presented: [2, 2] } },
  { name: 'EOT is lost', hands: [fault('loseEot')], expect: { presented: [2, 2] } },
  { name: 'ACK is lost', hands: [fault('loseAck')], expect: 'unknown' },
  { name: 'the response is lost', hands: [fault('loseResponse')], expect: 'unknown' },
  {
    name: 'the response is damaged for good',
    hands: [fault('badBcc', undefined, 9)],
    expect: 'unknown',
  },
  { name: 'the unit does not hear', hands: [fault('silence', DISPENSE)], expect: 'unknown' },
  {
    name: 'the power goes before the response',
    hands: [fault('powerCutBeforeResponse')],
    expect: 'unknown',
  },
  ...[0, 1, 2, 3, 4].map(
    (notes): Scenario => ({
      name: `the power goes after note ${notes}`,
      hands: [fault('powerCutAfterNote', notes)],
      expect: 'unknown',
    }),
  ),
];

describe.each(MODELS)('%s', (model) => {
  test.each(scenarios)('$name', async (scenario) => {
    const rig = await readyRig({ device: { model } });
    const outcome = await play(rig, scenario);
    expect(outcome.evidence).toMatch(/^>043002/);
    expect(sentCommands(rig, DISPENSE)).toHaveLength(1);
  });

  test('one note vanishes: the check above can fail', async () => {
    const rig = await readyRig({ device: { model } });
    rig.device.control(fault('loseNote'));
    const before = rig.device.truth();
    const outcome = await dispense(rig, { 1: 2 });
    expect(() => expectConserved(rig, before, outcome)).toThrow();
  });

  test('a whole batch, and not one more', async () => {
    const rig = await readyRig({ device: { model } });
    const { batchMax } = rig.dispenser.capabilities;
    const outcome = await dispense(rig, { 1: batchMax });
    expect(counts(outcome, 'presented')).toEqual([batchMax, 0]);
    await expect(dispense(rig, { 1: batchMax, 2: 1 })).rejects.toMatchObject({
      code: 'invalidData',
    });
    expect(sentCommands(rig, DISPENSE)).toHaveLength(1);
  });

  test('a test dispense goes to the reject tray', async () => {
    const rig = await readyRig({ device: { model } });
    const outcome = await rig.clock.resolve(rig.dispenser.testDispense(asked({ 1: 1, 2: 1 })));
    expect(counts(outcome, 'rejected')).toEqual([1, 1]);
    expect(counts(outcome, 'presented')).toEqual([0, 0]);
    expect(rig.device.truth().reject).toEqual({ 20: 1, 50: 1 });
    expect(rig.device.truth().customer).toEqual({});
    expect(rig.device.violations()).toEqual([]);
  });

  test('ten in a row leave no violation and add up', async () => {
    const rig = await readyRig({ device: { model } });
    for (let turn = 0; turn < 10; turn++) {
      expectKind(await dispense(rig, { 1: 1, 2: 2 }), 'answered');
      await rig.clock.advance(3000);
    }
    expect(rig.device.truth().customer).toEqual({ 20: 10, 50: 20 });
    expect(rig.device.violations()).toEqual([]);
  });
});

function expectKind(outcome: DispenseOutcome, kind: DispenseOutcome['kind']): void {
  expect(outcome.kind).toBe(kind);
}

describe('what never leaves', () => {
  test('counts that cannot be', async () => {
    const rig = await readyRig();
    for (const ask of [{ 1: 0 }, { 1: 1.5 }, { 1: -1, 2: 2 }, { 5: 1 }, {}]) {
      await expect(dispense(rig, ask)).rejects.toMatchObject({ code: 'invalidData' });
    }
    const twice = [...asked({ 1: 1 }), ...asked({ 1: 1 })];
    await expect(rig.dispenser.dispense(twice)).rejects.toMatchObject({ code: 'invalidData' });
    expect(sentCommands(rig, DISPENSE)).toEqual([]);
  });

  test('anything before initialise, after a note was left inside, or while closed', async () => {
    const rig = makeRig();
    expectKind(await dispense(rig, { 1: 1 }), 'notExecuted');
    await rig.clock.resolve(rig.dispenser.open());
    expectKind(await dispense(rig, { 1: 1 }), 'notExecuted');
    await rig.clock.resolve(rig.dispenser.initialise());
    rig.device.control(fault('noteInExit'));
    expectKind(await dispense(rig, { 1: 1 }), 'answered');
    expectKind(await dispense(rig, { 1: 1 }), 'notExecuted');
    await rig.dispenser.close();
    expectKind(await dispense(rig, { 1: 1 }), 'notExecuted');
    expect(sentCommands(rig, DISPENSE)).toHaveLength(1);
  });

  test('anything while the unit has not ended what was asked before', async () => {
    for (const code of [0x50, 0x67]) {
      const rig = await readyRig({ device: { model: 'lcdm-4000-lamassu' } });
      rig.device.control(fault('loseEot', code));
      expectKind(await dispense(rig, { 1: 1 }), 'notExecuted');
      expect(sentCommands(rig, DISPENSE)).toEqual([]);
      expectKind(await dispense(rig, { 1: 1 }), 'answered');
    }
  });

  test('a second command while one runs', async () => {
    const rig = await readyRig();
    const first = rig.dispenser.dispense(asked({ 1: 1 }));
    const second = rig.dispenser.dispense(asked({ 1: 1 }));
    await expect(second).rejects.toMatchObject({ code: 'sequenceError' });
    expectKind(await rig.clock.resolve(first), 'answered');
    expect(sentCommands(rig, DISPENSE)).toHaveLength(1);
  });

  test('a command whose old response may still be repeated', async () => {
    const rig = await readyRig();
    // Nobody acknowledges the first response, so the unit would say it again.
    rig.device.control(fault('loseHostAck', undefined, 9));
    expectKind(await dispense(rig, { 1: 2 }), 'answered');
    rig.device.control(fault('loseHostAck', undefined, 0));
    rig.device.control(fault('loseAck'));
    const outcome = await dispense(rig, { 1: 3 });
    expectKind(outcome, 'unknown');
    expect(rig.device.truth().customer).toEqual({ 20: 5 });
  });
});

test('closing while notes move is unknown, and nothing hangs', async () => {
  const rig = await readyRig();
  const moving = rig.dispenser.dispense(asked({ 1: 5 }));
  await rig.clock.until(() => sentCommands(rig, DISPENSE).length === 1);
  await rig.clock.advance(500);
  await rig.dispenser.close();
  const outcome = await moving;
  expect(outcome).toMatchObject({ kind: 'unknown', evidence: expect.stringContaining('closed') });
  rig.device.stop();
  await rig.clock.advance(70_000);
  expect(rig.clock.pending).toBe(0);
});

test('the unit can be waited for as long as it says it needs', async () => {
  const rig = await readyRig({ driver: { timings: { moveMs: 10_000 } } });
  rig.device.control(fault('lateResponse', 11_000));
  expectKind(await dispense(rig, { 1: 2 }), 'answered');
  rig.device.control(fault('lateResponse', 13_000));
  expectKind(await dispense(rig, { 1: 2 }), 'unknown');
});

test('a bay that was not asked and gave a note is told all the same', async () => {
  const rig = await readyRig({
    driver: { positions: [1] },
    device: { cassettes: { 1: { denomination: 20, count: 9 }, 2: { denomination: 50, count: 9 } } },
  });
  expect(rig.dispenser.capabilities.positions).toEqual([position(1)]);
  await expect(dispense(rig, { 2: 1 })).rejects.toMatchObject({ code: 'invalidData' });
  const outcome = await dispense(rig, { 1: 1 });
  expect(outcome).toMatchObject({ units: [{ position: 1, presented: 1, rejected: 0 }] });
});
