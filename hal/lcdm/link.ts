/**
 * One exchange at a time on an LCDM line: command, ACK, response, ACK, and with ID 30 EOT.
 * Questions are asked up to three times; what moves notes is sent once, and then only listened for.
 * Source: cash-hardware.md 7.1, 7.2.
 */
import type { Clock } from '#protocol/base/clock.ts';
import type { Log } from '#protocol/base/log.ts';
import { Line } from '../line.ts';
import type { LineSettings, Port } from '../port.ts';
import { Turns } from '../turns.ts';
import type { LcdmCommand, LcdmDialect, LcdmMove, LcdmQuestion } from './dialect.ts';
import { Inbox } from './inbox.ts';
import { controls, encodeFrame, FRAME_BYTES, ID30, ID50, type LcdmFrame } from './wire.ts';

/** How long each step may take, in milliseconds. */
export interface LcdmTimings {
  /**
   * ACK comes within 550 ms of the command's last byte; the longest command takes 22 ms on the
   * line, and a USB adapter holds bytes back for up to 16 ms on each side.
   */
  readonly acknowledgeMs: number;
  /** The response to a question; the document allows 60 s for any, questions need no motor. */
  readonly answerMs: number;
  /** The response to what moves notes. Source: 60 s by the document. */
  readonly moveMs: number;
  /** EOT after our ACK with ID 30; the exchange is over without it too. */
  readonly endMs: number;
  /** Silence that ends a frame cut short: bytes follow each other at 1 ms. */
  readonly quietMs: number;
  /** A unit that does not answer RESET needs 2 s. Source: the document, by the Python driver. */
  readonly resetMs: number;
  /** A unit that does answer it answers again when its motors have stopped. */
  readonly resetAnsweredMs: number;
}

/** The usual times. */
export const LCDM_TIMINGS: LcdmTimings = {
  acknowledgeMs: 650,
  answerMs: 5000,
  moveMs: 60_000,
  endMs: 700,
  quietMs: 150,
  resetMs: 2000,
  resetAnsweredMs: 10_000,
};

/** "Up to 3 tries each way". Source: cash-hardware.md 7.1. */
const TRIES = 3;

/** How an exchange ended. `evidence` is what went over the line, for the journal. */
export type LcdmReply =
  | {
      readonly kind: 'answered';
      readonly frame: LcdmFrame;
      /** ACK came before the response. */
      readonly isAcknowledged: boolean;
      /** The device has nothing left to say of it: EOT came, or with ID 50 it heard the command. */
      readonly isEnded: boolean;
      readonly evidence: string;
    }
  /** NAK, and nothing but NAK: the device could not read the command. */
  | { readonly kind: 'refused'; readonly evidence: string }
  /** The command has not left. */
  | { readonly kind: 'unsent'; readonly evidence: string }
  /** It has left, and no response that can be read has come. */
  | { readonly kind: 'silent'; readonly evidence: string }
  /** A unit with the other ID has answered. */
  | { readonly kind: 'otherId'; readonly evidence: string };

/** How RESET ended; it may be answered or not. */
export type LcdmResetReply =
  | {
      readonly kind: 'done';
      readonly frames: readonly LcdmFrame[];
      readonly evidence: string;
    }
  | Extract<LcdmReply, { readonly kind: 'refused' | 'unsent' | 'silent' }>;

/** What a link needs. */
export interface LcdmLinkOptions {
  readonly port: Port;
  readonly clock: Clock;
  readonly log: Log;
  readonly line: LineSettings;
  readonly dialect: LcdmDialect;
  readonly timings: LcdmTimings;
  /** The port is gone; the exchange that was under way ends by itself. */
  readonly onLost: (reason: string) => void;
}

/** The line to one device. */
export class LcdmLink {
  readonly line: Line;
  readonly #options: LcdmLinkOptions;
  readonly #inbox: Inbox;
  readonly #turns = new Turns();

  constructor(options: LcdmLinkOptions) {
    this.#options = options;
    this.#inbox = new Inbox(options.clock, options.dialect);
    const { port, line: settings, onLost } = options;
    this.line = new Line({
      port,
      settings,
      onData: (bytes) => this.#inbox.push(bytes),
      onDown: (reason) => this.#inbox.lose(reason),
      onLost,
    });
  }

