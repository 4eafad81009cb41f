/**
 * One command outstanding on an EBDS line, and the ACK bit: a command with the other bit is new,
 * one with the same bit is said again, and the device then repeats its last reply and does nothing.
 * Source: cash-hardware.md 4.1.
 */
import assert from 'node:assert/strict';
import type { CancelTimer, Clock } from '#protocol/base/clock.ts';
import type { Log } from '#protocol/base/log.ts';
import { FrameReader } from '../frame-reader.ts';
import { Line } from '../line.ts';
import type { Port } from '../port.ts';
import { WAITING_MAX } from '../turns.ts';
import {
  type CommandName,
  commands,
  decodeReply,
  type EbdsReply,
  type EbdsStatus,
  hexCode,
} from './commands.ts';
import {
  type AckBit,
  EBDS_LINE,
  type EbdsFrame,
  EbdsFramer,
  type EbdsWireEvent,
  encodeFrame,
  toggled,
} from './wire.ts';

/** How often the same frame is sent. Source: PTI reads four times, KEB twenty. */
const ATTEMPTS = 3;
/** Longest hold of a credit: writing it down takes milliseconds. */
const HOLD_LIMIT_MS = 10_000;
/**
 * What a device says in the second after a soft reset means nothing. Source: cash-hardware.md
 * 4.5.
 */
const RESET_QUIET_MS = 1000;

/** What a link needs. */
export interface EbdsLinkOptions {
  readonly port: Port;
  readonly clock: Clock;
  readonly log: Log;
  readonly replyTimeoutMs: number;
  /** Every status, before whoever asked is answered: some of what it says is said once only. */
  readonly onStatus: (status: EbdsStatus) => void;
  /** The port is gone; everything that waited has been answered before. */
  readonly onLost: (reason: string) => void;
}

/** One command and how to know its answer. */
export interface EbdsRequest {
  readonly command: CommandName;
  /** Its data, asked for when the line is free. */
  readonly data: () => readonly number[];
  readonly accepts: (reply: EbdsReply) => boolean;
  /** Called just before the first byte leaves; `false` keeps the command back. */
  readonly beforeSend?: () => boolean;
}

/** `unsent`: it was not wanted any more, or must not leave now. `silent`: nothing came back. */
export type EbdsAnswer =
  | {
      readonly reply: EbdsReply;
      /** The device has carried it out; else it took it for one that it had heard before. */
      readonly performed: boolean;
    }
  | 'silent'
  | 'unsent';

interface Waiting {
  readonly request: EbdsRequest;
  readonly settle: (answer: EbdsAnswer) => void;
}

interface Outstanding extends Waiting {
  readonly frame: Uint8Array;
  readonly ack: AckBit;
  readonly performed: boolean;
  attemptsLeft: number;
}

/**
 * Serialises commands and keeps the ACK bit. An exchange that stayed without an answer leaves open
 * whether the device has heard it. Then only plain polls leave, with the same bit: they ask again
 * and can do nothing twice. Everything else waits until one is answered.
 */
export class EbdsLink {
  readonly line: Line;
  readonly #options: EbdsLinkOptions;
  readonly #reader: FrameReader<EbdsWireEvent>;
  readonly #waiting: Waiting[] = [];
  #current: Outstanding | undefined;
  #cancelTimeout: CancelTimer = () => undefined;
  #cancelQuiet: CancelTimer = () => undefined;
  #isQuiet: boolean = false;
  #heldSinceMs: number | undefined;
  /** The bit of the last command. */
  #ack: AckBit = 0;
  /** The last command was answered, so the next one takes the other bit. */
  #isSettled: boolean = false;

