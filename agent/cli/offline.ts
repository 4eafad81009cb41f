/**
 * What works on the state's files themselves, while no agent runs: the lock of the state says so.
 */
import { closeSync, existsSync, openSync, readSync, realpathSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock, systemRandom } from '#protocol/base/clock.ts';
import { ConfigError, messageOf, StoreError } from '#protocol/base/errors.ts';
import { silentLog } from '#protocol/base/log.ts';
import { Secret } from '#protocol/base/secret.ts';
import { type Backup, backupAtOnce, copyBackup, proveBackup } from '#state/backup.ts';
import { Connection } from '#state/connection.ts';
import { type Database, openDatabase } from '#state/database.ts';
import { Documents } from '#state/documents.ts';
import { Journal } from '#state/journal.ts';
import { Outbox } from '#state/outbox.ts';
import { replaceState } from '#state/replace.ts';
import { openStore } from '#state/store.ts';
import { BACKUPS } from '../upkeep/back-up.ts';
import { type LastKnown, type RestoredState, restoreInto } from '../upkeep/restore.ts';
import { CommandError, exitCode } from './exit.ts';
import { asOwnerOf } from './owner.ts';

/** Bytes of one read, so that memory stays small however large the state is. */
const CHUNK_BYTES = 1_048_576;

/** What `spire restore` did. */
export interface Restored extends RestoredState {
  /** Where the replaced state is now; null when there was none. */
  readonly replaced: string | null;
  /** Why what the replaced state last knew could not be read; null when it was. */
  readonly lost: string | null;
}

/** The state's file in its folder. */
export const stateFile = (folder: string): string => join(folder, 'state.sqlite');

/**
 * Backs up a state that no agent holds. @throws StoreError `locked` when one does, ConfigError
 * `notFound` when there is none.
 */
export function backUpStopped(folder: string): Backup {
  return asOwnerOf(folder, () => {
    const path = stateFile(folder);
    if (!existsSync(path)) throw new ConfigError('notFound', `there is no state in ${folder}`);
    const connection = new Connection(openDatabase(path), silentLog);
    try {
      return backupAtOnce(connection, { folder: join(folder, BACKUPS), clock: systemClock });
    } finally {
      connection.close();
    }
  });
}

/** A second copy of a backup, on another disk, proven there. @throws StoreError */
export const copyOfBackup = (path: string, folder: string): Backup =>
  copyBackup(path, { folder, clock: systemClock });

/**
 * Makes a backup the state. @throws CommandError 75 while the service runs, StoreError `corrupt`
 * when the backup does not verify; nothing has changed then.
 */
export function restore(file: string, folder: string): Restored {
  const path = stateFile(folder);
  const source = openSource(file);
  try {
    return asOwnerOf(folder, () => {
      const done: Omit<Restored, 'replaced'>[] = [];
      const make = (draft: string, held: Database | undefined) => {
        copyTo(source, draft);
        done.push(makeDraft(draft, held));
      };
      const replaced = replaceState({ path, clock: systemClock, make });
      const [result] = done;
      if (!result) throw new Error('a draft is made before it is put in place');
      return { ...result, replaced: replaced ?? null };
    });
  } catch (cause) {
    if (!(cause instanceof StoreError) || cause.code !== 'locked') throw cause;
    const words = `The agent is running and holds ${path}.`;
    const next = 'Stop it first: systemctl stop spire-agent';
    throw new CommandError(exitCode.tryAgain, `${words} ${next}`, { cause });
  } finally {
    closeSync(source);
  }
}

/** Opened by the caller himself: the backup may be his alone to read. */
function openSource(file: string): number {
  try {
    return openSync(realpathSync(file), 'r');
  } catch (cause) {
    throw new ConfigError('notFound', `cannot read ${file}: ${messageOf(cause)}`, { cause });
  }
}

function makeDraft(draft: string, held: Database | undefined): Omit<Restored, 'replaced'> {
  proveBackup(draft, systemClock);
  const { lastKnown, lost } = lastKnownOf(held);
  const store = openStore({
    path: draft,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    // Nothing sealed is opened or made here, and the key is the service's alone.
    sealingKey: new Secret(new Uint8Array(32)),
    bootId: 'restore',
  });
  try {
    const tools = { clock: systemClock, random: systemRandom };
    return { ...restoreInto(store, tools, lastKnown), lost };
  } finally {
    store.close();
  }
}

function copyTo(source: number, path: string): void {
  const target = openSync(path, 'wx', 0o600);
  const chunk = Buffer.alloc(CHUNK_BYTES);
  try {
    for (let position = 0; ; ) {
      const length = readSync(source, chunk, 0, chunk.length, position);
      if (length === 0) return;
      for (let done = 0; done < length; ) done += writeSync(target, chunk, done, length - done);
      position += length;
    }
  } finally {
    closeSync(target);
  }
}

/** What the replaced state knows of the world, as far as it can still be read. */
function lastKnownOf(held: Database | undefined): {
  readonly lastKnown: LastKnown | undefined;
  readonly lost: string | null;
} {
  if (!held) return { lastKnown: undefined, lost: 'there was none that could be opened' };
  try {
    const connection = new Connection(held, silentLog);
    const lastKnown = {
      head: new Journal(connection, systemClock, 'restore').head(),
      clocks: new Outbox(connection, systemClock).clocks(),
      documents: new Documents(connection).list(),
    };
    return { lastKnown, lost: null };
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    return { lastKnown: undefined, lost: messageOf(error) };
  }
}
