/** An LCDM-2000: every way in which handing out may end, and where the notes are then. */
import { describe, expect, test } from 'vitest';
import { ID50 } from '#hal/lcdm/wire.ts';
import { counts, expectConserved, fault, play, type Scenario } from '../../dispenser-rig.ts';
import { asked, dispense, makeRig, type RigOptions, readyRig, sentCommands } from '../rig.ts';

const UPPER = 0x45;
const LOWER = 0x55;
const PURGE = 0x44;
const lcdm2000: RigOptions = { device: { model: 'lcdm-2000' } };

interface Scenario50 extends Scenario {
  /** How often UPPER and LOWER have left; once each when left out. */
  readonly sent?: readonly [number, number];
}

const scenarios: readonly Scenario50[] = [
  { name: 'all is well', hands: [], expect: { presented: [2, 2] } },
  { name: 'the lower bay', hands: [], ask: { 2: 5 }, expect: { presented: [0, 5] }, sent: [0, 1] },
  {
    name: 'three notes are rejected on the way',
    hands: [fault('reject', undefined, 3)],
    expect: { presented: [2, 2], rejected: [3, 0] },
  },
  {
    name: 'more rejects than the unit allows',
    hands: [fault('reject', undefined, 20)],
    expect: { presented: [0, 0], rejected: [11, 0], error: '44', isTrusted: true },
    sent: [1, 0],
  },
  {
    name: 'pick-up fails in the upper bay: the lower one is not asked',
    hands: [fault('pickUpFailure', 1)],
    expect: { presented: [1, 0], error: '32', isTrusted: true },
    sent: [1, 0],
  },
  {
    name: 'the upper bay runs empty',
    hands: [{ do: 'cassette', position: 1, count: 1 }],
    expect: { presented: [1, 0], error: '38', isTrusted: true },
    sent: [1, 0],
  },
  {
    name: 'the lower bay runs empty',
    hands: [{ do: 'cassette', position: 2, count: 1 }],
    expect: { presented: [2, 1], error: '40', isTrusted: true },
  },
  {
    name: 'jam before the diverter',
    hands: [fault('jamBeforeDiverter', 1)],
    expect: { presented: [1, 0], error: '36', isTrusted: true },
    sent: [1, 0],
  },
  {
    name: 'jam between diverter and eject sensor',
    hands: [fault('jamBeforeEject', 1)],
    expect: { presented: [1, 0], error: '43', isTrusted: true },
    sent: [1, 0],
  },
  {
    name: 'jam at the eject sensor',
    hands: [fault('jamBeforeExit', 1)],
    expect: { presented: [1, 0], error: '48', isTrusted: false },
    sent: [1, 0],
  },
  {
    name: 'a note stays in the exit',
    hands: [fault('noteInExit', 1)],
    expect: { presented: [1, 0], error: '35', isTrusted: false },
    sent: [1, 0],
  },
  {
    name: 'a note is delivered and not counted',
    hands: [fault('countMismatch', 1)],
    expect: { presented: [1, 0], error: '3D', isTrusted: false },
    sent: [1, 0],
  },
  {
    name: 'a note of the other bay comes',
    hands: [fault('wrongCassette', 2)],
    expect: { presented: [0, 0], rejected: [1, 0], error: '4F', isTrusted: false },
    sent: [1, 0],
  },
  {
    name: 'the upper cassette is out',
    hands: [{ do: 'cassette', position: 1, present: false }],
    expect: { presented: [0, 0], error: '45', isTrusted: true },
    sent: [1, 0],
  },
  {
    name: 'the lower cassette is out',
    hands: [{ do: 'cassette', position: 2, present: false }],
    expect: { presented: [2, 0], error: '46', isTrusted: true },
  },
  {
    name: 'no reject tray',
    hands: [fault('rejectTrayMissing')],
    expect: { presented: [0, 0], error: '3F', isTrusted: true },
    sent: [1, 0],
  },
  {
    name: 'the dispense takes too long',
    hands: [fault('error')],
    expect: { presented: [0, 0], error: '47', isTrusted: false },
    sent: [1, 0],
  },
  {
    name: 'an error that is in no list',
    hands: [fault('error', 0x77)],
    expect: { presented: [0, 0], error: '77', isTrusted: false },
    sent: [1, 0],
  },
  {
    name: 'normal stop is no error',
    hands: [fault('error', 0x31)],
    expect: { presented: [0, 0] },
    sent: [1, 0],
  },
  {
    name: 'the command is refused by error 37, alone',
    hands: [fault('error', 0x37), fault('errorAlone')],
    expect: 'notExecuted',
    sent: [1, 0],
  },
  {
    name: 'the number is refused by error 3B',
    hands: [fault('error', 0x3b)],
    expect: 'notExecuted',
    sent: [1, 0],
  },
  {
    name: 'an error that is answered alone says nothing of notes',
    hands: [fault('error', 0x32), fault('errorAlone')],
    expect: 'unknown',
    sent: [1, 0],
  },
  { name: 'NAK', hands: [fault('nak')], expect: 'notExecuted', sent: [1, 0] },
  {
    name: 'NAK for the lower bay, when the upper one was handed out',
    hands: [fault('nak', LOWER)],
    expect: { presented: [2, 0], error: 'stopped', isTrusted: true },
  },
  {
    name: 'the response is damaged twice',
    hands: [fault('badBcc', UPPER, 2)],
    expect: { presented: [2, 2] },
  },
  {
    name: 'the unit tells of every note on its way',
    hands: [fault('progress', undefined, 9), fault('reject', undefined, 2)],
    ask: { 1: 7 },
    expect: { presented: [7, 0], rejected: [2, 0] },
    sent: [1, 0],
  },
  {
    name: 'FF before the response',
    hands: [fault('strayFf', UPPER)],
    expect: { presented: [2, 2] },
  },
  { name: 'ACK is late', hands: [fault('lateAck', 500)], expect: { presented: [2, 2] } },
  {
    name: 'the response is very late',
    hands: [fault('lateResponse', 55_000)],
    expect: { presented: [2, 2] },
  },
  {
    name: 'our ACK is lost: what is said again is not taken for the next answer',
    hands: [fault('loseHostAck', UPPER)],
    expect: { presented: [2, 2] },
  },
  { name: 'ACK is lost', hands: [fault('loseAck')], expect: 'unknown', sent: [1, 0] },
  { name: 'the response is lost', hands: [fault('loseResponse')], expect: 'unknown', sent: [1, 0] },
  { name: 'the second response is lost', hands: [fault('loseResponse', LOWER)], expect: 'unknown' },
  {
    name: 'the response is damaged for good',
    hands: [fault('badBcc', undefined, 9)],
    expect: 'unknown',
    sent: [1, 0],
  },
  {
    name: 'the unit does not hear',
    hands: [fault('silence', UPPER)],
    expect: 'unknown',
    sent: [1, 0],
  },
  {
    name: 'the power goes before the response',
    hands: [fault('powerCutBeforeResponse')],
    expect: 'unknown',
    sent: [1, 0],
  },
  ...[0, 1].map(
    (notes): Scenario50 => ({
      name: `the power goes after note ${notes}`,
      hands: [fault('powerCutAfterNote', notes)],
      expect: 'unknown',
      sent: [1, 0],
    }),
  ),
];

