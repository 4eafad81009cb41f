import { describe, expect, test } from 'vitest';
import { systemRandom } from '#protocol/base/clock.ts';
import { newReference } from '#protocol/base/ids.ts';
import { minorUnits } from '#protocol/base/money.ts';
import { bayOf, dispense, makeConfig, makeWorld, putUnit } from './rig.ts';

const twenty = (count: number) => ({ denomination: 20, count });
const fifty = (count: number) => ({ denomination: 50, count });
const held = (value: number, count: number, more: Record<string, unknown> = {}) => ({
  value,
  count,
  accuracy: 'set',
  parked: false,
  ...more,
});

/** A machine whose bays 1 and 2 hold 100 twenties each. */
async function makeFilled(fields: Record<string, unknown> = {}) {
  const world = makeWorld(fields);
  const machine = world.start();
  await world.said(world.keeper.publishCassettes({ 1: twenty(100), 2: twenty(100) }));
  return { ...world, ...machine };
}

describe('fees', () => {
  test('keep the machine closed until there are some, and outlive a restart', async () => {
    const { keeper, start, said } = makeWorld();
    const first = start();
    expect(first.documents.fees()).toBeUndefined();
    expect(first.board.list('cashIn')).toEqual([
      { code: 'awaitingFees', text: 'The operator has not set the fees yet.' },
    ]);
    expect(first.board.open('cashOut')).toBe(false);
    await said(keeper.publishFees());
    const legs = { kind: 'legs', platform: 0.03, operator: 0.05 };
    const fees = { type: 'fees', cashIn: legs, cashOut: legs };
    expect(first.documents.fees()).toEqual(fees);
    expect(first.board.open('cashIn')).toBe(true);
    expect(first.state.changes).toBe(1);
    first.stop();
    keeper.stop();
    const second = start();
    expect(second.documents.fees()).toEqual(fees);
    expect(second.board.open('cashIn')).toBe(true);
  });

  test('that are wrong leave the last good ones in force, and say why once', async () => {
    const { keeper, start, said, clock } = makeWorld();
    const { documents, store, line } = start();
    await said(keeper.publishFees());
    const good = documents.fees();
    const percent = { schema_version: 1, cash_in_fee_fraction: 3, cash_out_fee_fraction: 3 };
    await said(keeper.publishDocument('bitspire-fees', percent));
    expect(documents.fees()).toEqual(good);
    const [view] = documents.views().filter(({ type }) => type === 'bitspire-fees');
    expect(view?.refused).toMatch(/not percent/);
    expect(view?.content).toMatchObject({ schema_version: 1, cash_in_fee_fraction: 0.08 });
    const entries = store.journal.count();
    line.partition();
    line.heal();
    await clock.advance(5_000);
    expect(store.journal.count()).toBe(entries);
    await said(keeper.publishFees());
    expect(documents.views().find(({ type }) => type === 'bitspire-fees')?.refused).toBeNull();
  });

  test('kept by another version of the program are as good as none', async () => {
    const { clock, signer, keeper, start, lines } = makeWorld();
    const first = start();
    first.store.commit(() =>
      first.store.documents.record({
        type: 'fees',
        author: keeper.operatorPubkey,
        eventId: signer.pubkey,
        createdAt: 1,
        receivedAtUnixMs: clock.now(),
        state: 'applied',
        content: '{"schema_version": 2}',
      }),
    );
    first.stop();
    expect(start().documents.fees()).toBeUndefined();
    expect(lines.join()).toMatch(/kept document not readable/);
  });
});

describe('the cap', () => {
  test('is undefined, a number, or lifted', async () => {
    const { keeper, start, said } = makeWorld();
    const first = start();
    expect(first.documents.operatorCap()).toBeUndefined();
    await said(keeper.publishLimits(400_000));
    expect(first.documents.operatorCap()).toBe(400_000);
    await said(keeper.publishLimits(null));
    expect(first.documents.operatorCap()).toBeNull();
    await said(keeper.publishLimits(0));
    first.stop();
    expect(start().documents.operatorCap()).toBe(0);
  });
});

