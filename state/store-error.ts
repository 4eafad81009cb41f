/** What SQLite says, in words that an operator can act on and codes that a program can tell. */
import Sqlite from 'better-sqlite3';
import { type AtmErrorCode, StoreError } from '#protocol/base/errors.ts';

/**
 * SQLite's result codes by prefix; the longest one that fits wins.
 * Source: https://www.sqlite.org/rescode.html.
 */
const WORDS: readonly (readonly [prefix: string, code: AtmErrorCode, words: string])[] = [
  ['SQLITE_CONSTRAINT_UNIQUE', 'exists', 'there already is such a row'],
  ['SQLITE_CONSTRAINT_PRIMARYKEY', 'exists', 'there already is such a row'],
  [
    'SQLITE_CONSTRAINT_FOREIGNKEY',
    'notFound',
    'the row belongs to a transaction that is not there',
  ],
  ['SQLITE_CONSTRAINT_TRIGGER', 'sequenceError', 'the row may not change any more'],
  ['SQLITE_CONSTRAINT', 'invalidData', 'the row breaks a rule of its table'],
  ['SQLITE_MISMATCH', 'invalidData', 'the row breaks a rule of its table'],
  ['SQLITE_TOOBIG', 'invalidData', 'the row is too large'],
  ['SQLITE_BUSY', 'locked', 'another agent or tool holds the state; only one may'],
  ['SQLITE_CORRUPT', 'corrupt', 'the state file is damaged; restore a backup'],
  ['SQLITE_NOTADB', 'corrupt', 'the file is no SQLite database; restore a backup'],
  ['SQLITE_FULL', 'hardwareError', 'the disk is full; nothing of this commit was kept'],
  ['SQLITE_READONLY', 'hardwareError', 'the state is read-only; nothing can be written'],
  ['SQLITE_CANTOPEN', 'notFound', 'the state file cannot be opened or made'],
  ['SQLITE_IOERR', 'hardwareError', 'the disk failed'],
];

/** A fault of SQLite or of a file as StoreError, with its cause; anything else unchanged. */
export function storeError(error: unknown): unknown {
  if (error instanceof Error && 'syscall' in error) {
    return new StoreError('hardwareError', `the disk refused: ${error.message}`, { cause: error });
  }
  if (!(error instanceof Sqlite.SqliteError)) return error;
  const found = WORDS.find(([prefix]) => error.code.startsWith(prefix));
  const [, code, words] = found ?? ['', 'hardwareError', 'the database refused'];
  return new StoreError(code, `${words}: ${error.message}`, { cause: error });
}

/**
 * True when the file can no longer be trusted to hold what it is told. After a failed write or
 * fsync nobody knows what reached the disk, so going on would promise what may not be there.
 */
export function endsWriting(error: unknown): error is StoreError {
  if (!(error instanceof StoreError) || !(error.cause instanceof Sqlite.SqliteError)) return false;
  return /^SQLITE_(IOERR|CORRUPT|NOTADB)/.test(error.cause.code);
}

/** True when a commit was rolled back for want of room: the next one may succeed. */
export function isDiskFull(error: unknown): boolean {
  if (!(error instanceof StoreError) || !(error.cause instanceof Sqlite.SqliteError)) return false;
  return error.cause.code === 'SQLITE_FULL';
}

/** What is wrong with the disk, or with the file on it. */
export type DiskFault = 'full' | 'readOnly' | 'failed' | 'damaged';

/** SQLite's codes by prefix. Source: https://www.sqlite.org/rescode.html. */
const DISK_FAULTS: readonly (readonly [prefix: string, fault: DiskFault])[] = [
  ['SQLITE_FULL', 'full'],
  ['SQLITE_READONLY', 'readOnly'],
  ['SQLITE_IOERR', 'failed'],
  ['SQLITE_CORRUPT', 'damaged'],
  ['SQLITE_NOTADB', 'damaged'],
];

/** The disk's fault behind an error; undefined for every other error. */
export function diskFaultOf(error: unknown): DiskFault | undefined {
  if (!(error instanceof StoreError) || !(error.cause instanceof Sqlite.SqliteError)) return;
  const { code } = error.cause;
  return DISK_FAULTS.find(([prefix]) => code.startsWith(prefix))?.[1];
}
