/**
 * Acts on money, written before they are done and settled once by evidence. The unique indexes are
 * the last guard of *never twice*: one open intent per device, one batch per number for ever.
 */
import type { Clock, Random } from '#protocol/base/clock.ts';
import { StoreError } from '#protocol/base/errors.ts';
import { type IntentId, newIntentId, type TransactionId } from '#protocol/base/ids.ts';
import type { Connection } from './connection.ts';
import type { Journal } from './journal.ts';
import { canonicalJson, type JsonObject, parseJsonObject } from './json.ts';
import { KeptAnswers } from './remembered.ts';

/** What an intent is opened with. */
export interface NewIntent {
  /** A new one when not given. */
  readonly id?: IntentId;
  readonly transactionId?: TransactionId;
  readonly kind: string;
  /** The device that acts; it can have one open intent. */
  readonly device?: string;
  /** Number of the batch: once per transaction and kind, also when it is settled. */
  readonly ordinal?: number;
  readonly body: JsonObject;
}

/** One intent. */
export interface Intent extends NewIntent {
  readonly id: IntentId;
  readonly state: 'open' | 'settled';
  /** With `evidence` and `settledAtUnixMs`, there exactly when it is settled. */
  readonly outcome?: string;
  readonly evidence?: JsonObject;
  readonly openedAtUnixMs: number;
  /** The journal's last entry when it was opened. */
  readonly openedSeq: number;
  readonly settledAtUnixMs?: number;
}

interface Row {
  readonly id: IntentId;
  readonly transactionId: TransactionId | null;
  readonly kind: string;
  readonly device: string | null;
  readonly ordinal: number | null;
  readonly body: string;
  readonly state: 'open' | 'settled';
  readonly outcome: string | null;
  readonly evidence: string | null;
  readonly openedAtUnixMs: number;
  readonly openedSeq: number;
  readonly settledAtUnixMs: number | null;
}

const SELECT = `SELECT id, transaction_id AS transactionId, kind, device, ordinal, body, state,
  outcome, evidence, opened_at_unix_ms AS openedAtUnixMs, opened_seq AS openedSeq,
  settled_at_unix_ms AS settledAtUnixMs FROM intent`;
const ORDER = 'ORDER BY opened_seq, opened_at_unix_ms, rowid';

function toIntent(row: Row): Intent {
  const { transactionId, device, ordinal, outcome, evidence, settledAtUnixMs, ...rest } = row;
  return {
    ...rest,
    body: parseJsonObject(row.body),
    ...(transactionId === null ? {} : { transactionId }),
    ...(device === null ? {} : { device }),
    ...(ordinal === null ? {} : { ordinal }),
    ...(outcome === null ? {} : { outcome }),
    ...(evidence === null ? {} : { evidence: parseJsonObject(evidence) }),
    ...(settledAtUnixMs === null ? {} : { settledAtUnixMs }),
  };
}

/** Opens and settles intents. */
export class Intents {
  readonly #connection: Connection;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #journal: Journal;
  readonly #insert;
  readonly #replaceBody;
  readonly #settle;
  readonly #byId;
  readonly #open;
  readonly #openOfKind;
  readonly #byTransaction;
  /** One act asks for the same lists many times. */
  readonly #kept = new KeptAnswers<readonly Intent[]>();

  constructor(connection: Connection, clock: Clock, random: Random, journal: Journal) {
    this.#connection = connection;
    this.#clock = clock;
    this.#random = random;
    this.#journal = journal;
    this.#insert = connection.command<Record<string, string | number | null>>(
      `INSERT INTO intent (id, transaction_id, kind, device, ordinal, body, state,
         opened_at_unix_ms, opened_seq)
       VALUES (:id, :transactionId, :kind, :device, :ordinal, :body, 'open', :atUnixMs, :seq)`,
    );
    this.#replaceBody = connection.command<{ id: string; body: string }>(
      `UPDATE intent SET body = :body WHERE id = :id AND state = 'open'`,
    );
    this.#settle = connection.command<{
      id: string;
      outcome: string;
      evidence: string;
      atUnixMs: number;
    }>(
      `UPDATE intent SET state = 'settled', outcome = :outcome, evidence = :evidence,
         settled_at_unix_ms = :atUnixMs WHERE id = :id AND state = 'open'`,
    );
    this.#byId = connection.query<{ id: string }, Row>(`${SELECT} WHERE id = :id`);
    this.#open = connection.query<Record<string, never>, Row>(
      `${SELECT} WHERE state = 'open' ${ORDER}`,
    );
    this.#openOfKind = connection.query<{ kind: string }, Row>(
      `${SELECT} WHERE state = 'open' AND kind = :kind ${ORDER}`,
    );
    this.#byTransaction = connection.query<{ transactionId: string }, Row>(
      `${SELECT} WHERE transaction_id = :transactionId ${ORDER}`,
    );
  }

  /**
   * Opens an intent; only when its commit has returned may the act begin.
   * @throws StoreError `exists` when the device has an open intent or the batch number was used.
   */
  open({ id = newIntentId(this.#random), ...intent }: NewIntent): Intent {
    const openedAtUnixMs = this.#clock.now();
    const openedSeq = this.#journal.head().seq;
    this.#insert({
      id,
      transactionId: intent.transactionId ?? null,
      kind: intent.kind,
      device: intent.device ?? null,
      ordinal: intent.ordinal ?? null,
      body: canonicalJson(intent.body),
      atUnixMs: openedAtUnixMs,
      seq: openedSeq,
    });
    return { id, ...intent, state: 'open', openedAtUnixMs, openedSeq };
  }

  /** Adds what was learned while it is open. @throws StoreError `sequenceError` or `notFound`. */
  replaceBody(id: IntentId, body: JsonObject): void {
    if (this.#replaceBody({ id, body: canonicalJson(body) }) !== 1) throw this.#notOpen(id);
  }

  /**
   * Settles an open intent, once, with what proves it.
   * @throws StoreError `sequenceError` when it is settled already, `notFound` without one.
   */
  settle(id: IntentId, outcome: string, evidence: JsonObject): void {
    const atUnixMs = this.#clock.now();
    const text = canonicalJson(evidence);
    if (this.#settle({ id, outcome, evidence: text, atUnixMs }) !== 1) throw this.#notOpen(id);
  }

  /** Open intents (of one kind), oldest first. Work is proportional to them, not to history. */
  listOpen(kind?: string): readonly Intent[] {
    if (kind === undefined) return this.#read('open', () => this.#open.all({}));
    return this.#read(`open ${kind}`, () => this.#openOfKind.all({ kind }));
  }

  /** By id. */
  get(id: IntentId): Intent | undefined {
    const row = this.#byId.get({ id });
    return row && toIntent(row);
  }

  /** All of a transaction, oldest first. */
  forTransaction(transactionId: TransactionId): readonly Intent[] {
    return this.#read(transactionId, () => this.#byTransaction.all({ transactionId }));
  }

  #read(name: string, ask: () => Row[]): readonly Intent[] {
    return this.#kept.get(this.#connection.version, name, () => ask().map(toIntent));
  }

  #notOpen(id: IntentId): StoreError {
    return this.#byId.get({ id })
      ? new StoreError('sequenceError', `intent ${id} is settled already`)
      : new StoreError('notFound', `there is no intent ${id}`);
  }
}
