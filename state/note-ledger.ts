/** Where every note is: double entry over accounts, one balance table (design 4). */
import type { Clock } from '#protocol/base/clock.ts';
import { StoreError } from '#protocol/base/errors.ts';
import type { Position, TransactionId } from '#protocol/base/ids.ts';
import { type MinorUnits, minorUnits } from '#protocol/base/money.ts';
import { type Connection, pageLimit } from './connection.ts';

/**
 * A place where notes are, or are owed. `transport` is the path inside the machine; `customer`,
 * `technician` and `unaccounted` are the world outside and alone may go below zero.
 */
export type Account =
  | `bay:${number}`
  | `bag:${string}`
  | 'reject'
  | 'cashbox'
  | 'transport'
  | 'customer'
  | 'technician'
  | 'unaccounted';

/** The account of a dispenser bay. */
export function bayAccount(position: Position): Account {
  return `bay:${position}`;
}

/** The account of a sealed bag. @throws StoreError `invalidData` for a seal of another shape. */
export function bagAccount(seal: string): Account {
  return account(`bag:${seal}`);
}

const PLACES = ['reject', 'cashbox', 'transport', 'customer', 'technician', 'unaccounted'];
const BAY_OR_BAG = /^(?:bay:(?:[1-9]|1[0-6])|bag:[\w./-]{1,40})$/;

function isAccount(text: string): text is Account {
  return PLACES.includes(text) || BAY_OR_BAG.test(text);
}

/** An account by its name. @throws StoreError `invalidData` when there is no such account. */
export function account(name: string): Account {
  if (isAccount(name)) return name;
  throw new StoreError('invalidData', `${JSON.stringify(name)} is no account of the note ledger`);
}

/** Some notes of one value going from one account to another. */
export interface NoteMove {
  readonly from: Account;
  readonly to: Account;
  /** ISO 4217 code. */
  readonly currency: string;
  /** Face value of one note. */
  readonly value: MinorUnits;
  /** Number of notes, 1 to 100,000. */
  readonly count: number;
  /** Why, in a few words; an operator reads it. */
  readonly cause: string;
  /** When they moved, where it is written later; now when not given. */
  readonly atUnixMs?: number;
  readonly transactionId?: TransactionId;
}

/** A move as the ledger holds it. */
export interface NoteMovement extends NoteMove {
  readonly seq: number;
  readonly atUnixMs: number;
}

/** How many notes of one value an account holds. */
export interface NoteCount {
  readonly currency: string;
  readonly value: MinorUnits;
  readonly count: number;
}

/** A count with its account. */
export interface NoteBalance extends NoteCount {
  readonly account: Account;
}

/** Which movements to read, oldest first. */
export interface MovementFilter {
  /** Either side of the move. */
  readonly account?: Account;
  readonly transactionId?: TransactionId;
  readonly afterSeq?: number;
  /** At most 10,000; 1,000 when not given. */
  readonly limit?: number;
}

/** What customers' transactions took out of an account. */
export interface Outflow {
  /** From when on it is counted; later than asked for where the ledger is younger. */
  readonly sinceUnixMs: number;
  /** Notes by where they went. */
  readonly counts: Readonly<Partial<Record<Account, number>>>;
}

/** Newest movements that are looked at for a machine's use; some hundreds a day for months. */
const OUTFLOW_MOVEMENTS_MAX = 50_000;

/** What a proof of the ledger found. */
export interface LedgerVerdict {
  readonly ledger: 'ok' | 'broken';
  readonly problems: readonly string[];
}

/** Problems that a verdict names; one alone already stops the machine. */
const PROBLEMS_MAX = 20;

interface Row {
  readonly seq: number;
  readonly atUnixMs: number;
  readonly from: Account;
  readonly to: Account;
  readonly currency: string;
  readonly value: number;
  readonly count: number;
  readonly cause: string;
  readonly transactionId: TransactionId | null;
}

function toMovement({ transactionId, value, ...row }: Row): NoteMovement {
  const movement = { ...row, value: minorUnits(value) };
  return transactionId === null ? movement : { ...movement, transactionId };
}

const BALANCES = 'SELECT account, currency, value_minor AS value, count FROM note_balance';

/** Every account whose balance is not the sum of its movements. */
const MISFITS = `
  WITH folded AS (
    SELECT account, currency, value, sum(count) AS count FROM (
      SELECT to_account AS account, currency, value_minor AS value, count FROM note_movement
      UNION ALL
      SELECT from_account, currency, value_minor, -count FROM note_movement
    ) GROUP BY account, currency, value
  )
  SELECT ifnull(folded.account, balance.account) AS account,
    ifnull(folded.currency, balance.currency) AS currency,
    ifnull(folded.value, balance.value_minor) AS value,
    ifnull(folded.count, 0) AS moved, ifnull(balance.count, 0) AS held
  FROM folded FULL JOIN note_balance AS balance ON balance.account = folded.account
    AND balance.currency = folded.currency AND balance.value_minor = folded.value
  WHERE moved <> held LIMIT :limit`;

/** Every note value whose counts over all accounts do not cancel out. */
const UNBALANCED = `
  SELECT currency, value_minor AS value, sum(count) AS total FROM note_balance
  GROUP BY currency, value_minor HAVING total <> 0 LIMIT :limit`;

