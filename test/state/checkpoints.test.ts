import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CHECKPOINT_COMMITS, CHECKPOINT_PAUSE_MS } from '#state/checkpoints.ts';
import { type Database, openDatabase } from '#state/database.ts';
import type { Store } from '#state/store.ts';
import { diskFailure } from '#test/support/failing-disk.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { newFolder, newStore } from './fixtures.ts';

function put(store: Store, from: number, to: number): void {
  for (let value = from; value <= to; value++) {
    store.commit(() => store.facts.put('last', value, 1));
  }
}

/** What the file says without its write-ahead log. */
function inFile(path: string): unknown {
  const copy = join(newFolder(), 'state.sqlite');
  copyFileSync(path, copy);
  return newStore({ path: copy }).facts.get('last')?.value;
}

describe('checkpoints', () => {
  it('the log goes into the file some time after a commit, and never inside one', async () => {
    const clock = new VirtualClock();
    const path = join(newFolder(), 'state.sqlite');
    newStore({ path, clock }).close();
    const store = newStore({ path, clock });
    const before = readFileSync(path);
    put(store, 1, CHECKPOINT_COMMITS - 1);
    await clock.advance(60_000);
    put(store, CHECKPOINT_COMMITS, CHECKPOINT_COMMITS);
    await clock.advance(CHECKPOINT_PAUSE_MS - 1);
    expect(readFileSync(path).equals(before)).toBe(true);
    await clock.advance(1);
    expect(inFile(path)).toBe(CHECKPOINT_COMMITS);
    put(store, 1_001, 1_000 + CHECKPOINT_COMMITS);
    await clock.advance(CHECKPOINT_PAUSE_MS);
    expect(inFile(path)).toBe(1_000 + CHECKPOINT_COMMITS);
  });

  it('what the disk refuses then is kept in the log, and the writing goes on', async () => {
    const clock = new VirtualClock();
    const path = join(newFolder(), 'state.sqlite');
    const disk: { fails: boolean } = { fails: true };
    const open = (at: string): Database => {
      const database = openDatabase(at);
      const pragma = database.pragma.bind(database);
      database.pragma = (source, options) => {
        if (disk.fails && source.startsWith('wal_checkpoint')) throw diskFailure();
        return pragma(source, options);
      };
      return database;
    };
    const store = newStore({ path, clock, openDatabase: open });
    put(store, 1, CHECKPOINT_COMMITS);
    await clock.advance(CHECKPOINT_PAUSE_MS);
    disk.fails = false;
    put(store, 501, 500 + CHECKPOINT_COMMITS);
    await clock.advance(CHECKPOINT_PAUSE_MS);
    expect(inFile(path)).toBe(500 + CHECKPOINT_COMMITS);
  });

  it('a store that is closed meanwhile brings it in by that', async () => {
    const clock = new VirtualClock();
    const path = join(newFolder(), 'state.sqlite');
    const store = newStore({ path, clock });
    put(store, 1, CHECKPOINT_COMMITS);
    store.close();
    await clock.advance(CHECKPOINT_PAUSE_MS);
    expect(inFile(path)).toBe(CHECKPOINT_COMMITS);
  });
});
