/** Stores in folders of their own, and rows with every field defaulted. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { systemRandom } from '#protocol/base/clock.ts';
import { AtmError } from '#protocol/base/errors.ts';
import { newReference, newTransactionId } from '#protocol/base/ids.ts';
import { silentLog } from '#protocol/base/log.ts';
import { minorPerBtc, minorUnits, sats } from '#protocol/base/money.ts';
import { Secret } from '#protocol/base/secret.ts';
import { openStore, type Store, type StoreOptions } from '#state/store.ts';
import type { Transaction } from '#state/transactions.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

export const KEY = new Secret(new Uint8Array(32).fill(7));
export const USD20 = minorUnits(2000);

/** Real files in memory where there are such: the tests' thousand fsyncs then take no time. */
const BASE = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** A folder that goes when the test ends. */
export function newFolder(): string {
  const folder = mkdtempSync(join(BASE, 'spire-state-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A store in a new file, closed when the test ends. */
export function newStore(options: Partial<StoreOptions> = {}): Store {
  const store = openStore({
    path: options.path ?? join(newFolder(), 'state.sqlite'),
    clock: new VirtualClock(),
    random: systemRandom,
    log: silentLog,
    sealingKey: KEY,
    bootId: 'boot-1',
    ...options,
  });
  onTestFinished(() => store.close());
  return store;
}

/** A cash-out of one 20. */
export function newTransaction(fields: Partial<Transaction> = {}): Transaction {
  return {
    id: newTransactionId(systemRandom),
    kind: 'cashOut',
    reference: newReference(systemRandom),
    state: 'reserving',
    currency: 'USD',
    fiatMinor: USD20,
    rateMinorPerBtc: minorPerBtc(10_000_000),
    principalSats: sats(20_000),
    feeSats: sats(600),
    wireSats: sats(20_600),
    createdAtUnixMs: 1_000,
    ...fields,
  };
}

/** A transaction that is in the store. */
export function insertedTransaction(store: Store, fields: Partial<Transaction> = {}): Transaction {
  const transaction = newTransaction(fields);
  store.commit(() => store.transactions.insert(transaction));
  return transaction;
}

/** The code of the AtmError that `work` throws, or what else came of it. */
export function codeOf(work: () => unknown): unknown {
  try {
    return { returned: work() };
  } catch (error) {
    return error instanceof AtmError ? error.code : error;
  }
}
