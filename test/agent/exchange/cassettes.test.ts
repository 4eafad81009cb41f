/** Cassettes that stand in another bay than before: noticed where the unit reads their code. */
import { afterEach, expect, test } from 'vitest';
import { Visit, whyOf } from './visit-rig.ts';

let visit: Visit;
afterEach(async () => {
  await visit.machine.stop();
});

/** Hands put a cassette with this code into a bay. */
const put = (position: number, code: number) =>
  visit.machine.dispenser.control({ do: 'cassette', position, code });
const kinds = (kind: string) =>
  visit.store.journal.read({ kind: `cassette.${kind}` }).map(({ body }) => body);
const bays = () =>
  visit.machine.running.service
    .status('counts')
    .cashUnits.map(({ position, accuracy, parked, swapped }) =>
      [position, accuracy, parked ? 'parked' : '', swapped ? 'swapped' : ''].join(' ').trim(),
    );

test('two that changed places while the machine was off are noticed before anyone is served', async () => {
  visit = await Visit.begin();
  const { machine } = visit;
  expect(kinds('learned')).toEqual(
    [1, 2, 3, 4].map((at) => ({ position: at, was: null, is: `${at}` })),
  );
  machine.die('powerCut');
  machine.bury();
  put(1, 3);
  put(3, 1);
  await machine.powerOn();
  await machine.until((view) => view.cashOut.open, 'the other bays serve');
  expect(bays()).toEqual([
    '1 unknown parked swapped',
    '2 set',
    '3 unknown parked swapped',
    '4 set',
  ]);
  expect(kinds('swapped')).toEqual([
    { position: 1, was: '1', is: '3' },
    { position: 3, was: '3', is: '1' },
  ]);
  const { findings } = await machine.clock.resolve(machine.running.service.doctor());
  expect(findings.filter(({ subject }) => subject === 'cassettes')).toMatchObject([
    { level: 'warning', text: 'Bay 1 is closed: another cassette than before stands there.' },
    { level: 'warning', text: 'Bay 3 is closed: another cassette than before stands there.' },
  ]);
  // No word from afar opens it, nor does one on site that nobody counted.
  await visit.signIn();
  const first = await visit.open();
  expect(first.asks).toMatchObject({
    ...{ kind: 'bay', position: 1, swapped: true },
    choices: ['leave', 'count', 'seal'],
  });
  expect(await whyOf(() => visit.answer({ kind: 'bay', choice: 'confirm' }))).toBe('notAChoice');
  // Bay 1 gets its own cassette back, bay 3 is counted with the one that is there.
  put(1, 1);
  await machine.clock.advance(15_000);
  const summary = await visit.walk({
    bays: { 1: { out: 10, load: 40 }, 3: { out: 10, load: 30 } },
  });
  expect(summary.bays.map(({ swapped }) => swapped)).toEqual([false, false, false, false]);
  visit.close();
  await machine.clock.advance(30_000);
  expect(bays()).toEqual(['1 accurate', '2 set', '3 accurate', '4 set']);
  expect(kinds('accepted')).toEqual([
    { position: 1, was: '1', is: '1' },
    { position: 3, was: '3', is: '1' },
  ]);
  // From now on that is the one of bay 3, also over a restart.
  machine.die('powerCut');
  machine.bury();
  await machine.powerOn();
  await machine.clock.advance(30_000);
  expect(bays()).toEqual(['1 accurate', '2 set', '3 accurate', '4 set']);
});

test('one that comes back as another after its cable was pulled, or while the machine runs', async () => {
  visit = await Visit.begin();
  const { machine } = visit;
  machine.dispenserCable.unplug();
  await machine.until((view) => !view.cashOut.open, 'noticed');
  put(2, 4);
  machine.dispenserCable.plug();
  await machine.clock.until(() => bays()[1] === '2 unknown parked swapped', 60_000);
  put(4, 2);
  await machine.clock.until(() => bays()[3] === '4 unknown parked swapped', 60_000);
  expect([bays()[0], bays()[2]]).toEqual(['1 set', '3 set']);
});

test('put into the wrong bays in an exchange: said before it is closed, and closed after', async () => {
  visit = await Visit.begin();
  const { machine } = visit;
  await visit.open();
  put(1, 2);
  put(2, 1);
  await machine.clock.advance(15_000);
  expect(kinds('swapped')).toEqual([]);
  // One was counted and one left: neither is what its bay was.
  const summary = await visit.walk({ bays: { 1: { out: 10, load: 40 } } });
  expect(summary.bays.map(({ swapped }) => swapped)).toEqual([true, true, false, false]);
  visit.close();
  const closed = ['1 unknown parked swapped', '2 unknown parked swapped', '3 set', '4 set'];
  expect(bays()).toEqual(closed);
  // Put right, they stay closed until they are counted.
  put(1, 1);
  put(2, 2);
  await machine.clock.advance(30_000);
  expect(bays()).toEqual(closed);
  await visit.open();
  await visit.walk({ bays: { 1: { out: 40, load: 40 }, 2: { out: 10, load: 10 } } });
  visit.close();
  expect(bays()).toEqual(['1 accurate', '2 accurate', '3 set', '4 set']);
});

test('put right before the end, nothing is closed', async () => {
  visit = await Visit.begin();
  const { machine } = visit;
  await visit.open();
  put(1, 2);
  await machine.clock.advance(15_000);
  put(1, 1);
  await machine.clock.advance(15_000);
  await visit.walk({});
  visit.close();
  await machine.clock.advance(30_000);
  expect(bays()).toEqual(['1 set', '2 set', '3 set', '4 set']);
  expect(kinds('changed')).toEqual([
    { position: 1, was: '1', is: '2' },
    { position: 1, was: '2', is: '1' },
  ]);
});
