/** A disk that falls ill, what was left open meanwhile, and a device that is pulled then. */
import { expect, test } from 'vitest';
import { createActor, toPromise } from 'xstate';
import { backUp } from '#agent/upkeep/back-up.ts';
import { DiskWatch } from '#agent/watch/disk-watch.ts';
import { ReplugGuard } from '#agent/watch/replug.ts';
import { StoreError } from '#protocol/base/errors.ts';
import { storeError } from '#state/store-error.ts';
import { newFolder } from '#test/state/fixtures.ts';
import { failingDisk } from '#test/support/failing-disk.ts';
import { diskError } from '#test/support/life.ts';
import { testParts } from '#test/support/parts.ts';

test('what was left open is ended once the disk works, tried again when it falls ill at that', async () => {
  const disk: { isFull: boolean } = { isFull: false };
  const beforeCommit = () => {
    if (disk.isFull) throw diskError('SQLITE_FULL');
  };
  const parts = await testParts({ store: { openDatabase: failingDisk({ beforeCommit }) } });
  const { store, board, clock } = parts;
  const recovered: string[] = [];
  const recover = () => {
    recovered.push(recovered.length === 0 ? 'ill again' : 'done');
    if (recovered.length === 1) throw new StoreError('hardwareError', 'the disk is full');
  };
  const watch = new DiskWatch({ ...parts, isIdle: () => true, recover });
  disk.isFull = true;
  expect(() => store.commit(() => store.journal.append('agent.started', {}))).toThrow('full');
  expect(board.list('cashIn')).toMatchObject([{ code: 'disk' }]);
  await clock.advance(30_000);
  watch.recoverIfDue();
  expect(recovered).toEqual([]);
  disk.isFull = false;
  await clock.advance(10_001);
  expect(board.list('cashIn')).toEqual([]);
  expect(recovered).toEqual(['ill again']);
  watch.recoverIfDue();
  watch.recoverIfDue();
  expect(recovered).toEqual(['ill again', 'done']);
  watch.close();
});

test('a machine that comes to idle with a full disk goes on; a bug does not', async () => {
  const parts = await testParts();
  const watch = new DiskWatch({ ...parts, isIdle: () => true, recover: () => undefined });
  const tidyUp = (error: unknown) =>
    toPromise(createActor(watch.tidyingUp(() => Promise.reject(error))).start());
  await expect(tidyUp(storeError(diskError('SQLITE_FULL')))).resolves.toBeUndefined();
  await expect(tidyUp(storeError(diskError('SQLITE_IOERR_FSYNC')))).rejects.toThrow('disk failed');
  await expect(tidyUp(new Error('a bug'))).rejects.toThrow('a bug');
  watch.close();
});

test('a disk that does not take it leaves the direction closed all the same', async () => {
  const disk: { isFull: boolean } = { isFull: false };
  const beforeCommit = () => {
    if (disk.isFull) throw diskError('SQLITE_FULL');
  };
  const parts = await testParts({
    config: { replugNeedsPerson: true },
    store: { openDatabase: failingDisk({ beforeCommit }) },
  });
  const guard = new ReplugGuard(parts);
  disk.isFull = true;
  guard.gone('dispenser');
  expect(parts.board.list('cashOut')).toMatchObject([{ code: 'replugged' }]);
  disk.isFull = false;
  expect(guard.accept('dispenser', { by: 'Ana', reason: 'looked at' })).toBe(true);
  expect(parts.board.list('cashOut')).toEqual([]);
  // Who it is was never told.
  expect(parts.store.journal.read({ kind: 'device.accepted' })).toMatchObject([
    { body: { device: 'dispenser', identity: null } },
  ]);
});

test('a state is not backed up under a customer', async () => {
  const parts = await testParts({ config: { paths: { state: newFolder() } } });
  await expect(backUp(parts, () => false)).rejects.toThrow('a customer is at the machine (locked)');
  expect((await backUp(parts, () => true)).bytes).toBeGreaterThan(0);
});
