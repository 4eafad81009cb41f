/** The agent put together: state, relays, devices, machines. The local API is serve.ts's. */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ActorRefFrom, createActor } from 'xstate';
import type { CashAcceptor } from '#hal/cash-acceptor.ts';
import type { CashDispenser } from '#hal/cash-dispenser.ts';
import { type CancelTimer, type Clock, type Random, withDeadline } from '#protocol/base/clock.ts';
import { ConfigError, endProgram } from '#protocol/base/errors.ts';
import type { Log } from '#protocol/base/log.ts';
import { CorrectedClock } from '#protocol/corrected-clock.ts';
import type { Pairing } from '#protocol/pairing/pairing.ts';
import { PairingFile } from '#protocol/pairing/pairing-file.ts';
import type { NostrCrypto } from '#protocol/signer/nostr-crypto.ts';
import type { Database } from '#state/database.ts';
import { openStore, type Store } from '#state/store.ts';
import type { MachineView } from './api/schemas.ts';
import { cashInActors } from './cash-in/actors.ts';
import { Withdraws } from './cash-in/withdraws.ts';
import { cashOutActors } from './cash-out/actors.ts';
import { Payments } from './cash-out/payments.ts';
import type { Config } from './config.ts';
import { Desk } from './desk.ts';
import { Doctor } from './doctor/doctor.ts';
import { OperatorDocuments } from './documents/operator-documents.ts';
import { TelemetryWatch } from './documents/telemetry.ts';
import { ExchangeDesk } from './exchange/exchange-desk.ts';
import { queueUnsigned } from './exchange/record.ts';
import { TechnicianDesk } from './exchange/technicians.ts';
import { Visits } from './exchange/visit.ts';
import { type FetchJson, makeFetchJson } from './fetch-json.ts';
import { AnchorWatch } from './identity/anchor.ts';
import { KeptPairing, noteOperator, setOperator } from './identity/operator.ts';
import { cashInMachine } from './machines/cash-in.ts';
import { cashOutMachine } from './machines/cash-out.ts';
import { effect } from './machines/effect.ts';
import { machineClock } from './machines/machine-clock.ts';
import { spireMachine } from './machines/spire.ts';
import { type NostrSide, type OpenRelays, openNostr } from './nostr.ts';
import type { Parts } from './parts.ts';
import { dispute } from './recovery/dispute.ts';
import { obligationsView } from './recovery/obligation-views.ts';
import { openActOn } from './recovery/open-act.ts';
import { Recovery } from './recovery/recovery.ts';
import { confirmByHand, settleByHand } from './recovery/settle.ts';
import { deviceViews } from './service/device-views.ts';
import type { SpireService } from './service/service.ts';
import { journalView, statusView } from './service/service-views.ts';
import { BACKUPS, backUp } from './upkeep/back-up.ts';
import { openSealingKey, type SealingKey } from './upkeep/sealing-key.ts';
import type { UpdateHold } from './upkeep/update-hold.ts';
import { VERSION } from './version.ts';
import { DeviceWatch } from './watch/device-watch.ts';
import { DiskWatch } from './watch/disk-watch.ts';
import { HealthWatch } from './watch/health-watch.ts';
import { openRates } from './watch/rates.ts';
import { ReasonBoard } from './watch/reasons.ts';
import { openWalletWatch } from './watch/wallet-watch.ts';

/**
 * Longest that a stop waits for money in flight, ms: an act of a device takes seconds, and what is
 * cut after all is settled at the next start.
 */
const REST_LIMIT_MS = 15_000;

