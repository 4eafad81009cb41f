/** `spire pair`: works on the machine's own files, so the service must not run meanwhile. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock, systemRandom } from '#protocol/base/clock.ts';
import { ConfigError, StoreError } from '#protocol/base/errors.ts';
import { silentLog } from '#protocol/base/log.ts';
import type { PairingStep } from '#protocol/pairing/binding.ts';
import { type MakeRelays, pair } from '#protocol/pairing/pair.ts';
import { PairingFile } from '#protocol/pairing/pairing-file.ts';
import { npubOf } from '#protocol/pairing/public-key.ts';
import { parseSeed } from '#protocol/pairing/seed.ts';
import { RelayPool } from '#protocol/relay/pool.ts';
import { openDatabase } from '#state/database.ts';
import { CommandError, exitCode } from './exit.ts';
import { plain } from './format.ts';

/** What the command line gives. Keys are npub or hex. */
export interface PairArguments {
  readonly seed: string;
  readonly operator: string;
  readonly transport: string;
  readonly wallet: string;
  readonly allowPrivateRelays: boolean;
  /** The folder of the machine's state. */
  readonly state: string;
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

/** What keeps a second process from the state. */
interface Lock {
  release(): void;
}

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
    const path = join(given.state, 'pairing.json');
    const { spirePubkey, operatorPubkey, transportPubkey, walletId, rpcRelays } = await pair({
      ...common,
      seed,
      operatorPubkey: given.operator,
      transportPubkey: given.transport,
      walletId: given.wallet,
      allowPrivateRelays,
      file: new PairingFile({ path, ...common }),
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

/**
 * Holds the lock that the service holds while it runs. A machine without a database has no service
 * running; none is made here, because it would belong to whoever pairs and not to the service.
 */
function lockState(folder: string): Lock {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
    throw new ConfigError('notFound', `there is no folder ${folder} for the machine's state`);
  }
  const path = join(folder, 'state.sqlite');
  if (!existsSync(path)) return { release: () => undefined };
  try {
    const database = openDatabase(path);
    return { release: () => database.close() };
  } catch (cause) {
    if (!(cause instanceof StoreError) || cause.code !== 'locked') throw cause;
    throw new CommandError(
      exitCode.tryAgain,
      `The agent is running and holds ${path}. Stop it, pair, and start it again.`,
      { cause },
    );
  }
}
