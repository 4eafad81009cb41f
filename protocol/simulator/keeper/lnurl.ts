/** LNURL strings (LUD-01). */
import { bech32 } from '@scure/base';

/** Longest address taken, characters; LUD-01 sets no bound and QR codes do at about this. */
const ADDRESS_CHARACTERS_MAX = 1023;

/** An address as `LNURL1...` in capitals, which QR codes hold best. */
export function encodeLnurl(url: string): string {
  const words = bech32.toWords(Buffer.from(url));
  return bech32.encode('lnurl', words, ADDRESS_CHARACTERS_MAX).toUpperCase();
}

/** The address in an LNURL; an address comes back as it is. @throws Error for neither. */
export function decodeLnurl(lnurl: string): string {
  if (/^https?:/i.test(lnurl)) return lnurl;
  const { words } = bech32.decode(lnurl.toLowerCase() as `${string}1${string}`, false);
  return Buffer.from(bech32.fromWords(words)).toString();
}

/** The id of the withdraw link that an LNURL or address leads to. @throws Error for neither. */
export function linkIdOf(lnurl: string): string {
  const { pathname } = new URL(decodeLnurl(lnurl));
  return pathname.slice(pathname.lastIndexOf('/') + 1);
}
