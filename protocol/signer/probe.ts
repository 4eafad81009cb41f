/** The question that tells whether a signer works: one signature that nobody ever sees. */
import type { Clock } from '../base/clock.ts';
import { type EventTemplate, kinds } from '../event.ts';

/**
 * A kind 21000 event, as every call to the wallet is one: `get_public_key` and `ping` prove no
 * authorization (nostr.md 1). It is never published; if it leaked, it says nothing, is addressed to
 * its author, and was past its expiry (NIP-40) when it was made.
 */
export function probeTemplate(clock: Clock, pubkey: string): EventTemplate {
  const nowUnixSec = Math.floor(clock.now() / 1000);
  const tags = [
    ['p', pubkey],
    ['expiration', String(nowUnixSec)],
  ];
  return { kind: kinds.rpc, created_at: nowUnixSec, tags, content: '' };
}
