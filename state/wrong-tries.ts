/** Wrong codes and PINs, counted on disk so that pulling the plug resets nothing. */
import type { Connection } from './connection.ts';

/**
 * Tries kept of one scope, the newest. Far above any lock-out; pruning by number and not by age
 * means that no wall clock, however wrong, forgets them.
 */
const KEPT_TRIES = 100;

/** Counts wrong tries per scope (the claim codes, one technician). */
export class WrongTries {
  readonly #insert;
  readonly #prune;
  readonly #count;
  readonly #oldest;
  readonly #clear;

  constructor(connection: Connection) {
    this.#insert = connection.command<{ scope: string; atUnixMs: number }>(
      'INSERT INTO wrong_try (scope, at_unix_ms) VALUES (:scope, :atUnixMs)',
    );
    this.#prune = connection.command<{ scope: string; kept: number }>(
      `DELETE FROM wrong_try WHERE scope = :scope AND ordinal <= (
         SELECT ordinal FROM wrong_try WHERE scope = :scope
         ORDER BY ordinal DESC LIMIT 1 OFFSET :kept)`,
    );
    this.#count = connection.query<{ scope: string; since: number }, { count: number }>(
      'SELECT count(*) AS count FROM wrong_try WHERE scope = :scope AND at_unix_ms >= :since',
    );
    this.#oldest = connection.query<
      { scope: string; since: number; offset: number },
      { atUnixMs: number }
    >(
      `SELECT at_unix_ms AS atUnixMs FROM wrong_try WHERE scope = :scope AND at_unix_ms >= :since
       ORDER BY ordinal DESC LIMIT 1 OFFSET :offset`,
    );
    this.#clear = connection.command<{ scope: string }>(
      'DELETE FROM wrong_try WHERE scope = :scope',
    );
  }

  /** Adds a wrong try and prunes what is older than the newest 100 of its scope. */
  add(scope: string, atUnixMs: number): void {
    this.#insert({ scope, atUnixMs });
    this.#prune({ scope, kept: KEPT_TRIES });
  }

  /** Tries at or after an instant; at most 100. */
  countSince(scope: string, sinceUnixMs: number): number {
    return this.#count.get({ scope, since: sinceUnixMs })?.count ?? 0;
  }

  /** When the `nth` newest try was made, of those at or after an instant; 1 is the newest. */
  nthNewest(scope: string, sinceUnixMs: number, nth: number): number | undefined {
    return this.#oldest.get({ scope, since: sinceUnixMs, offset: nth - 1 })?.atUnixMs;
  }

  /** Forgets a scope's tries: the right one was made. */
  clear(scope: string): void {
    this.#clear({ scope });
  }
}
