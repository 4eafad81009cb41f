/**
 * What the simulated peers compute with keys. It is an argument, so that a simulation on virtual
 * time may put something cheaper in its place; `createPeerCrypto` is the real thing.
 */
import * as nip44 from 'nostr-tools/nip44';
import { finalizeEvent, getPublicKey, verifyEvent } from 'nostr-tools/pure';
import type { Random } from '#protocol/base/clock.ts';
import type { EventTemplate, SignedEvent } from '../event.ts';

/** Keys, signatures (NIP-01) and encryption (NIP-44 v2) as the peers use them. */
export interface PeerCrypto {
  /** The public key of a 32-byte secret key, hex. */
  publicKeyOf(secretKey: Uint8Array): string;
  /** Signs a template. */
  sign(secretKey: Uint8Array, template: EventTemplate): SignedEvent;
  /** True when id and signature of an event are right. */
  verify(event: SignedEvent): boolean;
  /** Encrypts to a peer (hex public key). @throws Error for an empty or a too long text. */
  encrypt(secretKey: Uint8Array, peer: string, plaintext: string): string;
  /** Decrypts what a peer sent. @throws Error when it does not open. */
  decrypt(secretKey: Uint8Array, peer: string, payload: string): string;
}

/** Conversation keys remembered, because each costs an ECDH of about 3 ms. */
const CONVERSATIONS_MAX = 256;
const KEY_BYTES = 32;
const NONCE_BYTES = 32;

/** A new secret key. A value outside the curve's order has a chance of 2^-128 and throws later. */
export function newSecretKey(random: Random): Uint8Array {
  return random.bytes(KEY_BYTES);
}

/** The seven fields of an event, without the mark by which nostr-tools remembers a verdict. */
export function bareEvent(event: SignedEvent): SignedEvent {
  const { id, pubkey, created_at, kind, content, sig } = event;
  return { id, pubkey, created_at, kind, tags: event.tags.map((tag) => [...tag]), content, sig };
}

/** Real keys, signatures and encryption. */
export function createPeerCrypto(random: Random): PeerCrypto {
  const conversations = new Map<string, Uint8Array>();
  const conversationKey = (secretKey: Uint8Array, peer: string): Uint8Array => {
    const name = `${Buffer.from(secretKey).toString('hex')}:${peer}`;
    const known = conversations.get(name);
    if (known) return known;
    const key = nip44.getConversationKey(secretKey, peer);
    if (conversations.size >= CONVERSATIONS_MAX) conversations.clear();
    conversations.set(name, key);
    return key;
  };
  return {
    publicKeyOf: getPublicKey,
    sign: (secretKey, template) => bareEvent(finalizeEvent({ ...template }, secretKey)),
    verify: (event) => verifyEvent(bareEvent(event)),
    encrypt: (secretKey, peer, plaintext) =>
      nip44.encrypt(plaintext, conversationKey(secretKey, peer), random.bytes(NONCE_BYTES)),
    decrypt: (secretKey, peer, payload) => nip44.decrypt(payload, conversationKey(secretKey, peer)),
  };
}
