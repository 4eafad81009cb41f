/** The tables of the field visit: what they refuse by themselves, and the step that brings them. */
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { systemRandom } from '#protocol/base/clock.ts';
import { newReference } from '#protocol/base/ids.ts';
import { silentLog } from '#protocol/base/log.ts';
import { Connection } from '#state/connection.ts';
import { type Database, openDatabase } from '#state/database.ts';
import { Facts } from '#state/facts.ts';
import { Intents } from '#state/intents.ts';
import { Journal } from '#state/journal.ts';
import { canonicalJson, type JsonValue } from '#state/json.ts';
import { migrate, migrations } from '#state/migrations/migrate.ts';
import { NoteLedger } from '#state/note-ledger.ts';
import { Obligations } from '#state/obligations.ts';
import { Outbox } from '#state/outbox.ts';
import type { Store } from '#state/store.ts';
import { nameKey, Technicians } from '#state/technicians.ts';
import { Transactions } from '#state/transactions.ts';
import { WrongTries } from '#state/wrong-tries.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { codeOf, newFolder, newStore, newTransaction, USD20 } from './fixtures.ts';

const id = (digit: string): string => digit.repeat(32);
const PIN = { salt: new Uint8Array(16), hash: new Uint8Array(32) };
const HASH = 'a'.repeat(64);

function ana(store: Store, name = 'Ana', at = id('a')): void {
  store.commit(() =>
    store.technicians.insert({ id: at, name, permissions: ['counts'], createdAtUnixMs: 1 }, PIN),
  );
}

function invite(store: Store, fields: { id?: string; hash?: string } = {}): void {
  const invited = { id: id('1'), hash: HASH, name: 'Ana', permissions: ['counts'], ...fields };
  store.commit(() =>
    store.technicians.insertInvite({ ...invited, createdAtUnixMs: 1, expiresAtUnixMs: 2 }),
  );
}

/** All rows of a file as one text, so that two states can be compared to the last byte. */
function exported(path: string, tables: readonly string[]): string {
  const raw = new Sqlite(path, { readonly: true });
  const rows = tables.map((table) => {
    const all = raw.prepare<[], Record<string, JsonValue | Buffer>>(
      `SELECT * FROM "${table}" ORDER BY 1, 2`,
    );
    return all.all().map((row) => {
      const plain = Object.entries(row).map(([key, value]) => {
        return [key, Buffer.isBuffer(value) ? value.toString('hex') : value] as const;
      });
      return canonicalJson(Object.fromEntries(plain));
    });
  });
  raw.close();
  return canonicalJson(rows);
}

/** A state as the first version of this program left it, with rows in it. */
function fillFirstVersion(path: string): void {
  const database = openDatabase(path);
  migrate(database, migrations.slice(0, 1), () => undefined);
  const connection = new Connection(database, silentLog);
  const clock = new VirtualClock();
  const journal = new Journal(connection, clock, 'boot-1');
  const transaction = newTransaction();
  connection.commit(() => {
    journal.append('agent.started', { version: '1' });
    new Transactions(connection).insert(transaction);
    new NoteLedger(connection, clock).move({
      ...{ from: 'customer', to: 'cashbox', currency: 'USD', value: USD20, count: 3 },
      ...{ cause: 'deposit', transactionId: transaction.id },
    });
    const intents = new Intents(connection, clock, systemRandom, journal);
    intents.open({ kind: 'dispense', device: 'dispenser', body: { count: 1 } });
    const reference = newReference(systemRandom);
    new Obligations(connection, clock, systemRandom).insert({
      ...{ kind: 'remainder', reference, currency: 'USD', body: {} },
    });
    new Facts(connection).put('instance', 'x', 5);
    new WrongTries(connection).add('claim', 1);
    new Outbox(connection, clock).put('counts', 'text');
  });
  connection.close();
}

function tablesOf(path: string): string[] {
  const raw = new Sqlite(path, { readonly: true });
  const names = raw
    .prepare<[], { name: string }>(
      `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`,
    )
    .all();
  raw.close();
  return names.map(({ name }) => name);
}

