/** What an F53 or F56 has said, to be taken one by one; and the transcript of an exchange. */
import type { CancelTimer, Clock } from '#protocol/base/clock.ts';
import { F56Framer, type F56WireEvent } from './wire.ts';

/** Events that may wait to be taken; a unit in its senses says fewer than ten in an exchange. */
const EVENTS_MAX = 256;
/** Bytes of an exchange that are kept as evidence: three responses of the longest kind. */
const EVIDENCE_BYTES_MAX = 512;

/** News from the line. */
export type InboxEvent = F56WireEvent | { readonly kind: 'lost'; readonly reason: string };

/** What an inbox needs. */
export interface InboxOptions {
  readonly clock: Clock;
  /** Silence that ends a frame cut short. */
  readonly quietMs: number;
  /** Something came; whoever is not listening may want to. */
  readonly onEvent: () => void;
}

/** Bytes in, events out. */
export class Inbox {
  readonly #options: InboxOptions;
  readonly #framer = new F56Framer();
  #events: F56WireEvent[] = [];
  #transcript: string[] = [];
  #transcriptBytes = 0;
  #lostReason: string | undefined;
  #wake: () => void = () => undefined;

  constructor(options: InboxOptions) {
    this.#options = options;
  }

  /** The port is open: nothing of what was said before is meant. */
  reset(): void {
    this.#framer.reset();
    this.#events = [];
    this.#lostReason = undefined;
  }

  /** Begins a transcript. */
  begin(): void {
    this.#transcript = [];
    this.#transcriptBytes = 0;
  }

  /** Bytes from the device. */
  push(bytes: Uint8Array): void {
    this.note('<', bytes);
    this.#add(this.#framer.push(bytes));
    this.#wake();
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
    const { clock, quietMs } = this.#options;
    const endMs = clock.monotonic() + limitMs;
    while (this.#events.length === 0 && this.#lostReason === undefined) {
      const leftMs = endMs - clock.monotonic();
      if (leftMs <= 0) return undefined;
      const pending = this.#framer.pendingBytes;
      await this.#somethingOr(pending > 0 ? Math.min(leftMs, quietMs) : leftMs);
      // Bytes of one frame follow each other: after a pause it will not be completed.
      if (pending > 0 && this.#framer.pendingBytes === pending) this.#add(this.#framer.flush());
    }
    const lost: InboxEvent | undefined =
      this.#lostReason === undefined ? undefined : { kind: 'lost', reason: this.#lostReason };
    return this.#events[0] ?? lost;
  }

  /** Adds to the transcript. */
  note(direction: '<' | '>', bytes: Uint8Array): void {
    const hadRoom = this.#transcriptBytes < EVIDENCE_BYTES_MAX;
    const room = Math.max(0, EVIDENCE_BYTES_MAX - this.#transcriptBytes);
    this.#transcriptBytes += bytes.length;
    const hex = Buffer.from(bytes.subarray(0, room)).toString('hex');
    if (hadRoom) this.#transcript.push(`${direction}${hex}${bytes.length > room ? '…' : ''}`);
  }

  /** The transcript, as `>1005 <1006`, with words behind it. */
  evidence(words: string): string {
    const lost = this.#lostReason === undefined ? [] : [`(${this.#lostReason})`];
    const remark = words === '' ? [] : [`(${words})`];
    return [...this.#transcript, ...lost, ...remark].join(' ');
  }

  #add(events: readonly F56WireEvent[]): void {
    const room = EVENTS_MAX - this.#events.length;
    this.#events.push(...events.slice(0, Math.max(0, room)));
    if (events.length > 0) this.#options.onEvent();
  }

  #somethingOr(limitMs: number): Promise<void> {
    return new Promise((resolve) => {
      let cancel: CancelTimer = () => undefined;
      const done = () => {
        cancel();
        this.#wake = () => undefined;
        resolve();
      };
      cancel = this.#options.clock.after(limitMs, done);
      this.#wake = done;
    });
  }
}
