/**
 * How long a `create_withdraw` takes, beside the round trips that nobody can spare it: the bunker
 * encrypts, the bunker signs, the wallet answers, the bunker decrypts. Each is measured alone, over
 * the same relay and NDK's bunker, between two calls.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, systemRandom } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import { sats } from '#protocol/base/money.ts';
import { kinds, type SignedEvent } from '#protocol/event.ts';
import { openBunkerSigner } from '#protocol/pairing/open-signer.ts';
import { pair } from '#protocol/pairing/pair.ts';
import type { Pairing } from '#protocol/pairing/pairing.ts';
import { PairingFile } from '#protocol/pairing/pairing-file.ts';
import { parseSeed } from '#protocol/pairing/seed.ts';
import { RelayPool } from '#protocol/relay/pool.ts';
import type { Relays } from '#protocol/relay/relay.ts';
import { NostrRpcClient } from '#protocol/rpc/rpc-client.ts';
import { Wallet } from '#protocol/rpc/wallet.ts';
import type { Signer } from '#protocol/signer/signer.ts';
import { startWorld, type World } from '#protocol/simulator/world.ts';
import { nowMs, type Quantiles, quantiles } from './stopwatch.ts';

/** The steps that cannot be spared, in their order. */
const STEPS = ['encrypt', 'sign', 'ask', 'decrypt'] as const;

/** Times of whole calls and of their steps alone. */
export interface WithdrawTimes {
  readonly whole: Quantiles;
  readonly steps: Readonly<Record<(typeof STEPS)[number], Quantiles>>;
  /** Middles of the steps, added up, ms. */
  readonly unavoidableMs: number;
}

const common = { clock: systemClock, random: systemRandom, log: silentLog };
const PRINCIPAL = sats(10_000);

/** Resolves at the first event of the wallet's that comes from now on. */
function nextAnswer(relays: Relays, transportPubkey: string): Promise<SignedEvent> {
  const { promise, resolve } = Promise.withResolvers<SignedEvent>();
  const filter = { kinds: [kinds.rpc], authors: [transportPubkey], limit: 0 };
  const off = relays.subscribe(filter, { event: resolve });
  return promise.finally(off);
}

class Bench {
  readonly #world: World;
  readonly #signer: Signer;
  readonly #relays: Relays;

  constructor(world: World, signer: Signer, relays: Relays) {
    this.#world = world;
    this.#signer = signer;
    this.#relays = relays;
  }

  /** One call as the agent makes it; a client of its own, as one makes ten calls a minute. */
  async whole(): Promise<number> {
    const { transportPubkey, walletId } = this.#world;
    const { promise, resolve } = Promise.withResolvers<void>();
    const rpc = new NostrRpcClient({
      ...{ ...common, relays: this.#relays, signer: this.#signer, transportPubkey },
    });
    const wallet = new Wallet({ ...common, rpc, walletId });
    const start = nowMs();
    const call = await wallet.prepareWithdraw(PRINCIPAL);
    rpc.watch(call, (answer) => {
      if (wallet.readWithdraw(answer).kind === 'link') resolve();
    });
    void rpc.publish(call);
    await promise;
    const tookMs = nowMs() - start;
    await rpc.close();
    return tookMs;
  }

  /** Each step of a call, one after the other and by itself. */
  async steps(): Promise<Record<(typeof STEPS)[number], number>> {
    const { transportPubkey, walletId } = this.#world;
    const body = { principal_sats: PRINCIPAL };
    const text = JSON.stringify({ rpc_name: 'create_withdraw', wallet_id: walletId, body });
    const at = [nowMs()];
    const content = await this.#signer.encrypt(transportPubkey, text);
    at.push(nowMs());
    const event = await this.#signer.sign({
      ...{ kind: kinds.rpc, created_at: Math.floor(systemClock.now() / 1000), content },
      tags: [['p', transportPubkey]],
    });
    at.push(nowMs());
    const answered = nextAnswer(this.#relays, transportPubkey);
    void this.#relays.publish(event);
    const answer = await answered;
    at.push(nowMs());
    await this.#signer.decrypt(transportPubkey, answer.content);
    at.push(nowMs());
    const [encrypt = 0, sign = 0, ask = 0, decrypt = 0] = at
      .slice(1)
      .map((atMs, index) => atMs - (at[index] ?? 0));
    return { encrypt, sign, ask, decrypt };
  }
}

async function paired(world: World, folder: string): Promise<Pairing> {
  return pair({
    ...common,
    seed: parseSeed(world.seed, { allowPrivateRelays: true }),
    operatorPubkey: world.operatorPubkey,
    transportPubkey: world.transportPubkey,
    walletId: world.walletId,
    allowPrivateRelays: true,
    file: new PairingFile({ ...common, path: join(folder, 'pairing.json') }),
    makeRelays: (urls, auth) => new RelayPool({ ...common, urls, auth }),
  });
}

/** Makes so many calls over a world of its own on loopback. */
export async function withdrawTimes(count: number): Promise<WithdrawTimes> {
  const folder = mkdtempSync(join(tmpdir(), 'spire-bench-'));
  const world = await startWorld(common);
  world.keeper.fund(100_000_000);
  const pairing = await paired(world, folder);
  const [bunkerRelays, relays] = [pairing.bunkerRelays, pairing.rpcRelays].map(
    (urls) => new RelayPool({ ...common, urls }),
  );
  if (!bunkerRelays || !relays) throw new Error('two pools');
  const signer = openBunkerSigner(pairing, { ...common, relays: bunkerRelays });
  try {
    const bench = new Bench(world, signer, relays);
    // The first of each makes conversation keys, and connections.
    await bench.whole();
    await bench.steps();
    const whole: number[] = [];
    const steps: Awaited<ReturnType<Bench['steps']>>[] = [];
    for (let done = 0; done < count; done++) {
      whole.push(await bench.whole());
      steps.push(await bench.steps());
    }
    const of = (name: (typeof STEPS)[number]) => quantiles(steps.map((times) => times[name]));
    const byStep = {
      ...{ encrypt: of('encrypt'), sign: of('sign') },
      ...{ ask: of('ask'), decrypt: of('decrypt') },
    };
    const unavoidableMs = STEPS.reduce((sum, name) => sum + byStep[name].p50Ms, 0);
    return { whole: quantiles(whole), steps: byStep, unavoidableMs };
  } finally {
    await signer.close();
    await Promise.all([relays.close(), bunkerRelays.close()]);
    await world.stop();
    rmSync(folder, { recursive: true });
  }
}