  constructor(options: EbdsLinkOptions) {
    this.#options = options;
    const { port, clock, onLost } = options;
    this.#reader = new FrameReader({
      clock,
      framer: new EbdsFramer(),
      onEvent: (event) => this.#onWireEvent(event),
    });
    this.line = new Line({
      port,
      settings: EBDS_LINE,
      onData: (bytes) => this.#onData(bytes),
      onDown: () => this.#abandon(),
      onLost,
    });
  }

  /**
   * While a credit is not on our disk, no new command leaves, only polls with the bit of the reply
   * that told of it: the device repeats that reply, and forgets it with the next new command. For
   * so long we are blind to all else, so it has a limit.
   */
  hold(isHeld: boolean): void {
    const nowMs = this.#options.clock.monotonic();
    this.#heldSinceMs = isHeld ? (this.#heldSinceMs ?? nowMs) : undefined;
  }

  /**
   * Sends one command, after those before it, and waits for its answer. Without one, the same frame
   * is sent again, twice at most; the device knows it by its ACK bit. A soft reset is sent once and
   * has no answer.
   */
  exchange(request: EbdsRequest): Promise<EbdsAnswer> {
    assert(this.#waiting.length < WAITING_MAX, 'too many EBDS commands wait');
    return new Promise((resolve) => {
      this.#waiting.push({ request, settle: resolve });
      this.#next();
    });
  }

  #next(): void {
    while (!this.#current && !this.#isQuiet) {
      const next = this.#waiting.shift();
      if (!next) return;
      const { request } = next;
      const isNew = this.#isSettled && !this.#isHeld();
      const mayLeave = isNew || request.command === 'poll';
      if (!this.line.isOpen || !mayLeave || request.beforeSend?.() === false) {
        next.settle('unsent');
        continue;
      }
      this.#send(next, isNew);
    }
  }

  #isHeld(): boolean {
    const sinceMs = this.#heldSinceMs;
    return sinceMs !== undefined && this.#options.clock.monotonic() - sinceMs < HOLD_LIMIT_MS;
  }

  #send(next: Waiting, performed: boolean): void {
    const { command, data } = next.request;
    if (performed) this.#ack = toggled(this.#ack);
    const frame = encodeFrame(commands[command].type, this.#ack, data());
    if (command === 'softReset') {
      this.#sendReset(next, frame);
      return;
    }
    // A poll that is held back repeats a reply that has been answered before.
    this.#isSettled = this.#isSettled && !performed;
    this.#current = { ...next, frame, ack: this.#ack, performed, attemptsLeft: ATTEMPTS };
    this.#transmit(this.#current);
  }

  #transmit(current: Outstanding): void {
    current.attemptsLeft--;
    // Nothing is owed to us now: an unfinished frame is noise and must not swallow the answer.
    this.#reader.forget();
    this.line.write(current.frame);
    this.#cancelTimeout = this.#options.clock.after(this.#options.replyTimeoutMs, () => {
      const { command } = current.request;
      const unfinished = toHex(this.#reader.forget());
      this.#options.log.debug({ command, unfinished }, 'ebds no answer');
      if (current.attemptsLeft > 0) this.#transmit(current);
      else this.#settle('silent');
    });
  }

  #sendReset(next: Waiting, frame: Uint8Array): void {
    this.#isSettled = false;
    this.#isQuiet = true;
    this.line.write(frame);
    this.#cancelQuiet = this.#options.clock.after(RESET_QUIET_MS, () => {
      this.#isQuiet = false;
      this.#reader.forget();
      this.#next();
    });
    next.settle('silent');
  }

  #settle(answer: EbdsAnswer): void {
    this.#cancelTimeout();
    const current = this.#current;
    this.#current = undefined;
    current?.settle(answer);
    // One turn later, so that whoever waited has heard the answer first: what the device says now
    // may keep the next command back (a note that is already on its way out is not stacked).
    queueMicrotask(() => this.#next());
  }

  #onData(bytes: Uint8Array): void {
    if (!this.#isQuiet) this.#reader.push(bytes);
  }

  #onWireEvent(event: EbdsWireEvent): void {
    if (event.kind === 'frame') this.#onFrame(event.frame);
    else this.#options.log.debug({ bytes: toHex(event.bytes) }, 'ebds bytes discarded');
  }

  #onFrame(frame: EbdsFrame): void {
    const current = this.#current;
    const reply = decodeReply(frame);
    if (!current || !reply || !isReplyTo(current, frame, reply)) {
      const control = hexCode((frame.type << 4) | frame.ack);
      this.#options.log.debug({ control, data: toHex(frame.data) }, 'ebds stray frame');
      return;
    }
    this.#cancelTimeout();
    this.#isSettled = true;
    if (reply.kind === 'status') this.#options.onStatus(reply.status);
    // Whoever heard the status may have closed the link.
    if (this.#current === current) this.#settle({ reply, performed: current.performed });
  }

  #abandon(): void {
    this.hold(false);
    this.#cancelTimeout();
    this.#cancelQuiet();
    this.#isQuiet = false;
    this.#reader.forget();
    const current = this.#current;
    this.#current = undefined;
    current?.settle('silent');
    for (const { settle } of this.#waiting.splice(0)) settle('unsent');
  }
}

/**
 * Whether a frame answers a command: with its ACK bit, and as it should. A repeated reply may be of
 * any kind. With its head taken off, a device echoes what it is sent: that is no reply.
 * Source: CPI's MPOST library discards the echo.
 */
function isReplyTo(current: Outstanding, frame: EbdsFrame, reply: EbdsReply): boolean {
  if (frame.ack !== current.ack) return false;
  if (sameBytes(encodeFrame(frame.type, frame.ack, frame.data), current.frame)) return false;
  return !current.performed || current.request.accepts(reply);
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}
