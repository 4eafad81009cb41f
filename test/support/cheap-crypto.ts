import { hash } from 'node:crypto';
import { getPublicKey } from 'nostr-tools/pure';
import type { SignedEvent } from '#protocol/event.ts';
import type { NostrCrypto } from '#protocol/signer/nostr-crypto.ts';

const sha256 = (...parts: unknown[]) => hash('sha256', JSON.stringify(parts));

/**
 * Hashes in the place of signatures and of NIP-44, 50 times as fast: who may read and who signed is
 * still told apart, as long as nobody tries to forge. For tests that are about something else.
 */
export function cheapCrypto(): NostrCrypto {
  const publicKeys = new Map<string, string>();
  const publicKeyOf = (secretKey: Uint8Array): string => {
    const name = Buffer.from(secretKey).toString('hex');
    const known = publicKeys.get(name) ?? getPublicKey(secretKey);
    publicKeys.set(name, known);
    return known;
  };
  const idOf = ({ pubkey, created_at, kind, tags, content }: Omit<SignedEvent, 'id' | 'sig'>) =>
    sha256(pubkey, created_at, kind, tags, content);
  const signatureOf = (id: string, pubkey: string) => id + pubkey;
  const pairOf = (secretKey: Uint8Array, peer: string) =>
    [publicKeyOf(secretKey), peer].toSorted().join(':');
  let messages = 0;
  return {
    publicKeyOf,
    sign: (secretKey, { kind, created_at, tags, content }) => {
      const event = { pubkey: publicKeyOf(secretKey), created_at, kind, tags, content };
      const id = idOf(event);
      return { ...event, id, sig: signatureOf(id, event.pubkey) };
    },
    verify: (event) =>
      event.id === idOf(event) && event.sig === signatureOf(event.id, event.pubkey),
    encrypt: (secretKey, peer, plaintext) => {
      const box = JSON.stringify([pairOf(secretKey, peer), messages++, plaintext]);
      return `Ag${Buffer.from(box).toString('base64')}`;
    },
    decrypt: (secretKey, peer, payload) => {
      const [pair, , plaintext] = JSON.parse(Buffer.from(payload.slice(2), 'base64').toString());
      if (pair !== pairOf(secretKey, peer)) throw new Error('invalid MAC');
      return plaintext;
    },
  };
}