test.each(scenarios)('$name', async ({ sent = [1, 1], ...scenario }) => {
  const rig = await readyRig(lcdm2000);
  const outcome = await play(rig, scenario);
  expect(outcome.evidence).toMatch(/^>0450024?5/);
  expect([UPPER, LOWER].map((code) => sentCommands(rig, code, ID50).length)).toEqual(sent);
});

test('silence between two bays: the upper one is told, the lower one was never asked', async () => {
  const rig = await readyRig(lcdm2000);
  const before = rig.device.truth();
  const moving = rig.dispenser.dispense(asked({ 1: 2, 2: 2 }));
  await rig.clock.until(() => sentCommands(rig, UPPER, ID50).length === 1);
  rig.device.control(fault('silence', 0x46, 9));
  const outcome = await rig.clock.resolve(moving);
  expect(outcome).toMatchObject({ kind: 'answered', error: { code: 'stopped' } });
  expect(counts(outcome, 'presented')).toEqual([2, 0]);
  expectConserved(rig, before, outcome);
  expect(sentCommands(rig, LOWER, ID50)).toEqual([]);
});

test('one note vanishes: the check above can fail', async () => {
  const rig = await readyRig(lcdm2000);
  rig.device.control(fault('loseNote'));
  const before = rig.device.truth();
  const outcome = await dispense(rig, { 1: 2 });
  expect(() => expectConserved(rig, before, outcome)).toThrow();
});

