/** What customers did: one row for a cash-in or a cash-out. */
import { StoreError } from '#protocol/base/errors.ts';
import type { Reference, TransactionId } from '#protocol/base/ids.ts';
import {
  type MinorPerBtc,
  type MinorUnits,
  minorPerBtc,
  minorUnits,
  type Sats,
  sats,
} from '#protocol/base/money.ts';
import { type Connection, pageLimit, type Query } from './connection.ts';

/** The direction of the cash. */
export type TransactionKind = 'cashIn' | 'cashOut';

/** One customer transaction. Money words as in bitspire-wire.md 6.1. */
export interface Transaction {
  readonly id: TransactionId;
  readonly kind: TransactionKind;
  /** What the customer reads out to the operator. */
  readonly reference: Reference;
  readonly state: string;
  /** ISO 4217 code. */
  readonly currency: string;
  /** The notes' sum. */
  readonly fiatMinor: MinorUnits;
  readonly rateMinorPerBtc: MinorPerBtc;
  readonly principalSats: Sats;
  readonly feeSats: Sats;
  /** What goes over Lightning. */
  readonly wireSats: Sats;
  /** Of the cash-out's invoice; 64 hex digits. */
  readonly paymentHash?: string;
  /** Keyed hash of the claim code. */
  readonly claimHash?: string;
  readonly createdAtUnixMs: number;
  /** Set when nothing more can happen by itself; until then the transaction is open. */
  readonly endedAtUnixMs?: number;
  readonly outcome?: string;
}

/** What may change after a transaction began: the fields that say what it is may not. */
export type TransactionChanges = Partial<
  Omit<Transaction, 'id' | 'kind' | 'reference' | 'currency' | 'createdAtUnixMs'>
>;

interface Row {
  readonly id: TransactionId;
  readonly kind: TransactionKind;
  readonly reference: Reference;
  readonly state: string;
  readonly currency: string;
  readonly fiatMinor: number;
  readonly rateMinorPerBtc: number;
  readonly principalSats: number;
  readonly feeSats: number;
  readonly wireSats: number;
  readonly paymentHash: string | null;
  readonly claimHash: string | null;
  readonly createdAtUnixMs: number;
  readonly endedAtUnixMs: number | null;
  readonly outcome: string | null;
}

const SELECT = `SELECT id, kind, reference, state, currency, fiat_minor AS fiatMinor,
  rate_minor_per_btc AS rateMinorPerBtc, principal_sat AS principalSats, fee_sat AS feeSats,
  wire_sat AS wireSats, payment_hash AS paymentHash, claim_hash AS claimHash,
  created_at_unix_ms AS createdAtUnixMs, ended_at_unix_ms AS endedAtUnixMs, outcome
  FROM "transaction"`;

function toTransaction(row: Row): Transaction {
  const { paymentHash, claimHash, endedAtUnixMs, outcome, ...rest } = row;
  return {
    ...rest,
    fiatMinor: minorUnits(row.fiatMinor),
    rateMinorPerBtc: minorPerBtc(row.rateMinorPerBtc),
    principalSats: sats(row.principalSats),
    feeSats: sats(row.feeSats),
    wireSats: sats(row.wireSats),
    ...(paymentHash === null ? {} : { paymentHash }),
    ...(claimHash === null ? {} : { claimHash }),
    ...(endedAtUnixMs === null ? {} : { endedAtUnixMs }),
    ...(outcome === null ? {} : { outcome }),
  };
}

function toRow(transaction: Transaction): Record<keyof Row, string | number | null> {
  return {
    ...transaction,
    paymentHash: transaction.paymentHash ?? null,
    claimHash: transaction.claimHash ?? null,
    endedAtUnixMs: transaction.endedAtUnixMs ?? null,
    outcome: transaction.outcome ?? null,
  };
}

/** What can be changed, and what an index is about. */
const KEYS = ['paymentHash', 'claimHash', 'endedAtUnixMs'] as const;

/** Reads and writes the transactions. */
export class Transactions {
  readonly #insert;
  readonly #update;
  readonly #updateKeys;
  readonly #byId;
  readonly #byReference;
  readonly #byPaymentHash;
  readonly #byClaimHash;
  readonly #open;
  readonly #recent;
  readonly #before;
  readonly #after;

