/** Online backups: copied, proven, and only then named; the newest are kept (design 4). */
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import type { Clock } from '#protocol/base/clock.ts';
import { StoreError } from '#protocol/base/errors.ts';
import { silentLog } from '#protocol/base/log.ts';
import { Connection } from './connection.ts';
import { openReadOnly } from './database.ts';
import { finish } from './journal.ts';
import { storeError } from './store-error.ts';
import { walkAll } from './verify.ts';

/** What can copy itself into an empty file while it is in use: a Store is one. */
export interface BackupSource {
  copyTo(path: string): void;
}

/** Where a backup goes. */
export interface BackupOptions {
  /** Made when it is not there. */
  readonly folder: string;
  /** Backups kept, the new one among them; 14 when not given. */
  readonly keep?: number;
  /** Longest time for the copy and its proof; 10 min when not given. */
  readonly limitMs?: number;
  readonly clock: Clock;
}

/** A backup that was proven. */
export interface Backup {
  readonly path: string;
  readonly bytes: number;
  /** Journal entries in it. */
  readonly entries: number;
}

const KEEP_DEFAULT = 14;
/** Longest a backup may take, ms (design 4). */
export const BACKUP_LIMIT_MS = 600_000;
/** Readable by the service alone, as the state itself. */
const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;
/** `state-<number>-<time>.sqlite`: ordered by the number, which no wrong clock can turn round. */
const NAME = /^state-(\d{6})-\d{8}T\d{6}Z\.sqlite$/;
const PARTIAL = 'state.partial';

/** Folders in which this process is at work; two at once would prune each other's files. */
const busyFolders = new Set<string>();

/**
 * Copies the state, proves the copy (pages, hash chain, ledger), and keeps the newest. The copy is
 * one SQLite call that blocks; the proof lets others run between its steps.
 * @throws StoreError `corrupt` when the copy does not verify, `timeOut` beyond the limit, `locked`
 * while another backup runs into this folder, `hardwareError` for the disk. No file is left then,
 * and no older backup is lost.
 */
export async function backup(source: BackupSource, options: BackupOptions): Promise<Backup> {
  const steps = backupSteps(source, options);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** The same at once, for a start that must not go on without it. */
export function backupAtOnce(source: BackupSource, options: BackupOptions): Backup {
  return finish(backupSteps(source, options));
}

function* backupSteps(
  source: BackupSource,
  { folder, keep = KEEP_DEFAULT, limitMs = BACKUP_LIMIT_MS, clock }: BackupOptions,
): Generator<undefined, Backup> {
  if (busyFolders.has(folder)) {
    throw new StoreError('locked', `a backup into ${folder} is already running`);
  }
  busyFolders.add(folder);
  try {
    mkdirSync(folder, { recursive: true, mode: FOLDER_MODE });
    const partial = join(folder, PARTIAL);
    try {
      const entries = yield* provenCopy(source, partial, clock, limitMs);
      const path = join(folder, nextName(folder, clock.now()));
      renameSync(partial, path);
      syncPath(folder);
      prune(folder, keep);
      return { path, bytes: statSync(path).size, entries };
    } finally {
      rmSync(partial, { force: true });
    }
  } catch (error) {
    throw storeError(error);
  } finally {
    busyFolders.delete(folder);
  }
}

/** Makes a copy that is on the disk and proven. Returns its number of journal entries. */
function* provenCopy(
  source: BackupSource,
  path: string,
  clock: Clock,
  limitMs: number,
): Generator<undefined, number> {
  const deadlineMs = clock.monotonic() + limitMs;
  // A power cut may have left one.
  rmSync(path, { force: true });
  // Made first, so that it is never readable by others; SQLite fills an empty file.
  closeSync(openSync(path, 'wx', FILE_MODE));
  source.copyTo(path);
  syncPath(path);
  yield;
  return yield* prove(path, clock, deadlineMs);
}

function* prove(path: string, clock: Clock, deadlineMs: number): Generator<undefined, number> {
  const copy = new Connection(openReadOnly(path), silentLog);
  try {
    const steps = walkAll(copy);
    for (;;) {
      if (clock.monotonic() > deadlineMs) {
        throw new StoreError('timeOut', 'the backup took longer than its limit and was dropped');
      }
      const { done, value } = steps.next();
      if (done && value.problems.length === 0) return value.entries;
      if (done) {
        const problems = value.problems.join('; ');
        throw new StoreError('corrupt', `the backup does not verify: ${problems}`);
      }
      yield;
    }
  } finally {
    copy.close();
  }
}

/**
 * Puts a second copy of a backup into another folder, which may be on a disk that goes elsewhere,
 * and proves it there. Nothing in that folder is removed.
 * @throws StoreError `exists` when it is there already, else as `backup` does.
 */
export function copyBackup(path: string, options: BackupOptions): Backup {
  const { folder, clock, limitMs = BACKUP_LIMIT_MS } = options;
  const target = join(folder, basename(path));
  const partial = join(folder, PARTIAL);
  try {
    mkdirSync(folder, { recursive: true, mode: FOLDER_MODE });
    if (existsSync(target)) throw new StoreError('exists', `${target} is there already`);
    const deadlineMs = clock.monotonic() + limitMs;
    try {
      copyFileSync(path, partial);
      chmodSync(partial, FILE_MODE);
      syncPath(partial);
      const entries = finish(prove(partial, clock, deadlineMs));
      renameSync(partial, target);
      syncPath(folder);
      return { path: target, bytes: statSync(target).size, entries };
    } finally {
      rmSync(partial, { force: true });
    }
  } catch (error) {
    throw storeError(error);
  }
}

/**
 * Proves a file that is to become the state: pages, hash chain, ledger. Returns its number of
 * journal entries.
 * @throws StoreError `corrupt`, `timeOut`, `notFound`.
 */
export function proveBackup(path: string, clock: Clock, limitMs = BACKUP_LIMIT_MS): number {
  return finish(prove(path, clock, clock.monotonic() + limitMs));
}

/** The backups of a folder, oldest first. */
export function listBackups(folder: string): string[] {
  const names = readdirSync(folder).filter((name) => NAME.test(name));
  return names.sort().map((name) => join(folder, name));
}

function nextName(folder: string, atUnixMs: number): string {
  const numbers = readdirSync(folder).map((name) => Number(NAME.exec(name)?.[1] ?? 0));
  const number = String(Math.max(0, ...numbers) + 1).padStart(6, '0');
  const time = new Date(atUnixMs).toISOString().replace(/[-:]|\.\d+/g, '');
  return `state-${number}-${time}.sqlite`;
}

function prune(folder: string, keep: number): void {
  const paths = listBackups(folder);
  // The new one is the last, and stays whatever was asked for.
  for (const path of paths.slice(0, -Math.max(keep, 1))) rmSync(path);
}

/** Brings a file, or the names in a folder, to the disk. */
export function syncPath(path: string): void {
  const handle = openSync(path, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
