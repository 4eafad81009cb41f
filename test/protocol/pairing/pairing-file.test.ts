import * as nodeFs from 'node:fs';
import { mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ConfigError } from '#protocol/base/errors.ts';
import { Secret } from '#protocol/base/secret.ts';
import { hashOfSecret, type Pairing, parsePairing } from '#protocol/pairing/pairing.ts';
import { type FileSteps, PairingFile } from '#protocol/pairing/pairing-file.ts';
import { createNostrCrypto } from '#protocol/signer/nostr-crypto.ts';
import { crashingSteps } from '#test/support/crashing-steps.ts';
import { logLines } from '#test/support/log-lines.ts';
import { seededRandom } from '#test/support/seeded-random.ts';

const random = seededRandom('pairing file');
const crypto = createNostrCrypto(random);
const sealingKey = new Secret(random.bytes(32));
let folder = '';
let path = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spire-pairing-'));
  path = join(folder, 'pairing.json');
});
afterEach(() => nodeFs.rmSync(folder, { recursive: true }));

function pairing(walletId = 'wallet'): Pairing {
  const pubkey = () => crypto.publicKeyOf(random.bytes(32));
  return {
    version: 1,
    state: 'bound',
    clientKey: new Secret(Buffer.from(random.bytes(32))),
    ...{ bunkerPubkey: pubkey(), spirePubkey: pubkey() },
    ...{ operatorPubkey: pubkey(), transportPubkey: pubkey() },
    ...{ bunkerRelays: ['wss://bunker.example'], fallbackBunkerRelays: [] },
    ...{ rpcRelays: ['wss://rpc.example'], documentRelays: ['wss://rpc.example'] },
    walletId,
    token: { secretHash: hashOfSecret(new Secret('token')), state: 'spent' },
  };
}

const open = (options: { sealingKey?: Secret<Uint8Array>; steps?: FileSteps } = {}) =>
  new PairingFile({ path, random, log: logLines().log, ...options });

const plain = (value: Pairing | undefined) =>
  value && { ...value, clientKey: Buffer.from(value.clientKey.reveal()).toString('hex') };

