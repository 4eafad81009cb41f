/**
 * A bill validator that speaks SSP, plain or encrypted (eSSP). It owns the port and the timers;
 * what events mean for a note is decided in `dialogue.ts`, when a POLL may leave too.
 */
import type { Clock, Random } from '#protocol/base/clock.ts';
import { type AtmErrorCode, DeviceError } from '#protocol/base/errors.ts';
import type { Log } from '#protocol/base/log.ts';
import type { MinorUnits } from '#protocol/base/money.ts';
import type {
  AcceptorBaseline,
  CashAcceptor,
  CashAcceptorCapabilities,
  CashAcceptorEvent,
  CashAcceptorStatus,
  DepositOutcome,
  DeviceIdentity,
  InitialiseOutcome,
  PowerUpEvidence,
  ReturnOutcome,
} from '../cash-acceptor.ts';
import { Decision, type NoteOutcome } from '../decision.ts';
import { AcceptorNews } from '../news.ts';
import type { Port, Unsubscribe } from '../port.ts';
import type { PollAnswer, SspEvent } from './commands.ts';
import {
  conditionAfter,
  faultOf,
  isNewTrouble,
  needsAttention,
  powerUpEvidence,
  type SspCondition,
  statusOf,
  unknownCondition,
} from './condition.ts';
import { type FoundDevice, SspContact } from './contact.ts';
import { CounterMemory, isCounted } from './counters.ts';
import { advance, evidenceOf, isRepeated, mayPoll, mayReject } from './dialogue.ts';
import { initialiseDevice } from './initialise.ts';
import {
  type DialogueEffect,
  type DialogueInput,
  emptyDialogue,
  type NoteDialogue,
  type ToldEvent,
} from './inside.ts';
import { channelValue, sspModels } from './models.ts';
import { SSP_DEFAULTS, type SspOptions } from './options.ts';
import { acknowledge, askWhy, reject, reset, setChannels, shutSlot } from './requests.ts';
import { SspSlot } from './slot.ts';

/** Longest wait for one answer from a device that is in touch. */
const NEWS_LIMIT_MS = 3_000;

/** What the driver is made of. */
export interface SspAcceptorParts {
  readonly port: Port;
  readonly clock: Clock;
  readonly log: Log;
  /** For the keys of eSSP. */
  readonly random: Random;
  readonly options: SspOptions;
}

/** Drives one SSP validator. */
export class SspAcceptor implements CashAcceptor {
  readonly #parts: SspAcceptorParts;
  readonly #options: Required<SspOptions>;
  #contact: SspContact | undefined;
  #counters: CounterMemory | undefined;
  #slot: SspSlot | undefined;
  #known: FoundDevice | undefined;
  #other: DeviceError | undefined;
  #service: 'attention' | 'initialising' | 'ready' = 'attention';
  #condition: SspCondition = unknownCondition;
  #powerUp: PowerUpEvidence = 'unknown';
  readonly #news: AcceptorNews;
  readonly #decision: Decision;
  #dialogue: NoteDialogue = emptyDialogue;
  /**
   * What the device repeats has been told by an initialisation that did not end in service. Unless
   * it is acknowledged then, nothing else is heard, such as that the cash box is back.
   */
  #isEvidenceTold: boolean = false;
  #acknowledging: Promise<boolean> | undefined;

  constructor(parts: SspAcceptorParts) {
    this.#parts = parts;
    this.#news = new AcceptorNews(this.#status());
    this.#options = { ...SSP_DEFAULTS, ...parts.options };
    const step = (input: DialogueInput) => this.#step(input);
    this.#decision = new Decision({ clock: parts.clock, ...this.#options, step });
  }

  /** What the device can prove is known after `open`. */
  get capabilities(): CashAcceptorCapabilities {
    return {
      escrow: true,
      hold: true,
      repeatsCredit: this.#contact?.acks === true,
      counters: this.#counters?.areKnown === true,
      powerUpEvidence: true,
    };
  }

  values(): readonly MinorUnits[] {
    const { currency } = this.#options;
    const channels = this.#known?.channels ?? [];
    const values = channels.flatMap((channel) => channelValue(channel, currency) ?? []);
    return [...new Set(values)].sort((one, other) => one - other);
  }