describe('the migration', () => {
  it('changes no row that is there, is preceded by a backup, and run again does nothing', () => {
    const path = join(newFolder(), 'state.sqlite');
    const backupFolder = join(dirname(path), 'backups');
    fillFirstVersion(path);
    const tables = tablesOf(path);
    const before = exported(path, tables);
    expect(before.length).toBeGreaterThan(1_000);
    newStore({ path, backupFolder }).close();
    expect(exported(path, tables)).toBe(before);
    expect(tablesOf(path).length).toBeGreaterThan(tables.length);
    const [backup = ''] = readdirSync(backupFolder);
    expect(exported(join(backupFolder, backup), tables)).toBe(before);
    expect(tablesOf(join(backupFolder, backup))).toEqual(tables);
    const all = tablesOf(path);
    const after = exported(path, all);
    const again = newStore({ path, backupFolder });
    expect(again.verify()).toMatchObject({ chain: 'ok', ledger: 'ok', integrity: 'ok' });
    again.close();
    expect(exported(path, all)).toBe(after);
    expect(readdirSync(backupFolder)).toHaveLength(1);
  });
});

describe('technicians', () => {
  it('are one of a name, in any case, until deleted', () => {
    const store = newStore();
    ana(store);
    expect(codeOf(() => ana(store, '  ANA ', id('b')))).toBe('exists');
    expect(store.technicians.byName(' aNa')?.id).toBe(id('a'));
    store.commit(() => store.technicians.end(id('a'), 'revoked', 'owner: lost', 5));
    expect(codeOf(() => ana(store, 'Ana', id('b')))).toBe('exists');
    store.commit(() => store.technicians.end(id('a'), 'deleted', 'owner: left', 6));
    expect(store.technicians.byName('Ana')).toBeUndefined();
    ana(store, 'Ana', id('b'));
    expect(store.technicians.list().map(({ state }) => state)).toEqual(['deleted', 'active']);
    expect(nameKey('José  María')).toBe(nameKey(' josé maría'));
  });

  it('who are revoked keep their PIN and never come back; the deleted lose it', () => {
    const store = newStore();
    ana(store);
    expect(store.commit(() => store.technicians.end(id('a'), 'revoked', 'x', 5))).toBe(true);
    expect(store.commit(() => store.technicians.end(id('a'), 'revoked', 'x', 5))).toBe(false);
    expect(store.technicians.pin(id('a'))?.hash).toHaveLength(32);
    expect(store.commit(() => store.technicians.confirm(id('a')))).toBe(false);
    expect(store.commit(() => store.technicians.end(id('a'), 'deleted', 'x', 5))).toBe(true);
    expect(store.technicians.pin(id('a'))).toBeUndefined();
    expect(store.commit(() => store.technicians.end(id('a'), 'revoked', 'x', 5))).toBe(false);
    expect(store.technicians.get(id('a'))?.name).toBe('Ana');
  });

  it('are suspended all at once, and confirmed one by one', () => {
    const store = newStore();
    ana(store);
    ana(store, 'Bo', id('b'));
    store.commit(() => store.technicians.end(id('b'), 'revoked', 'x', 5));
    expect(store.commit(() => store.technicians.suspendAll())).toBe(1);
    expect(store.commit(() => store.technicians.confirm(id('b')))).toBe(false);
    expect(store.commit(() => store.technicians.confirm(id('a')))).toBe(true);
    expect(store.technicians.get(id('a'))?.state).toBe('active');
  });
});

