/**
 * A whole machine on virtual time: the real agent, drivers, protocol client and database, against
 * simulated devices, and a bunker and a wallet on a network in memory.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CustomerCommand, MachineView } from '#agent/api/schemas.ts';
import { type Config, parseConfig } from '#agent/config.ts';
import { differences } from '#agent/demo/truth.ts';
import { makeAcceptor, makeDispenser } from '#agent/devices.ts';
import { type Agent, startAgent } from '#agent/main.ts';
import { UpdateHold, type UpdateHoldOptions } from '#agent/upkeep/update-hold.ts';
import { Cable } from '#hal/simulator/cable.ts';
import type { SimulatedDevice } from '#hal/simulator/device.ts';
import { Id003Device } from '#hal/simulator/id003/device.ts';
import { LcdmDevice, type LcdmDeviceOptions } from '#hal/simulator/lcdm/device.ts';
import { MemoryPort } from '#hal/simulator/memory-port.ts';
import type { SimulatedCassette } from '#hal/simulator/protocol.ts';
import type { Clock, Random } from '#protocol/base/clock.ts';
import { createLog, type Log, silentLog } from '#protocol/base/log.ts';
import { Secret } from '#protocol/base/secret.ts';
import { pair } from '#protocol/pairing/pair.ts';
import { PairingFile } from '#protocol/pairing/pairing-file.ts';
import type { NostrCrypto } from '#protocol/signer/nostr-crypto.ts';
import { createInvoiceMaker } from '#protocol/simulator/keeper/bolt11.ts';
import { startKeeper } from '#protocol/simulator/keeper.ts';
import { startMemoryBunker } from '#protocol/simulator/memory-bunker.ts';
import { type MemoryClient, MemoryNetwork } from '#protocol/simulator/memory-network.ts';
import { cheapCrypto } from './cheap-crypto.ts';
import { type CommitPlan, type Death, Life } from './life.ts';
import { isSearched } from './secret-register.ts';
import { seededRandom } from './seeded-random.ts';
import { VirtualClock } from './virtual-clock.ts';
import { type Hidden, hiddenKey, hiddenLink, hiddenText, spilled } from './written.ts';

/** One of the two devices, by the names of the registries. */
export interface DeviceChoice {
  readonly protocol: string;
  /** The protocol's first model when left out. */
  readonly model?: string;
  /** For a validator that cannot be asked for the values of its channels. */
  readonly channels?: readonly number[];
  /** How often the program asks it while it is idle, ms; the driver's own when left out. */
  readonly pollMs?: number;
  readonly make: (clock: Clock) => SimulatedDevice;
}

/** What a test may want otherwise. */
export interface MachineOptions {
  /** Laid over the configuration, key by key. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly fundSats?: number;
  readonly maxCashInSats?: number | null;
  readonly dispenser?: Partial<LcdmDeviceOptions>;
  readonly publish?: boolean;
  /** Another seed, other random bytes. */
  readonly seed?: string;
  /** Devices other than an ID-003 validator and an LCDM-4000. */
  readonly devices?: { readonly validator: DeviceChoice; readonly dispenser: DeviceChoice };
  /** What is in the dispenser, and what the operator's document says of it. */
  readonly cassettes?: Readonly<Record<string, SimulatedCassette>>;
  /** Keys and signatures; hashes in their place when left out, they are 50 times as fast. */
  readonly makeCrypto?: (random: Random) => NostrCrypto;
  /** What the disk does; asked for every life. */
  readonly commitPlan?: CommitPlan;
  readonly log?: Log;
  /** Where its folder is made; in memory unless given. */
  readonly base?: string;
  /** An update that is under way. */
  readonly hold?: Pick<UpdateHoldOptions, 'planFile' | 'version'>;
  /** Told of every command that moves a note or lets the device forget one, as it is given. */
  readonly onAct?: (act: DeviceAct) => void;
}

