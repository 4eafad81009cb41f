/** The database as the tables see it: prepared statements, one commit at a time, one error. */
import assert from 'node:assert/strict';
import { types } from 'node:util';
import { endProgram, StoreError } from '#protocol/base/errors.ts';
import type { Log } from '#protocol/base/log.ts';
import type { Database } from './database.ts';
import { type DiskFault, diskFaultOf, endsWriting, storeError } from './store-error.ts';

/** What a statement takes by name. NULL is explicit: a missing name is a bug. */
export type Parameters = Readonly<Record<string, string | number | null | Uint8Array>>;

/** A prepared question. @throws StoreError on a fault of the disk or the file. */
export interface Query<Bound extends Parameters, Row> {
  get(parameters: Bound): Row | undefined;
  all(parameters: Bound): Row[];
}

/** A prepared change. Returns the number of rows that it touched itself. */
export type Command<Bound extends Parameters> = (parameters: Bound) => number;

/** Most rows of one read, which bounds its memory to some megabytes. */
const PAGE_ROWS_MAX = 10_000;
const PAGE_ROWS_DEFAULT = 1_000;

/** The bound of one page of rows: what was asked for, at most 10,000; 1,000 by itself. */
export function pageLimit(limit = PAGE_ROWS_DEFAULT): number {
  return Math.min(Math.max(limit, 0), PAGE_ROWS_MAX);
}

/** One open database. Every statement of the room is prepared through it, once. */
export class Connection {
  readonly #database: Database;
  readonly #log: Log;
  readonly #begin: () => unknown;
  readonly #commit: () => unknown;
  readonly #rollback: () => unknown;
  /** Told after the open commit, and dropped when it rolls back. */
  #afterThisCommit: (() => void)[] = [];
  /** Not empty while listeners are told; the first one is at it. */
  readonly #due: (() => void)[] = [];
  #failed: StoreError | undefined;
  #fault: DiskFault | undefined;
  #toldFault: DiskFault | undefined;
  /** Rows that the open commit changed: one that writes nothing proves no disk. */
  #changed = 0;
  #version = 0;
  readonly #onForget: (() => void)[] = [];
  readonly #onDisk = new Set<(fault: DiskFault | undefined) => void>();

  constructor(database: Database, log: Log) {
    this.#database = database;
    this.#log = log;
    const begin = database.prepare('BEGIN IMMEDIATE');
    const commit = database.prepare('COMMIT');
    const rollback = database.prepare('ROLLBACK');
    this.#begin = () => begin.run();
    this.#commit = () => commit.run();
    this.#rollback = () => rollback.run();
  }

  /**
   * Changes with everything that is written and with everything that is rolled back: what was read
   * holds as long as it stays, for nobody else writes the file.
   */
  get version(): number {
    return this.#version;
  }

  /** Prepares a question; one that writes is a bug and fails an assertion. */
  query<Bound extends Parameters, Row>(sql: string): Query<Bound, Row> {
    const statement = this.#guard(() => this.#database.prepare<[Bound], Row>(sql));
    assert(statement.readonly, 'a question writes nothing');
    return {
      get: (parameters) => this.#guard(() => statement.get(parameters)),
      all: (parameters) => this.#guard(() => statement.all(parameters)),
    };
  }

