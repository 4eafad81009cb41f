/** What binds this machine to its bunker, its operator and its wallet. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { ConfigError } from '../base/errors.ts';
import { Secret } from '../base/secret.ts';
import { parseJson } from '../signer/nip46-reply.ts';
import { isPublicKey, SECRET_KEY_BYTES } from '../signer/nostr-crypto.ts';
import { RELAYS_MAX, relayUrlFault } from './relay-url.ts';

/** What a wallet id may be; LNbits' have 32 hex digits. */
const WALLET_ID = /^[\x21-\x7e]{1,128}$/;

const publicKey = z.string().refine(isPublicKey, 'is no public key');
const relays = z
  .array(z.string().refine((url) => relayUrlFault(url, true) === undefined, 'is no relay address'))
  .max(RELAYS_MAX);
const hex = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`));

const pairingSchema = z.strictObject({
  version: z.literal(1),
  /** `binding`: the client key is on disk and the bunker may or may not know it. */
  state: z.enum(['binding', 'bound']),
  /** Our transport key. Losing it after the token is spent means a new seed. */
  clientKey: hex(SECRET_KEY_BYTES).transform((text) => new Secret(Buffer.from(text, 'hex'))),
  /** The bunker's transport key. */
  bunkerPubkey: publicKey,
  /** Where the bunker is met: the seed's list, or what it asked for since. */
  bunkerRelays: relays.min(1),
  /** Where it was met before it asked for others; tried as well. */
  fallbackBunkerRelays: relays,
  /** The machine's identity. */
  spirePubkey: publicKey,
  /** Whose documents are obeyed. */
  operatorPubkey: publicKey,
  /** The wallet's transport key: whose answers count. */
  transportPubkey: publicKey,
  /** The one wallet that money may go to and come from. */
  walletId: z.string().regex(WALLET_ID),
  /** Where calls to the wallet go. */
  rpcRelays: relays.min(1),
  /** Where documents are. */
  documentRelays: relays.min(1),
  token: z.strictObject({
    /** SHA-256 of the seed's secret, by which the same seed is known again. */
    secretHash: hex(32),
    /** `unsent` > `sent` (it may have been redeemed) > `spent` (it is never sent again). */
    state: z.enum(['unsent', 'sent', 'spent']),
  }),
});

/** A pairing; all of `pairing.json`. */
export type Pairing = Readonly<z.output<typeof pairingSchema>>;

/** A wallet id as it was given. @throws ConfigError `invalidData` for what cannot be one. */
export function checkWalletId(walletId: string): string {
  if (WALLET_ID.test(walletId)) return walletId;
  throw new ConfigError(
    'invalidData',
    "the wallet id has 1 to 128 visible characters; copy it from the wallet's page",
  );
}

/** The hash under which a pairing remembers its token. */
export function hashOfSecret(secret: Secret<string>): string {
  return createHash('sha256').update(secret.reveal()).digest('hex');
}

/** The relays that a client of the bunker opens, those it asked for first. At most 8. */
export function bunkerRelaysOf(pairing: Pairing): readonly string[] {
  const all = new Set([...pairing.bunkerRelays, ...pairing.fallbackBunkerRelays]);
  return [...all].slice(0, RELAYS_MAX);
}

/** A pairing as JSON, with the client key in clear. */
export function formatPairing(pairing: Pairing): string {
  const clientKey = Buffer.from(pairing.clientKey.reveal()).toString('hex');
  return JSON.stringify({ ...pairing, clientKey }, undefined, 2);
}

/** Reads a pairing. @throws ConfigError `corrupt` saying what is wrong with it, but no value. */
export function parsePairing(json: string, name: string): Pairing {
  const parsed = pairingSchema.safeParse(parseJson(json));
  if (parsed.success) return parsed.data;
  const why = z.prettifyError(parsed.error);
  throw new ConfigError('corrupt', `${name} cannot be read; pair this machine anew. ${why}`);
}
