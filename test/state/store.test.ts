import { AssertionError } from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import Sqlite from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { StoreError } from '#protocol/base/errors.ts';
import { silentLog } from '#protocol/base/log.ts';
import { Connection } from '#state/connection.ts';
import { type Database, openDatabase, openReadOnly } from '#state/database.ts';
import { migrate, migrations } from '#state/migrations/migrate.ts';
import type { Store } from '#state/store.ts';
import { diskFailure, failingDisk } from '#test/support/failing-disk.ts';
import { codeOf, newFolder, newStore, USD20 } from './fixtures.ts';

const newPath = (): string => join(newFolder(), 'state.sqlite');

/** A store whose database a test may look into. */
function watched(path = newPath()): { store: Store; database: Database; path: string } {
  const opened: Database[] = [];
  const store = newStore({
    path,
    openDatabase: (name) => {
      const database = openDatabase(name);
      opened.push(database);
      return database;
    },
  });
  const [database] = opened;
  if (!database) throw new Error('the store did not open its database');
  return { store, database, path };
}

function child(act: string, path: string, fileBlocksMax?: number): ChildProcessWithoutNullStreams {
  const command = [process.execPath, join(import.meta.dirname, 'child.ts'), act, path];
  const limit = fileBlocksMax === undefined ? '' : `ulimit -f ${fileBlocksMax}; `;
  return spawn('bash', ['-c', `${limit}exec "$@"`, 'bash', ...command]);
}

function overwritePage(path: string, table: string): void {
  const raw = new Sqlite(path);
  const root = raw.prepare('SELECT rootpage FROM sqlite_schema WHERE name = ?').pluck();
  const page = Number(root.get(table));
  const size = Number(raw.pragma('page_size', { simple: true }));
  raw.close();
  const bytes = readFileSync(path);
  bytes.fill(0xa5, (page - 1) * size, page * size);
  writeFileSync(path, bytes);
}

/** The path of a closed state with some rows, and one table's first page overwritten. */
function damaged(table: string): string {
  const { store, path } = watched();
  store.commit(() => {
    store.journal.append('started', {});
    store.ledger.move({
      from: 'customer',
      to: 'cashbox',
      currency: 'USD',
      value: USD20,
      count: 1,
      cause: 'x',
    });
  });
  store.close();
  overwritePage(path, table);
  return path;
}

describe('commit', () => {
  it('keeps everything or nothing', () => {
    const { store, path } = watched();
    expect(store.commit(() => store.journal.append('kept', {}).seq)).toBe(1);
    const outcome = codeOf(() =>
      store.commit(() => {
        store.journal.append('dropped', {});
        store.ledger.move({
          from: 'customer',
          to: 'cashbox',
          currency: 'USD',
          value: USD20,
          count: 1,
          cause: 'dropped',
        });
        throw new RangeError('given up');
      }),
    );
    expect(outcome).toBeInstanceOf(RangeError);
    store.close();
    const again = newStore({ path });
    expect(again.journal.read().map(({ kind }) => kind)).toEqual(['kept']);
    expect(again.ledger.balances()).toEqual([]);
  });

  it('refuses a promise and a commit inside it, as bugs', () => {
    const { store } = watched();
    const late = codeOf(() =>
      store.commit(async () => {
        store.journal.append('late', {});
      }),
    );
    expect(late).toBeInstanceOf(AssertionError);
    const nested = codeOf(() =>
      store.commit(() => {
        store.journal.append('outer', {});
        store.commit(() => store.journal.append('inner', {}));
      }),
    );
    expect(nested).toBeInstanceOf(AssertionError);
    expect(store.journal.count()).toBe(0);
    const copy = codeOf(() => store.commit(() => store.copyTo(join(newFolder(), 'copy'))));
    expect(copy).toBeInstanceOf(AssertionError);
  });

  it('writes nowhere outside a commit', () => {
    const { store } = watched();
    const writes = [
      () => store.facts.put('key', 1, 1),
      () => store.wrongTries.add('codes', 1),
      () => store.outbox.put('type', 'content'),
      () => store.outbox.advance('d', 1),
    ];
    for (const write of writes) expect(codeOf(write)).toBeInstanceOf(AssertionError);
  });
});

