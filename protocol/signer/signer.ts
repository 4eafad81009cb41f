/** Whoever signs and encrypts for the machine's identity: the bunker, or a key in development. */
import { AtmError, type AtmErrorCode } from '#protocol/base/errors.ts';
import type { EventTemplate, SignedEvent } from '../event.ts';

/**
 * How the signer is. `silent`: deaf, capped, locked or never granted ("Signer Unreachable").
 * `refused`: it said no ("Pairing Required"). `authUrl`: it wants a person to open `url`.
 */
export type SignerHealth =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'ok'; readonly atMonotonicMs: number }
  | { readonly kind: 'silent'; readonly reason: string }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'authUrl'; readonly url: string };

/**
 * A signature or encryption that did not come. `code` is `timeOut` when silent, `fraudAttempt` when
 * something else came back than was asked for, `invalidData` when what was asked or answered cannot
 * be used, else `refused`. It may come while `health()` is `ok`: then it is about this one call.
 */
export class SignerError extends AtmError {
  override readonly name = 'SignerError';
  readonly health: SignerHealth;
  constructor(
    health: SignerHealth & { kind: 'silent' | 'refused' | 'authUrl' },
    what: string,
    code: AtmErrorCode = health.kind === 'silent' ? 'timeOut' : 'refused',
  ) {
    const why = health.kind === 'authUrl' ? `open ${health.url} to allow it` : health.reason;
    super(code, `${what}: ${why}`);
    this.health = health;
  }
}

/** Signs and encrypts as the machine's identity. All calls settle in bounded time. */
export interface Signer {
  /** The machine's own public key, hex: the identity, not the client key. */
  readonly pubkey: string;
  /**
   * Signs an event. What comes back is proven to be what was asked for: same kind, tags, content,
   * created_at, our pubkey, a valid id and signature.
   * @throws SignerError
   */
  sign(template: EventTemplate): Promise<SignedEvent>;
  /** NIP-44 v2 to a peer (hex pubkey). Plaintext 1 to 24,576 bytes. @throws SignerError */
  encrypt(peer: string, plaintext: string): Promise<string>;
  /** NIP-44 v2 from a peer (hex pubkey). @throws SignerError */
  decrypt(peer: string, ciphertext: string): Promise<string>;
  /** The class as last seen. */
  health(): SignerHealth;
  /** One signature of a kind 21000 event that is never published; updates `health`. */
  probe(): Promise<SignerHealth>;
  /** Ends it; what waits is rejected with code `canceled`. */
  close(): Promise<void>;
}
