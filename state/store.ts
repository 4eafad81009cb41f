/** The machine's state: opens the database, brings it to this version, hands out its tables. */
import type { Clock, Random } from '#protocol/base/clock.ts';
import type { Log } from '#protocol/base/log.ts';
import type { Secret } from '#protocol/base/secret.ts';
import { backupAtOnce } from './backup.ts';
import { CashUnits } from './cash-units.ts';
import { Checkpoints } from './checkpoints.ts';
import { Connection } from './connection.ts';
import { type Database, openDatabase } from './database.ts';
import { Documents } from './documents.ts';
import { Exchanges } from './exchanges.ts';
import { Facts } from './facts.ts';
import { Intents } from './intents.ts';
import { finish, Journal } from './journal.ts';
import { type Migration, migrate, migrations } from './migrations/migrate.ts';
import { NoteLedger } from './note-ledger.ts';
import { Obligations } from './obligations.ts';
import { Outbox } from './outbox.ts';
import { Secrets } from './secrets.ts';
import type { DiskFault } from './store-error.ts';
import { Technicians } from './technicians.ts';
import { Transactions } from './transactions.ts';
import { proveSmallTables, type Verdict, walkAll } from './verify.ts';
import { CashCounts, VisitRecords } from './visit-records.ts';
import { WrongTries } from './wrong-tries.ts';

/** What a store is opened with. */
export interface StoreOptions {
  /** The database file; its folder must be there. */
  readonly path: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** 32 bytes that seal bearer values; kept anywhere but in the database. */
  readonly sealingKey: Secret<Uint8Array>;
  /** Names this run of the computer in the journal. */
  readonly bootId: string;
  /** Where a backup goes before a migration; without it none is made. */
  readonly backupFolder?: string;
  /** Opens the file; a test gives one that fails. */
  readonly openDatabase?: (path: string) => Database;
  /** Steps of the schema; a test gives more. */
  readonly migrations?: readonly Migration[];
}

/** All tables of the machine, and the one way to write them. */
export interface Store {
  readonly journal: Journal;
  readonly ledger: NoteLedger;
  readonly cashUnits: CashUnits;
  readonly transactions: Transactions;
  readonly intents: Intents;
  readonly obligations: Obligations;
  readonly secrets: Secrets;
  readonly outbox: Outbox;
  readonly documents: Documents;
  readonly facts: Facts;
  readonly wrongTries: WrongTries;
  readonly technicians: Technicians;
  readonly exchanges: Exchanges;
  readonly cashCounts: CashCounts;
  readonly visitRecords: VisitRecords;
  /**
   * Does all writes of `work` or none, in one immediate transaction that is on the disk when this
   * returns. Every method that writes must run inside; `work` must not wait for anything.
   * @throws StoreError for a fault of the disk or a broken rule, or what `work` threw.
   */
  commit<T>(work: () => T): T;
  /** Changes with all that is written or rolled back; see `remembered`. */
  version(): number;
  /**
   * Tells of a fault of the disk, and of its end once a commit has written again; after a failed
   * disk or a damaged file there is no such end. Returns what ends it.
   */
  onDisk(listener: (fault: DiskFault | undefined) => void): () => void;
  /** Proves pages, hash chain and ledger; work grows with the history. */
  verify(): Verdict;
  /** Copies the state as it is into an empty or absent file; `backup` does the rest. */
  copyTo(path: string): void;
  /** Lets go of the file and its lock. */
  close(): void;
}

/**
 * Opens the state, or makes it, and holds it alone.
 * @throws StoreError `locked`, `tooNew`, `corrupt`, or what else `openDatabase` and `migrate` say;
 * the file is let go of then.
 */
export function openStore(options: StoreOptions): Store {
  const { path, clock, random, log } = options;
  const database = (options.openDatabase ?? openDatabase)(path);
  const connection = new Connection(database, log);
  try {
    migrate(database, options.migrations ?? migrations, () => {
      if (options.backupFolder === undefined) return;
      const made = backupAtOnce(connection, { folder: options.backupFolder, clock });
      log.info({ path: made.path, entries: made.entries }, 'state backed up before migration');
    });
    proveSmallTables(connection);
    const journal = new Journal(connection, clock, options.bootId);
    const checkpoints = new Checkpoints(clock, () => connection.checkpoint());
    return {
      journal,
      ledger: new NoteLedger(connection, clock),
      cashUnits: new CashUnits(connection),
      transactions: new Transactions(connection),
      intents: new Intents(connection, clock, random, journal),
      obligations: new Obligations(connection, clock, random),
      secrets: new Secrets(connection, random, options.sealingKey),
      outbox: new Outbox(connection, clock),
      documents: new Documents(connection),
      facts: new Facts(connection),
      wrongTries: new WrongTries(connection),
      technicians: new Technicians(connection),
      exchanges: new Exchanges(connection),
      cashCounts: new CashCounts(connection),
      visitRecords: new VisitRecords(connection),
      commit: (work) => {
        const result = connection.commit(work);
        checkpoints.committed();
        return result;
      },
      version: () => connection.version,
      onDisk: (listener) => connection.onDisk(listener),
      verify: () => finish(walkAll(connection)),
      copyTo: (target) => connection.copyTo(target),
      close: () => {
        checkpoints.close();
        connection.close();
      },
    };
  } catch (error) {
    connection.close();
    throw error;
  }
}
