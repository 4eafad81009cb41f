/**
 * The parts that effects work with, for tests of one effect: a real store in a file, real drivers
 * on simulated devices, a virtual clock, and a wallet of which the test says every answer.
 */
import { parseConfig } from '#agent/config.ts';
import { makeAcceptor } from '#agent/devices.ts';
import type { Parts } from '#agent/parts.ts';
import { ReasonBoard } from '#agent/watch/reasons.ts';
import { LcdmDispenser } from '#hal/lcdm/driver.ts';
import type { LineSettings, Port, PortEvent, Unsubscribe } from '#hal/port.ts';
import { Cable } from '#hal/simulator/cable.ts';
import { Id003Device } from '#hal/simulator/id003/device.ts';
import { LcdmDevice, type LcdmDeviceOptions } from '#hal/simulator/lcdm/device.ts';
import { MemoryPort } from '#hal/simulator/memory-port.ts';
import type { RecordedChunk } from '#protocol/base/errors.ts';
import { position } from '#protocol/base/ids.ts';
import { silentLog } from '#protocol/base/log.ts';
import { minorOfDenomination, minorPerBtc } from '#protocol/base/money.ts';
import { Secret } from '#protocol/base/secret.ts';
import type { PreparedCall, RpcClient, RpcOutcome } from '#protocol/rpc/rpc.ts';
import { Wallet } from '#protocol/rpc/wallet.ts';
import { createNostrCrypto } from '#protocol/signer/nostr-crypto.ts';
import { SelfKeySigner } from '#protocol/signer/self-key-signer.ts';
import { SignatureBudget } from '#protocol/signer/signature-budget.ts';
import { bayAccount } from '#state/note-ledger.ts';
import type { StoreOptions } from '#state/store.ts';
import { newStore } from '#test/state/fixtures.ts';
import { seededRandom } from './seeded-random.ts';
import { VirtualClock } from './virtual-clock.ts';

/** The wallet of every test. */
export const WALLET_ID = 'wallet-1';

/** Notes by position; two bays hold 20s. */
export const CASSETTES = {
  '1': { denomination: 20, count: 10 },
  '2': { denomination: 20, count: 10 },
  '3': { denomination: 50, count: 10 },
  '4': { denomination: 100, count: 4 },
} as const;

/** Answers one call; what it returns is what the wallet said. */
export type Answer = (rpcName: string, body: unknown) => RpcOutcome | Promise<RpcOutcome>;

/** What a test may want otherwise. */
export interface PartsOptions {
  /** Laid over the parts when all else is made. */
  readonly parts?: Partial<Omit<Parts, 'clock' | 'rpc'>>;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly store?: Partial<StoreOptions>;
  readonly device?: LcdmDeviceOptions;
  /** Notes that the books have; what the device holds when left out. */
  readonly booked?: LcdmDeviceOptions['cassettes'];
}

/** A port that tells the test of a write before the first byte of it moves. */
class WatchedPort implements Port {
  readonly path: string;
  readonly sent: string[] = [];
  onWrite: (hex: string) => void = () => undefined;
  readonly #port: Port;

  constructor(port: Port) {
    this.#port = port;
    this.path = port.path;
  }
  open(line: LineSettings): Promise<void> {
    return this.#port.open(line);
  }
  write(bytes: Uint8Array): void {
    const hex = Buffer.from(bytes).toString('hex');
    this.onWrite(hex);
    this.sent.push(hex);
    this.#port.write(bytes);
  }
  subscribe(listener: (event: PortEvent) => void): Unsubscribe {
    return this.#port.subscribe(listener);
  }
  close(): Promise<void> {
    return this.#port.close();
  }
  recording(): readonly RecordedChunk[] {
    return this.#port.recording();
  }
}

/** A wallet at the other end of the line that says what the test says. Nobody there: unanswered. */
class ScriptedRpc implements RpcClient {
  answer: Answer = () => ({ kind: 'unanswered' });
  readonly asked: { readonly rpcName: string; readonly body: unknown }[] = [];
  readonly #bodies = new Map<PreparedCall, unknown>();
  #listener: Parameters<RpcClient['watch']>[1] = () => undefined;

