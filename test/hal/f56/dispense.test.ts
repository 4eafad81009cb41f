import { describe, expect, test } from 'vitest';
import type { DispenseOutcome } from '#hal/cash-dispenser.ts';
import type { F56ModelName } from '#hal/f56/models.ts';
import { encodeFrame } from '#hal/f56/wire.ts';
import { position } from '#protocol/base/ids.ts';
import { counts, expectConserved, fault, play, type Scenario } from '../dispenser-rig.ts';
import { asked, dispense, gone, held, makeRig, readyRig, sentCommands, take } from './rig.ts';

const MODELS: readonly F56ModelName[] = ['f56', 'f53'];

const scenarios: readonly Scenario[] = [
  { name: 'all is well', hands: [], expect: { presented: [2, 2] } },
  { name: 'one bay', hands: [], ask: { 2: 5 }, expect: { presented: [0, 5] } },
  {
    name: 'three notes are rejected on the way',
    hands: [fault('reject', undefined, 3)],
    expect: { presented: [2, 2], rejected: [3, 0] },
  },
  ...(['tooLong', 'tooShort', 'reject'] as const).map(
    (name, at): Scenario => ({
      name: `more rejects than the command allows: ${name}`,
      hands: [fault(name, undefined, 20)],
      expect: {
        presented: [0, 0],
        rejected: [5, 0],
        error: ['8000', '8200', '8400'][at] ?? '',
        isTrusted: false,
      },
    }),
  ),
  {
    name: 'pick-up fails after three notes',
    hands: [fault('pickUpFailure', 3)],
    expect: { presented: [2, 1], error: '2600', isTrusted: true },
  },
  {
    name: 'pick-up fails at once',
    hands: [fault('pickUpFailure')],
    expect: { presented: [0, 0], error: '1600', isTrusted: true },
  },
  {
    name: 'a cassette runs empty',
    hands: [{ do: 'cassette', position: 2, count: 1 }],
    expect: { presented: [2, 1], error: '2100', isTrusted: true },
  },
  {
    name: 'pick-up fails, and the counted notes stay inside',
    hands: [fault('pickUpFailure', 3), fault('keepsNotes')],
    expect: { presented: [2, 1], error: '2600', isTrusted: false },
  },
  {
    name: 'pick-up fails, and the exit sees nothing',
    hands: [fault('pickUpFailure', 3), fault('exitBlind')],
    expect: { presented: [2, 1], error: '2600', isTrusted: false },
  },
  {
    name: 'pick-up fails, and STATUS is not answered after it',
    hands: [fault('pickUpFailure', 3), fault('nak', 1, 99)],
    expect: 'notExecuted',
  },
  {
    name: 'jam on the path',
    hands: [fault('jamOnPath', 1)],
    expect: { presented: [1, 0], error: '7801', isTrusted: false },
  },
  {
    name: 'jam before the reject box',
    hands: [fault('jamBeforeReject', 2)],
    expect: { presented: [2, 0], error: '7A00', isTrusted: false },
  },
  {
    name: 'jam at the exit',
    hands: [fault('jamAtExit', 1)],
    expect: { presented: [1, 0], error: '7C01', isTrusted: false },
  },
  {
    name: 'a note is delivered and not counted',
    hands: [fault('countMismatch', 1)],
    expect: { presented: [1, 0], error: '8800', isTrusted: false },
  },
  {
    name: 'a note of another bay comes',
    hands: [fault('wrongCassette', 2)],
    expect: { presented: [0, 0], rejected: [1, 0], error: '8502', isTrusted: false },
  },
  {
    name: 'a cassette is out',
    hands: [{ do: 'cassette', position: 2, present: false }],
    expect: { presented: [0, 0], error: '2000', isTrusted: true },
  },
  {
    name: 'no reject box, noticed by the command alone',
    hands: [fault('error', 0xb000)],
    expect: { presented: [0, 0], error: 'B000', isTrusted: true },
  },
  {
    name: 'no reject box, noticed by STATUS',
    hands: [fault('rejectBoxMissing')],
    expect: 'notExecuted',
  },
  {
    name: 'an error that is in no list',
    hands: [fault('error', 0x9900)],
    expect: { presented: [0, 0], error: '9900', isTrusted: false },
  },
  {
    name: 'the unit says that it was not initialised',
    hands: [fault('error', 0xe100)],
    expect: 'notExecuted',
  },
  { name: 'a parameter that cannot be', hands: [fault('error', 0xea00)], expect: 'notExecuted' },
  { name: 'the command is answered with NAK', hands: [fault('nak')], expect: 'notExecuted' },
  {
    name: 'the response is damaged twice',
    hands: [fault('badCrc', undefined, 2)],
    expect: { presented: [2, 2] },
  },
  { name: 'noise before the response', hands: [fault('noise')], expect: { presented: [2, 2] } },
  {
    name: 'ACK is late, still in time',
    hands: [fault('lateAck', 4500)],
    expect: { presented: [2, 2] },
  },
  {
    name: 'the response is very late',
    hands: [fault('lateResponse', 38_000)],
    expect: { presented: [2, 2] },
  },
  { name: 'our ACK is lost once', hands: [fault('loseHostAck')], expect: { presented: [2, 2] } },
  {
    name: 'ENQ is not heard twice',
    hands: [fault('silence', undefined, 2)],
    expect: { presented: [2, 2] },
  },
  { name: 'ENQ is answered with NAK', hands: [fault('refuseBid')], expect: { presented: [2, 2] } },
  { name: 'ACK to ENQ is late', hands: [fault('lateBid', 900)], expect: { presented: [2, 2] } },
  {
    name: 'both bid, the unit gives way',
    hands: [fault('collision')],
    expect: { presented: [2, 2] },
  },
  {
    name: 'both bid, the unit insists',
    hands: [fault('collision', 1)],
    expect: { presented: [2, 2] },
  },
  { name: 'ACK is lost', hands: [fault('loseAck')], expect: 'unknown' },
  { name: 'the response is lost', hands: [fault('loseResponse')], expect: 'unknown' },
  {
    name: 'the response is damaged for good',
    hands: [fault('badCrc', undefined, 9)],
    expect: 'unknown',
  },
  {
    name: 'the unit does not hear',
    hands: [fault('silence', undefined, 99)],
    expect: 'notExecuted',
  },
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
    if (outcome.kind === 'answered') expect(outcome.evidence).toMatch(/^>1005/);
    expect(sentCommands(rig, 'billCount').length).toBeLessThanOrEqual(1);
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
    const outcome = await dispense(rig, { 1: 20 });
    expect(counts(outcome, 'presented')).toEqual([20, 0]);
    take(rig);
    await expect(dispense(rig, { 1: 20, 2: 1 })).rejects.toMatchObject({ code: 'invalidData' });
    expect(sentCommands(rig, 'billCount')).toHaveLength(1);
  });

  test('ten in a row leave no violation and add up', async () => {
    const rig = await readyRig({ device: { model } });
    for (let turn = 0; turn < 10; turn++) {
      expectKind(await dispense(rig, { 1: 1, 2: 2 }), 'answered');
      await rig.clock.advance(3000);
      take(rig);
    }
    expect(rig.device.truth().customer).toEqual({ 20: 10, 50: 20 });
    expect(rig.device.violations()).toEqual([]);
    expect(sentCommands(rig, 'initialise')).toHaveLength(1);
  });
});

