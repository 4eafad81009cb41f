/** What the last weeks say of a machine: figures by hand against a ledger of known days. */
import { expect, test } from 'vitest';
import { bayUse, documentAges, overShort } from '#agent/service/status-history.ts';
import { position, type Reference } from '#protocol/base/ids.ts';
import { bayAccount } from '#state/note-ledger.ts';
import { insertedTransaction, newStore, USD20 } from '#test/state/fixtures.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

const DAY_MS = 86_400_000;
const [one, two] = [position(1), position(2)];

function begin() {
  const clock = new VirtualClock();
  const store = newStore({ clock });
  const bay = { currency: 'USD', value: USD20, accuracy: 'accurate', parked: false } as const;
  store.commit(() => {
    for (const at of [one, two]) store.cashUnits.put({ position: at, ...bay });
  });
  const { id: transactionId } = insertedTransaction(store);
  const common = { currency: 'USD', value: USD20, cause: 'test' };
  const load = (at = one, count = 0) =>
    store.commit(() =>
      store.ledger.move({ ...common, from: 'technician', to: bayAccount(at), count }),
    );
  const out = (to: 'customer' | 'reject', count: number, isSale = true) =>
    store.commit(() =>
      store.ledger.move({
        ...{ ...common, from: bayAccount(one), to, count },
        ...(isSale ? { transactionId } : {}),
      }),
    );
  return { clock, store, load, out };
}

test('a bay that gives ten notes a day and rejects one in fifty is empty in time', async () => {
  const { clock, store, load, out } = begin();
  load(one, 1_000);
  load(two, 50);
  for (let day = 0; day < 10; day++) {
    await clock.advance(DAY_MS);
    out('customer', 9);
    // Tests of a technician are no use.
    out('reject', 5, false);
    if (day % 5 === 4) out('reject', 5);
  }
  expect(bayUse({ store, clock })).toEqual([
    {
      ...{ position: 1, days: 10, dispensed: 90, rejected: 10, perDay: 10 },
      ...{ daysToEmpty: 85, notesPerReject: 10 },
    },
    {
      ...{ position: 2, days: 10, dispensed: 0, rejected: 0, perDay: 0 },
      ...{ daysToEmpty: null, notesPerReject: null },
    },
  ]);
});

test('four weeks count, and less than a day foretells nothing', async () => {
  const { clock, store, load, out } = begin();
  expect(bayUse({ store, clock })[0]).toMatchObject({ days: 0, dispensed: 0, perDay: null });
  load(one, 1_000);
  out('customer', 500);
  await clock.advance(DAY_MS / 2);
  expect(bayUse({ store, clock })[0]).toMatchObject({ days: 0, dispensed: 500, perDay: null });
  await clock.advance(30 * DAY_MS);
  out('customer', 28);
  expect(bayUse({ store, clock })[0]).toMatchObject({
    ...{ days: 28, dispensed: 28, perDay: 1, daysToEmpty: 472, notesPerReject: null },
  });
});

test('counts that differed are told with their reason, newest first, for 90 days', async () => {
  const { clock, store } = begin();
  const insert = (expected: number, counted: number, reason?: string) =>
    store.commit(() =>
      store.cashCounts.insert({
        ...{ atUnixMs: clock.now(), reference: `K7Q4-9XM${expected}` as Reference },
        ...{ account: bayAccount(one), currency: 'USD', value: USD20, expected, counted, note: '' },
        ...(reason === undefined ? {} : { reason }),
      }),
    );
  insert(1, 0, 'taken');
  await clock.advance(91 * DAY_MS);
  insert(5, 5);
  insert(7, 4, 'miscountAtRefill');
  await clock.advance(DAY_MS);
  insert(8, 9, 'unexplained');
  const told = overShort({ store, clock, config: { currency: 'USD' } });
  expect(told.map(({ difference, reason }) => [difference, reason])).toEqual([
    [1, 'unexplained'],
    [-3, 'miscountAtRefill'],
  ]);
  expect(told[1]).toMatchObject({ account: 'bay:1', denomination: 20, reference: 'K7Q4-9XM7' });
});

test('a document that never came has no age, and one that is in force has', () => {
  const { clock, store } = begin();
  const ages = documentAges({ store, clock });
  expect(ages.length).toBeGreaterThan(3);
  expect(ages.every(({ ageMs, refused }) => ageMs === null && refused === null)).toBe(true);
});
