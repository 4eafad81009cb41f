/** Cash units, transactions, intents, obligations: what the rows hold and what they refuse. */
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { systemRandom } from '#protocol/base/clock.ts';
import {
  newIntentId,
  newObligationId,
  newReference,
  newTransactionId,
  position,
} from '#protocol/base/ids.ts';
import { minorUnits, sats } from '#protocol/base/money.ts';
import type { CashUnit } from '#state/cash-units.ts';
import type { NewObligation, ObligationState } from '#state/obligations.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import {
  codeOf,
  insertedTransaction,
  newFolder,
  newStore,
  newTransaction,
  USD20,
} from './fixtures.ts';

describe('CashUnits', () => {
  const top: CashUnit = {
    position: position(1),
    currency: 'USD',
    value: USD20,
    parked: false,
    accuracy: 'accurate',
    countedAtUnixMs: 1_000,
  };

  it('are kept by position, and several may hold one value', () => {
    const store = newStore();
    const second: CashUnit = { ...top, position: position(2), accuracy: 'set' };
    store.commit(() => {
      store.cashUnits.put(second);
      store.cashUnits.put(top);
    });
    expect(store.cashUnits.list()).toEqual([top, second]);
    const { countedAtUnixMs: _, ...uncounted } = top;
    const changed: CashUnit = {
      ...uncounted,
      value: minorUnits(5000),
      parked: true,
      accuracy: 'unknown',
    };
    store.commit(() => store.cashUnits.put(changed));
    expect(store.cashUnits.get(position(1))).toEqual(changed);
    expect(store.cashUnits.get(position(3))).toBeUndefined();
    expect(store.cashUnits.list()).toEqual([changed, second]);
  });

  it('refuse a value of nothing', () => {
    const store = newStore();
    const worthless = { ...top, value: minorUnits(0) };
    expect(codeOf(() => store.commit(() => store.cashUnits.put(worthless)))).toBe('invalidData');
  });
});

describe('Transactions', () => {
  const paymentHash = 'ab'.repeat(32);

  it('are found by all their names', () => {
    const store = newStore();
    const { transactions } = store;
    const plain = insertedTransaction(store);
    const full = insertedTransaction(store, {
      kind: 'cashIn',
      paymentHash,
      claimHash: 'claim',
      createdAtUnixMs: 2_000,
      endedAtUnixMs: 3_000,
      outcome: 'done',
    });
    expect(transactions.get(plain.id)).toEqual(plain);
    expect(transactions.get(full.id)).toEqual(full);
    expect(transactions.byReference(full.reference)).toEqual(full);
    expect(transactions.byPaymentHash(paymentHash)).toEqual(full);
    expect(transactions.byClaimHash('claim')).toEqual(full);
    expect(transactions.byClaimHash('other')).toBeUndefined();
    expect(transactions.listOpen()).toEqual([plain]);
    expect(transactions.recent(10)).toEqual([full, plain]);
    expect(transactions.recent(1)).toEqual([full]);
  });

  it('change what may change, in memory as on disk', () => {
    const store = newStore();
    const { id, ...rest } = insertedTransaction(store);
    const changes = { state: 'awaitingPayment', paymentHash, wireSats: sats(20_700) };
    const changed = store.commit(() => store.transactions.update(id, changes));
    expect(changed).toEqual({ id, ...rest, ...changes });
    expect(store.transactions.get(id)).toEqual(changed);
    store.commit(() => store.transactions.update(id, { endedAtUnixMs: 9, outcome: 'done' }));
    expect(store.transactions.get(id)).toEqual({ ...changed, endedAtUnixMs: 9, outcome: 'done' });
    expect(store.transactions.listOpen()).toEqual([]);
    const nobody = newTransactionId(systemRandom);
    expect(codeOf(() => store.commit(() => store.transactions.update(nobody, {})))).toBe(
      'notFound',
    );
  });

  it('share no reference, payment hash or claim hash', () => {
    const store = newStore();
    const first = insertedTransaction(store, { paymentHash, claimHash: 'claim' });
    const insert = (fields: object) => codeOf(() => insertedTransaction(store, fields));
    expect(insert({ id: first.id })).toBe('exists');
    expect(insert({ reference: first.reference })).toBe('exists');
    expect(insert({ paymentHash })).toBe('exists');
    expect(insert({ claimHash: 'claim' })).toBe('exists');
    const second = insertedTransaction(store);
    const steal = () => store.commit(() => store.transactions.update(second.id, { paymentHash }));
    expect(codeOf(steal)).toBe('exists');
    expect(insert({ paymentHash: 'short' })).toBe('invalidData');
    expect(insert({ kind: 'barter' })).toBe('invalidData');
    expect(store.transactions.recent(10)).toHaveLength(2);
  });
});

