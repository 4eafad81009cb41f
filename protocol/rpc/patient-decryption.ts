/** Decryption through a signer that may be away for a while: an answer about money is worth it. */
import { type Clock, sleep } from '#protocol/base/clock.ts';
import { messageOf } from '#protocol/base/errors.ts';
import { type Signer, SignerError } from '../signer/signer.ts';

/** `silent`: the signer did not answer; the text may open later. `unreadable`: it will not. */
export type Decryption =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'silent'; readonly reason: string }
  | { readonly kind: 'unreadable'; readonly reason: string };

/** Decrypts once. Never throws. */
export async function decryptOnce(
  signer: Signer,
  peer: string,
  ciphertext: string,
): Promise<Decryption> {
  try {
    return { kind: 'text', text: await signer.decrypt(peer, ciphertext) };
  } catch (error) {
    const isAway = error instanceof SignerError && error.health.kind !== 'refused';
    return { kind: isAway ? 'silent' : 'unreadable', reason: messageOf(error) };
  }
}

/**
 * Decrypts; while the signer is silent, tries again after each of the delays as long as the text is
 * still wanted. Never throws.
 */
export async function decryptPatiently(options: {
  readonly signer: Signer;
  readonly clock: Clock;
  readonly peer: string;
  readonly ciphertext: string;
  readonly delaysMs: readonly number[];
  readonly isWanted: () => boolean;
  readonly signal: AbortSignal;
}): Promise<Decryption> {
  const { signer, clock, peer, ciphertext, signal } = options;
  let outcome = await decryptOnce(signer, peer, ciphertext);
  for (const delayMs of options.delaysMs) {
    if (outcome.kind !== 'silent' || signal.aborted) return outcome;
    const slept = await sleep(clock, delayMs, signal).then(
      () => true,
      () => false,
    );
    if (!slept || !options.isWanted()) return outcome;
    outcome = await decryptOnce(signer, peer, ciphertext);
  }
  return outcome;
}