/** Commands that cannot be taken back, by the names of the service interfaces. */
export type DeviceAct = 'deposit' | 'returnNote' | 'confirmDeposit' | 'dispense';

const CASSETTES = {
  '1': { denomination: 20, count: 10 },
  '2': { denomination: 20, count: 10 },
  '3': { denomination: 50, count: 10 },
  '4': { denomination: 100, count: 4 },
};
const RELAY = 'wss://relay.example';

const BASE = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** Tells of some methods of a driver before they are carried out. */
function observed<Driver extends object>(
  driver: Driver,
  acts: readonly (DeviceAct & keyof Driver)[],
  tell: (act: DeviceAct) => void,
): Driver {
  for (const act of acts) {
    const method: unknown = driver[act];
    if (typeof method !== 'function') throw new Error(`the driver has no ${act}`);
    const value = (...args: unknown[]): unknown => {
      tell(act);
      return method.apply(driver, args);
    };
    Object.defineProperty(driver, act, { value });
  }
  return driver;
}

/** The usual pair. */
function usualDevices(options: MachineOptions, cassettes: MachineOptions['cassettes'] = CASSETTES) {
  const validator = (clock: Clock) => new Id003Device({ clock, options: {} });
  const dispenser = (clock: Clock) =>
    new LcdmDevice({ clock, options: { model: 'lcdm-4000', cassettes, ...options.dispenser } });
  return {
    validator: { protocol: 'id003', make: validator },
    dispenser: { protocol: 'lcdm', make: dispenser },
  } satisfies MachineOptions['devices'];
}

/** Whether a machine that was started has recovered. */
export const isUp = ({ state }: MachineView): boolean =>
  state === 'idle' || state === 'outOfService' || state === 'exchange';

/** The machine, its world, and hands. */
export class WholeMachine {
  readonly clock = new VirtualClock();
  readonly random: Random;
  readonly folder: string;
  readonly validator: SimulatedDevice;
  readonly dispenser: SimulatedDevice;
  readonly validatorCable: Cable;
  readonly dispenserCable: Cable;
  readonly crypto: NostrCrypto;
  readonly network: MemoryNetwork;
  readonly keeper;
  readonly bunker;
  readonly config: Config;
  agent: Agent | undefined;
  life: Life;
  /** The machine's own links to the relay, of this life. */
  lines: readonly MemoryClient[] = [];
  /** What must stand nowhere in clear; kept where the run searches for it. */
  readonly hidden = new Map<string, Hidden>();
  /** A test has written a secret by intent, so that there is nothing to be proven. */
  isLeaky: boolean = false;
  /** The computer's own wall clock less the world's, ms; devices and peers live in the world's. */
  skewMs: number = 0;
  /** What all its lives have said. */
  readonly #said: string[] = [];
  readonly #options: MachineOptions;
  readonly #devices: NonNullable<MachineOptions['devices']>;
  readonly #cassettes: NonNullable<MachineOptions['cassettes']>;
  #session = 0;

  constructor(options: MachineOptions = {}) {
    const { clock } = this;
    const random = seededRandom(options.seed ?? 'whole machine');
    const crypto = (options.makeCrypto ?? cheapCrypto)(random);
    this.#options = options;
    this.folder = mkdtempSync(join(options.base ?? BASE, 'spire-machine-'));
    this.#cassettes = options.cassettes ?? CASSETTES;
    this.#devices = options.devices ?? usualDevices(options, this.#cassettes);
    this.random = random;
    this.crypto = crypto;
    this.life = new Life(clock);
    this.network = new MemoryNetwork({ clock, verify: crypto.verify });
    const common = { clock, random, crypto, log: silentLog };
    this.validator = this.#devices.validator.make(clock);
    this.dispenser = this.#devices.dispenser.make(clock);
    this.validatorCable = new Cable({ clock, device: this.validator });
    this.dispenserCable = new Cable({ clock, device: this.dispenser });
    const line = () => this.network.client({ latencyMs: () => 5 });
    const key = (what: string) => this.hide(what, hiddenKey, random.bytes(32));
    this.bunker = startMemoryBunker({ ...common, relays: line(), secretKey: key('the identity') });
    this.keeper = startKeeper({
      ...common,
      relays: line(),
      invoices: createInvoiceMaker(random.bytes(32)),
      spirePubkey: this.bunker.pubkey,
      keys: { transport: key('the wallet’s key'), operator: key('the operator’s key') },
      lnurlBase: 'https://wallet.example',
    });
    this.keeper.fund(options.fundSats ?? 5_000_000);
    if (options.maxCashInSats !== undefined) this.keeper.setMaxCashInSats(options.maxCashInSats);
    this.config = this.#configure();
  }

