/**
 * Keeps in touch with one SSP validator: polls it, or holds its note, notices its absence, finds it
 * again. Before the first POLL of every session HOLD asks whether a note waits in escrow, for that
 * POLL would accept it.
 */
import { type Clock, type Random, sleep } from '#protocol/base/clock.ts';
import type { DeviceError } from '#protocol/base/errors.ts';
import type { Log } from '#protocol/base/log.ts';
import { NextNews } from '../news.ts';
import type { Port } from '../port.ts';
import { Presence, RECONNECT_MS } from '../presence.ts';
import { decodePoll, describeEvent, type PollAnswer, replies } from './commands.ts';
import {
  heard,
  type IdentifiedDevice,
  type IdentifyParts,
  identify,
  other,
  requireSame,
} from './identify.ts';
import { isOk, SspLink, type SspReply } from './link.ts';
import type { SspModel } from './models.ts';

/** HOLD must come within 10 s (GA138); this often it also shows that the device is there. */
const HOLD_MS = 400;
/** How often in a row a device must say that no note waits, and how far apart. */
const HOLD_QUESTIONS = 3;
const HOLD_QUESTION_GAP_MS = 100;
/** Attempts to reach a silent device after which the port is opened anew: about 10 s. */
const REOPEN_AFTER_ATTEMPTS = 5;
/** Polls or HOLDs refused in a row until a session is begun anew. */
const REFUSALS_MAX = 5;

/** A device that was found, and what it said first. */
export interface FoundDevice extends IdentifiedDevice {
  /** A note waits in escrow; then nothing was polled. */
  readonly isHeld: boolean;
  readonly answer: PollAnswer | undefined;
}

/** What keeping in touch needs. */
export interface SspContactOptions {
  readonly port: Port;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  readonly model: SspModel;
  readonly fixedKey: bigint;
  readonly pollMs: number;
  readonly replyTimeoutMs: number;
  /** Whether a POLL may leave now; else the note in escrow is held. */
  readonly mayPoll: () => boolean;
  /** A POLL is about to leave. */
  readonly onPoll: () => void;
  readonly onFound: (found: FoundDevice) => void;
  readonly onPolled: (answer: PollAnswer) => void;
  readonly onHeld: (isHeld: boolean) => void;
  /** It is out of touch. Commands that waited have been answered before. */
  readonly onAway: (reason: string) => void;
  /** Another device is in its place. */
  readonly onOther: (error: DeviceError) => void;
}

/** One device, from `open` until `close`; made anew for the next time. */
export class SspContact {
  readonly link: SspLink;
  readonly #options: SspContactOptions;
  readonly #parts: IdentifyParts;
  readonly #presence: Presence;
  #known: IdentifiedDevice | undefined;
  /** Whether POLL WITH ACK is known to it; undefined until it was tried. */
  #acks: boolean | undefined;
  #refusals = 0;
  #polls = 0;
  #lastWords = '';
  /** It was starting when the session began, and has not said that it has started. */
  #awaitsStart: boolean = false;
  #isUrgent: boolean = false;
  /** Whether a note waits in escrow must be asked before the next poll. */
  #isUnclear: boolean = false;
  readonly #nextHeard: NextNews<true>;

