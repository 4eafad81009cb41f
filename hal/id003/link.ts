/** One command outstanding on an ID-003 line: writes it, waits for the answer, gives up in time. */
import assert from 'node:assert/strict';
import type { CancelTimer, Clock } from '#protocol/base/clock.ts';
import type { Log } from '#protocol/base/log.ts';
import { FrameReader } from '../frame-reader.ts';
import { Line } from '../line.ts';
import type { Port } from '../port.ts';
import { WAITING_MAX } from '../turns.ts';
import { type CommandName, commands, hexCode, replies } from './commands.ts';
import {
  encodeFrame,
  ID003_LINE,
  type Id003Frame,
  Id003Framer,
  type Id003WireEvent,
} from './wire.ts';

/** How often something is asked that moves nothing. */
const QUERY_ATTEMPTS = 3;

type MovingCommand = {
  [Name in CommandName]: (typeof commands)[Name]['moves'] extends true ? Name : never;
}[CommandName];

/** What a link needs. */
export interface Id003LinkOptions {
  readonly port: Port;
  readonly clock: Clock;
  readonly log: Log;
  readonly replyTimeoutMs: number;
  /** The port is gone; everything that waited has been answered `undefined` before. */
  readonly onLost: (reason: string) => void;
}

/** One command and how to know its answer. */
export interface Id003Request {
  readonly command: CommandName;
  readonly data?: readonly number[];
  /** Whether a frame is the answer; frames that are not are late or doubled, and are dropped. */
  readonly accepts: (frame: Id003Frame) => boolean;
  /** Called just before the first byte leaves; `false` keeps the command back. */
  readonly beforeSend?: () => boolean;
}

/** `unsent`: it was not wanted any more, or the port was gone. `silent`: nothing came back. */
export type Id003Reply = Id003Frame | 'silent' | 'unsent';

interface Waiting {
  readonly request: Id003Request;
  readonly settle: (reply: Id003Reply) => void;
}

/**
 * Serialises commands. It never sends anything twice: who may repeat a question does so himself.
 * ID-003 has no sequence numbers, so a late answer is only told from a timely one by its code.
 */
export class Id003Link {
  readonly line: Line;
  readonly #options: Id003LinkOptions;
  readonly #reader: FrameReader<Id003WireEvent>;
  readonly #waiting: Waiting[] = [];
  #current: Waiting | undefined;
  #cancelTimeout: CancelTimer = () => undefined;

  constructor(options: Id003LinkOptions) {
    this.#options = options;
    const { port, clock, onLost } = options;
    this.#reader = new FrameReader({
      clock,
      framer: new Id003Framer(),
      onEvent: (event) => this.#onWireEvent(event),
    });
    this.line = new Line({
      port,
      settings: ID003_LINE,
      onData: (bytes) => this.#reader.push(bytes),
      onDown: () => this.#abandon(),
      onLost,
    });
  }

  /** Sends one command once, after those before it, and waits for its answer. */
  exchange(request: Id003Request): Promise<Id003Reply> {
    assert(this.#waiting.length < WAITING_MAX, 'too many ID-003 commands wait');
    return new Promise((resolve) => {
      this.#waiting.push({ request, settle: resolve });
      this.#next();
    });
  }

  /**
   * Asks or sets something, at most three times: nothing moves by it.
   * `refused`: the device does not know the command.
   */
  async ask(
    command: Exclude<CommandName, MovingCommand>,
    data: readonly number[] = [],
    fits: (frame: Id003Frame) => boolean = () => true,
  ): Promise<Id003Frame | 'silent' | 'refused'> {
    const { code, reply } = commands[command];
    for (let attempt = 0; attempt < QUERY_ATTEMPTS; attempt++) {
      const answer = await this.exchange({
        command,
        data,
        accepts: (frame) =>
          isRefusal(frame) ||
          (reply === 'status' || frame.code === code
            ? (reply !== 'echo' || sameBytes(frame.data, data)) && fits(frame)
            : false),
      });
      if (answer === 'unsent') return 'silent';
      if (answer === 'silent' || answer.code === replies.communicationError) continue;
      return answer.code === replies.invalidCommand ? 'refused' : answer;
    }
    return 'silent';
  }

  #next(): void {
    while (!this.#current) {
      const next = this.#waiting.shift();
      if (!next) return;
      const { request } = next;
      if (!this.line.isOpen || request.beforeSend?.() === false) {
        next.settle('unsent');
        continue;
      }
      this.#send(next);
    }
  }

  #send(next: Waiting): void {
    const { command, data } = next.request;
    const definition = commands[command];
    // Nothing is owed to us now: an unfinished frame is noise and must not swallow the answer.
    this.#reader.forget();
    this.line.write(encodeFrame(definition.code, data));
    if (definition.reply === 'none') {
      next.settle('silent');
      return;
    }
    this.#current = next;
    this.#cancelTimeout = this.#options.clock.after(this.#options.replyTimeoutMs, () => {
      const rest = this.#reader.forget();
      this.#options.log.debug({ command, unfinished: toHex(rest) }, 'id003 no answer');
      this.#answer('silent');
    });
  }

  #answer(reply: Id003Reply): void {
    this.#cancelTimeout();
    const current = this.#current;
    this.#current = undefined;
    current?.settle(reply);
    // One turn later, so that whoever waited has heard the answer first: what the device says now
    // may keep the next command back (a note that is already on its way out is not stacked).
    queueMicrotask(() => this.#next());
  }

  #onWireEvent(event: Id003WireEvent): void {
    if (event.kind === 'discarded') {
      this.#options.log.debug({ bytes: toHex(event.bytes) }, 'id003 bytes discarded');
    } else if (this.#current?.request.accepts(event.frame)) {
      this.#answer(event.frame);
    } else {
      const code = hexCode(event.frame.code);
      this.#options.log.debug({ code, data: toHex(event.frame.data) }, 'id003 stray frame');
    }
  }

  #abandon(): void {
    this.#cancelTimeout();
    this.#reader.forget();
    const current = this.#current;
    this.#current = undefined;
    current?.settle('silent');
    for (const { settle } of this.#waiting.splice(0)) settle('unsent');
  }
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** Whether the device says that it did not understand; it then has done nothing. */
export function isRefusal(frame: Id003Frame): boolean {
  return frame.code === replies.communicationError || frame.code === replies.invalidCommand;
}

function sameBytes(one: Uint8Array, other: readonly number[]): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}
