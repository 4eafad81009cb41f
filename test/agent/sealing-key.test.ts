import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openSealingKey } from '#agent/sealing-key.ts';
import { systemRandom } from '#protocol/base/clock.ts';

const HEX = 'ab'.repeat(32);

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'spire-key-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

test('without a credential a key is made once, for its owner alone to read', () => {
  const state = folder();
  const first = openSealingKey(state, undefined, systemRandom);
  const path = join(state, 'sealing.key');
  expect(first.origin).toBe('file');
  expect(first.key.reveal()).toHaveLength(32);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const text = readFileSync(path, 'utf8');
  const second = openSealingKey(state, folder(), systemRandom);
  expect(second.key.reveal()).toEqual(first.key.reveal());
  expect(readFileSync(path, 'utf8')).toBe(text);
  expect(openSealingKey(folder(), undefined, systemRandom).key.reveal()).not.toEqual(
    first.key.reveal(),
  );
});

test('a credential goes first, and leaves nothing beside the state', () => {
  const [state, credentials] = [folder(), folder()];
  writeFileSync(join(credentials, 'spire-sealing-key'), `${HEX}\n`);
  const { key, origin } = openSealingKey(state, credentials, systemRandom);
  expect([origin, Buffer.from(key.reveal()).toString('hex')]).toEqual(['credential', HEX]);
  expect(() => statSync(join(state, 'sealing.key'))).toThrow('ENOENT');
  expect(JSON.stringify({ key })).toBe('{"key":"[secret]"}');
});

test.each(['', HEX.slice(1), `${HEX}00`, 'xy'.repeat(32), HEX.toUpperCase()])(
  'a file that holds %j is refused, and never made anew',
  (text) => {
    const [state, credentials] = [folder(), folder()];
    const path = join(state, 'sealing.key');
    writeFileSync(path, text);
    const invalid = expect.objectContaining({ code: 'invalidData' });
    expect(() => openSealingKey(state, undefined, systemRandom)).toThrow(invalid);
    expect(readFileSync(path, 'utf8')).toBe(text);
    writeFileSync(join(credentials, 'spire-sealing-key'), text);
    expect(() => openSealingKey(folder(), credentials, systemRandom)).toThrow(invalid);
  },
);
