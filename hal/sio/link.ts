/** Bytes to an SIO device, each answered by its echo; one question outstanding at a time. */
import assert from 'node:assert/strict';
import type { CancelTimer, Clock } from '#protocol/base/clock.ts';
import type { Log } from '#protocol/base/log.ts';
import { openUnlessClosed } from '../opening.ts';
import type { LineSettings, Port, Unsubscribe } from '../port.ts';
import { commands, type SioWord } from './commands.ts';
import { readWords } from './wire.ts';

/** Settings that may wait their turn: the ping and a few of the driver's; more is a bug. */
const WAITING_MAX = 8;
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
  readonly #options: SioLinkOptions;
  readonly #unsubscribe: Unsubscribe;
  #current: Waiting | undefined;
  #cancelTimeout: CancelTimer = () => undefined;
  #isOpen: boolean = false;
  #isClosed: boolean = false;
  #waiting = 0;
  #discardedBytes = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: SioLinkOptions) {
    this.#options = options;
    this.#unsubscribe = options.port.subscribe((event) => {
      if (event.kind === 'data') this.#onData(event.bytes);
      else this.#onLost(event.reason);
    });
  }

  /** Bytes since `open` that are no word: another protocol, or another speed. */
  get discardedBytes(): number {
    return this.#discardedBytes;
  }

  /** Opens the port, also after a loss. @throws DeviceError `notFound`, `locked`, `canceled` */
  async open(): Promise<void> {
    await openUnlessClosed(this.#options.port, this.#options.line, () => this.#isClosed);
    this.#discardedBytes = 0;
    this.#isOpen = true;
  }

  /** Lets go of the port, to open it again. */
  async drop(): Promise<void> {
    this.#isOpen = false;
    this.#answer('silent');
    await this.#options.port.close();
  }

  /** Answers what waits and closes the port for good. */
  async close(): Promise<void> {
    this.#unsubscribe();
    this.#isClosed = true;
    await this.drop();
  }

  /** Sets something, after those before it, at most `tries` times: nothing moves by it. */
  set(code: number, tries = TRIES): Promise<SioReply> {
    assert(this.#waiting < WAITING_MAX, 'too many SIO commands wait');
    assert(!movingCodes.includes(code), 'what moves a note is sent once');
    this.#waiting++;
    const turn = this.#last.then(async () => {
      let reply: SioReply = 'silent';
      for (let sent = 0; sent < tries && reply === 'silent'; sent++) reply = await this.#ask(code);
      return reply;
    });
    this.#last = turn.finally(() => {
      this.#waiting--;
    });
    return turn;
  }

  /** Sends one byte now, once; whoever wants its echo hears it as a word. False without a port. */
  send(code: number): boolean {
    if (this.#isOpen) this.#options.port.write(Uint8Array.of(code));
    return this.#isOpen;
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

  #onLost(reason: string): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#answer('silent');
    this.#options.onLost(reason);
  }
}

const movingCodes: readonly number[] = Object.values(commands)
  .filter(({ moves }) => moves)
  .map(({ code }) => code);
