/**
 * One command outstanding on a CCNET line: writes it, waits for the answer, acknowledges it, gives
 * up in time. Source: CashCode NET, software operational rules; cash-hardware.md 3.2.
 */
import assert from 'node:assert/strict';
import type { CancelTimer, Clock } from '#protocol/base/clock.ts';
import type { Log } from '#protocol/base/log.ts';
import { FrameReader } from '../frame-reader.ts';
import { Line } from '../line.ts';
import type { Port } from '../port.ts';
import { WAITING_MAX } from '../turns.ts';
import { type CommandName, commands, decodeStatus, replies, statuses } from './commands.ts';
import {
  CCNET_LINE,
  CcnetFramer,
  type CcnetWireEvent,
  encodeFrame,
  VALIDATOR_ADDRESS,
} from './wire.ts';

/** How often something is asked that moves nothing. Source: at most 3 times. */
const QUERY_ATTEMPTS = 3;
/** How often an answer that came damaged is asked for again by NAK. Source: at most 3 times. */
const NAKS_MAX = 3;
/**
 * From the first byte of our ACK or NAK to the next command: the frame takes 6.25 ms, and the bus
 * rests for at least 10 ms. Source: t_free, cash-hardware.md 3.2.
 */
export const BUS_REST_MS = 20;

type MovingCommand = {
  [Name in CommandName]: (typeof commands)[Name]['moves'] extends true ? Name : never;
}[CommandName];

/** What a link needs. */
export interface CcnetLinkOptions {
  readonly port: Port;
  readonly clock: Clock;
  readonly log: Log;
  readonly replyTimeoutMs: number;
  /** A state that nothing waits for: a late answer to a poll. Lines keep order, so it is news. */
  readonly onLateState: (body: Uint8Array) => void;
  /** The port is gone; everything that waited has been answered before. */
  readonly onLost: (reason: string) => void;
}

/** One command. */
export interface CcnetRequest {
  readonly command: CommandName;
  readonly data?: readonly number[];
  /** Called just before the first byte leaves; `false` keeps the command back. */
  readonly beforeSend?: () => boolean;
}

/** `unsent`: it was not wanted any more, or the port was gone. `silent`: nothing came back. */
export type CcnetReply = Uint8Array | 'silent' | 'unsent';

interface Waiting {
  readonly request: CcnetRequest;
  readonly settle: (reply: CcnetReply) => void;
}

/**
 * Serialises commands. It never sends a command twice: who may repeat a question does so himself.
 * It acknowledges every answer that the protocol wants acknowledged, except BILL STACKED: its ACK
 * leaves with `acknowledgeCredit`, once the credit is on disk.
 */
export class CcnetLink {
  readonly line: Line;
  readonly #options: CcnetLinkOptions;
  readonly #reader: FrameReader<CcnetWireEvent>;
  readonly #waiting: Waiting[] = [];
  #current: Waiting | undefined;
  #cancelTimeout: CancelTimer = () => undefined;
  #cancelFree: CancelTimer = () => undefined;
  #freeAtMs = 0;
  #isDamaged: boolean = false;
  #naks = 0;
  #holdsCredit: boolean = false;

