/**
 * The whole world of a machine on loopback: relay, bunker, wallet stand-in and LNURL endpoint, with
 * a real pairing seed. With a folder it is kept there and goes on at the next start.
 */
import { type Clock, type Random, timedOut, withDeadline } from '#protocol/base/clock.ts';
import { RelayError } from '#protocol/base/errors.ts';
import type { Log } from '#protocol/base/log.ts';
import { Secret } from '#protocol/base/secret.ts';
import { kinds } from '../event.ts';
import { formatSeed } from '../pairing/seed.ts';
import { RelayPool } from '../relay/pool.ts';
import { createNostrCrypto, newSecretKey } from '../signer/nostr-crypto.ts';
import { startBunker } from './bunker.ts';
import type { SimulatedBunker } from './bunker-policy.ts';
import { createInvoiceMaker } from './keeper/bolt11.ts';
import { startLnurlHttp } from './keeper/lnurl-http.ts';
import { type Keeper, startKeeper } from './keeper.ts';
import { type SimulatedRelay, startRelay } from './relay.ts';
import { loadWorld, relayFile, saveWorld, type WorldState } from './world-state.ts';

/** What `startWorld` needs. */
export interface WorldOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Where it is kept; without it nothing outlives `stop`. */
  readonly folder?: string;
}

/** A running world. */
export interface World {
  /** True when nothing was found in the folder: no funds yet, and nothing published. */
  readonly isNew: boolean;
  /** The pairing seed minted when the world was made; its token can be redeemed once. */
  readonly seed: string;
  readonly spirePubkey: string;
  readonly operatorPubkey: string;
  readonly transportPubkey: string;
  readonly walletId: string;
  readonly keeper: Keeper;
  readonly bunker: SimulatedBunker;
  readonly relay: SimulatedRelay;
  readonly lnurlBase: string;
  /** A fresh seed for a machine that lost its pairing. */
  mintSeed(): string;
  /** Ends everything; what is kept is on disk. */
  stop(): Promise<void>;
}

type Stop = () => Promise<void> | void;

/** The peers must be there within this; on loopback it takes about 0.2 s. */
const START_LIMIT_MS = 10_000;

/**
 * Starts everything; resolves when all of it can be used.
 * @throws ConfigError `corrupt` when the folder holds what is no world.
 * @throws RelayError `timeOut` when a peer does not come up.
 */
export async function startWorld(options: WorldOptions): Promise<World> {
  const stops: Stop[] = [];
  const stop = async () => {
    for (const end of stops.splice(0).reverse()) await end();
  };
  try {
    return await startPeers(options, stops, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startPeers(
  options: WorldOptions,
  stops: Stop[],
  stop: () => Promise<void>,
): Promise<World> {
  const { clock, random, log, folder } = options;
  const kept = folder === undefined ? undefined : loadWorld(folder);
  const keys = kept?.keys ?? newKeys(random);
  const relay = await startRelay({
    clock,
    log,
    port: kept?.relayPort ?? 0,
    ...(folder === undefined ? {} : { file: relayFile(folder) }),
  });
  stops.push(() => relay.stop());
  const bunker = await startBunker({
    clock,
    random,
    log,
    relayUrls: [relay.url],
    secretKey: bytesOf(keys.spire),
    state: kept?.bunker,
  });
  stops.push(() => bunker.stop());
  const { keeper, lnurlBase, lnurlPort } = await startWallet(options, stops, {
    relay,
    spirePubkey: bunker.pubkey,
    keys,
    kept,
  });
  const mintSeed = () =>
    formatSeed({
      spirePubkey: bunker.pubkey,
      bunkerPubkey: bunker.pubkey,
      bunkerRelays: [relay.url],
      secret: new Secret(bunker.policy.mintToken()),
      relays: [relay.url],
    });
  const seed = kept?.seed ?? mintSeed();
  const save = () => {
    if (folder === undefined) return;
    const { port: relayPort } = relay;
    const { state } = bunker.policy;
    const kept = { keys, relayPort, lnurlPort, seed, bunker: state, keeper: keeper.state };
    saveWorld(folder, { version: 1, ...kept });
  };
  keeper.onChange = save;
  bunker.policy.onChange = save;
  save();
  return {
    isNew: kept === undefined,
    seed,
    spirePubkey: bunker.pubkey,
    get operatorPubkey() {
      return keeper.operatorPubkey;
    },
    transportPubkey: keeper.transportPubkey,
    walletId: keeper.walletId,
    keeper,
    bunker,
    relay,
    lnurlBase,
    mintSeed,
    stop,
  };
}

async function startWallet(
  { clock, random, log }: WorldOptions,
  stops: Stop[],
  world: {
    readonly relay: SimulatedRelay;
    readonly spirePubkey: string;
    readonly keys: WorldState['keys'];
    readonly kept: WorldState | undefined;
  },
): Promise<{ keeper: Keeper; lnurlBase: string; lnurlPort: number }> {
  const { relay, spirePubkey, keys, kept } = world;
  let keeper: Keeper | undefined;
  const http = await startLnurlHttp({
    port: kept?.lnurlPort ?? 0,
    answer: (path) => keeper?.answerLnurl(path) ?? { status: 'ERROR', reason: 'Starting.' },
  });
  stops.push(() => http.stop());
  const crypto = createNostrCrypto(random);
  const transport = bytesOf(keys.transport);
  const relays = new RelayPool({
    clock,
    random,
    log,
    urls: [relay.url],
    auth: async (challenge, url) =>
      crypto.sign(transport, {
        kind: kinds.auth,
        created_at: Math.floor(clock.now() / 1000),
        tags: [
          ['relay', url],
          ['challenge', challenge],
        ],
        content: '',
      }),
  });
  stops.push(() => relays.close());
  const started = startKeeper({
    relays,
    clock,
    random,
    crypto,
    log,
    invoices: createInvoiceMaker(bytesOf(keys.node)),
    spirePubkey,
    keys: { transport, operator: bytesOf(kept?.keeper.operatorKey ?? keys.operator) },
    lnurlBase: http.base,
    state: kept?.keeper,
  });
  keeper = started;
  stops.push(() => started.stop());
  if ((await withDeadline(clock, START_LIMIT_MS, started.listening)) === timedOut) {
    throw new RelayError('timeOut', `the wallet stand-in does not reach ${relay.url}`);
  }
  return { keeper: started, lnurlBase: http.base, lnurlPort: http.port };
}

function newKeys(random: Random): WorldState['keys'] {
  const key = () => Buffer.from(newSecretKey(random)).toString('hex');
  return { spire: key(), transport: key(), operator: key(), node: key() };
}

const bytesOf = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));
