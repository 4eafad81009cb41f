/** Proves that what a signer returned is what it was asked to sign. */
import { z } from 'zod';
import type { EventTemplate, SignedEvent } from '../event.ts';
import { parseJson } from './nip46-reply.ts';
import type { NostrCrypto } from './nostr-crypto.ts';

const signedEventSchema = z.object({
  id: z.string(),
  pubkey: z.string(),
  created_at: z.number().int(),
  kind: z.number().int(),
  tags: z.array(z.array(z.string())),
  content: z.string(),
  sig: z.string(),
});

/** The event, or in words what is wrong with it. */
export type SignedEventCheck =
  | { readonly kind: 'same'; readonly event: SignedEvent }
  | { readonly kind: 'altered'; readonly reason: string };

/**
 * Reads a `sign_event` result and compares all of it with the template, because bunkers change what
 * they sign: NDK adds `d` and `p` tags (nostr.md 0.7). It takes the JSON text and no object, so
 * that
 * no verdict which a library left on an object can pass for one about this event (nostr.md 2.2).
 */
export function checkSignedEvent(
  json: string,
  template: EventTemplate,
  pubkey: string,
  crypto: NostrCrypto,
): SignedEventCheck {
  const parsed = signedEventSchema.safeParse(parseJson(json));
  if (!parsed.success) return altered('it is no event');
  const event = parsed.data;
  if (event.pubkey !== pubkey) return altered('another key signed');
  if (event.kind !== template.kind) return altered('the kind differs');
  if (event.created_at !== template.created_at) return altered('created_at differs');
  if (event.content !== template.content) return altered('the content differs');
  if (JSON.stringify(event.tags) !== JSON.stringify(template.tags)) {
    return altered('the tags differ');
  }
  return crypto.verify(event) ? { kind: 'same', event } : altered('id or signature is wrong');
}

const altered = (reason: string): SignedEventCheck => ({ kind: 'altered', reason });