  constructor(connection: Connection) {
    this.#insert = connection.command<Record<keyof Row, string | number | null>>(
      `INSERT INTO "transaction" (id, kind, reference, state, currency, fiat_minor,
         rate_minor_per_btc, principal_sat, fee_sat, wire_sat, payment_hash, claim_hash,
         created_at_unix_ms, ended_at_unix_ms, outcome)
       VALUES (:id, :kind, :reference, :state, :currency, :fiatMinor,
         :rateMinorPerBtc, :principalSats, :feeSats, :wireSats, :paymentHash, :claimHash,
         :createdAtUnixMs, :endedAtUnixMs, :outcome)`,
    );
    const update = (columns: string) =>
      connection.command<Record<keyof Row, string | number | null>>(
        `UPDATE "transaction" SET state = :state, fiat_minor = :fiatMinor,
           rate_minor_per_btc = :rateMinorPerBtc, principal_sat = :principalSats,
           fee_sat = :feeSats, wire_sat = :wireSats, outcome = :outcome ${columns}
         WHERE id = :id`,
      );
    this.#update = update('');
    this.#updateKeys = update(
      ', payment_hash = :paymentHash, claim_hash = :claimHash, ended_at_unix_ms = :endedAtUnixMs',
    );
    const by = (column: string): Query<{ key: string }, Row> =>
      connection.query<{ key: string }, Row>(`${SELECT} WHERE ${column} = :key`);
    this.#byId = by('id');
    this.#byReference = by('reference');
    this.#byPaymentHash = by('payment_hash');
    this.#byClaimHash = by('claim_hash');
    this.#open = connection.query<Record<string, never>, Row>(
      `${SELECT} WHERE ended_at_unix_ms IS NULL ORDER BY created_at_unix_ms, id`,
    );
    // By the row's own number, which no clock can turn round.
    const beside = (order: '<' | '>', direction: 'DESC' | 'ASC'): Query<{ key: string }, Row> =>
      connection.query<{ key: string }, Row>(
        `${SELECT} WHERE rowid ${order} (SELECT rowid FROM "transaction" WHERE id = :key)
         ORDER BY rowid ${direction} LIMIT 1`,
      );
    this.#before = beside('<', 'DESC');
    this.#after = beside('>', 'ASC');
    this.#recent = connection.query<{ limit: number }, Row>(
      `${SELECT} ORDER BY created_at_unix_ms DESC, id LIMIT :limit`,
    );
  }

  /**
   * Writes a new transaction.
   * @throws StoreError `exists` when its id, reference, payment hash or claim hash is taken.
   */
  insert(transaction: Transaction): void {
    this.#insert(toRow(transaction));
  }

  /** Changes some fields. @throws StoreError `notFound`, or `exists` for a hash that is taken. */
  update(id: TransactionId, changes: TransactionChanges): Transaction {
    const before = this.get(id);
    if (!before) throw new StoreError('notFound', `there is no transaction ${id}`);
    const after = { ...before, ...changes };
    // An index is written anew for every column that is set, even to what it was.
    const isSame = KEYS.every((key) => before[key] === after[key]);
    (isSame ? this.#update : this.#updateKeys)(toRow(after));
    return after;
  }

  /** By id. */
  get(id: TransactionId): Transaction | undefined {
    return one(this.#byId, id);
  }

  /** By what the customer reads out. */
  byReference(reference: Reference): Transaction | undefined {
    return one(this.#byReference, reference);
  }

  /** By the hash of the invoice. */
  byPaymentHash(paymentHash: string): Transaction | undefined {
    return one(this.#byPaymentHash, paymentHash);
  }

  /** By the keyed hash of the claim code. */
  byClaimHash(claimHash: string): Transaction | undefined {
    return one(this.#byClaimHash, claimHash);
  }

  /** All that have not ended, oldest first. */
  listOpen(): Transaction[] {
    return this.#open.all({}).map(toTransaction);
  }

  /** The one that began before it and the one that began after it, where there are such. */
  neighbours({ id }: Pick<Transaction, 'id'>): {
    readonly before: Transaction | undefined;
    readonly after: Transaction | undefined;
  } {
    return { before: one(this.#before, id), after: one(this.#after, id) };
  }

  /** The newest, newest first; at most 10,000. */
  recent(limit: number): Transaction[] {
    return this.#recent.all({ limit: pageLimit(limit) }).map(toTransaction);
  }
}

function one(query: Query<{ key: string }, Row>, key: string): Transaction | undefined {
  const row = query.get({ key });
  return row && toTransaction(row);
}
