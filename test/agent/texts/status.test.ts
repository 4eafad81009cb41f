/** What `spire status` and `spire probe` say stands in the catalogue, in both languages. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { customerTexts } from '#agent/texts/customer.ts';
import { closedText, type StatusKey, statusTexts } from '#agent/texts/status.ts';

const folder = join(import.meta.dirname, '../../../agent/cli');
const code = ['format-status.ts', 'format-probe.ts']
  .map((file) => readFileSync(join(folder, file), 'utf8'))
  .join('\n')
  .replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
const { en, es } = statusTexts;
const keys = Object.keys(en) as StatusKey[];
const places = (text: string) => new Set([...text.matchAll(/\{\w+\}/g)].map(String));

test('Spanish says all that English says, with the same values, and says it in Spanish', () => {
  expect(new Set(Object.keys(es))).toEqual(new Set(keys));
  for (const key of keys) {
    expect([key, places(es[key])]).toEqual([key, places(en[key])]);
    expect(es[key].trim()).not.toBe('');
    expect([key, es[key]]).not.toEqual([key, en[key]]);
  }
});

test('names on the left leave a column before what they name', () => {
  for (const key of keys.filter((one) => one.startsWith('row.'))) {
    expect([key, en[key].length <= 12, es[key].length <= 12]).toEqual([key, true, true]);
  }
});

test('each text is used, and no other one stands where they are written', () => {
  const built =
    /^(state|phase|accuracy|journal|document|held|device|condition|part|relay)\.|^(over|short)$/;
  expect(keys.filter((key) => !built.test(key) && !code.includes(`'${key}'`))).toEqual([]);
  const literals = [...code.matchAll(/'[^'\n]*'|`[^`]*`/g)].map(String);
  const words = literals.filter((one) =>
    /\p{L}{2} \p{L}{2}/u.test(one.replaceAll(/\$\{[^}]*\}/g, '')),
  );
  expect(words).toEqual([]);
});

test('why a direction is closed: what customers are told, before the details of the operator', () => {
  const closed = { code: 'noNotes', text: 'bay 1 is empty' };
  expect(closedText('en', closed)).toBe('noNotes: bay 1 is empty');
  const told = customerTexts.es.said['reason.noNotes'];
  expect(closedText('es', closed)).toBe(`noNotes: ${told} (bay 1 is empty)`);
  expect(closedText('es', { code: 'ofTomorrow', text: 'x' })).toBe('ofTomorrow: x');
});
