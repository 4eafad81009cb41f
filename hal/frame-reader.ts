/** Frames out of what comes over a line: what is unfinished when it falls silent is none. */
import type { CancelTimer, Clock } from '#protocol/base/clock.ts';
import type { Discarded, Framer } from './framer.ts';

/** A gap inside a frame after which it is none; adapters collect bytes for up to 16 ms. */
const INTER_BYTE_MS = 50;

/** What it needs. */
export interface FrameReaderOptions<Event> {
  readonly clock: Clock;
  readonly framer: Framer<Event>;
  readonly onEvent: (event: Event | Discarded) => void;
  /** The line fell silent after bytes, of which everything has been told. */
  readonly onSilence?: () => void;
}

/** Bytes in, frames and what is none out. */
export class FrameReader<Event> {
  readonly #options: FrameReaderOptions<Event>;
  #cancelGap: CancelTimer = () => undefined;

  constructor(options: FrameReaderOptions<Event>) {
    this.#options = options;
  }

  push(bytes: Uint8Array): void {
    const { clock, framer, onSilence } = this.#options;
    const events = framer.push(bytes);
    this.#cancelGap();
    if (framer.isWaiting || onSilence) {
      this.#cancelGap = clock.after(INTER_BYTE_MS, () => {
        this.#tell(framer.flush());
        onSilence?.();
      });
    }
    this.#tell(events);
  }

  /** Nothing is owed to us: what has begun is noise and must not swallow the next answer. */
  forget(): Uint8Array {
    this.#cancelGap();
    return this.#options.framer.reset();
  }

  #tell(events: readonly (Event | Discarded)[]): void {
    for (const event of events) this.#options.onEvent(event);
  }
}
