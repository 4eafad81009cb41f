import Sqlite from 'better-sqlite3';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { remembered } from '#state/remembered.ts';
import type { Store } from '#state/store.ts';
import { diskFailure, failingDisk } from '#test/support/failing-disk.ts';
import { codeOf, newStore } from './fixtures.ts';

class GivenUp extends Error {}

const diskFull = () => new Sqlite.SqliteError('database or disk is full', 'SQLITE_FULL');

/** Facts as the file has them, past everything that is kept in memory. */
function asWritten({ facts }: Store): readonly unknown[] {
  return ['a', 'b'].map((key) => facts.get(key)?.value);
}

/** One commit: what it writes, whether it asks in the middle, and how it ends. */
const commits = fc.record({
  writes: fc.array(fc.record({ key: fc.constantFrom('a', 'b'), value: fc.nat(3) }), {
    maxLength: 3,
  }),
  asksInside: fc.boolean(),
  end: fc.constantFrom('kept', 'givenUp', 'lost', 'unanswered'),
});

describe('remembered', () => {
  it('always says what the file says, whatever is written, given up or refused', () => {
    fc.assert(
      fc.property(fc.array(commits, { maxLength: 12 }), (plan) => {
        let end = 'kept';
        const openDatabase = failingDisk({
          beforeCommit: () => {
            if (end === 'lost') throw diskFull();
          },
          afterCommit: () => {
            if (end === 'unanswered') throw diskFull();
          },
        });
        const store = newStore({ openDatabase });
        const kept = remembered(asWritten);
        const byKey = remembered(({ facts }, key: string) => facts.get(key)?.value);
        const isRight = () => {
          expect(kept(store)).toEqual(asWritten(store));
          expect([byKey(store, 'a'), byKey(store, 'b')]).toEqual(asWritten(store));
          expect(store.journal.head()).toMatchObject({ seq: store.journal.read().length });
        };
        for (const commit of plan) {
          end = commit.end;
          codeOf(() =>
            store.commit(() => {
              for (const { key, value } of commit.writes) {
                store.facts.put(key, value, 1);
                store.journal.append('put', { key, value });
                if (commit.asksInside) isRight();
              }
              if (end === 'givenUp') throw new GivenUp();
            }),
          );
          isRight();
        }
      }),
      { numRuns: 40 },
    );
  });

  it('asks once while nothing is written, and once for each store', () => {
    let asked = 0;
    const question = remembered((store) => {
      asked++;
      return store.facts.get('a');
    });
    const [one, other] = [newStore(), newStore()];
    expect(question(one)).toBe(question(one));
    expect(asked).toBe(1);
    question(other);
    expect(asked).toBe(2);
    one.commit(() => one.facts.put('b', 1, 1));
    question(one);
    question(other);
    expect(asked).toBe(3);
  });

  it('a walk over all keeps no more than a few answers, and what is asked again is still right', () => {
    let asked = 0;
    const question = remembered((_, key: string) => {
      asked++;
      return `answer ${key}`;
    });
    const store = newStore();
    const keys = Array.from({ length: 200 }, (_, at) => String(at));
    const answers = () => keys.map((key) => question(store, key));
    expect(answers()).toEqual(keys.map((key) => `answer ${key}`));
    asked = 0;
    expect(answers().reverse()).toEqual(keys.map((key) => `answer ${key}`).reverse());
    expect(asked).toBeGreaterThan(180);
    asked = 0;
    question(store, '199');
    question(store, '199');
    expect(asked).toBeLessThan(2);
  });

  it('a failed disk does not leave behind what was never written', () => {
    const disk: { fails: boolean } = { fails: false };
    const openDatabase = failingDisk({
      beforeCommit: () => {
        if (disk.fails) throw diskFailure();
      },
    });
    const store = newStore({ openDatabase });
    const kept = remembered(asWritten);
    store.commit(() => store.facts.put('a', 1, 1));
    disk.fails = true;
    codeOf(() =>
      store.commit(() => {
        store.facts.put('a', 2, 1);
        expect(kept(store)).toEqual([2, undefined]);
      }),
    );
    expect(kept(store)).toEqual([1, undefined]);
  });
});
