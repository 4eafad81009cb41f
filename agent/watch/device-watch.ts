/**
 * Keeps both devices in use: opens them, tries again, initialises them when they ask for it, tells
 * the reason board, and takes what no customer session is there to take. What is asked of a device
 * here goes one after the other: an act that is under way is not for the recovery to settle.
 */

import type {
  CashAcceptorEvent,
  CashAcceptorStatus,
  DeviceIdentity,
  InitialiseOutcome,
  PowerUpEvidence,
} from '#hal/cash-acceptor.ts';
import type { CashDispenserStatus } from '#hal/cash-dispenser.ts';
import { type CancelTimer, sleep } from '#protocol/base/clock.ts';
import { DeviceError, messageOf } from '#protocol/base/errors.ts';
import type { MinorUnits } from '#protocol/base/money.ts';
import { isDiskFull } from '#state/store-error.ts';
import { forgetLastCredit, giveBack, takeUnexpectedCredit } from '../cash-in/note.ts';
import { bookOut, doubtBay, doubtLateActs } from '../cash-out/dispense-batch.ts';
import { noteCassettes } from '../exchange/cassettes.ts';
import { doubtRemovedBay, takeAwayCashBox } from '../exchange/unattended.ts';
import type { Parts } from '../parts.ts';
import { openActOn, tellOpenAct, writeEnd } from '../recovery/open-act.ts';
import type { Direction } from './reasons.ts';
import { type Device, type DeviceAcceptance, ReplugGuard } from './replug.ts';

/** Pause before a device that did not open, or could not be initialised, is tried again. */
const RETRY_MS = 5_000;
/** Pace of asking an idle dispenser how it is; it does not report by itself. */
const DISPENSER_POLL_MS = 10_000;
/** Initialisations in a row that may leave a credit to be taken first. */
const INITIALISE_MAX = 3;

/** What the watch has to know of the rest of the agent. */
export interface SessionState {
  /** True while a session takes notes: then the notes are its business. */
  takesNotes(): boolean;
  /** True while that session hears of a note in escrow: else nobody but this watch gives it back. */
  mindsEscrow(): boolean;
  /** True while a session may be using the dispenser. */
  dispenses(): boolean;
  /** True while a technician is at the machine: what is taken out then is asked about there. */
  isAttended(): boolean;
  /** Settles what was open on a device when the program last ended; called once it answers. */
  recover(device: 'acceptor' | 'dispenser'): Promise<void>;
}

/** A device that did not answer may answer later, and a full disk opens by itself. */
const mayPass = (err: unknown): boolean => err instanceof DeviceError || isDiskFull(err);

/** The watch over validator and dispenser. */
export class DeviceWatch {
  readonly #parts: Parts;
  readonly #session: SessionState;
  readonly #closed = new AbortController();
  readonly #offs: (() => void)[] = [];
  #cancelPoll: CancelTimer = () => undefined;
  #initialising: boolean = false;
  /** A note was drawn in, and that the last credit is an old one now is not on disk yet. */
  #drawnIn: boolean = false;
  #initialisesLater: boolean = false;
  #checking: Promise<void> | undefined;
  /** Devices of which the recovery is done: before that nothing may be reset. */
  readonly #recovered = new Set<'acceptor' | 'dispenser'>();
  /** Devices that are open: their drivers keep in touch from then on. */
  readonly #opened = new Set<'acceptor' | 'dispenser'>();
  #dispenser: CashDispenserStatus | undefined;
  /** What the dispenser last told of itself. */
  #told: CashDispenserStatus['device'] = 'offline';
  readonly #identities = new Map<'acceptor' | 'dispenser', DeviceIdentity>();
  readonly #replug: ReplugGuard;

  constructor(parts: Parts, session: SessionState) {
    this.#parts = parts;
    this.#session = session;
    this.#replug = new ReplugGuard(parts);
  }

