/** Reads what a bunker answers (NIP-46), whatever shape it has. Pure; never throws. */
import { z } from 'zod';

/** A result, never empty. */
export interface Nip46Result {
  readonly kind: 'result';
  readonly result: string;
}

/** An answer without a result. `faulty`: it holds nothing that can be used. */
export type Nip46Fault =
  | { readonly kind: 'error'; readonly error: string }
  | { readonly kind: 'authUrl'; readonly url: string }
  | { readonly kind: 'faulty'; readonly reason: string };

/** What a reply says. */
export type Nip46Answer = Nip46Result | Nip46Fault;

/** A reply and the request that it names. */
export interface Nip46Reply {
  readonly id: string;
  readonly answer: Nip46Answer;
}

/** Longest of a peer's words that is kept, for a log line or a screen. */
const WORDS_MAX = 300;
/** Longest address that an operator is asked to open. */
const URL_CHARACTERS_MAX = 2_048;

const replySchema = z.object({
  id: z.string().min(1).max(128),
  result: z.unknown().optional(),
  error: z.unknown().optional(),
});

/** A peer's own words, short and without control characters, which could forge a log line. */
export function peerWords(words: string): string {
  return words.replace(/\p{C}+/gu, ' ').slice(0, WORDS_MAX);
}

/** A decrypted reply; undefined when it is none. */
export function readReply(plaintext: string): Nip46Reply | undefined {
  const reply = replySchema.safeParse(parseJson(plaintext));
  if (!reply.success) return undefined;
  const { id, result, error } = reply.data;
  return { id, answer: readAnswer(result, error) };
}

/** JSON as what it says, or undefined when it is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function readAnswer(result: unknown, error: unknown): Nip46Answer {
  // NIP-46: an `error` that is there means failure, but for the address of an auth challenge. Some
  // signers send an empty one, or null, with a success.
  if (result === 'auth_url') return readAuthUrl(error);
  if (error !== undefined && error !== null && error !== '') {
    const words = typeof error === 'string' ? error : JSON.stringify(error);
    return { kind: 'error', error: peerWords(words) };
  }
  if (typeof result === 'string' && result !== '') return { kind: 'result', result };
  const what = typeof result === 'object' && result !== null ? 'no text' : 'empty';
  return { kind: 'faulty', reason: `the result is ${what}` };
}

function readAuthUrl(address: unknown): Nip46Answer {
  const url = typeof address === 'string' ? URL.parse(address) : null;
  const isWeb = url?.protocol === 'https:' || url?.protocol === 'http:';
  if (!url || !isWeb || url.href.length > URL_CHARACTERS_MAX) {
    return { kind: 'faulty', reason: 'an auth challenge without a web address' };
  }
  return { kind: 'authUrl', url: url.href };
}
