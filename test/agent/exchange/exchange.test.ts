/** The exchange on a whole machine: what is asked, what is booked, what is left when it ends. */
import { afterEach, describe, expect, test } from 'vitest';
import type { ExchangeAnswer } from '#agent/api/visit-schemas.ts';
import { F56Device } from '#hal/simulator/f56/device.ts';
import { Id003Device } from '#hal/simulator/id003/device.ts';
import type { Clock } from '#protocol/base/clock.ts';
import { ALL, OWNER, type Plan, Visit, whyOf } from './visit-rig.ts';

let visit: Visit;
afterEach(async () => {
  await visit.machine.stop();
});

const USUAL_COUNTS = ['bay:1 20: 10', 'bay:2 20: 10', 'bay:3 50: 10', 'bay:4 100: 4'];

test('a whole exchange: two bays counted and filled, tested, closed, and back in service', async () => {
  visit = await Visit.begin();
  const { machine } = visit;
  await visit.open();
  expect(machine.view.cashOut.reasons.map(({ code }) => code)).toContain('exchangeActive');
  visit.fill(1, 20, 100);
  visit.fill(3, 50, 40);
  const plan = { bays: { 1: { out: 10, load: 100 }, 3: { out: 9, load: 40 } } } as const;
  const summary = await visit.walk({ ...plan, tests: 'run' });
  expect(summary.asks).toEqual({ kind: 'close' });
  expect(summary.bays.map(({ test: result, testNotes }) => [result, testNotes])).toEqual([
    ['exact', 1],
    [null, 0],
    ['exact', 1],
    [null, 0],
  ]);
  const { record, exchange } = visit.close();
  expect([exchange.state, record.number, record.signature]).toEqual(['closed', 1, 'queued']);
  expect(visit.accuracy()).toEqual({ 1: 'accurate', 2: 'set', 3: 'accurate', 4: 'set' });
  expect(visit.counts()).toEqual([
    'bay:1 20: 99',
    'bay:2 20: 10',
    'bay:3 50: 39',
    'bay:4 100: 4',
    'reject 20: 1',
    'reject 50: 1',
    'technician 20: -90',
    'technician 50: -31',
    'unaccounted 20: -20',
    'unaccounted 50: -9',
    'unaccounted 100: -4',
  ]);
  expect(
    visit.store.cashCounts.since(0).map(({ account, expected, counted, reason }) => {
      return [account, expected, counted, reason];
    }),
  ).toEqual([
    ['bay:3', 10, 9, 'miscountAtRefill'],
    ['bay:1', 10, 10, undefined],
  ]);
  await machine.until((view) => view.state === 'idle' && view.cashOut.open, 'in service again');
  expect(machine.differences()).toEqual([]);
});

describe('before it asks', () => {
  test('a customer who is there finishes; nobody else is let in', async () => {
    visit = await Visit.begin();
    const { machine } = visit;
    await machine.deposit(20);
    const { claimCode } = machine.cashIn;
    const begun = visit.service.begin(visit.who);
    expect([begun.state, begun.asks, begun.bays]).toEqual(['draining', null, []]);
    expect(await whyOf(() => visit.answer({ kind: 'load', count: 1 }))).toBe('notAsking');
    expect(await whyOf(() => visit.undo())).toBe('notAsking');
    expect(machine.view.state).toBe('cashIn');
    machine.keeper.claim(machine.cashIn.lnurl ?? '');
    expect(await machine.leave()).toBe('claimed');
    await visit.asking();
    // The screen tells those who come now that somebody is at work.
    await machine.until(({ state }) => state === 'exchange', 'being serviced');
    expect(await machine.act({ do: 'startCashIn' })).toMatchObject({ ok: false, code: 'closed' });
    // Not even a code, which needs no open direction.
    const code = claimCode ?? '';
    expect(await machine.act({ do: 'redeem', code })).toMatchObject({ ok: false });
    // What the customer put in is in what is expected; who begins again goes on with the same.
    expect(visit.service.begin(visit.who).id).toBe(begun.id);
    const summary = await visit.walk({ boxes: 'count', cashBox: { 20: 1 } });
    expect(summary.boxes[0]).toMatchObject({ counts: [{ denomination: 20, count: 1 }] });
    expect(summary.boxes[0]?.differences).toEqual([]);
    visit.close();
    await machine.until(({ state }) => state === 'idle', 'in service again');
  });

  test('it can be abandoned while a customer is there, and leaves no trace but its record', async () => {
    visit = await Visit.begin();
    const { machine } = visit;
    await machine.deposit(20);
    visit.service.begin(visit.who);
    const { exchange, record } = visit.abandon('wrong machine');
    expect([exchange.state, exchange.bays]).toEqual(['abandoned', []]);
    expect(record.body).toMatchObject({ outcome: 'abandoned', outcomeReason: 'wrong machine' });
    expect(record.body.expectedHash).toBeNull();
    machine.keeper.claim(machine.cashIn.lnurl ?? '');
    await machine.leave();
    await machine.until((view) => view.cashOut.open, 'open again');
    expect(Object.values(visit.accuracy())).toEqual(['set', 'set', 'set', 'set']);
  });
});

