/**
 * The whole agent with its devices among its peers: relay, bunker, wallet and sockets are real.
 * None of them runs until a test starts it, as after a power cut; the world before that is over.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { CustomerCommand, MachineView } from '#agent/api/schemas.ts';
import { type Config, parseConfig } from '#agent/config.ts';
import { differences } from '#agent/demo/truth.ts';
import { makeAcceptor, makeDispenser } from '#agent/devices.ts';
import { type Agent, startAgent } from '#agent/main.ts';
import { Cable } from '#hal/simulator/cable.ts';
import type { SimulatedDevice } from '#hal/simulator/device.ts';
import { Id003Device } from '#hal/simulator/id003/device.ts';
import { LcdmDevice } from '#hal/simulator/lcdm/device.ts';
import { MemoryPort } from '#hal/simulator/memory-port.ts';
import { sleep, systemRandom, timedOut, withDeadline } from '#protocol/base/clock.ts';
import { RelayError } from '#protocol/base/errors.ts';
import { silentLog } from '#protocol/base/log.ts';
import { PairingFile } from '#protocol/pairing/pairing-file.ts';
import { RelayPool } from '#protocol/relay/pool.ts';
import { createNostrCrypto, newSecretKey } from '#protocol/signer/nostr-crypto.ts';
import { startBunker } from '#protocol/simulator/bunker.ts';
import {
  BunkerPolicy,
  type BunkerState,
  type SimulatedBunker,
} from '#protocol/simulator/bunker-policy.ts';
import { createInvoiceMaker } from '#protocol/simulator/keeper/bolt11.ts';
import type { KeeperState } from '#protocol/simulator/keeper/state.ts';
import { type Keeper, startKeeper } from '#protocol/simulator/keeper.ts';
import { type SimulatedRelay, startRelay } from '#protocol/simulator/relay.ts';
import { logLines } from '#test/support/log-lines.ts';
import { type Hidden, hiddenKey, hiddenText, spilled } from '#test/support/written.ts';
import { FlowingClock, MachineClock } from './flowing-clock.ts';
import { Leaks } from './leaks.ts';
import { FILES_IN, pairingWith, SEALING_KEY } from './machine.ts';
import type { OnEnd } from './real-world.ts';

/** What has to be there before a machine is in service. */
export const PARTS = ['relay', 'bunker', 'wallet', 'machine'] as const;
/** One of them. */
export type Part = (typeof PARTS)[number];

/** A service manager starts what has given up again after this, ms. */
const RESTART_MS = 5_000;
/** Longest wait for the machine, its own ms: a link's longest back-off, and two probes. */
const LIMIT_MS = 900_000;
/** Pace at which a hand tries the slot again, ms. */
const HAND_MS = 500;
/** A line that nothing of the world may cause. Source: pino's level `fatal`. */
const FATAL = '"level":60';
const CASSETTES = {
  '1': { denomination: 20, count: 10 },
  '2': { denomination: 100, count: 10 },
};
const common = { random: systemRandom, log: silentLog };

/** See the head of the file. */
export class WholeWorld {
  readonly clock: FlowingClock;
  /** The machine's own. */
  readonly machineClock: MachineClock;
  readonly relay: SimulatedRelay;
  readonly validator: SimulatedDevice;
  readonly dispenser: SimulatedDevice;
  /** Beside the keys and tokens: links, codes and the like that a test has seen. */
  readonly hidden: Hidden[] = [];
  readonly #leaks: Leaks;
  readonly #folder = mkdtempSync(join(FILES_IN, 'spire-world-'));
  readonly #config = configuration(this.#folder);
  readonly #said = logLines();
  readonly #crypto = createNostrCrypto(systemRandom);
  readonly #spireKey = newSecretKey(systemRandom);
  readonly #keys = { transport: newSecretKey(systemRandom), operator: newSecretKey(systemRandom) };
  readonly #invoices = createInvoiceMaker(newSecretKey(systemRandom));
  /** What ends what was started; the last goes first. */
  readonly #stops: (() => Promise<void>)[] = [];
  #keeperState: KeeperState | undefined;
  #bunkerState: BunkerState | undefined;
  #isRelayUp: boolean = true;
  #isOver: boolean = false;
  #agent: Agent | undefined;
  #wallet: Keeper | undefined;
  #bunker: SimulatedBunker | undefined;
  #session = 0;