  constructor(options: SspContactOptions) {
    this.#options = options;
    this.#nextHeard = new NextNews(options.clock);
    const { port, clock, log, replyTimeoutMs, model, random, fixedKey } = options;
    const onLost = (reason: string) => this.#presence.goAway('lost', reason);
    const onBroken = (reason: string) => this.#presence.goAway('silent', reason);
    this.link = new SspLink({ port, clock, log, replyTimeoutMs, onLost, onBroken });
    this.#presence = new Presence({
      name: 'ssp',
      port,
      clock,
      log,
      reopenAfter: REOPEN_AFTER_ATTEMPTS,
      line: this.link.line,
      onAway: (reason) => this.#onAway(reason),
    });
    this.#parts = { link: this.link, port, model, random, fixedKey };
  }

  /** It answers, and was identified since it was last away. */
  get isOnline(): boolean {
    return this.#presence.isOnline;
  }

  get isClosed(): boolean {
    return this.#presence.isClosed;
  }

  /** It repeats a credit until EVENT ACK. */
  get acks(): boolean {
    return this.#acks === true;
  }

  /** Polls answered so far: tells an answer from before a command from one after it. */
  get polls(): number {
    return this.#polls;
  }

  /**
   * Opens the port, identifies the device and keeps in touch from then on.
   * @throws DeviceError as `Port.open` and `identify` do; the contact is then closed.
   */
  async open(): Promise<void> {
    await this.#presence.open(() => this.#begin());
    void this.#serve();
  }

  /** Polls as soon as the line is free. */
  pollNow(): void {
    this.#isUrgent = true;
    this.#presence.wake();
  }

  /** Waits for the next news; false when there was none in time, or the device is away. */
  async next(limitMs: number): Promise<boolean> {
    return (await this.#nextHeard.within(limitMs)) === true;
  }

  /** Ends it; everything that waits is answered. */
  async close(): Promise<void> {
    this.#nextHeard.tell(undefined);
    await this.#presence.close();
  }

  async #serve(): Promise<void> {
    const { clock } = this.#options;
    // The session has just begun with a poll, so the next one has time.
    if (!this.#isUrgent) await this.#presence.pause(this.#options.pollMs);
    while (!this.isClosed) {
      const startedMs = clock.monotonic();
      this.#isUrgent = false;
      await this.#turn();
      if (this.#isUrgent) continue;
      await this.#presence.untilDue(this.#paceMs(), startedMs);
    }
  }

  #paceMs(): number {
    if (!this.isOnline) return RECONNECT_MS;
    return this.#options.mayPoll() ? this.#options.pollMs : HOLD_MS;
  }

  async #turn(): Promise<void> {
    if (!this.isOnline) await this.#beginAgain();
    else if (this.#options.mayPoll() && !this.#isUnclear) await this.#poll();
    else await this.#hold();
  }

  async #poll(): Promise<void> {
    const reply = await this.#sendPoll();
    if (!this.isOnline || typeof reply === 'string') return;
    if (isOk(reply)) {
      this.#refusals = 0;
      this.#polls++;
      this.#onAnswer(decodePoll(reply.data, this.#known?.protocolVersion ?? 0));
      return;
    }
    this.#onRefused('to be polled');
  }

  #onAnswer(answer: PollAnswer): void {
    const words = wordsOf(answer);
    // Until EVENT ACK the device says the same again, which is no news.
    const isNews = words !== this.#lastWords;
    this.#lastWords = words;
    this.#options.onPolled(answer);
    this.#nextHeard.tell(true);
    this.#noteUnreadable(answer);
    if (!isNews || !hasStarted(answer)) return;
    // Unless this is the end of the start that the session began in, it has forgotten the protocol
    // version, and so does not tell of all that happens.
    if (!this.#awaitsStart) this.#presence.goAway('silent', 'the device has started again');
    this.#awaitsStart = false;
  }

  /** A note may have come to escrow in what was not understood: only HOLD can tell. */
  #noteUnreadable(answer: PollAnswer | undefined): void {
    if (!answer?.unreadable) return;
    this.#isUnclear = true;
    const bytes = Buffer.from(answer.unreadable).toString('hex');
    this.#options.log.warn({ bytes }, 'ssp events that are not known here');
  }

  async #hold(): Promise<void> {
    const reply = await this.#askHeld();
    if (!this.isOnline || typeof reply === 'string') return;
    const isHeld = isOk(reply);
    // No other answer says that the next POLL would accept nothing.
    if (!isHeld && reply.code !== replies.cannotBeProcessed) return this.#onRefused('to hold');
    this.#refusals = 0;
    this.#isUnclear = false;
    this.#options.onHeld(isHeld);
    this.#nextHeard.tell(true);
  }

  #onRefused(what: string): void {
    this.#refusals++;
    if (this.#refusals < REFUSALS_MAX) return;
    this.#presence.goAway('silent', `the device refuses ${what}`);
  }

  /**
   * HOLD, whose refusal means that no note waits in escrow, so that POLL is free to leave. The same
   * answer is given by a device that is busy, so it is believed only when it stays.
   */
  async #askHeld(): Promise<SspReply> {
    let reply = await this.link.ask('hold');
    for (let count = 1; count < HOLD_QUESTIONS; count++) {
      if (typeof reply === 'string' || reply.code !== replies.cannotBeProcessed) break;
      await sleep(this.#options.clock, HOLD_QUESTION_GAP_MS);
      reply = await this.link.ask('hold');
    }
    return reply;
  }

  /** POLL WITH ACK where it is known, else POLL: one of them, and one that is not refused. */
  async #sendPoll(): Promise<SspReply> {
    const beforeSend = () => {
      if (!this.#options.mayPoll()) return false;
      this.#options.onPoll();
      return true;
    };
    if (this.#acks !== false) {
      const reply = await this.link.exchange({ command: 'pollWithAck', beforeSend });
      if (typeof reply === 'string') return reply;
      this.#acks ??= isOk(reply);
      if (this.#acks) return reply;
    }
    return this.link.exchange({ command: 'poll', beforeSend });
  }

  async #beginAgain(): Promise<void> {
    const error = await this.#presence.findAgain(() => this.#begin());
    if (error?.code === 'unsupportedCommand') this.#options.onOther(error);
  }

  /** A session: who is there, whether a note waits in escrow, and if not, what has happened. */
  async #begin(): Promise<void> {
    const isFirst = this.#known === undefined;
    const device = await identify(this.#parts);
    requireSame(this.#known, device, this.#parts);
    const held = heard(this.#parts, 'hold', await this.#askHeld());
    if (!isOk(held) && held.code !== replies.cannotBeProcessed) {
      throw other(this.#parts, 'it cannot hold a note in escrow');
    }
    const isHeld = isOk(held);
    let answer: PollAnswer | undefined;
    if (!isHeld) {
      // DISABLE would give back a note in escrow, and there is none.
      if (isFirst) heard(this.#parts, 'disable', await this.link.ask('disable'));
      answer = await this.#firstPoll(device);
    }
    this.#presence.found();
    this.#known = device;
    this.#refusals = 0;
    this.#isUnclear = false;
    this.#polls++;
    this.#options.onFound({ ...device, isHeld, answer });
    this.#nextHeard.tell(true);
    this.#noteUnreadable(answer);
    this.#lastWords = answer ? wordsOf(answer) : '';
    this.#awaitsStart = device.hasStarted && !(answer && hasStarted(answer));
  }

  async #firstPoll(device: IdentifiedDevice): Promise<PollAnswer> {
    const poll = async (command: 'poll' | 'pollWithAck') =>
      heard(this.#parts, command, await this.link.exchange({ command }));
    let reply = this.#acks === false ? undefined : await poll('pollWithAck');
    if (reply && !isOk(reply) && this.#acks === undefined) {
      this.#acks = false;
      reply = undefined;
    }
    reply ??= await poll('poll');
    if (!isOk(reply)) throw other(this.#parts, 'it cannot be polled');
    this.#acks ??= true;
    return decodePoll(reply.data, device.protocolVersion);
  }

  #onAway(reason: string): void {
    this.#options.onAway(reason);
    this.#nextHeard.tell(undefined);
  }
}

function wordsOf({ events }: PollAnswer): string {
  return events.map(describeEvent).join();
}

function hasStarted({ events }: PollAnswer): boolean {
  return events.some(({ name }) => name === 'slaveReset');
}
