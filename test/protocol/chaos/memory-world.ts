/**
 * A machine on virtual time, with a bunker that does what a test says and the wallet stand-in, over
 * a relay in memory: for hours that nobody wants to wait for, and for answers that no honest
 * program gives.
 */
import { expect } from 'vitest';
import { silentLog } from '#protocol/base/log.ts';
import type { SignatureCap } from '#protocol/signer/signature-budget.ts';
import { createInvoiceMaker } from '#protocol/simulator/keeper/bolt11.ts';
import { type Keeper, startKeeper } from '#protocol/simulator/keeper.ts';
import { type MemoryClient, MemoryNetwork } from '#protocol/simulator/memory-network.ts';
import { cheapCrypto } from '#test/support/cheap-crypto.ts';
import { HostileBunker } from '#test/support/hostile-bunker.ts';
import { seededRandom } from '#test/support/seeded-random.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { type Hidden, hiddenKey } from '#test/support/written.ts';
import { Leaks } from './leaks.ts';
import { ChaosMachine, pairingWith } from './machine.ts';
import type { OnEnd } from './real-world.ts';

/** See the head of the file. */
export class MemoryWorld {
  readonly clock = new VirtualClock();
  readonly random = seededRandom('chaos');
  readonly crypto = cheapCrypto();
  readonly network: MemoryNetwork;
  readonly bunker: HostileBunker;
  readonly keeper: Keeper;
  readonly machine: ChaosMachine;
  readonly operatorKey = this.random.bytes(32);
  readonly transportKey = this.random.bytes(32);
  /** The machine's lines, the bunker's first, of all lives. */
  readonly lines: MemoryClient[] = [];
  readonly #leaks = new Leaks();

  constructor(onEnd: OnEnd, signatureCaps: readonly SignatureCap[] = []) {
    const { clock, random, crypto } = this;
    this.network = new MemoryNetwork({ clock, verify: crypto.verify });
    const spireKey = random.bytes(32);
    const transport = this.transportKey;
    const relays = this.network.client();
    this.bunker = new HostileBunker({ relays, clock, random, crypto, key: spireKey });
    this.keeper = startKeeper({
      ...{ clock, random, crypto, log: silentLog, relays: this.network.client() },
      invoices: createInvoiceMaker(random.bytes(32)),
      spirePubkey: this.bunker.pubkey,
      keys: { transport, operator: this.operatorKey },
      lnurlBase: 'https://wallet.example',
    });
    this.keeper.fund(1_000_000);
    const { pairing } = pairingWith(random, {
      spirePubkey: this.bunker.pubkey,
      operatorPubkey: this.keeper.operatorPubkey,
      transportPubkey: this.keeper.transportPubkey,
      walletId: this.keeper.walletId,
      bunkerRelays: [this.network.url],
      rpcRelays: [this.network.url],
    });
    this.machine = new ChaosMachine({
      ...{ clock, random, crypto, pairing, signatureCaps },
      openRelays: () => () => {
        const line = this.network.client();
        this.lines.push(line);
        return line;
      },
    });
    const secrets = [
      hiddenKey('the identity', spireKey),
      hiddenKey('the wallet’s key', transport),
      hiddenKey('the operator’s key', this.operatorKey),
    ];
    onEnd(() => this.#end(secrets));
  }

  /** A signature, and an answer of the right wallet. */
  async serves(): Promise<boolean> {
    const { signer, wallet } = this.machine.nostr;
    const health = await this.clock.resolve(signer.probe());
    if (health.kind !== 'ok') return false;
    const answer = await this.clock.resolve(wallet.getWallet());
    return answer.kind === 'ok' && answer.value.walletId === this.keeper.walletId;
  }

  async #end(secrets: readonly Hidden[]): Promise<void> {
    this.keeper.stop();
    await this.machine.close(secrets);
    // What is still under way to the peers arrives, and then nothing waits any more.
    await this.clock.advance(60_000);
    expect(this.clock.pending).toBe(0);
    await this.#leaks.check();
  }
}
