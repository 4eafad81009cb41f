/** What a relay says (NIP-01, NIP-42), read from frames that may be hostile. */
import { z } from 'zod';
import { messageOf } from '../base/errors.ts';
import type { SignedEvent } from '../event.ts';

/** Deepest frame: message, event, tags, tag, and two to spare. */
const DEPTH_MAX = 6;
/** Most tags in an event, and most JSON arrays and objects in a frame. Ours have under ten. */
const TAGS_MAX = 2_000;
/** Longest words of a relay that are kept, characters. */
const WORDS_MAX = 300;
/** Longest challenge or subscription id, characters. NIP-01 allows 64 for the latter. */
const NAME_MAX = 256;

/** What a relay says to a REQ. */
export type RequestMessage =
  | { readonly kind: 'event'; readonly request: string; readonly event: SignedEvent }
  | { readonly kind: 'endOfStored'; readonly request: string }
  | { readonly kind: 'closed'; readonly request: string; readonly words: string };

/** What a relay says to an EVENT or AUTH. */
export interface OkMessage {
  readonly kind: 'ok';
  readonly id: string;
  readonly accepted: boolean;
  readonly words: string;
}

/**
 * One message of a relay. `unknown`: of a type or shape that we do not speak; an honest relay may
 * send that. `garbage`: no honest relay does.
 */
export type RelayMessage =
  | RequestMessage
  | OkMessage
  | { readonly kind: 'notice'; readonly words: string }
  | { readonly kind: 'challenge'; readonly challenge: string }
  | { readonly kind: 'unknown'; readonly reason: string }
  | { readonly kind: 'garbage'; readonly reason: string };

const hex = (characters: number) => z.string().regex(new RegExp(`^[0-9a-f]{${characters}}$`));

/** The shape of a signed event (NIP-01); its signature is not yet verified. Drops other fields. */
export const signedEventSchema = z.object({
  id: hex(64),
  pubkey: hex(64),
  created_at: z.int().min(0),
  kind: z.int().min(0).max(65_535),
  tags: z.array(z.array(z.string())).max(TAGS_MAX),
  content: z.string(),
  sig: hex(128),
});

const name = z.string().max(NAME_MAX);
/** Relays leave the words out, against NIP-01. */
const words = z
  .string()
  .catch('')
  .transform((text) => text.slice(0, WORDS_MAX));

const schemas = {
  EVENT: z.tuple([z.string(), name, signedEventSchema]).rest(z.unknown()),
  EOSE: z.tuple([z.string(), name]).rest(z.unknown()),
  CLOSED: z.tuple([z.string(), name, words.optional()]).rest(z.unknown()),
  OK: z.tuple([z.string(), name, z.boolean(), words.optional()]).rest(z.unknown()),
  NOTICE: z.tuple([z.string(), words]).rest(z.unknown()),
  AUTH: z.tuple([z.string(), name]).rest(z.unknown()),
};

/**
 * False when the JSON is nested too deep or has too many arrays and objects to be an event. Looked
 * at before it is parsed: `JSON.parse` itself recurses and allocates.
 */
export function isFlat(text: string): boolean {
  let depth = 0;
  let containers = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text.charCodeAt(at);
    if (character === 0x22) at = endOfString(text, at);
    else if (character === 0x5b || character === 0x7b) {
      depth += 1;
      containers += 1;
      if (depth > DEPTH_MAX || containers > TAGS_MAX) return false;
    } else if (character === 0x5d || character === 0x7d) depth -= 1;
  }
  return true;
}

/** Index of the quote that ends the string which starts at `start`. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const character = text.charCodeAt(at);
    if (character === 0x5c) at += 1;
    else if (character === 0x22) return at;
  }
  return text.length;
}

/** Reads one frame; never throws. */
export function readMessage(text: string): RelayMessage {
  if (!isFlat(text)) return { kind: 'garbage', reason: 'nested too deep or too many parts' };
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch (error) {
    return { kind: 'garbage', reason: messageOf(error).slice(0, WORDS_MAX) };
  }
  if (!Array.isArray(message)) return { kind: 'garbage', reason: 'no array' };
  return readArray(message);
}

function readArray(message: readonly unknown[]): RelayMessage {
  switch (message[0]) {
    case 'EVENT':
      return read(schemas.EVENT, message, ([, request, event]) => {
        return { kind: 'event', request, event };
      });
    case 'EOSE':
      return read(schemas.EOSE, message, ([, request]) => ({ kind: 'endOfStored', request }));
    case 'CLOSED':
      return read(schemas.CLOSED, message, ([, request, said = '']) => {
        return { kind: 'closed', request, words: said };
      });
    case 'OK':
      return read(schemas.OK, message, ([, id, accepted, said = '']) => {
        return { kind: 'ok', id, accepted, words: said };
      });
    case 'NOTICE':
      return read(schemas.NOTICE, message, ([, said]) => ({ kind: 'notice', words: said }));
    case 'AUTH':
      return read(schemas.AUTH, message, ([, challenge]) => ({ kind: 'challenge', challenge }));
    default:
      return { kind: 'unknown', reason: `unknown message ${String(message[0]).slice(0, 20)}` };
  }
}

function read<T>(
  schema: z.ZodType<T>,
  message: readonly unknown[],
  make: (fields: T) => RelayMessage,
): RelayMessage {
  const parsed = schema.safeParse(message);
  if (parsed.success) return make(parsed.data);
  const reason = z.prettifyError(parsed.error).slice(0, WORDS_MAX);
  return { kind: 'unknown', reason: `malformed ${String(message[0])}: ${reason}` };
}

/** The machine-readable prefix of a relay's words (NIP-01, NIP-42), if it is one that we act on. */
export function prefixOf(said: string): 'auth-required' | 'rate-limited' | 'blocked' | undefined {
  if (said.startsWith('auth-required:')) return 'auth-required';
  if (said.startsWith('rate-limited:')) return 'rate-limited';
  if (said.startsWith('blocked:')) return 'blocked';
  return undefined;
}
