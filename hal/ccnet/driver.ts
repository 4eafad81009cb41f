/**
 * A bill validator that speaks CCNET. It owns the port and the timers; what states mean for a note
 * is decided in `dialogue.ts`, how a reset goes in `../reset.ts`.
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
import { resetDevice } from '../reset.ts';
import { SlotChanges } from '../slot-changes.ts';
import { type CcnetStatus, describeStatus } from './commands.ts';
import {
  cashBoxOf,
  conditionOf,
  insideAfter,
  isBroken,
  isIdle,
  type NoteInside,
  needsReset,
  stateWords,
} from './condition.ts';
import { CcnetContact } from './contact.ts';
import {
  advance,
  type DialogueEffect,
  type DialogueInput,
  emptyDialogue,
  mayStillSend,
  type NoteDialogue,
} from './dialogue.ts';
import type { IdentifiedDevice } from './identify.ts';
import { type CcnetLink, isBusy, isRefusal } from './link.ts';
import { billTypesData, billValue } from './models.ts';
import { CCNET_DEFAULTS, type CcnetOptions } from './options.ts';

/** Longest wait for one state from a device that is in touch. */
const STATUS_LIMIT_MS = 3_000;

/** What the driver is made of. */
export interface CcnetAcceptorParts {
  readonly port: Port;
  readonly clock: Clock;
  readonly log: Log;
  readonly options: CcnetOptions;
}

const OFFLINE: CashAcceptorStatus = {
  device: 'offline',
  cashBox: 'unknown',
  powerUp: 'unknown',
  fault: undefined,
};

/** Drives one CCNET validator. */
export class CcnetAcceptor implements CashAcceptor {
  readonly capabilities: CashAcceptorCapabilities = {
    escrow: true,
    // HOLD would allow it; but then a program that hangs would keep a customer's note, and the
    // device's own time-out gives it back.
    hold: false,
    // The book wants it; but units are known that go on without an ACK, so nothing may rest on it.
    repeatsCredit: false,
    counters: false,
    powerUpEvidence: true,
  };
  readonly #port: Port;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #options: CcnetOptions & Required<Omit<CcnetOptions, 'model'>>;
  readonly #nextStatus: NextNews<CcnetStatus>;
  readonly #decision: Decision;
  #contact: CcnetContact | undefined;
  #known: IdentifiedDevice | undefined;
  #other: DeviceError | undefined;
  #service: 'attention' | 'initialising' | 'ready' = 'attention';
  #last: CcnetStatus | undefined;
  /** Where a note was left, as far as was said since the device went out of service. */
  #inside: NoteInside = 'unknown';
  #cashBox: CashBoxStatus = 'unknown';
  readonly #news = new AcceptorNews(OFFLINE);
  #dialogue: NoteDialogue = emptyDialogue;
  /** Types that the device has confirmed to accept; none while others are being set. */
  #enabled: readonly number[] = [];
  readonly #slot: SlotChanges;