describe('what is asked', () => {
  test('tells nothing of what is expected before it is counted', async () => {
    visit = await Visit.begin();
    await visit.open();
    visit.answer({ kind: 'bay', choice: 'count' });
    const asked = visit.view;
    expect(asked.asks).toEqual({
      kind: 'bayCount',
      position: 1,
      denomination: 20,
      countMax: 3_000,
    });
    expect(asked.bays[0]).toMatchObject({ countOut: null, differences: null });
    expect(await whyOf(() => visit.service.totals(visit.who))).toBe('exchangeOpen');
    visit.answer({ kind: 'bayCount', count: 12 });
    const reason = visit.view.asks;
    expect(reason).toMatchObject({
      place: 'bay:1',
      differences: [{ denomination: 20, difference: 2 }],
    });
    visit.abandon();
    const { accounts } = visit.service.totals(visit.who);
    expect(accounts.find(({ account }) => account === 'bay:4')).toEqual({
      account: 'bay:4',
      counts: [{ denomination: 100, count: 4 }],
      sumMinor: 40_000,
    });
  });

  test('an answer is checked, and a refused one changes nothing', async () => {
    visit = await Visit.begin();
    const refused = async (answer: ExchangeAnswer) => {
      const before = [visit.view, visit.counts()];
      const why = await whyOf(() => visit.answer(answer));
      expect([visit.view, visit.counts()]).toEqual(before);
      return why;
    };
    await visit.open();
    expect(await whyOf(() => visit.undo())).toBe('nothingToUndo');
    expect(await whyOf(() => visit.close())).toBe('notDone');
    expect(await refused({ kind: 'load', count: 1 })).toBe('wrongKind');
    expect(await refused({ kind: 'bay', choice: 'confirm' })).toBe('notAChoice');
    visit.answer({ kind: 'bay', choice: 'count' });
    expect(await refused({ kind: 'bayCount', count: 3_001 })).toBe('tooMany');
    visit.answer({ kind: 'bayCount', count: 9 });
    expect(await refused({ kind: 'reason', reason: 'other', note: '' })).toBe('noteNeeded');
    visit.answer({ kind: 'reason', reason: 'other', note: 'a torn note' });
    expect(visit.view.bays[0]).toMatchObject({ reason: 'other', note: 'a torn note' });
    visit.answer({ kind: 'denomination', denomination: 50 });
    expect(await refused({ kind: 'load', count: 3_001 })).toBe('tooMany');
    visit.answer({ kind: 'load', count: 0 });
    visit.answer({ kind: 'bay', choice: 'seal' });
    expect(await refused({ kind: 'seal', seal: 'unattended-9' })).toBe('sealInUse');
    visit.answer({ kind: 'seal', seal: 'A-1' });
    visit.answer({ kind: 'denomination', denomination: 20 });
    visit.answer({ kind: 'load', count: 5 });
    visit.answer({ kind: 'bay', choice: 'seal' });
    expect(await refused({ kind: 'seal', seal: 'A-1' })).toBe('sealInUse');
    visit.undo();
    visit.answer({ kind: 'bay', choice: 'leave' });
    visit.answer({ kind: 'bay', choice: 'leave' });
    visit.answer({ kind: 'box', choice: 'count' });
    const twice = { denomination: 20, count: 1 };
    expect(await refused({ kind: 'boxCount', counts: [twice, twice] })).toBe('denominationTwice');
    expect(await refused({ kind: 'box', choice: 'leave' })).toBe('wrongKind');
  });

  test('steps: the same answer again is one answer, another one at an old step is none', async () => {
    visit = await Visit.begin();
    const { id, step } = await visit.open();
    const answer = { kind: 'bay', choice: 'count' } as const;
    const at = { exchange: id, step };
    const first = visit.service.answer(visit.who, { ...at, answer });
    expect(visit.service.answer(visit.who, { ...at, answer })).toEqual(first);
    const other = { kind: 'bay', choice: 'leave' } as const;
    expect(await whyOf(() => visit.service.answer(visit.who, { ...at, answer: other }))).toBe(
      'step',
    );
    const undone = visit.service.undo(visit.who, { exchange: id, step: first.step });
    expect(visit.service.undo(visit.who, { exchange: id, step: first.step })).toEqual(undone);
    expect([undone.step, undone.canUndo]).toEqual([3, false]);
    const strange = { exchange: 'ff'.repeat(16), step: 3 };
    expect(await whyOf(() => visit.service.undo(visit.who, strange))).toBe('noExchange');
    const end = await visit.walk({});
    const closing = { exchange: id, step: end.step };
    const closed = visit.service.close(visit.who, closing);
    expect(visit.service.close(visit.who, closing)).toEqual(closed);
    expect(await whyOf(() => visit.service.abandon(visit.who, closing, 'x'))).toBe('noExchange');
    expect(await whyOf(() => visit.service.answer(visit.who, { ...closing, answer }))).toBe(
      'noExchange',
    );
    expect(visit.service.exchange(visit.who)).toEqual({ exchange: null });
    expect(visit.service.records(visit.who, { after: 0, limit: 9 })).toHaveLength(1);
  });
});

