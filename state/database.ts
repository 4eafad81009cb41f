/** The one way to open the state's file: durable on every commit, and held by one agent alone. */
import { closeSync, existsSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import Sqlite from 'better-sqlite3';
import { StoreError } from '#protocol/base/errors.ts';
import { storeError } from './store-error.ts';

/** An open SQLite database. */
export type Database = Sqlite.Database;

/** Marks the file as a state of this program: `SPIR`. Source: sqlite.org/pragma.html. */
const APPLICATION_ID = 0x53_50_49_52;

/** Readable by the service alone: the file tells how much cash is where. */
const FILE_MODE = 0o600;

/**
 * KiB, which SQLite wants negative. The package's own 16 MB would fill up as the history grows, in
 * the service and again whenever a backup is proven; the system caches the same pages anyway.
 */
const CACHE_SIZE = -2000;

/**
 * Pages of the write-ahead log at which SQLite brings it into the file inside a commit: four times
 * what `checkpoints.ts` lets gather, as the bound should it not come to that.
 */
const LOG_PAGES_MAX = 4000;

/**
 * Set on every open and read back, for SQLite keeps hardly any of them in the file:
 * `synchronous` in particular falls back to NORMAL when a WAL database is opened again, which
 * loses the last commits at a power cut (house-style 0.4).
 */
const PRAGMAS = [
  // Before the WAL is first touched: then there is no shared index, and nobody else gets in.
  { name: 'locking_mode', set: 'EXCLUSIVE', reads: 'exclusive' },
  { name: 'journal_mode', set: 'WAL', reads: 'wal' },
  { name: 'synchronous', set: 'FULL', reads: 2 },
  { name: 'foreign_keys', set: 'ON', reads: 1 },
  { name: 'trusted_schema', set: 'OFF', reads: 0 },
  // What is erased is overwritten with zeros and does not linger in free pages.
  { name: 'secure_delete', set: 'ON', reads: 1 },
  // A REPLACE fires the delete triggers too, so that it cannot rewrite what is append-only.
  { name: 'recursive_triggers', set: 'ON', reads: 1 },
  // Damage shows when a page is read, and not as a strange row later.
  { name: 'cell_size_check', set: 'ON', reads: 1 },
  { name: 'cache_size', set: `${CACHE_SIZE}`, reads: CACHE_SIZE },
  { name: 'wal_autocheckpoint', set: `${LOG_PAGES_MAX}`, reads: LOG_PAGES_MAX },
] as const;

/**
 * Opens or makes a database at `path` and holds it exclusively until it is closed.
 * @throws StoreError `locked` when another process or connection holds it, `corrupt` when it is
 * damaged or no database, `invalidData` when it belongs to another program, `notFound` when the
 * path cannot be opened, `unsupportedCommand` when a setting that money rests on does not hold.
 */
export function openDatabase(path: string): Database {
  if (!existsSync(dirname(path))) {
    throw new StoreError('notFound', `the folder of the state ${path} is not there`);
  }
  let database: Database | undefined;
  try {
    makePrivate(path);
    // No waiting for a lock: its holder keeps it for as long as it lives.
    database = new Sqlite(path, { timeout: 0 });
    applyPragmas(database);
    claim(database, path);
    return database;
  } catch (error) {
    database?.close();
    throw storeError(error);
  }
}

function makePrivate(path: string): void {
  if (path !== ':memory:' && !existsSync(path)) closeSync(openSync(path, 'a', FILE_MODE));
}

function applyPragmas(database: Database): void {
  for (const { name, set, reads } of PRAGMAS) {
    database.pragma(`${name}=${set}`);
    const value = database.pragma(name, { simple: true });
    if (value !== reads) {
      throw new StoreError('unsupportedCommand', `SQLite keeps ${name} at ${String(value)}`);
    }
  }
}

/** Takes the lock, which exclusive mode leaves to the first use, and looks whose file it is. */
function claim(database: Database, path: string): void {
  database.exec('BEGIN IMMEDIATE');
  const owner = database.pragma('application_id', { simple: true });
  if (owner !== APPLICATION_ID) {
    const tables = database.prepare<[], { count: number }>(
      'SELECT count(*) AS count FROM sqlite_schema',
    );
    if (owner !== 0 || tables.get()?.count !== 0) {
      throw new StoreError('invalidData', `${path} is a database of another program`);
    }
    database.pragma(`application_id=${APPLICATION_ID}`);
  }
  database.exec('COMMIT');
}

/** Opens a copy only to read it, to prove a backup. @throws StoreError `corrupt`, `notFound`. */
export function openReadOnly(path: string): Database {
  let database: Database | undefined;
  try {
    database = new Sqlite(path, { readonly: true, fileMustExist: true });
    database.pragma('trusted_schema=OFF');
    database.pragma(`cache_size=${CACHE_SIZE}`);
    // Reads the first page, which opening alone does not.
    database.pragma('schema_version');
    return database;
  } catch (error) {
    database?.close();
    throw storeError(error);
  }
}
