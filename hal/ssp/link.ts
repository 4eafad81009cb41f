/**
 * One command outstanding on an SSP line: writes it, sends the very same frame again while there is
 * no answer, gives up in time. The sequence flag tells the device that a frame is a repetition; it
 * then repeats its answer and does nothing, so that repeating is safe for every command.
 * Source: GA138, packet sequencing; cash-hardware.md 5.1.
 */
import assert from 'node:assert/strict';
import type { CancelTimer, Clock } from '#protocol/base/clock.ts';
import type { Log } from '#protocol/base/log.ts';
import { FrameReader } from '../frame-reader.ts';
import { Line } from '../line.ts';
import type { Port } from '../port.ts';
import { WAITING_MAX } from '../turns.ts';
import { type CommandName, commands, hexCode, replies } from './commands.ts';
import type { SspEnvelope } from './encryption.ts';
import {
  encodeFrame,
  SSP_LINE,
  type SspFrame,
  SspFramer,
  type SspSequence,
  type SspWireEvent,
} from './wire.ts';

/** How often one frame is sent, so that a device that has gone is noticed within 2 s. */
const ATTEMPTS = 3;

type MovingCommand = {
  [Name in CommandName]: (typeof commands)[Name]['moves'] extends true ? Name : never;
}[CommandName];

/** What a link needs. */
export interface SspLinkOptions {
  readonly port: Port;
  readonly clock: Clock;
  readonly log: Log;
  readonly replyTimeoutMs: number;
  /** The port is gone; everything that waited has been answered before. */
  readonly onLost: (reason: string) => void;
  /** The session is over: no answer, or the device was reset. `sync` begins another. */
  readonly onBroken: (reason: string) => void;
}

/** One command. */
export interface SspRequest {
  readonly command: CommandName;
  readonly data?: Uint8Array | readonly number[];
  /** How often its frame is sent; 3 when left out. */
  readonly attempts?: number;
  /** Called just before the first byte leaves; `false` keeps the command back. */
  readonly beforeSend?: () => boolean;
}

/** What the device said: one of `replies`, and all its bytes. */
export interface SspAnswer {
  readonly code: number;
  readonly data: Uint8Array;
}

/**
 * `unsent`: it was not wanted any more, or there is no session. `silent`: nothing came back.
 * `keyNotSet`: the device has forgotten the keys, and so was reset; it did nothing.
 * After the last two a session must be begun anew by `sync`: the sequence flag is in doubt.
 */
export type SspReply = SspAnswer | 'silent' | 'unsent' | 'keyNotSet';

interface Waiting {
  readonly request: SspRequest;
  readonly settle: (reply: SspReply) => void;
}

interface Outstanding extends Waiting {
  readonly sequence: SspSequence;
  readonly bytes: Uint8Array;
  sent: number;
}

/** Serialises commands, numbers them, and encrypts them once keys are agreed. */
export class SspLink {
  readonly line: Line;
  readonly #options: SspLinkOptions;
  readonly #reader: FrameReader<SspWireEvent>;
  readonly #waiting: Waiting[] = [];
  #current: Outstanding | undefined;
  #cancelTimeout: CancelTimer = () => undefined;
  #inSession: boolean = false;
  #sequence: SspSequence = 0;
  #envelope: SspEnvelope | undefined;
  #count = 0;

