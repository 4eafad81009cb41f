/**
 * The power goes at every durable write of an exchange, before it and after it; the technician
 * comes back, signs in, and goes on where it was. One machine goes through all of it.
 */
import { afterEach, expect, test } from 'vitest';
import type { CommitPlan } from '#test/support/life.ts';
import { type Plan, Visit, whyOf } from './visit-rig.ts';

let visit: Visit;
afterEach(async () => {
  await visit.machine.stop();
});

/** Cuts of an exchange at most; it has fewer commits. */
const CUTS_MAX = 120;
const LOADED = 30;
/** Questions of one exchange, and those of one that was cut, with room to spare. */
const TURNS_MAX = 60;

type Cut = { readonly when: keyof CommitPlan; readonly at: number };

/** The commit of this life at which the power goes. */
let cut: Cut | undefined;
const commitPlan: CommitPlan = {
  before: (commit) => cutPowerAt('before', commit),
  after: (commit) => cutPowerAt('after', commit),
};
function cutPowerAt(when: keyof CommitPlan, commit: number): void {
  if (cut?.when !== when || cut.at !== commit) return;
  cut = undefined;
  visit.machine.die('powerCut');
}

const notesIn = (position: number): number => {
  return visit.machine.dispenser.truth().units[position]?.count ?? 0;
};
const inTray = (): number => visit.machine.dispenser.truth().reject[20] ?? 0;

/** What hands do with what is asked: they take out what is there, and put in what they say. */
async function act(): Promise<void> {
  const { asks, state } = visit.view;
  if (state !== 'asking') return;
  const plan: Plan = {
    bays: { 1: { out: notesIn(1), load: LOADED } },
    boxes: 'count',
    reject: { 20: inTray() },
    // What a cut has left unknown stays so: a second note would prove nothing of the first.
    tests: asks?.kind === 'test' && asks.last === 'unknown' ? 'skip' : 'run',
  };
  // A unit that has just got its power back is not open yet.
  if (asks?.kind === 'test' && asks.last === 'none') await visit.machine.clock.advance(5_000);
  if (asks?.kind === 'load') visit.fill(1, 20, LOADED);
  if (asks?.kind === 'close') {
    visit.close();
    return;
  }
  const answer = visit.answerOf(plan);
  if (answer) visit.answer(answer);
}

/** The tray is emptied when it is counted: what was in it is the technician's. */
async function comeBack(): Promise<void> {
  const { machine } = visit;
  machine.bury();
  await machine.clock.advance(1_000);
  machine.plugIn();
  machine.start();
  await machine.until(({ state }) => state !== 'recovering', 'recovered');
  await visit.signIn();
}

/** One whole exchange, cut where it was said; false when it was over before that. */
async function exchangeWith(next: Cut): Promise<boolean> {
  const { machine } = visit;
  const recordsBefore = visit.store.visitRecords.head().number;
  cut = { when: next.when, at: machine.life.commits + next.at };
  for (let turns = 0; visit.store.visitRecords.head().number === recordsBefore; turns++) {
    if (turns > TURNS_MAX) throw new Error('the exchange never ends');
    try {
      if (!visit.service.exchange(visit.who).exchange) visit.service.begin(visit.who);
      await machine.clock.reach(
        () => machine.life.isDead || visit.view.state === 'asking',
        120_000,
      );
      if (!machine.life.isDead) await act();
    } catch (error) {
      if (!machine.life.isDead) throw error;
    }
    if (machine.life.isDead) await comeBack();
  }
  const wasCut = cut === undefined;
  cut = undefined;
  if (machine.life.isDead) await comeBack();
  return wasCut;
}

test('cut at every write it goes on, ends once, and every count is that of the machine', async () => {
  visit = await Visit.begin({ commitPlan });
  const { machine } = visit;
  let cuts = 0;
  for (let at = 1; at <= CUTS_MAX; at++) {
    // One side of each write in turn: all sides would take twice as long.
    const when = at % 2 === 0 ? 'before' : 'after';
    const trayBefore = inTray();
    if (!(await exchangeWith({ when, at }))) break;
    cuts += 1;
    const { store } = visit;
    expect(store.exchanges.open()).toBeUndefined();
    expect(store.visitRecords.head().number).toBe(cuts);
    const record = store.visitRecords.get(cuts);
    expect(record?.body.outcome).toBe('closed');
    expect(store.verify()).toMatchObject({ ledger: 'ok', chain: 'ok', problems: [] });
    const isSure = visit.accuracy()[1] === 'accurate';
    const booked = store.ledger.count('bay:1', 2_000 as never);
    if (isSure) expect([at, booked]).toEqual([at, notesIn(1)]);
    else expect(record?.body.tests).toMatchObject([{ class: 'unknown' }]);
    expect(inTray()).toBeGreaterThanOrEqual(trayBefore);
    await machine.until((view) => view.cashOut.open, 'in service again');
    // Only now: the unit may have been made ready while the visit ended.
    expect(store.intents.listOpen()).toEqual([]);
  }
  expect(cuts).toBeGreaterThan(15);
  expect(cuts).toBeLessThan(CUTS_MAX);
});