function expectKind(outcome: DispenseOutcome, kind: DispenseOutcome['kind']): void {
  expect(outcome.kind).toBe(kind);
}

describe('a shortfall', () => {
  test('is proven when the exit has shown the counted notes and they are taken', async () => {
    const rig = await readyRig();
    rig.device.control(fault('pickUpFailure', 1));
    const outcome = await dispense(rig, { 1: 3 });
    expect(outcome).toMatchObject({ error: { countsTrusted: true } });
    const lying = await rig.clock.resolve(rig.dispenser.status());
    expect(lying).toMatchObject({ device: 'fault', path: 'clear', exit: 'notes' });
    take(rig);
    const taken = await rig.clock.resolve(rig.dispenser.status());
    expect(taken).toMatchObject({ device: 'attention', path: 'clear', exit: 'clear' });
  });

  test('is not proven when counted notes are kept inside, and INITIALISE says so', async () => {
    const rig = await readyRig();
    rig.device.control(fault('pickUpFailure', 1));
    rig.device.control(fault('keepsNotes'));
    const outcome = await dispense(rig, { 1: 3 });
    expect(outcome).toMatchObject({
      error: { code: '1600', countsTrusted: false, text: expect.stringContaining('exit') },
    });
    const status = await rig.clock.resolve(rig.dispenser.status());
    expect(status).toMatchObject({ device: 'attention', path: 'unknown', exit: 'clear' });
    const initialised = await rig.clock.resolve(rig.dispenser.initialise());
    expect(initialised).toMatchObject({
      kind: 'answered',
      error: { code: 'path', countsTrusted: false },
    });
    expect(rig.device.truth()).toMatchObject({ reject: { 20: 1 }, path: {}, customer: {} });
    const after = await rig.clock.resolve(rig.dispenser.status());
    expect(after).toMatchObject({ device: 'ready', path: 'clear' });
  });

  test('the exit that shows notes although none were counted proves nothing', async () => {
    const rig = await readyRig();
    rig.device.control(fault('pickUpFailure'));
    const moving = rig.dispenser.dispense(asked({ 1: 3 }));
    await rig.clock.until(() => sentCommands(rig, 'billCount').length === 1);
    rig.device.control(fault('exitStuck'));
    const outcome = await rig.clock.resolve(moving);
    expect(outcome).toMatchObject({ error: { code: '1600', countsTrusted: false } });
  });

  test('STATUS that is lost after the error proves nothing', async () => {
    const rig = await readyRig();
    rig.device.control(fault('pickUpFailure', 1));
    const moving = rig.dispenser.dispense(asked({ 1: 3 }));
    await rig.clock.until(() => sentCommands(rig, 'billCount').length === 1);
    rig.device.control(fault('silence', undefined, 99));
    const outcome = await rig.clock.resolve(moving);
    expect(outcome).toMatchObject({ error: { code: '1600', countsTrusted: false } });
  });
});