  constructor(options: CcnetLinkOptions) {
    this.#options = options;
    const { port, clock, onLost } = options;
    this.#reader = new FrameReader({
      clock,
      framer: new CcnetFramer(),
      onEvent: (event) => this.#onWireEvent(event),
      onSilence: () => this.#onSilence(),
    });
    this.line = new Line({
      port,
      settings: CCNET_LINE,
      onData: (bytes) => this.#reader.push(bytes),
      onDown: () => this.#abandon(),
      onLost,
    });
  }

  /** The last thing said on the line is BILL STACKED, and it waits for our ACK. */
  get holdsCredit(): boolean {
    return this.#holdsCredit;
  }

  /** Sends one command once, after those before it, and waits for its answer. */
  exchange(request: CcnetRequest): Promise<CcnetReply> {
    assert(this.#waiting.length < WAITING_MAX, 'too many CCNET commands wait');
    return new Promise((resolve) => {
      this.#waiting.push({ request, settle: resolve });
      this.#next();
    });
  }

  /**
   * Asks or sets something, at most three times: nothing moves by it. `refused`: the device does
   * not know the command, or not now.
   */
  async ask(
    command: Exclude<CommandName, MovingCommand>,
    data: readonly number[] = [],
  ): Promise<Uint8Array | 'silent' | 'refused'> {
    for (let attempt = 0; attempt < QUERY_ATTEMPTS; attempt++) {
      const answer = await this.exchange({ command, data });
      if (answer === 'unsent') return 'silent';
      if (answer === 'silent' || isNak(answer) || isBusy(answer)) continue;
      return isIllegal(answer) ? 'refused' : answer;
    }
    return 'silent';
  }

  /**
   * Acknowledges the BILL STACKED that was heard last. False when something was said since: the ACK
   * would then belong to that, and must wait until the device reports the credit again.
   */
  acknowledgeCredit(): boolean {
    if (!this.#holdsCredit || !this.line.isOpen) return false;
    this.#confirm('ack');
    return true;
  }

  #next(): void {
    const restMs = this.#freeAtMs - this.#options.clock.monotonic();
    if (restMs > 0 && this.#waiting.length > 0 && this.line.isOpen) {
      const freeAtMs = this.#freeAtMs;
      this.#cancelFree();
      this.#cancelFree = this.#options.clock.after(restMs, () => {
        // A timer that is early by a part of a millisecond is not set again: the rest has a margin.
        if (this.#freeAtMs === freeAtMs) this.#freeAtMs = 0;
        this.#next();
      });
      return;
    }
    while (!this.#current) {
      const next = this.#waiting.shift();
      if (!next) return;
      if (this.line.isOpen && next.request.beforeSend?.() !== false) this.#send(next);
      else next.settle('unsent');
    }
  }

  #send(next: Waiting): void {
    const { command, data = [] } = next.request;
    // Nothing is owed to us now: an unfinished frame is noise and must not swallow the answer.
    this.#reader.forget();
    this.#current = next;
    this.#naks = 0;
    this.#holdsCredit = false;
    this.line.write(encodeFrame([commands[command].code, ...data]));
    this.#startWaiting();
  }

  #startWaiting(): void {
    this.#isDamaged = false;
    this.#cancelTimeout();
    this.#cancelTimeout = this.#options.clock.after(this.#options.replyTimeoutMs, () => {
      const rest = this.#reader.forget();
      const command = this.#current?.request.command;
      this.#options.log.debug({ command, unfinished: toHex(rest) }, 'ccnet no answer');
      this.#answer('silent');
    });
  }

  /** ACK and NAK are answered by nobody, and the bus has to rest after them. */
  #confirm(word: 'ack' | 'nak'): void {
    this.#holdsCredit = false;
    this.#freeAtMs = this.#options.clock.monotonic() + BUS_REST_MS;
    this.line.write(encodeFrame([commands[word].code]));
  }

  #answer(reply: CcnetReply): void {
    this.#cancelTimeout();
    const current = this.#current;
    this.#current = undefined;
    current?.settle(reply);
    // One turn later, so that whoever waited has heard the answer first: what the device says now
    // may keep the next command back (a note that is already on its way out is not stacked).
    queueMicrotask(() => this.#next());
  }

  /** The line fell silent over an unfinished or damaged answer: it is asked for again. */
  #onSilence(): void {
    const { current, isDamaged } = { current: this.#current, isDamaged: this.#isDamaged };
    if (!current || !isDamaged || this.#naks >= NAKS_MAX) return;
    // The device does not repeat its own ACK: whether a command was heard must be asked about.
    if (commands[current.request.command].reply === 'ack') return;
    this.#naks++;
    this.#confirm('nak');
    this.#startWaiting();
  }

  #onWireEvent(event: CcnetWireEvent): void {
    if (event.kind === 'discarded') {
      this.#isDamaged = true;
      this.#options.log.debug({ bytes: toHex(event.bytes) }, 'ccnet bytes discarded');
    } else if (event.frame.address === VALIDATOR_ADDRESS) this.#onBody(event.frame.body);
    else this.#options.log.debug({ address: event.frame.address }, 'ccnet frame of another');
  }

  #onBody(body: Uint8Array): void {
    const { command } = this.#current?.request ?? {};
    if (command !== undefined && fits(command, body)) {
      // A damaged answer of before is none of this one.
      this.#isDamaged = false;
      if (isCredit(body)) this.#holdsCredit = true;
      else if (commands[command].reply !== 'ack' && !isRefusal(body)) this.#confirm('ack');
      this.#answer(body);
      return;
    }
    this.#options.log.debug({ body: toHex(body) }, 'ccnet stray frame');
    if (decodeStatus(body) !== undefined && !isIllegal(body)) this.#options.onLateState(body);
  }

  #abandon(): void {
    this.#cancelTimeout();
    this.#cancelFree();
    this.#reader.forget();
    this.#holdsCredit = false;
    const current = this.#current;
    this.#current = undefined;
    current?.settle('silent');
    for (const { settle } of this.#waiting.splice(0)) settle('unsent');
  }
}

/** Whether a body can be the answer to a command; others are late or doubled. */
function fits(command: CommandName, body: Uint8Array): boolean {
  const { reply } = commands[command];
  if (isRefusal(body) || isBusy(body)) return true;
  if (reply === 'ack') return body.length === 1 && body[0] === replies.acknowledge;
  if (reply === 'state') return body.length <= 2 && body[0] !== replies.acknowledge;
  return body.length === reply;
}

function isNak(body: Uint8Array): boolean {
  return body.length === 1 && body[0] === replies.notUnderstood;
}

function isIllegal(body: Uint8Array): boolean {
  return body.length === 1 && body[0] === replies.illegalCommand;
}

/** Whether the device says that it did not understand, or will not; it then has done nothing. */
export function isRefusal(body: Uint8Array): boolean {
  return isNak(body) || isIllegal(body);
}

/** Whether the device has no time; to anything but a poll it says so instead of doing it. */
export function isBusy(body: Uint8Array): boolean {
  return body.length === 2 && body[0] === statuses.busy.code;
}

function isCredit(body: Uint8Array): boolean {
  return body.length === 2 && body[0] === statuses.billStacked.code;
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