describe('Intents', () => {
  it('are opened, learn more, and are settled once by evidence', async () => {
    const clock = new VirtualClock();
    const store = newStore({ clock });
    const { id: transactionId } = insertedTransaction(store);
    store.commit(() => store.journal.append('dispense intended', {}, transactionId));
    const opened = store.commit(() =>
      store.intents.open({
        transactionId,
        kind: 'dispense',
        device: 'dispenser',
        ordinal: 1,
        body: { expected: { 1: 3 } },
      }),
    );
    expect(opened).toMatchObject({ state: 'open', openedSeq: 1, openedAtUnixMs: clock.now() });
    expect(store.intents.get(opened.id)).toEqual(opened);
    expect(store.intents.listOpen()).toEqual([opened]);
    store.commit(() => store.intents.replaceBody(opened.id, { expected: { 1: 3 }, baseline: 7 }));
    const { openedAtUnixMs } = opened;
    await clock.advance(5_000);
    store.commit(() => store.intents.settle(opened.id, 'exact', { moved: { 1: 3 } }));
    const settled = {
      ...opened,
      body: { expected: { 1: 3 }, baseline: 7 },
      state: 'settled',
      outcome: 'exact',
      evidence: { moved: { 1: 3 } },
      settledAtUnixMs: openedAtUnixMs + 5_000,
    };
    expect(store.intents.get(opened.id)).toEqual(settled);
    expect(store.intents.listOpen()).toEqual([]);
    expect(store.intents.forTransaction(transactionId)).toEqual([settled]);
    const again = () => store.commit(() => store.intents.settle(opened.id, 'none', {}));
    expect(codeOf(again)).toBe('sequenceError');
    const late = () => store.commit(() => store.intents.replaceBody(opened.id, {}));
    expect(codeOf(late)).toBe('sequenceError');
    expect(store.intents.get(opened.id)).toEqual(settled);
    const nobody = newIntentId(systemRandom);
    expect(codeOf(() => store.commit(() => store.intents.settle(nobody, 'x', {})))).toBe(
      'notFound',
    );
  });

  it('are listed as they are: inside a commit, after it, and after one that was given up', () => {
    const store = newStore();
    const { id: transactionId } = insertedTransaction(store);
    const lists = () => [
      store.intents.listOpen().length,
      store.intents.listOpen('payment').length,
      store.intents.forTransaction(transactionId).length,
    ];
    const open = () => store.intents.open({ kind: 'payment', transactionId, body: {} });
    expect(lists()).toEqual([0, 0, 0]);
    const first = store.commit(() => {
      const opened = open();
      expect(lists()).toEqual([1, 1, 1]);
      return opened;
    });
    expect(lists()).toEqual([1, 1, 1]);
    const givenUp = () =>
      store.commit(() => {
        open();
        expect(lists()).toEqual([2, 2, 2]);
        throw new Error('given up');
      });
    expect(givenUp).toThrow('given up');
    expect(lists()).toEqual([1, 1, 1]);
    store.commit(() => store.intents.settle(first.id, 'paid', {}));
    expect(lists()).toEqual([0, 0, 1]);
    const many = Array.from({ length: 40 }, () => insertedTransaction(store).id);
    for (const id of many) expect(store.intents.forTransaction(id)).toEqual([]);
    expect(lists()).toEqual([0, 0, 1]);
  });

  it('are one at a time per device', () => {
    const store = newStore();
    const open = (device: string, kind = 'deposit') =>
      store.commit(() => store.intents.open({ kind, device, body: {} }));
    const first = open('acceptor');
    expect(codeOf(() => open('acceptor'))).toBe('exists');
    const other = open('dispenser', 'reset');
    expect(store.intents.listOpen('deposit')).toEqual([first]);
    expect(store.intents.listOpen()).toEqual([first, other]);
    store.commit(() => store.intents.settle(first.id, 'deposited', {}));
    expect(open('acceptor').state).toBe('open');
  });

  it('carry a batch number once for ever', () => {
    const store = newStore();
    const { id: transactionId } = insertedTransaction(store);
    const batch = { transactionId, kind: 'dispense', ordinal: 1, body: {} };
    const open = (fields: object) =>
      store.commit(() => store.intents.open({ ...batch, ...fields }));
    const first = open({});
    store.commit(() => store.intents.settle(first.id, 'unknown', {}));
    expect(codeOf(() => open({}))).toBe('exists');
    expect(codeOf(() => open({ ordinal: 2 }))).toHaveProperty('returned');
    expect(codeOf(() => open({ kind: 'present' }))).toHaveProperty('returned');
    const free = () => store.commit(() => store.intents.open({ kind: 'x', ordinal: 1, body: {} }));
    expect(codeOf(free)).toBe('invalidData');
  });

  it('belong to a transaction that is there, in whatever order a commit writes them', () => {
    const store = newStore();
    const { id: transactionId, ...rest } = newTransaction();
    const open = () => store.intents.open({ transactionId, kind: 'deposit', body: {} });
    expect(codeOf(() => store.commit(open))).toBe('notFound');
    store.commit(() => {
      open();
      store.transactions.insert({ id: transactionId, ...rest });
    });
    expect(store.intents.forTransaction(transactionId)).toHaveLength(1);
  });

  it('stay as they were settled, whoever writes', () => {
    const path = join(newFolder(), 'state.sqlite');
    const store = newStore({ path });
    const { id } = store.commit(() => store.intents.open({ kind: 'deposit', body: {} }));
    store.commit(() => store.intents.settle(id, 'deposited', {}));
    store.close();
    const raw = new Sqlite(path);
    expect(() => raw.exec("UPDATE intent SET state = 'open'")).toThrow(/does not change/);
    expect(() => raw.exec('DELETE FROM intent')).toThrow(/stays/);
    raw.close();
  });
});

