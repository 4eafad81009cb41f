/** Every text that a technician reads stands in the catalogue, in both languages. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { overShortReasons } from '#agent/api/visit-schemas.ts';
import { speaker, technicianTexts, whyText } from '#agent/texts/technician.ts';

const folder = join(import.meta.dirname, '../../../agent/cli/service');
const sources = readdirSync(folder)
  .filter((file) => file.endsWith('.ts'))
  .map((file) => ({ file, text: readFileSync(join(folder, file), 'utf8') }));
const codeOf = (text: string) => text.replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');

const placeholders = (text: string) => new Set([...text.matchAll(/\{\w+\}/g)].map(String));
const { en, es } = technicianTexts;

test('Spanish says all that English says, with the same values, and says it in Spanish', () => {
  expect(new Set(Object.keys(es))).toEqual(new Set(Object.keys(en)));
  const english = new Map(Object.entries(en));
  for (const [key, text] of Object.entries(es)) {
    const original = english.get(key) ?? '';
    expect([key, placeholders(text)]).toEqual([key, placeholders(original)]);
    expect([key, text.trim()]).not.toEqual([key, '']);
    const hasWords = /\p{L}{2}/u.test(original.replaceAll(/\{\w+\}/g, ''));
    if (hasWords) expect([key, text]).not.toEqual([key, original]);
    expect([key, text.split('¿').length]).toEqual([key, text.split('?').length]);
  }
});

test('each sentence is used, and each that is used is there', () => {
  const code = sources.map(({ text }) => text).join('\n');
  const named = [...code.matchAll(/'([a-zA-Z]+\.[a-zA-Z.]+)'/g)].map(([, key = '']) => key);
  const keys = named.filter((key) => Object.hasOwn(en, key.split('.')[0] ?? '') || key in en);
  const built = /^(why|reason|bay|box|boxCount|place|flow|summary\.test|test\.run)\./;
  const unused = Object.keys(en).filter((key) => !built.test(key) && !keys.includes(key));
  expect(unused).toEqual([]);
});

test('no sentence for people stands in the commands of a visit', () => {
  const offences = sources.flatMap(({ file, text }) =>
    codeOf(text)
      .split('\n')
      .filter((line) => !/\.describe\(|assert\(/.test(line))
      .flatMap((line) => [...line.matchAll(/'[^']*'|`[^`]*`/g)].map(String))
      .filter((literal) => /\p{L}{2} \p{L}{2}/u.test(literal.replaceAll(/\$\{[^}]*\}/g, '')))
      .map((literal) => `${file}: ${literal}`),
  );
  expect(offences).toEqual([]);
});

test('a refusal is said with its values, a lock in minutes, an unknown one not at all', () => {
  const say = speaker('en');
  expect(whyText(say, { code: 'tooMany', values: { max: 3 } })).toContain('At most 3 notes');
  const locked = { code: 'lockedOut', values: { waitMs: 61_000 } };
  expect(whyText(say, locked)).toBe('Too many wrong tries. Wait 2 min.');
  expect(whyText(say, { code: 'newer', values: {} })).toBeUndefined();
  expect(whyText(say, undefined)).toBeUndefined();
  for (const reason of overShortReasons) expect(say(`reason.${reason}`)).not.toBe('');
});
