/**
 * Sealing at rest: XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha) with a random 24-byte nonce in
 * front. The context binds a sealed value to its place, so that it cannot be moved to another.
 */
import { xchacha20poly1305 } from '@noble/ciphers/chacha.js';
import type { Random } from './clock.ts';
import { AtmError } from './errors.ts';
import type { Secret } from './secret.ts';

const NONCE_BYTES = 24;
/** Length of a sealing key. */
export const SEALING_KEY_BYTES = 32;

/** Seals text under a 32-byte key; the context must be given again to open it. */
export function seal(
  key: Secret<Uint8Array>,
  random: Random,
  context: string,
  text: string,
): Uint8Array {
  const nonce = random.bytes(NONCE_BYTES);
  const cipher = xchacha20poly1305(key.reveal(), nonce, Buffer.from(context));
  return Buffer.concat([nonce, cipher.encrypt(Buffer.from(text))]);
}

/** Opens what `seal` made. @throws AtmError `corrupt` for another key, place or altered bytes. */
export function unseal(key: Secret<Uint8Array>, context: string, sealed: Uint8Array): string {
  const nonce = sealed.subarray(0, NONCE_BYTES);
  try {
    const cipher = xchacha20poly1305(key.reveal(), nonce, Buffer.from(context));
    return Buffer.from(cipher.decrypt(sealed.subarray(NONCE_BYTES))).toString();
  } catch (cause) {
    throw new AtmError('corrupt', `what was sealed as ${context} does not open with this key`, {
      cause,
    });
  }
}
