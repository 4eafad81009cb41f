/** DEVELOPMENT ONLY: a signer without a bunker, with the identity key in this process. */
import type { Clock } from '../base/clock.ts';
import { messageOf, RelayError } from '../base/errors.ts';
import type { Secret } from '../base/secret.ts';
import type { EventTemplate, SignedEvent } from '../event.ts';
import { isPublicKey, type NostrCrypto } from './nostr-crypto.ts';
import { checkPlaintext } from './plaintext.ts';
import { type Signer, SignerError, type SignerHealth } from './signer.ts';

/** What the development signer needs. `key`: the machine's identity key, 32 bytes. */
export interface SelfKeySignerOptions {
  readonly key: Secret<Uint8Array>;
  readonly clock: Clock;
  readonly crypto: NostrCrypto;
}

/**
 * DEVELOPMENT ONLY. It breaks promise 6: who takes the box takes the identity. No service may be
 * wired to it.
 */
export class SelfKeySigner implements Signer {
  readonly pubkey: string;
  readonly #options: SelfKeySignerOptions;
  #isClosed: boolean = false;

  constructor(options: SelfKeySignerOptions) {
    this.#options = options;
    this.pubkey = options.crypto.publicKeyOf(options.key.reveal());
  }

  async sign(template: EventTemplate): Promise<SignedEvent> {
    this.#assertOpen('sign_event');
    return this.#options.crypto.sign(this.#options.key.reveal(), template);
  }

  async encrypt(peer: string, plaintext: string): Promise<string> {
    this.#assertOpen('nip44_encrypt');
    checkPlaintext(plaintext);
    checkPeer(peer, 'nip44_encrypt');
    return this.#options.crypto.encrypt(this.#options.key.reveal(), peer, plaintext);
  }

  async decrypt(peer: string, ciphertext: string): Promise<string> {
    this.#assertOpen('nip44_decrypt');
    checkPeer(peer, 'nip44_decrypt');
    try {
      return this.#options.crypto.decrypt(this.#options.key.reveal(), peer, ciphertext);
    } catch (error) {
      throw new SignerError({ kind: 'refused', reason: messageOf(error) }, 'nip44_decrypt');
    }
  }

  /** Always `ok`: the key is here. */
  health(): SignerHealth {
    return { kind: 'ok', atMonotonicMs: this.#options.clock.monotonic() };
  }

  async probe(): Promise<SignerHealth> {
    return this.health();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
  }

  #assertOpen(what: string): void {
    if (this.#isClosed) throw new RelayError('canceled', `${what}: the signer is closed`);
  }
}

function checkPeer(peer: string, what: string): void {
  if (isPublicKey(peer)) return;
  throw new SignerError(
    { kind: 'refused', reason: 'the peer is no public key' },
    what,
    'invalidData',
  );
}