test('a test dispense that was cut is asked of the unit, or unknown, and never sent again', async () => {
  visit = await Visit.begin();
  const { machine } = visit;
  const seen = new Set<string>();
  for (const afterMs of [0, 300, 1_200]) {
    await visit.open();
    await visit.walkTo('test', { bays: { 1: { out: notesIn(1), load: notesIn(1) } } });
    const inTrayBefore = inTray();
    visit.answer({ kind: 'test', choice: 'run' });
    const intents = () => visit.store.intents.listOpen('testDispense').length;
    await machine.clock.until(() => intents() === 1, 10_000);
    await machine.clock.advance(afterMs);
    machine.cutPower();
    await machine.clock.advance(1_000);
    await machine.powerOn();
    await visit.signIn();
    await visit.asking();
    const moved = inTray() - inTrayBefore;
    expect(moved).toBeLessThanOrEqual(1);
    expect(intents()).toBe(0);
    const [bay] = visit.view.bays;
    if (bay?.test === 'exact') expect(moved).toBe(1);
    else visit.answer({ kind: 'test', choice: 'skip' });
    visit.close();
    expect(visit.accuracy()[1]).toBe(bay?.test === 'exact' ? 'accurate' : 'inaccurate');
    seen.add(bay?.test ?? '');
  }
  // The first cuts fall before the unit has moved anything that it could tell of.
  expect([...seen].sort()).toEqual(['exact', 'unknown']);
  const { journal } = visit.store;
  expect(journal.read({ kind: 'testDispense.intended' })).toHaveLength(3);
  expect(journal.read({ kind: 'testDispense.settled' })).toHaveLength(3);
});

test('the program is killed while it drains: doors stay closed, and it goes on by itself', async () => {
  visit = await Visit.begin();
  const { machine } = visit;
  await machine.act({ do: 'startCashIn' });
  visit.service.begin(visit.who);
  expect(visit.view.state).toBe('draining');
  machine.die('kill');
  machine.bury();
  machine.start();
  await machine.until(({ state }) => state !== 'recovering', 'recovered');
  expect(machine.view.state).toBe('exchange');
  expect(machine.view.cashIn.reasons.map(({ code }) => code)).toContain('exchangeActive');
  expect(await whyOf(() => visit.service.exchange(visit.who))).toBe('signInExpired');
  await visit.signIn();
  await visit.asking();
  visit.abandon();
  await machine.until((view) => view.cashIn.open, 'open again');
});

test.each(['close', 'abandon'] as const)(
  'cut between the commit of %s and its answer: asked again it gives the same record',
  async (how) => {
    visit = await Visit.begin({ commitPlan });
    const { machine } = visit;
    await visit.open();
    const { id: exchange, step } = await visit.walk({ bays: { 1: { out: 10, load: 10 } } });
    const end = () => {
      const at = { exchange, step };
      if (how === 'close') return visit.service.close(visit.who, at);
      return visit.service.abandon(visit.who, at, 'rain');
    };
    cut = { when: 'after', at: machine.life.commits + 1 };
    // What it returns reaches nobody any more.
    end();
    expect(machine.life.isDead).toBe(true);
    await comeBack();
    expect(visit.store.exchanges.open()).toBeUndefined();
    const kept = visit.store.visitRecords.get(1);
    const again = end();
    expect(again.record).toMatchObject({ number: 1, hash: kept?.hash });
    expect(again.exchange.state).toBe(how === 'close' ? 'closed' : 'abandoned');
    expect(end().record.hash).toBe(kept?.hash);
    expect(visit.store.visitRecords.head().number).toBe(1);
    const kinds = machine.kinds().filter((kind) => /^exchange.(closed|abandoned)$/.test(kind));
    expect(kinds).toHaveLength(1);
    // The other end of the same step is no end of it.
    const other = how === 'close' ? 'abandon' : 'close';
    const at = { exchange, step };
    expect(
      await whyOf(() =>
        other === 'close'
          ? visit.service.close(visit.who, at)
          : visit.service.abandon(visit.who, at, 'rain'),
      ),
    ).toBe('noExchange');
  },
);