  constructor(options: SspLinkOptions) {
    this.#options = options;
    const { port, clock, onLost } = options;
    this.#reader = new FrameReader({
      clock,
      framer: new SspFramer(),
      onEvent: (event) => this.#onWireEvent(event),
    });
    this.line = new Line({
      port,
      settings: SSP_LINE,
      onData: (bytes) => this.#reader.push(bytes),
      onDown: () => this.#abandon(),
      onLost,
    });
  }

  /** Begins a session in plain words: both sides agree on the sequence flag. It moves nothing. */
  sync(): Promise<SspReply> {
    this.#endSession();
    this.#inSession = this.line.isOpen;
    // By the manual's example the flag of SYNC is set, and the next command's is not.
    this.#sequence = 1;
    return this.exchange({ command: 'sync' });
  }

  /** From now on all is encrypted, until the session ends. */
  useKeys(envelope: SspEnvelope): void {
    this.#envelope = envelope;
    this.#count = 0;
  }

  /** Sends one command, after those before it, and waits for its answer. */
  exchange(request: SspRequest): Promise<SspReply> {
    assert(this.#waiting.length < WAITING_MAX, 'too many SSP commands wait');
    return new Promise((resolve) => {
      this.#waiting.push({ request, settle: resolve });
      this.#next();
    });
  }

  /** Asks or sets something; nothing moves by it. */
  ask(
    command: Exclude<CommandName, MovingCommand>,
    data: Uint8Array | readonly number[] = [],
    attempts = ATTEMPTS,
  ): Promise<SspReply> {
    return this.exchange({ command, data, attempts });
  }

  #next(): void {
    while (!this.#current) {
      const next = this.#waiting.shift();
      if (!next) return;
      if (!this.line.isOpen || !this.#inSession || next.request.beforeSend?.() === false) {
        next.settle('unsent');
        continue;
      }
      const { command, data = [] } = next.request;
      const plain = Uint8Array.from([commands[command].code, ...data]);
      const content = this.#envelope?.seal(this.#count, plain) ?? plain;
      const sequence = this.#sequence;
      const bytes = encodeFrame(sequence, content);
      this.#current = { ...next, sequence, bytes, sent: 0 };
      this.#transmit(this.#current);
    }
  }

  #transmit(current: Outstanding): void {
    const { command, attempts = ATTEMPTS } = current.request;
    // Nothing is owed to us now: an unfinished frame is noise and must not swallow the answer.
    this.#reader.forget();
    current.sent++;
    this.line.write(current.bytes);
    this.#cancelTimeout = this.#options.clock.after(this.#options.replyTimeoutMs, () => {
      const unfinished = toHex(this.#reader.forget());
      this.#options.log.debug({ command, sent: current.sent, unfinished }, 'ssp no answer');
      if (current.sent < attempts) this.#transmit(current);
      else this.#breakOff('silent', 'the device does not answer');
    });
  }

  #settle(reply: SspReply): void {
    this.#cancelTimeout();
    const current = this.#current;
    this.#current = undefined;
    current?.settle(reply);
    // One turn later, so that whoever waited has heard the answer first: what the device says now
    // may keep the next command back (a poll must not follow a note that has come to escrow).
    queueMicrotask(() => this.#next());
  }

  /** Whether the device has heard the last command cannot be told, or it has forgotten us. */
  #breakOff(reply: 'silent' | 'keyNotSet', reason: string): void {
    this.#giveUp(reply);
    this.#options.onBroken(reason);
  }

  #giveUp(reply: 'silent' | 'keyNotSet'): void {
    const current = this.#current;
    this.#cancelTimeout();
    this.#current = undefined;
    this.#endSession();
    current?.settle(reply);
  }

  #endSession(): void {
    this.#inSession = false;
    this.#envelope = undefined;
    for (const { settle } of this.#waiting.splice(0)) settle('unsent');
  }

  #onWireEvent(event: SspWireEvent): void {
    if (event.kind === 'discarded') {
      this.#options.log.debug({ bytes: toHex(event.bytes) }, 'ssp bytes discarded');
    } else if (!this.#isAnswer(event.frame)) {
      const { sequence, address, data } = event.frame;
      this.#options.log.debug({ sequence, address, data: toHex(data) }, 'ssp stray frame');
    }
  }

  /** Takes a frame when it answers what is outstanding; late and doubled ones do not. */
  #isAnswer({ sequence, address, data }: SspFrame): boolean {
    const current = this.#current;
    if (!current || address !== 0 || sequence !== current.sequence) return false;
    // An answer to a poll that was given up may still be on the way when SYNC is sent.
    if (current.request.command === 'sync' && data.length > 1) return false;
    let content = data;
    if (this.#envelope) {
      if (data.length === 1 && data[0] === replies.keyNotSet) {
        this.#breakOff('keyNotSet', 'the device has forgotten the keys');
        return true;
      }
      const opened = this.#envelope.open(data);
      const next = (this.#count + 1) >>> 0;
      if (opened?.count !== next) return false;
      this.#count = next;
      content = opened.data;
    }
    const code = content[0];
    if (code === undefined) return false;
    this.#sequence = current.sequence === 1 ? 0 : 1;
    const { command } = current.request;
    if (code !== replies.ok) this.#options.log.debug({ command, code: hexCode(code) }, 'ssp no');
    this.#settle({ code, data: content });
    return true;
  }

  #abandon(): void {
    this.#reader.forget();
    this.#giveUp('silent');
  }
}

/** Whether the device has done it. */
export function isOk(reply: SspReply): reply is SspAnswer & { readonly code: typeof replies.ok } {
  return typeof reply !== 'string' && reply.code === replies.ok;
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
