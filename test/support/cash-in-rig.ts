/**
 * The cash-in half of a machine on virtual time: the real store, drivers, protocol client and
 * wallet
 * stand-in, on simulated devices. `restart` is a program that was killed and started again.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { Withdraws } from '#agent/cash-in/withdraws.ts';
import { type Config, parseConfig } from '#agent/config.ts';
import type { FetchJson } from '#agent/fetch-json.ts';
import type { Parts, Rate } from '#agent/parts.ts';
import { ReasonBoard } from '#agent/watch/reasons.ts';
import { openWalletWatch } from '#agent/watch/wallet-watch.ts';
import { Id003Acceptor } from '#hal/id003/driver.ts';
import { LcdmDispenser } from '#hal/lcdm/driver.ts';
import { Cable } from '#hal/simulator/cable.ts';
import { Id003Device, type Id003DeviceOptions } from '#hal/simulator/id003/device.ts';
import { LcdmDevice } from '#hal/simulator/lcdm/device.ts';
import { MemoryPort } from '#hal/simulator/memory-port.ts';
import type { CancelTimer, Clock } from '#protocol/base/clock.ts';
import type { TransactionId } from '#protocol/base/ids.ts';
import { type MinorUnits, minorPerBtc, minorUnits } from '#protocol/base/money.ts';
import { Secret } from '#protocol/base/secret.ts';
import type { FeesDocument } from '#protocol/documents/fees.ts';
import { kinds, type SignedEvent } from '#protocol/event.ts';
import { verifySignature } from '#protocol/relay/verify.ts';
import { SignatureBudget } from '#protocol/signer/signature-budget.ts';
import type { Signer, SignerHealth } from '#protocol/signer/signer.ts';
import { type MemoryClient, MemoryNetwork } from '#protocol/simulator/memory-network.ts';
import type { Database } from '#state/database.ts';
import { openStore, type Store } from '#state/store.ts';
import { TapPort } from '../hal/tap-port.ts';
import { makeKeeper, makeWallet } from '../protocol/rpc/keeper-rig.ts';
import { makeSigner } from '../protocol/rpc/rig.ts';
import { logLines } from './log-lines.ts';
import { seededRandom } from './seeded-random.ts';
import { VirtualClock } from './virtual-clock.ts';

/** One note of 100 dollars is 82,386 sats at this rate: fees 2,472 and 4,119, net 75,795. */
export const RATE = minorPerBtc(12_137_900);
/** Fees of 3 % and 5 %, rounded leg by leg. */
export const FEES: FeesDocument = {
  type: 'fees',
  cashIn: { kind: 'legs', platform: 0.03, operator: 0.05 },
  cashOut: { kind: 'legs', platform: 0.03, operator: 0.05 },
};

export const dollars = (value: number): MinorUnits => minorUnits(value * 100);

/** What a test may want otherwise. */
export interface CashInRigOptions {
  readonly limits?: Readonly<Record<string, unknown>>;
  readonly device?: Id003DeviceOptions;
  readonly fundSats?: number;
  readonly allowPrivateHosts?: boolean;
  readonly openDatabase?: (path: string) => Database;
}

/** A port that tells of every write before it happens; what it is told to lose never leaves. */
class WatchedPort extends TapPort {
  onWrite: (hex: string) => 'lost' | undefined = () => undefined;
  override write(bytes: Uint8Array): void {
    if (this.onWrite(Buffer.from(bytes).toString('hex')) !== 'lost') super.write(bytes);
  }
}

/** A signer whose health is what a test says. */
class MoodySigner implements Signer {
  readonly pubkey: string;
  mood: SignerHealth | undefined;
  probed: SignerHealth | undefined;
  probes = 0;
  /** Thrown by the next signatures, in order. */
  readonly failures: Error[] = [];
  readonly #signer: Signer;
  constructor(signer: Signer) {
    this.#signer = signer;
    this.pubkey = signer.pubkey;
  }
  async sign(template: Parameters<Signer['sign']>[0]): Promise<SignedEvent> {
    const failure = this.failures.shift();
    if (failure) throw failure;
    return this.#signer.sign(template);
  }
  encrypt(peer: string, plaintext: string): Promise<string> {
    return this.#signer.encrypt(peer, plaintext);
  }
  decrypt(peer: string, ciphertext: string): Promise<string> {
    return this.#signer.decrypt(peer, ciphertext);
  }
  health(): SignerHealth {
    return this.mood ?? this.#signer.health();
  }
  async probe(): Promise<SignerHealth> {
    this.probes++;
    return this.probed ?? this.health();
  }
  close(): Promise<void> {
    return this.#signer.close();
  }
}

