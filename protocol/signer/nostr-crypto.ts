/**
 * What is computed with a key that is held here: our client key, and the keys of simulated peers.
 * It
 * is an argument, so that a simulation on virtual time may put something cheaper in its place;
 * `createNostrCrypto` is the real thing.
 */
import { ECDH } from 'node:crypto';
import * as nip44 from 'nostr-tools/nip44';
import { finalizeEvent, getPublicKey } from 'nostr-tools/pure';
import type { Random } from '../base/clock.ts';
import type { EventTemplate, SignedEvent } from '../event.ts';
import { verifySignature } from '../relay/verify.ts';

/** Keys and signatures (NIP-01), encryption (NIP-44 v2). Secret keys are 32 bytes, peers hex. */
export interface NostrCrypto {
  publicKeyOf(secretKey: Uint8Array): string;
  sign(secretKey: Uint8Array, template: EventTemplate): SignedEvent;
  /** True when id and signature of an event are right. */
  verify(event: SignedEvent): boolean;
  /** @throws Error for an empty text, or a peer that is no public key. */
  encrypt(secretKey: Uint8Array, peer: string, plaintext: string): string;
  /** @throws Error when it does not open. */
  decrypt(secretKey: Uint8Array, peer: string, payload: string): string;
}

/** Length of a secret key. Source: BIP-340. */
export const SECRET_KEY_BYTES = 32;
/** Source: NIP-44, version 2. */
const NONCE_BYTES = 32;
/**
 * Peers whose conversation key is kept: each costs 2.6 ms to make again. A machine has about six.
 */
const CONVERSATIONS_MAX = 64;
const PUBLIC_KEY = /^[0-9a-f]{64}$/;

/** True for 64 lower-case hex digits that are a public key, and not only look like one. */
export function isPublicKey(hex: string): boolean {
  if (!PUBLIC_KEY.test(hex)) return false;
  try {
    // BIP-340: a public key is the x of the point whose y is even, which `02` means in SEC 1.
    ECDH.convertKey(`02${hex}`, 'secp256k1', 'hex');
    return true;
  } catch {
    // Half of all 32-byte numbers are the x of no point, and nothing else can fail here.
    return false;
  }
}

/** A new secret key. A value outside the curve's order has a chance of 2^-128 and throws later. */
export function newSecretKey(random: Random): Uint8Array {
  return random.bytes(SECRET_KEY_BYTES);
}

/** Real keys, signatures and encryption. */
export function createNostrCrypto(random: Random): NostrCrypto {
  const conversations = new WeakMap<Uint8Array, Map<string, Uint8Array>>();
  const conversationKey = (secretKey: Uint8Array, peer: string): Uint8Array => {
    const ofKey = conversations.get(secretKey) ?? new Map<string, Uint8Array>();
    conversations.set(secretKey, ofKey);
    const known = ofKey.get(peer);
    if (known) return known;
    const key = nip44.getConversationKey(secretKey, peer);
    if (ofKey.size >= CONVERSATIONS_MAX) ofKey.clear();
    ofKey.set(peer, key);
    return key;
  };
  return {
    publicKeyOf: getPublicKey,
    sign: (secretKey, template) => {
      const { kind, tags, content } = template;
      const created_at = template.created_at;
      const signed = finalizeEvent({ kind, tags, content, created_at }, secretKey);
      // A plain copy: nostr-tools marks its own object as verified, whatever becomes of it.
      const { id, pubkey, sig } = signed;
      return { id, pubkey, created_at, kind, tags: tags.map((tag) => [...tag]), content, sig };
    },
    verify: verifySignature,
    encrypt: (secretKey, peer, plaintext) =>
      nip44.encrypt(plaintext, conversationKey(secretKey, peer), random.bytes(NONCE_BYTES)),
    decrypt: (secretKey, peer, payload) => nip44.decrypt(payload, conversationKey(secretKey, peer)),
  };
}
