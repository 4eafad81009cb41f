/** The search itself: what is not found here would not be found in any row either. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { expect, test } from 'vitest';
import { encodeLnurl } from '#protocol/simulator/keeper/lnurl.ts';
import { hiddenKey, hiddenLink, hiddenText, spilled } from './written.ts';

const KEY = Uint8Array.from({ length: 32 }, (_, at) => 255 - at * 7);
const LINK = encodeLnurl('https://wallet.example/withdraw/api/v1/lnurl/AbCdEf0123456789');
const hidden = [
  hiddenKey('the key', KEY),
  hiddenText('the code', 'solar army pelican ginger raw'),
  hiddenLink('the link', LINK),
];

function folderOf(): string {
  const folder = mkdtempSync(join(tmpdir(), 'spire-written-'));
  mkdirSync(join(folder, 'backups'));
  return folder;
}

/** Each spelling with the words that a search finds it by. */
const all = hidden.flatMap(({ what, spellings }) => spellings.map((text) => ({ what, text })));

test.for(all.map(({ what, text }, number) => [`${what}, spelling ${number}`, what, text] as const))(
  '%s is found in the log, in a file, in a row and in a blob',
  ([, what, text]) => {
    const folder = folderOf();
    const path = join(folder, 'backups', 'old.sqlite');
    const database = new Sqlite(path);
    database.exec('CREATE TABLE kept (text TEXT, bytes BLOB)');
    expect(spilled(folder, ['{}\n'], hidden)).toEqual([]);
    // Longer than a page, so that what is looked for cannot but lie on two of them.
    const long = `${'x'.repeat(4_000)}${text}${'x'.repeat(4_000)}`;
    database.prepare('INSERT INTO kept VALUES (?, ?)').run('', Buffer.from(long, 'latin1'));
    database.close();
    expect(spilled(folder, [], hidden)).toContain(`${what} in the rows of ${path}`);
    writeFileSync(join(folder, 'report.txt'), Buffer.from(text, 'latin1'));
    expect(spilled(folder, [], hidden)).toContain(`${what} in ${join(folder, 'report.txt')}`);
    rmSync(folder, { recursive: true });
  },
);

test('in the log case does not matter, and nothing else is taken for a secret', () => {
  const folder = folderOf();
  const say = (text: string) => spilled(folder, [`{"msg":"${text}"}\n`], hidden);
  expect(say('Solar Army Pelican Ginger Raw')).toEqual(['the code in the log']);
  expect(say(LINK.toLowerCase())).toEqual(['the link in the log']);
  expect(say('solar army pelican')).toEqual([]);
  rmSync(folder, { recursive: true });
});
