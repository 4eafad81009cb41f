/**
 * LNURL-withdraw links (LUD-01, LUD-03): read before they are shown, asked whether they are
 * spent.
 */
import { bech32 } from '@scure/base';
import { z } from 'zod';
import { isPrivateHost } from '#protocol/private-host.ts';
import type { FetchJson } from '../fetch-json.ts';

/** Longest link we take; a QR code of more is not read from a screen. */
const LNURL_CHARACTERS_MAX = 1_024;

/** A link that may be shown, or why not. */
export type LnurlCheck =
  | { readonly kind: 'ok'; readonly url: string }
  | { readonly kind: 'bad'; readonly reason: string };

/**
 * Decodes a link. It must be bech32 `LNURL1…` of an https address on a public host: a raw address
 * is
 * not read by wallets, and a private one by nobody outside (bitspire-wire.md 9.10).
 * `allowPrivateHosts` lets http on loopback pass, for the demo.
 */
export function checkLnurl(lnurl: string, allowPrivateHosts: boolean): LnurlCheck {
  const bad = (reason: string): LnurlCheck => ({ kind: 'bad', reason });
  if (lnurl.length > LNURL_CHARACTERS_MAX) return bad('the link is too long');
  if (!/^lnurl1/i.test(lnurl)) return bad('the link is no LNURL1…');
  let url: URL;
  try {
    // BIP-173's limit of 90 characters does not hold for links (LUD-01).
    const decoded = bech32.decodeUnsafe(lnurl.toLowerCase(), LNURL_CHARACTERS_MAX);
    if (decoded?.prefix !== 'lnurl') return bad('the link does not decode to an address');
    const bytes = bech32.fromWords(decoded.words);
    url = new URL(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return bad('the link does not decode to an address');
  }
  const isPrivate = isPrivateHost(url.hostname);
  if (isPrivate && !allowPrivateHosts) return bad('the link points to a private host');
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isPrivate)) {
    return { kind: 'ok', url: url.href };
  }
  return bad('the link does not decode to https');
}

/** What the link's own server says of it. `unreachable` proves nothing. */
export type LinkState =
  | { readonly kind: 'open'; readonly maxWithdrawableMsat: number }
  | { readonly kind: 'spent'; readonly words: string }
  | { readonly kind: 'unreachable'; readonly reason: string };

const withdrawRequest = z.object({
  tag: z.literal('withdrawRequest'),
  maxWithdrawable: z.int().nonnegative(),
});
const refusal = z.object({ status: z.literal('ERROR'), reason: z.string().max(500) });

/** The wallets' words for a link that was claimed; anything else said is no proof. */
const SPENT = /\b(spent|used|claimed|already been withdrawn)\b/i;
/** "Cannot be used yet" is no proof of anything. */
const DENIED = /\b(not|cannot|never|until|before)\b|n't\b/i;

/** Asks the link's server (LUD-03 step 2), which changes nothing. Never rejects. */
export async function askLink(url: string, fetchLink: FetchJson): Promise<LinkState> {
  let answer: unknown;
  try {
    answer = await fetchLink(url);
  } catch (error) {
    return { kind: 'unreachable', reason: error instanceof Error ? error.message : String(error) };
  }
  const open = withdrawRequest.safeParse(answer);
  if (open.success) return { kind: 'open', maxWithdrawableMsat: open.data.maxWithdrawable };
  const refused = refusal.safeParse(answer);
  const words = refused.success ? refused.data.reason : '';
  if (SPENT.test(words) && !DENIED.test(words)) return { kind: 'spent', words };
  return { kind: 'unreachable', reason: 'an answer that says neither open nor spent' };
}
