/**
 * A bill validator that speaks SIO. It owns the port and the timers; what words mean for a note is
 * decided in `dialogue.ts`.
 */
import type { CancelTimer, Clock } from '#protocol/base/clock.ts';
import { type AtmErrorCode, DeviceError } from '#protocol/base/errors.ts';
import type { Log } from '#protocol/base/log.ts';
import type { MinorUnits } from '#protocol/base/money.ts';
import type {
  CashAcceptor,
  CashAcceptorCapabilities,
  CashAcceptorEvent,
  CashAcceptorStatus,
  CashBoxStatus,
  DepositOutcome,
  DeviceIdentity,
  InitialiseOutcome,
  ReturnOutcome,
} from '../cash-acceptor.ts';
import { Decision } from '../decision.ts';
import { AcceptorNews, NextNews } from '../news.ts';
import type { Port, Unsubscribe } from '../port.ts';
import { SlotChanges } from '../slot-changes.ts';
import { commands, describeWord, type ReportName, reports, type SioWord } from './commands.ts';
import { SioContact } from './contact.ts';
import {
  advance,
  emptyDialogue,
  evidenceOf,
  mayStillSend,
  type SioDialogue,
  type SioEffect,
  type SioInput,
} from './dialogue.ts';
import {
  type ChannelValues,
  channelValues,
  type SioModel,
  type SioModelName,
  sioModels,
} from './models.ts';
import { SioSlot } from './slot.ts';
import { type SioBaudRate, sioLine } from './wire.ts';

/** Bleskomat pings every second and waits for seven; we have to miss a device within two. */
const PING_MS = 800;
/** A byte takes 37 ms at 300 baud, each way; a USB adapter holds it back for up to 16 ms. */
const ECHO_MS = 400;
/** A note is stacked within seconds; the device's own escrow time-out may come first. */
const DEPOSIT_TIMEOUT_MS = 15_000;
const RETURN_TIMEOUT_MS = 15_000;
/** A note that was accepted is in the cash box by then, if the device has not said NOT BUSY. */
const STACKED_MS = 3000;

/** What is configured. Times in milliseconds, each with a default. */
export interface SioOptions {
  readonly model: SioModelName;
  /** ISO 4217, of all channels that are used. */
  readonly currency: string;
  /**
   * Face values in the order of the channels, 0 for one that is not used: the device has no
   * word.
   */
  readonly channels: readonly number[];
  readonly baudRate?: SioBaudRate;
  readonly pingMs?: number;
  readonly echoMs?: number;
  readonly depositTimeoutMs?: number;
  readonly returnTimeoutMs?: number;
}

/** What the driver is made of. */
export interface SioAcceptorParts {
  readonly port: Port;
  readonly clock: Clock;
  readonly log: Log;
  readonly options: SioOptions;
}

/** Drives one SIO validator. */
export class SioAcceptor implements CashAcceptor {
  readonly capabilities: CashAcceptorCapabilities;
  readonly #parts: SioAcceptorParts;
  readonly #model: SioModel;
  readonly #channels: ChannelValues;
  /** Ends with whatever is heard, or not heard any more. */
  readonly #nextWord: NextNews<undefined>;
  readonly #decision: Decision;
  #contact: SioContact | undefined;
  #service: 'attention' | 'initialising' | 'ready' = 'attention';
  #fault: ReportName | undefined;
  #cashBox: CashBoxStatus = 'unknown';
  readonly #news: AcceptorNews;
  #dialogue: SioDialogue;
  readonly #slot = new SioSlot();
  readonly #changes: SlotChanges;
  #cancelStacked: CancelTimer = () => undefined;