  async prepare(rpcName: string, body: unknown): Promise<PreparedCall> {
    const requestId = String(this.#bodies.size).padStart(32, '0');
    const event = {
      id: requestId.repeat(2),
      pubkey: '',
      created_at: 0,
      kind: 21_000,
      tags: [],
      content: '',
      sig: '',
    };
    const call = { rpcName, requestId, event } as PreparedCall;
    this.#bodies.set(call, body);
    return call;
  }
  watch(_call: PreparedCall, listener: Parameters<RpcClient['watch']>[1]): Unsubscribe {
    this.#listener = listener;
    return () => {
      this.#listener = () => undefined;
    };
  }
  async publish(call: PreparedCall): Promise<readonly []> {
    const outcome = await this.ask(call.rpcName, this.#bodies.get(call));
    if (outcome.kind !== 'unanswered') this.#listener(outcome);
    return [];
  }
  async ask(rpcName: string, body: unknown): Promise<RpcOutcome> {
    this.asked.push({ rpcName, body });
    return this.answer(rpcName, body);
  }
  async close(): Promise<void> {}
}

/** Parts with the hands that a test has on them. */
export interface TestParts extends Parts {
  readonly clock: VirtualClock;
  readonly rpc: ScriptedRpc;
  readonly validatorDevice: Id003Device;
  readonly dispenserDevice: LcdmDevice;
  readonly dispenserCable: Cable;
  readonly dispenserPort: WatchedPort;
}

/** All parts, every one defaulted; the dispenser's driver is open and its unit initialised. */
export async function testParts(options: PartsOptions = {}): Promise<TestParts> {
  const clock = new VirtualClock();
  const random = seededRandom('parts');
  const log = silentLog;
  const store = newStore({ clock, random, ...options.store });
  const device = { model: 'lcdm-4000', cassettes: CASSETTES, ...options.device } as const;
  const validatorDevice = new Id003Device({ clock, options: {} });
  const dispenserDevice = new LcdmDevice({ clock, options: device });
  const dispenserCable = new Cable({ clock, device: dispenserDevice });
  const dispenserPort = new WatchedPort(
    new MemoryPort({ path: 'dispenser', clock, cable: dispenserCable }),
  );
  const cable = new Cable({ clock, device: validatorDevice });
  const port = new MemoryPort({ path: 'validator', clock, cable });
  const currency = 'USD';
  const rpc = new ScriptedRpc();
  const fees = { kind: 'legs', platform: 0.03, operator: 0.05 } as const;
  const rate = minorPerBtc(9_711_700);
  const rateNow = () => ({ minorPerBtc: rate, source: 'a test', atMonotonicMs: clock.monotonic() });
  const { model } = device;
  const parts: TestParts = {
    config: parseConfig({
      currency,
      support: { contact: '+1 555 0100' },
      validator: { protocol: 'id003', port: 'validator' },
      dispenser: { protocol: 'lcdm', port: 'dispenser' },
      network: 'regtest',
      limits: { max_cash_in_sats: null },
      ...options.config,
    }),
    clock,
    random,
    log,
    store,
    acceptor: makeAcceptor({
      ...{ protocol: 'id003', model: undefined, port, clock, random, log, currency },
    }),
    dispenser: new LcdmDispenser({ port: dispenserPort, clock, log, options: { model } }),
    signer: new SelfKeySigner({
      key: new Secret(random.bytes(32)),
      clock,
      crypto: createNostrCrypto(random),
    }),
    signatures: new SignatureBudget({ clock, caps: [] }),
    rpc,
    wallet: new Wallet({ rpc, clock, log, walletId: WALLET_ID }),
    walletId: WALLET_ID,
    board: new ReasonBoard(),
    rates: {
      latest: () => rateNow(),
      fresh: async () => rateNow(),
    },
    unwrittenCredits: [],
    unwrittenEnds: new Map(),
    walletWatch: { balance: async () => 5_000_000, named: () => true },
    claimKey: new Secret(new Uint8Array(32).fill(9)),
    fees: () => ({ type: 'fees', cashIn: fees, cashOut: fees }),
    operatorCap: () => undefined,
    changed: () => undefined,
    validatorDevice,
    dispenserDevice,
    dispenserCable,
    dispenserPort,
    ...options.parts,
  };
  book(parts, options.booked ?? device.cassettes);
  await clock.resolve(parts.dispenser.open());
  await clock.resolve(parts.dispenser.initialise());
  dispenserPort.sent.length = 0;
  return parts;
}

/** Writes into the books what the bays hold. */
function book(parts: Parts, cassettes: NonNullable<LcdmDeviceOptions['cassettes']>): void {
  const { store, config } = parts;
  const { currency } = config;
  store.commit(() => {
    for (const [at, { denomination, count }] of Object.entries(cassettes)) {
      const bay = position(Number(at));
      const value = minorOfDenomination(denomination, currency);
      store.cashUnits.put({ position: bay, currency, value, parked: false, accuracy: 'set' });
      if (count === 0) continue;
      const move = { from: 'technician', to: bayAccount(bay), currency, value, count } as const;
      store.ledger.move({ ...move, cause: 'exchange' });
    }
  });
}
