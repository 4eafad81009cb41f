/**
 * A bill validator that speaks EBDS. It owns the port and the timers; what a status means for a
 * note is decided in `dialogue.ts`, how the device is made ready in `initialise.ts`.
 */
import type { Clock } from '#protocol/base/clock.ts';
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
import { Decision, type NoteOutcome } from '../decision.ts';
import { isUndecided } from '../escrowed-note.ts';
import { AcceptorNews, NextNews } from '../news.ts';
import type { Port, Unsubscribe } from '../port.ts';
import { SlotChanges } from '../slot-changes.ts';
import { describeStatus, type EbdsStatus, has } from './commands.ts';
import {
  cashBoxOf,
  conditionOf,
  insideAfter,
  isBroken,
  isIdle,
  type NoteInside,
  needsInitialise,
} from './condition.ts';
import { EbdsContact } from './contact.ts';
import {
  advance,
  type DialogueEffect,
  type DialogueInput,
  emptyDialogue,
  isUnconfirmed,
  mayStillSend,
  type NoteDialogue,
} from './dialogue.ts';
import type { IdentifiedDevice } from './identify.ts';
import { initialiseDevice, RESET_LIMIT_MS } from './initialise.ts';
import { isNoteNamed, notesOf, statusValue } from './models.ts';
import { EBDS_DEFAULTS, type EbdsOptions } from './options.ts';
import { type SettingsTaken, sendMove, sendReset, sendSettings } from './requests.ts';
import { type EbdsSettings, type EnabledNotes, noneEnabled, settingsFor } from './settings.ts';

/** Longest wait for one status from a device that is in touch. */
const STATUS_LIMIT_MS = 3_000;

/** What the driver is made of. */
export interface EbdsAcceptorParts {
  readonly port: Port;
  readonly clock: Clock;
  readonly log: Log;
  readonly options: EbdsOptions;
}

/** Drives one EBDS validator. */
export class EbdsAcceptor implements CashAcceptor {
  readonly capabilities: CashAcceptorCapabilities = {
    escrow: true,
    // Kept while it is polled, but a unit may be set to give it back by a time-out of its own.
    hold: false,
    // It does while this program lives; the next one does not know the ACK bit, and half of the
    // time its first poll makes the device forget.
    repeatsCredit: false,
    counters: false,
    powerUpEvidence: true,
  };
  readonly #port: Port;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #options: EbdsOptions & Required<Omit<EbdsOptions, 'model'>>;
  readonly #nextStatus: NextNews<EbdsStatus>;
  readonly #decision: Decision;
  #contact: EbdsContact | undefined;
  #known: IdentifiedDevice | undefined;
  #other: DeviceError | undefined;
  #service: 'attention' | 'initialising' | 'ready' = 'attention';
  #last: EbdsStatus | undefined;
  /** Where a note was left, as far as was said since the device went out of service. */
  #inside: NoteInside = 'unknown';
  /** In touch since it was powered up or empty: no note has come that we did not see. */
  #isWatched: boolean = false;
  #cashBox: CashBoxStatus = 'unknown';
  readonly #news: AcceptorNews;
  #dialogue: NoteDialogue = emptyDialogue;
  /** Notes that the device has confirmed to take; none while others are being set. */
  #enabled: EnabledNotes = noneEnabled;
  readonly #slot: SlotChanges;