describe('cassettes', () => {
  test('fill an empty machine; two bays of one denomination are two bays', async () => {
    const { store } = await makeFilled({
      cassettes: { changedDenomination: 'park', raisedCount: 'park' },
    });
    expect(bayOf(store, 1)).toEqual(held(2_000, 100));
    expect(bayOf(store, 2)).toEqual(held(2_000, 100));
    expect(bayOf(store, 3)).toBeUndefined();
    expect(store.ledger.movements()).toMatchObject([
      { from: 'unaccounted', to: 'bay:1', count: 100, cause: 'operatorDocument' },
      { from: 'unaccounted', to: 'bay:2', count: 100, cause: 'operatorDocument' },
    ]);
    const [entry] = store.journal.read({ kind: 'document.applied' });
    expect(entry?.body).toMatchObject({
      type: 'cassettes',
      bays: [
        { position: 1, before: 0, after: 100 },
        { position: 2, before: 0, after: 100 },
      ],
    });
  });

  test('of the old shape are refused with the new one named', async () => {
    const { keeper, said, documents, store } = await makeFilled();
    await said(keeper.publishOldCassettes({ 20: { position: 1, count: 3 } }));
    const view = documents.views().find(({ type }) => type === 'bitspire-cassettes');
    expect(view?.refused).toMatch(/old shape.*\{"positions": \{"1"/);
    expect(view?.content).toMatchObject({ positions: { 2: twenty(100) } });
    expect(bayOf(store, 1)).toEqual(held(2_000, 100));
  });

  test('for a bay that is not there are refused, and the ones before stay', async () => {
    const { keeper, said, state, documents, store } = await makeFilled();
    state.isIdle = false;
    await said(keeper.publishCassettes({ 1: twenty(90) }));
    await said(keeper.publishCassettes({ 1: twenty(80), 5: twenty(1) }));
    const view = documents.views().find(({ type }) => type === 'bitspire-cassettes');
    expect(view?.refused).toBe('position 5 is not in this machine, which has 1, 2, 3, 4');
    state.isIdle = true;
    documents.applyPending();
    expect(bayOf(store, 1)).toEqual(held(2_000, 90));
  });

  test('a reason of any length is kept short enough', async () => {
    const { keeper, said, documents } = await makeFilled();
    await said(
      keeper.publishDocument('bitspire-cassettes', { positions: { ['x'.repeat(5_000)]: 1 } }),
    );
    const view = documents.views().find(({ type }) => type === 'bitspire-cassettes');
    expect(view?.refused).toHaveLength(2_000);
  });

  test('state counts as of when they were written', async () => {
    const { keeper, said, clock, store } = await makeFilled();
    dispense(store, 1, 7);
    await clock.advance(60_000);
    const writtenSec = Math.floor(clock.now() / 1000);
    await clock.advance(60_000);
    dispense(store, 1, 5);
    const positions = { 1: twenty(90), 2: twenty(60) };
    await said(keeper.publishDocument('bitspire-cassettes', { positions }, writtenSec));
    expect(bayOf(store, 1)).toEqual(held(2_000, 85));
    expect(bayOf(store, 2)).toEqual(held(2_000, 60));
    expect(store.ledger.verify().ledger).toBe('ok');
  });

  test('do not count the correction by an earlier document as notes that moved', async () => {
    const { keeper, said, clock, state, documents, store } = await makeFilled();
    const earlierSec = Math.floor(clock.now() / 1000) + 1;
    await clock.advance(10_000);
    const first = { positions: { 1: twenty(50) } };
    await said(keeper.publishDocument('bitspire-cassettes', first, earlierSec));
    expect(bayOf(store, 1)?.count).toBe(50);
    state.isIdle = false;
    const second = { positions: { 1: twenty(60) } };
    await said(keeper.publishDocument('bitspire-cassettes', second, earlierSec + 1));
    state.isIdle = true;
    documents.applyPending();
    expect(bayOf(store, 1)?.count).toBe(60);
  });

  test('older than a count by hand change nothing in that bay', async () => {
    const { keeper, said, clock, store } = await makeFilled();
    await clock.advance(60_000);
    const writtenSec = Math.floor(clock.now() / 1000);
    await clock.advance(1);
    putUnit(store, 1, { countedAtUnixMs: clock.now(), accuracy: 'accurate' });
    const positions = { 1: twenty(3), 2: twenty(4) };
    await said(keeper.publishDocument('bitspire-cassettes', { positions }, writtenSec));
    expect(bayOf(store, 1)).toEqual(held(2_000, 100, { accuracy: 'accurate' }));
    expect(bayOf(store, 2)).toEqual(held(2_000, 4));
    await said(keeper.publishCassettes({ 1: twenty(5) }));
    expect(bayOf(store, 1)).toEqual(held(2_000, 5));
    expect(store.cashUnits.list()[0]?.countedAtUnixMs).toBeDefined();
  });

  test('of the same bays as last time move nothing, whoever wrote them', async () => {
    const { keeper, said, store, documents, start, stop } = await makeFilled();
    dispense(store, 1, 10);
    await said(keeper.publishCassettes({ 1: twenty(100), 2: twenty(100) }));
    expect(bayOf(store, 1)?.count).toBe(90);
    expect(documents.views()[0]?.eventId).not.toBeNull();
    const before = documents.views()[0]?.eventId;
    stop();
    keeper.rotateOperatorKey();
    const again = start();
    await said(keeper.publishCassettes({ 1: twenty(100), 2: twenty(100) }));
    expect(bayOf(again.store, 1)?.count).toBe(90);
    expect(again.documents.views()[0]?.eventId).not.toBe(before);
    const entries = again.store.journal.read({ kind: 'document.applied' });
    expect(entries.map(({ body }) => body.republication ?? false)).toEqual([false, true, true]);
    await said(keeper.publishCassettes({ 1: twenty(95) }));
    expect(bayOf(again.store, 1)?.count).toBe(95);
    expect(bayOf(again.store, 2)?.count).toBe(100);
  });

  test.each([
    ['park', true],
    ['apply', false],
  ])('of another denomination: %s', async (changedDenomination, parked) => {
    const world = await makeFilled({ cassettes: { changedDenomination } });
    const { keeper, said, clock, store } = world;
    dispense(store, 1, 1);
    await clock.advance(1_000);
    await said(keeper.publishCassettes({ 1: fifty(80), 2: twenty(100) }));
    expect(bayOf(store, 1)).toEqual(held(5_000, 80, { parked }));
    expect(bayOf(store, 2)).toEqual(held(2_000, 100));
    expect(store.ledger.balance('bay:1')).toEqual([{ currency: 'USD', value: 5_000, count: 80 }]);
    expect(store.ledger.balance('unaccounted')).toMatchObject([
      { value: 2_000, count: -101 },
      { value: 5_000, count: -80 },
    ]);
    await said(keeper.publishCassettes({ 1: fifty(70) }));
    // Only somebody on site ends it.
    expect(bayOf(store, 1)).toEqual(held(5_000, 70, { parked }));
  });

  test('of another currency are another denomination', async () => {
    const { keeper, said, stop, start } = await makeFilled();
    stop();
    const { store } = start({ config: makeConfig({ currency: 'EUR' }) });
    await said(keeper.publishCassettes({ 1: twenty(80) }));
    expect(bayOf(store, 1)).toMatchObject({ parked: true });
    expect(store.ledger.balance('bay:1')).toEqual([{ currency: 'EUR', value: 2_000, count: 80 }]);
  });

  test.each([
    ['set', false],
    ['park', true],
  ])('with a raised count: %s', async (raisedCount, parked) => {
    const { keeper, said, store } = await makeFilled({ cassettes: { raisedCount } });
    await said(keeper.publishCassettes({ 1: twenty(101), 2: twenty(99), 3: fifty(10) }));
    expect(bayOf(store, 1)).toEqual(held(2_000, 101, { parked }));
    expect(bayOf(store, 2)).toEqual(held(2_000, 99));
    expect(bayOf(store, 3)).toEqual(held(5_000, 10, { parked }));
  });

  test('that state fewer notes than were handed out since leave doubt', async () => {
    const { keeper, said, clock, store } = await makeFilled();
    const writtenSec = Math.floor(clock.now() / 1000) + 1;
    await clock.advance(60_000);
    dispense(store, 1, 20);
    const positions = { 1: twenty(19), 2: twenty(100) };
    await said(keeper.publishDocument('bitspire-cassettes', { positions }, writtenSec));
    expect(bayOf(store, 1)).toEqual(held(2_000, 0, { accuracy: 'inaccurate' }));
  });

  test('without a known clock leave doubt where notes have moved, and only there', async () => {
    const { keeper, start, said, clock } = makeWorld();
    const { state, store } = start();
    state.knownSinceUnixMs = undefined;
    await said(keeper.publishCassettes({ 1: twenty(100), 2: twenty(100) }));
    expect(bayOf(store, 1)).toEqual(held(2_000, 100));
    dispense(store, 1, 1);
    await clock.advance(1_000);
    await said(keeper.publishCassettes({ 1: twenty(98), 2: twenty(98) }));
    expect(bayOf(store, 1)).toEqual(held(2_000, 98, { accuracy: 'inaccurate' }));
    expect(bayOf(store, 2)).toEqual(held(2_000, 98));
  });

  test('end an older doubt, and none that came after them', async () => {
    const { keeper, said, clock, store } = await makeFilled();
    putUnit(store, 1, { accuracy: 'inaccurate' });
    await said(keeper.publishCassettes({ 1: twenty(50) }));
    expect(bayOf(store, 1)).toEqual(held(2_000, 50));
    const writtenSec = Math.floor(clock.now() / 1000) + 1;
    await clock.advance(60_000);
    putUnit(store, 1, { accuracy: 'inaccurate' });
    store.commit(() =>
      store.obligations.insert({
        reference: newReference(systemRandom),
        kind: 'dispenseUnknown',
        currency: 'USD',
        body: {},
      }),
    );
    const positions = { 1: twenty(40), 2: twenty(40) };
    await said(keeper.publishDocument('bitspire-cassettes', { positions }, writtenSec));
    expect(bayOf(store, 1)).toEqual(held(2_000, 40, { accuracy: 'inaccurate' }));
    expect(bayOf(store, 2)).toEqual(held(2_000, 40));
  });

  test('wait for the end of a session, the newest alone', async () => {
    const { keeper, said, state, documents, store } = await makeFilled();
    state.isIdle = false;
    await said(keeper.publishCassettes({ 1: twenty(1) }));
    await said(keeper.publishCassettes({ 2: twenty(2) }));
    documents.applyPending();
    expect(bayOf(store, 2)?.count).toBe(100);
    dispense(store, 2, 2);
    state.isIdle = true;
    documents.applyPending();
    expect([bayOf(store, 1)?.count, bayOf(store, 2)?.count]).toEqual([100, 0]);
    const movements = store.ledger.movements().length;
    documents.applyPending();
    expect(store.ledger.movements()).toHaveLength(movements);
  });

  test('that waited when the power went are heard again', async () => {
    const { keeper, said, clock, state, stop, start } = await makeFilled();
    state.isIdle = false;
    await said(keeper.publishCassettes({ 1: twenty(1) }));
    stop();
    const { store } = start();
    expect(bayOf(store, 1)?.count).toBe(100);
    await clock.advance(1_000);
    expect(bayOf(store, 1)?.count).toBe(1);
  });

  test('count movements over many pages', async () => {
    const { keeper, said, clock, store } = await makeFilled();
    const move = (from: 'bay:1' | 'reject', to: 'bay:1' | 'reject') =>
      store.ledger.move({
        from,
        to,
        currency: 'USD',
        value: minorUnits(2_000),
        count: 1,
        cause: 'test',
      });
    const writtenSec = Math.floor(clock.now() / 1000) + 1;
    await clock.advance(60_000);
    store.commit(() => {
      for (let i = 0; i < 1_010; i++) {
        move('bay:1', 'reject');
        if (i > 9) move('reject', 'bay:1');
      }
    });
    const positions = { 1: twenty(50), 2: twenty(100) };
    await said(keeper.publishDocument('bitspire-cassettes', { positions }, writtenSec));
    expect(bayOf(store, 1)?.count).toBe(40);
  });
});
