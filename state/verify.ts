/** Proves a whole database, the state's or a backup's: its pages, its hash chain, its ledger. */
import { StoreError } from '#protocol/base/errors.ts';
import type { Connection } from './connection.ts';
import { type ChainVerdict, walkChain } from './journal.ts';
import { type LedgerVerdict, proveLedger } from './note-ledger.ts';

/** What a proof found; `problems` says in words what is broken. */
export interface Verdict {
  readonly chain: 'ok' | 'broken';
  readonly ledger: 'ok' | 'broken';
  readonly integrity: 'ok' | 'broken';
  /** Journal entries proven. */
  readonly entries: number;
  readonly problems: readonly string[];
}

/** Problems that SQLite names; one alone already stops the machine. */
const PROBLEMS_MAX = 20;

/** Proves everything, in steps; work grows with the history. Damage is a verdict, not an error. */
export function* walkAll(connection: Connection): Generator<undefined, Verdict> {
  const pages = damagedPages(connection);
  yield;
  let chain: ChainVerdict;
  try {
    chain = yield* walkChain(connection, 1);
  } catch (error) {
    chain = { chain: 'broken', entries: 0, problem: damage(error) };
  }
  yield;
  const { ledger, problems } = ledgerOf(connection);
  return {
    chain: chain.chain,
    ledger,
    integrity: pages.length === 0 ? 'ok' : 'broken',
    entries: chain.entries,
    problems: [...pages, ...(chain.problem ? [chain.problem] : []), ...problems],
  };
}

/**
 * Tables whose size history does not grow, or only its faults do (what is owed), so that every
 * start can afford to read them.
 */
const SMALL_TABLES = [
  ...['note_balance', 'cash_unit', 'outbox', 'published', 'document', 'fact'],
  'obligation',
];

/**
 * Reads the pages of the small tables, the counts among them, before anything rests on them. The
 * grown ones are proven by `walkAll` and by every backup.
 * @throws StoreError `corrupt` with what is damaged.
 */
export function proveSmallTables(connection: Connection): void {
  for (const table of SMALL_TABLES) {
    const [first] = connection.pragma<{ quick_check: string }>(`quick_check(${table})`);
    if (first?.quick_check === 'ok') continue;
    throw new StoreError('corrupt', `the state file is damaged: ${String(first?.quick_check)}`);
  }
}

function damagedPages(connection: Connection): string[] {
  try {
    const lines = connection
      .pragma<{ integrity_check: string }>(`integrity_check(${PROBLEMS_MAX})`)
      .map((row) => row.integrity_check)
      .filter((line) => line !== 'ok');
    const orphans = connection
      .pragma<{ table: string }>('foreign_key_check')
      .map(({ table }) => `a row of ${table} belongs to a transaction that is not there`);
    return [...lines, ...orphans.slice(0, PROBLEMS_MAX)];
  } catch (error) {
    return [damage(error)];
  }
}

function ledgerOf(connection: Connection): LedgerVerdict {
  try {
    return proveLedger(connection);
  } catch (error) {
    return { ledger: 'broken', problems: [damage(error)] };
  }
}

/** The words for a page that cannot be read. @throws what is anything else. */
function damage(error: unknown): string {
  if (error instanceof StoreError && error.code === 'corrupt') return error.message;
  throw error;
}
