/** Bytes to an SIO device, each answered by its echo; one question outstanding at a time. */
import assert from 'node:assert/strict';
import type { CancelTimer, Clock } from '#protocol/base/clock.ts';
import type { Log } from '#protocol/base/log.ts';
import { Line } from '../line.ts';
import type { LineSettings, Port } from '../port.ts';
import { Turns } from '../turns.ts';
import { commands, type SioWord } from './commands.ts';
import { readWords } from './wire.ts';

/** How often a setting is sent until its echo comes. */
const TRIES = 3;

/** What a link needs. */
export interface SioLinkOptions {
  readonly port: Port;
  readonly clock: Clock;
  readonly log: Log;
  readonly line: LineSettings;
  /** Longest wait for an echo. */
  readonly echoMs: number;
  readonly onWord: (word: SioWord) => void;
  /** The port is gone; what waited has been answered before. */
  readonly onLost: (reason: string) => void;
}

/** `refused`: the device does not know the command. `silent`: no echo came. */
export type SioReply = 'echoed' | 'refused' | 'silent';

interface Waiting {
  readonly code: number;
  readonly settle: (reply: SioReply) => void;
}

/** The line to one device. */
export class SioLink {
  readonly line: Line;
  readonly #options: SioLinkOptions;
  #current: Waiting | undefined;
  #cancelTimeout: CancelTimer = () => undefined;
  readonly #turns = new Turns();
  #discardedBytes = 0;

  constructor(options: SioLinkOptions) {
    this.#options = options;
    const { port, line: settings, onLost } = options;
    this.line = new Line({
      port,
      settings,
      onData: (bytes) => this.#onData(bytes),
      onOpen: () => {
        this.#discardedBytes = 0;
      },
      onDown: () => this.#answer('silent'),
      onLost,
    });
  }

  /** Bytes since `open` that are no word: another protocol, or another speed. */
  get discardedBytes(): number {
    return this.#discardedBytes;
  }

  /** Sets something, after those before it, at most `tries` times: nothing moves by it. */
  set(code: number, tries = TRIES): Promise<SioReply> {
    assert(!movingCodes.includes(code), 'what moves a note is sent once');
    return this.#turns.take(async () => {
      let reply: SioReply = 'silent';
      for (let sent = 0; sent < tries && reply === 'silent'; sent++) reply = await this.#ask(code);
      return reply;
    });
  }

  /** Sends one byte now, once; whoever wants its echo hears it as a word. False without a port. */
  send(code: number): boolean {
    if (this.line.isOpen) this.line.write(Uint8Array.of(code));
    return this.line.isOpen;
  }

  #ask(code: number): Promise<SioReply> {
    return new Promise((resolve) => {
      if (!this.send(code)) {
        resolve('silent');
        return;
      }
      this.#current = { code, settle: resolve };
      const { clock, echoMs } = this.#options;
      this.#cancelTimeout = clock.after(echoMs, () => this.#answer('silent'));
    });
  }

  #answer(reply: SioReply): void {
    this.#cancelTimeout();
    const current = this.#current;
    this.#current = undefined;
    current?.settle(reply);
  }

  #onData(bytes: Uint8Array): void {
    for (const event of readWords(bytes)) {
      if (event.kind === 'discarded') {
        this.#discardedBytes += event.bytes.length;
        const hex = Buffer.from(event.bytes).toString('hex');
        this.#options.log.debug({ bytes: hex }, 'sio bytes discarded');
        continue;
      }
      const reply = this.#replyIn(event.word);
      this.#options.onWord(event.word);
      if (reply) this.#answer(reply);
    }
  }

  /** What a word says to the command that is outstanding. */
  #replyIn(word: SioWord): SioReply | undefined {
    if (!this.#current) return undefined;
    if (word.kind === 'echo' && word.code === this.#current.code) return 'echoed';
    return word.kind === 'report' && word.report === 'commandError' ? 'refused' : undefined;
  }
}

const movingCodes: readonly number[] = Object.values(commands)
  .filter(({ moves }) => moves)
  .map(({ code }) => code);
