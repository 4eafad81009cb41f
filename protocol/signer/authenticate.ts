/**
 * Answers a relay's challenge (NIP-42): with the client key on the bunker's relays, else by signer.
 */
import type { Clock } from '../base/clock.ts';
import type { Secret } from '../base/secret.ts';
import { type EventTemplate, kinds } from '../event.ts';
import type { Authenticate } from '../relay/authentication.ts';
import type { NostrCrypto } from './nostr-crypto.ts';
import type { Signer } from './signer.ts';

function authTemplate(clock: Clock, challenge: string, url: string): EventTemplate {
  return {
    kind: kinds.auth,
    created_at: Math.floor(clock.now() / 1000),
    tags: [
      ['relay', url],
      ['challenge', challenge],
    ],
    content: '',
  };
}

/**
 * For the bunker's own relays: a signature by bunker would need the very relay that asks for it.
 */
export function authenticateWithKey(options: {
  readonly key: Secret<Uint8Array>;
  readonly clock: Clock;
  readonly crypto: NostrCrypto;
}): Authenticate {
  const { key, clock, crypto } = options;
  return async (challenge, url) => crypto.sign(key.reveal(), authTemplate(clock, challenge, url));
}

/** For the other relays: as the machine itself. It rejects when the signer grants no kind 22242. */
export function authenticateWithSigner(options: {
  readonly signer: Signer;
  readonly clock: Clock;
}): Authenticate {
  const { signer, clock } = options;
  return (challenge, url) => signer.sign(authTemplate(clock, challenge, url));
}
