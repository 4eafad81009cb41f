/** What the machine or its operator owes, or does not know (design 7.7). */
import type { Clock, Random } from '#protocol/base/clock.ts';
import { StoreError } from '#protocol/base/errors.ts';
import {
  newObligationId,
  type ObligationId,
  type Reference,
  type TransactionId,
} from '#protocol/base/ids.ts';
import { type MinorUnits, minorUnits, type Sats, sats } from '#protocol/base/money.ts';
import type { Connection } from './connection.ts';
import { canonicalJson, type JsonObject, parseJsonObject } from './json.ts';

/** Why something is owed or unknown. */
export type ObligationKind =
  | 'remainder'
  | 'latePayment'
  | 'doubtfulPayment'
  | 'withdrawRefused'
  | 'withdrawUnanswered'
  | 'creditWithoutIntent'
  | 'noteUnknown'
  | 'dispenseUnknown'
  | 'surplusLink'
  | 'repeatedRestarts'
  | 'restored';

/** `redeemed` and `settled` are closed and final; all others are the operator's to look at. */
export type ObligationState = 'open' | 'redeeming' | 'redeemed' | 'reduced' | 'unknown' | 'settled';

/** What an obligation is made with. */
export interface NewObligation {
  /** A new one when not given. */
  readonly id?: ObligationId;
  readonly transactionId?: TransactionId;
  /** What the customer reads out. */
  readonly reference: Reference;
  readonly kind: ObligationKind;
  /** `open` when not given. */
  readonly state?: 'open' | 'redeeming' | 'reduced' | 'unknown';
  readonly amountSats?: Sats;
  readonly amountMinor?: MinorUnits;
  /** ISO 4217 code. */
  readonly currency: string;
  readonly body: JsonObject;
}

/** One obligation. */
export interface Obligation extends Omit<NewObligation, 'state'> {
  readonly id: ObligationId;
  readonly state: ObligationState;
  readonly createdAtUnixMs: number;
  /** There exactly when it is closed. */
  readonly settledAtUnixMs?: number;
  readonly settledBy?: string;
  readonly settledReason?: string;
}

interface Row {
  readonly id: ObligationId;
  readonly transactionId: TransactionId | null;
  readonly reference: Reference;
  readonly kind: ObligationKind;
  readonly state: ObligationState;
  readonly amountSats: number | null;
  readonly amountMinor: number | null;
  readonly currency: string;
  readonly body: string;
  readonly createdAtUnixMs: number;
  readonly settledAtUnixMs: number | null;
  readonly settledBy: string | null;
  readonly settledReason: string | null;
}

const SELECT = `SELECT id, transaction_id AS transactionId, reference, kind, state,
  amount_sat AS amountSats, amount_minor AS amountMinor, currency, body,
  created_at_unix_ms AS createdAtUnixMs, settled_at_unix_ms AS settledAtUnixMs,
  settled_by AS settledBy, settled_reason AS settledReason FROM obligation`;
const CLOSED = `('redeemed', 'settled')`;
const ORDER = 'ORDER BY created_at_unix_ms, rowid';

function isClosed(state: ObligationState): boolean {
  return state === 'redeemed' || state === 'settled';
}

function toObligation(row: Row): Obligation {
  const { transactionId, amountSats, amountMinor, ...half } = row;
  const { settledAtUnixMs, settledBy, settledReason, ...rest } = half;
  return {
    ...rest,
    body: parseJsonObject(row.body),
    ...(transactionId === null ? {} : { transactionId }),
    ...(amountSats === null ? {} : { amountSats: sats(amountSats) }),
    ...(amountMinor === null ? {} : { amountMinor: minorUnits(amountMinor) }),
    ...(settledAtUnixMs === null ? {} : { settledAtUnixMs }),
    ...(settledBy === null ? {} : { settledBy }),
    ...(settledReason === null ? {} : { settledReason }),
  };
}

/** Reads and writes the obligations. */
export class Obligations {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #insert;
  readonly #setState;
  readonly #byId;
  readonly #all;
  readonly #open;
  readonly #closed;
  readonly #byTransaction;

  constructor(connection: Connection, clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
    this.#insert = connection.command<Record<string, string | number | null>>(
      `INSERT INTO obligation (id, transaction_id, reference, kind, state, amount_sat,
         amount_minor, currency, body, created_at_unix_ms)
       VALUES (:id, :transactionId, :reference, :kind, :state, :amountSats,
         :amountMinor, :currency, :body, :createdAtUnixMs)`,
    );
    this.#setState = connection.command<Record<string, string | number | null>>(
      `UPDATE obligation SET state = :to, settled_at_unix_ms = :settledAtUnixMs,
         settled_by = ifnull(:by, settled_by), settled_reason = ifnull(:reason, settled_reason)
       WHERE id = :id AND state = :from`,
    );
    const list = (where: string) =>
      connection.query<Record<string, never>, Row>(`${SELECT} ${where} ${ORDER}`);
    this.#all = list('');
    this.#open = list(`WHERE state NOT IN ${CLOSED}`);
    this.#closed = list(`WHERE state IN ${CLOSED}`);
    this.#byId = connection.query<{ id: string }, Row>(`${SELECT} WHERE id = :id`);
    this.#byTransaction = connection.query<{ transactionId: string }, Row>(
      `${SELECT} WHERE transaction_id = :transactionId ${ORDER}`,
    );
  }

  /** Writes a new obligation. @throws StoreError `exists` for an id that is taken. */
  insert(obligation: NewObligation): Obligation {
    const { id = newObligationId(this.#random), state = 'open', ...rest } = obligation;
    const createdAtUnixMs = this.#clock.now();
    this.#insert({
      id,
      transactionId: rest.transactionId ?? null,
      reference: rest.reference,
      kind: rest.kind,
      state,
      amountSats: rest.amountSats ?? null,
      amountMinor: rest.amountMinor ?? null,
      currency: rest.currency,
      body: canonicalJson(rest.body),
      createdAtUnixMs,
    });
    return { id, state, ...rest, createdAtUnixMs };
  }

  /**
   * Compares and sets: of two who would redeem one claim, one gets it. `by` and `reason` say who
   * changed it and why.
   * @throws StoreError `sequenceError` when it is not in `from` or is closed, `notFound`.
   */
  setState(
    id: ObligationId,
    from: ObligationState,
    to: ObligationState,
    by?: string,
    reason?: string,
  ): void {
    const changed = this.#setState({
      id,
      from,
      to,
      settledAtUnixMs: isClosed(to) ? this.#clock.now() : null,
      by: by ?? null,
      reason: reason ?? null,
    });
    if (changed === 1) return;
    const row = this.#byId.get({ id });
    if (!row) throw new StoreError('notFound', `there is no obligation ${id}`);
    throw new StoreError('sequenceError', `obligation ${id} is ${row.state} and not ${from}`);
  }

  /** By id. */
  get(id: ObligationId): Obligation | undefined {
    const row = this.#byId.get({ id });
    return row && toObligation(row);
  }

  /** All, oldest first; only those not closed, or only those closed, when `open` is given. */
  list({ open }: { readonly open?: boolean } = {}): Obligation[] {
    if (open === undefined) return this.#all.all({}).map(toObligation);
    return (open ? this.#open : this.#closed).all({}).map(toObligation);
  }

  /** All of a transaction, oldest first. */
  forTransaction(transactionId: TransactionId): Obligation[] {
    return this.#byTransaction.all({ transactionId }).map(toObligation);
  }
}