describe('what never leaves', () => {
  test('counts that cannot be', async () => {
    const rig = await readyRig();
    for (const ask of [{ 1: 0 }, { 1: 1.5 }, { 1: -1, 2: 2 }, { 5: 1 }, {}]) {
      await expect(dispense(rig, ask)).rejects.toMatchObject({ code: 'invalidData' });
    }
    const twice = [...asked({ 1: 1 }), ...asked({ 1: 1 })];
    await expect(rig.dispenser.dispense(twice)).rejects.toMatchObject({ code: 'invalidData' });
    expect(sentCommands(rig, 'billCount')).toEqual([]);
  });

  test('anything before initialise, over notes at the exit, after an error, or while closed', async () => {
    const rig = makeRig();
    rig.dispenser.setNotes(held({ 1: 20, 2: 50 }));
    expectKind(await dispense(rig, { 1: 1 }), 'notExecuted');
    await rig.clock.resolve(rig.dispenser.open());
    expectKind(await dispense(rig, { 1: 1 }), 'notExecuted');
    await rig.clock.resolve(rig.dispenser.initialise());
    expectKind(await dispense(rig, { 1: 1 }), 'answered');
    expectKind(await dispense(rig, { 1: 1 }), 'notExecuted');
    take(rig);
    rig.device.control(fault('pickUpFailure'));
    expectKind(await dispense(rig, { 1: 1 }), 'answered');
    expectKind(await dispense(rig, { 1: 1 }), 'notExecuted');
    await rig.dispenser.close();
    expectKind(await dispense(rig, { 1: 1 }), 'notExecuted');
    expect(sentCommands(rig, 'billCount')).toHaveLength(2);
    expect(gone(rig.device.truth())).toBe(1);
  });

  test('a bay of which nobody has said what it holds', async () => {
    const rig = await readyRig({ device: { cassettes: { ...CASSETTES_3 } } });
    const outcome = await dispense(rig, { 3: 1 });
    expect(outcome).toMatchObject({
      kind: 'notExecuted',
      evidence: expect.stringContaining('bay 3'),
    });
    expect(sentCommands(rig, 'billCount')).toEqual([]);
  });

  test('a second command while one runs', async () => {
    const rig = await readyRig();
    const first = rig.dispenser.dispense(asked({ 1: 1 }));
    const second = rig.dispenser.dispense(asked({ 1: 1 }));
    await expect(second).rejects.toMatchObject({ code: 'sequenceError' });
    expectKind(await rig.clock.resolve(first), 'answered');
    expect(sentCommands(rig, 'billCount')).toHaveLength(1);
  });

  test('a command whose old response may still be repeated', async () => {
    const rig = await readyRig();
    // Nobody acknowledges the first response, so the unit says it again after the next STATUS.
    rig.device.control(fault('loseHostAck', undefined, 9));
    expectKind(await dispense(rig, { 1: 2 }), 'answered');
    take(rig);
    const early = await dispense(rig, { 1: 3 });
    expectKind(early, 'notExecuted');
    expect(rig.device.truth().customer).toEqual({ 20: 2 });
    rig.device.control(fault('loseHostAck', undefined, 0));
    await rig.clock.advance(30_000);
    await rig.clock.resolve(rig.dispenser.initialise());
    expect(await dispense(rig, { 1: 3 })).toMatchObject({ units: [{ presented: 3 }, {}, {}, {}] });
  });
});

