import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { findCredential, openSealingKey } from '#agent/upkeep/sealing-key.ts';
import { systemRandom } from '#protocol/base/clock.ts';
import { ConfigError } from '#protocol/base/errors.ts';

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

/** A program in the place of `systemd-creds`, which a test's computer may not have. */
function decryptor(script: string): string {
  const path = join(folder(), 'decrypt');
  writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return path;
}

test('a command finds the key that it is told, that systemd gave it, or that root may decrypt', () => {
  const named = join(folder(), 'named');
  writeFileSync(named, `${'cd'.repeat(32)}\n`);
  const credentials = folder();
  writeFileSync(join(credentials, 'spire-sealing-key'), HEX);
  const encrypted = folder();
  writeFileSync(join(encrypted, 'spire-sealing-key'), 'sealed');
  const decrypt = decryptor(
    `[ "$*" = "decrypt --name=spire-sealing-key ${encrypted}/spire-sealing-key -" ] || exit 3\n` +
      `echo ${'ef'.repeat(32)}`,
  );
  const all = { credentialsFolder: credentials, encryptedFolders: [folder(), encrypted], decrypt };
  const hex = (sources: Parameters<typeof findCredential>[0]) =>
    Buffer.from(findCredential(sources)?.reveal() ?? []).toString('hex');
  expect(hex({ ...all, file: named })).toBe('cd'.repeat(32));
  expect(hex(all)).toBe(HEX);
  expect(hex({ ...all, credentialsFolder: folder() })).toBe('ef'.repeat(32));
  expect(findCredential({ encryptedFolders: [folder()] })).toBeUndefined();
});

test('a key that does not open, is none, or is not there, is said without any part of it', () => {
  const encrypted = folder();
  writeFileSync(join(encrypted, 'spire-sealing-key'), 'sealed');
  const words = (sources: Parameters<typeof findCredential>[0]) => {
    try {
      return [findCredential(sources)];
    } catch (error) {
      return [error instanceof ConfigError && error.code, String(error)];
    }
  };
  const refusing = decryptor('echo "no TPM here" >&2; exit 1');
  const [code, text] = words({ encryptedFolders: [encrypted], decrypt: refusing });
  expect(code).toBe('locked');
  expect(text).toMatch(/no TPM here.*as root.*--sealing-key-file/);
  const missing = { encryptedFolders: [encrypted], decrypt: join(folder(), 'nothing') };
  expect(words(missing)[0]).toBe('locked');
  expect(words({ file: join(folder(), 'nothing') })[0]).toBe('notFound');
  const odd = decryptor('echo 0123456789abcdef');
  const [oddCode, oddText] = words({ encryptedFolders: [encrypted], decrypt: odd });
  expect(oddCode).toBe('invalidData');
  expect(oddText).not.toContain('0123456789abcdef');
});
