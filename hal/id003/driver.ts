/**
 * A bill validator that speaks ID-003, in poll mode. It owns the port and the timers; what states
 * mean for a note is decided in `dialogue.ts`, how a reset goes in `../reset.ts`.
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
  PowerUpEvidence,
  ReturnOutcome,
} from '../cash-acceptor.ts';
import { Decision, type NoteOutcome } from '../decision.ts';
import { isUndecided, type Move } from '../escrowed-note.ts';
import { AcceptorNews, NextNews } from '../news.ts';
import type { Port, Unsubscribe } from '../port.ts';
import { resetDevice } from '../reset.ts';
import { SlotChanges } from '../slot-changes.ts';
import { describeStatus, type Id003Status, replies } from './commands.ts';
import {
  cashBoxOf,
  faultOf,
  isBroken,
  isIdle,
  needsPerson,
  needsReset,
  powerUpEvidence,
  stateWords,
} from './condition.ts';
import { Id003Contact } from './contact.ts';
import {
  advance,
  type DialogueEffect,
  type DialogueInput,
  emptyDialogue,
  mayStillSend,
  type NoteDialogue,
} from './dialogue.ts';
import { type IdentifiedDevice, isSameDevice } from './identify.ts';
import { type Id003Link, isRefusal } from './link.ts';
import { denominationMask, entryValue } from './models.ts';
import { configure } from './settings.ts';
import type { Id003Frame } from './wire.ts';

/** Source: cash-hardware.md 2.7: implementations poll every 100 to 200 ms. */
const POLL_MS = 100;
/** The device answers in 10 to 20 ms; the longest reply takes 150 ms on the line. Source: TC. */
const REPLY_TIMEOUT_MS = 300;
/** A note is stacked within seconds; a device's own escrow time-out may come first. */
const DEPOSIT_TIMEOUT_MS = 15_000;
const RETURN_TIMEOUT_MS = 30_000;
/** Longest wait for one state from a device that is in touch. */
const STATUS_LIMIT_MS = 3_000;

/** What is configured. Times in milliseconds, each with a default. */
export interface Id003Options {
  /** ISO 4217; no other currency is ever enabled. */
  readonly currency: string;
  readonly pollMs?: number;
  readonly replyTimeoutMs?: number;
  readonly depositTimeoutMs?: number;
  readonly returnTimeoutMs?: number;
}

/** What the driver is made of. */
export interface Id003AcceptorParts {
  readonly port: Port;
  readonly clock: Clock;
  readonly log: Log;
  readonly options: Id003Options;
}

const OFFLINE: CashAcceptorStatus = {
  device: 'offline',
  cashBox: 'unknown',
  powerUp: 'unknown',
  fault: undefined,
};

/** Drives one ID-003 validator. */
export class Id003Acceptor implements CashAcceptor {
  readonly capabilities: CashAcceptorCapabilities = {
    escrow: true,
    // HOLD would allow it; but then a program that hangs would keep a customer's note, and the
    // device's own time-out gives it back.
    hold: false,
    repeatsCredit: true,
    counters: false,
    powerUpEvidence: true,
  };
  readonly #port: Port;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #options: Required<Id003Options>;
  readonly #nextStatus: NextNews<Id003Status>;
  readonly #decision: Decision;
  #contact: Id003Contact | undefined;
  #known: IdentifiedDevice | undefined;
  #service: 'attention' | 'initialising' | 'ready' = 'attention';
  #last: Id003Status | undefined;
  #powerUp: PowerUpEvidence = 'unknown';
  #cashBox: CashBoxStatus = 'unknown';
  readonly #news = new AcceptorNews(OFFLINE);
  #dialogue: NoteDialogue = emptyDialogue;
  readonly #slot: SlotChanges;
  #pollsAtAcknowledge = -1;

