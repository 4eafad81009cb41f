/** The wallet stand-in on virtual time, with a raw client for its machine. */
import { systemRandom } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import type { Relays } from '#protocol/relay/relay.ts';
import { createNostrCrypto, newSecretKey } from '#protocol/signer/nostr-crypto.ts';
import { createInvoiceMaker } from '#protocol/simulator/keeper/bolt11.ts';
import type { KeeperState } from '#protocol/simulator/keeper/state.ts';
import { type Keeper, startKeeper } from '#protocol/simulator/keeper.ts';
import { type MemoryClient, MemoryNetwork } from '#protocol/simulator/memory-network.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { type RawAnswer, RawIdentity, RawWalletClient } from './raw-client.ts';

const crypto = createNostrCrypto(systemRandom);
const keys = { transport: newSecretKey(systemRandom), operator: newSecretKey(systemRandom) };
const invoices = createInvoiceMaker(newSecretKey(systemRandom));

/** The base of links in these tests. */
export const LNURL_BASE = 'https://wallet.example';

/** A keeper, its clock, and what is needed to call it. */
export class KeeperWorld {
  readonly clock = new VirtualClock();
  // Without the relay's own rules on time, so that the stand-in's are seen.
  readonly network = new MemoryNetwork({
    clock: this.clock,
    verify: crypto.verify,
    rules: { futureMaxSec: undefined, ephemeralAgeMaxSec: undefined },
  });
  readonly spire = new RawIdentity();
  readonly operator = new RawIdentity(keys.operator);
  readonly keeper: Keeper;
  /** The machine's line. */
  readonly line: MemoryClient = this.network.client({ latencyMs: () => 1 });

  /** `wrap` may stand between the stand-in and its line. */
  constructor(state?: KeeperState, wrap: (relays: Relays) => Relays = (relays) => relays) {
    this.keeper = startKeeper({
      relays: wrap(this.network.client({ latencyMs: () => 1 })),
      clock: this.clock,
      random: systemRandom,
      crypto,
      invoices,
      log: silentLog,
      spirePubkey: this.spire.pubkey,
      keys,
      lnurlBase: LNURL_BASE,
      state,
    });
  }

  nowSec = (): number => Math.floor(this.clock.now() / 1000);

  /** A raw client; the machine's own unless another identity is given. */
  client(identity = this.spire): Promise<RawWalletClient> {
    const opening = RawWalletClient.open(
      this.line,
      this.keeper.transportPubkey,
      this.nowSec,
      identity,
    );
    return this.clock.resolve(opening);
  }

  /** Calls, and fails when no answer comes. */
  async call(
    client: RawWalletClient,
    rpcName: string,
    body: unknown = {},
    more: Record<string, unknown> = {},
  ): Promise<RawAnswer['body']> {
    const answer = await this.clock.resolve(client.call(rpcName, body, more), 60_000);
    return answer.body;
  }

  /** Calls and gives the data; throws the server's words when it refuses. */
  async data(
    client: RawWalletClient,
    rpcName: string,
    body: unknown = {},
  ): Promise<Record<string, unknown>> {
    const { data, error } = await this.call(client, rpcName, body);
    if (error !== undefined) throw new Error(String(error));
    return data as Record<string, unknown>;
  }
}