test('a mistyped count is put right: the books follow, the record says so', async () => {
  visit = await Visit.begin();
  await visit.open();
  visit.answer({ kind: 'bay', choice: 'count' });
  visit.answer({ kind: 'bayCount', count: 100 });
  expect(visit.counts()).toContain('technician 20: 100');
  visit.undo();
  expect(visit.counts().slice(0, 4)).toEqual(USUAL_COUNTS);
  expect(visit.counts().some((line) => line.startsWith('technician'))).toBe(false);
  visit.answer({ kind: 'bayCount', count: 10 });
  await visit.walk({ bays: { 1: { load: 10 } } });
  const { record } = visit.close();
  expect(record.body.takenBack).toEqual([
    { place: 'bay:1', counted: [{ denomination: 20, count: 100 }] },
  ]);
  expect(visit.counts().slice(0, 4)).toEqual(USUAL_COUNTS);
  expect(visit.store.verify().ledger).toBe('ok');
});

test('an answer taken back after a test: the test stays, and so does what it moved', async () => {
  visit = await Visit.begin();
  await visit.open();
  await visit.walk({ bays: { 1: { out: 10, load: 10 } }, tests: 'run' });
  // The test, both boxes, three bays left, and the load of the first.
  for (let back = 0; back < 7; back++) visit.undo();
  expect(visit.view.asks?.kind).toBe('load');
  expect(visit.counts()).toContain('reject 20: 1');
  expect(await whyOf(() => visit.answer({ kind: 'load', count: 0 }))).toBe('fewerThanTested');
  visit.answer({ kind: 'load', count: 8 });
  expect(visit.counts()).toContain('bay:1 20: 7');
  await visit.walk({ tests: 'skip' });
  const { record } = visit.close();
  expect(record.body.tests).toMatchObject([{ position: 1, class: 'exact', rejected: 1 }]);
  expect(visit.store.verify().ledger).toBe('ok');
});

test('a tray that is counted again after a test is held against what lay in it before', async () => {
  visit = await Visit.begin();
  await visit.open();
  await visit.walk({ bays: { 1: { out: 10, load: 10 } }, boxes: 'count', tests: 'run' });
  // The test, and the count of the tray.
  visit.undo();
  visit.undo();
  expect(visit.view.asks).toMatchObject({ kind: 'boxCount', place: 'reject' });
  visit.answer({ kind: 'boxCount', counts: [] });
  expect(visit.view.boxes[1]).toMatchObject({ place: 'reject', differences: [] });
  // The owner may look, and is not asked to test.
  expect(visit.service.exchange(OWNER).exchange?.asks).toMatchObject({ permitted: false });
  await visit.walk({ tests: 'skip' });
  visit.close();
  expect(visit.counts()).toContain('reject 20: 1');
  expect(visit.store.verify().ledger).toBe('ok');
});

test('abandoned once more, for an answer that was lost, it is the same end', async () => {
  visit = await Visit.begin();
  await visit.open();
  visit.answer({ kind: 'bay', choice: 'count' });
  const { id: exchange, step } = visit.view;
  const ended = visit.abandon('rain');
  expect(visit.service.abandon(visit.who, { exchange, step }, 'rain')).toEqual(ended);
  expect(visit.store.visitRecords.list(0, 10)).toHaveLength(1);
});