  constructor(parts: CcnetAcceptorParts) {
    this.#port = parts.port;
    this.#clock = parts.clock;
    this.#nextStatus = new NextNews(parts.clock);
    this.#log = parts.log;
    this.#options = { ...CCNET_DEFAULTS, ...parts.options };
    const step = (input: DialogueInput) => this.#step(input);
    this.#decision = new Decision({ clock: parts.clock, ...this.#options, step });
    this.#slot = new SlotChanges({
      clock: parts.clock,
      isInService: () => this.#service === 'ready' && this.#isOnline(),
      isAtRest: () => isIdle(this.#last) && this.#news.shown.device === 'ready',
      nextNews: (limitMs) => this.#nextStatus.within(limitMs),
      error: (code, reason) => this.#error(code, reason),
    });
  }

  values(): readonly MinorUnits[] {
    const { currency } = this.#options;
    const values = (this.#known?.table ?? []).flatMap((bill) => billValue(bill, currency) ?? []);
    return [...new Set(values)].sort((one, other) => one - other);
  }

  status(): CashAcceptorStatus {
    return this.#news.shown;
  }

  subscribe(listener: (event: CashAcceptorEvent) => void): Unsubscribe {
    return this.#news.subscribe(listener);
  }

  async open(): Promise<DeviceIdentity> {
    if (this.#contact) throw this.#error('sequenceError', 'the validator is open already');
    const contact = new CcnetContact({
      port: this.#port,
      clock: this.#clock,
      log: this.#log,
      pollMs: this.#options.pollMs,
      replyTimeoutMs: this.#options.replyTimeoutMs,
      wanted: this.#options.model,
      onIdentified: (found) => this.#onIdentified(found),
      onStatus: (status) => this.#onStatus(status),
      onAway: (reason) => this.#onAway(reason),
      onOther: (error) => this.#onOther(error),
    });
    this.#contact = contact;
    this.#inside = 'none';
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
    // RESET would make the device forget a credit that is not on our disk yet.
    if (this.#takePendingCredit()) return { device: 'attention', note: 'deposited', evidence };
    if (credit === 'reported') {
      return {
        device: this.#news.shown.device,
        note: 'none',
        evidence: `${evidence}, not confirmed`,
      };
    }
    const isReady = this.#service === 'ready';
    const inside = isReady ? insideAfter('none', status, { watched: true }) : this.#inside;
    this.#service = 'initialising';
    this.#slot.cancel();
    this.#enabled = [];
    this.#step({ kind: 'initialising' });
    const outcome = await resetDevice(
      {
        clock: this.#clock,
        words: stateWords,
        reset: () => this.#reset(contact.link),
        nextStatus: (limitMs) => this.#nextStatus.within(limitMs),
        configure: async () => typeof (await this.#enable(contact.link, [])) !== 'string',
        takePendingCredit: () => this.#takePendingCredit(),
        isCreditKnown: () => this.#dialogue.credit === 'confirmed',
        isClosed: () => contact.isClosed,
      },
      inside,
    );
    this.#service = outcome.device === 'ready' ? 'ready' : 'attention';
    // What was inside has been told of; only what is said from now on is news.
    if (outcome.device === 'ready' || outcome.note === 'deposited') this.#inside = 'none';
    this.#log.info({ ...outcome }, 'ccnet initialised');
    if (outcome.note === 'returned' && note?.value !== undefined) {
      this.#news.tell({ kind: 'note.returned' });
    }
    this.#publish();
    return outcome;
  }

  async accept(values: readonly MinorUnits[]): Promise<void> {
    const { link } = this.#requireContact();
    const change = await this.#slot.begin();
    const { currency } = this.#options;
    const types = (this.#known?.table ?? []).flatMap((bill) => {
      const value = billValue(bill, currency);
      return value !== undefined && values.includes(value) ? [bill.type] : [];
    });
    this.#enabled = [];
    const answer = await this.#enable(link, types);
    if (answer === 'silent') throw this.#error('timeOut', 'the types of notes were not confirmed');
    if (answer === 'refused') throw this.#error('refused', 'the types of notes were refused');
    this.#slot.requireLast(change);
    this.#enabled = types;
  }

  async deposit(): Promise<DepositOutcome> {
    return this.#decide('deposit');
  }

  async returnNote(): Promise<ReturnOutcome> {
    return this.#decide('return');
  }

  async confirmDeposit(): Promise<void> {
    this.#step({ kind: 'creditConfirmed' });
    this.#publish();
  }

  async close(): Promise<void> {
    const contact = this.#contact;
    if (!contact) return;
    this.#contact = undefined;
    this.#slot.cancel();
    this.#enabled = [];
    this.#service = 'attention';
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
    this.#log.info({ ...found.identity }, 'ccnet identified');
  }

  #onAway(reason: string): void {
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

  #onStatus(status: CcnetStatus): void {
    const before = this.#last;
    this.#last = status;
    const isNew = before === undefined || describeStatus(before) !== describeStatus(status);
    if (isNew) this.#log.debug({ state: describeStatus(status) }, 'ccnet state');
    if (this.#service === 'ready' && needsReset(status)) {
      this.#service = 'attention';
      this.#enabled = [];
      this.#inside = insideAfter('none', status, { watched: true });
    } else if (this.#service === 'attention') {
      this.#inside = insideAfter(this.#inside, status, { watched: false });
    }
    this.#cashBox = cashBoxOf(status, this.#cashBox);
    const inService = this.#service === 'ready';
    this.#step({ kind: 'status', status, inService, value: this.#valueOf(status) });
    if (isNew && isBroken(status)) {
      const error = this.#error('hardwareError', describeStatus(status));
      this.#news.tell({ kind: 'device.failed', error });
    }
    if (inService && status.name === 'disabled' && this.#enabled.length > 0) void this.#reenable();
    this.#publish();
    this.#nextStatus.tell(status);
  }

  /**
   * It was switched off to be identified, or by itself: it is to accept what was last asked for.
   */
  async #reenable(): Promise<void> {
    const link = this.#contact?.link;
    if (!link) return;
    const types = this.#enabled;
    const change = this.#slot.last;
    this.#enabled = [];
    const answer = await this.#enable(link, types);
    if (change !== this.#slot.last || this.#service !== 'ready') return;
    if (typeof answer !== 'string') this.#enabled = types;
    else this.#service = 'attention';
    this.#publish();
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
        this.#log.info({ ...effect.outcome }, 'ccnet note ended');
        this.#decision.end(effect.outcome);
        return;
      case 'acknowledge':
        this.#contact?.acknowledgeCredit();
        return;
      case 'send':
        void this.#sendOnce(effect.command);
        return;
    }
  }

  /** The dialogue lets each command leave once for a note; this checks it at the last moment. */
  async #sendOnce(command: 'stack' | 'return'): Promise<void> {
    const reply = await this.#contact?.link.exchange({
      command,
      beforeSend: () => {
        if (!this.#isOnline() || !mayStillSend(this.#dialogue, command)) return false;
        this.#step({ kind: 'sent', command });
        return true;
      },
    });
    if (reply === undefined || reply === 'unsent') return;
    const acknowledged = reply !== 'silent' && !isRefusal(reply) && !isBusy(reply);
    const evidence = reply === 'silent' ? 'no answer' : acknowledged ? 'acknowledged' : 'not taken';
    this.#step({ kind: 'answered', acknowledged, evidence });
  }

  #decide(kind: 'deposit' | 'return'): Promise<NoteOutcome> {
    this.#requireContact();
    if (isUndecided(this.#dialogue) && this.#isOnline()) return this.#decision.make(kind);
    throw this.#error('sequenceError', 'no note waits in escrow for a decision');
  }

  #valueOf(status: CcnetStatus): MinorUnits | undefined {
    if (status.name !== 'escrow' && status.name !== 'billStacked') return undefined;
    const bill = this.#known?.table.find(({ type }) => type === status.detail);
    return bill && billValue(bill, this.#options.currency);
  }

  #takePendingCredit(): boolean {
    const isPending = this.#dialogue.credit === 'pending';
    if (isPending) this.#step({ kind: 'creditTold' });
    return isPending;
  }

  // Commands and waits

  async #reset(link: CcnetLink): Promise<boolean> {
    const reply = await link.exchange({ command: 'reset' });
    return typeof reply !== 'string' && !isRefusal(reply) && !isBusy(reply);
  }

  #enable(link: CcnetLink, types: readonly number[]): ReturnType<CcnetLink['ask']> {
    return link.ask('enableBillTypes', billTypesData(types));
  }

  #requireContact(): CcnetContact {
    if (!this.#contact) throw this.#error('sequenceError', 'the validator is not open');
    return this.#contact;
  }

  #isOnline(): boolean {
    return this.#contact?.isOnline === true;
  }

  #error(code: AtmErrorCode, reason: string): DeviceError {
    return new DeviceError(code, reason, { recording: this.#port.recording() });
  }

  #publish(): void {
    this.#news.show(
      conditionOf({
        last: this.#isOnline() ? this.#last : undefined,
        cashBox: this.#cashBox,
        powerUp: this.#dialogue.credit === 'pending' ? 'creditPending' : this.#inside,
        isReady: this.#service === 'ready',
        other: this.#other,
      }),
    );
  }
}
