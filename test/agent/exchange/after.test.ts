/** What an exchange, or its state, meets of the rest: a late answer, a restore, a wrong look. */
import { afterEach, expect, test } from 'vitest';
import { bookOut } from '#agent/cash-out/dispense-batch.ts';
import { queueUnsigned } from '#agent/exchange/record.ts';
import type { Sight } from '#agent/service/service.ts';
import { restoreInto } from '#agent/upkeep/restore.ts';
import { position } from '#protocol/base/ids.ts';
import { testParts } from '#test/support/parts.ts';
import { OWNER, PIN, Visit, whyOf } from './visit-rig.ts';

let visit: Visit;
afterEach(async () => {
  await visit.machine.stop();
});

test('while hands count, no view of the service tells what the books expect', async () => {
  visit = await Visit.begin();
  const { service } = visit.machine.running;
  await visit.machine.clock.advance(10_000);
  const shown = (sight?: Sight) =>
    service
      .documents(sight)
      .filter(({ type }) => type.startsWith('bitspire-cassettes'))
      .map(({ content }) => content !== null);
  expect(shown()).toEqual([true, true]);
  await visit.open();
  expect(shown()).toEqual([false, false]);
  expect(service.status()).toMatchObject({ cashUnits: [], accounts: [], bayUse: [] });
  // The operator sees what he always sees.
  expect(shown('counts')).toEqual([true, true]);
  expect(service.status('counts').cashUnits).toHaveLength(4);
  expect(service.status('counts').bayUse).toHaveLength(4);
  visit.abandon();
  expect(service.status().cashUnits).toHaveLength(4);
  expect(shown()).toEqual([true, true]);
});

test('the operator is told of the new counts, once for all the answers of a moment', async () => {
  visit = await Visit.begin();
  const { machine } = visit;
  const told = () => machine.keeper.received('bitspire-cassettes-state');
  await machine.clock.until(() => told() !== undefined, 60_000);
  const before = told()?.event.id;
  await visit.open();
  // No time passes between the answers.
  await visit.walk({ bays: { 1: { out: 10, load: 70 }, 4: { out: 4, load: 80 } } });
  visit.close();
  expect(told()?.event.id).toBe(before);
  await machine.clock.until(() => told()?.event.id !== before, 60_000);
  expect(told()?.content).toEqual({
    positions: {
      1: { denomination: 20, count: 70 },
      2: { denomination: 20, count: 10 },
      3: { denomination: 50, count: 10 },
      4: { denomination: 100, count: 80 },
    },
  });
});

test('a dispense that is judged after the bay was counted takes nothing from what was put in', async () => {
  visit = await Visit.begin();
  const { machine } = visit;
  const bolt11 = await machine.sell(4_000);
  machine.keeper.pay(bolt11);
  await machine.clock.until(() => machine.kinds().includes('dispense.intended'), 60_000);
  // The notes come out, and the unit falls silent: power and cable are gone until it is over.
  await machine.clock.until(
    () => Object.keys(machine.dispenser.truth().customer).length > 0,
    60_000,
  );
  machine.cutPower();
  await machine.clock.advance(1_000);
  machine.plugIn();
  machine.dispenserCable.unplug();
  machine.start();
  await machine.until(({ state }) => state !== 'recovering', 'recovered');
  await visit.signIn();
  await visit.open();
  const count = (at: number) => machine.dispenser.truth().units[at]?.count ?? 0;
  const bays = { 1: { out: count(1), load: 40 }, 2: { out: count(2), load: 50 } };
  visit.fill(1, 20, 40);
  visit.fill(2, 20, 50);
  await visit.walk({ bays });
  visit.close();
  expect(visit.store.intents.listOpen('dispense')).toHaveLength(1);
  machine.dispenserCable.plug();
  await machine.clock.until(() => visit.store.intents.listOpen('dispense').length === 0, 120_000);
  const bookedOf = (at: number) =>
    visit.store.ledger.balance(`bay:${at}`).map((pile) => pile.count);
  expect([bookedOf(1), bookedOf(2)]).toEqual([[40], [50]]);
  expect([visit.accuracy()[1], visit.accuracy()[2]]).toEqual(['accurate', 'accurate']);
  expect(visit.store.verify().ledger).toBe('ok');
});

test('a restore suspends technicians, ends invites and the exchange that was open', async () => {
  visit = await Visit.begin();
  const { machine, store } = visit;
  const request = { name: 'Leo', permissions: ['counts' as const], expiresAtUnixMs: null };
  const { invite } = visit.service.invite(OWNER, request);
  await visit.open();
  visit.answer({ kind: 'bay', choice: 'seal' });
  visit.answer({ kind: 'seal', seal: 'A-1' });
  restoreInto(store, machine, undefined);
  expect(await whyOf(() => visit.service.exchange(visit.who))).toBe('suspended');
  expect(await whyOf(() => visit.service.signIn('Ana', PIN))).toBe('suspended');
  expect(await whyOf(() => visit.service.redeem(invite, PIN))).toBe('inviteRevoked');
  expect(store.exchanges.open()).toBeUndefined();
  expect(Object.values(visit.accuracy())).toEqual(Array(4).fill('unknown'));
  // What was in a bag then can still be counted.
  expect(visit.service.bags(OWNER).map(({ seal }) => seal)).toEqual(['A-1']);
  visit.service.confirm(OWNER, { who: 'Ana', reason: 'she still works here' });
  expect(await whyOf(() => visit.service.exchange(visit.who))).toBe('done');
});

