/** What a relay says of its own limits (NIP-11). They may only narrow ours, as anyone can lie. */
import { z } from 'zod';
import { smallGet } from '../small-get.ts';

/** Limits of a relay; what it does not say is undefined. */
export interface RelayInformation {
  /** Longest frame it takes, bytes. */
  readonly messageBytesMax?: number | undefined;
}

/** Asks a relay for its limits; undefined when it says nothing of use. Never rejects. */
export type FetchInformation = (url: string) => Promise<RelayInformation | undefined>;

/** Longest wait for the document, ms; nothing waits for it. */
const ANSWER_LIMIT_MS = 10_000;
/** Longest document, bytes; usual ones have under 4 KiB. */
const ANSWER_BYTES_MAX = 65_536;
/** No relay of use takes less than this, bytes: our shortest request has about 900. */
const MESSAGE_BYTES_MIN = 2_048;

const schema = z.object({
  limitation: z.object({ max_message_length: z.int().min(MESSAGE_BYTES_MIN).optional() }),
});

/** Reads a document; undefined when it is none, or says what cannot be meant. */
export function readInformation(value: unknown): RelayInformation | undefined {
  const read = schema.safeParse(value);
  if (!read.success) return undefined;
  return { messageBytesMax: read.data.limitation.max_message_length };
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
