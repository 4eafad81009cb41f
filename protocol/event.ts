/** Nostr's words (NIP-01), as all of `protocol` uses them. */
import type { Filter } from 'nostr-tools/filter';
import type { NostrEvent } from 'nostr-tools/pure';

/** A signed event (NIP-01). Signature and id are verified wherever one leaves a relay link. */
export type SignedEvent = Pick<
  NostrEvent,
  'id' | 'pubkey' | 'created_at' | 'kind' | 'tags' | 'content' | 'sig'
>;
export type { Filter };

/** An event before it is signed. `created_at` in Unix seconds. */
export interface EventTemplate {
  readonly kind: number;
  readonly created_at: number;
  readonly tags: string[][];
  readonly content: string;
}

/** Kinds this machine speaks. Sources: NIP-46, NIP-42, NIP-78; bitspire-wire.md 2 to 4. */
export const kinds = {
  rpc: 21000,
  auth: 22242,
  remoteSigning: 24133,
  document: 30078,
  telemetry: 30079,
} as const;