test('abandoned: bays that were touched are unknown, the others serve', async () => {
  visit = await Visit.begin();
  const { machine } = visit;
  await visit.open();
  visit.answer({ kind: 'bay', choice: 'count' });
  visit.undo();
  visit.answer({ kind: 'bay', choice: 'leave' });
  visit.answer({ kind: 'bay', choice: 'count' });
  visit.answer({ kind: 'bayCount', count: 7 });
  visit.abandon();
  expect(visit.accuracy()).toEqual({ 1: 'unknown', 2: 'unknown', 3: 'set', 4: 'set' });
  // What was counted and never explained is over or short all the same.
  expect(visit.store.cashCounts.since(0)).toMatchObject([
    { account: 'bay:2', expected: 10, counted: 7, reason: 'unexplained' },
  ]);
  await machine.until((view) => view.state === 'idle' && view.cashOut.open, 'open again');
  await machine.act({ do: 'startCashOut' });
  await machine.untilCashOut(({ phase }) => phase === 'choosing', 'amounts');
  expect(machine.cashOut.offeredMinor).not.toContain(2_000);
  expect(machine.cashOut.offeredMinor).toContain(5_000);
});

describe('the test dispense', () => {
  /** A test of the second bay, with a fault in the unit. */
  const brokenDispenser = async (name: string) => {
    visit = await Visit.begin();
    await visit.open();
    await visit.walkTo('test', { bays: { 2: { out: 10, load: 10 } } });
    visit.machine.dispenser.control({ do: 'fault', name });
    visit.answer({ kind: 'test', choice: 'run' });
    expect(visit.view.state).toBe('testing');
    expect(await whyOf(() => visit.close())).toBe('notAsking');
    return visit.asking();
  };

  test('that is lost leaves the bay in doubt, and so does a note that is stuck', async () => {
    const { asks, bays } = await brokenDispenser('jamBeforeExit');
    expect(asks).toMatchObject({ kind: 'test', position: 2, last: 'unknown' });
    expect(bays[1]?.test).toBe('unknown');
    visit.answer({ kind: 'test', choice: 'skip' });
    const { record } = visit.close();
    expect(record.body.tests).toMatchObject([{ position: 2, class: 'unknown' }]);
    expect(visit.accuracy()[2]).toBe('inaccurate');
  });

  test('that picks no note is told, run again, and exact in the end', async () => {
    const { asks } = await brokenDispenser('pickUpFailure');
    expect(asks).toMatchObject({ kind: 'test', position: 2, last: 'none' });
    visit.answer({ kind: 'test', choice: 'run' });
    const { bays } = await visit.asking();
    expect(bays[1]).toMatchObject({ test: 'exact', testNotes: 1 });
    visit.close();
    expect(visit.accuracy()[2]).toBe('accurate');
    expect(visit.counts()).toContain('bay:2 20: 9');
  });

  test('on a silent unit is over as well: nothing was sent', async () => {
    visit = await Visit.begin();
    await visit.open();
    await visit.walkTo('test', { bays: { 2: { out: 10, load: 10 } } });
    visit.machine.dispenserCable.unplug();
    visit.answer({ kind: 'test', choice: 'run' });
    expect((await visit.asking()).asks).toMatchObject({ kind: 'test', last: 'none' });
    const [intended] = visit.store.journal.read({ kind: 'testDispense.intended' });
    expect(intended).toBeUndefined();
  });

  test('goes to the slot where the unit has no other way, as maintenance and no sale', async () => {
    const cassettes = {
      '1': { denomination: 20, count: 10 },
      '2': { denomination: 50, count: 10 },
    };
    const dispenser = {
      ...{ protocol: 'f56', model: 'f56' },
      make: (clock: Clock) => new F56Device({ clock, options: { cassettes } }),
    };
    const validator = {
      protocol: 'id003',
      make: (clock: Clock) => new Id003Device({ clock, options: {} }),
    };
    visit = await Visit.begin({ cassettes, devices: { validator, dispenser } });
    await visit.open();
    const plan: Plan = { bays: { 1: { out: 10, load: 30 } }, tests: 'run' };
    await visit.walkTo('denomination', plan);
    // This unit measures notes, and knows only some.
    const wrong = { kind: 'denomination', denomination: 3 } as const;
    expect(await whyOf(() => visit.answer(wrong))).toBe('denominationNotHeld');
    const offered = visit.view.asks;
    expect(offered?.kind === 'denomination' && offered.suggested).not.toContain(3);
    visit.fill(1, 50, 30);
    visit.answer({ kind: 'denomination', denomination: 50 });
    await visit.walkTo('test', plan);
    expect(visit.view.asks).toMatchObject({ to: 'slot' });
    visit.answer({ kind: 'test', choice: 'run' });
    const { bays } = await visit.asking();
    expect(bays[0]).toMatchObject({ test: 'exact', testNotes: 1 });
    visit.close();
    expect(visit.counts()).toContain('bay:1 50: 29');
    expect(visit.store.ledger.balance('customer')).toEqual([]);
    expect(visit.machine.dispenser.truth().customer).toEqual({ 50: 1 });
  });

  test('may be left to another technician, or skipped', async () => {
    visit = await Visit.begin({}, ['exchange']);
    await visit.open();
    const summary = await visit.walkTo('test', { bays: { 1: { out: 10, load: 10 } } });
    // Who may not collect is not asked about boxes.
    expect(summary.boxes).toEqual([]);
    expect(summary.asks).toMatchObject({ kind: 'test', permitted: false, to: 'reject' });
    expect(await whyOf(() => visit.answer({ kind: 'test', choice: 'run' }))).toBe('permission');
    await visit.join('Eva', ['exchange', 'test']);
    expect(visit.view.asks).toMatchObject({ kind: 'test', permitted: true });
    await visit.walk({ tests: 'run' });
    const { record } = visit.close();
    expect(record.body.technicians).toMatchObject([{ name: 'Ana' }, { name: 'Eva' }]);
  });
});

