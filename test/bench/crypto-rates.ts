/** What keys cost: signatures, verifications and encryptions a second, as the protocol does them. */
import { systemRandom } from '#protocol/base/clock.ts';
import { kinds } from '#protocol/event.ts';
import { createNostrCrypto, newSecretKey } from '#protocol/signer/nostr-crypto.ts';
import { PLAINTEXT_BYTES_MAX } from '#protocol/signer/plaintext.ts';
import { nowMs } from './stopwatch.ts';

/** One kind of work and how often it goes in a second. */
export interface Rate {
  readonly what: string;
  readonly perSecond: number;
}

/** Lengths of texts, bytes: the shortest, a call, a long list of payments, the longest. */
const TEXT_BYTES = [32, 1_000, 10_000, PLAINTEXT_BYTES_MAX];
/** Rounds before time counts, for the compiler. */
const WARM_UP = 20;

function rate(what: string, forMs: number, work: (round: number) => void): Rate {
  for (let round = 0; round < WARM_UP; round++) work(round);
  const start = nowMs();
  let rounds = 0;
  while (nowMs() - start < forMs) work(WARM_UP + rounds++);
  return { what, perSecond: (rounds * 1000) / (nowMs() - start) };
}

/** Measures each kind of work for so long, ms. */
export function cryptoRates(forMs: number): readonly Rate[] {
  const crypto = createNostrCrypto(systemRandom);
  const [key, peerKey] = [newSecretKey(systemRandom), newSecretKey(systemRandom)];
  const [pubkey, peer] = [crypto.publicKeyOf(key), crypto.publicKeyOf(peerKey)];
  const template = { kind: kinds.rpc, created_at: 1_800_000_000, tags: [['p', peer]] };
  const sign = (round: number) => crypto.sign(key, { ...template, content: `${round}` });
  const events = Array.from({ length: 64 }, (_, round) => sign(round));
  const rates = [
    rate('signature', forMs, sign),
    rate('verification', forMs, (round) => {
      const event = events[round % events.length];
      if (!event || !crypto.verify(event)) throw new Error('a signature is not right');
    }),
    rate('conversation key', forMs, () => {
      // A new object each time, as keys are remembered by theirs.
      crypto.encrypt(new Uint8Array(key), peer, 'x');
    }),
  ];
  for (const bytes of TEXT_BYTES) {
    const text = 'x'.repeat(bytes);
    const payload = crypto.encrypt(key, peer, text);
    rates.push(
      rate(`encryption of ${bytes} bytes`, forMs, () => void crypto.encrypt(key, peer, text)),
      rate(`decryption of ${bytes} bytes`, forMs, () => {
        crypto.decrypt(peerKey, pubkey, payload);
      }),
    );
  }
  return rates;
}
