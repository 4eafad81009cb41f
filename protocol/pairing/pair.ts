/**
 * Pairing: redeems a seed's token, proves that the bunker signs as the machine, and only then puts
 * the new pairing in the place of the old. It may be cut anywhere and run again with the same seed.
 */
import type { Clock, Random } from '../base/clock.ts';
import { ConfigError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { Secret } from '../base/secret.ts';
import type { Authenticate } from '../relay/authentication.ts';
import type { Relays } from '../relay/relay.ts';
import { authenticateWithKey } from '../signer/authenticate.ts';
import { Nip46Client } from '../signer/nip46.ts';
import { createNostrCrypto, type NostrCrypto, SECRET_KEY_BYTES } from '../signer/nostr-crypto.ts';
import { Binding, type PairingStep } from './binding.ts';
import { otherUrls, relaysWanted, withRelays } from './follow-relays.ts';
import { bunkerRelaysOf, checkWalletId, hashOfSecret, type Pairing } from './pairing.ts';
import type { PairingFile, PairingSlot } from './pairing-file.ts';
import { parsePublicKey } from './public-key.ts';
import type { Seed } from './seed.ts';

/** Opens links to a bunker's relays; AUTH there is answered with the client key. */
export type MakeRelays = (urls: readonly string[], auth: Authenticate) => Relays;

/** What a pairing needs. Keys are npub or hex. */
export interface PairOptions {
  readonly seed: Seed;
  readonly operatorPubkey: string;
  readonly transportPubkey: string;
  readonly walletId: string;
  /** Holds for relays that the bunker asks for later; the seed has been judged when it was read. */
  readonly allowPrivateRelays?: boolean;
  readonly file: PairingFile;
  readonly makeRelays: MakeRelays;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly progress?: (step: PairingStep) => void;
  /** Only a simulation gives another one. */
  readonly crypto?: NostrCrypto;
}

/**
 * Pairs this machine; at most about 4 min, or 10 more when the bunker wants a person. The old
 * pairing stays in force until the new one has signed.
 * @throws ConfigError `invalidData` for wrong arguments; else as `Binding.run`.
 * @throws RelayError `timeOut` when the bunker does not answer: the same seed may be tried again.
 * @throws StoreError when the disk does not take it.
 */
export async function pair(options: PairOptions): Promise<Pairing> {
  const { file, clock, random, log, progress = () => undefined } = options;
  const crypto = options.crypto ?? createNostrCrypto(random);
  const pairing = beginPairing(options);
  const { clientKey, bunkerPubkey } = pairing;
  const auth = authenticateWithKey({ key: clientKey, clock, crypto });
  const relays = options.makeRelays(bunkerRelaysOf(pairing), auth);
  const client = new Nip46Client({ relays, clientKey, bunkerPubkey, clock, random, log, crypto });
  try {
    const { secret } = options.seed;
    const save = (step: Pairing) => file.save(step, 'next');
    const discard = () => file.discardNext();
    const common = { client, secret, pairing, crypto, clock, log };
    const binding = new Binding({ ...common, save, discard, progress });
    const bound: Pairing = { ...(await binding.run()), state: 'bound' };
    file.save(bound, 'next');
    file.promote();
    progress({ kind: 'paired' });
    const wish = await binding.wish();
    const wanted = relaysWanted(wish, options.allowPrivateRelays ?? false, log);
    const switched = withRelays(bound, wanted);
    if (switched) file.save(switched);
    return switched ?? bound;
  } finally {
    client.close();
    await relays.close();
  }
}

/** The pairing to work on: a new client key, or the one that this seed has been tried with. */
function beginPairing(options: PairOptions): Pairing {
  const { seed, random, file, log } = options;
  const pinned = {
    spirePubkey: seed.spirePubkey,
    operatorPubkey: parsePublicKey(options.operatorPubkey, 'operator'),
    transportPubkey: parsePublicKey(options.transportPubkey, 'transport'),
    walletId: checkWalletId(options.walletId),
    rpcRelays: [...seed.relays],
    documentRelays: [...seed.relays],
  };
  if ([pinned.operatorPubkey, pinned.transportPubkey].includes(seed.spirePubkey)) {
    throw new ConfigError(
      'invalidData',
      "the operator and the transport are given by their own keys; this is the machine's own",
    );
  }
  const secretHash = hashOfSecret(seed.secret);
  const earlier = (['next', 'current'] as const)
    .map((slot) => loadUsable(file, slot, log))
    .find(
      (found) =>
        found?.token.secretHash === secretHash &&
        found.bunkerPubkey === seed.bunkerPubkey &&
        found.spirePubkey === seed.spirePubkey,
    );
  if (earlier) {
    const known = [...earlier.fallbackBunkerRelays, ...seed.bunkerRelays];
    const fallbackBunkerRelays = otherUrls(known, earlier.bunkerRelays);
    return { ...earlier, ...pinned, state: 'binding', fallbackBunkerRelays };
  }
  return {
    version: 1,
    state: 'binding',
    clientKey: new Secret(Buffer.from(random.bytes(SECRET_KEY_BYTES))),
    bunkerPubkey: seed.bunkerPubkey,
    bunkerRelays: [...seed.bunkerRelays],
    fallbackBunkerRelays: [],
    ...pinned,
    token: { secretHash, state: 'unsent' },
  };
}

/** A damaged file is no reason not to pair anew; one without its key may hold a spent token. */
function loadUsable(file: PairingFile, slot: PairingSlot, log: Log): Pairing | undefined {
  try {
    return file.load(slot);
  } catch (error) {
    const isDamaged = error instanceof ConfigError && error.code === 'corrupt';
    if (!isDamaged) throw error;
    log.warn({ slot, reason: error.message }, 'earlier pairing left aside');
    return undefined;
  }
}
