/**
 * Puts another file in the place of the state. The old one is kept beside it: nothing here ever
 * removes a state.
 */
import { existsSync, linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Clock } from '#protocol/base/clock.ts';
import { StoreError } from '#protocol/base/errors.ts';
import { syncPath } from './backup.ts';
import { type Database, openDatabase } from './database.ts';
import { storeError } from './store-error.ts';

/** What is put in place of what. */
export interface Replacement {
  /** The state's file; it may be missing on a new computer. */
  readonly path: string;
  readonly clock: Clock;
  /**
   * Makes the new state under the name that it is given, and closes it. `replaced` is the present
   * one, held alone; undefined when there is none, or when it is too damaged to be opened.
   */
  readonly make: (draft: string, replaced: Database | undefined) => void;
}

const DRAFT = 'state.draft.sqlite';
/** Files that SQLite keeps beside a database. */
const COMPANIONS = ['', '-wal', '-shm', '-journal'];

/**
 * Makes the new state and puts it in place in one step that a power cut finds done or not done.
 * Returns where the old one is kept, or undefined when there was none.
 * @throws StoreError `locked` while an agent or another tool holds the state, or what `make` threw;
 * the state is as it was then.
 */
export function replaceState({ path, clock, make }: Replacement): string | undefined {
  const folder = dirname(path);
  const draft = join(folder, DRAFT);
  const held = hold(path);
  try {
    removeDraft(draft);
    make(draft, held);
    syncPath(draft);
    const kept = existsSync(path) ? keep(path, held, clock) : undefined;
    renameSync(draft, path);
    syncPath(folder);
    return kept;
  } catch (error) {
    throw storeError(error);
  } finally {
    held?.close();
    removeDraft(draft);
  }
}

/** The present state, held; undefined when there is none that can be opened. */
function hold(path: string): Database | undefined {
  if (!existsSync(path)) return undefined;
  const logPath = `${path}-wal`;
  const log = existsSync(logPath) ? readFileSync(logPath) : undefined;
  try {
    return openDatabase(path);
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'corrupt') throw error;
    // SQLite has thrown away a log that fits nothing; somebody may still make sense of it.
    if (log) writeFileSync(logPath, log, { mode: 0o600 });
    return undefined;
  }
}

/** Gives the old state a second name, under which it stays. */
function keep(path: string, held: Database | undefined, clock: Clock): string {
  const kept = freeName(dirname(path), clock.now());
  // A write-ahead log that stayed behind would be read into the new state. Whole, the old state
  // takes it in; damaged, it keeps it under its own name.
  if (!held || !isInOneFile(held)) moveCompanions(path, kept);
  linkSync(path, kept);
  return kept;
}

/** Brings the log into the file; false when it is too damaged for that, and let go of. */
function isInOneFile(held: Database): boolean {
  try {
    const mode = held.pragma('journal_mode=DELETE', { simple: true });
    if (mode === 'delete') return true;
    throw new StoreError('unsupportedCommand', `SQLite keeps its log: ${String(mode)}`);
  } catch (error) {
    const known = storeError(error);
    if (!(known instanceof StoreError) || known.code !== 'corrupt') throw known;
    held.close();
    return false;
  }
}

function moveCompanions(path: string, kept: string): void {
  for (const companion of COMPANIONS.slice(1)) {
    if (existsSync(path + companion)) renameSync(path + companion, kept + companion);
  }
}

function freeName(folder: string, atUnixMs: number): string {
  const time = new Date(atUnixMs).toISOString().replace(/[-:]|\.\d+/g, '');
  for (let number = 1; ; number++) {
    const path = join(folder, `state-replaced-${time}-${number}.sqlite`);
    if (!existsSync(path)) return path;
  }
}

/** A draft is no state yet; a power cut may have left one. */
function removeDraft(draft: string): void {
  for (const companion of COMPANIONS) rmSync(draft + companion, { force: true });
}
