/** The search at the end of a run: what it would not find, no run would fail for. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { expect, onTestFinished, test } from 'vitest';
import { encodeLnurl } from '#protocol/simulator/keeper/lnurl.ts';
import { isSearched, searchRun } from './secret-register.ts';
import { hiddenKey, hiddenLink, hiddenText } from './written.ts';

/** A run of its own, so that the one that this test is part of finds nothing. */
function oneRun(): { readonly folder: string; readonly register: string } {
  const folder = mkdtempSync(join(tmpdir(), 'one-run-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, 'state'));
  return { folder, register: join(folder, 'register.jsonl') };
}

const CODE = 'lobster violin gadget harbor tulip';
const SECRETS = [
  hiddenKey(
    'a key',
    Uint8Array.from({ length: 32 }, (_, at) => 7 + at * 5),
  ),
  hiddenText('a code', CODE),
];

test('this run is searched', () => {
  expect(isSearched()).toBe(true);
});

test('each spelling is found in a log, a write-ahead log and a database, and nothing else is', () => {
  const { folder, register } = oneRun();
  expect(searchRun(folder, register)).toEqual([]);
  const noise = Buffer.alloc(70_000, 'the quick brown fox jumps over a lazy dog, and a lobster. ');
  for (const { what, spellings } of SECRETS) {
    for (const spelling of spellings.filter(({ length }) => length >= 12)) {
      writeFileSync(register, `${JSON.stringify({ what, spellings: [spelling] })}\n`);
      const said = Buffer.concat([noise, Buffer.from(spelling, 'latin1'), noise]);
      for (const name of ['agent.log', 'state/state.sqlite-wal']) {
        const path = join(folder, name);
        writeFileSync(path, noise);
        expect(searchRun(folder, register)).toEqual([]);
        writeFileSync(path, said);
        expect(searchRun(folder, register)).toEqual([`${what} in ${path}`]);
        writeFileSync(path, '');
      }
    }
  }
  writeFileSync(register, SECRETS.map((one) => `${JSON.stringify(one)}\n`).join(''));
  // What a test gave to a machine is its own business.
  writeFileSync(join(folder, 'seed.txt'), CODE);
  const path = join(folder, 'state', 'state.sqlite');
  const database = new Sqlite(path);
  database.exec('CREATE TABLE kept (text TEXT)');
  expect(searchRun(folder, register)).toEqual([]);
  database.prepare('INSERT INTO kept VALUES (?)').run(CODE);
  database.close();
  expect(searchRun(folder, register)).toEqual([`a code in ${path}`]);
});

test('thousands of secrets cost one pass', () => {
  const { folder, register } = oneRun();
  const many = Array.from({ length: 2_000 }, (_, at) => {
    const spellings = [`${at}`.padStart(5, '0').repeat(6), `word${at} other${at} third${at}`];
    return { what: `secret ${at}`, spellings };
  });
  writeFileSync(register, many.map((one) => `${JSON.stringify(one)}\n`).join(''));
  writeFileSync(join(folder, 'big.log'), Buffer.alloc(1_000_000, 'word12 other12 third13 '));
  expect(searchRun(folder, register)).toEqual([]);
  writeFileSync(join(folder, 'small.log'), `${'x'.repeat(99)}word77 other77 third77`);
  expect(searchRun(folder, register)).toEqual([`secret 77 in ${join(folder, 'small.log')}`]);
});

test('a link is found by its address too', () => {
  const { folder, register } = oneRun();
  const url = 'https://wallet.example/withdraw/api/v1/lnurl/Qw3rTyUi0pAsDfGh';
  const link = hiddenLink('a link', encodeLnurl(url));
  writeFileSync(register, link.spellings.map((one) => line('a link', one)).join(''));
  writeFileSync(join(folder, 'agent.log'), `{"url":"${url}"}`);
  expect(searchRun(folder, register)).toEqual([`a link in ${join(folder, 'agent.log')}`]);
});

const line = (what: string, spelling: string): string =>
  `${JSON.stringify({ what, spellings: [spelling] })}\n`;
