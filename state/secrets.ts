/**
 * Bearer values: whoever reads one has the money. They are sealed under a key that is not in the
 * database, bound to their row, and erased when they are spent.
 */
import type { Random } from '#protocol/base/clock.ts';
import { messageOf, StoreError } from '#protocol/base/errors.ts';
import type { TransactionId } from '#protocol/base/ids.ts';
import { seal, unseal } from '#protocol/base/sealing.ts';
import { Secret } from '#protocol/base/secret.ts';
import type { Connection } from './connection.ts';

/** What a secret is written with. */
export interface NewSecret {
  readonly transactionId: TransactionId;
  /** `lnurl`, `claimCode` and the like; one of each per transaction. */
  readonly kind: string;
  readonly value: Secret<string>;
}

function contextOf(transactionId: TransactionId, kind: string): string {
  return `secret:${transactionId}:${kind}`;
}

/** Seals, opens and erases bearer values. */
export class Secrets {
  readonly #random: Random;
  readonly #key: Secret<Uint8Array>;
  readonly #put;
  readonly #get;
  readonly #erase;

  constructor(connection: Connection, random: Random, key: Secret<Uint8Array>) {
    this.#random = random;
    this.#key = key;
    this.#put = connection.command<{ transactionId: string; kind: string; sealed: Uint8Array }>(
      `INSERT INTO secret (transaction_id, kind, sealed) VALUES (:transactionId, :kind, :sealed)`,
    );
    this.#get = connection.query<
      { transactionId: string; kind: string },
      { sealed: Uint8Array | null }
    >('SELECT sealed FROM secret WHERE transaction_id = :transactionId AND kind = :kind');
    this.#erase = connection.command<{ transactionId: string; kind: string }>(
      `UPDATE secret SET sealed = NULL WHERE transaction_id = :transactionId AND kind = :kind`,
    );
  }

  /**
   * Keeps the first value for its place.
   * @throws StoreError `exists` for every later one, also when the first has been erased: only the
   * first withdraw link is ever shown, so a second must not come in behind it.
   */
  put({ transactionId, kind, value }: NewSecret): void {
    const context = contextOf(transactionId, kind);
    const sealed = seal(this.#key, this.#random, context, value.reveal());
    this.#put({ transactionId, kind, sealed });
  }

  /**
   * The value, unless there is none or it was erased.
   * @throws StoreError `corrupt` when it does not open: another key, another row, altered bytes.
   */
  get(transactionId: TransactionId, kind: string): Secret<string> | undefined {
    const sealed = this.#get.get({ transactionId, kind })?.sealed;
    if (!sealed) return undefined;
    try {
      return new Secret(unseal(this.#key, contextOf(transactionId, kind), sealed));
    } catch (cause) {
      throw new StoreError('corrupt', messageOf(cause), { cause });
    }
  }

  /** Erases the value; harmless when there is none. */
  erase(transactionId: TransactionId, kind: string): void {
    this.#erase({ transactionId, kind });
  }
}
