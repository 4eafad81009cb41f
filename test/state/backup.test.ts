import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import type { Clock } from '#protocol/base/clock.ts';
import { AtmError } from '#protocol/base/errors.ts';
import { Secret } from '#protocol/base/secret.ts';
import { backup, backupAtOnce, listBackups } from '#state/backup.ts';
import type { Store } from '#state/store.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { insertedTransaction, newFolder, newStore, USD20 } from './fixtures.ts';

const codeOfPromise = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (returned) => ({ returned }),
    (error: unknown) => (error instanceof AtmError ? error.code : error),
  );

function filled(path?: string): Store {
  const store = newStore(path === undefined ? {} : { path });
  const note = { currency: 'USD', value: USD20, count: 2, cause: 'deposited' };
  store.commit(() => {
    for (let index = 0; index < 2_500; index++) store.journal.append('deposited', { index });
    store.ledger.move({ from: 'customer', to: 'cashbox', ...note });
  });
  return store;
}

describe('backup', () => {
  it('is a proven copy that opens as a state, made while the state is in use', async () => {
    const store = filled();
    const folder = join(newFolder(), 'backups');
    const running = backup(store, { folder, clock: new VirtualClock() });
    // Written after the copy was taken and before its proof ends.
    store.commit(() => store.journal.append('later', {}));
    const made = await running;
    expect(made).toEqual({
      path: join(folder, 'state-000001-20261121T120000Z.sqlite'),
      bytes: statSync(made.path).size,
      entries: 2_500,
    });
    expect(readdirSync(folder)).toEqual([basename(made.path)]);
    expect(statSync(made.path).mode & 0o777).toBe(0o600);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    const copy = newStore({ path: made.path });
    expect(copy.verify()).toMatchObject({ chain: 'ok', ledger: 'ok', entries: 2_500 });
    expect(copy.ledger.count('cashbox', USD20)).toBe(2);
    expect(store.journal.count()).toBe(2_501);
  });

  it('keeps the newest by their number, whatever the clock says', () => {
    const store = newStore();
    const folder = newFolder();
    writeFileSync(join(folder, 'notes.txt'), 'not ours');
    const clock = new VirtualClock();
    const numbers = () => listBackups(folder).map((path) => basename(path).slice(6, 12));
    for (let index = 0; index < 16; index++) {
      clock.jumpWall(-86_400_000);
      backupAtOnce(store, { folder, clock });
    }
    expect(numbers()).toHaveLength(14);
    expect([numbers().at(0), numbers().at(-1)]).toEqual(['000003', '000016']);
    backupAtOnce(store, { folder, clock, keep: 2 });
    expect(numbers()).toEqual(['000016', '000017']);
    backupAtOnce(store, { folder, clock, keep: 0 });
    expect(numbers()).toEqual(['000018']);
    expect(existsSync(join(folder, 'notes.txt'))).toBe(true);
  });

  it('leaves nothing behind when the copy does not verify, and keeps the older ones', async () => {
    const path = join(newFolder(), 'state.sqlite');
    const folder = newFolder();
    const clock = new VirtualClock();
    const store = filled(path);
    await backup(store, { folder, clock, keep: 1 });
    store.close();
    const raw = new Sqlite(path);
    raw.exec("UPDATE note_balance SET count = 1 WHERE account = 'cashbox'");
    raw.close();
    const broken = newStore({ path });
    const outcome = backup(broken, { folder, clock, keep: 1 });
    await expect(outcome).rejects.toThrow(/the backup does not verify: cashbox holds 1 notes/);
    expect(await codeOfPromise(outcome)).toBe('corrupt');
    expect(readdirSync(folder)).toEqual(['state-000001-20261121T120000Z.sqlite']);
  });

  it('gives up at its limit', async () => {
    const folder = newFolder();
    let monotonicMs = 0;
    const clock: Clock = {
      now: () => 0,
      monotonic: () => {
        monotonicMs += 250;
        return monotonicMs;
      },
      after: () => () => undefined,
    };
    const store = filled();
    expect(await codeOfPromise(backup(store, { folder, clock, limitMs: 600 }))).toBe('timeOut');
    expect(readdirSync(folder)).toEqual([]);
    const made = await backup(store, { folder, clock });
    expect(made.entries).toBe(2_500);
  });

  it('runs once at a time into a folder, and clears what a power cut left', async () => {
    const store = filled();
    const folder = newFolder();
    const clock = new VirtualClock();
    writeFileSync(join(folder, 'state.partial'), 'half a backup');
    const [first, second] = await Promise.all([
      codeOfPromise(backup(store, { folder, clock })),
      codeOfPromise(backup(store, { folder, clock })),
    ]);
    expect(first).toMatchObject({ returned: { entries: 2_500 } });
    expect(second).toBe('locked');
    expect(readdirSync(folder)).toHaveLength(1);
    await backup(store, { folder, clock });
    expect(readdirSync(folder)).toHaveLength(2);
  });

  it('says when the disk refuses the folder', async () => {
    const file = join(newFolder(), 'file');
    writeFileSync(file, '');
    const outcome = backup(newStore(), { folder: join(file, 'x'), clock: new VirtualClock() });
    await expect(outcome).rejects.toThrow(/the disk refused/);
    expect(await codeOfPromise(outcome)).toBe('hardwareError');
  });

  it('holds bearer values only sealed', () => {
    const store = newStore();
    const { id: transactionId } = insertedTransaction(store);
    const value = new Secret('LNURL1DP68GURN8GHJ7');
    store.commit(() => store.secrets.put({ transactionId, kind: 'lnurl', value }));
    const made = backupAtOnce(store, { folder: newFolder(), clock: new VirtualClock() });
    expect(readFileSync(made.path).includes('LNURL1DP68')).toBe(false);
    const copy = newStore({ path: made.path });
    expect(copy.secrets.get(transactionId, 'lnurl')?.reveal()).toBe('LNURL1DP68GURN8GHJ7');
  });
});
