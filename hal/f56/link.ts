/**
 * One exchange at a time on an F53/F56 line: ENQ and ACK, command and ACK, then the unit bids with
 * ENQ and says its response, which we acknowledge. Questions are asked up to three times; what
 * moves notes is sent once, and then only listened for. Source: cash-hardware.md 6.1.
 */
import type { Clock } from '#protocol/base/clock.ts';
import type { Log } from '#protocol/base/log.ts';
import { Line } from '../line.ts';
import type { Port } from '../port.ts';
import { Turns } from '../turns.ts';
import { answeredCommand, type CommandName, commands, encodeStatus } from './commands.ts';
import { Inbox } from './inbox.ts';
import { F56_LINE } from './models.ts';
import { encodeControl, encodeFrame, type F56Control, FRAME_BYTES } from './wire.ts';

/** How long each step may take, in milliseconds. */
export interface F56Timings {
  /** ACK to one ENQ. Drivers wait 5 s; a unit at rest answers at once, and ENQ does nothing. */
  readonly bidMs: number;
  /**
   * ACK to a command. A unit that has lost a byte of it waits 5 s for the rest, and says NAK only
   * then: whoever speaks earlier speaks into the middle of a frame.
   */
  readonly acknowledgeMs: number;
  /** The unit's ENQ and its response to a question, which needs no motor. */
  readonly answerMs: number;
  /** The response to what moves notes. Source: up to 40 s; cash-hardware.md 6.1. */
  readonly moveMs: number;
  /** Silence that ends a frame cut short: bytes follow each other at 1.2 ms. */
  readonly quietMs: number;
}

/** The usual times. */
export const F56_TIMINGS: F56Timings = {
  bidMs: 350,
  acknowledgeMs: 5500,
  answerMs: 5500,
  moveMs: 40_000,
  quietMs: 150,
};

/** "3 tries on missing/NAK". Source: cash-hardware.md 6.1. */
const TRIES = 3;
/** One more ENQ than that, as one may be spent on a collision. */
const BIDS_MAX = 4;

/** How an exchange ended. `evidence` is what went over the line, for the journal. */
export type F56Reply =
  | {
      readonly kind: 'answered';
      readonly data: Uint8Array;
      /** ACK came before the response. */
      readonly isAcknowledged: boolean;
      readonly evidence: string;
    }
  /** NAK, and nothing but NAK: the unit could not read the command. */
  | { readonly kind: 'refused'; readonly evidence: string }
  /** The command has not left. */
  | { readonly kind: 'unsent'; readonly evidence: string }
  /** It has left, and no response that can be read has come. */
  | { readonly kind: 'silent'; readonly evidence: string };

type MovingCommand = {
  [Name in CommandName]: (typeof commands)[Name]['moves'] extends true ? Name : never;
}[CommandName];

/** What a link needs. */
export interface F56LinkOptions {
  readonly port: Port;
  readonly clock: Clock;
  readonly log: Log;
  readonly timings: F56Timings;
  /** The port is gone; the exchange that was under way ends by itself. */
  readonly onLost: (reason: string) => void;
}

/** The line to one unit. */
export class F56Link {
  readonly line: Line;
  readonly #options: F56LinkOptions;
  readonly #inbox: Inbox;
  readonly #turns = new Turns();
  #unaskedMoves = 0;

  constructor(options: F56LinkOptions) {
    const { port, clock, timings, onLost } = options;
    this.#options = options;
    const onEvent = () => this.#hearUnasked();
    this.#inbox = new Inbox({ clock, quietMs: timings.quietMs, onEvent });
    this.line = new Line({
      port,
      settings: F56_LINE,
      onData: (bytes) => this.#inbox.push(bytes),
      onOpen: () => this.#inbox.reset(),
      onDown: (reason) => this.#inbox.lose(reason),
      onLost,
    });
  }

  /** Responses to commands that move notes which came when nobody waited for them. */
  get unaskedMoves(): number {
    return this.#unaskedMoves;
  }

