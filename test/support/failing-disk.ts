/**
 * A real database on a disk that fails when a test says so: `openDatabase: failingDisk(…)` in the
 * options of `openStore`. The commits are counted, so that a test can walk every durable write.
 */
import Sqlite from 'better-sqlite3';
import { type Database, openDatabase } from '#state/database.ts';

/** What happens around the n-th COMMIT (from 1); throwing there is what the disk answers. */
export interface DiskPlan {
  /** Nothing has reached the disk: throwing loses the commit. */
  readonly beforeCommit?: (number: number) => void;
  /** All of it is on the disk: throwing loses only the answer. */
  readonly afterCommit?: (number: number) => void;
}

/** What SQLite says when a disk loses power or dies under an fsync. */
export function diskFailure(): Error {
  return new Sqlite.SqliteError('disk I/O error', 'SQLITE_IOERR_FSYNC');
}

/** Opens a database as the agent does, with a plan for its commits. */
export function failingDisk(plan: DiskPlan): (path: string) => Database {
  return (path) => {
    let number = 0;
    return overriding(openDatabase(path), 'prepare', (database) => (sql: string) => {
      const statement = database.prepare(sql);
      if (sql !== 'COMMIT') return statement;
      return overriding(statement, 'run', (commit) => () => {
        number++;
        plan.beforeCommit?.(number);
        const result = commit.run();
        plan.afterCommit?.(number);
        return result;
      });
    });
  };
}

/** The object itself but for one method. The native classes want themselves as `this`. */
function overriding<T extends object>(target: T, method: keyof T, make: (target: T) => unknown): T {
  const replacement = make(target);
  return new Proxy(target, {
    get(_, key) {
      if (key === method) return replacement;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