test('what one lost answer leaves open is small, and nothing can be asked of it', async () => {
  const rig = await readyRig(lcdm2000);
  expect(rig.dispenser.capabilities).toEqual({
    positions: [1, 2],
    batchMax: 10,
    lastResult: false,
    sequenceNumber: false,
    rejectTrayTest: true,
    sensesExit: false,
  });
  await expect(dispense(rig, { 1: 6, 2: 5 })).rejects.toMatchObject({ code: 'invalidData' });
  await dispense(rig, { 1: 5, 2: 5 });
  expect(await rig.clock.resolve(rig.dispenser.lastResult())).toBeUndefined();
  expect(await rig.clock.resolve(rig.dispenser.baseline())).toEqual({
    lastResultHex: undefined,
    sequenceNumber: undefined,
  });
  expect(rig.device.violations()).toEqual([]);
});

test('a test dispense is one command for each note, to the reject tray', async () => {
  const rig = await readyRig(lcdm2000);
  const outcome = await rig.clock.resolve(rig.dispenser.testDispense(asked({ 1: 2, 2: 1 })));
  expect(counts(outcome, 'rejected')).toEqual([2, 1]);
  expect(counts(outcome, 'presented')).toEqual([0, 0]);
  expect(rig.device.truth()).toMatchObject({ reject: { 20: 2, 50: 1 }, customer: {} });
  expect(sentCommands(rig, 0x76, ID50)).toHaveLength(2);
  expect(sentCommands(rig, 0x77, ID50)).toHaveLength(1);
  expect(rig.device.violations()).toEqual([]);
});

test('a test dispense that fails stops there, and says what it did', async () => {
  const rig = await readyRig(lcdm2000);
  rig.device.control({ do: 'cassette', position: 1, count: 1 });
  const outcome = await rig.clock.resolve(rig.dispenser.testDispense(asked({ 1: 2, 2: 1 })));
  expect(outcome).toMatchObject({ kind: 'answered', error: { code: '38' } });
  expect(counts(outcome, 'rejected')).toEqual([1, 0]);
  expect(sentCommands(rig, 0x77, ID50)).toEqual([]);
});

test('a second answer is not made of the first one that is said again', async () => {
  const rig = await readyRig(lcdm2000);
  // Nobody acknowledges the response about two notes; the next command is not heard at all.
  rig.device.control(fault('loseHostAck', UPPER, 9));
  expect((await dispense(rig, { 1: 2 })).kind).toBe('answered');
  rig.device.control(fault('silence', UPPER));
  expect((await dispense(rig, { 1: 2 })).kind).toBe('unknown');
  expect(rig.device.truth().customer).toEqual({ 20: 2 });
});

test('nothing leaves when the answer to STATUS may be that to an earlier one', async () => {
  const rig = await readyRig(lcdm2000);
  rig.device.control(fault('loseAck', 0x46));
  expect((await dispense(rig, { 1: 1 })).kind).toBe('notExecuted');
  expect(sentCommands(rig, UPPER, ID50)).toEqual([]);
  expect((await dispense(rig, { 1: 1 })).kind).toBe('answered');
});

