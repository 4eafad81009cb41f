import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as nip44 from 'nostr-tools/nip44';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { createNostrCrypto, isPublicKey } from '#protocol/signer/nostr-crypto.ts';
import { checkPlaintext } from '#protocol/signer/plaintext.ts';
import { seededRandom } from '#test/support/seeded-random.ts';

/**
 * The official vectors (paulmillr/nip44, named with its checksum in NIP-44), beside the project.
 */
const file = join(import.meta.dirname, '../../../../shared/vectors/nip44.vectors.json');
const CHECKSUM = '269ed0f69e4c192512cc779e78c555090cebc7c785b609e338a62afc3ce25040';
/** Listed as too long, and allowed since NIP-44's change of 2026-06-28. */
const VALID_SINCE_2026 = [65_536, 100_000, 10_000_000];

const schema = z.object({
  v2: z.object({
    valid: z.object({
      get_conversation_key: z.array(
        z.object({ sec1: z.string(), pub2: z.string(), conversation_key: z.string() }),
      ),
      encrypt_decrypt: z.array(
        z.object({
          sec1: z.string(),
          sec2: z.string(),
          conversation_key: z.string(),
          nonce: z.string(),
          plaintext: z.string(),
          payload: z.string(),
        }),
      ),
      encrypt_decrypt_long_msg: z.array(
        z.object({
          conversation_key: z.string(),
          nonce: z.string(),
          pattern: z.string(),
          repeat: z.number(),
          plaintext_sha256: z.string(),
          payload_sha256: z.string(),
        }),
      ),
    }),
    invalid: z.object({
      encrypt_msg_lengths: z.array(z.number()),
      get_conversation_key: z.array(z.object({ sec1: z.string(), pub2: z.string() })),
      decrypt: z.array(z.object({ conversation_key: z.string(), payload: z.string() })),
    }),
  }),
});

const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'));
const sha256 = (data: string | Uint8Array) => createHash('sha256').update(data).digest('hex');

if (!existsSync(file)) {
  test('the NIP-44 vectors are not here', () => {
    console.log('left out: NIP-44 vectors, shared/vectors/nip44.vectors.json is not here');
    expect(existsSync(file)).toBe(false);
  });
} else {
  const text = readFileSync(file);
  const { valid, invalid } = schema.parse(JSON.parse(text.toString())).v2;

  describe('NIP-44 vectors', () => {
    test('the file is the official one', () => expect(sha256(text)).toBe(CHECKSUM));

    test('conversation keys', () => {
      expect(valid.get_conversation_key).toHaveLength(35);
      for (const { sec1, pub2, conversation_key } of valid.get_conversation_key) {
        expect(isPublicKey(pub2)).toBe(true);
        expect(nip44.getConversationKey(bytes(sec1), pub2)).toEqual(bytes(conversation_key));
      }
    });

    test('encryption and decryption with the given nonce', () => {
      expect(valid.encrypt_decrypt).toHaveLength(10);
      for (const vector of valid.encrypt_decrypt) {
        const crypto = createNostrCrypto({ bytes: () => bytes(vector.nonce) });
        const [one, two] = [bytes(vector.sec1), bytes(vector.sec2)];
        const payload = crypto.encrypt(one, crypto.publicKeyOf(two), vector.plaintext);
        expect(payload).toBe(vector.payload);
        expect(crypto.decrypt(two, crypto.publicKeyOf(one), payload)).toBe(vector.plaintext);
      }
    });

    test('long messages', () => {
      expect(valid.encrypt_decrypt_long_msg).toHaveLength(3);
      for (const vector of valid.encrypt_decrypt_long_msg) {
        const plaintext = vector.pattern.repeat(vector.repeat);
        expect(sha256(plaintext)).toBe(vector.plaintext_sha256);
        const key = bytes(vector.conversation_key);
        const payload = nip44.encrypt(plaintext, key, bytes(vector.nonce));
        expect(sha256(payload)).toBe(vector.payload_sha256);
        expect(nip44.decrypt(payload, key)).toBe(plaintext);
      }
    });

    test('what must fail fails', () => {
      expect(invalid.decrypt).toHaveLength(12);
      for (const { conversation_key, payload } of invalid.decrypt) {
        expect(() => nip44.decrypt(payload, bytes(conversation_key))).toThrow();
      }
      expect(invalid.get_conversation_key).toHaveLength(8);
      for (const { sec1, pub2 } of invalid.get_conversation_key) {
        expect(() => nip44.getConversationKey(bytes(sec1), pub2)).toThrow();
      }
    });

    test('lengths', () => {
      expect(invalid.encrypt_msg_lengths).toEqual([0, ...VALID_SINCE_2026]);
      const key = seededRandom('lengths').bytes(32);
      expect(() => nip44.encrypt('', key)).toThrow();
      for (const length of [65_536, 100_000]) {
        const plaintext = 'x'.repeat(length);
        expect(nip44.decrypt(nip44.encrypt(plaintext, key), key)).toBe(plaintext);
      }
      // Peers of before the change cannot read such texts, and relays do not carry them.
      for (const length of invalid.encrypt_msg_lengths) {
        expect(() => checkPlaintext('x'.repeat(length))).toThrow(
          expect.objectContaining({ code: 'invalidData' }),
        );
      }
    });
  });
}
