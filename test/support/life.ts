/**
 * One run of a program, from its start to its death. Everything that it uses of the world goes
 * through here, so that what a dead one would still do never happens: no timer fires, no byte
 * leaves, nothing is written.
 */
import { copyFileSync, existsSync, renameSync, rmSync, statSync, truncateSync } from 'node:fs';
import Sqlite from 'better-sqlite3';
import type { LineSettings, Port, PortEvent, Unsubscribe } from '#hal/port.ts';
import type { CancelTimer, Clock } from '#protocol/base/clock.ts';
import type { RecordedChunk } from '#protocol/base/errors.ts';
import { type Database, openDatabase } from '#state/database.ts';

/**
 * How a program ends: `kill` leaves the files as they are; `powerCut` keeps of the write-ahead log
 * only what an fsync has put on the disk.
 */
export type Death = 'kill' | 'powerCut';

/** What the disk does around the n-th COMMIT of a life (from 1); what is thrown, SQLite says. */
export interface CommitPlan {
  /** Nothing of it is on the disk yet. */
  readonly before?: (commit: number) => void;
  /** Asked after `before`: false when no part of it alone will reach the log. True by itself. */
  readonly mayTear?: (commit: number) => boolean;
  /** All of it is. */
  readonly after?: (commit: number) => void;
}

/** `SQLITE_FULL` and the like, as SQLite throws them. */
export function diskError(code: 'SQLITE_FULL' | 'SQLITE_IOERR_FSYNC'): Error {
  const words = code === 'SQLITE_FULL' ? 'database or disk is full' : 'disk I/O error';
  return new Sqlite.SqliteError(words, code);
}

/** What the dead were told when they wanted to write. */
const toldTheDead = new WeakSet<Error>();

/** True when an error, or what caused it, is what a dead program was told; whoever lives now. */
export function isOfTheDead(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return toldTheDead.has(error) || isOfTheDead(error.cause);
}

/** Where SQLite keeps its log beside a database. */
const logOf = (path: string): string => `${path}-wal`;
const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

/** One life. */
export class Life {
  readonly clock: Clock;
  readonly #world: Clock;
  readonly #plan: CommitPlan;
  #database: Database | undefined;
  #path: string | undefined;
  #commits = 0;
  #logBytesBefore = 0;
  #logBytesLeft: number | undefined;
  #death: Death | undefined;

  /** `skewMs`: how far the wall clock of the computer that it runs on is off. */
  constructor(world: Clock, plan: CommitPlan = {}, skewMs: () => number = () => 0) {
    this.#world = world;
    this.#plan = plan;
    this.clock = {
      now: () => world.now() + skewMs(),
      monotonic: () => world.monotonic(),
      after: (delayMs, task) => this.#after(delayMs, task),
    };
  }

  get isDead(): boolean {
    return this.#death !== undefined;
  }

  /** Commits of this life so far: durable writes. */
  get commits(): number {
    return this.#commits;
  }

  /** A port that falls silent with this life. */
  port(port: Port): Port {
    return new MortalPort(port, this);
  }

  /** Opens the state as the agent does, with this life's plan for its commits. */
  readonly openDatabase = (path: string): Database => {
    const database = openDatabase(path);
    this.#database = database;
    this.#path = path;
    const prepare = database.prepare.bind(database);
    // Own properties over those of the class: the native statements want themselves as `this`.
    Object.defineProperty(database, 'prepare', {
      value: (sql: string) => {
        const statement = prepare(sql);
        if (sql === 'COMMIT') this.#override(statement, (run) => this.#commit(run));
        if (sql === 'BEGIN IMMEDIATE') this.#override(statement, (run) => this.#begin(run));
        return statement;
      },
    });
    return database;
  };

  /**
   * Ends this life now. `tornShare`, of a power cut right after a COMMIT that was not told yet:
   * that share of its bytes is all that reached the log.
   */
  die(death: Death, tornShare?: number): void {
    if (this.#death !== undefined) return;
    this.#death = death;
    const path = this.#path;
    if (path === undefined || !this.#database?.open) return;
    copyFileSync(path, `${path}.left`);
    if (!existsSync(logOf(path))) return;
    // Without an fsync for each commit the log may hold nothing that is on the disk for sure.
    const isDurable = this.#database.pragma('synchronous', { simple: true }) === 2;
    if (death === 'powerCut' && !isDurable) return;
    // Megabytes, and SQLite never looks for it under its name again: it has it open.
    const left = `${logOf(path)}.left`;
    renameSync(logOf(path), left);
    const added = sizeOf(left) - this.#logBytesBefore;
    if (tornShare !== undefined && added > 0) {
      this.#logBytesLeft = this.#logBytesBefore + Math.floor(added * tornShare);
    }
  }

  /** Ends this life, and nobody asks what it has left. */
  abandon(): void {
    this.#death ??= 'kill';
  }

  /** Lets go of the files, which then are what the death has left. */
  bury(): void {
    const path = this.#path;
    if (path === undefined || !this.#database) return;
    if (this.#database.open) this.#database.close();
    if (!existsSync(`${path}.left`)) return;
    renameSync(`${path}.left`, path);
    if (existsSync(`${logOf(path)}.left`)) renameSync(`${logOf(path)}.left`, logOf(path));
    else rmSync(logOf(path), { force: true });
    if (this.#logBytesLeft !== undefined) truncateSync(logOf(path), this.#logBytesLeft);
  }

  #after(delayMs: number, task: () => void): CancelTimer {
    if (this.isDead) return () => undefined;
    return this.#world.after(delayMs, () => {
      if (!this.isDead) task();
    });
  }

  #override(statement: object, make: (run: () => unknown) => unknown): void {
    const run: unknown = Reflect.get(statement, 'run');
    if (typeof run !== 'function') throw new Error('SQLite has changed its statements');
    Object.defineProperty(statement, 'run', { value: () => make(() => run.call(statement)) });
  }

  #refuseTheDead(): void {
    if (!this.isDead) return;
    const error = diskError('SQLITE_IOERR_FSYNC');
    toldTheDead.add(error);
    throw error;
  }

  #begin(run: () => unknown): unknown {
    this.#refuseTheDead();
    return run();
  }

  #commit(run: () => unknown): unknown {
    this.#refuseTheDead();
    this.#commits += 1;
    this.#plan.before?.(this.#commits);
    const mayTear = this.#plan.mayTear?.(this.#commits) ?? true;
    if (mayTear) this.#logBytesBefore = sizeOf(logOf(this.#path ?? ''));
    const result = run();
    this.#plan.after?.(this.#commits);
    return result;
  }
}

/** A port whose host may be dead: then it neither says nor hears anything. */
class MortalPort implements Port {
  readonly path: string;
  readonly #port: Port;
  readonly #life: Life;

  constructor(port: Port, life: Life) {
    this.path = port.path;
    this.#port = port;
    this.#life = life;
  }

  open(line: LineSettings): Promise<void> {
    // Never settles for the dead: it must not take the line from those who live.
    return this.#life.isDead ? new Promise(() => undefined) : this.#port.open(line);
  }

  write(bytes: Uint8Array): void {
    if (!this.#life.isDead) this.#port.write(bytes);
  }

  subscribe(listener: (event: PortEvent) => void): Unsubscribe {
    return this.#port.subscribe((event) => {
      if (!this.#life.isDead) listener(event);
    });
  }

  async close(): Promise<void> {
    if (!this.#life.isDead) await this.#port.close();
  }

  recording(): readonly RecordedChunk[] {
    return this.#port.recording();
  }
}
