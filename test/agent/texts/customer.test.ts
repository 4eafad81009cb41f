/** Every text that a customer reads stands in the catalogue, in both languages. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { customerTexts, isSaidKey, say } from '#agent/texts/customer.ts';
import { fill, languages } from '#agent/texts/fill.ts';
import { withTexts } from '#agent/texts/screen-texts.ts';
import { SCREEN_FILE } from '#test/agent/api/harness.ts';

const agent = join(import.meta.dirname, '../../../agent');
const screen = readFileSync(SCREEN_FILE, 'utf8');
const script = screen.slice(screen.lastIndexOf('<script>'));

const placeholders = (text: string) => new Set([...text.matchAll(/\{\w+\}/g)].map(String));

describe.each(['screen', 'said'] as const)('%s', (part) => {
  const { en, es } = { en: customerTexts.en[part], es: customerTexts.es[part] };
  test('Spanish says all that English says, with the same values, and says it in Spanish', () => {
    expect(new Set(Object.keys(es))).toEqual(new Set(Object.keys(en)));
    const english = new Map(Object.entries(en));
    for (const [key, text] of Object.entries(es)) {
      expect([key, placeholders(text)]).toEqual([key, placeholders(english.get(key) ?? '')]);
      expect([key, text.trim()]).not.toEqual([key, '']);
      expect([key, text]).not.toEqual([key, english.get(key)]);
      // A question and a call are opened as well as closed.
      for (const [open, close] of ['¿?', '¡!']) {
        expect([key, text.split(open ?? '').length]).toEqual([key, text.split(close ?? '').length]);
      }
    }
  });
});

test('the screen uses each of its words, and no word that there is not', () => {
  const built = ['cashInText', 'cashOutText', 'leaveTitle', 'leaveText', 'leaveYes'];
  const byState = ['payCancelTitle', 'payCancelText', 'payCancelYes', 'stopping', 'exchange'];
  const used = new Set([...script.matchAll(/\bt\.(\w+)/g)].map(([, name = '']) => name));
  const all = [...used, ...built, ...byState, 'cashIn', 'cashOut', 'recovering', 'language'];
  expect(new Set(all)).toEqual(new Set(Object.keys(customerTexts.en.screen)));
});

test('no words for people stand in the screen itself', () => {
  const body = screen.slice(screen.indexOf('<body>'), screen.lastIndexOf('<script>'));
  expect(body.replaceAll(/<[^>]*>/g, '').trim()).toBe('');
  const code = script.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
  const strings = [...code.matchAll(/'([^'\n]*)'|`([^`]*)`/g)].map(([, a, b]) => a ?? b ?? '');
  const words = strings
    .map((text) => text.replaceAll(/\$\{[^}]*\}/g, ''))
    .filter((text) => /[A-Z][a-z]+ \p{L}|\p{L}+ \p{L}+[.?!]|[áéíóúñ¿¡]/u.test(text));
  expect(words).toEqual(['Bearer ', 'use strict'].filter((text) => words.includes(text)));
});

test('nobody who talks to a customer has sentences of his own', () => {
  const folders = ['machines', 'cash-in', 'cash-out'];
  const files = folders.flatMap((folder) =>
    readdirSync(join(agent, folder)).map((file) => join(folder, file)),
  );
  const offences = [...files, 'desk.ts', 'watch/signer-ready.ts'].flatMap((file) => {
    const code = readFileSync(join(agent, file), 'utf8').replaceAll(
      /\/\*[\s\S]*?\*\/|\/\/.*$/gm,
      '',
    );
    return (
      [...code.matchAll(/'([A-Z][^'\n]*[.?!])'|`([A-Z$][^`]* [^`]*[.?!])`/g)]
        // What closes a direction is told to the operator; a customer reads `reason.<code>`.
        .filter(({ index }) => !/board\.set\([^;]*$/.test(code.slice(0, index)))
        .map(([text]) => `${file}: ${text}`)
    );
  });
  expect(offences).toEqual([]);
});

test('each sentence is used by somebody', () => {
  const files = readdirSync(agent, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.startsWith('texts/'))
    .map((file) => readFileSync(join(agent, file), 'utf8'))
    .join('\n');
  const built = /^(reason|end|notice\.refused)\./;
  const unused = Object.keys(customerTexts.en.said)
    .filter((key) => !built.test(key))
    .filter((key) => !files.includes(`'${key}'`));
  expect(unused).toEqual([]);
});

test('a sentence carries its name and its values', () => {
  expect(say('overCap', 'notice.overCap', { note: '$50', highest: '$20' })).toEqual({
    code: 'overCap',
    key: 'notice.overCap',
    values: { note: '$50', highest: '$20' },
    text: '$50 is more than this cash-in may still take. The highest note that fits is $20.',
  });
  expect(say('closed', 'end.closed')).not.toHaveProperty('values');
  expect([isSaidKey('end.closed'), isSaidKey('toString')]).toEqual([true, false]);
});

test('values are put in as they are, whatever they say', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (before, value) => {
      const text = before.replaceAll(/[{}]/g, '');
      expect(fill(`${text}{it}{other}`, { it: value })).toBe(`${text}${value}{other}`);
    }),
  );
  expect(fill('{toString} {it}')).toBe('{toString} {it}');
});

test('the screen gets its texts as data, and a page without a place for them is a defect', () => {
  for (const first of languages) {
    const page = withTexts(screen, first);
    expect(page).toContain(`<html lang="${first}">`);
    const data = /id="texts">(.*?)<\/script>/.exec(page)?.[1] ?? '';
    expect(JSON.parse(data)).toEqual({ first, languages: customerTexts });
  }
  expect(() => withTexts('<html></html>', 'en')).toThrow('no place for texts');
});
