/**
 * The pairing seed that an operator copies from the wallet to the machine: `spire-seed:v1:` and the
 * base64url of JSON `{spire_npub, spire_pubkey, bunker_url, relays}`. Source: bitspire-wire.md 5.
 */
import { z } from 'zod';
import { ConfigError } from '../base/errors.ts';
import { Secret } from '../base/secret.ts';
import { parseJson } from '../signer/nip46-reply.ts';
import { hexOfPublicKey, npubOf } from './public-key.ts';
import { RELAYS_MAX, relayUrlFault } from './relay-url.ts';

/** What a seed says. All keys are hex. */
export interface Seed {
  /** The machine's identity, which the bunker signs as. */
  readonly spirePubkey: string;
  /** The bunker's transport key; at nsecbunkerd it equals the identity. */
  readonly bunkerPubkey: string;
  /** Where the bunker listens, 1 to 8. */
  readonly bunkerRelays: readonly string[];
  /** The token that binds one client, once. */
  readonly secret: Secret<string>;
  /** Where calls and documents go, 1 to 8. */
  readonly relays: readonly string[];
}

/** How a seed is judged. */
export interface SeedOptions {
  /** Takes relays on this computer and its networks, for the demo and for a wallet next door. */
  readonly allowPrivateRelays?: boolean;
}

const PREFIX = 'spire-seed:v1:';
/** Longest seed, characters; a usual one has about 500, one with 16 long relays 11,000. */
const SEED_CHARACTERS_MAX = 16_384;
/** A token as nsecbunkerd makes it has 64; visible ASCII, as it stands in an address. */
const SECRET = /^[\x21-\x7e]{1,256}$/;
const BUNKER_URL = /^bunker:\/\/([0-9a-fA-F]{64})\/?\?([^#]*)$/;

const seedSchema = z.strictObject({
  spire_npub: z.string(),
  spire_pubkey: z.string(),
  bunker_url: z.string(),
  relays: z.array(z.string()).min(1).max(RELAYS_MAX),
});

/**
 * Reads a seed.
 * @throws ConfigError `invalidData` for what is no whole seed, `refused` for a private relay.
 */
export function parseSeed(text: string, options: SeedOptions = {}): Seed {
  const allowPrivate = options.allowPrivateRelays ?? false;
  const body = seedSchema.safeParse(parseJson(decodeBody(text.trim())));
  if (!body.success) {
    throw broken(`its contents are not as expected:\n${z.prettifyError(body.error)}`);
  }
  const { spire_npub, spire_pubkey, bunker_url, relays } = body.data;
  const spirePubkey = hexOfPublicKey(spire_pubkey);
  if (spirePubkey === undefined) throw broken('spire_pubkey is no public key');
  if (hexOfPublicKey(spire_npub) !== spirePubkey) {
    throw broken('spire_npub and spire_pubkey are not the same key');
  }
  for (const url of relays) checkRelay(url, 'relay', allowPrivate);
  return { spirePubkey, ...parseBunkerUrl(bunker_url, allowPrivate), relays };
}

/** Writes a seed, as the wallet does. It checks nothing. */
export function formatSeed(seed: Seed): string {
  const query = [
    ...seed.bunkerRelays.map((url) => `relay=${encodeURIComponent(url)}`),
    `secret=${encodeURIComponent(seed.secret.reveal())}`,
  ];
  const body = {
    spire_npub: npubOf(seed.spirePubkey),
    spire_pubkey: seed.spirePubkey,
    bunker_url: `bunker://${seed.bunkerPubkey}?${query.join('&')}`,
    relays: seed.relays,
  };
  return PREFIX + Buffer.from(JSON.stringify(body)).toString('base64url');
}

function decodeBody(seed: string): string {
  if (seed.length > SEED_CHARACTERS_MAX) {
    throw broken(`it is longer than ${SEED_CHARACTERS_MAX} characters`);
  }
  if (!seed.startsWith(PREFIX)) {
    const isOther = seed.startsWith('spire-seed:');
    throw broken(isOther ? 'it is of another version than v1' : `it does not begin with ${PREFIX}`);
  }
  const encoded = seed.slice(PREFIX.length);
  if (!/^[A-Za-z0-9_-]+={0,2}$/.test(encoded)) throw broken('it holds a character that cannot be');
  return Buffer.from(encoded, 'base64url').toString();
}

/** Only the address itself: nothing is looked up, and nothing unknown is passed over. */
function parseBunkerUrl(
  address: string,
  allowPrivate: boolean,
): Pick<Seed, 'bunkerPubkey' | 'bunkerRelays' | 'secret'> {
  const [, key = '', query = ''] = BUNKER_URL.exec(address) ?? [];
  const bunkerPubkey = hexOfPublicKey(key);
  if (bunkerPubkey === undefined)
    throw broken('bunker_url is not bunker://<64 hex>?relay=…&secret=…');
  const parameters = new URLSearchParams(query);
  for (const name of parameters.keys()) {
    if (name !== 'relay' && name !== 'secret') {
      throw broken('bunker_url holds something beside relay and secret');
    }
  }
  const bunkerRelays = parameters.getAll('relay');
  if (bunkerRelays.length < 1 || bunkerRelays.length > RELAYS_MAX) {
    throw broken(`bunker_url names ${bunkerRelays.length} relays, not 1 to ${RELAYS_MAX}`);
  }
  for (const url of bunkerRelays) checkRelay(url, 'bunker relay', allowPrivate);
  const [secret = '', ...more] = parameters.getAll('secret');
  if (more.length > 0 || !SECRET.test(secret))
    throw broken('bunker_url holds no secret, or a bad one');
  return { bunkerPubkey, bunkerRelays, secret: new Secret(secret) };
}

function checkRelay(url: string, name: string, allowPrivate: boolean): void {
  const broad = relayUrlFault(url, true);
  if (broad !== undefined)
    throw broken(`the ${name} "${url.slice(0, 100)}" cannot be used: ${broad}`);
  const fault = relayUrlFault(url, allowPrivate);
  if (fault === undefined) return;
  throw new ConfigError(
    'refused',
    `the ${name} "${url.slice(0, 100)}" of the seed cannot be used: ${fault}. Have the operator ` +
      'make a seed with a public relay, or give --allow-private-relays if it is meant so',
  );
}

function broken(reason: string): ConfigError {
  return new ConfigError(
    'invalidData',
    `this is no usable pairing seed: ${reason}. Copy the whole seed again from the operator's page`,
  );
}
