import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { position } from '#protocol/base/ids.ts';
import { minorUnits } from '#protocol/base/money.ts';
import {
  type Account,
  account,
  bagAccount,
  bayAccount,
  type NoteMove,
} from '#state/note-ledger.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { codeOf, insertedTransaction, newFolder, newStore, USD20 } from './fixtures.ts';

const bay1 = bayAccount(position(1));
const usd = (from: Account, to: Account, count: number, value = USD20): NoteMove => ({
  from,
  to,
  currency: 'USD',
  value,
  count,
  cause: 'test',
});

describe('accounts', () => {
  it('have names of their own and no others', () => {
    expect(bay1).toBe('bay:1');
    expect(bagAccount('SEAL-0042')).toBe('bag:SEAL-0042');
    expect(account('cashbox')).toBe('cashbox');
    for (const name of ['', 'bay:0', 'bay:17', 'bag:', 'bag:a b', 'Reject', 'bay:1 ', 'pocket']) {
      expect(
        codeOf(() => account(name)),
        name,
      ).toBe('invalidData');
    }
  });
});

describe('NoteLedger', () => {
  it('tells what transactions took out, of the newest movements only', async () => {
    const clock = new VirtualClock();
    const store = newStore({ clock });
    const { id: transactionId } = insertedTransaction(store);
    expect(store.ledger.outflow(bay1, 0)).toEqual({ sinceUnixMs: clock.now(), counts: {} });
    const first = clock.now();
    store.commit(() => {
      store.ledger.move(usd('technician', bay1, 100));
      store.ledger.move({ ...usd(bay1, 'customer', 3), transactionId });
      store.ledger.move(usd(bay1, 'reject', 1));
    });
    await clock.advance(1_000);
    store.commit(() => store.ledger.move({ ...usd(bay1, 'reject', 2), transactionId }));
    expect(store.ledger.outflow(bay1, 0)).toEqual({
      sinceUnixMs: first,
      counts: { customer: 3, reject: 2 },
    });
    expect(store.ledger.outflow(bay1, first + 1)).toEqual({
      sinceUnixMs: first + 1,
      counts: { reject: 2 },
    });
  });

  it('moves notes from account to account and remembers each move', async () => {
    const clock = new VirtualClock();
    const store = newStore({ clock });
    const { id: transactionId } = insertedTransaction(store);
    const { ledger } = store;
    store.commit(() => ledger.move(usd('technician', bay1, 100)));
    await clock.advance(60_000);
    store.commit(() => {
      ledger.move({ ...usd(bay1, 'customer', 3), transactionId });
      ledger.move({ ...usd(bay1, 'reject', 1), transactionId });
      ledger.move(usd('customer', 'cashbox', 2, minorUnits(500)));
    });
    expect(ledger.count(bay1, USD20)).toBe(96);
    expect(ledger.count(bay1, minorUnits(500))).toBe(0);
    expect(ledger.balance('customer')).toEqual([
      { currency: 'USD', value: 500, count: -2 },
      { currency: 'USD', value: 2000, count: 3 },
    ]);
    expect(ledger.balances().map(({ account, value, count }) => [account, value, count])).toEqual([
      [bay1, 2000, 96],
      ['cashbox', 500, 2],
      ['customer', 500, -2],
      ['customer', 2000, 3],
      ['reject', 2000, 1],
      ['technician', 2000, -100],
    ]);
    const moves = (filter: Parameters<typeof ledger.movements>[0]) =>
      ledger.movements(filter).map(({ seq }) => seq);
    expect(ledger.movements({ afterSeq: 1, limit: 1 })).toEqual([
      { seq: 2, atUnixMs: clock.now(), ...usd(bay1, 'customer', 3), transactionId },
    ]);
    expect(ledger.movements()[0]).toEqual({
      seq: 1,
      atUnixMs: clock.now() - 60_000,
      ...usd('technician', bay1, 100),
    });
    expect(moves({ account: 'customer' })).toEqual([2, 4]);
    expect(moves({ transactionId })).toEqual([2, 3]);
    expect(moves({ transactionId, account: 'reject' })).toEqual([3]);
    expect(ledger.verify()).toEqual({ ledger: 'ok', problems: [] });
  });

  it('lets no physical account go below zero, and takes the whole commit back', () => {
    const store = newStore();
    const { ledger } = store;
    for (const from of [bay1, 'reject', 'cashbox', 'transport', bagAccount('A')] as const) {
      const outcome = codeOf(() =>
        store.commit(() => {
          store.journal.append('dispensed', {});
          ledger.move(usd('customer', from, 2));
          ledger.move(usd(from, 'unaccounted', 3));
        }),
      );
      expect(outcome, from).toBe('invalidData');
    }
    expect(ledger.balances()).toEqual([]);
    expect(ledger.movements()).toEqual([]);
    expect(store.journal.count()).toBe(0);
    for (const from of ['customer', 'technician', 'unaccounted'] as const) {
      store.commit(() => ledger.move(usd(from, 'cashbox', 1)));
      expect(ledger.count(from, USD20)).toBe(-1);
    }
  });

  it('refuses a move that is none', () => {
    const store = newStore();
    const refused = (move: NoteMove) => codeOf(() => store.commit(() => store.ledger.move(move)));
    const good = usd('customer', 'cashbox', 1);
    expect(refused({ ...good, count: 0 })).toBe('invalidData');
    expect(refused({ ...good, count: -1 })).toBe('invalidData');
    expect(refused({ ...good, count: 1.5 })).toBe('invalidData');
    expect(refused({ ...good, count: 100_001 })).toBe('invalidData');
    expect(refused({ ...good, value: minorUnits(0) })).toBe('invalidData');
    expect(refused({ ...good, currency: 'usd' })).toBe('invalidData');
    expect(refused({ ...good, cause: '' })).toBe('invalidData');
    expect(refused({ ...good, to: 'customer' })).toBe('invalidData');
    expect(refused({ ...good, to: 'bag:no space' })).toBe('invalidData');
    expect(refused({ ...good, count: 100_000 })).toEqual({ returned: undefined });
  });

  it('keeps currencies apart', () => {
    const store = newStore();
    store.commit(() => {
      store.ledger.move(usd('customer', 'cashbox', 2));
      store.ledger.move({ ...usd('customer', 'cashbox', 3), currency: 'EUR' });
    });
    expect(store.ledger.balance('cashbox')).toEqual([
      { currency: 'EUR', value: 2000, count: 3 },
      { currency: 'USD', value: 2000, count: 2 },
    ]);
  });

  it('balances after any moves and any commits given up', () => {
    const accounts = [
      bay1,
      bayAccount(position(2)),
      'cashbox',
      'reject',
      'customer',
      'unaccounted',
    ];
    const move = fc.record({
      from: fc.constantFrom(...accounts),
      to: fc.constantFrom(...accounts),
      value: fc.constantFrom(500, 2000),
      count: fc.integer({ min: 1, max: 5 }),
    });
    const commit = fc.record({ moves: fc.array(move, { maxLength: 4 }), fails: fc.boolean() });
    const outside = ['customer', 'unaccounted'];
    fc.assert(
      fc.property(fc.array(commit, { maxLength: 15 }), (commits) => {
        const store = newStore();
        let model = new Map<string, number>();
        for (const { moves, fails } of commits) {
          const next = new Map(model);
          let lawful = !fails;
          for (const { from, to, value, count } of moves) {
            if (from === to) lawful = false;
            next.set(`${from} ${value}`, (next.get(`${from} ${value}`) ?? 0) - count);
            next.set(`${to} ${value}`, (next.get(`${to} ${value}`) ?? 0) + count);
            const left = next.get(`${from} ${value}`) ?? 0;
            if (left < 0 && !outside.includes(from)) lawful = false;
          }
          const outcome = codeOf(() =>
            store.commit(() => {
              for (const { from, to, value, count } of moves) {
                store.ledger.move(usd(account(from), account(to), count, minorUnits(value)));
              }
              if (fails) throw new Error('given up');
            }),
          );
          expect(Object.hasOwn(Object(outcome), 'returned')).toBe(lawful);
          if (lawful) model = next;
        }
        const held = store.ledger
          .balances()
          .map((row) => [`${row.account} ${row.value}`, row.count]);
        const expected = [...model].filter(([, count]) => count !== 0);
        expect(new Map(held as [string, number][])).toEqual(new Map(expected));
        expect(store.ledger.verify()).toEqual({ ledger: 'ok', problems: [] });
        store.close();
      }),
      { numRuns: 40 },
    );
  });

  it('shows a balance or a movement that was tampered with', () => {
    const tampered = (sql: string) => {
      const path = join(newFolder(), 'state.sqlite');
      const store = newStore({ path });
      store.commit(() => store.ledger.move(usd('customer', 'cashbox', 5)));
      store.close();
      const raw = new Sqlite(path);
      raw.exec(sql);
      raw.close();
      return newStore({ path }).verify();
    };
    expect(tampered("UPDATE note_balance SET count = 4 WHERE account = 'cashbox'")).toMatchObject({
      ledger: 'broken',
      problems: [
        'cashbox holds 4 notes of 2000 USD where its movements make 5',
        'notes of 2000 USD add up to -1, not 0',
      ],
    });
    expect(tampered('DELETE FROM note_balance')).toMatchObject({ ledger: 'broken' });
    expect(tampered("INSERT INTO note_balance VALUES ('reject', 'USD', 500, 1)")).toMatchObject({
      ledger: 'broken',
      problems: expect.arrayContaining([
        'reject holds 1 notes of 500 USD where its movements make 0',
      ]),
    });
    expect(
      tampered('DROP TRIGGER note_movement_no_update; UPDATE note_movement SET count = 6'),
    ).toMatchObject({ ledger: 'broken' });
    expect(() => tampered('UPDATE note_movement SET count = 6')).toThrow(/append-only/);
    expect(() => tampered('DELETE FROM note_movement')).toThrow(/append-only/);
  });
});