  /** Prepares a change; running it outside a commit is a bug and fails an assertion. */
  command<Bound extends Parameters>(sql: string): Command<Bound> {
    const statement = this.#guard(() => this.#database.prepare<[Bound]>(sql));
    return (parameters) => {
      assert(this.#database.inTransaction, 'the state is written only inside a commit');
      this.#version++;
      const changes = this.#guard(() => statement.run(parameters).changes);
      this.#changed += changes;
      return changes;
    };
  }

  /** Reads a pragma's rows. */
  pragma<Row>(source: string): Row[] {
    return this.query<Record<string, never>, Row>(`PRAGMA ${source}`).all({});
  }

  /** Copies the database as it is now into a file that is empty or not there (VACUUM INTO). */
  copyTo(path: string): void {
    assert(!this.#database.inTransaction, 'a copy inside a commit would miss the commit');
    this.#guard(() => this.#database.prepare<[string]>('VACUUM INTO ?').run(path));
  }

  /**
   * Brings the write-ahead log into the file. What the disk refuses here is lost nowhere: the log
   * keeps it, and the next time it is tried again.
   */
  checkpoint(): void {
    assert(!this.#database.inTransaction, 'nothing is brought in inside a commit');
    try {
      this.#database.pragma('wal_checkpoint(PASSIVE)');
    } catch (error) {
      const err = storeError(error);
      if (!(err instanceof StoreError)) throw err;
      this.#log.warn({ err }, 'the log stays beside the file for now');
    }
  }

  /**
   * Does `work` in one immediate transaction, which is on the disk when this returns. Anything
   * thrown rolls all of it back. After a failed disk or a damaged page nothing more is written
   * until the file is opened again, because nobody knows what reached it.
   * @throws StoreError with the code that `storeError` gives, or what `work` threw.
   */
  commit<T>(work: () => T): T {
    assert(!this.#database.inTransaction, 'a commit inside a commit would not be durable');
    if (this.#failed) {
      const { code } = this.#failed;
      const words = 'the disk failed; nothing is written until a restart checked it';
      throw new StoreError(code, words, { cause: this.#failed });
    }
    this.#startAfresh();
    let result: T;
    try {
      this.#guard(this.#begin);
      result = work();
      assert(!types.isPromise(result), 'a commit cannot wait for a promise');
      this.#guard(this.#commit);
    } catch (error) {
      this.#forget();
      if (this.#database.inTransaction) this.#guard(this.#rollback);
      this.#tellDisk();
      throw error;
    }
    if (this.#changed > 0 && !this.#failed) this.#fault = undefined;
    this.#tell(this.#afterThisCommit);
    this.#tellDisk();
    return result;
  }

  /**
   * Tells of a fault of the disk once no commit is open, and of its end, which only a commit that
   * wrote something proves; after `failed` and `damaged` there is none. Returns what ends it.
   */
  onDisk(listener: (fault: DiskFault | undefined) => void): () => void {
    this.#onDisk.add(listener);
    return () => {
      this.#onDisk.delete(listener);
    };
  }

  /** Runs `task` once the open commit is on the disk; never when it rolls back. */
  afterCommit(task: () => void): void {
    this.#afterThisCommit.push(task);
  }

  /**
   * Runs `task` when what is kept in memory holds no more: a commit did not come about, and what it
   * had written never was, or the file is closed.
   */
  onForget(task: () => void): void {
    this.#onForget.push(task);
  }

  /** Closes the file; the write-ahead log goes into it. */
  close(): void {
    this.#forget();
    this.#guard(() => this.#database.close());
  }

  /** What the last commit left behind is not the next one's. */
  #startAfresh(): void {
    this.#afterThisCommit = [];
    this.#changed = 0;
  }

  #forget(): void {
    this.#version++;
    for (const task of this.#onForget) task();
  }

  /** In order, also when a listener commits: its news waits until the earlier news is told. */
  #tell(news: readonly (() => void)[]): void {
    const telling = this.#due.length > 0;
    this.#due.push(...news);
    if (telling) return;
    for (let task = this.#due[0]; task; task = this.#due[0]) {
      try {
        task();
      } catch (err) {
        // The commit stands whatever a listener does: its caller must not read this as a failed
        // write and repeat it. A throwing listener is a bug, so the process dies by itself.
        this.#log.fatal({ err }, 'journal listener failed');
        endProgram(err);
      }
      this.#due.shift();
    }
  }

  #tellDisk(): void {
    if (this.#fault === this.#toldFault) return;
    this.#toldFault = this.#fault;
    for (const listener of this.#onDisk) listener(this.#fault);
  }

  #guard<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      const known = storeError(error);
      // What ended the writing is not made better by what a later statement says.
      if (!this.#failed) this.#fault = diskFaultOf(known) ?? this.#fault;
      if (endsWriting(known)) this.#failed ??= known;
      // Inside a commit it is told after the rollback: a listener may want to write.
      if (this.#database.open && !this.#database.inTransaction) this.#tellDisk();
      throw known;
    }
  }
}
