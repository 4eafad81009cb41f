/**
 * What a relay says of its own limits (NIP-11). They may only narrow ours, as anyone can lie. Of
 * `max_filters` and `max_limit` nothing need be known: a REQ of ours has one filter, and a few
 * answers.
 */
import { z } from 'zod';
import { smallGet } from '../small-get.ts';

/** Limits of a relay; what it does not say, or cannot mean, is undefined. */
export interface RelayInformation {
  /** Longest frame it takes, bytes. */
  readonly messageBytesMax?: number | undefined;
  /** Longest content of an event, characters. */
  readonly contentCharsMax?: number | undefined;
  /** Subscriptions on one connection. */
  readonly subscriptionsMax?: number | undefined;
  /** Longest name of a subscription, characters. */
  readonly requestIdCharsMax?: number | undefined;
  /** How old an event may be, and how far ahead of its clock, s. */
  readonly pastMaxSec?: number | undefined;
  readonly futureMaxSec?: number | undefined;
  /** Leading zero bits that an event's id must have (NIP-13). */
  readonly workBits?: number | undefined;
  readonly requiresAuth?: boolean | undefined;
  readonly requiresPayment?: boolean | undefined;
  /** Writing takes more than authentication and payment. */
  readonly restrictsWrites?: boolean | undefined;
}

/** What a relay says that keeps us from using it to the full. Nothing of it ends the link. */
export type Shortcoming =
  | { readonly code: 'payment' | 'restrictedWrites' }
  | { readonly code: 'work'; readonly bits: number }
  | { readonly code: 'subscriptions'; readonly max: number; readonly needed: number }
  | { readonly code: 'message' | 'content'; readonly max: number; readonly needed: number }
  | { readonly code: 'past' | 'future'; readonly maxSec: number; readonly neededSec: number };

/** Asks a relay for its limits; undefined when it says nothing of use. Never rejects. */
export type FetchInformation = (url: string) => Promise<RelayInformation | undefined>;

/** Longest wait for the document, ms; nothing waits for it. */
const ANSWER_LIMIT_MS = 10_000;
/** Longest document, bytes; usual ones have under 4 KiB. */
const ANSWER_BYTES_MAX = 65_536;
/** No relay of use takes less than this, bytes: our shortest request has about 900. */
const MESSAGE_BYTES_MIN = 2_048;

/**
 * The longest content and frame of ours: a request to the bunker of 40,448 bytes (a document that
 * it is to encrypt), padded and in base64 by NIP-44, and the event around it.
 */
const CONTENT_CHARS_NEEDED = 54_704;
const MESSAGE_BYTES_NEEDED = 55_300;
/** A request is published again while it is under 50 s old (design 6.4), by clocks that differ. */
const PAST_SEC_NEEDED = 60;
/** Documents that follow one another in one second are dated up to 5 s ahead. */
const FUTURE_SEC_NEEDED = 5;

/** A limit that makes no sense is none: it must not hide the others. */
const limit = (min: number) => z.int().min(min).optional().catch(undefined);
const flag = z.boolean().optional().catch(undefined);

const schema = z.object({
  limitation: z.object({
    max_message_length: limit(MESSAGE_BYTES_MIN),
    max_content_length: limit(1),
    max_subscriptions: limit(1),
    max_subid_length: limit(1),
    created_at_lower_limit: limit(1),
    created_at_upper_limit: limit(1),
    min_pow_difficulty: limit(0),
    auth_required: flag,
    payment_required: flag,
    restricted_writes: flag,
  }),
});

/** Reads a document; undefined when it is none, or says nothing of limits. */
export function readInformation(value: unknown): RelayInformation | undefined {
  const read = schema.safeParse(value);
  if (!read.success) return undefined;
  const said = read.data.limitation;
  return {
    messageBytesMax: said.max_message_length,
    contentCharsMax: said.max_content_length,
    subscriptionsMax: said.max_subscriptions,
    requestIdCharsMax: said.max_subid_length,
    pastMaxSec: said.created_at_lower_limit,
    futureMaxSec: said.created_at_upper_limit,
    workBits: said.min_pow_difficulty,
    requiresAuth: said.auth_required,
    requiresPayment: said.payment_required,
    restrictsWrites: said.restricted_writes,
  };
}

/** Where a relay grants less than a link with so many subscriptions may need. */
export function shortcomingsOf(
  said: RelayInformation,
  subscriptions: number,
): readonly Shortcoming[] {
  const found: Shortcoming[] = [];
  if (said.requiresPayment) found.push({ code: 'payment' });
  if (said.restrictsWrites) found.push({ code: 'restrictedWrites' });
  if (said.workBits) found.push({ code: 'work', bits: said.workBits });
  const count = (code: 'subscriptions' | 'message' | 'content', max = Infinity, needed = 0) => {
    if (max < needed) found.push({ code, max, needed });
  };
  count('subscriptions', said.subscriptionsMax, subscriptions);
  count('message', said.messageBytesMax, MESSAGE_BYTES_NEEDED);
  count('content', said.contentCharsMax, CONTENT_CHARS_NEEDED);
  const time = (code: 'past' | 'future', maxSec = Infinity, neededSec = 0) => {
    if (maxSec < neededSec) found.push({ code, maxSec, neededSec });
  };
  time('past', said.pastMaxSec, PAST_SEC_NEEDED);
  time('future', said.futureMaxSec, FUTURE_SEC_NEEDED);
  return found;
}

/** Asks over HTTP, at the relay's own address. */
export const fetchInformation: FetchInformation = async (url) => {
  try {
    const { text } = await smallGet(url.replace(/^ws/, 'http'), {
      accept: 'application/nostr+json',
      limitMs: ANSWER_LIMIT_MS,
      bytesMax: ANSWER_BYTES_MAX,
    });
    return readInformation(JSON.parse(text));
  } catch {
    // Whatever is wrong with it: many relays have none, and the link does without.
    return undefined;
  }
};
