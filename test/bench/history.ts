/** Old transactions, all ended long ago, as they lie in a state that has served for years. */
import type { Clock } from '#protocol/base/clock.ts';
import type { TransactionId } from '#protocol/base/ids.ts';
import { silentLog } from '#protocol/base/log.ts';
import { Connection } from '#state/connection.ts';
import { openDatabase } from '#state/database.ts';
import { Journal } from '#state/journal.ts';

/** Between two of them: a million are a year. */
const APART_MS = 30_000;
/** The last one is so long ago that no rolling window sees it. */
const AGO_MS = 30 * 24 * 3_600_000;
const COMMIT = 5_000;

/**
 * Appends so many cash-ins: the transaction, its deposit's intent, the note's movement and four
 * journal entries in the real chain. The state must be at rest.
 */
export function appendHistory(path: string, count: number, nowUnixMs: number): void {
  const database = openDatabase(path);
  const connection = new Connection(database, silentLog);
  let done = 0;
  const now = () => nowUnixMs - AGO_MS - (count - done) * APART_MS;
  const clock: Clock = { now, monotonic: () => done, after: () => () => undefined };
  const journal = new Journal(connection, clock, 'history');
  const insert = inserts(connection);
  try {
    while (done < count) {
      const end = Math.min(count, done + COMMIT);
      connection.commit(() => {
        for (; done < end; done += 1)
          appendOne(`old-${done}` as TransactionId, journal, insert, now());
      });
    }
    database.pragma('wal_checkpoint(TRUNCATE)');
  } finally {
    connection.close();
  }
}

type Inserts = ReturnType<typeof inserts>;

function inserts(connection: Connection) {
  return {
    transaction: connection.command<{ id: string; at: number }>(
      `INSERT INTO "transaction" (id, kind, reference, state, currency, fiat_minor,
         rate_minor_per_btc, principal_sat, fee_sat, wire_sat, claim_hash, created_at_unix_ms,
         ended_at_unix_ms, outcome)
       VALUES (:id, 'cashIn', :id, 'done', 'USD', 2000, 9711700, 20593, 0, 20593, :id, :at, :at,
         'claimed')`,
    ),
    intent: connection.command<{ id: string; at: number; seq: number }>(
      `INSERT INTO intent (id, transaction_id, kind, device, ordinal, body, state, outcome,
         evidence, opened_at_unix_ms, opened_seq, settled_at_unix_ms)
       VALUES (:id, :id, 'deposit', 'acceptor', 0, '{"noteId":"0","valueMinor":2000}', 'settled',
         'deposited', '{"evidence":"15 vend valid"}', :at, :seq, :at)`,
    ),
    movement: connection.command<{ id: string; at: number }>(
      `INSERT INTO note_movement (at_unix_ms, from_account, to_account, currency, value_minor,
         count, cause, transaction_id)
       VALUES (:at, 'customer', 'cashbox', 'USD', 2000, 1, 'deposited', :id)`,
    ),
  };
}

function appendOne(id: TransactionId, journal: Journal, insert: Inserts, at: number): void {
  insert.transaction({ id, at });
  journal.append('cashIn.opened', { reference: id, principalSats: 20_593 }, id);
  const { seq } = journal.append('deposit.intended', { noteId: '0', valueMinor: 2_000 }, id);
  insert.intent({ id, at, seq });
  insert.movement({ id, at });
  journal.append('note.deposited', { noteId: '0', valueMinor: 2_000 }, id);
  journal.append('cashIn.ended', { outcome: 'claimed', reference: id }, id);
}
