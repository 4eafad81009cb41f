import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemRandom } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import { replaceState } from '#state/replace.ts';
import { openStore } from '#state/store.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { codeOf, KEY, newFolder, newStore } from './fixtures.ts';

const clock = new VirtualClock();
const NOW = '20261121T120000Z';

/** Makes a closed state of so many journal entries. */
function makeState(path: string, entries: number): void {
  const options = { clock, random: systemRandom, log: silentLog, sealingKey: KEY, bootId: 'boot' };
  const store = openStore({ path, ...options });
  store.commit(() => {
    for (let index = 0; index < entries; index++) store.journal.append('agent.started', { index });
  });
  store.close();
}
const entriesOf = (path: string) => newStore({ path }).journal.count();
const make = (draft: string) => makeState(draft, 7);

test('the new state is in place, and the old one is kept beside it, whole', () => {
  const folder = newFolder();
  const path = join(folder, 'state.sqlite');
  makeState(path, 3);
  const kept = replaceState({ path, clock, make });
  expect(kept).toBe(join(folder, `state-replaced-${NOW}-1.sqlite`));
  expect(readdirSync(folder).sort()).toEqual([`state-replaced-${NOW}-1.sqlite`, 'state.sqlite']);
  expect(entriesOf(path)).toBe(7);
  expect(entriesOf(kept ?? '')).toBe(3);
});

test('two within the same second are both kept', () => {
  const folder = newFolder();
  const path = join(folder, 'state.sqlite');
  makeState(path, 3);
  replaceState({ path, clock, make });
  expect(replaceState({ path, clock, make })).toBe(join(folder, `state-replaced-${NOW}-2.sqlite`));
  expect(readdirSync(folder)).toHaveLength(3);
});

test('what was only in the write-ahead log is in the state that is kept', () => {
  const path = join(newFolder(), 'state.sqlite');
  makeState(path, 3);
  // As a killed program leaves it: the log is beside the file, and not in it.
  const store = newStore({ path });
  store.commit(() => store.journal.append('agent.started', {}));
  const log = readFileSync(`${path}-wal`);
  expect(log.length).toBeGreaterThan(0);
  const file = readFileSync(path);
  store.close();
  writeFileSync(path, file);
  writeFileSync(`${path}-wal`, log);
  const kept = replaceState({ path, clock, make });
  expect(existsSync(`${path}-wal`)).toBe(false);
  expect(entriesOf(kept ?? '')).toBe(4);
  expect(entriesOf(path)).toBe(7);
});

test('a state that an agent holds is left alone, and nothing is made', () => {
  const path = join(newFolder(), 'state.sqlite');
  const store = newStore({ path });
  const made: string[] = [];
  const outcome = codeOf(() => replaceState({ path, clock, make: (draft) => made.push(draft) }));
  expect([outcome, made]).toEqual(['locked', []]);
  store.commit(() => store.journal.append('agent.started', {}));
  expect(store.journal.count()).toBe(1);
});

test('it is held while the new one is made', () => {
  const path = join(newFolder(), 'state.sqlite');
  makeState(path, 3);
  const outcomes: unknown[] = [];
  replaceState({
    path,
    clock,
    make: (draft) => {
      outcomes.push(codeOf(() => newStore({ path })));
      make(draft);
    },
  });
  expect(outcomes).toEqual(['locked']);
});

test('a making that fails changes nothing and leaves no draft', () => {
  const folder = newFolder();
  const path = join(folder, 'state.sqlite');
  makeState(path, 3);
  const failing = (draft: string) => {
    make(draft);
    throw new Error('no');
  };
  expect(() => replaceState({ path, clock, make: failing })).toThrow('no');
  expect(readdirSync(folder)).toEqual(['state.sqlite']);
  expect(entriesOf(path)).toBe(3);
});

test('a new computer has none, and a draft that a power cut left is no state', () => {
  const folder = newFolder();
  const path = join(folder, 'state.sqlite');
  writeFileSync(join(folder, 'state.draft.sqlite'), 'half');
  writeFileSync(join(folder, 'state.draft.sqlite-wal'), 'half');
  expect(replaceState({ path, clock, make })).toBeUndefined();
  expect(readdirSync(folder)).toEqual(['state.sqlite']);
  expect(entriesOf(path)).toBe(7);
});

test('one too damaged to be opened is kept with its log, which the new one never reads', () => {
  const folder = newFolder();
  const path = join(folder, 'state.sqlite');
  writeFileSync(path, 'no database, but perhaps somebody can read it');
  writeFileSync(`${path}-wal`, 'its log');
  const given: unknown[] = [];
  const kept = replaceState({
    path,
    clock,
    make: (draft, replaced) => {
      given.push(replaced);
      make(draft);
    },
  });
  expect(given).toEqual([undefined]);
  expect(readFileSync(kept ?? '', 'utf8')).toContain('somebody can read it');
  expect(readFileSync(`${kept}-wal`, 'utf8')).toBe('its log');
  expect(existsSync(`${path}-wal`)).toBe(false);
  expect(entriesOf(path)).toBe(7);
});