/** What the agent is started with; devices are opened by the agent and closed by it. */
export interface AgentOptions {
  readonly config: Config;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly acceptor: CashAcceptor;
  readonly dispenser: CashDispenser;
  /** systemd's credentials folder, if there is one. */
  readonly credentialsFolder?: string | undefined;
  /** Names this run of the computer; read from the kernel where it is not given. */
  readonly bootId?: string | undefined;
  /** Holds a release that is being proven; without it none is. */
  readonly hold?: UpdateHold;
  /** Opens links to relays; a simulation gives another one. */
  readonly openRelays?: OpenRelays;
  /** Keys and signatures; a simulation gives cheaper ones. */
  readonly crypto?: NostrCrypto;
  /** Opens the state's file; a simulation gives a disk that fails. */
  readonly openDatabase?: (path: string) => Database;
  /** Asks the servers of prices and links; a simulation gives another one. */
  readonly fetchJson?: FetchJson;
}

/** A running agent. */
export interface Agent {
  readonly service: SpireService;
  readonly store: Store;
  /** Opens no session any more, lets money in flight come to rest, then closes everything. */
  stop(): Promise<void>;
}

/** The pairing in force. @throws ConfigError `notFound` when this machine was never paired. */
function loadPairing(stateFolder: string, file: PairingFile): Pairing {
  const pairing = file.load();
  if (pairing) return pairing;
  throw new ConfigError(
    'notFound',
    `this machine is not paired (no pairing.json in ${stateFolder}): run \`spire pair\``,
  );
}

/** Names this run of the computer, so that the journal tells a restart from a power cut. */
function bootId(random: Random): string {
  const path = '/proc/sys/kernel/random/boot_id';
  if (existsSync(path)) return readFileSync(path, 'utf8').trim();
  return Buffer.from(random.bytes(16)).toString('hex');
}

/**
 * Starts the agent: it comes in service by itself as its peers and devices are there.
 * @throws ConfigError, StoreError for what a person has to mend first.
 */
export function startAgent(options: AgentOptions): Agent {
  const { config, clock, random, log } = options;
  const time = new CorrectedClock({ clock, log: log.child({ room: 'protocol' }) });
  const folder = config.paths.state;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const sealing = openSealingKey(folder, options.credentialsFolder, random);
  const pairingFile = new PairingFile({
    path: join(folder, 'pairing.json'),
    sealingKey: sealing.origin === 'credential' ? sealing.key : undefined,
    random,
    log,
  });
  const pairing = new KeptPairing(pairingFile, loadPairing(folder, pairingFile));
  const store = openStore({
    path: join(folder, 'state.sqlite'),
    clock: time.world,
    random,
    log: log.child({ room: 'state' }),
    sealingKey: sealing.key,
    bootId: options.bootId ?? bootId(random),
    backupFolder: join(folder, BACKUPS),
    ...(options.openDatabase ? { openDatabase: options.openDatabase } : {}),
  });
  const { openRelays, crypto } = options;
  const nostr = openNostr({
    ...{ store, clock, time, random, log, openRelays, crypto },
    pairing: pairing.current,
    savePairing: (changed) => pairing.saveRelays(changed),
    signatureCaps: config.signer.caps.map(({ count, minutes }) => {
      return { count, windowMs: minutes * 60_000 };
    }),
  });
  const corrected = { ...options, clock: time.world };
  return new RunningAgent(corrected, pairing, store, nostr, sealing).start();
}

/** Everything that runs, and the order in which it starts and ends. */
class RunningAgent implements Agent {
  readonly store: Store;
  readonly service: SpireService;
  readonly #options: AgentOptions;
  readonly #nostr: NostrSide;
  readonly #kept: KeptPairing;
  readonly #parts: Parts;
  readonly #documents: OperatorDocuments;
  readonly #telemetry: TelemetryWatch;
  readonly #anchor: AnchorWatch;
  readonly #withdraws: Withdraws;
  readonly #payments: Payments;
  readonly #recovery: Recovery;
  readonly #exchange: ExchangeDesk;
  readonly #devices: DeviceWatch;
  readonly #disk: DiskWatch;
  readonly #health: HealthWatch;
  readonly #spire: ActorRefFrom<typeof spireMachine>;
  readonly #listeners = new Set<(view: MachineView) => void>();
  #cancelTelling: CancelTimer | undefined;
  #offBoard: () => void = () => undefined;

