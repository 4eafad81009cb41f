/** The append-only, hash-chained memory of the machine (design 4, 8). */
import { hash as digest } from 'node:crypto';
import type { Clock } from '#protocol/base/clock.ts';
import { StoreError } from '#protocol/base/errors.ts';
import type { TransactionId } from '#protocol/base/ids.ts';
import { type Connection, pageLimit, type Query } from './connection.ts';
import { canonicalJson, type JsonObject, parseJsonObject } from './json.ts';

/** One entry. `hash` covers every other field, and with `previousHash` the whole history. */
export interface JournalEntry {
  /** 1, 2, 3 ... without gaps. */
  readonly seq: number;
  /** Rises by one with each restore from a backup. */
  readonly epoch: number;
  readonly bootId: string;
  readonly atUnixMs: number;
  /** Orders entries of one boot even when the wall clock jumps. */
  readonly monotonicMs: number;
  readonly kind: string;
  readonly transactionId?: TransactionId;
  readonly body: JsonObject;
  readonly previousHash: string;
  /** SHA-256 in hex. */
  readonly hash: string;
}

/** Where the journal ends. */
export interface JournalHead {
  /** 0 when the journal is empty. */
  readonly seq: number;
  readonly hash: string;
  readonly epoch: number;
}

/** What a walk over the chain found; `problem` names the first entry that does not fit. */
export interface ChainVerdict {
  readonly chain: 'ok' | 'broken';
  /** Entries that fit, from the start of the walk. */
  readonly entries: number;
  readonly problem?: string;
}

/** Which entries to read, oldest first. */
export interface JournalFilter {
  /** Entries after this one; read on with the last `seq` of the page before. */
  readonly afterSeq?: number;
  readonly transactionId?: TransactionId;
  readonly kind?: string;
  /** At most 10,000; 1,000 when not given. */
  readonly limit?: number;
}

/** `previousHash` of the first entry. */
export const GENESIS_HASH = '0'.repeat(64);
/** Entries of one step of a walk: about 5 ms of hashing, so that others get their turn between. */
const WALK_STEP_ENTRIES = 1_000;

interface Row {
  readonly seq: number;
  readonly epoch: number;
  readonly bootId: string;
  readonly atUnixMs: number;
  readonly monotonicMs: number;
  readonly kind: string;
  readonly transactionId: TransactionId | null;
  readonly body: string;
  readonly previousHash: string;
  readonly hash: string;
}

const COLUMNS = `seq, epoch, boot_id AS bootId, at_unix_ms AS atUnixMs,
  monotonic_ms AS monotonicMs, kind, transaction_id AS transactionId, body,
  previous_hash AS previousHash, hash`;

/** SHA-256 over all fields as one JSON list, in which no two entries can look alike. */
function hashOf(row: Omit<Row, 'hash'>): string {
  const { seq, epoch, bootId, atUnixMs, monotonicMs, kind, transactionId, body } = row;
  const fields = [seq, epoch, bootId, atUnixMs, monotonicMs, kind, transactionId, body];
  return digest('sha256', JSON.stringify([...fields, row.previousHash]));
}

function toEntry({ body, transactionId, ...row }: Row): JournalEntry {
  const entry = { ...row, body: parseJsonObject(body) };
  return transactionId === null ? entry : { ...entry, transactionId };
}

/**
 * Walks the hash chain from `fromSeq` to its end, in steps. From 1 it proves the whole journal;
 * from later it trusts the hash of the entry before.
 */
export function* walkChain(
  connection: Connection,
  fromSeq: number,
): Generator<undefined, ChainVerdict> {
  const rows = connection.query<{ from: number; limit: number }, Row>(
    `SELECT ${COLUMNS} FROM journal WHERE seq >= :from ORDER BY seq LIMIT :limit`,
  );
  let entries = 0;
  let previous: Row | undefined;
  if (fromSeq > 1) {
    [previous] = rows.all({ from: fromSeq - 1, limit: 1 });
    if (previous?.seq !== fromSeq - 1) {
      return { chain: 'broken', entries, problem: `journal entry ${fromSeq - 1} is missing` };
    }
  }
  for (;;) {
    const from = fromSeq + entries;
    const step = rows.all({ from, limit: WALK_STEP_ENTRIES });
    for (const row of step) {
      const problem = misfit(row, fromSeq + entries, previous);
      if (problem) return { chain: 'broken', entries, problem };
      previous = row;
      entries++;
    }
    if (step.length < WALK_STEP_ENTRIES) return { chain: 'ok', entries };
    yield;
  }
}

function misfit(row: Row, seq: number, previous: Row | undefined): string | undefined {
  if (row.seq !== seq) return `journal entry ${seq} is missing`;
  if (row.previousHash !== (previous?.hash ?? GENESIS_HASH)) {
    return `journal entry ${seq} does not follow the one before`;
  }
  if (row.hash !== hashOf(row)) return `journal entry ${seq} was changed`;
  if (row.epoch < (previous?.epoch ?? 1)) return `journal entry ${seq} goes back an epoch`;
  return undefined;
}

