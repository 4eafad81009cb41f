/** The visit that the README shows says what a visit says; `npm run test:field` runs it whole. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { recordQr } from '#agent/cli/service/words.ts';
import { technicianTexts } from '#agent/texts/technician.ts';

const readme = readFileSync(join(import.meta.dirname, '../../../README.md'), 'utf8');
const [, session = ''] = /^\$ spire service --invite\n([\s\S]*?)^```$/m.exec(readme) ?? [];

/** A sentence of the catalogue with anything in its places. */
function patternOf(sentence: string): RegExp {
  const parts = sentence.split(/\{\w+\}/).map((part) => part.replaceAll(/[$()*+.?[\]^|]/g, '\\$&'));
  return new RegExp(`^${parts.join('.+')}$`);
}

test('each line that is asked or told is a sentence of the catalogue', () => {
  const patterns = Object.values(technicianTexts.en).map(patternOf);
  const told = [...session.matchAll(/^[◇●] {2}(.+?)(?: ─+╮)?$/gmu)].map(([, line = '']) => line);
  expect(told.length).toBeGreaterThan(30);
  expect(told.filter((line) => !patterns.some((pattern) => pattern.test(line)))).toEqual([]);
});

test('its QR code is that of its record', async () => {
  const [, hash = ''] = /Hash ([0-9a-f]{64})$/m.exec(session) ?? [];
  const drawn = await recordQr({ number: 1, hash }, false);
  const trimmed = drawn.split('\n').map((line) => line.trimEnd());
  expect(session).toContain(trimmed.filter((line) => line !== '').join('\n'));
});
