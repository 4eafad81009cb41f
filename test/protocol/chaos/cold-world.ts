/**
 * A machine and its peers after a power cut: none of them runs, and each is started when a test
 * says so. The machine is the whole agent with its devices; relay, bunker and sockets are real.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type Config, parseConfig } from '#agent/config.ts';
import { makeAcceptor, makeDispenser } from '#agent/devices.ts';
import { type Agent, startAgent } from '#agent/main.ts';
import { Cable } from '#hal/simulator/cable.ts';
import type { SimulatedDevice } from '#hal/simulator/device.ts';
import { Id003Device } from '#hal/simulator/id003/device.ts';
import { LcdmDevice } from '#hal/simulator/lcdm/device.ts';
import { MemoryPort } from '#hal/simulator/memory-port.ts';
import { sleep, systemRandom, withDeadline } from '#protocol/base/clock.ts';
import { RelayError } from '#protocol/base/errors.ts';
import { silentLog } from '#protocol/base/log.ts';
import { PairingFile } from '#protocol/pairing/pairing-file.ts';
import { RelayPool } from '#protocol/relay/pool.ts';
import { createNostrCrypto, newSecretKey } from '#protocol/signer/nostr-crypto.ts';
import { startBunker } from '#protocol/simulator/bunker.ts';
import { BunkerPolicy, type BunkerState } from '#protocol/simulator/bunker-policy.ts';
import { createInvoiceMaker } from '#protocol/simulator/keeper/bolt11.ts';
import type { KeeperState } from '#protocol/simulator/keeper/state.ts';
import { type Keeper, startKeeper } from '#protocol/simulator/keeper.ts';
import { type SimulatedRelay, startRelay } from '#protocol/simulator/relay.ts';
import { FlowingClock, MachineClock } from './flowing-clock.ts';
import { Leaks } from './leaks.ts';
import { pairingWith } from './machine.ts';
import type { OnEnd } from './real-world.ts';

/** What has to be there before a machine is in service. */
export const PARTS = ['relay', 'bunker', 'wallet', 'machine'] as const;
/** One of them. */
export type Part = (typeof PARTS)[number];

/** A service manager starts what has given up again after this, ms. */
const RESTART_MS = 5_000;
const CASSETTES = {
  '1': { denomination: 20, count: 10 },
  '2': { denomination: 100, count: 10 },
};
const common = { random: systemRandom, log: silentLog };

/** See the head of the file. */
export class ColdWorld {
  readonly clock: FlowingClock;
  readonly #machineClock: MachineClock;
  readonly #leaks: Leaks;
  readonly #folder = mkdtempSync(join(tmpdir(), 'spire-cold-'));
  readonly #config = configuration(this.#folder);
  readonly #crypto = createNostrCrypto(systemRandom);
  readonly #spireKey = newSecretKey(systemRandom);
  readonly #keys = { transport: newSecretKey(systemRandom), operator: newSecretKey(systemRandom) };
  readonly #invoices = createInvoiceMaker(newSecretKey(systemRandom));
  readonly #relay: SimulatedRelay;
  /** What ends what was started; the last goes first. */
  readonly #stops: (() => Promise<void>)[] = [];
  #keeperState: KeeperState | undefined;
  #bunkerState: BunkerState | undefined;
  #isRelayUp: boolean = true;
  #isOver: boolean = false;
  #agent: Agent | undefined;
  #wallet: Keeper | undefined;

  private constructor(clock: FlowingClock, relay: SimulatedRelay, leaks: Leaks) {
    this.clock = clock;
    this.#machineClock = new MachineClock(clock);
    this.#relay = relay;
    this.#leaks = leaks;
  }