  constructor(parts: EbdsAcceptorParts) {
    this.#port = parts.port;
    this.#clock = parts.clock;
    this.#nextStatus = new NextNews(parts.clock);
    this.#log = parts.log;
    this.#options = { ...EBDS_DEFAULTS, ...parts.options };
    const step = (input: DialogueInput) => this.#step(input);
    this.#decision = new Decision({ clock: parts.clock, ...this.#options, step });
    this.#slot = new SlotChanges({
      clock: parts.clock,
      isInService: () => this.#service === 'ready' && this.#isOnline(),
      // A credit must be on disk first.
      isAtRest: () => isIdle(this.#last) && !isUnconfirmed(this.#dialogue) && this.#isReady(),
      nextNews: (limitMs) => this.#nextStatus.within(limitMs),
      error: (code, reason) => this.#error(code, reason),
    });
    this.#news = new AcceptorNews(this.#status());
  }

  values(): readonly MinorUnits[] {
    const notes = this.#known ? notesOf(this.#known, this.#options.currency) : [];
    return [...new Set(notes.map(({ value }) => value))].sort((one, other) => one - other);
  }

  status(): CashAcceptorStatus {
    return this.#news.shown;
  }

  subscribe(listener: (event: CashAcceptorEvent) => void): Unsubscribe {
    return this.#news.subscribe(listener);
  }

  async open(): Promise<DeviceIdentity> {
    if (this.#contact) throw this.#error('sequenceError', 'the validator is open already');
    const contact = new EbdsContact({
      port: this.#port,
      clock: this.#clock,
      log: this.#log,
      pollMs: this.#options.pollMs,
      replyTimeoutMs: this.#options.replyTimeoutMs,
      wanted: this.#options.model,
      settings: () => this.#settings(this.#enabled),
      onIdentified: (found) => this.#onIdentified(found),
      onStatus: (status, isIdentifying) => this.#onStatus(status, isIdentifying),
      onAway: (reason) => this.#onAway(reason),
      onOther: (error) => this.#onOther(error),
    });
    this.#contact = contact;
    this.#inside = 'none';
    this.#isWatched = false;
    try {
      await contact.open();
    } catch (error) {
      if (this.#contact === contact) this.#contact = undefined;
      throw error;
    }
    if (!this.#known) throw this.#error('canceled', 'closed while it was opened');
    return this.#known.identity;
  }

  async initialise(): Promise<InitialiseOutcome> {
    const contact = this.#requireContact();
    if (this.#service === 'initialising' || this.#dialogue.operation !== 'none') {
      throw this.#error('sequenceError', 'another operation is under way');
    }
    const status = await this.#nextStatus.within(STATUS_LIMIT_MS);
    if (!status) return { device: 'offline', note: 'unknown', evidence: 'no answer' };
    const { credit, note } = this.#dialogue;
    const evidence = describeStatus(status);
    if (this.#takePendingCredit()) return { device: 'attention', note: 'deposited', evidence };
    if (credit === 'reported') {
      return {
        device: this.#news.shown.device,
        note: 'none',
        evidence: `${evidence}, not confirmed`,
      };
    }
    const isReady = this.#service === 'ready';
    const inside = isReady ? this.#insideAfter('none', status) : this.#inside;
    this.#leaveService('initialising');
    this.#step({ kind: 'initialising' });
    const outcome = await this.#initialiseNow(contact, status, inside);
    this.#service = outcome.device === 'ready' ? 'ready' : 'attention';
    // What was inside has been told of; only what is said from now on is news.
    if (outcome.device === 'ready' || outcome.note === 'deposited') this.#inside = 'none';
    this.#log.info({ ...outcome }, 'ebds initialised');
    if (outcome.note === 'returned' && note?.value !== undefined) {
      this.#news.tell({ kind: 'note.returned' });
    }
    this.#publish();
    return outcome;
  }

  async accept(values: readonly MinorUnits[]): Promise<void> {
    const contact = this.#requireContact();
    const change = await this.#slot.begin();
    const notes = this.#known ? notesOf(this.#known, this.#options.currency) : [];
    const enabled = notes.filter(({ value }) => values.includes(value)).map(({ number }) => number);
    // Until they are confirmed, polls enable nothing.
    this.#enabled = noneEnabled;
    const taken = await this.#configure(contact, enabled, () => {
      if (change === this.#slot.last && this.#isReady()) this.#enabled = enabled;
    });
    this.#slot.requireLast(change);
    if (taken === 'silent') throw this.#error('timeOut', 'the notes to take were not confirmed');
    if (taken === 'refused') throw this.#error('refused', 'the notes to take were refused');
    if (!this.#isReady()) throw this.#error('deviceNotReady', 'the validator went out of service');
  }

  async deposit(): Promise<DepositOutcome> {
    return this.#decide('deposit');
  }

  async returnNote(): Promise<ReturnOutcome> {
    return this.#decide('return');
  }

  async confirmDeposit(): Promise<void> {
    this.#step({ kind: 'creditConfirmed' });
    this.#contact?.link.hold(false);
    this.#contact?.hurry();
    this.#publish();
  }

  async close(): Promise<void> {
    const contact = this.#contact;
    if (!contact) return;
    this.#contact = undefined;
    this.#slot.cancel();
    this.#leaveService('attention');
    this.#onAway('the port was closed');
    await contact.close();
  }

  // Keeping in touch

  #onIdentified(found: IdentifiedDevice): void {
    if (this.#known && JSON.stringify(this.#known) !== JSON.stringify(found)) {
      // Opened anew on another device: what was known of a note inside is not of this one.
      this.#dialogue = emptyDialogue;
    }
    this.#known = found;
    this.#other = undefined;
    this.#log.info({ ...found.identity }, 'ebds identified');
  }

  #onAway(reason: string): void {
    this.#isWatched = false;
    this.#step({ kind: 'gaveUp', reason });
    this.#publish();
    if (this.#contact) {
      this.#news.tell({ kind: 'device.failed', error: this.#error('deviceNotReady', reason) });
    }
    this.#nextStatus.tell(undefined);
  }

  /** Another device is where ours was: told once, and asked again until ours is back. */
  #onOther(error: DeviceError): void {
    if (this.#other?.message === error.message) return;
    this.#other = error;
    this.#news.tell({ kind: 'device.failed', error });
    this.#publish();
  }

  #onStatus(status: EbdsStatus, isIdentifying: boolean): void {
    const before = this.#last;
    // A credit that comes together with trouble is still one of service.
    const inService = this.#service === 'ready';
    this.#last = status;
    const isNew = before === undefined || describeStatus(before) !== describeStatus(status);
    if (isNew) this.#log.debug({ state: describeStatus(status) }, 'ebds state');
    this.#isWatched ||= has(status, 'powerUp');
    if (inService && needsInitialise(status)) {
      this.#leaveService('attention');
      this.#inside = this.#insideAfter('none', status);
    } else if (this.#service === 'attention') {
      this.#inside = this.#insideAfter(this.#inside, status);
    }
    this.#isWatched ||= isIdle(status) && !isIdentifying;
    this.#cashBox = cashBoxOf(status);
    const named = this.#nameNote(status);
    this.#step({ kind: 'status', status, inService, isIdentifying, ...named });
    // The reply that told of it is repeated from now on, until the credit is on disk. One that is
    // still to be asked for, by who initialises, cannot be waited for: nothing else would be heard.
    if (!isIdentifying) this.#contact?.link.hold(this.#dialogue.credit === 'reported');
    if (isNew && isBroken(status)) {
      const error = this.#error('hardwareError', describeStatus(status));
      this.#news.tell({ kind: 'device.failed', error });
    }
    this.#publish();
    this.#nextStatus.tell(status);
  }

  // The note inside

  #step(input: DialogueInput): void {
    const { state, effects } = advance(this.#dialogue, input);
    this.#dialogue = state;
    for (const effect of effects) this.#carryOut(effect);
  }

  #carryOut(effect: DialogueEffect): void {
    switch (effect.kind) {
      case 'tell':
        this.#news.tell(effect.event);
        return;
      case 'ended':
        this.#log.info({ ...effect.outcome }, 'ebds note ended');
        this.#decision.end(effect.outcome);
        return;
      case 'send':
        void this.#sendOnce(effect.command);
        return;
    }
  }

  /** The dialogue lets each command leave once for a note; this checks it at the last moment. */
  async #sendOnce(command: 'stack' | 'return'): Promise<void> {
    const link = this.#contact?.link;
    if (!link) return;
    const mayLeave = () => {
      if (!this.#isOnline() || !mayStillSend(this.#dialogue, command)) return false;
      this.#step({ kind: 'sent', command });
      return true;
    };
    const evidence = await sendMove(link, command, () => this.#settings(this.#enabled), mayLeave);
    if (evidence !== undefined) this.#step({ kind: 'answered', acknowledged: false, evidence });
  }

  #decide(kind: 'deposit' | 'return'): Promise<NoteOutcome> {
    this.#requireContact();
    if (isUndecided(this.#dialogue) && this.#isOnline()) return this.#decision.make(kind);
    throw this.#error('sequenceError', 'no note waits in escrow for a decision');
  }

  #insideAfter(before: NoteInside, status: EbdsStatus): NoteInside {
    return insideAfter(before, status, { watched: this.#isWatched });
  }

  #nameNote(status: EbdsStatus): { isNamed: boolean; value: MinorUnits | undefined } {
    const model = this.#known?.model;
    if (!model) return { isNamed: false, value: undefined };
    const value = statusValue(status, model, this.#options.currency);
    return { isNamed: isNoteNamed(status, model), value };
  }

  #takePendingCredit(): boolean {
    const isPending = this.#dialogue.credit === 'pending';
    if (isPending) this.#step({ kind: 'creditTold' });
    return isPending;
  }

  // Commands and waits

  #initialiseNow(
    contact: EbdsContact,
    status: EbdsStatus,
    inside: NoteInside,
  ): Promise<InitialiseOutcome> {
    return initialiseDevice(
      {
        clock: this.#clock,
        nextStatus: (limitMs) => this.#nextStatus.within(limitMs),
        giveBack: () => {
          const isOnline = () => this.#isOnline();
          void sendMove(contact.link, 'return', () => this.#settings(noneEnabled), isOnline);
        },
        reset: () => {
          contact.bePatient(RESET_LIMIT_MS);
          void sendReset(contact.link);
        },
        configure: async () => (await this.#configure(contact, noneEnabled)) === 'taken',
        takePendingCredit: () => this.#takePendingCredit(),
        insideAfter: (before, status) => this.#insideAfter(before, status),
        isCreditKnown: () => this.#dialogue.credit === 'confirmed',
        isClosed: () => contact.isClosed,
      },
      status,
      inside,
    );
  }

  #configure(
    contact: EbdsContact,
    enabled: EnabledNotes,
    onTaken?: () => void,
  ): Promise<SettingsTaken> {
    const model = this.#known?.model;
    if (!model) return Promise.resolve('silent');
    return sendSettings(contact.link, model, enabled, onTaken);
  }

  #settings(enabled: EnabledNotes): EbdsSettings {
    return settingsFor(this.#known?.model, enabled);
  }

  #leaveService(to: 'attention' | 'initialising'): void {
    this.#service = to;
    if (to === 'initialising') this.#slot.cancel();
    this.#enabled = noneEnabled;
  }

  #requireContact(): EbdsContact {
    if (!this.#contact) throw this.#error('sequenceError', 'the validator is not open');
    return this.#contact;
  }

  #isOnline(): boolean {
    return this.#contact?.isOnline === true;
  }

  #isReady(): boolean {
    return this.#service === 'ready' && this.#news.shown.device === 'ready';
  }

  #error(code: AtmErrorCode, reason: string): DeviceError {
    return new DeviceError(code, reason, { recording: this.#port.recording() });
  }

  #publish(): void {
    this.#news.show(this.#status());
  }

  #status(): CashAcceptorStatus {
    return conditionOf({
      last: this.#isOnline() ? this.#last : undefined,
      cashBox: this.#cashBox,
      inside: this.#inside,
      isCreditPending: this.#dialogue.credit === 'pending',
      isReady: this.#service === 'ready',
      other: this.#other,
    });
  }
}