  #configure(): Config {
    const { validator, dispenser } = this.#devices;
    const device = ({ protocol, model, channels }: DeviceChoice, port: string) => ({
      ...{ protocol, port },
      ...(model === undefined ? {} : { model }),
      ...(channels ? { channels } : {}),
    });
    return parseConfig({
      currency: 'USD',
      support: { contact: '+1 555 0100' },
      validator: device(validator, 'validator'),
      dispenser: device(dispenser, 'dispenser'),
      network: 'regtest',
      limits: { max_cash_in_sats: null },
      rate: { kind: 'fixed', minorPerBtc: 9_711_700 },
      paths: { state: join(this.folder, 'state'), socket: join(this.folder, 'agent.sock') },
      ...this.#options.config,
    });
  }

  /** Publishes the operator's documents, pairs, starts, and waits until it is in service. */
  static async inService(options: MachineOptions = {}): Promise<WholeMachine> {
    const machine = new WholeMachine(options);
    await machine.pair();
    if (options.publish !== false) await machine.publish();
    machine.start();
    await machine.until((view) => view.state === 'idle' && view.cashOut.open, 'in service');
    return machine;
  }

  async publish(): Promise<void> {
    await this.clock.resolve(this.keeper.publishFees());
    await this.clock.resolve(this.keeper.publishCassettes(this.#cassettes));
  }

  async pair(): Promise<void> {
    const { clock, random, bunker, keeper, crypto } = this;
    const token = this.hide('a token', hiddenText, bunker.policy.mintToken());
    mkdirSync(this.config.paths.state, { recursive: true });
    const path = join(this.config.paths.state, 'pairing.json');
    const pairing = pair({
      seed: {
        spirePubkey: bunker.pubkey,
        bunkerPubkey: bunker.pubkey,
        bunkerRelays: [RELAY],
        relays: [RELAY],
        secret: new Secret(token),
      },
      operatorPubkey: keeper.operatorPubkey,
      transportPubkey: keeper.transportPubkey,
      walletId: keeper.walletId,
      file: new PairingFile({ path, random, log: silentLog }),
      makeRelays: () => this.network.client({ latencyMs: () => 5 }),
      clock,
      random,
      crypto,
      log: silentLog,
    });
    await clock.resolve(pairing);
    const kept = new PairingFile({ path, random, log: silentLog }).load();
    if (kept) this.hide('the client key', hiddenKey, kept.clientKey.reveal());
  }

  start(): Agent {
    const life = new Life(this.clock, this.#options.commitPlan, () => this.skewMs);
    this.life = life;
    const { clock } = life;
    const { random, config, crypto } = this;
    const log = this.#options.log ?? this.#makeLog();
    const { validator, dispenser } = this.#devices;
    const port = (path: string, cable: Cable) =>
      life.port(new MemoryPort({ path, clock: this.clock, cable }));
    const tell = (act: DeviceAct) => {
      if (!life.isDead) this.#options.onAct?.(act);
    };
    const lines: MemoryClient[] = [];
    this.lines = lines;
    this.agent = startAgent({
      ...{ config, clock, random, log, crypto },
      openDatabase: life.openDatabase,
      ...(this.#options.hold ? { hold: new UpdateHold({ ...this.#options.hold, clock }) } : {}),
      acceptor: observed(
        makeAcceptor({
          ...{ clock, random, log, protocol: validator.protocol, model: validator.model },
          ...{ channels: config.validator.channels, pollMs: validator.pollMs },
          port: port('validator', this.validatorCable),
          currency: config.currency,
        }),
        ['deposit', 'returnNote', 'confirmDeposit'],
        tell,
      ),
      dispenser: observed(
        makeDispenser({
          ...{ clock, random, log, protocol: dispenser.protocol, model: dispenser.model },
          pollMs: dispenser.pollMs,
          port: port('dispenser', this.dispenserCable),
        }),
        ['dispense'],
        tell,
      ),
      openRelays: () => {
        const line = this.network.client({ latencyMs: () => 5 });
        lines.push(line);
        return line;
      },
      fetchJson: async (url) => this.keeper.answerLnurl(url.replace(/^https:\/\/[^/]+/, '')),
    });
    this.agent.service.subscribe(({ session }) => {
      if (session?.claimCode) this.hide('a claim code', hiddenText, session.claimCode);
      if (session?.kind !== 'cashIn' || session.lnurl === null) return;
      this.hide('a link', hiddenLink, session.lnurl);
    });
    return this.agent;
  }

  /** Heard where the run searches what is said. */
  #makeLog(): Log {
    if (!isSearched()) return silentLog;
    return createLog('debug', { write: (line) => void this.#said.push(line) });
  }

  /** Takes a secret of this machine down; gives it back. */
  hide<Value extends string | Uint8Array>(
    what: string,
    hide: (what: string, value: Value) => Hidden,
    value: Value,
  ): Value {
    const name = `${what} ${value}`;
    if (isSearched() && !this.hidden.has(name)) this.hidden.set(name, hide(what, value));
    return value;
  }

  get running(): Agent {
    if (!this.agent) throw new Error('the machine has no power');
    return this.agent;
  }

  get view(): MachineView {
    return this.running.service.view();
  }

  /** Cuts the power of everything: nothing that was waiting ever happens. */
  cutPower(): void {
    this.die('powerCut');
    this.bury();
  }

  /** Ends the program at once, also from inside one of its own calls. `bury` has to follow. */
  die(death: Death, tornShare?: number): void {
    if (this.life.isDead) return;
    this.life.die(death, tornShare);
    for (const line of this.lines) line.partition();
    if (death === 'kill') return;
    this.validator.control({ do: 'power', on: false });
    this.dispenser.control({ do: 'power', on: false });
    this.validatorCable.unplug();
    this.dispenserCable.unplug();
  }

  /** Ends the program for good: nobody will look at its files. */
  abandon(): void {
    this.life.abandon();
    for (const line of this.lines) line.partition();
    this.bury();
  }

  /** Leaves of the dead program what its death has left of its files. */
  bury(): void {
    this.agent = undefined;
    this.life.bury();
  }

  /** Gives the power back and waits until the machine has recovered. */
  async powerOn(): Promise<void> {
    this.plugIn();
    this.start();
    await this.until(isUp, 'recovered');
  }

  /** Gives the devices power and puts their cables in. */
  plugIn(): void {
    this.validatorCable.plug();
    this.dispenserCable.plug();
    this.validator.control({ do: 'power', on: true });
    this.dispenser.control({ do: 'power', on: true });
  }

  /** Waits on virtual time until the view says it. */
  async until(found: (view: MachineView) => boolean, what: string): Promise<void> {
    await this.clock
      .until(() => found(this.view), 900_000)
      .catch(() => {
        throw new Error(`never: ${what}; the machine shows ${JSON.stringify(this.view)}`);
      });
  }

  /** A customer's command on the session that is on; a start makes a new one. */
  async act(command: Partial<CustomerCommand> & { readonly do: CustomerCommand['do'] }) {
    const opens = ['startCashIn', 'startCashOut', 'redeem'].includes(command.do);
    if (opens) this.#session += 1;
    const session = this.#session.toString(16).padStart(32, '0');
    const step = opens ? 0 : (this.view.session?.step ?? 0);
    const full = { session, step, ...command } as CustomerCommand;
    return this.running.service.command(full);
  }

  /** Inserts a note once the slot takes it. */
  async insert(denomination: number): Promise<void> {
    await this.clock.until(() => {
      try {
        this.validator.control({ do: 'insert', denomination });
        return true;
      } catch {
        return false;
      }
    }, 30_000);
  }

  /** A whole deposit up to the link on the screen. */
  async deposit(...notes: readonly number[]): Promise<string> {
    await this.act({ do: 'startCashIn' });
    let count = 0;
    for (const note of notes) {
      await this.insert(note);
      count += 1;
      await this.untilCashIn(({ notes: have }) => have === count, `${note} is in`);
    }
    await this.act({ do: 'finish' });
    await this.untilCashIn(({ lnurl }) => lnurl !== null, 'the link is there');
    return this.cashIn.lnurl ?? '';
  }

  /** A whole sale up to the invoice on the screen. */
  async sell(amountMinor: number): Promise<string> {
    await this.act({ do: 'startCashOut' });
    await this.untilCashOut(({ phase }) => phase === 'choosing', 'amounts are offered');
    const result = await this.act({ do: 'chooseAmount', amountMinor });
    if (!result.ok) throw new Error(result.reason);
    await this.untilCashOut(
      ({ bolt11, outcome }) => bolt11 !== null || outcome !== null,
      'invoice',
    );
    return this.cashOut.bolt11 ?? '';
  }

  get cashIn() {
    const { session } = this.view;
    if (session?.kind !== 'cashIn') throw new Error('no cash-in is on');
    return session;
  }

  get cashOut() {
    const { session } = this.view;
    if (session?.kind !== 'cashOut') throw new Error('no cash-out is on');
    return session;
  }

  untilCashIn(found: (view: WholeMachine['cashIn']) => boolean, what: string): Promise<void> {
    return this.until(({ session }) => session?.kind === 'cashIn' && found(session), what);
  }

  untilCashOut(found: (view: WholeMachine['cashOut']) => boolean, what: string): Promise<void> {
    return this.until(({ session }) => session?.kind === 'cashOut' && found(session), what);
  }

  /** Waits for the last screen, leaves it, and waits for idle. */
  async leave(): Promise<string> {
    await this.until(({ session }) => session === null || session.outcome !== null, 'the end');
    const outcome = this.view.session?.outcome?.code ?? '';
    await this.act({ do: 'dismiss' });
    await this.until(({ session }) => session === null, 'the next customer');
    return outcome;
  }

  /** What does not agree between books and truth. */
  differences(): readonly string[] {
    const empty = { units: {}, reject: {}, cashbox: {}, path: {}, customer: {} };
    return differences(
      this.running.store,
      { validator: empty, dispenser: empty },
      { validator: this.validator.truth(), dispenser: this.dispenser.truth() },
      { keeper: this.keeper },
      'USD',
    );
  }

  kinds(): readonly string[] {
    return this.running.store.journal.read({}).map(({ kind }) => kind);
  }

  async stop(): Promise<void> {
    await this.agent?.stop();
    this.#proveNothingSpilled();
    this.keeper.stop();
    await this.bunker.stop();
    this.validator.stop();
    this.dispenser.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Its database and its log hold no key, code or link of its own in clear. */
  #proveNothingSpilled(): void {
    // A test may have stopped it itself.
    if (this.isLeaky || !isSearched() || !existsSync(this.folder)) return;
    // Without a credential the pairing is not sealed (design 4); no rig here has one.
    const isPairing = (path: string) => path.endsWith('pairing.json');
    const found = spilled(this.folder, this.#said, [...this.hidden.values()], isPairing);
    if (found.length > 0) throw new Error(`secrets in clear:\n${found.join('\n')}`);
  }
}