/** A clock that stops with its program: what a killed one would still do never happens. */
class MortalClock implements Clock {
  readonly #clock: Clock;
  isDead: boolean = false;
  constructor(clock: Clock) {
    this.#clock = clock;
  }
  now(): number {
    return this.#clock.now();
  }
  monotonic(): number {
    return this.#clock.monotonic();
  }
  after(delayMs: number, task: () => void): CancelTimer {
    return this.#clock.after(delayMs, () => {
      if (!this.isDead) task();
    });
  }
}

/** One run of the program. */
interface Program {
  readonly mortal: MortalClock;
  readonly parts: Parts;
  readonly port: WatchedPort;
  readonly line: MemoryClient;
  readonly withdraws: Withdraws;
  readonly lines: readonly string[];
}

/** Devices, world, and the program on them. */
export class CashInRig {
  readonly clock = new VirtualClock();
  readonly network = new MemoryNetwork({ clock: this.clock, verify: verifySignature });
  readonly signer = new MoodySigner(makeSigner(this.clock));
  readonly keeper = makeKeeper(this.clock, this.network.client(), this.signer.pubkey);
  readonly validator: Id003Device;
  readonly dispenserDevice: LcdmDevice;
  readonly cable: Cable;
  readonly dispenserCable: Cable;
  /** Asked by `Withdraws` of every link; the stand-in's own server when left alone. */
  fetchLink: FetchJson = async (url) => this.keeper.answerLnurl(url);
  operatorCap: number | null | undefined;
  fees: FeesDocument | undefined = FEES;
  rate: number | undefined = RATE;
  changes = 0;
  readonly #options: CashInRigOptions;
  readonly #path: string;
  #program: Program;

  constructor(options: CashInRigOptions = {}) {
    const { clock } = this;
    this.#options = options;
    const base = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
    const folder = mkdtempSync(join(base, 'spire-cash-in-'));
    this.#path = join(folder, 'state.sqlite');
    this.validator = new Id003Device({ clock, options: options.device ?? {} });
    this.dispenserDevice = new LcdmDevice({
      clock,
      options: { model: 'lcdm-4000', cassettes: { '1': { denomination: 20, count: 10 } } },
    });
    this.cable = new Cable({ clock, device: this.validator });
    this.dispenserCable = new Cable({ clock, device: this.dispenserDevice });
    this.keeper.setFees({
      superCashIn: 0.03,
      operatorCashIn: 0.05,
      superCashOut: 0.03,
      operatorCashOut: 0.05,
    });
    this.keeper.fund(options.fundSats ?? 10_000_000);
    this.#program = this.#boot();
    onTestFinished(() => {
      this.kill();
      rmSync(folder, { recursive: true, force: true });
    });
  }

  get parts(): Parts {
    return this.#program.parts;
  }

  get store(): Store {
    return this.#program.parts.store;
  }

  get acceptor(): Parts['acceptor'] {
    return this.#program.parts.acceptor;
  }

  get port(): WatchedPort {
    return this.#program.port;
  }

  /** This machine's line to the relay. */
  get line(): MemoryClient {
    return this.#program.line;
  }

  get withdraws(): Withdraws {
    return this.#program.withdraws;
  }

  /** What the program has logged. */
  get lines(): readonly string[] {
    return this.#program.lines;
  }

  run<T>(promise: Promise<T>, limitMs?: number): Promise<T> {
    return this.clock.resolve(promise, limitMs);
  }

  /** Opens the validator alone and makes it ready, as the device watch would. */
  async ready(): Promise<this> {
    await this.run(this.acceptor.open());
    await this.run(this.acceptor.initialise());
    return this;
  }

  insert(denomination: number): void {
    this.validator.control({ do: 'insert', denomination });
  }

  fault(name: string, value?: number, times = 1): void {
    this.validator.control({ do: 'fault', name, times, ...(value === undefined ? {} : { value }) });
  }