  private constructor(clock: FlowingClock, relay: SimulatedRelay, leaks: Leaks) {
    this.clock = clock;
    this.machineClock = new MachineClock(clock);
    this.relay = relay;
    this.#leaks = leaks;
    this.validator = new Id003Device({ clock, options: {} });
    const options = { model: 'lcdm-4000', cassettes: CASSETTES } as const;
    this.dispenser = new LcdmDevice({ clock, options });
  }

  /** The world as a power cut leaves it: documents in the relay, a pairing on the disk. */
  static async cold(onEnd: OnEnd, hasFees = true): Promise<WholeWorld> {
    const leaks = new Leaks();
    const clock = new FlowingClock();
    // NDK dates its events by the real time.
    const rules = { ephemeralAgeMaxSec: undefined };
    const relay = await startRelay({ clock, log: silentLog, rules });
    const world = new WholeWorld(clock, relay, leaks);
    onEnd(() => world.#end());
    clock.flow();
    await world.#before(hasFees);
    return world;
  }

  /** The same with everything started, and the machine in service. */
  static async inService(onEnd: OnEnd): Promise<WholeWorld> {
    const world = await WholeWorld.cold(onEnd);
    for (const part of PARTS) await world.start(part);
    await world.inService();
    return world;
  }

  /** Starts one part. It finds the others by itself, whenever they come. */
  async start(part: Part): Promise<void> {
    switch (part) {
      case 'relay':
        await this.relay.resume();
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
        this.#stops.push(() => this.#stopMachine());
        break;
    }
  }

  get agent(): Agent {
    if (!this.#agent) throw new Error('the machine was not started');
    return this.#agent;
  }

  get keeper(): Keeper {
    if (!this.#wallet) throw new Error('the wallet was not started');
    return this.#wallet;
  }

  get bunker(): SimulatedBunker {
    if (!this.#bunker) throw new Error('the bunker was not started');
    return this.#bunker;
  }

  get view(): MachineView {
    return this.agent.service.view();
  }

  /** Where the machine keeps its state. */
  get stateFolder(): string {
    return this.#config.paths.state;
  }

  /** The bunker's service manager starts it again. */
  restartBunker(): Promise<void> {
    return this.clock.hold(this.bunker.restart());
  }

  /** Ends the program, lets somebody at its files, and starts it again. */
  async restartMachine(meanwhile: () => void = () => undefined): Promise<void> {
    await this.#stopMachine();
    meanwhile();
    await this.start('machine');
  }

  /** Whether the machine serves both kinds of customer. */
  isInService(): boolean {
    const view = this.#agent?.service.view();
    return view?.state === 'idle' && view.cashIn.open && view.cashOut.open;
  }

  /** Waits, on the machine's own news, until it shows something. */
  async until(isSo: (view: MachineView) => boolean, what: string, limitMs = LIMIT_MS) {
    const { service } = this.agent;
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = () => {
      if (isSo(service.view())) resolve();
    };
    const off = service.subscribe(look);
    look();
    const end = await withDeadline(this.clock, limitMs, promise);
    off();
    if (end === timedOut) throw new Error(`never: ${what}\n${JSON.stringify(this.view)}`);
  }

  /** Waits until the machine serves both kinds of customer. */
  inService(limitMs?: number): Promise<void> {
    return this.until(() => this.isInService(), 'in service', limitMs);
  }

  /** A customer's command on the session that is on; a start makes a new one. */
  async act(command: Partial<CustomerCommand> & Pick<CustomerCommand, 'do'>): Promise<void> {
    const opens = ['startCashIn', 'startCashOut', 'redeem'].includes(command.do);
    if (opens) this.#session += 1;
    const session = this.#session.toString(16).padStart(32, '0');
    const step = opens ? 0 : (this.view.session?.step ?? 0);
    const full = { session, step, ...command } as CustomerCommand;
    expect(await this.agent.service.command(full)).toMatchObject({ ok: true });
  }

  /** Inserts a note once the slot takes it. */
  async insert(denomination: number): Promise<void> {
    for (let tries = 0; tries < 100; tries++) {
      try {
        this.validator.control({ do: 'insert', denomination });
        return;
      } catch {
        await sleep(this.clock, HAND_MS);
      }
    }
    throw new Error('the slot never took the note');
  }

  /** What does not agree between the machine's books, its devices, and the wallet's books. */
  differences(): readonly string[] {
    const empty = { units: {}, reject: {}, cashbox: {}, path: {}, customer: {} };
    const now = { validator: this.validator.truth(), dispenser: this.dispenser.truth() };
    const before = { validator: empty, dispenser: empty };
    return differences(this.agent.store, before, now, { keeper: this.keeper }, 'USD');
  }

  /** Writes a report of the machine beside its state, where it is searched as all else is. */
  keep(name: string, report: unknown): void {
    writeFileSync(join(this.stateFolder, name), JSON.stringify(report));
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
      bunkerRelays: [this.relay.url],
      rpcRelays: [this.relay.url],
    });
    mkdirSync(this.stateFolder, { recursive: true });
    const credential = Buffer.from(SEALING_KEY.reveal()).toString('hex');
    writeFileSync(join(this.#folder, 'spire-sealing-key'), credential);
    const path = join(this.stateFolder, 'pairing.json');
    new PairingFile({ path, ...common, sealingKey: SEALING_KEY }).save(pairing);
    const policy = new BunkerPolicy({ clock: this.clock, random: systemRandom });
    const token = policy.mintToken();
    policy.redeem(clientPubkey, token);
    this.hidden.push(
      hiddenKey('the client key', pairing.clientKey.reveal()),
      hiddenKey('the sealing key', SEALING_KEY.reveal()),
      hiddenKey('the identity', this.#spireKey),
      hiddenKey('the wallet’s key', this.#keys.transport),
      hiddenKey('the operator’s key', this.#keys.operator),
      hiddenText('a token', token),
    );
    this.#bunkerState = policy.state;
    this.#keeperState = keeper.state;
    await this.#stopAll();
    await this.relay.suspend();
    this.#isRelayUp = false;
  }

  /** It gives up where no relay is, and its service manager starts it again. */
  async #manageBunker(): Promise<void> {
    const { clock } = this;
    const options = { ...common, clock, relayUrls: [this.relay.url], secretKey: this.#spireKey };
    while (!this.#isOver) {
      const starting = startBunker({ ...options, state: this.#bunkerState });
      // NDK has a pace of its own, which counts only where it can come to anything.
      const started = this.#isRelayUp ? clock.hold(starting) : starting;
      const bunker = await started.catch((error: unknown) => {
        if (!(error instanceof RelayError)) throw error;
        return undefined;
      });
      if (bunker) {
        this.#bunker = bunker;
        this.#stops.push(() => bunker.stop());
        return;
      }
      await sleep(clock, RESTART_MS);
    }
  }

  #startWallet(): Keeper {
    const { clock } = this;
    const relays = new RelayPool({ ...common, clock, urls: [this.relay.url] });
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
    const { clock, validator, dispenser } = this;
    const config = this.#config;
    const { log } = this.#said;
    const wired = (path: string, device: SimulatedDevice) => ({
      ...{ random: systemRandom, log, clock: this.machineClock, model: undefined },
      port: new MemoryPort({ path, clock, cable: new Cable({ clock, device }) }),
    });
    return startAgent({
      ...{ random: systemRandom, log, config, clock: this.machineClock },
      credentialsFolder: this.#folder,
      acceptor: makeAcceptor({
        ...wired('validator', validator),
        ...{ protocol: 'id003', currency: config.currency },
      }),
      dispenser: makeDispenser({ ...wired('dispenser', dispenser), protocol: 'lcdm' }),
      fetchJson: async (url) => this.#wallet?.answerLnurl(url.replace(/^https:\/\/[^/]+/, '')),
    });
  }

  async #stopMachine(): Promise<void> {
    const agent = this.#agent;
    this.#agent = undefined;
    await agent?.stop();
    // What still waited would keep the process, or touch books that are closed.
    if (agent) expect(this.machineClock.pending).toBe(0);
  }

  async #stopAll(): Promise<void> {
    for (const stop of this.#stops.splice(0).reverse()) await stop();
  }

  /** Nothing is left running, and nothing that was written or said holds a secret. */
  async #end(): Promise<void> {
    this.#isOver = true;
    const search = () => spilled(this.stateFolder, this.#said.lines, this.hidden);
    const whileOpen = search();
    await this.#stopAll();
    this.validator.stop();
    this.dispenser.stop();
    await this.relay.stop();
    await this.clock.stop();
    const atTheEnd = search();
    rmSync(this.#folder, { recursive: true });
    expect([...whileOpen, ...atTheEnd]).toEqual([]);
    expect(this.#said.lines.filter((line) => line.includes(FATAL))).toEqual([]);
    // The runner keeps this world until the last row: what it said would weigh as a leak.
    this.#said.lines.length = 0;
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