  /** @throws RangeError for channels that no dataset has. */
  constructor(parts: SioAcceptorParts) {
    const { model, channels, currency } = parts.options;
    this.#parts = parts;
    this.#nextWord = new NextNews(parts.clock);
    const { depositTimeoutMs = DEPOSIT_TIMEOUT_MS, returnTimeoutMs = RETURN_TIMEOUT_MS } =
      parts.options;
    const step = (input: SioInput) => this.#step(input);
    this.#decision = new Decision({ clock: parts.clock, depositTimeoutMs, returnTimeoutMs, step });
    this.#changes = new SlotChanges({
      clock: parts.clock,
      isInService: () => this.#isInService(),
      isAtRest: () => this.#isAtRest(),
      nextNews: (limitMs) => this.#nextWord.within(limitMs),
      error: (code, reason) => this.#error(code, reason),
    });
    this.#model = sioModels[model];
    this.#channels = channelValues(channels, currency);
    this.#dialogue = emptyDialogue(this.#model.hasEscrow);
    this.capabilities = {
      escrow: this.#model.hasEscrow,
      // The device's own time-out gives a note back that nobody decides about.
      hold: false,
      repeatsCredit: false,
      counters: false,
      powerUpEvidence: false,
    };
    this.#news = new AcceptorNews(this.#condition());
  }

  values(): readonly MinorUnits[] {
    return [...new Set(this.#channels.values())].sort((one, other) => one - other);
  }

  status(): CashAcceptorStatus {
    return this.#news.shown;
  }

  subscribe(listener: (event: CashAcceptorEvent) => void): Unsubscribe {
    return this.#news.subscribe(listener);
  }

  async open(): Promise<DeviceIdentity> {
    if (this.#contact) throw this.#error('sequenceError', 'the validator is open already');
    const { port, clock, log, options } = this.#parts;
    const contact = new SioContact({
      port,
      clock,
      log,
      model: this.#model,
      line: sioLine(options.baudRate ?? 300),
      pingMs: options.pingMs ?? PING_MS,
      echoMs: options.echoMs ?? ECHO_MS,
      isBusy: () => this.#dialogue.isBusy,
      holdsNote: () => this.#dialogue.note !== undefined,
      onFound: () => this.#onFound(),
      onWord: (word) => this.#onWord(word),
      onRested: () => this.#onRested(),
      onAway: (reason) => this.#onAway(reason),
    });
    this.#contact = contact;
    try {
      await contact.open();
    } catch (error) {
      if (this.#contact === contact) this.#contact = undefined;
      throw error;
    }
    const firmware = 'not reported';
    return { protocol: 'sio', model: this.#model.name, firmware, serialNumber: undefined };
  }

  async initialise(): Promise<InitialiseOutcome> {
    const contact = this.#requireContact();
    if (this.#service === 'initialising' || this.#dialogue.operation !== 'none') {
      throw this.#error('sequenceError', 'another operation is under way');
    }
    this.#service = 'initialising';
    this.#fault = undefined;
    this.#publish();
    const left = await this.#giveBackWhatIsLeft();
    const failure = await this.#slot.configure(contact.link, this.#model);
    const isReady = !failure && contact.isOnline && this.#fault === undefined;
    this.#service = isReady ? 'ready' : 'attention';
    // All that the device ever says of its box is that it is full.
    if (isReady) this.#cashBox = 'ok';
    this.#publish();
    const { device } = this.#news.shown;
    const settings = failure ? `${failure.what}: ${failure.reply}` : 'settings echoed';
    const evidence = `${left.evidence}; ${settings}`;
    this.#parts.log.info({ device, note: left.note, evidence }, 'sio initialised');
    return { device, note: left.note, evidence };
  }

  async accept(values: readonly MinorUnits[]): Promise<void> {
    const contact = this.#requireContact();
    const change = await this.#changes.begin();
    const isOpen = (channel: number) => {
      const value = this.#channels.get(channel);
      return value !== undefined && values.includes(value);
    };
    const failure = await this.#slot.open(contact.link, isOpen, {
      isCurrent: () => change === this.#changes.last,
      isBusy: () => this.#dialogue.isBusy || this.#dialogue.note !== undefined,
      // Before the slot is open: a note may come in at once.
      onOpening: () => this.#step({ kind: 'armed', values }),
    });
    this.#changes.requireLast(change);
    if (!this.#isInService())
      throw this.#error('deviceNotReady', 'the validator is not in service');
    if (failure) {
      const code = failure.reply === 'silent' ? 'timeOut' : 'refused';
      throw this.#error(code, `${failure.what} was not echoed (${failure.reply})`);
    }
  }

  async deposit(): Promise<DepositOutcome> {
    this.#requireNote();
    return this.#decision.make('deposit');
  }

  async returnNote(): Promise<ReturnOutcome> {
    this.#requireNote();
    return this.#decision.make('return');
  }

  /** There is no such word: a credit is said once. */
  async confirmDeposit(): Promise<void> {}

  async close(): Promise<void> {
    const contact = this.#contact;
    if (!contact) return;
    this.#contact = undefined;
    this.#changes.cancel();
    this.#service = 'attention';
    // A program that ends leaves nothing open behind it; the byte may still leave.
    this.#slot.shutNow(contact.link);
    this.#onAway('the port was closed');
    await contact.close();
  }

  // Keeping in touch

  #onFound(): void {
    // It has been shut, and may be another one, or have lost all settings.
    this.#service = 'attention';
    this.#fault = undefined;
    this.#slot.forget();
    this.#publish();
  }

  /**
   * It said that it was busy and never what came of it: it may have lost power, and its
   * settings.
   */
  #onRested(): void {
    this.#service = 'attention';
    this.#step({ kind: 'gaveUp', reason: 'busy, and then it was not' });
    this.#publish();
    this.#nextWord.tell(undefined);
  }

  #onAway(reason: string): void {
    this.#service = 'attention';
    this.#step({ kind: 'gaveUp', reason });
    this.#publish();
    if (this.#contact) {
      this.#news.tell({ kind: 'device.failed', error: this.#error('deviceNotReady', reason) });
    }
    this.#nextWord.tell(undefined);
  }

  #onWord(word: SioWord): void {
    const value = word.kind === 'note' ? this.#channels.get(word.channel) : undefined;
    const atMs = this.#parts.clock.monotonic();
    const inService = this.#service === 'ready';
    if (word.kind !== 'echo') this.#parts.log.debug({ word: describeWord(word) }, 'sio word');
    this.#step({ kind: 'word', word, atMs, inService, value });
    if (word.kind === 'report' && word.report === 'slow') {
      this.#news.tell({
        kind: 'device.failed',
        error: this.#error('hardwareError', describeWord(word)),
      });
    }
    this.#publish();
    this.#nextWord.tell(undefined);
  }

  // The note inside

  #step(input: SioInput): void {
    const { state, effects } = advance(this.#dialogue, input);
    this.#dialogue = state;
    for (const effect of effects) this.#carryOut(effect);
  }

  #carryOut(effect: SioEffect): void {
    switch (effect.kind) {
      case 'tell':
        this.#news.tell(effect.event);
        return;
      case 'ended':
        this.#onEnded(effect.outcome);
        this.#decision.end(effect.outcome);
        return;
      case 'send':
        this.#sendOnce(effect.command);
        return;
      case 'awaitStacked':
        this.#awaitStacked();
        return;
      case 'shut':
        this.#slot.shutNow(this.#contact?.link);
        return;
      case 'disturbed':
        this.#onDisturbed(effect.fault);
        return;
      case 'failed':
        this.#news.tell({
          kind: 'device.failed',
          error: this.#error('invalidData', effect.reason),
        });
        return;
    }
  }

  #onEnded(outcome: DepositOutcome): void {
    this.#cancelStacked();
    this.#parts.log.info({ ...outcome }, 'sio note ended');
    // A device that has lost track of a note may have lost power, and its settings with it.
    if (outcome.kind === 'unknown') this.#service = 'attention';
    this.#nextWord.tell(undefined);
  }

  #onDisturbed(fault: ReportName | 'settings'): void {
    this.#service = 'attention';
    if (fault === 'settings') return;
    this.#fault = fault;
    if (fault === 'stackerFull') this.#cashBox = 'full';
    const { text } = reports[fault];
    this.#news.tell({ kind: 'device.failed', error: this.#error('hardwareError', text) });
  }

  #sendOnce(command: 'accept' | 'reject'): void {
    if (!this.#contact?.isOnline || !mayStillSend(this.#dialogue, command)) return;
    // Before the byte leaves: nothing that follows may make it leave again.
    this.#step({ kind: command === 'accept' ? 'acceptSent' : 'rejectSent' });
    this.#contact.link.send(commands[command].code);
  }

  /** Not every device may say NOT BUSY after ACCEPT; one that is still there has had no trouble. */
  #awaitStacked(): void {
    const { note } = this.#dialogue;
    const isSame = () => note !== undefined && this.#dialogue.note === note;
    const ask = async () => {
      if (!isSame()) return;
      const isThere = (await this.#contact?.isThere()) === true;
      if (!isSame()) return;
      const reason = 'no word after its echo';
      this.#step(isThere ? { kind: 'settled' } : { kind: 'gaveUp', reason });
    };
    this.#cancelStacked = this.#parts.clock.after(STACKED_MS, () => void ask());
  }

  // Settings

  async #giveBackWhatIsLeft(): Promise<Pick<InitialiseOutcome, 'note' | 'evidence'>> {
    const { note } = this.#dialogue;
    if (!note || note.isInBox) return { note: 'none', evidence: 'no note is known to be inside' };
    if (note.acceptSent) return { note: 'unknown', evidence: evidenceOf(this.#dialogue) };
    const { kind, evidence } = await this.#decision.make('return');
    return { note: kind, evidence };
  }

  #isInService(): boolean {
    return this.#service === 'ready' && this.#contact?.isOnline === true;
  }

  /** The note inside is done with. */
  #isAtRest(): boolean {
    const { isBusy, note, drawnMs } = this.#dialogue;
    return !isBusy && !note && (drawnMs === undefined || this.#model.hasEscrow);
  }

  #requireContact(): SioContact {
    if (!this.#contact) throw this.#error('sequenceError', 'the validator is not open');
    return this.#contact;
  }

  #requireNote(): void {
    this.#requireContact();
    const { note, operation } = this.#dialogue;
    // A note that is in the box already can be asked for at any time, also out of touch.
    if (note?.isInBox && operation === 'none') return;
    const isDecided = note?.acceptSent === true || note?.rejectSent === true;
    const isFree = note?.value !== undefined && !isDecided;
    if (isFree && operation === 'none' && this.#contact?.isOnline) return;
    throw this.#error('sequenceError', 'no note waits in escrow for a decision');
  }

  // News

  #error(code: AtmErrorCode, reason: string): DeviceError {
    return new DeviceError(code, reason, { recording: this.#parts.port.recording() });
  }

  #publish(): void {
    this.#news.show(this.#condition());
  }

  #condition(): CashAcceptorStatus {
    const common = { cashBox: this.#cashBox, powerUp: 'unknown' } as const;
    if (!this.#contact?.isOnline) return { device: 'offline', ...common, fault: undefined };
    if (this.#fault) {
      const { code, text } = reports[this.#fault];
      return { device: 'fault', ...common, fault: { code: String(code), text } };
    }
    const device = this.#service === 'ready' ? 'ready' : 'attention';
    return { device, ...common, fault: undefined };
  }
}