describe('opening', () => {
  it('sets and reads back what durability rests on, on every open', () => {
    const path = newPath();
    for (const _ of ['new file', 'second open', 'third open']) {
      const { store, database } = watched(path);
      const read = (name: string) => database.pragma(name, { simple: true });
      expect({
        synchronous: read('synchronous'),
        logPages: read('wal_autocheckpoint'),
        journal_mode: read('journal_mode'),
        locking_mode: read('locking_mode'),
        foreign_keys: read('foreign_keys'),
        trusted_schema: read('trusted_schema'),
        secure_delete: read('secure_delete'),
        user_version: read('user_version'),
      }).toEqual({
        synchronous: 2,
        logPages: 4000,
        journal_mode: 'wal',
        locking_mode: 'exclusive',
        foreign_keys: 1,
        trusted_schema: 0,
        secure_delete: 1,
        user_version: migrations.length,
      });
      store.close();
    }
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('keeps no more of the file in memory than 2 MB, nor of a copy that is proven', () => {
    const { store, database, path } = watched();
    expect(database.pragma('cache_size', { simple: true })).toBe(-2000);
    store.close();
    const copy = openReadOnly(path);
    expect(copy.pragma('cache_size', { simple: true })).toBe(-2000);
    copy.close();
  });

  it('refuses a database that cannot keep a setting', () => {
    // In memory there is no write-ahead log.
    expect(codeOf(() => newStore({ path: ':memory:' }))).toBe('unsupportedCommand');
  });

  it('is locked for a second store in this process, at once and until closed', () => {
    const path = newPath();
    const first = openDatabase(path);
    expect(codeOf(() => newStore({ path }))).toBe('locked');
    expect(() => newStore({ path })).toThrow(/another agent/);
    first.close();
    newStore({ path });
  });

  it('is locked for another process, until it dies', async () => {
    const path = newPath();
    const holder = child('hold', path);
    await once(holder.stdout, 'data');
    expect(codeOf(() => newStore({ path }))).toBe('locked');
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    expect(newStore({ path }).journal.count()).toBe(0);
  });

  it('says when folder or file is not one', () => {
    const folder = newFolder();
    expect(codeOf(() => newStore({ path: join(folder, 'nowhere', 'x') }))).toBe('notFound');
    expect(codeOf(() => newStore({ path: folder }))).toBe('notFound');
    expect(codeOf(() => newStore({ path: join(folder, 'n'.repeat(300)) }))).toBe('hardwareError');
    expect(codeOf(() => newStore({ path: join(folder, 's'), bootId: '' }))).toBe('invalidData');
    // The failed open let go of the file.
    newStore({ path: join(folder, 's') });
  });

  it("leaves another program's database alone", () => {
    const path = newPath();
    const raw = new Sqlite(path);
    raw.exec('CREATE TABLE recipes (name TEXT)');
    raw.close();
    expect(codeOf(() => newStore({ path }))).toBe('invalidData');
    const marked = newPath();
    const other = new Sqlite(marked);
    other.pragma('application_id=42');
    other.close();
    expect(codeOf(() => newStore({ path: marked }))).toBe('invalidData');
  });

  it('refuses the state of a newer program, in words', () => {
    const { store, database, path } = watched();
    database.pragma('user_version=99');
    store.close();
    expect(codeOf(() => newStore({ path }))).toBe('tooNew');
    expect(() => newStore({ path })).toThrow(/version 99 and this program knows \d+;/);
  });
});

describe('a damaged file', () => {
  it('is refused at the open when it is no database', () => {
    const path = newPath();
    writeFileSync(path, Buffer.alloc(8192, 7));
    expect(codeOf(() => newStore({ path }))).toBe('corrupt');
    expect(codeOf(() => openReadOnly(path))).toBe('corrupt');
    expect(codeOf(() => openReadOnly(`${path}.none`))).toBe('notFound');
  });

  it('is refused at the open when the counts are damaged', () => {
    const path = damaged('note_balance');
    expect(codeOf(() => newStore({ path }))).toBe('corrupt');
  });

  it('is refused at the open when an index of the counts does not fit', () => {
    const { store, path } = watched();
    store.commit(() => store.outbox.put('type', 'content'));
    store.close();
    const raw = new Sqlite(path);
    raw.pragma('ignore_check_constraints=ON');
    raw.exec('UPDATE outbox SET version = 0');
    raw.close();
    expect(codeOf(() => newStore({ path }))).toBe('corrupt');
  });

  it('is a verdict, and stops all writing', () => {
    const journal = newStore({ path: damaged('journal') });
    expect(codeOf(() => journal.commit(() => journal.facts.put('key', 1, 1)))).toEqual({
      returned: undefined,
    });
    expect(journal.verify()).toMatchObject({
      chain: 'broken',
      integrity: 'broken',
      ledger: 'ok',
      entries: 0,
    });
    expect(codeOf(() => journal.commit(() => journal.facts.put('key', 2, 2)))).toBe('corrupt');
    expect(() => journal.commit(() => 1)).toThrow(/until a restart checked it/);
    const movements = newStore({ path: damaged('note_movement') });
    expect(movements.verify()).toMatchObject({ chain: 'ok', integrity: 'broken', entries: 1 });
    expect(movements.verify().ledger).toBe('broken');
  });

  it('shows rows without their transaction', () => {
    const { store, path } = watched();
    store.close();
    const raw = new Sqlite(path);
    raw.pragma('foreign_keys=OFF');
    raw.exec("INSERT INTO secret VALUES ('nobody', 'lnurl', NULL)");
    raw.close();
    expect(newStore({ path }).verify()).toMatchObject({
      integrity: 'broken',
      problems: ['a row of secret belongs to a transaction that is not there'],
    });
  });
});

describe('a failing disk', () => {
  it('rolls back when it is full, says so, and goes on when there is room', () => {
    const { store, database, path } = watched();
    store.commit(() => store.journal.append('started', {}));
    const pages = Number(database.pragma('page_count', { simple: true }));
    database.pragma(`max_page_count=${pages + 2}`);
    const fill = () =>
      store.commit(() => {
        for (let index = 0; index < 200; index++) {
          store.journal.append('filling', { filler: 'x'.repeat(500) });
        }
      });
    expect(codeOf(fill)).toBe('hardwareError');
    expect(fill).toThrow(/the disk is full; nothing of this commit was kept/);
    expect(store.journal.count()).toBe(1);
    database.pragma('max_page_count=1000000');
    fill();
    expect(store.verify()).toMatchObject({ chain: 'ok', integrity: 'ok', entries: 201 });
    store.close();
    expect(newStore({ path }).journal.count()).toBe(201);
  });

  it('writes nothing after a real failed write, and has lost nothing acknowledged', async () => {
    const path = newPath();
    // The kernel refuses to let any file grow beyond 600 KiB, in the middle of a commit.
    const starved = child('commitUntilFailure', path, 600);
    const [[line]] = await Promise.all([
      once(createInterface(starved.stdout), 'line'),
      once(starved, 'exit'),
    ]);
    const [seq, code, next] = String(line).split(' ');
    expect(Number(seq)).toBeGreaterThan(10);
    expect([code, next]).toEqual(['hardwareError', 'hardwareError']);
    const { entries, problems } = newStore({ path }).verify();
    expect({ entries, problems }).toEqual({ entries: Number(seq), problems: [] });
  });

  it('keeps no commit whose work swallowed the fault', () => {
    const { store, path } = watched(damaged('note_movement'));
    const swallow = () =>
      store.commit(() => {
        store.journal.append('ticked', {});
        return codeOf(() => store.ledger.movements({ limit: 1 }));
      });
    expect(codeOf(swallow)).toBe('corrupt');
    expect(store.journal.count()).toBe(1);
    store.close();
    expect(newStore({ path }).journal.count()).toBe(1);
  });

  it('says that it is read-only', () => {
    const { store, database } = watched();
    database.pragma('query_only=ON');
    const write = () => store.commit(() => store.journal.append('started', {}));
    expect(codeOf(write)).toBe('hardwareError');
    expect(write).toThrow(/read-only/);
  });

  it.each([
    { answer: 'lost with the commit', plan: 'beforeCommit', kept: 1 },
    { answer: 'lost after it', plan: 'afterCommit', kept: 2 },
  ])('stops writing when an fsync fails, its answer $answer', ({ plan, kept }) => {
    const path = newPath();
    const fail = (number: number) => {
      if (number === 2) throw diskFailure();
    };
    const store = newStore({ path, openDatabase: failingDisk({ [plan]: fail }) });
    const told: number[] = [];
    store.journal.subscribe(({ seq }) => told.push(seq));
    const write = () => store.commit(() => store.journal.append('ticked', {}));
    write();
    expect(codeOf(write)).toBe('hardwareError');
    // A third commit would reach the disk; it is refused because the second is in doubt.
    expect(codeOf(write)).toBe('hardwareError');
    expect(told).toEqual([1]);
    store.close();
    expect(newStore({ path }).verify()).toMatchObject({ chain: 'ok', entries: kept });
  });

  it('passes on what SQLite has no better word for', () => {
    const connection = new Connection(openDatabase(newPath()), silentLog);
    const wrong = () => connection.query('SELECT anything FROM nowhere');
    expect(codeOf(wrong)).toBe('hardwareError');
    expect(wrong).toThrow(/the database refused: no such table: nowhere/);
    connection.close();
  });
});

describe('kill -9', () => {
  it('in the middle of commits loses none that was acknowledged', async () => {
    const path = newPath();
    let acknowledged = 0;
    for (const rounds of [5, 40, 150]) {
      const committer = child('commitForEver', path);
      const exited = once(committer, 'exit');
      const first = acknowledged;
      for await (const line of createInterface(committer.stdout)) {
        // A kill in the middle of a word leaves a number without its end.
        if (line.endsWith('.')) acknowledged = Number.parseInt(line, 10);
        if (acknowledged === first + rounds) committer.kill('SIGKILL');
      }
      // Its output ends a moment before its locks do.
      await exited;
      expect(acknowledged).toBeGreaterThanOrEqual(first + rounds);
      expect(existsSync(`${path}-wal`)).toBe(true);
      const store = newStore({ path });
      const { entries, ...verdict } = store.verify();
      expect(verdict).toEqual({ chain: 'ok', ledger: 'ok', integrity: 'ok', problems: [] });
      // More may be there: numbers that waited in the child for a slow reader died with it.
      expect(entries).toBeGreaterThanOrEqual(acknowledged);
      expect(store.ledger.count('cashbox', USD20)).toBe(entries);
      acknowledged = entries;
      store.close();
    }
  });
});

describe('migrations', () => {
  const version = migrations.length + 1;
  const addColour = { version, sql: 'CREATE TABLE colour (name TEXT) STRICT' };

  it('run once each, and again change nothing', () => {
    const database = openDatabase(newPath());
    const schema = () => database.prepare('SELECT sql FROM sqlite_schema').all();
    const unexpected = () => {
      throw new Error('a new database has nothing to lose');
    };
    migrate(database, migrations, unexpected);
    const first = schema();
    migrate(database, migrations, unexpected);
    expect(schema()).toEqual(first);
    expect(migrations.map(({ version }) => version)).toEqual(
      migrations.map((_, index) => index + 1),
    );
    database.close();
  });

  it('leave the version before a step that fails, and run it when it is mended', () => {
    const { store, path } = watched();
    store.commit(() => store.journal.append('started', {}));
    store.close();
    const halfWrong = { version, sql: `${addColour.sql}; CREATE TABLE colour (x TEXT)` };
    expect(codeOf(() => newStore({ path, migrations: [...migrations, halfWrong] }))).toBe(
      'hardwareError',
    );
    const mended = newStore({ path, migrations: [...migrations, addColour] });
    expect(mended.verify()).toMatchObject({ chain: 'ok', entries: 1 });
  });

  it('are preceded by a proven backup of a state that exists', () => {
    const { store, path } = watched();
    store.commit(() => store.journal.append('started', {}));
    store.close();
    const backupFolder = join(dirname(path), 'backups');
    const options = { path, backupFolder };
    newStore(options).close();
    expect(existsSync(backupFolder)).toBe(false);
    newStore({ ...options, migrations: [...migrations, addColour] }).close();
    const [name = ''] = readdirSync(backupFolder);
    const raw = new Sqlite(join(backupFolder, name), { readonly: true });
    expect(raw.pragma('user_version', { simple: true })).toBe(migrations.length);
    expect(raw.prepare('SELECT count(*) FROM journal').pluck().get()).toBe(1);
    raw.close();
  });

  it('do not run when that backup does not verify', () => {
    const { store, path } = watched();
    store.commit(() => store.journal.append('started', {}));
    store.close();
    const raw = new Sqlite(path);
    raw.exec("DROP TRIGGER journal_no_update; UPDATE journal SET kind = 'altered'");
    raw.close();
    const backupFolder = join(dirname(path), 'backups');
    const next = { path, backupFolder, migrations: [...migrations, addColour] };
    expect(codeOf(() => newStore(next))).toBe('corrupt');
    expect(readdirSync(backupFolder)).toEqual([]);
    const { database } = watched(path);
    expect(database.pragma('user_version', { simple: true })).toBe(migrations.length);
  });
});

describe('closing', () => {
  it('leaves one file, and refuses what comes after', () => {
    const { store, path } = watched();
    store.commit(() => store.journal.append('started', {}));
    store.close();
    expect(readdirSync(dirname(path))).toEqual(['state.sqlite']);
    expect(codeOf(() => store.journal.head())).toBeInstanceOf(TypeError);
    expect(codeOf(() => store.journal.head())).not.toBeInstanceOf(StoreError);
  });
});
