/**
 * The state before and after an update: copied, looked at, and put back when nothing hangs on
 * it.
 */

import { chmodSync, copyFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock, systemRandom } from '#protocol/base/clock.ts';
import { ConfigError, messageOf, StoreError } from '#protocol/base/errors.ts';
import { silentLog } from '#protocol/base/log.ts';
import { Secret } from '#protocol/base/secret.ts';
import { proveBackup } from '#state/backup.ts';
import { Connection } from '#state/connection.ts';
import { openDatabase } from '#state/database.ts';
import { Exchanges } from '#state/exchanges.ts';
import { type Intent, Intents } from '#state/intents.ts';
import { Journal, type JournalHead } from '#state/journal.ts';
import type { JsonObject } from '#state/json.ts';
import { replaceState } from '#state/replace.ts';
import { openStore } from '#state/store.ts';
import { withdrawBody } from '../cash-in/withdraw-body.ts';
import type { UpdatePlan } from '../upkeep/update-plan.ts';
import { asOwnerOf } from './owner.ts';

/** A state at rest. */
export interface RestingState {
  readonly head: JournalHead;
  /** Number of the last note movement; 0 before the first. */
  readonly movements: number;
  /** Acts on money that are under way, by their kinds, and `exchange`. */
  readonly openActs: readonly string[];
}

/** What became of the state when the old release came back. */
export interface StateReturned {
  /** `stays`: what happened since the backup must not be forgotten. */
  readonly state: 'putBack' | 'stays';
  /** Why it stays, or why it could not be written down that the old release is back. */
  readonly why: string | null;
}

/**
 * Journal entries that say nothing of money, debts, an exchange or the pairing. Every other kind,
 * also one that a newer release has brought, keeps the state where it is.
 */
const IDLE_KINDS: ReadonlySet<string> = new Set([
  'agent.started',
  'acceptor.opened',
  'dispenser.opened',
  'initialise.intended',
  'initialise.settled',
  'update.returned',
]);
/** Entries looked through: a release that is held writes a handful. */
const ENTRIES_MAX = 1_000;

const stateFile = (folder: string): string => join(folder, 'state.sqlite');

/** Looks at a state that no agent holds. @throws StoreError, ConfigError when there is none. */
export function restingState(folder: string): RestingState {
  return asOwnerOf(folder, () => {
    if (!existsSync(stateFile(folder))) {
      throw new ConfigError('notFound', `there is no state in ${folder}: start the service once`);
    }
    const connection = new Connection(openDatabase(stateFile(folder)), silentLog);
    try {
      const journal = new Journal(connection, systemClock, 'update');
      const intents = new Intents(connection, systemClock, systemRandom, journal);
      const acts = intents.listOpen().filter((one) => !isOffered(one));
      const exchange = new Exchanges(connection).open();
      const openActs = [...acts.map(({ kind }) => kind), ...(exchange ? ['exchange'] : [])];
      const movements = lastMovement(connection);
      return { head: journal.head(), movements, openActs };
    } finally {
      connection.close();
    }
  });
}

function lastMovement(connection: Connection): number {
  const last = connection.query<Record<string, never>, { seq: number | null }>(
    'SELECT max(seq) AS seq FROM note_movement',
  );
  return last.get({})?.seq ?? 0;
}

/** A link that its customer has, and that may never be claimed, is nothing that an update cuts. */
function isOffered(intent: Intent): boolean {
  return intent.kind === 'withdraw' && withdrawBody(intent).state === 'answered';
}

/**
 * Puts the state from before the update back when nothing has happened since that must be kept, and
 * writes down that the old release is back. @throws StoreError for the disk; nothing has changed
 * then.
 */
export function returnState(folder: string, plan: UpdatePlan): StateReturned {
  const { backup, from, to, reason } = plan;
  if (!backup) return { state: 'stays', why: 'it was not backed up' };
  return asOwnerOf(folder, () => {
    const kept = whyItStays(folder, backup);
    const body = { from: to, to: from, reason: reason ?? 'unknown' };
    if (kept === undefined) {
      putBack(folder, backup.path, { ...body, state: 'putBack' });
      return { state: 'putBack', why: null };
    }
    try {
      note(stateFile(folder), { ...body, state: 'stays', why: kept });
      return { state: 'stays', why: kept };
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      return { state: 'stays', why: `${kept}; ${messageOf(error)}` };
    }
  });
}

/** Why the present state has to stay; undefined when nothing hangs on it. */
function whyItStays(
  folder: string,
  { seq, hash, movements }: NonNullable<UpdatePlan['backup']>,
): string | undefined {
  try {
    const connection = new Connection(openDatabase(stateFile(folder)), silentLog);
    try {
      const journal = new Journal(connection, systemClock, 'update');
      const [last, ...since] = journal.read({ afterSeq: seq - 1, limit: ENTRIES_MAX });
      if (seq > 0 && last?.hash !== hash) return 'its journal is another one than was backed up';
      if (since.length + 1 >= ENTRIES_MAX) return 'too much has happened since the backup';
      if (lastMovement(connection) !== movements) return 'notes have moved since the backup';
      const found = since.find(({ kind }) => !IDLE_KINDS.has(kind));
      return found && `${found.kind} was written down since the backup`;
    } finally {
      connection.close();
    }
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    return `it cannot be told what happened since the backup: ${messageOf(error)}`;
  }
}

function putBack(folder: string, backup: string, body: JsonObject): void {
  replaceState({
    path: stateFile(folder),
    clock: systemClock,
    make: (draft) => {
      copyFileSync(backup, draft);
      chmodSync(draft, 0o600);
      proveBackup(draft, systemClock);
      note(draft, body);
    },
  });
}

function note(path: string, body: JsonObject): void {
  const store = openStore({
    path,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    // Nothing sealed is opened here, and the key is the service's alone.
    sealingKey: new Secret(new Uint8Array(32)),
    bootId: 'update',
  });
  try {
    store.commit(() => store.journal.append('update.returned', body));
  } finally {
    store.close();
  }
}