  status(): CashAcceptorStatus {
    return this.#news.shown;
  }

  subscribe(listener: (event: CashAcceptorEvent) => void): Unsubscribe {
    return this.#news.subscribe(listener);
  }

  baseline(): AcceptorBaseline | undefined {
    return this.#counters?.baseline;
  }

  async open(): Promise<DeviceIdentity> {
    if (this.#contact) throw this.#error('sequenceError', 'the validator is open already');
    const { model, fixedKey, pollMs, replyTimeoutMs } = this.#options;
    const contact = new SspContact({
      ...this.#parts,
      model: sspModels[model],
      fixedKey,
      pollMs,
      replyTimeoutMs,
      mayPoll: () => mayPoll(this.#dialogue),
      onPoll: () => this.#onPoll(),
      onFound: (found) => this.#onFound(found),
      onPolled: (answer) => this.#onPolled(answer),
      onHeld: (isHeld) => this.#onHeld(isHeld),
      onAway: (reason) => this.#onAway(reason),
      onOther: (error) => this.#onOther(error),
    });
    this.#contact = contact;
    this.#counters = new CounterMemory(contact.link);
    this.#slot = new SspSlot({
      contact,
      clock: this.#parts.clock,
      isInService: () => this.#service === 'ready' && contact.isOnline,
      isAtRest: () => this.#isAtRest() && this.#news.shown.device === 'ready',
      acknowledge: async () =>
        this.#dialogue.owed === undefined || (await this.#acknowledge(contact)),
      onRefused: () => this.#mustReset(),
      error: (code, reason) => this.#error(code, reason),
    });
    try {
      await contact.open();
    } catch (error) {
      if (this.#contact === contact) this.#contact = undefined;
      throw error;
    }
    if (!this.#known) throw this.#error('canceled', 'closed while it was opened');
    return this.#known.identity;
  }

  async initialise(since?: AcceptorBaseline): Promise<InitialiseOutcome> {
    const contact = this.#requireContact();
    if (this.#service === 'initialising' || this.#dialogue.operation !== 'none') {
      throw this.#error('sequenceError', 'another operation is under way');
    }
    if (!(await contact.next(NEWS_LIMIT_MS))) {
      return { device: 'offline', note: 'unknown', evidence: 'no answer' };
    }
    const evidence = evidenceOf(this.#dialogue);
    if (this.#takePendingCredit()) return { device: 'attention', note: 'deposited', evidence };
    if (this.#dialogue.credit === 'reported') {
      return {
        device: this.#news.shown.device,
        note: 'none',
        evidence: `${evidence}, not confirmed`,
      };
    }
    this.#service = 'initialising';
    this.#slot?.isShut();
    const outcome = await this.#initialiseNow(contact, since);
    this.#service = outcome.device === 'ready' ? 'ready' : 'attention';
    this.#isEvidenceTold = outcome.note !== 'deposited';
    if (outcome.device === 'ready') {
      this.#powerUp = 'none';
      this.#condition = { ...this.#condition, isStarting: false };
    }
    this.#parts.log.info({ ...outcome }, 'ssp initialised');
    this.#publish();
    return outcome;
  }

  async accept(values: readonly MinorUnits[]): Promise<void> {
    this.#requireContact();
    const { currency } = this.#options;
    const channels = (this.#known?.channels ?? []).filter((channel) => {
      const value = channelValue(channel, currency);
      return value !== undefined && values.includes(value);
    });
    await this.#slot?.accept(channels.map(({ channel }) => channel));
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
    this.#slot?.cancel();
    this.#service = 'attention';
    this.#onAway('the port was closed');
    await contact.close();
  }

  // Keeping in touch

  #onFound(found: FoundDevice): void {
    const { serialNumber } = found.identity;
    // After `close` it may be another one; what was known of a note inside is not of this device.
    if (this.#known?.identity.serialNumber !== serialNumber) this.#dialogue = emptyDialogue;
    this.#known = found;
    this.#other = undefined;
    this.#parts.log.info({ ...found.identity }, 'ssp identified');
    this.#counters?.mayHaveMoved();
    const events = found.answer?.events ?? [];
    // Until SLAVE RESET is heard; the answer to the first poll may have it.
    this.#condition = { ...this.#condition, isStarting: found.hasStarted };
    if (found.hasStarted) this.#leaveService();
    if (this.#service !== 'ready') this.#powerUp = powerUpEvidence(found.isHeld, events);
    this.#onHeld(found.isHeld);
    if (found.answer) this.#onPolled(found.answer);
  }

  #onAway(reason: string): void {
    this.#step({ kind: 'gaveUp', reason });
    this.#publish();
    if (this.#contact) {
      this.#news.tell({ kind: 'device.failed', error: this.#error('deviceNotReady', reason) });
    }
  }

  #onOther(error: DeviceError): void {
    if (this.#other?.message === error.message) return;
    this.#other = error;
    this.#news.tell({ kind: 'device.failed', error });
    this.#publish();
  }

  /** A POLL leaves: for a note that waits in escrow it is the deposit. */
  #onPoll(): void {
    const { note } = this.#dialogue;
    if (note?.inEscrow && !note.pollSent) this.#step({ kind: 'pollSent' });
  }

  #onHeld(isHeld: boolean): void {
    this.#step({ kind: 'held', isHeld, inService: this.#service === 'ready' });
    this.#publish();
  }

  #onPolled({ events }: PollAnswer): void {
    if (!isRepeated(this.#dialogue, events)) {
      this.#isEvidenceTold = false;
      this.#onEvents(events);
    } else if (this.#isEvidenceTold && this.#contact) void this.#acknowledge(this.#contact);
    const inService = this.#service === 'ready';
    const isCleared = events.some(({ name }) => name === 'clearedFromFront');
    if (!inService && isCleared) this.#powerUp = 'noteInAcceptor';
    const hadNote = this.#dialogue.busy || this.#dialogue.note !== undefined;
    // Before the step: the next note may begin in the same answer.
    if (hadNote || isCounted(events)) this.#counters?.mayHaveMoved();
    const told = events.map((event) => this.#withValue(event));
    this.#step({ kind: 'polled', events: told, inService, acks: this.#contact?.acks === true });
    if (inService && this.#isAtRest()) void this.#refreshCounters();
    this.#publish();
  }

  #onEvents(events: readonly SspEvent[]): void {
    const before = this.#condition;
    this.#condition = conditionAfter(before, events);
    const isShut = events.some(({ name }) => name === 'disabled');
    const isAgainstOurWish = isShut && this.#slot?.isMeantToBeOpen === true;
    if (isAgainstOurWish || needsAttention(events)) this.#leaveService();
    if (!isNewTrouble(before, this.#condition)) return;
    const text = faultOf(this.#condition)?.text ?? '';
    this.#news.tell({ kind: 'device.failed', error: this.#error('hardwareError', text) });
  }

  /** The device has lost its settings, or must be looked after. */
  #leaveService(): void {
    if (this.#service !== 'ready') return;
    this.#service = 'attention';
    this.#slot?.isShut();
    this.#step({ kind: 'begin' });
  }

  /** After a reset the device says again what is wrong with it. */
  #mustReset(): void {
    this.#condition = { ...this.#condition, mustReset: true };
    this.#leaveService();
    this.#publish();
  }

  #withValue(event: SspEvent): ToldEvent {
    const channel = this.#known?.channels.find((other) => other.channel === event.channel);
    return { ...event, value: channel && channelValue(channel, this.#options.currency) };
  }

  // The note inside

  #step(input: DialogueInput): void {
    const { state, effects } = advance(this.#dialogue, input);
    if (state.notesRead !== this.#dialogue.notesRead) this.#counters?.noteBegins();
    this.#dialogue = state;
    for (const effect of effects) this.#carryOut(effect);
  }

  #carryOut(effect: DialogueEffect): void {
    switch (effect.kind) {
      case 'tell':
        this.#news.tell(effect.event);
        return;
      case 'ended':
        this.#parts.log.info({ ...effect.outcome }, 'ssp note ended');
        this.#decision.end(effect.outcome);
        return;
      case 'poll':
        this.#contact?.pollNow();
        return;
      case 'reject':
        void this.#rejectOnce();
        return;
      case 'askWhy':
        void this.#tellWhy();
        return;
      case 'acknowledge':
        if (this.#contact) void this.#acknowledge(this.#contact);
        return;
    }
  }

  /** The dialogue lets it leave once for a note; this checks it at the last moment. */
  async #rejectOnce(): Promise<void> {
    if (!this.#contact) return;
    const answer = await reject(this.#contact.link, () => {
      if (!mayReject(this.#dialogue)) return false;
      this.#step({ kind: 'rejectSent' });
      return true;
    });
    if (answer === undefined) return;
    this.#step({ kind: 'rejectAnswered', answer });
    this.#contact?.pollNow();
  }

  async #tellWhy(): Promise<void> {
    if (this.#contact) this.#news.tell(await askWhy(this.#contact.link));
  }

  /** EVENT ACK, one at a time; whether the device took it. */
  #acknowledge({ link }: SspContact): Promise<boolean> {
    this.#acknowledging ??= acknowledge(link)
      .then((isDone) => {
        if (isDone) this.#step({ kind: 'acknowledged' });
        return isDone;
      })
      .finally(() => {
        this.#acknowledging = undefined;
      });
    return this.#acknowledging;
  }

  #decide(kind: 'deposit' | 'return'): Promise<NoteOutcome> {
    this.#requireContact();
    const { note, operation } = this.#dialogue;
    const isOpen = note?.announced === true && note.inEscrow && !note.unwanted && !note.pollSent;
    if (isOpen && operation === 'none' && this.#contact?.isOnline === true) {
      return this.#decision.make(kind);
    }
    throw this.#error('sequenceError', 'no note waits in escrow for a decision');
  }

  #takePendingCredit(): boolean {
    if (this.#dialogue.credit !== 'pending') return false;
    this.#step({ kind: 'creditTold' });
    // It was the note that was left inside.
    this.#step({ kind: 'begin' });
    this.#powerUp = 'none';
    return true;
  }

  /** With nothing inside the counters are read: they settle a doubt, and are the next baseline. */
  async #refreshCounters(): Promise<void> {
    const proof = await this.#counters?.refresh();
    if (proof === undefined || !this.#dialogue.doubt || this.#dialogue.note) return;
    this.#step({ kind: 'counted', note: proof, inService: this.#service === 'ready' });
    this.#publish();
  }

  // Commands and waits

  #initialiseNow(
    contact: SspContact,
    since: AcceptorBaseline | undefined,
  ): Promise<InitialiseOutcome> {
    const { clock } = this.#parts;
    const { note, doubt, ended } = this.#dialogue;
    const hadNote = note !== undefined || doubt || ended !== 'none';
    return initialiseDevice(
      {
        clock,
        release: () => this.#step({ kind: 'release' }),
        reset: () => reset(contact.link),
        nextNews: (limitMs) => contact.next(limitMs),
        configure: async () =>
          !(await shutSlot(contact.link)) && !(await setChannels(contact.link, [])),
        readCounters: async (isInDoubt) => {
          const note = (await this.#counters?.refresh(since)) ?? 'unknown';
          if (isInDoubt) this.#step({ kind: 'counted', note, inService: false });
          return note;
        },
        takePendingCredit: () => this.#takePendingCredit(),
        condition: () => this.#condition,
        dialogue: () => this.#dialogue,
        evidence: () => evidenceOf(this.#dialogue),
        isOnline: () => contact.isOnline,
        isClosed: () => contact.isClosed,
      },
      { mayHaveNote: hadNote || this.#powerUp !== 'none' || since !== undefined },
    );
  }

  #isAtRest(): boolean {
    return !this.#dialogue.busy && this.#dialogue.note === undefined;
  }

  #requireContact(): SspContact {
    if (!this.#contact) throw this.#error('sequenceError', 'the validator is not open');
    return this.#contact;
  }

  #error(code: AtmErrorCode, reason: string): DeviceError {
    return new DeviceError(code, reason, { recording: this.#parts.port.recording() });
  }

  #publish(): void {
    this.#news.show(this.#status());
  }

  #status(): CashAcceptorStatus {
    return statusOf(this.#condition, {
      isOnline: this.#contact?.isOnline === true,
      isReady: this.#service === 'ready',
      powerUp: this.#dialogue.credit === 'pending' ? 'creditPending' : this.#powerUp,
      other: this.#other,
    });
  }
}
