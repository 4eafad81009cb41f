/** The figures for the operator's partial-dispense form, from rows alone. */
import { expect, test } from 'vitest';
import { partialDispense } from '#agent/recovery/obligation-views.ts';
import { position, type TransactionId } from '#protocol/base/ids.ts';
import { minorUnits, sats } from '#protocol/base/money.ts';
import { bayAccount } from '#state/note-ledger.ts';
import type { Store } from '#state/store.ts';
import { insertedTransaction, newStore, USD20 } from '#test/state/fixtures.ts';

/** A sale of 100 dollars in 20s, of which so many notes came out in one command that ended so. */
function sale(notes: number, outcome: string, paid = 'paid'): [Store, TransactionId] {
  const store = newStore();
  const { id } = insertedTransaction(store, { fiatMinor: minorUnits(10_000), wireSats: sats(777) });
  const bay = bayAccount(position(1));
  const twenty = { currency: 'USD', value: USD20, transactionId: id };
  store.commit(() => {
    store.ledger.move({ ...twenty, from: 'technician', to: bay, count: 9, cause: 'exchange' });
    const payment = store.intents.open({ kind: 'payment', transactionId: id, body: {} });
    store.intents.settle(payment.id, paid, {});
    const dispense = store.intents.open({ kind: 'dispense', transactionId: id, body: {} });
    if (notes > 0) {
      store.ledger.move({ ...twenty, from: bay, to: 'customer', count: notes, cause: 'dispense' });
    }
    if (outcome !== 'open') store.intents.settle(dispense.id, outcome, {});
  });
  return [store, id];
}

test.each([
  { notes: 0, outcome: 'none', sats: 0, fraction: 0 },
  { notes: 1, outcome: 'partial', sats: 155, fraction: 0.2 },
  { notes: 4, outcome: 'partial', sats: 621, fraction: 0.8 },
])('$notes of 5 notes: $sats of 777 sats, never more than came out', (row) => {
  expect(partialDispense(...sale(row.notes, row.outcome))).toEqual({
    dispensed_sats: row.sats,
    dispensed_fraction: row.fraction,
  });
});

test.each([
  ['nobody knows how many came out', 1, 'unknown', 'paid'],
  ['a command is still open', 1, 'open', 'paid'],
  ['all came out', 5, 'exact', 'paid'],
  ['it was never paid', 0, 'none', 'lapsed'],
] as const)('no figure where %s', (_, notes, outcome, paid) => {
  expect(partialDispense(...sale(notes, outcome, paid))).toBeNull();
});

test('no figure for a cash-in', () => {
  const store = newStore();
  const { id } = insertedTransaction(store, { kind: 'cashIn' });
  expect(partialDispense(store, id)).toBeNull();
  expect(partialDispense(store, 'nobody' as TransactionId)).toBeNull();
});
