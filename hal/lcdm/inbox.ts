/** What an LCDM device has said in the exchange that is under way, to be taken one by one. */
import type { CancelTimer, Clock } from '#protocol/base/clock.ts';
import { type LcdmDialect, responseSizes } from './dialect.ts';
import { LcdmFramer, type LcdmWireEvent } from './wire.ts';

/** Events that may wait to be taken; a device in its senses says fewer than ten in an exchange. */
const EVENTS_MAX = 256;
/** Bytes of an exchange that are kept as evidence: three responses of the longest kind and more. */
const EVIDENCE_BYTES_MAX = 256;

/** News of the exchange. */
export type InboxEvent =
  | LcdmWireEvent
  /** A frame has begun. */
  | { readonly kind: 'unfinished' }
  | { readonly kind: 'lost'; readonly reason: string };

/** Bytes in, events out; and the transcript of both directions, as the journal keeps it. */
export class Inbox {
  readonly #clock: Clock;
  readonly #framer: LcdmFramer;
  #events: InboxEvent[] = [];
  #transcript: string[] = [];
  #transcriptBytes = 0;
  #isListening: boolean = false;
  #lostReason: string | undefined;
  #wake: () => void = () => undefined;

  constructor(clock: Clock, dialect: LcdmDialect) {
    this.#clock = clock;
    const bodySizes = responseSizes(dialect);
    this.#framer = new LcdmFramer({ id: dialect.id, sender: 'device', bodySizes });
  }

  /** Begins an exchange: whatever was said before is no part of it. */
  start(): void {
    this.#framer.reset();
    this.#events = [];
    this.#transcript = [];
    this.#transcriptBytes = 0;
    this.#lostReason = undefined;
    this.#isListening = true;
  }

  /** Ends it: nothing is owed to us, so what comes now is thrown away. */
  finish(): void {
    this.#isListening = false;
    this.#events = [];
  }

  /** Bytes from the device. */
  push(bytes: Uint8Array): void {
    if (!this.#isListening) return;
    this.note('<', bytes);
    for (const event of this.#framer.push(bytes)) this.#add(event);
    if (this.#framer.pendingBytes > 0) this.#add({ kind: 'unfinished' });
  }

  /** The port is gone: every wait ends. */
  lose(reason: string): void {
    this.#lostReason = reason;
    this.#wake();
  }

  /** The next event; undefined when none has come within `limitMs`. */
  async take(limitMs: number): Promise<InboxEvent | undefined> {
    const event = await this.peek(limitMs);
    if (event && event === this.#events[0]) this.#events.shift();
    return event;
  }

  /** The same without taking it. */
  async peek(limitMs: number): Promise<InboxEvent | undefined> {
    if (this.#events.length === 0 && this.#lostReason === undefined && limitMs > 0) {
      await this.#somethingOr(limitMs);
    }
    const lost: InboxEvent | undefined =
      this.#lostReason === undefined ? undefined : { kind: 'lost', reason: this.#lostReason };
    return this.#events[0] ?? lost;
  }

  /** Forgets a frame that was cut short; gives its length. */
  dropUnfinished(): number {
    return this.#framer.reset().length;
  }

  /** Adds to the transcript. */
  note(direction: '<' | '>', bytes: Uint8Array): void {
    const hadRoom = this.#transcriptBytes < EVIDENCE_BYTES_MAX;
    const room = Math.max(0, EVIDENCE_BYTES_MAX - this.#transcriptBytes);
    this.#transcriptBytes += bytes.length;
    const hex = Buffer.from(bytes.subarray(0, room)).toString('hex');
    if (hadRoom) this.#transcript.push(`${direction}${hex}${bytes.length > room ? '…' : ''}`);
  }

  /** The transcript, as `>043002500365 <06`, with words behind it. */
  evidence(words: string): string {
    const lost = this.#lostReason === undefined ? [] : [`(${this.#lostReason})`];
    const remark = words === '' ? [] : [`(${words})`];
    return [...this.#transcript, ...lost, ...remark].join(' ');
  }

  #add(event: InboxEvent): void {
    if (this.#events.length < EVENTS_MAX) this.#events.push(event);
    this.#wake();
  }

  #somethingOr(limitMs: number): Promise<void> {
    return new Promise((resolve) => {
      let cancel: CancelTimer = () => undefined;
      const done = () => {
        cancel();
        this.#wake = () => undefined;
        resolve();
      };
      cancel = this.#clock.after(limitMs, done);
      this.#wake = done;
    });
  }
}