  /** Opens both devices; resolves when each was tried once. What failed is tried again later. */
  async start(): Promise<void> {
    const { acceptor, dispenser } = this.#parts;
    this.#offs.push(
      acceptor.subscribe((event) => this.#onAcceptor(event)),
      dispenser.subscribe((event) => {
        if (event.kind === 'device.failed') {
          this.#parts.log.error({ err: event.error }, 'dispenser failed');
          return;
        }
        this.#told = event.device;
        if (event.device === 'offline') this.#replug.gone('dispenser');
        // Before its recovery is done it is not asked: then it is, whatever it told meanwhile.
        const isAsked = this.#recovered.has('dispenser') && !this.#session.dispenses();
        if (isAsked) this.#inBackground(this.checkDispenser());
      }),
    );
    await Promise.all([this.#openAcceptor(), this.#openDispenser()]);
    this.#pollLater();
  }

  /** The dispenser's condition as last asked. */
  dispenserStatus(): CashDispenserStatus | undefined {
    return this.#dispenser;
  }

  /** Asks the dispenser how it is, and no more; while a session may use it, as last asked. */
  async askDispenser(): Promise<CashDispenserStatus | undefined> {
    await this.#checking;
    if (!this.#session.dispenses()) this.#dispenser = await this.#parts.dispenser.status();
    return this.#dispenser;
  }

  /** Who a device said it is when it was opened; undefined while it was not. */
  identity(device: 'acceptor' | 'dispenser'): DeviceIdentity | undefined {
    return this.#identities.get(device);
  }

  /** A person accepts a device that waited for that; only one that answers. */
  accept(device: Device, acceptance: DeviceAcceptance): 'accepted' | 'nothingFound' | 'notThere' {
    const { acceptor } = this.#parts;
    const status = device === 'acceptor' ? acceptor.status() : this.#dispenser;
    if (!status || status.device === 'offline') return 'notThere';
    return this.#replug.accept(device, acceptance) ? 'accepted' : 'nothingFound';
  }

  /** Stops watching; the devices are closed by their owner. */
  close(): void {
    this.#closed.abort(new Error('closed'));
    this.#cancelPoll();
    for (const off of this.#offs) off();
  }

  async #openAcceptor(): Promise<void> {
    const { acceptor, board } = this.#parts;
    try {
      if (!this.#opened.has('acceptor')) {
        const identity = await acceptor.open();
        this.#isIdentified('acceptor', identity);
        this.#opened.add('acceptor');
        const { powerUp } = acceptor.status();
        this.#tellOpened('acceptor', { ...identity, powerUp });
      }
      if (acceptor.values().length === 0) {
        board.set('cashIn', 'currencyMismatch', 'The validator knows no note of this currency.');
      }
      await this.#recoverFirst('acceptor');
      await this.initialiseAcceptor();
    } catch (err) {
      this.#openLater(err, 'cashIn', 'validator', () => this.#openAcceptor());
    }
  }

  async #openDispenser(): Promise<void> {
    const { dispenser } = this.#parts;
    try {
      if (!this.#opened.has('dispenser')) {
        const identity = await dispenser.open();
        this.#isIdentified('dispenser', identity);
        this.#opened.add('dispenser');
        this.#tellOpened('dispenser', identity);
      }
      await this.#recoverFirst('dispenser');
      await this.checkDispenser();
    } catch (err) {
      this.#openLater(err, 'cashOut', 'dispenser', () => this.#openDispenser());
    }
  }

  /** What the last run left open; what this one leaves is looked for again and again. */
  async #recoverFirst(device: 'acceptor' | 'dispenser'): Promise<void> {
    if (this.#recovered.has(device)) return;
    await this.#session.recover(device);
    this.#recovered.add(device);
  }

  /** Tries again later to open a device, and keeps its direction closed. A bug is told, and thrown on. */
  #openLater(
    err: unknown,
    direction: Direction,
    device: 'validator' | 'dispenser',
    again: () => Promise<void>,
  ): void {
    const { board, log } = this.#parts;
    if (!mayPass(err)) {
      board.set(direction, 'starting', `The ${device} could not be started. The log says why.`);
      throw err;
    }
    log.warn({ err }, `${device} not opened`);
    const how = err instanceof DeviceError ? 'does not work' : 'is not ready';
    board.set(direction, device, `The ${device} ${how}: ${messageOf(err)}`);
    this.#later(again);
  }

  #isIdentified(device: Device, identity: DeviceIdentity): void {
    this.#identities.set(device, identity);
    this.#replug.identified(device, identity);
  }

