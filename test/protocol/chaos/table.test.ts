/** The README's tables name rows that exist. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

/** A line of the table: the trap, the test file, and words of the row's name. */
const LINE = /^\|([^|]*)\| ([\w/-]+): ([^|]+) \|$/;
const readme = readFileSync(join(import.meta.dirname, 'README.md'), 'utf8');
const lines = readme
  .slice(readme.indexOf('## The traps'))
  .split('\n')
  .filter((line) => line.startsWith('|') && !/^\|(-+\||.*\| row \|$)/.test(line));

test.for(lines)('%s', (line) => {
  const [, , file = '', words = ''] = LINE.exec(line) ?? [];
  const folder = file.includes('/') ? join(import.meta.dirname, '../..') : import.meta.dirname;
  // The one that ends every row is in a file of its own.
  const name = file === 'machine' ? `${file}.ts` : `${file}.test.ts`;
  expect(readFileSync(join(folder, name), 'utf8')).toContain(words);
});

test('every section of the pages has its line, and every pitfall of nostr.md 6', () => {
  const pitfalls = lines.filter((line) => line.startsWith('| nostr 6 '));
  expect(pitfalls).toHaveLength(20);
  const traps = lines.map((line) => LINE.exec(line)?.[1] ?? '').join();
  const nostr = [
    '0.1',
    '0.2',
    '0.3',
    '0.4',
    '0.5',
    '0.6',
    '0.7',
    '0.8',
    '2.1',
    '2.2',
    '2.3',
    '2.4',
  ];
  const wire = Array.from({ length: 20 }, (_, number) => `9.${number + 1}`);
  for (const section of [...nostr, ...wire]) {
    expect(traps).toMatch(new RegExp(`\\b${section.replace('.', '\\.')}\\b`));
  }
});
