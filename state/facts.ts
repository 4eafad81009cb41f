/** Small things learned that must outlive a restart: the instance id, the wallet's own cap. */
import type { Connection } from './connection.ts';
import { canonicalJson, type JsonValue, parseJson } from './json.ts';

/** A value and when it was learned. */
export interface Fact {
  readonly value: JsonValue;
  readonly atUnixMs: number;
}

/** Reads and writes the facts. Never a bearer value, never a key. */
export class Facts {
  readonly #put;
  readonly #get;
  readonly #remove;

  constructor(connection: Connection) {
    this.#put = connection.command<{ key: string; value: string; atUnixMs: number }>(
      `INSERT INTO fact (key, value, at_unix_ms) VALUES (:key, :value, :atUnixMs)
       ON CONFLICT (key) DO UPDATE SET value = excluded.value, at_unix_ms = excluded.at_unix_ms`,
    );
    this.#get = connection.query<{ key: string }, { value: string; atUnixMs: number }>(
      'SELECT value, at_unix_ms AS atUnixMs FROM fact WHERE key = :key',
    );
    this.#remove = connection.command<{ key: string }>('DELETE FROM fact WHERE key = :key');
  }

  /** Writes a fact over an older one. */
  put(key: string, value: JsonValue, atUnixMs: number): void {
    this.#put({ key, value: canonicalJson(value), atUnixMs });
  }

  /** The fact, if it was ever learned. */
  get(key: string): Fact | undefined {
    const row = this.#get.get({ key });
    return row && { value: parseJson(row.value), atUnixMs: row.atUnixMs };
  }

  /** Forgets a fact; harmless when there is none. */
  remove(key: string): void {
    this.#remove({ key });
  }
}