  #tellOpened(
    device: 'acceptor' | 'dispenser',
    { serialNumber, ...identity }: DeviceIdentity & { readonly powerUp?: PowerUpEvidence },
  ): void {
    const { log, store } = this.#parts;
    log.info({ device, identity }, 'device identified');
    const body = { ...identity, serialNumber: serialNumber ?? null };
    store.commit(() => store.journal.append(`${device}.opened`, body));
  }

  /**
   * Makes the validator ready, once no session uses it. An open intent on it is settled first; with
   * none, a note that was left inside is nobody's deposit.
   */
  async initialiseAcceptor(): Promise<void> {
    const { acceptor } = this.#parts;
    if (this.#initialising || !this.#recovered.has('acceptor')) return;
    if (this.#session.takesNotes()) {
      this.#initialiseLater();
      return;
    }
    this.#initialising = true;
    try {
      await this.#recoverLeft('acceptor');
      for (let round = 0; round < INITIALISE_MAX; round++) {
        if (acceptor.status().device !== 'attention') break;
        if ((await this.#initialiseOnce()) !== 'deposited') break;
      }
    } finally {
      this.#initialising = false;
      // Also when the disk did not take it: nothing else would ask again.
      if (acceptor.status().device === 'attention') this.#initialiseLater();
    }
    this.#tellAcceptor(acceptor.status());
  }

  async #initialiseOnce(): Promise<InitialiseOutcome['note']> {
    const { acceptor, store } = this.#parts;
    const { powerUp } = acceptor.status();
    const intent = store.commit(() => {
      store.journal.append('initialise.intended', { device: 'acceptor', powerUp });
      return store.intents.open({ kind: 'initialise', device: 'acceptor', body: { powerUp } });
    });
    const outcome = await acceptor.initialise();
    const settle = () =>
      store.commit(() => {
        store.intents.settle(intent.id, outcome.note, { evidence: outcome.evidence });
        store.journal.append('initialise.settled', { ...outcome });
      });
    const write = async () => {
      // First what is owed for it, for it is told once: a full disk may take neither.
      if (outcome.note === 'deposited') await this.#takeCredit(undefined);
      settle();
    };
    await writeEnd(this.#parts, intent, write, settle);
    return outcome.note;
  }

  #initialiseLater(): void {
    if (this.#initialisesLater) return;
    this.#initialisesLater = true;
    this.#later(() => {
      this.#initialisesLater = false;
      return this.initialiseAcceptor();
    });
  }

  /**
   * Makes the dispenser ready. It may move notes that were left on its path, so it is journaled
   * like a dispense; bays that it moved notes of are counted at the next exchange.
   */
  async #initialiseDispenser(): Promise<void> {
    const { dispenser, store } = this.#parts;
    const intent = store.commit(() => {
      store.journal.append('initialise.intended', { device: 'dispenser' });
      return store.intents.open({ kind: 'initialise', device: 'dispenser', body: {} });
    });
    const outcome = await dispenser.initialise();
    const moved =
      outcome.kind === 'answered'
        ? outcome.units.filter(({ presented, rejected }) => presented + rejected > 0)
        : [];
    const write = () =>
      store.commit(() => {
        store.intents.settle(intent.id, outcome.kind, { evidence: outcome.evidence });
        const { openedAtUnixMs } = intent;
        for (const { position, presented, rejected } of moved) {
          bookOut(this.#parts, undefined, position, 'customer', presented, openedAtUnixMs);
          bookOut(this.#parts, undefined, position, 'reject', rejected, openedAtUnixMs);
          doubtBay(this.#parts, position);
        }
        if (outcome.kind === 'answered') doubtLateActs(this.#parts);
        store.journal.append('initialise.settled', {
          device: 'dispenser',
          outcome: outcome.kind,
          evidence: outcome.evidence,
          moved: moved.map((unit) => ({ ...unit })),
        });
      });
    try {
      await writeEnd(this.#parts, intent, write, write);
    } finally {
      tellOpenAct(this.#parts, 'cashOut');
    }
  }

  #onAcceptor(event: CashAcceptorEvent): void {
    const { log } = this.#parts;
    switch (event.kind) {
      case 'status.changed':
        this.#tellAcceptor(event.status);
        if (event.status.device === 'attention') this.#inBackground(this.initialiseAcceptor());
        break;
      case 'note.escrowed':
        if (!this.#session.mindsEscrow()) this.#inBackground(giveBack(this.#parts));
        break;
      case 'note.inserted':
        this.#drawnIn = true;
        this.#inBackground(this.#forgetLastCredit());
        break;
      case 'credit.unexpected':
        this.#inBackground(this.#takeCredit(event.value));
        break;
      case 'fraud.attempted':
        this.#inBackground(this.#noteFraud(event.code));
        break;
      case 'device.failed':
        log.error({ err: event.error }, 'validator failed');
        break;
      default:
        log.debug({ kind: event.kind }, 'acceptor news');
    }
  }

  async #forgetLastCredit(): Promise<void> {
    if (!this.#drawnIn) return;
    forgetLastCredit(this.#parts);
    this.#drawnIn = false;
  }

  async #takeCredit(value: MinorUnits | undefined): Promise<void> {
    // What a full disk did not take of this is known here still.
    const isNew = this.#drawnIn;
    this.#drawnIn = false;
    await takeUnexpectedCredit(this.#parts, value, isNew);
  }

  async #noteFraud(code: string): Promise<void> {
    const { store } = this.#parts;
    store.commit(() => store.journal.append('fraud.attempted', { code }));
  }

  #tellAcceptor({ device, cashBox, fault }: CashAcceptorStatus): void {
    const { board } = this.#parts;
    if (device === 'offline' && this.#opened.has('acceptor')) this.#replug.gone('acceptor');
    const why: Readonly<Record<typeof device, string | undefined>> = {
      ready: undefined,
      offline: 'The validator does not answer.',
      attention: 'The validator is being initialised.',
      fault: `The validator needs help: ${fault?.text ?? 'unknown fault'}.`,
    };
    board.set('cashIn', 'validator', why[device]);
    // A note in doubt closes the slot until the sensors are clear: a ready validator is empty.
    if (device === 'ready') board.set('cashIn', 'noteUnknown', undefined);
    const boxWhy: Readonly<Record<typeof cashBox, string | undefined>> = {
      ok: undefined,
      unknown: undefined,
      full: 'The cash box is full.',
      missing: 'The cash box is out.',
    };
    board.set('cashIn', 'cashBox', boxWhy[cashBox]);
    if (cashBox === 'missing') this.#inBackground(this.#noteRemovedBox());
  }

  /** Outside an exchange the books follow what was carried away. */
  async #noteRemovedBox(): Promise<void> {
    if (!this.#session.isAttended()) takeAwayCashBox(this.#parts);
  }

  #noteRemovedBays({ units }: CashDispenserStatus): void {
    if (this.#session.isAttended()) return;
    for (const { position, status } of units) {
      const unit = status === 'missing' ? this.#parts.store.cashUnits.get(position) : undefined;
      if (unit) doubtRemovedBay(this.#parts, unit);
    }
  }

  /**
   * Tells a dispenser that measures notes what its bays hold; one that has to be initialised for it
   * says so by its status. A parked bay is out of use, whatever it is said to hold.
   */
  tellNotes(): void {
    const { dispenser, store } = this.#parts;
    dispenser.setNotes?.(store.cashUnits.list().filter(({ parked }) => !parked));
  }

  /** Asks the dispenser how it is, makes it ready where it asks for that, and tells the board. */
  checkDispenser(): Promise<void> {
    // Before the check begins: news that comes of it asks for this very check.
    this.tellNotes();
    // It begins a moment later, for what it settles first may ask for this very check as well.
    this.#checking ??= Promise.resolve()
      .then(() => this.#check())
      .finally(() => {
        this.#checking = undefined;
      });
    return this.#checking;
  }

  #mayInitialise(device: CashDispenserStatus['device']): boolean {
    return device === 'attention' && this.#recovered.has('dispenser');
  }

  async #check(): Promise<void> {
    const { board, dispenser } = this.#parts;
    if (!this.#session.dispenses()) await this.#recoverLeft('dispenser');
    // One that has just told that it must be made ready is not asked first: a start waits for it.
    let status = this.#mayInitialise(this.#told) ? undefined : await dispenser.status();
    if (!status || this.#mayInitialise(status.device)) {
      await this.#initialiseDispenser();
      status = await dispenser.status();
    }
    this.#dispenser = status;
    this.#noteRemovedBays(status);
    noteCassettes(this.#parts, status.units, this.#session.isAttended());
    const why: Readonly<Record<typeof status.device, string | undefined>> = {
      ready: undefined,
      offline: 'The dispenser does not answer.',
      attention: 'The dispenser must be initialised.',
      fault: `The dispenser needs help: ${status.fault?.text ?? 'unknown fault'}.`,
    };
    const path = status.path === 'notes' ? 'Notes are left inside the dispenser.' : undefined;
    const exit = status.exit === 'notes' ? 'Notes were left in the slot.' : undefined;
    board.set('cashOut', 'dispenser', why[status.device] ?? path ?? exit);
    this.#parts.changed();
  }

  #pollLater(): void {
    // The devices may have been opening still when the program was ended.
    if (this.#closed.signal.aborted) return;
    this.#cancelPoll = this.#parts.clock.after(DISPENSER_POLL_MS, () => {
      if (!this.#session.takesNotes()) this.#tellAcceptor(this.#parts.acceptor.status());
      const round = this.#round().finally(() => this.#pollLater());
      this.#inBackground(round);
    });
  }

  async #round(): Promise<void> {
    if (!this.#session.takesNotes()) await this.initialiseAcceptor();
    if (!this.#session.dispenses()) await this.checkDispenser();
  }

  /** An act whose end the disk did not take is settled as at a start: nothing else would ask. */
  async #recoverLeft(device: 'acceptor' | 'dispenser'): Promise<void> {
    if (!this.#recovered.has(device) || !openActOn(this.#parts, device)) return;
    await this.#session.recover(device);
  }

  #later(task: () => Promise<void>): void {
    this.#inBackground(sleep(this.#parts.clock, RETRY_MS, this.#closed.signal).then(task));
  }

  /** Runs beside everything else; a fault is the operator's to read, not a customer's to meet. */
  #inBackground(task: Promise<unknown>): void {
    task.catch((err: unknown) => {
      if (this.#closed.signal.aborted) return;
      this.#parts.log.error({ err, message: messageOf(err) }, 'device watch failed');
    });
  }
}
