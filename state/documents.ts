/** The operator's documents: per type and author the last applied and the last refused one. */
import type { Connection } from './connection.ts';

/** One document as it was received and judged. */
export interface DocumentRow {
  readonly type: string;
  /** Public key, hex. */
  readonly author: string;
  readonly eventId: string;
  /** The event's `created_at`, Unix seconds. */
  readonly createdAt: number;
  readonly receivedAtUnixMs: number;
  readonly state: 'applied' | 'refused';
  /** Why it was refused. */
  readonly reason?: string;
  readonly content: string;
}

/** How far an author's documents of one type have been applied. */
export interface Watermark {
  /** Unix seconds. */
  readonly createdAt: number;
  readonly eventId: string;
}

interface Row extends Omit<DocumentRow, 'reason'> {
  readonly reason: string | null;
}

const SELECT = `SELECT type, author, event_id AS eventId, created_at_unix_s AS createdAt,
  received_at_unix_ms AS receivedAtUnixMs, state, reason, content FROM document`;

function toDocument({ reason, ...row }: Row): DocumentRow {
  return reason === null ? row : { ...row, reason };
}

/** Reads and writes the documents. */
export class Documents {
  readonly #forget;
  readonly #insert;
  readonly #last;
  readonly #watermark;
  readonly #list;
  readonly #lastOrdinal;

  constructor(connection: Connection) {
    this.#forget = connection.command<{ type: string; author: string; state: string }>(
      'DELETE FROM document WHERE type = :type AND author = :author AND state = :state',
    );
    this.#insert = connection.command<Record<keyof Row, string | number | null>>(
      `INSERT INTO document (type, author, event_id, created_at_unix_s, received_at_unix_ms,
         state, reason, content)
       VALUES (:type, :author, :eventId, :createdAt, :receivedAtUnixMs, :state, :reason, :content)`,
    );
    this.#last = connection.query<{ type: string; state: string }, Row>(
      `${SELECT} WHERE type = :type AND state = :state ORDER BY ordinal DESC LIMIT 1`,
    );
    this.#watermark = connection.query<
      { type: string; author: string; afterOrdinal: number },
      Watermark
    >(
      `SELECT created_at_unix_s AS createdAt, event_id AS eventId FROM document
       WHERE type = :type AND author = :author AND state = 'applied' AND ordinal > :afterOrdinal`,
    );
    this.#list = connection.query<Record<string, never>, Row>(`${SELECT} ORDER BY ordinal`);
    this.#lastOrdinal = connection.query<Record<string, never>, { ordinal: number }>(
      'SELECT ifnull(max(ordinal), 0) AS ordinal FROM document',
    );
  }

  /** Writes a judged document in place of its author's last one of that type and state. */
  record(document: DocumentRow): void {
    const { type, author, state } = document;
    this.#forget({ type, author, state });
    this.#insert({ ...document, reason: document.reason ?? null });
  }

  /** The document in force: the one applied last, whoever wrote it. */
  applied(type: string): DocumentRow | undefined {
    const row = this.#last.get({ type, state: 'applied' });
    return row && toDocument(row);
  }

  /** The document refused last, with its reason. */
  lastRefused(type: string): DocumentRow | undefined {
    const row = this.#last.get({ type, state: 'refused' });
    return row && toDocument(row);
  }

  /**
   * Of the last applied document by this author; none for a new author. Refused ones move none, and
   * ones from before `afterOrdinal` count for nothing: an operator who comes back starts clean.
   */
  watermark(type: string, author: string, afterOrdinal = 0): Watermark | undefined {
    return this.#watermark.get({ type, author, afterOrdinal });
  }

  /** Number of the document that was judged last; they only rise. 0 before the first. */
  lastOrdinal(): number {
    return this.#lastOrdinal.get({})?.ordinal ?? 0;
  }

  /** All that are kept, in the order they were judged. */
  list(): DocumentRow[] {
    return this.#list.all({}).map(toDocument);
  }
}