  /** The world as a power cut leaves it: documents in the relay, a pairing on the disk. */
  static async make(onEnd: OnEnd, hasFees = true): Promise<ColdWorld> {
    const leaks = new Leaks();
    const clock = new FlowingClock();
    // NDK dates its events by the real time.
    const rules = { ephemeralAgeMaxSec: undefined };
    const relay = await startRelay({ clock, log: silentLog, rules });
    const world = new ColdWorld(clock, relay, leaks);
    onEnd(() => world.#end());
    clock.flow();
    await world.#before(hasFees);
    return world;
  }

  /** Starts one part. It finds the others by itself, whenever they come. */
  async start(part: Part): Promise<void> {
    switch (part) {
      case 'relay':
        await this.#relay.resume();
        this.#isRelayUp = true;
        break;
      case 'bunker':
        void this.#manageBunker();
        break;
      case 'wallet':
        this.#wallet = this.#startWallet();
        break;
      case 'machine':
        this.#agent = this.#startMachine();
        break;
    }
  }

  /** The operator publishes his fees. */
  async publishFees(): Promise<void> {
    await this.#wallet?.publishFees();
  }

  /** Whether the machine serves both kinds of customer. */
  isInService(): boolean {
    const view = this.#agent?.service.view();
    return view?.state === 'idle' && view.cashIn.open && view.cashOut.open;
  }

  /** What the machine says of itself, for a failure's message. */
  view(): string {
    return JSON.stringify(this.#agent?.service.view());
  }

  /** Waits, on the machine's own news, until it is in service, at most so long. */
  async inService(limitMs: number): Promise<void> {
    const agent = this.#agent;
    if (!agent) throw new Error('the machine was not started');
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = () => {
      if (this.isInService()) resolve();
    };
    const off = agent.service.subscribe(look);
    look();
    await withDeadline(this.clock, limitMs, promise);
    off();
  }

  /** The life before: the operator publishes, the machine is paired, and the power goes. */
  async #before(hasFees: boolean): Promise<void> {
    const keeper = this.#startWallet();
    keeper.fund(1_000_000);
    await keeper.listening;
    if (hasFees) await keeper.publishFees();
    await keeper.publishCassettes(CASSETTES);
    const { pairing, clientPubkey } = pairingWith(systemRandom, {
      spirePubkey: this.#crypto.publicKeyOf(this.#spireKey),
      transportPubkey: keeper.transportPubkey,
      operatorPubkey: keeper.operatorPubkey,
      walletId: keeper.walletId,
      bunkerRelays: [this.#relay.url],
      rpcRelays: [this.#relay.url],
    });
    const { state } = this.#config.paths;
    mkdirSync(state, { recursive: true });
    new PairingFile({ path: join(state, 'pairing.json'), ...common }).save(pairing);
    const policy = new BunkerPolicy({ clock: this.clock, random: systemRandom });
    policy.redeem(clientPubkey, policy.mintToken());
    this.#bunkerState = policy.state;
    this.#keeperState = keeper.state;
    await this.#stopAll();
    await this.#relay.suspend();
    this.#isRelayUp = false;
  }

  /** It gives up where no relay is, and its service manager starts it again. */
  async #manageBunker(): Promise<void> {
    const { clock } = this;
    const options = { ...common, clock, relayUrls: [this.#relay.url], secretKey: this.#spireKey };
    while (!this.#isOver) {
      const starting = startBunker({ ...options, state: this.#bunkerState });
      // NDK has a pace of its own, which counts only where it can come to anything.
      const started = this.#isRelayUp ? clock.hold(starting) : starting;
      const bunker = await started.catch((error: unknown) => {
        if (!(error instanceof RelayError)) throw error;
        return undefined;
      });
      if (bunker) {
        this.#stops.push(() => bunker.stop());
        return;
      }
      await sleep(clock, RESTART_MS);
    }
  }

  #startWallet(): Keeper {
    const { clock } = this;
    const relays = new RelayPool({ ...common, clock, urls: [this.#relay.url] });
    const keeper = startKeeper({
      ...{ ...common, clock, relays, crypto: this.#crypto, invoices: this.#invoices },
      spirePubkey: this.#crypto.publicKeyOf(this.#spireKey),
      keys: this.#keys,
      lnurlBase: 'https://wallet.example',
      state: this.#keeperState,
    });
    this.#stops.push(async () => {
      keeper.stop();
      await relays.close();
    });
    return keeper;
  }

  #startMachine(): Agent {
    const { clock } = this;
    const config = this.#config;
    const validator = new Id003Device({ clock, options: {} });
    const dispenser = new LcdmDevice({
      clock,
      options: { model: 'lcdm-4000', cassettes: CASSETTES },
    });
    const wired = (path: string, device: SimulatedDevice) => ({
      ...{ ...common, clock: this.#machineClock, model: undefined },
      port: new MemoryPort({ path, clock, cable: new Cable({ clock, device }) }),
    });
    const agent = startAgent({
      ...{ ...common, config, clock: this.#machineClock },
      acceptor: makeAcceptor({
        ...wired('validator', validator),
        ...{ protocol: 'id003', currency: config.currency },
      }),
      dispenser: makeDispenser({ ...wired('dispenser', dispenser), protocol: 'lcdm' }),
      fetchJson: async () => ({}),
    });
    this.#stops.push(async () => {
      await agent.stop();
      validator.stop();
      dispenser.stop();
    });
    return agent;
  }

  async #stopAll(): Promise<void> {
    for (const stop of this.#stops.splice(0).reverse()) await stop();
  }

  async #end(): Promise<void> {
    this.#isOver = true;
    await this.#stopAll();
    await this.#relay.stop();
    await this.clock.stop();
    rmSync(this.#folder, { recursive: true });
    expect(this.#machineClock.pending).toBe(0);
    await this.#leaks.check();
  }
}

function configuration(folder: string): Config {
  return parseConfig({
    currency: 'USD',
    support: { contact: '+1 555 0100' },
    validator: { protocol: 'id003', port: 'validator' },
    dispenser: { protocol: 'lcdm', port: 'dispenser' },
    network: 'regtest',
    limits: { max_cash_in_sats: null },
    rate: { kind: 'fixed', minorPerBtc: 9_711_700 },
    paths: { state: join(folder, 'state'), socket: join(folder, 'agent.sock') },
  });
}
