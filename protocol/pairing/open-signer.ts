/** Opens a paired bunker for service. */
import type { Clock, Random } from '../base/clock.ts';
import { ConfigError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Relays } from '../relay/relay.ts';
import { BunkerSigner } from '../signer/bunker-signer.ts';
import { Nip46Client } from '../signer/nip46.ts';
import { createNostrCrypto, type NostrCrypto } from '../signer/nostr-crypto.ts';
import type { Pairing } from './pairing.ts';

/** What a signer in service needs. */
export interface OpenSignerOptions {
  /**
   * Links to `bunkerRelaysOf(pairing)`, which answer AUTH with the client key; not closed by us.
   */
  readonly relays: Relays;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Only a simulation gives another one. */
  readonly crypto?: NostrCrypto;
}

/**
 * The signer of a pairing. Nothing is sent until it is asked for something, and never `connect`:
 * the bunker knows our client key, and a spent token would only be refused (nostr.md 1).
 * @throws ConfigError `sequenceError` for a pairing that is not finished.
 */
export function openBunkerSigner(pairing: Pairing, options: OpenSignerOptions): BunkerSigner {
  if (pairing.state !== 'bound') {
    throw new ConfigError('sequenceError', 'the pairing is not finished: run `spire pair` again');
  }
  const { clock, random, log } = options;
  const crypto = options.crypto ?? createNostrCrypto(random);
  const { clientKey, bunkerPubkey, spirePubkey } = pairing;
  const { relays } = options;
  const client = new Nip46Client({ relays, clientKey, bunkerPubkey, clock, random, log, crypto });
  return new BunkerSigner({ client, pubkey: spirePubkey, clock, random, log, crypto });
}