function errorOf(act: () => unknown): ConfigError {
  try {
    act();
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('PairingFile', () => {
  test('there is none', () => {
    expect(open().load()).toBeUndefined();
    expect(open({ sealingKey }).load('next')).toBeUndefined();
  });

  test.each([
    ['plain', {}],
    ['sealed', { sealingKey }],
  ])('%s: what is saved is loaded, readable by its owner only', (_name, options) => {
    const saved = pairing();
    open(options).save(saved);
    expect(plain(open(options).load())).toEqual(plain(saved));
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder)).toEqual(['pairing.json']);
  });

  test('sealed: the bytes on the disk hold no key, and no two are the same', () => {
    const saved = pairing();
    const file = open({ sealingKey });
    file.save(saved);
    const first = readFileSync(path);
    const key = Buffer.from(saved.clientKey.reveal());
    const hidden = [key.toString('hex'), key.toString('base64'), saved.spirePubkey, 'wallet'];
    for (const text of hidden) expect(first.toString()).not.toContain(text);
    expect(first.includes(key)).toBe(false);
    const inside = Buffer.from(JSON.parse(first.toString()).sealed, 'base64');
    for (const text of hidden) expect(inside.includes(text)).toBe(false);
    file.save(saved);
    expect(readFileSync(path).equals(first)).toBe(false);
  });

  test('a plain one is taken and sealed as soon as there is a key', () => {
    const saved = pairing();
    open().save(saved);
    const hex = Buffer.from(saved.clientKey.reveal()).toString('hex');
    expect(readFileSync(path, 'utf8')).toContain(hex);
    expect(plain(open({ sealingKey }).load())).toEqual(plain(saved));
    expect(readFileSync(path, 'utf8')).not.toContain(hex);
    expect(plain(open({ sealingKey }).load())).toEqual(plain(saved));
  });

  test('one that others may read is closed to them', () => {
    open().save(pairing());
    nodeFs.chmodSync(path, 0o644);
    open().load();
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test('sealed and no key: says so and what to do', () => {
    open({ sealingKey }).save(pairing());
    const error = errorOf(() => open().load());
    expect(error.code).toBe('locked');
    expect(error.message).toContain('is sealed, and this process was given no key');
  });

  test.each<[string, (bytes: Buffer) => Buffer | string]>([
    ['cut', (bytes) => bytes.subarray(0, bytes.length - 30)],
    ['altered', (bytes) => bytes.toString().replace(/[A-Z]/, (c) => (c === 'A' ? 'B' : 'A'))],
    ['empty', () => ''],
    ['of another shape', () => '{"version":2}'],
    ['of another shape, sealed', () => '{"sealed":"AAAA"}'],
    ['too large', () => 'x'.repeat(70_000)],
  ])('%s: corrupt, with the reason', (_name, damage) => {
    open({ sealingKey }).save(pairing());
    writeFileSync(path, damage(readFileSync(path)));
    const error = errorOf(() => open({ sealingKey }).load());
    expect(error.code).toBe('corrupt');
    expect(error.message).toContain(path);
  });

  test('another key: corrupt', () => {
    open({ sealingKey }).save(pairing());
    const error = errorOf(() => open({ sealingKey: new Secret(random.bytes(32)) }).load());
    expect(error.code).toBe('corrupt');
  });

  test('a damaged plain file is refused without its key in the message', () => {
    const saved = pairing();
    open().save(saved);
    const text = readFileSync(path, 'utf8').replace('"spent"', '"unknown"');
    writeFileSync(path, text);
    const error = errorOf(() => open().load());
    expect(error.code).toBe('corrupt');
    expect(error.message).not.toContain(Buffer.from(saved.clientKey.reveal()).toString('hex'));
  });

  test('a key of the wrong length is not shown either', () => {
    const key = 'ab'.repeat(31);
    const error = errorOf(() =>
      parsePairing(JSON.stringify({ ...plain(pairing()), clientKey: key }), 'it'),
    );
    expect(error.message).toContain('clientKey');
    expect(error.message).not.toContain(key);
  });

  test('a disk that refuses is a StoreError', () => {
    nodeFs.mkdirSync(path);
    expect(() => open().load()).toThrow(/cannot read/);
    expect(() => open().save(pairing())).toThrow(/cannot write/);
  });

  test.runIf(process.getuid?.() === 0)('root hands the file to the owner of its folder', () => {
    nodeFs.chownSync(folder, 1234, 1235);
    open().save(pairing());
    expect(statSync(path)).toMatchObject({ uid: 1234, gid: 1235 });
  });

  test('a pairing shows its key to nobody by accident', () => {
    const saved = pairing();
    const { log, lines } = logLines();
    log.info({ saved }, 'a careless line');
    const hex = Buffer.from(saved.clientKey.reveal()).toString('hex');
    for (const text of [JSON.stringify(saved), inspect(saved, { depth: 9 }), lines.join()]) {
      expect(text).not.toContain(hex);
      expect(text).toMatch(/\[(secret|redacted)\]/);
    }
  });
});

describe('cut at any step', () => {
  test.each([
    ['plain', {}],
    ['sealed', { sealingKey }],
  ])('%s: a save leaves the old or the new one, whole', (_name, options) => {
    const [old, next] = [pairing('old'), pairing('new')];
    const seen = new Set<string>();
    let cut = 0;
    for (let isCut = true; isCut; cut++) {
      open(options).save(old);
      const crash = crashingSteps(cut);
      try {
        open({ ...options, steps: crash.steps }).save(next);
      } catch (error) {
        expect(String(error)).toContain('power cut');
      }
      isCut = crash.wasCut();
      const loaded = open(options).load();
      expect([plain(old), plain(next)]).toContainEqual(plain(loaded));
      seen.add(loaded?.walletId ?? '');
      // And the next save works, whatever lies about.
      open(options).save(next);
      expect(open(options).load()?.walletId).toBe('new');
      expect(readdirSync(folder)).toEqual(['pairing.json']);
    }
    expect(cut).toBeGreaterThan(8);
    expect(seen).toEqual(new Set(['old', 'new']));
  });

  test('a promotion leaves the old one, or the new one alone', () => {
    for (let cut = 0, isCut = true; isCut; cut++) {
      const file = open({ sealingKey });
      file.save(pairing('old'));
      file.save(pairing('new'), 'next');
      const crash = crashingSteps(cut);
      try {
        open({ sealingKey, steps: crash.steps }).promote();
      } catch (error) {
        expect(String(error)).toContain('power cut');
      }
      isCut = crash.wasCut();
      const [current, next] = [file.load()?.walletId, file.load('next')?.walletId];
      expect([
        ['old', 'new'],
        ['new', undefined],
      ]).toContainEqual([current, next]);
    }
  });
});
