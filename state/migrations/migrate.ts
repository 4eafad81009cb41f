/** Brings a database to the program's version, one file and one transaction a step. */
import { StoreError } from '#protocol/base/errors.ts';
import type { Database } from '../database.ts';
import { storeError } from '../store-error.ts';
import { migration0001 } from './0001-first.ts';
import { migration0002 } from './0002-field-visits.ts';

/** One step of the schema. A shipped one is never edited: the next change is a new file. */
export interface Migration {
  /** `user_version` after it: 1, 2, 3 ... without gaps. */
  readonly version: number;
  readonly sql: string;
}

/** All steps in order. */
export const migrations: readonly Migration[] = [migration0001, migration0002];

/**
 * Applies the steps that the database lacks; none when it has them all. `beforeExisting` runs once
 * before the first step on a database that already holds a state, and stops it by throwing.
 * @throws StoreError `tooNew` when a newer program made the database, or what SQLite refused; a
 * step that fails leaves the version before it.
 */
export function migrate(
  database: Database,
  steps: readonly Migration[],
  beforeExisting: () => void,
): void {
  const version = Number(database.pragma('user_version', { simple: true }));
  const newest = steps.length;
  if (version > newest) {
    throw new StoreError(
      'tooNew',
      `the state has version ${version} and this program knows ${newest}; ` +
        'install the newer program again or restore a backup made before it',
    );
  }
  const missing = steps.filter((step) => step.version > version);
  if (version > 0 && missing.length > 0) beforeExisting();
  for (const step of missing) apply(database, step);
}

function apply(database: Database, step: Migration): void {
  const run = database.transaction(() => {
    database.exec(step.sql);
    database.pragma(`user_version=${step.version}`);
  });
  try {
    run.immediate();
  } catch (error) {
    throw storeError(error);
  }
}
