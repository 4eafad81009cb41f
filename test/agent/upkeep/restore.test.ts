/** A backup becomes the state of a machine that has gone on since: nothing may be paid twice. */
import { readdirSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { exposureLeft } from '#agent/cash-in/exposure.ts';
import { restore } from '#agent/cli/offline.ts';
import { restoreInto } from '#agent/upkeep/restore.ts';
import { systemRandom } from '#protocol/base/clock.ts';
import type { ObligationId } from '#protocol/base/ids.ts';
import { minorUnits, sats } from '#protocol/base/money.ts';
import type { Store } from '#state/store.ts';
import { insertedTransaction, newStore } from '#test/state/fixtures.ts';
import { CashInRig } from '#test/support/cash-in-rig.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { WholeMachine } from '#test/support/whole-machine.ts';

describe('a whole machine', () => {
  let machine: WholeMachine;
  beforeEach(async () => {
    machine = await WholeMachine.inService();
  });
  afterEach(() => machine.stop());

  const pickUpFails = (times: number) =>
    machine.dispenser.control({ do: 'fault', name: 'pickUpFailure', times });

  /** A sale of which all stays owed. Returns its claim code. */
  async function owedSale(amountMinor: number): Promise<string> {
    const bolt11 = await machine.sell(amountMinor);
    pickUpFails(100);
    machine.keeper.pay(bolt11);
    await machine.untilCashOut(({ outcome }) => outcome !== null, 'the end');
    expect(machine.cashOut.outcome?.code).toBe('remainder');
    const code = machine.cashOut.claimCode ?? '';
    await machine.leave();
    pickUpFails(0);
    // The document's counts are trusted again, as after a visit.
    const { store } = machine.running;
    store.commit(() => {
      for (const unit of store.cashUnits.list()) {
        store.cashUnits.put({ ...unit, accuracy: 'accurate' });
      }
    });
    return code;
  }
  const redeem = (code: string) => machine.act({ do: 'redeem', code });
  const obligations = () => machine.running.service.obligations();
  const unsettled = () =>
    machine.view.cashIn.reasons.find(({ code }) => code === 'unsettled')?.text ?? null;
  const by = { by: 'Ana', reason: 'looked it up' };
  const idOf = (at: number) => obligations()[at]?.id as ObligationId;

  test('pays nothing twice, stays shut until a person has looked, and forgets nothing', async () => {
    const paid = await owedSale(4_000);
    const unpaid = await owedSale(4_000);
    await machine.deposit(20);
    const link = machine.cashIn.claimCode ?? '';
    await machine.act({ do: 'dismiss' });
    await machine.leave();
    const { path } = await machine.running.service.backup();
    // What the backup does not know: one claim is redeemed, and the link is claimed.
    expect(await redeem(paid)).toMatchObject({ ok: true });
    await machine.untilCashOut(({ outcome }) => outcome?.code === 'dispensed', 'handed out');
    await machine.leave();
    const head = machine.running.store.journal.head();
    await machine.clock.resolve(machine.running.stop());
    machine.agent = undefined;

    const restored = restore(path, machine.config.paths.state);
    expect(restored).toMatchObject({ epoch: 2, suspendedClaims: 2, openTransactions: 1 });
    const kept = readdirSync(machine.config.paths.state).filter((n) => n.includes('replaced'));
    expect(kept).toEqual([restored.replaced?.slice(machine.config.paths.state.length + 1)]);
    machine.start();
    await machine.until(({ state }) => state === 'outOfService', 'recovered');
    const { store } = machine.running;
    const [entry] = store.journal.read({ kind: 'state.restored' });
    expect(entry).toMatchObject({
      epoch: 2,
      body: { replaced: { seq: head.seq, hash: head.hash } },
    });
    expect(store.verify()).toMatchObject({ chain: 'ok', ledger: 'ok', integrity: 'ok' });
    expect(store.intents.listOpen()).toEqual([]);

    for (const code of [paid, unpaid, link]) {
      expect(await redeem(code)).toMatchObject({
        ok: false,
        code: 'closed',
        reason: expect.stringContaining('The operator has to settle this'),
      });
    }
    expect(unsettled()).toContain('The state was restored from a backup');
    expect(machine.view.cashOut.open).toBe(false);
    expect(exposureOf(store)).toBe(2_100_000_000_000_000);
    const units = machine.running.service.status().cashUnits;
    expect(new Set(units.map(({ accuracy }) => accuracy))).toEqual(new Set(['unknown']));

    // The operator finds that one was paid and the other was not.
    expect(obligations().map(({ kind, state }) => `${kind} ${state}`)).toEqual([
      'remainder unknown',
      'remainder unknown',
      'restored unknown',
      'restored open',
    ]);
    const { service } = machine.running;
    const [first, second, third, whole] = [idOf(0), idOf(1), idOf(2), idOf(3)];
    expect(service.settle({ ...by, obligationId: whole })).toBe('settled');
    expect(unsettled()).toMatch(/^Claim \S+ waits for the operator/);
    expect(service.confirm({ ...by, obligationId: second })).toBe('confirmed');
    expect(service.confirm({ ...by, obligationId: second })).toBe('notSuspended');
    expect(service.confirm({ ...by, obligationId: third })).toBe('notSuspended');
    expect(service.confirm({ ...by, obligationId: 'nobody' as ObligationId })).toBe('notFound');
    expect(service.settle({ ...by, obligationId: first })).toBe('settled');
    expect(unsettled()).toBeNull();
    expect(await redeem(paid)).toMatchObject({ ok: false, code: 'closed' });
    // Its code is good again, and waits for bays that were counted.
    expect(store.obligations.get(second)?.state).toBe('open');
    expect((await redeem(unpaid)).ok).toBe(false);
    store.commit(() => {
      for (const unit of store.cashUnits.list()) {
        store.cashUnits.put({ ...unit, accuracy: 'accurate' });
      }
    });
    await machine.until(({ cashOut }) => cashOut.open, 'cash-out is open again');
    expect(await redeem(unpaid)).toMatchObject({ ok: true });
    await machine.untilCashOut(({ outcome }) => outcome?.code === 'dispensed', 'handed out');
    expect(store.journal.read({ kind: 'claim.confirmed' })).toHaveLength(1);
  });

  test('a document from before the restore brings no count back', async () => {
    const { path } = await machine.running.service.backup();
    await machine.clock.resolve(machine.running.stop());
    machine.agent = undefined;
    restore(path, machine.config.paths.state);
    machine.start();
    await machine.until(({ state }) => state === 'outOfService', 'recovered');
    await machine.clock.advance(120_000);
    const units = machine.running.service.status().cashUnits;
    expect(new Set(units.map(({ accuracy }) => accuracy))).toEqual(new Set(['unknown']));
  });
});

const exposureOf = (store: Store): unknown => {
  const value = store.facts.get('exposure')?.value;
  return Array.isArray(value) ? Reflect.get(Object(value[0]), 'principalSats') : value;
};

describe('what the restore does to the rows', () => {
  const clock = new VirtualClock();
  const tools = { clock, random: systemRandom };
  const reference = 'AAAA-BBBB' as never;

  test('the epoch is above every one that was named, and names the head that it leaves', () => {
    const store = newStore();
    store.commit(() => store.journal.append('agent.started', {}));
    const from = store.journal.head();
    const lastKnown = {
      head: { seq: 90, hash: 'cd'.repeat(32), epoch: 4 },
      clocks: [],
      documents: [],
    };
    expect(restoreInto(store, tools, lastKnown)).toMatchObject({ epoch: 5, from });
    expect(restoreInto(store, tools, undefined)).toMatchObject({ epoch: 6 });
    store.commit(() => store.journal.append('agent.started', {}));
    expect(store.journal.head().epoch).toBe(6);
    expect(store.journal.verify()).toEqual({ chain: 'ok', entries: 4 });
  });

  test('every open act becomes a doubt of its transaction, once, and nothing stays open', () => {
    const store = newStore();
    const sale = insertedTransaction(store);
    const empty = insertedTransaction(store, { kind: 'cashIn', principalSats: sats(0) });
    const full = insertedTransaction(store, { kind: 'cashIn' });
    store.commit(() => {
      for (const kind of ['payment', 'reservation']) {
        store.intents.open({ kind, transactionId: sale.id, body: {} });
      }
      store.intents.open({ kind: 'initialise', device: 'dispenser', body: {} });
    });
    const { openTransactions } = restoreInto(store, tools, undefined);
    expect(openTransactions).toBe(2);
    expect(store.intents.listOpen()).toEqual([]);
    expect(store.transactions.listOpen()).toEqual([]);
    const doubts = store.obligations.list().filter(({ transactionId }) => transactionId);
    const rows = doubts.map(
      ({ transactionId, kind, state }) => `${transactionId} ${kind} ${state}`,
    );
    const expected = [sale, full].map(({ id }) => `${id} restored unknown`);
    expect(new Set(rows)).toEqual(new Set(expected));
    expect(rows).toHaveLength(2);
    expect(store.transactions.get(empty.id)?.outcome).toBe('restored');
    const [whole] = store.obligations.list().filter(({ transactionId }) => !transactionId);
    expect(whole?.body.acts).toContainEqual({ kind: 'initialise', device: 'dispenser' });
  });

  test('nobody who was shut out since is let in, and no exchange goes on', () => {
    const store = newStore();
    const [id, other] = ['ab'.repeat(16), 'cd'.repeat(16)];
    const who = { name: 'Ana', permissions: ['counts'], createdAtUnixMs: 1, expiresAtUnixMs: 2 };
    store.commit(() => {
      const pin = { salt: new Uint8Array(16), hash: new Uint8Array(32) };
      store.technicians.insert({ ...who, id }, pin);
      store.technicians.insertInvite({ ...who, id: other, hash: 'ef'.repeat(32), name: 'Bo' });
      store.exchanges.insert({ id, reference, technicianId: id, openedAtUnixMs: 1 });
    });
    restoreInto(store, tools, undefined);
    expect(store.technicians.get(id)?.state).toBe('suspended');
    expect(store.technicians.invites().map(({ state }) => state)).toEqual(['revoked']);
    expect(store.exchanges.open()).toBeUndefined();
    expect(store.exchanges.get(id)?.state).toBe('abandoned');
    const [entry] = store.journal.read({ kind: 'state.restored' });
    expect(entry?.body).toMatchObject({ technicians: 1, exchange: reference });
  });

  test('what a claim already lists is not listed a second time', () => {
    const store = newStore();
    const deposit = insertedTransaction(store, { kind: 'cashIn' });
    const sale = insertedTransaction(store);
    store.commit(() => {
      for (const { id } of [deposit, sale]) {
        const owed = { transactionId: id, reference, currency: 'USD', body: {} };
        store.obligations.insert({ ...owed, kind: 'withdrawRefused', amountMinor: minorUnits(1) });
      }
      store.intents.open({ kind: 'claim', transactionId: sale.id, body: {} });
    });
    const done = restoreInto(store, tools, undefined);
    expect(done).toMatchObject({ suspendedClaims: 2, openTransactions: 0 });
    // A deposit that is nothing but a claim stays, or its code could never be good again.
    expect(store.transactions.listOpen().map(({ id }) => id)).toEqual([deposit.id]);
  });

  test('nothing that waited is published, and no clock and no document goes back', () => {
    const store = newStore();
    const author = 'ab'.repeat(32);
    const document = (createdAt: number, state: 'applied' | 'refused', content: string) => ({
      ...{ type: 'bitspire-fees', author, eventId: 'ef'.repeat(32), createdAt, state, content },
      receivedAtUnixMs: 0,
      ...(state === 'refused' ? { reason: 'no' } : {}),
    });
    store.commit(() => {
      store.outbox.put('bitspire-cassettes-state', 'old');
      store.outbox.advance('d1', 500);
      store.documents.record(document(100, 'applied', 'old fees'));
    });
    const head = store.journal.head();
    const clocks = [
      { d: 'd1', createdAt: 400 },
      { d: 'd2', createdAt: 700 },
    ];
    const documents = [document(200, 'applied', 'new fees'), document(300, 'refused', 'bad')];
    restoreInto(store, tools, { head, clocks, documents });
    expect(store.outbox.pending()).toEqual([]);
    expect(store.outbox.clocks()).toEqual([
      { d: 'd1', createdAt: 500 },
      { d: 'd2', createdAt: 700 },
    ]);
    expect(store.documents.applied('bitspire-fees')?.content).toBe('new fees');
    expect(store.documents.watermark('bitspire-fees', author)?.createdAt).toBe(200);
    restoreInto(store, tools, { head, clocks, documents: [document(150, 'applied', 'older')] });
    expect(store.documents.applied('bitspire-fees')?.content).toBe('new fees');
  });

  test('the exposure is used up for a day', async () => {
    const rig = await new CashInRig().ready();
    expect(exposureLeft(rig.parts)).toBeGreaterThan(0);
    restoreInto(rig.store, { clock: rig.clock, random: systemRandom }, undefined);
    expect(exposureLeft(rig.parts)).toBeLessThan(0);
    rig.clock.jumpWall(23 * 3_600_000);
    expect(exposureLeft(rig.parts)).toBeLessThan(0);
    rig.clock.jumpWall(2 * 3_600_000);
    expect(exposureLeft(rig.parts)).toBeGreaterThan(0);
  });
});
