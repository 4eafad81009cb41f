/** `spire pair`: works on the machine's own files, so the service must not run meanwhile. */
import { systemClock, systemRandom } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import type { PairingStep } from '#protocol/pairing/binding.ts';
import { type MakeRelays, pair } from '#protocol/pairing/pair.ts';
import { npubOf } from '#protocol/pairing/public-key.ts';
import { parseSeed } from '#protocol/pairing/seed.ts';
import { RelayPool } from '#protocol/relay/pool.ts';
import { type CredentialSources, findCredential } from '../upkeep/sealing-key.ts';
import { plain } from './format.ts';
import { lockState, pairingFileIn } from './state-files.ts';

/** What the command line gives. Keys are npub or hex. */
export interface PairArguments {
  readonly seed: string;
  readonly operator: string;
  readonly transport: string;
  readonly wallet: string;
  readonly allowPrivateRelays: boolean;
  /** The folder of the machine's state. */
  readonly state: string;
  /** Where the key is that seals the pairing. */
  readonly credential: CredentialSources;
}

/** What the machine is bound to now; nothing of it is secret. */
export interface Paired {
  readonly spireNpub: string;
  readonly spirePubkey: string;
  readonly operatorPubkey: string;
  readonly transportPubkey: string;
  readonly walletId: string;
  readonly relays: readonly string[];
}

/** Tells the person who waits what goes on. */
type Say = (text: string) => void;

/**
 * Pairs this machine, and tells of its progress line by line.
 * @throws CommandError, or as `pair` does.
 */
export async function pairMachine(given: PairArguments, tell: Say): Promise<Paired> {
  const say: Say = (text) => tell(plain(text));
  const { allowPrivateRelays } = given;
  const seed = parseSeed(given.seed, { allowPrivateRelays });
  const lock = lockState(given.state);
  const common = { clock: systemClock, random: systemRandom, log: silentLog };
  try {
    const file = pairingFileIn(given.state, findCredential(given.credential));
    const { spirePubkey, operatorPubkey, transportPubkey, walletId, rpcRelays } = await pair({
      ...common,
      seed,
      operatorPubkey: given.operator,
      transportPubkey: given.transport,
      walletId: given.wallet,
      allowPrivateRelays,
      file,
      makeRelays: relayMaker(say),
      progress: (step) => say(progressOf(step)),
    });
    const relays = rpcRelays;
    const spireNpub = npubOf(spirePubkey);
    return { spireNpub, spirePubkey, operatorPubkey, transportPubkey, walletId, relays };
  } finally {
    lock.release();
  }
}

const relayMaker =
  (say: Say): MakeRelays =>
  (urls, auth) => {
    const common = { clock: systemClock, random: systemRandom, log: silentLog };
    const relays = new RelayPool({ urls, auth, ...common });
    relays.onStatus(({ url, state, reason }) => {
      say(`relay ${url}: ${state} ${reason ?? ''}`.trimEnd());
    });
    return relays;
  };

function progressOf(step: PairingStep): string {
  switch (step.kind) {
    case 'connecting':
      return `asking the bunker, attempt ${step.attempt}`;
    case 'authUrl':
      return `the bunker wants you to open this address within 10 minutes: ${step.url}`;
    case 'redeemed':
      return 'the seed is redeemed; asking for a signature';
    case 'paired':
      return 'the bunker signs as this machine';
  }
}
