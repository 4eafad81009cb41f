/** What is left of a visit when it is over: counts by hand, and the hash-linked records. */
import { createHash } from 'node:crypto';
import { StoreError } from '#protocol/base/errors.ts';
import type { Reference } from '#protocol/base/ids.ts';
import { type MinorUnits, minorUnits } from '#protocol/base/money.ts';
import { type Connection, pageLimit } from './connection.ts';
import { GENESIS_HASH } from './journal.ts';
import { canonicalJson, type JsonObject, parseJsonObject } from './json.ts';
import type { Account } from './note-ledger.ts';

/** Notes of one value that a person counted in one place. */
export interface CashCount {
  readonly atUnixMs: number;
  readonly reference: Reference;
  /** Not there when the operator himself counted. */
  readonly technicianId?: string;
  readonly account: Account;
  readonly currency: string;
  readonly value: MinorUnits;
  readonly expected: number;
  readonly counted: number;
  /** There whenever it is over or short. */
  readonly reason?: string;
  readonly note: string;
}

/** What is signed of a visit. */
export interface VisitRecord {
  /** 1, 2, 3 ... */
  readonly number: number;
  readonly kind: 'exchange' | 'bag';
  readonly reference: Reference;
  readonly atUnixMs: number;
  readonly body: JsonObject;
  readonly previousHash: string;
  /** SHA-256 of the body's canonical JSON, hex. */
  readonly hash: string;
  /** The signed Nostr event that carries it; not there while it waits for the signer. */
  readonly event?: JsonObject;
}

interface CountRow extends Omit<CashCount, 'technicianId' | 'reason' | 'value'> {
  readonly technicianId: string | null;
  readonly value: number;
  readonly reason: string | null;
}

interface RecordRow extends Omit<VisitRecord, 'body' | 'event'> {
  readonly body: string;
  readonly event: string | null;
}

const RECORD = `SELECT number, kind, reference, at_unix_ms AS atUnixMs, body,
  previous_hash AS previousHash, hash, event FROM record`;

function toRecord({ body, event, ...row }: RecordRow): VisitRecord {
  const record = { ...row, body: parseJsonObject(body) };
  return event === null ? record : { ...record, event: parseJsonObject(event) };
}

/** SHA-256 of a body's canonical JSON, hex. */
export function recordHash(body: JsonObject): string {
  return createHash('sha256').update(canonicalJson(body)).digest('hex');
}

/** Reads and writes counts. */
export class CashCounts {
  readonly #insert;
  readonly #since;

  constructor(connection: Connection) {
    this.#insert = connection.command<Record<string, string | number | null>>(
      `INSERT INTO cash_count (at_unix_ms, reference, technician_id, account, currency,
         value_minor, expected, counted, reason, note)
       VALUES (:atUnixMs, :reference, :technicianId, :account, :currency, :value, :expected,
         :counted, :reason, :note)`,
    );
    this.#since = connection.query<{ since: number; limit: number }, CountRow>(
      `SELECT at_unix_ms AS atUnixMs, reference, technician_id AS technicianId, account, currency,
         value_minor AS value, expected, counted, reason, note FROM cash_count
       WHERE at_unix_ms >= :since ORDER BY seq DESC LIMIT :limit`,
    );
  }

  /** Adds a count. @throws StoreError `invalidData` for one over or short without a reason. */
  insert({ technicianId, reason, ...count }: CashCount): void {
    this.#insert({ ...count, technicianId: technicianId ?? null, reason: reason ?? null });
  }

  /** Counts at or after an instant, newest first. */
  since(sinceUnixMs: number, limit?: number): CashCount[] {
    return this.#since
      .all({ since: sinceUnixMs, limit: pageLimit(limit) })
      .map(({ technicianId, reason, value, ...row }) => ({
        ...row,
        value: minorUnits(value),
        ...(technicianId === null ? {} : { technicianId }),
        ...(reason === null ? {} : { reason }),
      }));
  }
}

/** Appends, reads and signs records. */
export class VisitRecords {
  readonly #insert;
  readonly #sign;
  readonly #head;
  readonly #byNumber;
  readonly #byReference;
  readonly #after;
  readonly #unsigned;

  constructor(connection: Connection) {
    this.#insert = connection.command<Record<string, string | number>>(
      `INSERT INTO record (number, kind, reference, at_unix_ms, body, previous_hash, hash)
       VALUES (:number, :kind, :reference, :atUnixMs, :body, :previousHash, :hash)`,
    );
    this.#sign = connection.command<{ number: number; event: string }>(
      'UPDATE record SET event = :event WHERE number = :number AND event IS NULL',
    );
    this.#head = connection.query<Record<string, never>, { number: number; hash: string }>(
      'SELECT number, hash FROM record ORDER BY number DESC LIMIT 1',
    );
    this.#byNumber = connection.query<{ number: number }, RecordRow>(
      `${RECORD} WHERE number = :number`,
    );
    this.#byReference = connection.query<{ reference: string }, RecordRow>(
      `${RECORD} WHERE reference = :reference ORDER BY number DESC LIMIT 1`,
    );
    this.#after = connection.query<{ after: number; limit: number }, RecordRow>(
      `${RECORD} WHERE number > :after ORDER BY number LIMIT :limit`,
    );
    this.#unsigned = connection.query<{ limit: number }, RecordRow>(
      `${RECORD} WHERE event IS NULL ORDER BY number LIMIT :limit`,
    );
  }

  /** The last one's number and hash; 0 and zeros before the first. */
  head(): { readonly number: number; readonly hash: string } {
    return this.#head.get({}) ?? { number: 0, hash: GENESIS_HASH };
  }

  /**
   * Appends a record; `body` must carry the number and the previous hash that `head` tells.
   * @throws StoreError `invalidData` when it does not.
   */
  append(record: Pick<VisitRecord, 'kind' | 'reference' | 'atUnixMs' | 'body'>): VisitRecord {
    const { kind, reference, atUnixMs, body } = record;
    const head = this.head();
    const number = head.number + 1;
    if (body.number !== number || body.previousHash !== head.hash) {
      throw new StoreError('invalidData', `record ${number} does not follow the one before`);
    }
    const row = { number, kind, reference, atUnixMs, previousHash: head.hash };
    const hash = recordHash(body);
    this.#insert({ ...row, hash, body: canonicalJson(body) });
    return { ...row, hash, body };
  }

  /** Keeps the first signature; false when it has one. */
  sign(number: number, event: JsonObject): boolean {
    return this.#sign({ number, event: canonicalJson(event) }) === 1;
  }

  /** By number. */
  get(number: number): VisitRecord | undefined {
    const row = this.#byNumber.get({ number });
    return row && toRecord(row);
  }

  /** The record of a visit. */
  byReference(reference: Reference): VisitRecord | undefined {
    const row = this.#byReference.get({ reference });
    return row && toRecord(row);
  }

  /** Those after a number, oldest first. */
  list(after = 0, limit?: number): VisitRecord[] {
    return this.#after.all({ after, limit: pageLimit(limit) }).map(toRecord);
  }

  /** Those that wait for the signer, oldest first. */
  unsigned(limit?: number): VisitRecord[] {
    return this.#unsigned.all({ limit: pageLimit(limit) }).map(toRecord);
  }
}