  /** Asks or sets something, at most three times: no note moves by it. */
  ask(command: LcdmQuestion, body: readonly number[] = []): Promise<LcdmReply> {
    return this.#turns.take(async () => {
      let reply = await this.#attempt(command, body, this.#options.timings.answerMs);
      for (let tries = 1; tries < TRIES; tries++) {
        if (reply.kind !== 'silent' && reply.kind !== 'refused') break;
        if (!this.line.isOpen) break;
        reply = await this.#attempt(command, body, this.#options.timings.answerMs);
      }
      return reply;
    });
  }

  /** Sends what may move notes, once, and listens for the response at most `responseMs`. */
  move(command: LcdmMove, body: readonly number[], responseMs: number): Promise<LcdmReply> {
    return this.#turns.take(() => this.#attempt(command, body, responseMs));
  }

  /**
   * Sends RESET once. Units answer it not at all or twice; whatever comes is acknowledged, and
   * `expected` responses end the wait early.
   */
  reset(command: LcdmMove, expected: number): Promise<LcdmResetReply> {
    return this.#turns.take(() => this.#reset(command, expected));
  }

  /** Asks STATUS with the other ID, once: whether a unit of that kind is there. */
  hearsOtherId(statusCode: number): Promise<boolean> {
    return this.#turns.take(async () => {
      if (!this.line.isOpen) return false;
      const { clock, dialect, timings } = this.#options;
      this.#inbox.start();
      this.#write(encodeFrame(dialect.id === ID30 ? ID50 : ID30, 'host', statusCode));
      const endMs = clock.monotonic() + timings.acknowledgeMs;
      for (;;) {
        const event = await this.#inbox.take(endMs - clock.monotonic());
        if (event && event.kind !== 'otherId' && event.kind !== 'lost') continue;
        const isThere = event?.kind === 'otherId';
        if (isThere) this.#write(Uint8Array.of(controls.ack));
        this.#inbox.finish();
        return isThere;
      }
    });
  }

  // One exchange

  async #attempt(
    command: LcdmCommand,
    body: readonly number[],
    responseMs: number,
  ): Promise<LcdmReply> {
    if (!this.line.isOpen) return { kind: 'unsent', evidence: 'the port is not open' };
    this.#send(command, body);
    const first = await this.#awaitAcknowledge(command);
    if (first === 'refused' || first === 'otherId') return this.#end(first);
    // Without ACK a question may be asked again; what moves notes may be under way all the same,
    // and the device must be done with it before anything else is said to it.
    if (first === 'none' && !command.moves) return this.#end('silent', 'no ACK');
    const frame =
      typeof first === 'object' ? first : await this.#awaitResponse(command, responseMs);
    if (frame === 'otherId') return this.#end(frame);
    if (!frame)
      return this.#end('silent', first === 'none' ? 'no ACK, no response' : 'no response');
    const isAcknowledged = first === 'acknowledged';
    const isEnded = await this.#acknowledge(frame, isAcknowledged);
    const evidence = this.#inbox.evidence(isEnded ? '' : 'not ended');
    this.#inbox.finish();
    return { kind: 'answered', frame, isAcknowledged, isEnded, evidence };
  }

  async #reset(command: LcdmMove, expected: number): Promise<LcdmResetReply> {
    if (!this.line.isOpen) return { kind: 'unsent', evidence: 'the port is not open' };
    const { clock, timings } = this.#options;
    const endMs = clock.monotonic() + (expected > 0 ? timings.resetAnsweredMs : timings.resetMs);
    this.#send(command, []);
    const frames: LcdmFrame[] = [];
    const first = await this.#awaitAcknowledge(command);
    if (first === 'refused') return this.#end('refused');
    let frame = typeof first === 'object' ? first : undefined;
    while (this.line.isOpen) {
      if (frame) {
        frames.push(frame);
        await this.#acknowledge(frame, true);
        if (expected > 0 && frames.length >= expected) break;
      }
      const leftMs = endMs - clock.monotonic();
      if (leftMs <= 0) break;
      const heard = await this.#awaitResponse(command, leftMs);
      frame = typeof heard === 'object' ? heard : undefined;
    }
    if (!this.line.isOpen) return this.#end('silent');
    const evidence = this.#inbox.evidence(`answered ${frames.length} times`);
    this.#inbox.finish();
    return { kind: 'done', frames, evidence };
  }

  #send(command: LcdmCommand, body: readonly number[]): void {
    const bytes = encodeFrame(this.#options.dialect.id, 'host', command.code, body);
    this.#inbox.start();
    this.#write(bytes);
  }

  /** A response may come without ACK before it, which was lost then. */
  async #awaitAcknowledge(
    command: LcdmCommand,
  ): Promise<LcdmFrame | 'acknowledged' | 'refused' | 'none' | 'otherId'> {
    const { clock, timings } = this.#options;
    const endMs = clock.monotonic() + timings.acknowledgeMs;
    let isClean = true;
    for (;;) {
      const event = await this.#inbox.take(endMs - clock.monotonic());
      if (!event || event.kind === 'lost') return 'none';
      if (event.kind === 'otherId') return 'otherId';
      if (event.kind === 'frame' && event.frame.command === command.code) {
        return event.frame;
      }
      if (event.kind === 'control' && event.control === 'ack') return 'acknowledged';
      if (event.kind === 'control' && event.control === 'nak' && isClean) {
        if (await this.#staysQuiet()) return 'refused';
      }
      isClean = false;
    }
  }

  /**
   * NAK says that nothing was done, so it must be beyond doubt: alone on the line. A damaged frame
   * could contain such a byte.
   */
  async #staysQuiet(): Promise<boolean> {
    const event = await this.#inbox.peek(this.#options.timings.quietMs);
    return event === undefined;
  }

  /** The response within `limitMs`; damaged ones are asked for again, by which nothing moves. */
  async #awaitResponse(
    command: LcdmCommand,
    limitMs: number,
  ): Promise<LcdmFrame | 'otherId' | undefined> {
    const { clock, timings, log } = this.#options;
    const endMs = clock.monotonic() + limitMs;
    let damagedBytes = 0;
    let isUnfinished = false;
    let tries = 1;
    for (;;) {
      const leftMs = endMs - clock.monotonic();
      if (leftMs <= 0) return undefined;
      const isRestless = isUnfinished || damagedBytes > 0;
      const event = await this.#inbox.take(isRestless ? Math.min(leftMs, timings.quietMs) : leftMs);
      if (event?.kind === 'lost') return undefined;
      if (event?.kind === 'otherId') return 'otherId';
      if (event?.kind === 'frame' && event.frame.command === command.code) {
        return event.frame;
      }
      if (event) {
        isUnfinished = event.kind === 'unfinished';
        if (event.kind === 'discarded') damagedBytes += event.bytes.length;
        continue;
      }
      damagedBytes += this.#inbox.dropUnfinished();
      isUnfinished = false;
      // A few bytes are noise, for which a busy device had better not be disturbed.
      if (damagedBytes >= FRAME_BYTES && tries < TRIES) {
        tries++;
        log.warn({ code: command.code, damagedBytes }, 'lcdm response damaged, asked for again');
        this.#write(Uint8Array.of(controls.nak));
      }
      damagedBytes = 0;
    }
  }

  /**
   * Says that the response has come, again if it comes again. False when no EOT followed. With ID
   * 50 there is none: a device that has heard this command has forgotten what it said before.
   */
  async #acknowledge(frame: LcdmFrame, isAcknowledged: boolean): Promise<boolean> {
    const { clock, timings, dialect } = this.#options;
    if (!dialect.hasEnd) {
      this.#write(Uint8Array.of(controls.ack));
      return isAcknowledged;
    }
    for (let tries = 0; tries < TRIES; tries++) {
      this.#write(Uint8Array.of(controls.ack));
      const endMs = clock.monotonic() + timings.endMs;
      for (;;) {
        const event = await this.#inbox.take(endMs - clock.monotonic());
        if (!event || event.kind === 'lost') return false;
        if (event.kind === 'control' && event.control === 'eot') return true;
        if (event.kind === 'frame' && event.frame.command === frame.command) break;
      }
    }
    return false;
  }

  #end<Kind extends 'refused' | 'silent' | 'otherId'>(
    kind: Kind,
    words = '',
  ): { readonly kind: Kind; readonly evidence: string } {
    const evidence = this.#inbox.evidence(words);
    this.#inbox.finish();
    this.#options.log.debug({ reply: kind, evidence }, 'lcdm exchange without a response');
    return { kind, evidence };
  }

  #write(bytes: Uint8Array): void {
    this.#inbox.note('>', bytes);
    this.line.write(bytes);
  }
}
