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
}