test('who may not open boxes may leave them, also when another began', async () => {
  visit = await Visit.begin();
  await visit.open();
  await visit.walkTo('box', {});
  await visit.join('Eva', ['exchange']);
  expect(await whyOf(() => visit.answer({ kind: 'box', choice: 'seal' }))).toBe('permission');
  visit.answer({ kind: 'box', choice: 'leave' });
  expect(visit.view.asks).toMatchObject({ kind: 'box', place: 'reject' });
});

test('nobody without the permission begins, answers, undoes or ends one', async () => {
  visit = await Visit.begin({}, ALL);
  const { id, step } = await visit.open();
  await visit.join('Eva', ['counts', 'test', 'collect', 'settle']);
  const at = { exchange: id, step };
  const { service, who } = visit;
  const answer = { kind: 'bay', choice: 'leave' } as const;
  for (const act of [
    () => service.begin(who),
    () => service.answer(who, { ...at, answer }),
    () => service.undo(who, at),
    () => service.close(who, at),
    () => service.abandon(who, at, 'x'),
  ]) {
    expect(await whyOf(act)).toBe('permission');
  }
  expect(visit.view.step).toBe(step);
});

test('a bay of other notes that was parked: confirmed on site, or filled with what is wanted', async () => {
  visit = await Visit.begin();
  const { machine } = visit;
  await machine.clock.advance(2_000);
  const changed = { '1': { denomination: 100, count: 5 }, '2': { denomination: 100, count: 5 } };
  await machine.clock.resolve(machine.keeper.publishCassettes(changed));
  await machine.clock.until(() => visit.store.cashUnits.list()[0]?.parked === true, 60_000);
  await visit.open();
  expect(visit.view.asks).toMatchObject({ parked: true, denomination: 100 });
  visit.answer({ kind: 'bay', choice: 'confirm' });
  const plan: Plan = { bays: { 2: { out: 5, load: 20 } } };
  await visit.walkTo('denomination', plan);
  visit.answer({ kind: 'denomination', denomination: 20 });
  await visit.walk(plan);
  visit.close();
  expect(visit.store.cashUnits.list().slice(0, 2)).toMatchObject([
    { value: 10_000, parked: false, accuracy: 'set' },
    { value: 2_000, parked: false, accuracy: 'accurate' },
  ]);
  expect(visit.counts()).toContain('bay:2 20: 20');
});

test('a document that the operator wrote before the count says nothing of counted bays', async () => {
  visit = await Visit.begin();
  const { machine } = visit;
  await visit.open();
  await machine.clock.advance(2_000);
  const stated = { '1': { denomination: 20, count: 77 }, '2': { denomination: 20, count: 66 } };
  await machine.clock.resolve(machine.keeper.publishCassettes(stated));
  await machine.clock.advance(5_000);
  // Nothing is applied while hands are in the machine.
  expect(visit.counts()).toContain('bay:2 20: 10');
  await visit.walk({ bays: { 1: { out: 10, load: 50 } } });
  visit.close();
  await machine.clock.advance(1);
  expect(visit.counts()).toContain('bay:1 20: 50');
  expect(visit.counts()).toContain('bay:2 20: 66');
  expect(machine.kinds().filter((kind) => kind === 'document.applied').length).toBe(3);
});