test('a word of the operator from before a restore confirms nobody; one from after it does', async () => {
  visit = await Visit.begin();
  const { machine, store } = visit;
  await machine.clock.advance(5_000);
  const before = Math.floor(machine.clock.now() / 1_000);
  await machine.clock.advance(5_000);
  restoreInto(store, machine, undefined);
  const say = async (confirmed: readonly string[], atSec?: number) => {
    const known = store.journal.count();
    const document = { schema_version: 1, confirmed };
    const said = machine.keeper.publishDocument('bitspire-technicians', document, atSec);
    await machine.clock.resolve(said);
    await machine.clock.until(() => store.journal.count() > known, 30_000);
  };
  const state = () => visit.service.technicians(OWNER).technicians[0]?.state;
  await say(['Ana'], before);
  expect(state()).toBe('suspended');
  await machine.clock.advance(5_000);
  await say(['Ana', 'Nobody']);
  expect(state()).toBe('active');
  const [confirmed] = store.journal.read({ kind: 'technician.confirmed' });
  expect(confirmed?.body).toMatchObject({ name: 'Ana', by: 'operatorDocument' });
});

test('records that a restore dropped from the outbox unsigned wait again', async () => {
  visit = await Visit.begin();
  visit.machine.bunker.policy.switches.silent = true;
  await visit.open();
  visit.abandon();
  const { store } = visit;
  const waiting = () => store.outbox.pending().filter(({ type }) => type.includes('record'));
  expect(waiting()).toHaveLength(1);
  queueUnsigned(store);
  expect(waiting()).toHaveLength(1);
  store.commit(() => {
    for (const { type, version } of waiting()) store.outbox.done(type, version);
  });
  queueUnsigned(store);
  expect(waiting()).toMatchObject([{ type: 'bitspire-record-1' }]);
});

test('a cassette that is taken out while nobody is signed in holds nobody knows what', async () => {
  visit = await Visit.begin();
  const { machine } = visit;
  machine.dispenser.control({ do: 'cassette', position: 2, present: false });
  await machine.clock.until(() => visit.accuracy()[2] === 'unknown', 60_000);
  machine.dispenser.control({ do: 'cassette', position: 2, present: true });
  await machine.clock.advance(30_000);
  expect(visit.accuracy()).toMatchObject({ 1: 'set', 2: 'unknown' });
  expect(visit.store.journal.read({ kind: 'cassette.removed' })).toMatchObject([
    { body: { position: 2 } },
  ]);
  // The operator's word from before it says nothing of it; a newer one does.
  const { clock, keeper } = machine;
  const old = Math.floor(clock.now() / 1_000) - 120;
  await clock.resolve(keeper.publishDocument('bitspire-cassettes', doc(9), old));
  await clock.advance(3_000);
  expect(visit.accuracy()[2]).toBe('unknown');
  await clock.resolve(keeper.publishDocument('bitspire-cassettes', doc(8)));
  await clock.until(() => visit.accuracy()[2] === 'set', 30_000);
  expect(visit.store.ledger.count(`bay:${position(2)}`, 2_000 as never)).toBe(8);
});

test('notes of an act from before a count are those that the count missed', async () => {
  visit = await Visit.begin();
  const parts = await testParts();
  const { store, clock } = parts;
  const [unit] = store.cashUnits.list();
  if (!unit) throw new Error('there is no bay');
  const actAtUnixMs = clock.now();
  await clock.advance(1_000);
  store.commit(() => store.cashUnits.put({ ...unit, countedAtUnixMs: clock.now() }));
  const out = (sinceUnixMs: number) =>
    store.commit(() => bookOut(parts, undefined, unit.position, 'customer', 2, sinceUnixMs));
  const counts = () =>
    (['bay:1', 'unaccounted', 'customer'] as const).map((at) => store.ledger.count(at, unit.value));
  out(actAtUnixMs);
  expect(counts()).toEqual([10, -2, 2]);
  out(clock.now());
  expect(counts()).toEqual([8, -2, 4]);
});

const doc = (count: number) => ({ positions: { '2': { denomination: 20, count } } });

test('a machine that is being stopped lets nobody begin', async () => {
  visit = await Visit.begin();
  const { machine } = visit;
  const stopping = machine.running.stop();
  expect(await whyOf(() => visit.service.begin(visit.who))).toBe('stopping');
  await machine.clock.resolve(stopping);
  machine.agent = undefined;
});