describe('initialise', () => {
  test('a clear path is not purged', async () => {
    const rig = await readyRig(lcdm2000);
    expect(sentCommands(rig, PURGE, ID50)).toEqual([]);
    expect((await rig.clock.resolve(rig.dispenser.status())).device).toBe('ready');
  });

  test('notes left inside are purged, and nobody says where they went', async () => {
    const rig = await readyRig(lcdm2000);
    rig.device.control(fault('noteInExit', 1));
    await dispense(rig, { 1: 2 });
    const before = await rig.clock.resolve(rig.dispenser.status());
    expect(before).toMatchObject({ device: 'attention', exit: 'notes', path: 'clear' });
    expect((await dispense(rig, { 1: 1 })).kind).toBe('notExecuted');
    expect((await rig.clock.resolve(rig.dispenser.initialise())).kind).toBe('unknown');
    expect((await rig.clock.resolve(rig.dispenser.status())).device).toBe('ready');
    expect(rig.device.truth().customer).toEqual({ 20: 2 });
    expect((await dispense(rig, { 1: 1 })).kind).toBe('answered');
    expect(sentCommands(rig, PURGE, ID50)).toHaveLength(1);
  });

  test('an error that STATUS keeps is ended by PURGE', async () => {
    const rig = await readyRig(lcdm2000);
    rig.device.control(fault('keepError'));
    rig.device.control(fault('error', 0x47));
    await dispense(rig, { 1: 1 });
    const status = await rig.clock.resolve(rig.dispenser.status());
    expect(status).toMatchObject({ device: 'attention', fault: { code: '47' } });
    await rig.clock.resolve(rig.dispenser.initialise());
    expect((await rig.clock.resolve(rig.dispenser.status())).device).toBe('ready');
  });

  test('a jam stays one until a person has cleared it', async () => {
    const rig = await readyRig(lcdm2000);
    rig.device.control(fault('jamBeforeEject'));
    await dispense(rig, { 1: 1 });
    expect((await rig.clock.resolve(rig.dispenser.initialise())).kind).toBe('unknown');
    const status = await rig.clock.resolve(rig.dispenser.status());
    expect(status).toMatchObject({ device: 'attention', path: 'notes' });
    rig.device.control({ do: 'take' });
    await rig.clock.resolve(rig.dispenser.initialise());
    expect((await rig.clock.resolve(rig.dispenser.status())).device).toBe('ready');
  });

  test('PURGE is sent once, whatever becomes of its answer', async () => {
    for (const name of ['loseResponse', 'loseAck', 'nak', 'silence']) {
      const rig = await readyRig(lcdm2000);
      rig.device.control(fault('noteInExit'));
      await dispense(rig, { 1: 1 });
      rig.device.control(fault(name, PURGE));
      const outcome = await rig.clock.resolve(rig.dispenser.initialise());
      expect(outcome.kind).toBe(name === 'nak' ? 'notExecuted' : 'unknown');
      expect(sentCommands(rig, PURGE, ID50)).toHaveLength(1);
    }
  });

  test('silence leaves nothing done', async () => {
    const rig = makeRig(lcdm2000);
    expect((await rig.dispenser.initialise()).kind).toBe('notExecuted');
    await rig.clock.resolve(rig.dispenser.open());
    rig.device.control(fault('silence', undefined, 9));
    expect((await rig.clock.resolve(rig.dispenser.initialise())).kind).toBe('notExecuted');
  });
});

test('bays, tray and cassettes are told', async () => {
  const rig = await readyRig(lcdm2000);
  rig.device.control(fault('nearEnd', 1));
  rig.device.control({ do: 'cassette', position: 2, present: false });
  rig.device.control(fault('rejectTrayMissing'));
  expect(await rig.clock.resolve(rig.dispenser.status())).toEqual({
    device: 'fault',
    path: 'clear',
    exit: 'clear',
    rejectTray: 'missing',
    units: [
      { position: 1, status: 'low' },
      { position: 2, status: 'missing' },
    ],
    fault: { code: '3F', text: 'no reject tray' },
  });
});
