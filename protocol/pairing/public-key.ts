/** Public keys as people write them. */
import { decode, npubEncode } from 'nostr-tools/nip19';
import { ConfigError } from '../base/errors.ts';
import { isPublicKey } from '../signer/nostr-crypto.ts';

/** Longest thing that is read as a key, characters; an npub has 63. */
const KEY_CHARACTERS_MAX = 128;

/** Reads an npub (NIP-19) or 64 hex digits; lower-case hex. @throws ConfigError `invalidData`. */
export function parsePublicKey(text: string, name: string): string {
  const hex = hexOfPublicKey(text.trim());
  if (hex !== undefined) return hex;
  throw new ConfigError(
    'invalidData',
    `the ${name} is no public key: give its npub, or 64 hex digits`,
  );
}

/** The hex of an npub or hex key; undefined when it is neither, or no key on the curve. */
export function hexOfPublicKey(text: string): string | undefined {
  if (text.length > KEY_CHARACTERS_MAX) return undefined;
  const hex = /^npub1/i.test(text) ? hexOfNpub(text) : text.toLowerCase();
  return hex !== undefined && isPublicKey(hex) ? hex : undefined;
}

/** The npub of a hex key. */
export const npubOf = (pubkey: string): string => npubEncode(pubkey);

function hexOfNpub(npub: string): string | undefined {
  try {
    const decoded = decode(npub);
    return decoded.type === 'npub' ? decoded.data : undefined;
  } catch {
    // A checksum or length that is wrong; nip19 throws plain errors for all that it cannot read.
    return undefined;
  }
}