/** Runs a walk to its end at once. */
export function finish<T>(steps: Generator<undefined, T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** Appends, reads and proves the journal. */
export class Journal {
  readonly #connection: Connection;
  readonly #clock: Clock;
  readonly #bootId: string;
  readonly #append;
  readonly #head;
  readonly #pages = new Map<string, Query<PageParameters, Row>>();
  /** The end as it was read or written last; only `#write` moves it. */
  #end: JournalHead | undefined;
  readonly #listeners = new Set<(entry: JournalEntry) => void>();

  constructor(connection: Connection, clock: Clock, bootId: string) {
    this.#connection = connection;
    this.#clock = clock;
    this.#bootId = plainText(bootId, 'boot id');
    this.#append = connection.command<Record<keyof Row, string | number | null>>(
      `INSERT INTO journal (seq, epoch, boot_id, at_unix_ms, monotonic_ms, kind, transaction_id,
         body, previous_hash, hash)
       VALUES (:seq, :epoch, :bootId, :atUnixMs, :monotonicMs, :kind, :transactionId,
         :body, :previousHash, :hash)`,
    );
    this.#head = connection.query<Record<string, never>, JournalHead>(
      'SELECT seq, hash, epoch FROM journal ORDER BY seq DESC LIMIT 1',
    );
    connection.onForget(() => {
      this.#end = undefined;
    });
  }

  /**
   * Appends one entry inside the open commit. `kind` is a short fixed phrase; `body` never holds a
   * bearer value, only its hash.
   * @throws StoreError `invalidData` for a kind, an id or a body beyond its bounds.
   */
  append(kind: string, body: JsonObject, transactionId?: TransactionId): JournalEntry {
    return this.#write(this.head().epoch, kind, body, transactionId);
  }

  /**
   * Appends the first entry of a new epoch inside the open commit: what follows it is another
   * history than the one that was lost. The epoch is higher than every one named so far, `above`
   * among them.
   * @throws StoreError as `append` does.
   */
  beginEpoch(kind: string, body: JsonObject, above = 0): JournalEntry {
    return this.#write(Math.max(this.head().epoch, above) + 1, kind, body);
  }

  #write(
    epoch: number,
    kind: string,
    body: JsonObject,
    transactionId?: TransactionId,
  ): JournalEntry {
    const head = this.head();
    const fields = {
      seq: head.seq + 1,
      epoch,
      bootId: this.#bootId,
      atUnixMs: this.#clock.now(),
      monotonicMs: Math.floor(this.#clock.monotonic()),
      kind: plainText(kind, 'kind'),
      transactionId: transactionId === undefined ? null : plainText(transactionId, 'id'),
      body: canonicalJson(body),
      previousHash: head.hash,
    };
    const row = { ...fields, hash: hashOf(fields) };
    this.#append(row);
    this.#end = { seq: row.seq, hash: row.hash, epoch };
    const entry = toEntry(row);
    this.#connection.afterCommit(() => {
      for (const listener of this.#listeners) listener(entry);
    });
    return entry;
  }

  /** The last entry's place and hash; `seq` 0 and epoch 1 when there is none. */
  head(): JournalHead {
    this.#end ??= this.#head.get({}) ?? { seq: 0, hash: GENESIS_HASH, epoch: 1 };
    return this.#end;
  }

  /** Number of entries, which is the last one's `seq`: the table allows no gaps. */
  count(): number {
    return this.head().seq;
  }

  /** One page of entries, oldest first. */
  read(filter: JournalFilter = {}): JournalEntry[] {
    const { afterSeq = 0, transactionId, kind, limit } = filter;
    const where = [
      transactionId === undefined ? '' : 'AND transaction_id = :transactionId',
      kind === undefined ? '' : 'AND kind = :kind',
    ].join(' ');
    const bound = {
      afterSeq,
      limit: pageLimit(limit),
      ...(transactionId === undefined ? {} : { transactionId }),
      ...(kind === undefined ? {} : { kind }),
    };
    return this.#page(where).all(bound).map(toEntry);
  }

  /** Proves the chain from an entry on (from the first when not given); work grows with it. */
  verify(fromSeq = 1): ChainVerdict {
    return finish(walkChain(this.#connection, fromSeq));
  }

  /** Proves the last entries, which is what a start can afford. */
  verifyTail(entries: number): ChainVerdict {
    return this.verify(Math.max(1, this.head().seq - entries + 1));
  }

  /**
   * Tells each entry once it is on the disk, in order; never one that was rolled back. Returns what
   * ends it. A listener that throws ends the process, for the entry is already written.
   */
  subscribe(listener: (entry: JournalEntry) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** One statement for each of the four filters, so that each has its index. */
  #page(where: string): Query<PageParameters, Row> {
    let page = this.#pages.get(where);
    if (!page) {
      page = this.#connection.query<PageParameters, Row>(
        `SELECT ${COLUMNS} FROM journal WHERE seq > :afterSeq ${where} ORDER BY seq LIMIT :limit`,
      );
      this.#pages.set(where, page);
    }
    return page;
  }
}

type PageParameters = {
  readonly afterSeq: number;
  readonly limit: number;
  readonly transactionId?: string;
  readonly kind?: string;
};

/** Printable ASCII: the hash covers the text as given, so SQLite must keep it as given. */
function plainText<Text extends string>(text: Text, name: string): Text {
  if (/^[\x20-\x7e]{1,64}$/.test(text)) return text;
  throw new StoreError('invalidData', `a journal ${name} is 1 to 64 printable ASCII characters`);
}