  constructor(parts: Id003AcceptorParts) {
    this.#port = parts.port;
    this.#clock = parts.clock;
    this.#nextStatus = new NextNews(parts.clock);
    this.#log = parts.log;
    this.#options = {
      pollMs: POLL_MS,
      replyTimeoutMs: REPLY_TIMEOUT_MS,
      depositTimeoutMs: DEPOSIT_TIMEOUT_MS,
      returnTimeoutMs: RETURN_TIMEOUT_MS,
      ...parts.options,
    };
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
    const values = (this.#known?.table ?? []).flatMap((entry) => entryValue(entry, currency) ?? []);
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
    const contact = new Id003Contact({
      port: this.#port,
      clock: this.#clock,
      log: this.#log,
      pollMs: this.#options.pollMs,
      replyTimeoutMs: this.#options.replyTimeoutMs,
      onIdentified: (found) => this.#onIdentified(found),
      onStatus: (status) => this.#onStatus(status),
      onAway: (reason) => this.#onAway(reason),
    });
    this.#contact = contact;
    this.#pollsAtAcknowledge = -1;
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
    this.#service = 'initialising';
    this.#step({ kind: 'initialising' });
    const outcome = await resetDevice(
      {
        clock: this.#clock,
        words: stateWords,
        reset: () => this.#reset(contact.link),
        nextStatus: (limitMs) => this.#nextStatus.within(limitMs),
        configure: () => configure(contact.link),
        takePendingCredit: () => this.#takePendingCredit(),
        isCreditKnown: () => this.#dialogue.credit === 'confirmed',
        isClosed: () => contact.isClosed,
      },
      powerUpEvidence(status),
    );
    this.#service = outcome.device === 'ready' ? 'ready' : 'attention';
    if (outcome.device === 'ready') this.#powerUp = 'none';
    this.#log.info({ ...outcome }, 'id003 initialised');
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
    const codes = (this.#known?.table ?? []).flatMap((entry) => {
      const value = entryValue(entry, currency);
      return value !== undefined && values.includes(value) ? [entry.escrowCode] : [];
    });
    if (codes.length > 0) await this.#set(link, 'setDenominations', denominationMask(codes));
    this.#slot.requireLast(change);
    await this.#set(link, 'setInhibit', [codes.length > 0 ? 0 : 1]);
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
    this.#service = 'attention';
    this.#onAway('the port was closed');
    await contact.close();
  }

  // Keeping in touch

  #onIdentified(found: IdentifiedDevice): void {
    if (this.#known && !isSameDevice(this.#known, found)) {
      // What was known of a note inside is not of this device.
      this.#dialogue = emptyDialogue;
      this.#service = 'attention';
    }
    this.#known = found;
    if (this.#service !== 'ready') this.#powerUp = powerUpEvidence(found.status);
    this.#log.info({ ...found.identity, state: describeStatus(found.status) }, 'id003 identified');
    this.#onStatus(found.status);
  }

  #onAway(reason: string): void {
    this.#step({ kind: 'gaveUp', reason });
    this.#publish();
    if (this.#contact) {
      this.#news.tell({ kind: 'device.failed', error: this.#error('deviceNotReady', reason) });
    }
    this.#nextStatus.tell(undefined);
  }

  #onStatus(status: Id003Status): void {
    const before = this.#last;
    this.#last = status;
    const isNew = before === undefined || describeStatus(before) !== describeStatus(status);
    if (isNew) this.#log.debug({ state: describeStatus(status) }, 'id003 state');
    if (this.#service === 'ready' && needsReset(status)) this.#service = 'attention';
    const isPowerUp = status.name.startsWith('powerUp');
    if (isPowerUp) this.#powerUp = powerUpEvidence(status);
    this.#cashBox = cashBoxOf(status, this.#cashBox);
    const inService = this.#service === 'ready';
    this.#step({ kind: 'status', status, inService, value: this.#escrowValue(status) });
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
        this.#log.info({ ...effect.outcome }, 'id003 note ended');
        this.#decision.end(effect.outcome);
        return;
      case 'acknowledge':
        this.#acknowledge();
        return;
      case 'send':
        void this.#sendOnce(effect.command);
        return;
    }
  }

  /** The dialogue lets each command leave once for a note; this checks it at the last moment. */
  async #sendOnce(move: Move): Promise<void> {
    const command = move === 'stack' ? 'stack2' : 'return';
    const reply = await this.#contact?.link.exchange({
      command,
      accepts: isMoveAnswer,
      beforeSend: () => {
        if (!this.#isOnline() || !mayStillSend(this.#dialogue, move)) return false;
        this.#step({ kind: 'sent', command: move });
        return true;
      },
    });
    if (reply === undefined || reply === 'unsent') return;
    const acknowledged = reply !== 'silent' && !isRefusal(reply);
    const evidence =
      reply === 'silent' ? 'no answer' : acknowledged ? 'acknowledged' : 'not understood';
    this.#step({ kind: 'answered', acknowledged, evidence });
  }

  #acknowledge(): void {
    // A credit seen in answer to a poll that left before our ACK says nothing about that ACK.
    if (!this.#contact || this.#contact.polls <= this.#pollsAtAcknowledge) return;
    this.#pollsAtAcknowledge = this.#contact.polls;
    void this.#contact.link.exchange({ command: 'ack', accepts: () => false });
  }

  #decide(kind: 'deposit' | 'return'): Promise<NoteOutcome> {
    this.#requireContact();
    if (isUndecided(this.#dialogue) && this.#isOnline()) return this.#decision.make(kind);
    throw this.#error('sequenceError', 'no note waits in escrow for a decision');
  }

  #escrowValue(status: Id003Status): MinorUnits | undefined {
    if (status.name !== 'escrow') return undefined;
    const entry = this.#known?.table.find(({ escrowCode }) => escrowCode === status.detail);
    return entry && entryValue(entry, this.#options.currency);
  }

  #takePendingCredit(): boolean {
    const isPending = this.#dialogue.credit === 'pending';
    if (isPending) this.#step({ kind: 'creditTold' });
    return isPending;
  }

  // Commands and waits

  async #reset(link: Id003Link): Promise<boolean> {
    const reply = await link.exchange({ command: 'reset', accepts: isMoveAnswer });
    return reply !== 'silent' && reply !== 'unsent' && !isRefusal(reply);
  }

  async #set(
    link: Id003Link,
    command: 'setDenominations' | 'setInhibit',
    data: readonly number[],
  ): Promise<void> {
    const answer = await link.ask(command, data);
    if (answer === 'silent') throw this.#error('timeOut', `${command} was not confirmed`);
    if (answer === 'refused') throw this.#error('refused', `${command} was refused`);
  }

  #requireContact(): Id003Contact {
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
    this.#news.show(this.#condition());
  }

  #condition(): CashAcceptorStatus {
    const isPending = this.#dialogue.credit === 'pending';
    // Once told or confirmed, the credit of a start is no evidence of anything left inside.
    const told = this.#powerUp === 'creditPending' ? 'none' : this.#powerUp;
    const powerUp = isPending ? 'creditPending' : told;
    const cashBox = this.#cashBox;
    const last = this.#last;
    if (!this.#isOnline() || !last) {
      return { device: 'offline', cashBox, powerUp, fault: undefined };
    }
    const ready = this.#service === 'ready' ? 'ready' : 'attention';
    const device = needsPerson(last) ? 'fault' : ready;
    return { device, cashBox, powerUp, fault: faultOf(last) };
  }
}

function isMoveAnswer(frame: Id003Frame): boolean {
  return frame.code === replies.acknowledge || isRefusal(frame);
}
