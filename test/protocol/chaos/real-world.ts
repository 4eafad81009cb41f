/**
 * A machine among real sockets: two relays, NDK's bunker, and the wallet stand-in. Between machine
 * and each relay stand a line that fails and a relay that lies, as far as a test lets them.
 */
import { expect } from 'vitest';
import { type Clock, sleep, systemRandom } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import type { Pairing } from '#protocol/pairing/pairing.ts';
import type { LinkLimits } from '#protocol/relay/limits.ts';
import { RelayPool } from '#protocol/relay/pool.ts';
import { createNostrCrypto, newSecretKey } from '#protocol/signer/nostr-crypto.ts';
import type { SignatureCap } from '#protocol/signer/signature-budget.ts';
import { SignerError, type SignerHealth } from '#protocol/signer/signer.ts';
import { startBunker } from '#protocol/simulator/bunker.ts';
import type { SimulatedBunker } from '#protocol/simulator/bunker-policy.ts';
import { createInvoiceMaker } from '#protocol/simulator/keeper/bolt11.ts';
import { type Keeper, startKeeper } from '#protocol/simulator/keeper.ts';
import { type SimulatedRelay, startRelay } from '#protocol/simulator/relay.ts';
import type { RelayRules } from '#protocol/simulator/relay-rules.ts';
import { type Hidden, hiddenKey, hiddenText } from '#test/support/written.ts';
import { FlowingClock, MachineClock, quiet } from './flowing-clock.ts';
import { Leaks } from './leaks.ts';
import { Liar } from './liar.ts';
import { ChaosMachine, pairingWith } from './machine.ts';
import { TcpProxy } from './tcp-proxy.ts';

/** Does something when the test has ended. */
export type OnEnd = (end: () => Promise<void>) => void;
/** Longest wait for anything in these tests, ms. */
const LIMIT_MS = 1_800_000;
/** Rounds that a machine may need to come into service again, and their pace, its own ms. */
const ROUNDS_MAX = 40;
const ROUND_MS = 15_000;

/** Rows by their whole names, which a test runner would cut short. */
export const named = <Row extends { readonly trap: string }>(rows: readonly Row[]) =>
  rows.map((row) => [row.trap, row] as const);

/** A relay as the machine meets it. */
export interface Met {
  readonly relay: SimulatedRelay;
  readonly liar: Liar;
  readonly line: TcpProxy;
}

/** What a test may want otherwise. */
export interface RealWorldOptions {
  readonly limits?: Partial<LinkLimits>;
  /** Further relays for calls and documents. */
  readonly moreRelays?: readonly string[];
  /** The wallet's relay is met by two names, so that all of it comes twice. */
  readonly isTwofold?: boolean;
  readonly signatureCaps?: readonly SignatureCap[];
  /** What the machine's own clock is ahead, ms. */
  readonly aheadMs?: number;
  /** Both relays tell the right time, under two names. */
  readonly tellsTime?: boolean;
  /** How long the bunker's token is good for, ms. */
  readonly tokenMs?: number;
}

async function meet(clock: Clock, rules: Partial<RelayRules>): Promise<Met> {
  const relay = await startRelay({ clock, log: silentLog, rules });
  const liar = await Liar.start(() => relay.url);
  const line = await TcpProxy.start(clock, () => liar.port);
  return { relay, liar, line };
}

/** See the head of the file. */
export class RealWorld {
  /** The clock of all but the machine. */
  readonly time: FlowingClock;
  /** The machine's own. */
  readonly clock: MachineClock;
  readonly bunkerSide: Met;
  readonly walletSide: Met;
  readonly bunker: SimulatedBunker;
  readonly keeper: Keeper;
  /** The wallet's own links to its relay, by which others publish too. */
  readonly relays: RelayPool;
  readonly machine: ChaosMachine;
  readonly operatorKey: Uint8Array;
  readonly spireKey: Uint8Array;
  clientPubkey = '';
  /** The token that the pairing in force was bound by. */
  token = '';
  readonly #options: RealWorldOptions;
  readonly #keys: readonly Hidden[];
  readonly #stops: (() => Promise<void>)[];

  private constructor(
    made: Pick<
      RealWorld,
      | 'time'
      | 'bunkerSide'
      | 'walletSide'
      | 'bunker'
      | 'keeper'
      | 'relays'
      | 'operatorKey'
      | 'spireKey'
    >,
    stops: (() => Promise<void>)[],
    keys: readonly Hidden[],
    options: RealWorldOptions,
  ) {
    const { bunkerSide, walletSide, bunker, keeper } = made;
    this.time = made.time;
    this.clock = new MachineClock(made.time);
    this.bunkerSide = bunkerSide;
    this.walletSide = walletSide;
    this.bunker = bunker;
    this.keeper = keeper;
    this.relays = made.relays;
    this.operatorKey = made.operatorKey;
    this.spireKey = made.spireKey;
    this.#keys = keys;
    this.#stops = stops;
    this.clock.aheadMs = options.aheadMs ?? 0;
    this.#options = options;
    if (options.tellsTime) {
      const date = () => new Date(made.time.now()).toUTCString();
      for (const { liar } of [bunkerSide, walletSide]) liar.date = date;
    }
    const { clock } = this;
    const pairing = this.newPairing(options.tokenMs);
    this.machine = new ChaosMachine({
      ...{ clock, random: systemRandom, pairing },
      ...(options.signatureCaps ? { signatureCaps: options.signatureCaps } : {}),
      openRelays: (log) => (urls, auth) =>
        new RelayPool({
          ...{ urls, auth, clock, random: systemRandom, log },
          limits: options.limits,
        }),
    });
  }

