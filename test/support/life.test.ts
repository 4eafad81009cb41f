/** Whose an error is: a dead program's is nobody's business, a living one's is its own. */
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { silentLog } from '#protocol/base/log.ts';
import { openStore } from '#state/store.ts';
import { seededRandom } from '#test/support/seeded-random.ts';
import { KEY, newFolder } from '../state/fixtures.ts';
import { diskError, isOfTheDead, Life } from './life.ts';
import { VirtualClock } from './virtual-clock.ts';

const whyNot = (write: () => unknown): unknown => {
  try {
    write();
  } catch (error) {
    return error;
  }
  throw new Error('it was written');
};

test('what a dead program is told of its disk is known as that; what a living one is told is not', () => {
  const disk: { fails: boolean } = { fails: false };
  const before = () => {
    if (disk.fails) throw diskError('SQLITE_FULL');
  };
  const life = new Life(new VirtualClock(), { before });
  const store = openStore({
    path: join(newFolder(), 'state.sqlite'),
    openDatabase: life.openDatabase,
    clock: life.clock,
    random: seededRandom('life'),
    log: silentLog,
    sealingKey: KEY,
    bootId: 'boot',
  });
  onTestFinished(() => life.bury());
  const write = () => store.commit(() => store.journal.append('agent.started', {}));
  disk.fails = true;
  expect(isOfTheDead(whyNot(write))).toBe(false);
  disk.fails = false;
  write();
  life.die('kill');
  const ofTheDead = whyNot(write);
  expect(ofTheDead).toMatchObject({ code: 'hardwareError' });
  expect(isOfTheDead(ofTheDead)).toBe(true);
  expect(isOfTheDead(new Error('for that reason', { cause: ofTheDead }))).toBe(true);
  for (const other of [new Error('a bug'), 'a bug', undefined]) {
    expect(isOfTheDead(other)).toBe(false);
  }
});