describe('invites', () => {
  it('are used by one, revoked never, and none of it twice', () => {
    const store = newStore();
    ana(store);
    ana(store, 'Bo', id('b'));
    invite(store);
    expect(codeOf(() => invite(store, { id: id('2') }))).toBe('exists');
    store.commit(() => store.technicians.useInvite(id('1'), id('a')));
    const again = () => store.commit(() => store.technicians.useInvite(id('1'), id('b')));
    expect(codeOf(again)).toBe('sequenceError');
    expect(store.commit(() => store.technicians.revokeInvite(id('1'), 'x'))).toBe(false);
    invite(store, { id: id('2'), hash: 'b'.repeat(64) });
    expect(store.commit(() => store.technicians.revokeInvite(id('2'), 'x'))).toBe(true);
    const late = () => store.commit(() => store.technicians.useInvite(id('2'), id('b')));
    expect(codeOf(late)).toBe('sequenceError');
    expect(store.technicians.inviteByHash(HASH)?.technicianId).toBe(id('a'));
  });

  it('two connections to one file: one gets it, whatever the lock', () => {
    const path = join(newFolder(), 'state.sqlite');
    const store = newStore({ path });
    ana(store);
    ana(store, 'Bo', id('b'));
    invite(store);
    // The agent holds the file alone; a second process does not get as far as the invite.
    expect(codeOf(() => newStore({ path }))).toBe('locked');
    store.close();
    // And were the lock not there, the row itself still lets only one through.
    const open = (): [Database, Connection, Technicians] => {
      const raw = new Sqlite(path, { timeout: 0 });
      const connection = new Connection(raw, silentLog);
      return [raw, connection, new Technicians(connection)];
    };
    const [first, one, mine] = open();
    const [second, other, theirs] = open();
    const outcomes = [
      codeOf(() =>
        one.commit(() => {
          mine.useInvite(id('1'), id('a'));
          // Inside the other's transaction: it may not even begin.
          expect(codeOf(() => other.commit(() => theirs.useInvite(id('1'), id('b'))))).toBe(
            'locked',
          );
        }),
      ),
      codeOf(() => other.commit(() => theirs.useInvite(id('1'), id('b')))),
    ];
    expect(outcomes).toEqual([{ returned: undefined }, 'sequenceError']);
    expect(mine.inviteByHash(HASH)?.technicianId).toBe(id('a'));
    first.close();
    second.close();
  });
});

describe('exchanges', () => {
  const begin = (store: Store, at = id('e')) =>
    store.commit(() =>
      store.exchanges.insert({
        ...{ id: at, reference: newReference(systemRandom), technicianId: id('a') },
        openedAtUnixMs: 1,
      }),
    );
  const step = (store: Store, ordinal: number) =>
    store.commit(() =>
      store.exchanges.insertStep(id('e'), {
        ...{ ordinal, technicianId: id('a'), atUnixMs: 2, question: { kind: 'bay' } },
        ...{ answer: { choice: 'leave' }, facts: {} },
      }),
    );

  it('are one at a time, and end once', () => {
    const store = newStore();
    ana(store);
    begin(store);
    expect(codeOf(() => begin(store, id('f')))).toBe('exists');
    store.commit(() => store.exchanges.end(id('e'), 'closed', 3));
    expect(codeOf(() => store.commit(() => store.exchanges.end(id('e'), 'abandoned', 3)))).toBe(
      'sequenceError',
    );
    begin(store, id('f'));
    expect(store.exchanges.open()?.id).toBe(id('f'));
    expect(store.exchanges.get(id('e'))).toMatchObject({ state: 'closed', endedAtUnixMs: 3 });
  });

  it('keep what was expected, every answer, and what was taken back', () => {
    const store = newStore();
    ana(store);
    begin(store);
    store.commit(() => store.exchanges.setUp(id('e'), { a: 1 }));
    const again = () => store.commit(() => store.exchanges.setUp(id('e'), { a: 2 }));
    expect(codeOf(again)).toBe('sequenceError');
    step(store, 1);
    expect(codeOf(() => step(store, 1))).toBe('exists');
    store.commit(() => store.exchanges.undo(id('e'), 1, 9));
    expect(codeOf(() => store.commit(() => store.exchanges.undo(id('e'), 1, 9)))).toBe(
      'sequenceError',
    );
    store.commit(() => store.exchanges.setOutcome(id('e'), 1, { class: 'exact' }));
    const outcome = () =>
      store.commit(() => store.exchanges.setOutcome(id('e'), 1, { class: 'none' }));
    expect(codeOf(outcome)).toBe('sequenceError');
    expect(store.exchanges.steps(id('e'))).toMatchObject([
      { ordinal: 1, undoneAtUnixMs: 9, outcome: { class: 'exact' } },
    ]);
  });
});