  /** A world in which the machine has been proven to be in service; it ends with the test. */
  static async inService(onEnd: OnEnd, options: RealWorldOptions = {}): Promise<RealWorld> {
    const world = await RealWorld.start(onEnd, options);
    await world.serves();
    return world;
  }

  /** A world whose machine has just been started. */
  static async start(onEnd: OnEnd, options: RealWorldOptions = {}): Promise<RealWorld> {
    // NDK dates its events by the real time, which falls ever further behind.
    const lenient = { ephemeralAgeMaxSec: undefined };
    const leaks = new Leaks();
    const time = new FlowingClock();
    const [bunkerSide, walletSide] = await Promise.all([meet(time, lenient), meet(time, {})]);
    const [spireKey, transport, operator] = [1, 2, 3].map(() => newSecretKey(systemRandom));
    if (!spireKey || !transport || !operator) throw new Error('three keys');
    const common = { clock: time, random: systemRandom, log: silentLog };
    const bunker = await startBunker({
      ...common,
      relayUrls: [bunkerSide.relay.url],
      secretKey: spireKey,
    });
    const relays = new RelayPool({ ...common, urls: [walletSide.relay.url] });
    const keeper = startKeeper({
      ...{ ...common, relays, crypto: createNostrCrypto(systemRandom) },
      invoices: createInvoiceMaker(newSecretKey(systemRandom)),
      spirePubkey: bunker.pubkey,
      keys: { transport, operator },
      lnurlBase: 'https://wallet.example',
    });
    keeper.fund(1_000_000);
    await keeper.listening;
    const stops = [
      async () => keeper.stop(),
      () => relays.close(),
      () => bunker.stop(),
      ...[bunkerSide, walletSide].flatMap(({ line, liar, relay }) => [
        () => line.close(),
        () => liar.close(),
        () => relay.stop(),
      ]),
      () => time.stop(),
      () => leaks.check(),
    ];
    const keys = [
      hiddenKey('the identity', spireKey),
      hiddenKey('the wallet’s key', transport),
      hiddenKey('the operator’s key', operator),
    ];
    const made = {
      ...{ time, bunkerSide, walletSide, bunker, keeper, relays },
      ...{ operatorKey: operator, spireKey },
    };
    const world = new RealWorld(made, stops, keys, options);
    onEnd(() => world.#end());
    time.flow();
    return world;
  }

  /** A pairing with a new client key, which the bunker knows. */
  newPairing = (tokenMs?: number): Pairing => {
    const { bunker, keeper, bunkerSide, walletSide } = this;
    const { moreRelays = [], isTwofold = false } = this.#options;
    const { clientPubkey, pairing } = pairingWith(systemRandom, {
      spirePubkey: bunker.pubkey,
      operatorPubkey: keeper.operatorPubkey,
      transportPubkey: keeper.transportPubkey,
      walletId: keeper.walletId,
      bunkerRelays: [bunkerSide.line.url],
      // By another name, as a relay of its own has one.
      rpcRelays: [
        walletSide.line.urlBy('localhost'),
        ...(isTwofold ? [walletSide.line.url] : []),
        ...moreRelays,
      ],
    });
    this.clientPubkey = clientPubkey;
    this.token = bunker.policy.mintToken(tokenMs);
    bunker.policy.redeem(clientPubkey, this.token);
    return pairing;
  };

  /** The bunker's service manager starts it again. */
  restartBunker(): Promise<void> {
    return this.time.hold(this.bunker.restart());
  }

  /** Waits, on the machine's own news, until something is so. */
  async until(isSo: () => boolean, what: string): Promise<void> {
    if (isSo()) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const cancel = this.time.after(LIMIT_MS, () => {
      reject(new Error(`never: ${what}\n${this.machine.lines.slice(-20).join('')}`));
    });
    const look = () => {
      if (isSo()) resolve();
    };
    const off = this.machine.onNews(look);
    const offLinks = this.machine.nostr.onRelayStatus(look);
    try {
      await promise;
    } finally {
      cancel();
      off();
      offLinks();
    }
  }

  untilHealth(kind: SignerHealth['kind']): Promise<void> {
    return this.until(() => this.machine.health === kind, `the signer is ${kind}`);
  }

  /** The machine comes into service by itself: a signature, and an answer of the right wallet. */
  async serves(): Promise<void> {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      if ((await this.machine.nostr.signer.probe()).kind === 'ok' && (await this.asksWallet()))
        return;
      // The pace of the agent's own rounds while something is wrong.
      await sleep(this.clock, ROUND_MS);
    }
    throw new Error(`not in service again\n${this.machine.lines.slice(-20).join('')}`);
  }

  /** The bunker signs, perhaps not at once. */
  async signs(): Promise<void> {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      if ((await this.machine.nostr.signer.probe()).kind === 'ok') return;
      await sleep(this.clock, ROUND_MS);
    }
    throw new Error('it does not sign');
  }

  /** One call to the wallet; whether the pinned one answered. */
  async asksWallet(): Promise<boolean> {
    try {
      const answer = await this.machine.nostr.wallet.getWallet();
      return answer.kind === 'ok' && answer.value.walletId === this.keeper.walletId;
    } catch (error) {
      if (error instanceof SignerError) return false;
      throw error;
    }
  }

  async #end(): Promise<void> {
    const tokens = this.bunker.policy.state.tokens.map(({ token }) => hiddenText('a token', token));
    try {
      await this.machine.close([...this.#keys, ...tokens]);
      await quiet();
      expect([this.bunkerSide.line.open, this.walletSide.line.open]).toEqual([0, 0]);
      expect(this.clock.pending).toBe(0);
    } finally {
      for (const stop of this.#stops) await stop();
    }
  }
}