/** Proves that the balances are the sum of the movements, and that no note came from nowhere. */
export function proveLedger(connection: Connection): LedgerVerdict {
  const limit = { limit: PROBLEMS_MAX };
  const misfits = connection
    .query<
      typeof limit,
      { account: string; currency: string; value: number; moved: number; held: number }
    >(MISFITS)
    .all(limit)
    .map(
      ({ account, currency, value, moved, held }) =>
        `${account} holds ${held} notes of ${value} ${currency} where its movements make ${moved}`,
    );
  const unbalanced = connection
    .query<typeof limit, { currency: string; value: number; total: number }>(UNBALANCED)
    .all(limit)
    .map(({ currency, value, total }) => `notes of ${value} ${currency} add up to ${total}, not 0`);
  const problems = [...misfits, ...unbalanced];
  return { ledger: problems.length === 0 ? 'ok' : 'broken', problems };
}

/** Moves notes between accounts and counts them. A count is never overwritten, only moved. */
export class NoteLedger {
  readonly #connection: Connection;
  readonly #clock: Clock;
  readonly #insert;
  readonly #count;
  readonly #balance;
  readonly #balances;
  readonly #all;
  readonly #byAccount;
  readonly #byTransaction;
  readonly #first;
  readonly #outflow;

  constructor(connection: Connection, clock: Clock) {
    this.#connection = connection;
    this.#clock = clock;
    this.#insert = connection.command<Record<keyof Omit<Row, 'seq'>, string | number | null>>(
      `INSERT INTO note_movement (at_unix_ms, from_account, to_account, currency, value_minor,
         count, cause, transaction_id)
       VALUES (:atUnixMs, :from, :to, :currency, :value, :count, :cause, :transactionId)`,
    );
    this.#count = connection.query<{ account: string; value: number }, { count: number }>(
      `SELECT ifnull(sum(count), 0) AS count FROM note_balance
       WHERE account = :account AND value_minor = :value`,
    );
    this.#balance = connection.query<{ account: string }, NoteBalance>(
      `${BALANCES} WHERE account = :account AND count <> 0 ORDER BY currency, value_minor`,
    );
    this.#balances = connection.query<Record<string, never>, NoteBalance>(
      `${BALANCES} WHERE count <> 0 ORDER BY account, currency, value_minor`,
    );
    const page = (where: string) => `
      SELECT seq, at_unix_ms AS atUnixMs, from_account AS "from", to_account AS "to", currency,
        value_minor AS value, count, cause, transaction_id AS transactionId
      FROM note_movement WHERE seq > :afterSeq ${where} ORDER BY seq LIMIT :limit`;
    this.#all = connection.query<{ afterSeq: number; limit: number }, Row>(page(''));
    this.#byAccount = connection.query<{ afterSeq: number; limit: number; account: string }, Row>(
      page('AND (from_account = :account OR to_account = :account)'),
    );
    this.#byTransaction = connection.query<
      { afterSeq: number; limit: number; transactionId: string; account: string | null },
      Row
    >(
      page(`AND transaction_id = :transactionId
        AND (:account IS NULL OR :account IN (from_account, to_account))`),
    );
    this.#first = connection.query<{ max: number }, { seq: number; atUnixMs: number }>(
      `SELECT seq, at_unix_ms AS atUnixMs FROM note_movement
       WHERE seq > (SELECT max(seq) FROM note_movement) - :max ORDER BY seq LIMIT 1`,
    );
    this.#outflow = connection.query<
      { account: string; since: number; seq: number },
      { to: Account; count: number }
    >(
      `SELECT to_account AS "to", sum(count) AS count FROM note_movement
       WHERE from_account = :account AND seq >= :seq AND at_unix_ms >= :since
         AND transaction_id IS NOT NULL GROUP BY to_account`,
    );
  }

  /** What transactions took out of an account since an instant, by its newest movements. */
  outflow(account: Account, sinceUnixMs: number): Outflow {
    const first = this.#first.get({ max: OUTFLOW_MOVEMENTS_MAX });
    if (!first) return { sinceUnixMs: this.#clock.now(), counts: {} };
    const since = Math.max(sinceUnixMs, first.atUnixMs);
    const rows = this.#outflow.all({ account, since, seq: first.seq });
    return { sinceUnixMs: since, counts: Object.fromEntries(rows.map((r) => [r.to, r.count])) };
  }

  /**
   * Moves notes inside the open commit; the balances of both accounts change with it.
   * @throws StoreError `invalidData` when a physical account would go below zero, or for a count,
   * an account or a currency of another shape; the commit must then be given up.
   */
  move({ from, to, currency, value, count, cause, atUnixMs, transactionId }: NoteMove): void {
    this.#insert({
      atUnixMs: atUnixMs ?? this.#clock.now(),
      from: account(from),
      to: account(to),
      currency,
      value,
      count,
      cause,
      transactionId: transactionId ?? null,
    });
  }

  /** Notes of one face value in one account; of every currency, for a machine has only one. */
  count(account: Account, value: MinorUnits): number {
    return this.#count.get({ account, value })?.count ?? 0;
  }

  /** What an account holds or owes, by rising value; values that it has none of are left out. */
  balance(account: Account): NoteCount[] {
    const rows = this.#balance.all({ account });
    return rows.map(({ currency, value, count }) => ({ currency, value, count }));
  }

  /** What all accounts hold or owe; zeros are left out. */
  balances(): NoteBalance[] {
    return this.#balances.all({});
  }

  /** One page of movements, oldest first. */
  movements(filter: MovementFilter = {}): NoteMovement[] {
    const { account, transactionId, afterSeq = 0, limit } = filter;
    const page = { afterSeq, limit: pageLimit(limit) };
    let rows: Row[];
    if (transactionId !== undefined) {
      rows = this.#byTransaction.all({ ...page, transactionId, account: account ?? null });
    } else if (account !== undefined) rows = this.#byAccount.all({ ...page, account });
    else rows = this.#all.all(page);
    return rows.map(toMovement);
  }

  /** Proves the ledger; work grows with the number of movements. */
  verify(): LedgerVerdict {
    return proveLedger(this.#connection);
  }
}