describe('records and counts', () => {
  const append = (store: Store, body: Record<string, JsonValue>) =>
    store.commit(() => {
      const reference = newReference(systemRandom);
      return store.visitRecords.append({ kind: 'exchange', reference, atUnixMs: 1, body });
    });

  it('are linked, without gaps, and signed once', () => {
    const store = newStore();
    const first = append(store, { number: 1, previousHash: '0'.repeat(64) });
    expect(codeOf(() => append(store, { number: 3, previousHash: first.hash }))).toBe(
      'invalidData',
    );
    expect(codeOf(() => append(store, { number: 2, previousHash: '1'.repeat(64) }))).toBe(
      'invalidData',
    );
    append(store, { number: 2, previousHash: first.hash });
    expect(store.commit(() => store.visitRecords.sign(1, { id: 'x' }))).toBe(true);
    expect(store.commit(() => store.visitRecords.sign(1, { id: 'y' }))).toBe(false);
    expect(store.visitRecords.get(1)?.event).toEqual({ id: 'x' });
    expect(store.visitRecords.unsigned().map(({ number }) => number)).toEqual([2]);
    expect(store.visitRecords.list(1).map(({ number }) => number)).toEqual([2]);
  });

  it('a count that is over or short has its reason', () => {
    const store = newStore();
    const counted = {
      ...{ atUnixMs: 5, reference: newReference(systemRandom), account: 'bay:1' as const },
      ...{ currency: 'USD', value: USD20, expected: 10, note: '' },
    };
    const add = (fields: { counted: number; reason?: string }) =>
      store.commit(() => store.cashCounts.insert({ ...counted, ...fields }));
    expect(codeOf(() => add({ counted: 9 }))).toBe('invalidData');
    add({ counted: 9, reason: 'taken' });
    add({ counted: 10 });
    expect(store.cashCounts.since(5).map((count) => count.counted)).toEqual([10, 9]);
    expect(store.cashCounts.since(6)).toEqual([]);
  });

  it.each([
    ["UPDATE record SET kind = 'bag'"],
    ['DELETE FROM record'],
    ['DELETE FROM cash_count'],
    ['UPDATE cash_count SET counted = 10'],
    ['DELETE FROM technician'],
    ['DELETE FROM exchange_step'],
    [`UPDATE exchange_step SET answer = '{}'`],
    [`UPDATE exchange SET setup = '{"b":1}'`],
  ])('no other program changes them either: %s', (sql) => {
    const path = join(newFolder(), 'state.sqlite');
    const store = newStore({ path });
    ana(store);
    append(store, { number: 1, previousHash: '0'.repeat(64) });
    store.commit(() => {
      const reference = newReference(systemRandom);
      store.exchanges.insert({
        ...{ id: id('e'), reference, technicianId: id('a'), openedAtUnixMs: 1 },
      });
      store.exchanges.setUp(id('e'), { a: 1 });
      store.exchanges.insertStep(id('e'), {
        ...{ ordinal: 1, technicianId: id('a'), atUnixMs: 2, question: { kind: 'bay' } },
        ...{ answer: { choice: 'leave' }, facts: {} },
      });
      store.cashCounts.insert({
        ...{ atUnixMs: 5, reference, account: 'bay:1', currency: 'USD', value: USD20 },
        ...{ expected: 1, counted: 1, note: '' },
      });
    });
    store.close();
    const raw = openDatabase(path);
    expect(() => raw.exec(sql)).toThrow();
    raw.close();
  });
});

it('the newest tries can be told by their time, and forgotten', () => {
  const store = newStore();
  store.commit(() => {
    for (const at of [10, 20, 30]) store.wrongTries.add('ana', at);
    store.wrongTries.add('bo', 40);
  });
  expect(store.wrongTries.nthNewest('ana', 0, 1)).toBe(30);
  expect(store.wrongTries.nthNewest('ana', 0, 3)).toBe(10);
  expect(store.wrongTries.nthNewest('ana', 15, 3)).toBeUndefined();
  store.commit(() => store.wrongTries.clear('ana'));
  expect([store.wrongTries.countSince('ana', 0), store.wrongTries.countSince('bo', 0)]).toEqual([
    0, 1,
  ]);
});
