/** The sizes and shapes that every signer holds to. */
import { SignerError } from './signer.ts';

/**
 * Longest plaintext to encrypt, bytes: 24 KiB. A relay takes 65,536 bytes of event, and what is
 * encrypted or signed by a bunker travels inside a second event (nostr.md 0.8).
 */
export const PLAINTEXT_BYTES_MAX = 24_576;

/** Refuses what cannot be carried. @throws SignerError `invalidData`. */
export function checkPlaintext(plaintext: string): void {
  const sizeBytes = Buffer.byteLength(plaintext);
  if (sizeBytes >= 1 && sizeBytes <= PLAINTEXT_BYTES_MAX) return;
  const reason = `the text has ${sizeBytes} bytes, not 1 to ${PLAINTEXT_BYTES_MAX}`;
  throw new SignerError({ kind: 'refused', reason }, 'encrypt', 'invalidData');
}