  /** Asks for STATUS, at most three times: no note moves by it. */
  askStatus(): Promise<F56Reply> {
    return this.#turns.take(async () => {
      const attempt = () => this.#attempt('status', encodeStatus(), this.#options.timings.answerMs);
      let reply = await attempt();
      for (let tries = 1; tries < TRIES; tries++) {
        if (reply.kind !== 'silent' && reply.kind !== 'refused') break;
        if (!this.line.isOpen) break;
        reply = await attempt();
      }
      return reply;
    });
  }

  /** Sends what may move notes, once, and listens for the response at most `responseMs`. */
  move(command: MovingCommand, data: readonly number[], responseMs: number): Promise<F56Reply> {
    return this.#turns.take(() => this.#attempt(command, data, responseMs));
  }

  // One exchange

  async #attempt(
    command: CommandName,
    data: readonly number[],
    responseMs: number,
  ): Promise<F56Reply> {
    // An old ACK must not be taken for that of our ENQ.
    await this.#drain(this.#options.clock.monotonic(), 0);
    if (!this.line.isOpen) return { kind: 'unsent', evidence: 'the port is not open' };
    this.#inbox.begin();
    if (!(await this.#bid())) return this.#end('unsent', 'no ACK to ENQ');
    this.#write(encodeFrame(data));
    const first = await this.#awaitAcknowledge(command);
    if (first === 'refused') return this.#end(first);
    // Without a sign of life a question may be asked again; what moves notes may be under way all
    // the same, and the unit must be done with it before anything else is said to it.
    if (first === 'none' && !commands[command].moves) return this.#end('silent', 'no ACK');
    const heard =
      typeof first === 'object' ? first : await this.#awaitResponse(command, responseMs);
    if (!heard)
      return this.#end('silent', first === 'none' ? 'no ACK, no response' : 'no response');
    this.#say('ack');
    const isAcknowledged = first === 'acknowledged';
    const words = isAcknowledged ? '' : 'without ACK';
    return {
      kind: 'answered',
      data: heard,
      isAcknowledged,
      evidence: this.#inbox.evidence(words),
    };
  }

  /**
   * Asks for the line. Nothing has left for as long as this is refused. When the unit bids at the
   * same time nobody knows who has to give way: we bid once more, as drivers in the field do, and
   * hear it out if it insists.
   */
  async #bid(): Promise<boolean> {
    let hasCollided = false;
    for (let bids = 0; bids < BIDS_MAX && this.line.isOpen; bids++) {
      this.#say('enq');
      const answer = await this.#awaitBid();
      if (answer === 'granted') return true;
      if (hasCollided) await this.#hearOut();
      hasCollided = answer === 'collision' && !hasCollided;
    }
    return false;
  }

  async #awaitBid(): Promise<'granted' | 'collision' | 'none'> {
    const { clock, timings } = this.#options;
    const endMs = clock.monotonic() + timings.bidMs;
    for (;;) {
      const event = await this.#inbox.take(endMs - clock.monotonic());
      if (!event || event.kind === 'lost') return 'none';
      if (event.kind === 'frame') this.#drop(event.data);
      if (event.kind !== 'control') continue;
      if (event.control === 'ack') return 'granted';
      if (event.control === 'enq') return 'collision';
    }
  }

  /** Lets the unit say what it has to say, which belongs to no exchange of ours. */
  async #hearOut(): Promise<void> {
    const { clock, timings } = this.#options;
    this.#say('ack');
    const endMs = clock.monotonic() + timings.answerMs;
    for (;;) {
      const event = await this.#inbox.take(endMs - clock.monotonic());
      if (!event || event.kind === 'lost') return;
      if (event.kind === 'control' && event.control === 'enq') this.#say('ack');
      if (event.kind !== 'frame') continue;
      this.#drop(event.data);
      return;
    }
  }

  /** A bid or a response while no exchange runs: a late one, or one whose ACK was lost. */
  #hearUnasked(): void {
    if (!this.#turns.areFree || !this.line.isOpen) return;
    const { clock, timings } = this.#options;
    void this.#turns.take(() => this.#drain(clock.monotonic() + timings.answerMs, timings.quietMs));
  }

  /** Hears what belongs to no exchange, until the line is silent for so long. */
  async #drain(endMs: number, quietMs: number): Promise<void> {
    const { clock } = this.#options;
    while (this.line.isOpen && clock.monotonic() <= endMs) {
      const event = await this.#inbox.take(quietMs);
      if (!event || event.kind === 'lost') return;
      if (event.kind === 'frame') this.#drop(event.data);
      if (event.kind === 'control' && event.control === 'enq') await this.#hearOut();
    }
  }

  /** The response may come without ACK before it, which was lost then. */
  async #awaitAcknowledge(
    command: CommandName,
  ): Promise<Uint8Array | 'acknowledged' | 'refused' | 'bid' | 'none'> {
    const { clock, timings } = this.#options;
    const endMs = clock.monotonic() + timings.acknowledgeMs;
    let isClean = true;
    for (;;) {
      const event = await this.#inbox.take(endMs - clock.monotonic());
      if (!event || event.kind === 'lost') return 'none';
      if (event.kind === 'frame') {
        if (answeredCommand(event.data) === command) return event.data;
        this.#drop(event.data);
      }
      if (event.kind === 'control' && event.control === 'ack') return 'acknowledged';
      if (event.kind === 'control' && event.control === 'enq') {
        this.#say('ack');
        return 'bid';
      }
      if (event.kind === 'control' && isClean && (await this.#staysQuiet())) return 'refused';
      isClean = false;
    }
  }

  /**
   * NAK says that nothing was done, so it must be beyond doubt: alone on the line. A damaged frame
   * could contain such bytes.
   */
  async #staysQuiet(): Promise<boolean> {
    return (await this.#inbox.peek(this.#options.timings.quietMs)) === undefined;
  }

  /** The response within `limitMs`; damaged ones are asked for again, by which nothing moves. */
  async #awaitResponse(command: CommandName, limitMs: number): Promise<Uint8Array | undefined> {
    const { clock, timings, log } = this.#options;
    const endMs = clock.monotonic() + limitMs;
    let damagedBytes = 0;
    let tries = 1;
    for (;;) {
      const leftMs = endMs - clock.monotonic();
      if (leftMs <= 0) return undefined;
      const event = await this.#inbox.take(
        damagedBytes > 0 ? Math.min(leftMs, timings.quietMs) : leftMs,
      );
      if (event?.kind === 'lost') return undefined;
      if (event?.kind === 'frame') {
        if (answeredCommand(event.data) === command) return event.data;
        this.#drop(event.data);
      } else if (event?.kind === 'control' && event.control === 'enq') this.#say('ack');
      else if (event?.kind === 'discarded') damagedBytes += event.bytes.length;
      if (event) continue;
      // A few bytes are noise, for which a busy unit had better not be disturbed.
      if (damagedBytes >= FRAME_BYTES && tries < TRIES) {
        tries++;
        log.warn({ command, damagedBytes }, 'f56 response damaged, asked for again');
        this.#say('nak');
      }
      damagedBytes = 0;
    }
  }

  /** A frame that nobody waits for is acknowledged, or the unit would say it again and again. */
  #drop(data: Uint8Array): void {
    this.#say('ack');
    if (commands[answeredCommand(data)].moves) this.#unaskedMoves++;
    const hex = Buffer.from(data).toString('hex');
    this.#options.log.warn({ hex }, 'f56 response that belongs to no exchange');
  }

  #end<Kind extends 'refused' | 'silent' | 'unsent'>(
    kind: Kind,
    words = '',
  ): { readonly kind: Kind; readonly evidence: string } {
    const evidence = this.#inbox.evidence(words);
    this.#options.log.debug({ reply: kind, evidence }, 'f56 exchange without a response');
    return { kind, evidence };
  }

  #say(control: F56Control): void {
    this.#write(encodeControl(control));
  }

  #write(bytes: Uint8Array): void {
    this.#inbox.note('>', bytes);
    this.line.write(bytes);
  }
}
