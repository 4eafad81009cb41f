import fc from 'fast-check';
import { getConversationKey } from 'nostr-tools/nip44';
import { verifyEvent } from 'nostr-tools/pure';
import { describe, expect, test } from 'vitest';
import { Secret } from '#protocol/base/secret.ts';
import { kinds } from '#protocol/event.ts';
import { authenticateWithKey, authenticateWithSigner } from '#protocol/signer/authenticate.ts';
import { createNostrCrypto, isPublicKey } from '#protocol/signer/nostr-crypto.ts';
import { SelfKeySigner } from '#protocol/signer/self-key-signer.ts';
import { seededRandom } from '#test/support/seeded-random.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

function made() {
  const clock = new VirtualClock();
  const random = seededRandom('self');
  const crypto = createNostrCrypto(random);
  const key = new Secret(random.bytes(32));
  return { clock, random, crypto, key, signer: new SelfKeySigner({ key, clock, crypto }) };
}

describe('the development signer', () => {
  test('signs what it was asked for', async () => {
    const { signer } = made();
    const template = { kind: kinds.rpc, created_at: 1, tags: [['p', 'x']], content: 'hello' };
    const event = await signer.sign(template);
    expect(event).toMatchObject({ ...template, pubkey: signer.pubkey });
    expect(verifyEvent({ ...event })).toBe(true);
    expect(await signer.probe()).toMatchObject({ kind: 'ok' });
  });

  test('encrypts, decrypts, and holds to the same bounds as a bunker', async () => {
    const { signer } = made();
    const payload = await signer.encrypt(signer.pubkey, 'x'.repeat(24_576));
    expect(await signer.decrypt(signer.pubkey, payload)).toHaveLength(24_576);
    const refusal = { name: 'SignerError' };
    await expect(signer.encrypt(signer.pubkey, 'x'.repeat(24_577))).rejects.toMatchObject(refusal);
    await expect(signer.encrypt(signer.pubkey, '')).rejects.toMatchObject(refusal);
    await expect(signer.encrypt('ff'.repeat(32), 'text')).rejects.toMatchObject(refusal);
    await expect(signer.decrypt(signer.pubkey, 'garbage')).rejects.toMatchObject(refusal);
  });

  test('after close it does nothing', async () => {
    const { signer } = made();
    await signer.close();
    await expect(signer.encrypt(signer.pubkey, 'text')).rejects.toMatchObject({ code: 'canceled' });
  });
});

test('an AUTH names the relay and its challenge, by key and by signer', async () => {
  const { clock, crypto, key, signer } = made();
  const byKey = await authenticateWithKey({ key, clock, crypto })('challenge', 'wss://r.example');
  const bySigner = await authenticateWithSigner({ signer, clock })('challenge', 'wss://r.example');
  for (const event of [byKey, bySigner]) {
    expect(event).toMatchObject({
      kind: 22_242,
      pubkey: signer.pubkey,
      created_at: clock.now() / 1_000,
      tags: [
        ['relay', 'wss://r.example'],
        ['challenge', 'challenge'],
      ],
    });
    expect(verifyEvent({ ...event })).toBe(true);
  }
});

test('isPublicKey tells keys from numbers that only look like one', () => {
  const { signer } = made();
  expect(isPublicKey(signer.pubkey)).toBe(true);
  expect(isPublicKey(signer.pubkey.toUpperCase())).toBe(false);
  expect(isPublicKey('ff'.repeat(32))).toBe(false);
  expect(isPublicKey('00'.repeat(32))).toBe(false);
  expect(isPublicKey(signer.pubkey.slice(2))).toBe(false);
  const one = new Uint8Array(32).fill(1);
  const computes = (hex: string): boolean => {
    try {
      return getConversationKey(one, hex).length === 32;
    } catch {
      return false;
    }
  };
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
      const hex = Buffer.from(bytes).toString('hex');
      expect(isPublicKey(hex)).toBe(computes(hex));
    }),
  );
});
