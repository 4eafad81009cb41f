/** Documents that wait to be published: per type only the newest, for newer ones replace it. */
import type { Clock } from '#protocol/base/clock.ts';
import type { Connection } from './connection.ts';

/** What waits. */
export interface OutboxItem {
  readonly type: string;
  readonly content: string;
  /** Rises with each content; `done` names the one that was published. */
  readonly version: number;
  /** Since when something of this type has waited, through all its newer contents. */
  readonly sinceUnixMs: number;
}

/** When the last event under a d tag says it was made, Unix seconds. */
export interface PublishedClock {
  readonly d: string;
  readonly createdAt: number;
}

/** Keeps what waits, and the clock of what was published. */
export class Outbox {
  readonly #clock: Clock;
  readonly #put;
  readonly #pending;
  readonly #done;
  readonly #lastCreatedAt;
  readonly #clocks;
  readonly #advance;

  constructor(connection: Connection, clock: Clock) {
    this.#clock = clock;
    this.#put = connection.command<{ type: string; content: string; atUnixMs: number }>(
      `INSERT INTO outbox (type, version, content, since_unix_ms)
       VALUES (:type, 1, :content, :atUnixMs)
       ON CONFLICT (type) DO UPDATE SET content = excluded.content, version = version + 1,
         since_unix_ms = iif(content IS NULL, excluded.since_unix_ms, since_unix_ms)`,
    );
    this.#pending = connection.query<Record<string, never>, OutboxItem>(
      `SELECT type, content, version, since_unix_ms AS sinceUnixMs FROM outbox
       WHERE content IS NOT NULL ORDER BY since_unix_ms, type`,
    );
    this.#done = connection.command<{ type: string; version: number }>(
      'UPDATE outbox SET content = NULL WHERE type = :type AND version = :version',
    );
    this.#lastCreatedAt = connection.query<{ d: string }, { createdAt: number }>(
      'SELECT created_at_unix_s AS createdAt FROM published WHERE d = :d',
    );
    this.#clocks = connection.query<Record<string, never>, PublishedClock>(
      'SELECT d, created_at_unix_s AS createdAt FROM published ORDER BY d',
    );
    this.#advance = connection.command<{ d: string; createdAt: number }>(
      `INSERT INTO published (d, created_at_unix_s) VALUES (:d, :createdAt)
       ON CONFLICT (d) DO UPDATE SET
         created_at_unix_s = max(created_at_unix_s, excluded.created_at_unix_s)`,
    );
  }

  /** Makes a content wait, in place of an older one of its type. */
  put(type: string, content: string): void {
    this.#put({ type, content, atUnixMs: this.#clock.now() });
  }

  /** What waits, longest first. */
  pending(): OutboxItem[] {
    return this.#pending.all({});
  }

  /** A version was published. A newer one goes on waiting. */
  done(type: string, version: number): void {
    this.#done({ type, version });
  }

  /** `created_at` (Unix seconds) of the last event published under a d tag. */
  lastCreatedAt(d: string): number | undefined {
    return this.#lastCreatedAt.get({ d })?.createdAt;
  }

  /** The clocks of all d tags. */
  clocks(): PublishedClock[] {
    return this.#clocks.all({});
  }

  /** Moves a d tag's clock on to `createdAt`, Unix seconds; it never goes back. */
  advance(d: string, createdAt: number): void {
    this.#advance({ d, createdAt });
  }
}