  constructor(
    options: AgentOptions,
    kept: KeptPairing,
    store: Store,
    nostr: NostrSide,
    sealing: SealingKey,
  ) {
    const { config, clock, random, log, acceptor, dispenser } = options;
    const heardDate = (host: string, unixMs: number) => nostr.time.heardDate(host, unixMs);
    const ask = options.fetchJson ?? makeFetchJson(heardDate);
    this.store = store;
    this.#kept = kept;
    this.#options = options;
    this.#nostr = nostr;
    const board = new ReasonBoard();
    const { wallet, signer, signatures, rpc, bunker, time } = nostr;
    const pairing = kept.current;
    board.setBoth('starting', 'The machine is starting.');
    this.#disk = new DiskWatch({
      ...{ store, board, clock, log },
      isIdle: () => this.#isIdle(),
      recover: () => this.#recovery.sessionsOver(),
    });
    const common = { config, clock, random, log, store, board, wallet, walletId: pairing.walletId };
    this.#documents = new OperatorDocuments({
      ...common,
      ...{ nostr, pairing },
      // Notes that are still to be booked would be taken from a count that was made without them.
      mayApply: () =>
        this.#isIdle() && !this.#exchange.isOpen() && !openActOn({ store }, 'dispenser'),
      positions: dispenser.capabilities.positions,
      holds: (notes) => dispenser.holds?.(notes) ?? true,
      changed: () => this.#change(),
    });
    this.#parts = {
      ...common,
      ...{ acceptor, dispenser, unwrittenCredits: [], unwrittenEnds: new Map() },
      ...{ signer, signatures, rpc },
      rates: openRates({
        ...common,
        ...{ rate: config.rate, currency: config.currency, fetchJson: ask },
      }),
      walletWatch: openWalletWatch(common),
      claimKey: sealing.key,
      fees: () => this.#documents.fees(),
      operatorCap: () => this.#documents.operatorCap(),
      changed: () => this.#change(),
    };
    this.#anchor = new AnchorWatch({
      ...common,
      reader: nostr.anchors,
      spirePubkey: pairing.spirePubkey,
      wake: () => this.#documents.wake(),
    });
    this.#withdraws = new Withdraws(this.#parts, ask);
    this.#payments = new Payments(this.#parts);
    this.#recovery = new Recovery(this.#parts, this.#withdraws);
    this.#exchange = this.#createExchange();
    this.#devices = this.#createDeviceWatch();
    this.#health = new HealthWatch(this.#parts, {
      onSigner: (listener) => bunker.onHealth(listener),
      clock: () => time.verdict(),
      onClock: (listener) => time.subscribe(listener),
    });
    this.#spire = this.#createMachine();
    this.service = this.#createService(sealing);
    this.#telemetry = this.#createTelemetry();
  }

  #createExchange(): ExchangeDesk {
    return new ExchangeDesk(this.#parts, {
      isAtRest: () => this.#isIdle() && !this.#spire.getSnapshot().matches('recovering'),
      checkDispenser: () => this.#devices.checkDispenser(),
      ended: () => this.#health.checkNotes(),
    });
  }

  #createTelemetry(): TelemetryWatch {
    return new TelemetryWatch({
      ...{ ...this.#parts, publisher: this.#nostr.publisher, version: VERSION },
      operatorPubkey: () => this.#kept.current.operatorPubkey,
      status: () => this.service.status('counts'),
      isIdle: () => this.#isIdle() && !this.#exchange.isOpen(),
    });
  }

  #createDeviceWatch(): DeviceWatch {
    return new DeviceWatch(this.#parts, {
      takesNotes: () => this.#spire.getSnapshot().children.cashIn !== undefined,
      mindsEscrow: () => {
        const cashIn = this.#spire.getSnapshot().children.cashIn?.getSnapshot();
        return cashIn?.matches('accepting') || cashIn?.matches('closing') || false;
      },
      dispenses: () =>
        this.#spire.getSnapshot().children.cashOut !== undefined || this.#exchange.isTesting(),
      isAttended: () => this.#exchange.isOpen(),
      recover: (device) => this.#recovery.device(device),
    });
  }

  start(): this {
    const { board } = this.#parts;
    this.#offBoard = board.subscribe(() => {
      const open = { cashIn: board.open('cashIn'), cashOut: board.open('cashOut') };
      this.#spire.send({ type: 'reasons.changed', open });
      this.#change();
    });
    this.store.commit(() => this.store.journal.append('agent.started', { version: VERSION }));
    noteOperator(this.store, this.#options.clock, this.#kept.current.operatorPubkey);
    if (this.#options.hold?.isHeld()) this.#waitForProof(this.#options.hold);
    else this.#openDocuments();
    this.#spire.start();
    this.#health.start();
    return this;
  }

  #openDocuments(): void {
    queueUnsigned(this.store);
    this.#anchor.open();
    this.#documents.open();
    this.#telemetry.open();
  }

  /** Nobody is served, and nothing is heard or said, before the update is proven. */
  #waitForProof(hold: UpdateHold): void {
    this.#parts.board.setBoth('updating', 'The machine is being updated.');
    hold.onRelease(() => {
      this.store.commit(() => this.store.journal.append('update.proven', { version: VERSION }));
      this.#openDocuments();
      this.#parts.board.setBoth('updating', undefined);
    });
  }

  /** Devices first, then what was open when the program ended, then the doors. */
  async #recover(signal: AbortSignal): Promise<void> {
    await this.#devices.start();
    // Ended meanwhile: the books are closed, and the next start does it all.
    if (signal.aborted) return;
    await this.#disk.untilTaken(() => this.#recovery.transactions(), signal);
    this.#withdraws.resume();
    this.#payments.resume();
    this.#health.checkNotes();
    this.#parts.board.setBoth('starting', undefined);
  }

  /** A start that failed is said: nothing opens before the next one. */
  #fail(err: unknown): never {
    this.#options.log.fatal({ err }, 'the start failed');
    this.#parts.board.setBoth('starting', 'The machine could not start. Its log says why.');
    throw err;
  }

  #createMachine(): ActorRefFrom<typeof spireMachine> {
    const { log, clock } = this.#options;
    const machine = spireMachine.provide({
      actors: {
        cashIn: cashInMachine.provide({ actors: cashInActors(this.#parts, this.#withdraws) }),
        cashOut: cashOutMachine.provide({ actors: cashOutActors(this.#parts, this.#payments) }),
        recover: effect<void>((_, signal) =>
          this.#recover(signal).catch((err: unknown) => this.#fail(err)),
        ),
        tidyUp: this.#disk.tidyingUp(async () => {
          this.#health.checkNotes();
          await this.#devices.checkDispenser();
        }),
      },
    });
    const actor = createActor(machine, {
      clock: machineClock(clock),
      inspect: (event) => {
        if (event.type !== '@xstate.snapshot') return;
        log.debug({ actor: event.actorRef.sessionId, event: event.event.type }, 'machine moved');
        this.#change();
      },
    });
    // XState itself would end it too, by a timer of the system's clock.
    actor.subscribe({ error: endProgram });
    return actor;
  }

  #createService(sealing: SealingKey): SpireService {
    const parts = this.#parts;
    const kept = this.#kept;
    const desk = new Desk(parts, this.#spire);
    const sources = {
      parts,
      desk,
      spirePubkey: kept.current.spirePubkey,
      operatorPubkey: () => kept.current.operatorPubkey,
      relayStatus: () => this.#nostr.relayStatus(),
      clockOffsetMs: () => this.#nostr.time.offsetMs(),
      dispenserStatus: () => this.#devices.dispenserStatus(),
    };
    const doctor = new Doctor({
      parts,
      operatorPubkey: () => kept.current.operatorPubkey,
      sealedBy: sealing.origin,
      nostr: {
        roundTrips: (limitMs) => this.#nostr.roundTrips(limitMs),
        clockVerdict: () => this.#nostr.time.verdict(),
      },
      devices: this.#devices,
      isIdle: () => this.#isIdle(),
    });
    return {
      view: () => desk.view(),
      subscribe: (listener) => {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
      },
      command: (command) => Promise.resolve(desk.command(command)),
      status: (sight) => statusView(sources, sight),
      journal: (query) => journalView(parts, query),
      documents: (sight) => this.#documents.views(sight),
      obligations: (query) => obligationsView(parts, query),
      dispute: (name) =>
        dispute(
          {
            ...{ parts, spirePubkey: kept.current.spirePubkey },
            devices: () => deviceViews(parts, this.#devices),
          },
          name,
        ),
      settle: (settlement) => settleByHand(parts, settlement),
      backup: () => backUp(parts, () => this.#isIdle()),
      confirm: (confirmation) => confirmByHand(parts, confirmation),
      doctor: () => doctor.examine(),
      visit: this.#createVisits(),
      devices: () => deviceViews(parts, this.#devices),
      acceptDevice: (device, acceptance) =>
        this.#devices.accept(device === 'validator' ? 'acceptor' : device, acceptance),
      acceptAnchor: (acceptance) => this.#anchor.accept(acceptance),
      setOperator: (change) =>
        setOperator({ ...parts, pairing: kept, turnTo: (pubkey) => this.#turnTo(pubkey) }, change),
    };
  }

  #createVisits(): Visits {
    const { store, clock, random, claimKey: key } = this.#parts;
    const technicians = new TechnicianDesk({ store, clock, random, key });
    return new Visits(this.#parts, technicians, this.#exchange);
  }

  #turnTo(operatorPubkey: string): void {
    this.#nostr.setOperator(operatorPubkey);
    this.#documents.setOperator(operatorPubkey);
    this.#anchor.publish();
  }

  #isIdle(): boolean {
    const { cashIn, cashOut } = this.#spire.getSnapshot().children;
    return cashIn === undefined && cashOut === undefined;
  }

  /** Tells the screens once for all changes of a moment. */
  #change(): void {
    this.#cancelTelling ??= this.#options.clock.after(0, () => {
      this.#cancelTelling = undefined;
      this.#devices.tellNotes();
      this.#exchange.proceed();
      this.#documents.applyPending();
      const view = this.service.view();
      for (const listener of this.#listeners) listener(view);
    });
  }

  /** Whether only a device or the wallet may end what is going on, or it is being written down. */
  #isMoneyInFlight(): boolean {
    const { cashIn, cashOut } = this.#spire.getSnapshot().children;
    const session = cashIn?.getSnapshot() ?? cashOut?.getSnapshot();
    if (this.#exchange.isTesting()) return true;
    return session?.hasTag('moneyInFlight') || session?.matches('concluding') || false;
  }

  async #comeToRest(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = () => {
      if (!this.#isMoneyInFlight()) resolve();
    };
    const off = this.service.subscribe(look);
    look();
    await withDeadline(this.#options.clock, REST_LIMIT_MS, promise);
    off();
  }

  async stop(): Promise<void> {
    this.#parts.board.setBoth('stopping', 'The machine is being stopped.');
    await this.#comeToRest();
    this.#spire.send({ type: 'agent.stopped' });
    this.#offBoard();
    this.#options.hold?.close();
    this.#health.close();
    this.#disk.close();
    this.#devices.close();
    this.#withdraws.close();
    this.#payments.close();
    this.#anchor.close();
    this.#documents.close();
    this.#telemetry.close();
    this.#spire.stop();
    // Nobody is told any more: what would be shown is in books that are being closed.
    this.#cancelTelling?.();
    this.#cancelTelling = () => undefined;
    await this.#options.acceptor.close();
    await this.#options.dispenser.close();
    await this.#nostr.close();
    this.store.close();
  }
}