const CASSETTES_3 = {
  1: { denomination: 20, count: 9 },
  2: { denomination: 50, count: 9 },
  3: { denomination: 100, count: 9 },
} as const;

test('an ACK that was damaged into a NAK is no proof that nothing moved', async () => {
  const rig = await readyRig();
  const moving = rig.dispenser.dispense(asked({ 1: 2 }));
  await rig.clock.until(() => sentCommands(rig, 'billCount').length === 1);
  // The second byte of the next thing that it says: 06 becomes 15.
  const { bytes } = rig.cable.passed('toHost');
  rig.cable.addFault({ direction: 'toHost', unit: 'byte', nth: bytes + 1, do: 'flip', mask: 0x13 });
  const outcome = await rig.clock.resolve(moving);
  expect(rig.device.truth().customer).toEqual({ 20: 2 });
  expectKind(outcome, 'unknown');
});

test('at the speed of the line, and byte by byte', async () => {
  const split = (length: number) => Array.from({ length }, () => 1);
  const rig = await readyRig({ cable: { paced: true, split } });
  expect(await dispense(rig, { 1: 12, 2: 8 })).toMatchObject({
    units: [{ presented: 12 }, { presented: 8 }, {}, {}],
    error: undefined,
  });
  await rig.clock.advance(30_000);
  expect((await rig.clock.resolve(rig.dispenser.status())).device).toBe('ready');
  expect(rig.device.violations()).toEqual([]);
});

test('an answer to something else is no answer to BILL COUNT', async () => {
  const rig = await readyRig();
  const moving = rig.dispenser.dispense(asked({ 1: 2 }));
  await rig.clock.until(() => sentCommands(rig, 'billCount').length === 1);
  // Between ACK and ENQ and the response, which begins four bytes later.
  const { bytes } = rig.cable.passed('toHost');
  const other = encodeFrame([0x80, 0x01, 0x34, ...Array<number>(52).fill(0), 0x1c]);
  const place = { direction: 'toHost', unit: 'byte', nth: bytes + 4 } as const;
  rig.cable.addFault({ ...place, do: 'insert', bytes: [...other] });
  expect(await rig.clock.resolve(moving)).toMatchObject({
    kind: 'answered',
    units: [{ presented: 2 }, {}, {}, {}],
  });
});

test('closing while notes move is unknown, and nothing hangs', async () => {
  const rig = await readyRig();
  const moving = rig.dispenser.dispense(asked({ 1: 5 }));
  await rig.clock.until(() => sentCommands(rig, 'billCount').length === 1);
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
  rig.device.control(fault('lateResponse', 10_500));
  expectKind(await dispense(rig, { 1: 2 }), 'answered');
  take(rig);
  rig.device.control(fault('lateResponse', 13_000));
  expectKind(await dispense(rig, { 1: 2 }), 'unknown');
});

test('a response that comes too late is taken off the unit, and is nobody’s answer', async () => {
  const rig = await readyRig({ driver: { timings: { moveMs: 10_000 } } });
  rig.device.control(fault('lateResponse', 20_000));
  expectKind(await dispense(rig, { 1: 2 }), 'unknown');
  take(rig);
  await rig.clock.advance(30_000);
  await rig.clock.resolve(rig.dispenser.initialise());
  const outcome = await dispense(rig, { 2: 1 });
  expect(outcome).toMatchObject({
    kind: 'answered',
    units: [{ presented: 0 }, { presented: 1 }, {}, {}],
  });
});

test('a bay that was not asked and gave a note is told all the same', async () => {
  const rig = await readyRig({ driver: { positions: [1] } });
  expect(rig.dispenser.capabilities.positions).toEqual([position(1)]);
  await expect(dispense(rig, { 2: 1 })).rejects.toMatchObject({ code: 'invalidData' });
  const outcome = await dispense(rig, { 1: 1 });
  expect(outcome).toMatchObject({ units: [{ position: 1, presented: 1, rejected: 0 }] });
});