  power(on: boolean): void {
    this.validator.control({ do: 'power', on });
  }

  /** The program dies at once; devices and world go on. */
  kill(): void {
    const { mortal, parts, line } = this.#program;
    if (mortal.isDead) return;
    mortal.isDead = true;
    parts.store.close();
    void parts.acceptor.close();
    void parts.dispenser.close();
    void line.close();
  }

  /** Another run of the program, on the same disk and devices. */
  restart(): void {
    this.kill();
    this.#program = this.#boot();
  }

  /** Kinds of all journal entries, oldest first. */
  journal(): string[] {
    return this.store.journal.read({ limit: 10_000 }).map(({ kind }) => kind);
  }

  obligations(id?: TransactionId): string[] {
    const { obligations } = this.store;
    const list = id ? obligations.forTransaction(id) : obligations.list();
    return list.filter(({ state }) => state === 'open').map(({ kind }) => kind);
  }

  /** What the books say is in the cash box. */
  booked(): Record<string, number> {
    return Object.fromEntries(
      this.store.ledger
        .balances()
        .filter(({ account }) => account === 'cashbox')
        .map(({ value, count }) => [String(value / 100), count]),
    );
  }

  /** Calls of the wallet that left this machine, by method. */
  onCall(listener: (event: SignedEvent) => void): void {
    const from = this.network.client();
    from.subscribe(
      { kinds: [kinds.rpc], authors: [this.signer.pubkey] },
      { event: (event) => listener(event) },
    );
  }

  #boot(): Program {
    const { keeper, signer } = this;
    const mortal = new MortalClock(this.clock);
    const { log, lines } = logLines();
    const bootId = `boot ${this.clock.monotonic()}`;
    const common = { clock: mortal, random: seededRandom(bootId), log };
    const claimKey = new Secret(new Uint8Array(32).fill(7));
    const { openDatabase } = this.#options;
    const store = openStore({
      ...common,
      path: this.#path,
      sealingKey: claimKey,
      bootId,
      ...(openDatabase ? { openDatabase } : {}),
    });
    const config = makeConfig(this.#options);
    const port = new WatchedPort(
      new MemoryPort({ path: 'validator', clock: mortal, cable: this.cable }),
    );
    const dispenserPort = { path: 'dispenser', clock: mortal, cable: this.dispenserCable };
    const line = this.network.client();
    const { rpc, wallet } = makeWallet(mortal, line, signer, keeper);
    const board = new ReasonBoard();
    const { walletId } = keeper;
    const parts: Parts = {
      ...common,
      signatures: new SignatureBudget({ clock: mortal, caps: [] }),
      ...{ config, store, signer, rpc, wallet, walletId, board, claimKey },
      acceptor: new Id003Acceptor({ ...common, port, options: { currency: 'USD' } }),
      dispenser: new LcdmDispenser({
        ...common,
        port: new MemoryPort(dispenserPort),
        options: { model: 'lcdm-4000' },
      }),
      rates: { latest: () => this.#rateNow(), fresh: async () => this.#rateNow() },
      unwrittenCredits: [],
      unwrittenEnds: new Map(),
      walletWatch: openWalletWatch({ ...common, config, wallet, walletId, board }),
      fees: () => this.fees,
      operatorCap: () => this.operatorCap,
      changed: () => {
        this.changes++;
      },
    };
    const withdraws = new Withdraws(parts, (url) => this.fetchLink(url));
    return { mortal, parts, port, line, withdraws, lines };
  }

  #rateNow(): Rate | undefined {
    if (this.rate === undefined) return undefined;
    return {
      minorPerBtc: minorPerBtc(this.rate),
      source: 'a test',
      atMonotonicMs: this.clock.monotonic(),
    };
  }
}

function makeConfig({ limits, allowPrivateHosts }: CashInRigOptions): Config {
  return parseConfig({
    currency: 'USD',
    support: { contact: '+1 555 0100' },
    validator: { protocol: 'id003', port: 'validator' },
    dispenser: { protocol: 'lcdm', port: 'dispenser' },
    network: 'regtest',
    limits: { max_cash_in_sats: null, ...limits },
    allowPrivateHosts: allowPrivateHosts ?? false,
  });
}