describe('Obligations', () => {
  const owed = (fields: Partial<NewObligation> = {}): NewObligation => ({
    reference: newReference(systemRandom),
    kind: 'remainder',
    currency: 'USD',
    body: { why: 'bay 2 was empty' },
    ...fields,
  });

  it('are kept with all they name', () => {
    const store = newStore();
    const { id: transactionId } = insertedTransaction(store);
    const plain = store.commit(() => store.obligations.insert(owed()));
    const full = store.commit(() =>
      store.obligations.insert(
        owed({
          id: newObligationId(systemRandom),
          transactionId,
          kind: 'dispenseUnknown',
          state: 'unknown',
          amountSats: sats(5),
          amountMinor: USD20,
        }),
      ),
    );
    expect(plain).toMatchObject({ state: 'open', kind: 'remainder' });
    expect(store.obligations.get(plain.id)).toEqual(plain);
    expect(store.obligations.get(full.id)).toEqual(full);
    expect(store.obligations.list()).toEqual([plain, full]);
    expect(store.obligations.forTransaction(transactionId)).toEqual([full]);
    expect(
      codeOf(() => store.commit(() => store.obligations.insert({ ...plain, state: 'open' }))),
    ).toBe('exists');
  });

  it('change only from the state they are in, and are final when closed', async () => {
    const clock = new VirtualClock();
    const store = newStore({ clock });
    const { obligations } = store;
    const { id } = store.commit(() => obligations.insert(owed()));
    const set = (from: ObligationState, to: ObligationState, by?: string, reason?: string) =>
      codeOf(() => store.commit(() => obligations.setState(id, from, to, by, reason)));
    const fine = { returned: undefined };
    expect(set('open', 'redeeming')).toEqual(fine);
    // Of two who would redeem one claim, the second one comes too late.
    expect(set('open', 'redeeming')).toBe('sequenceError');
    expect(set('redeeming', 'unknown', 'recovery', 'no answer from the dispenser')).toEqual(fine);
    expect(obligations.get(id)).toMatchObject({ state: 'unknown', settledBy: 'recovery' });
    expect(obligations.get(id)).not.toHaveProperty('settledAtUnixMs');
    expect(obligations.list({ open: true })).toHaveLength(1);
    await clock.advance(1_000);
    expect(set('unknown', 'settled', 'anna')).toEqual(fine);
    expect(obligations.get(id)).toMatchObject({
      state: 'settled',
      settledBy: 'anna',
      settledReason: 'no answer from the dispenser',
      settledAtUnixMs: clock.now(),
    });
    expect(set('settled', 'open')).toBe('sequenceError');
    expect(obligations.list({ open: true })).toEqual([]);
    expect(obligations.list({ open: false })).toHaveLength(1);
    const nobody = newObligationId(systemRandom);
    const missing = () => store.commit(() => obligations.setState(nobody, 'open', 'settled'));
    expect(codeOf(missing)).toBe('notFound');
  });
});
