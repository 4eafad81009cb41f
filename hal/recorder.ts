/** The flight recorder: the last chunks on a port, for the fault report that a technician reads. */
import type { Clock } from '#protocol/base/clock.ts';
import type { RecordedChunk } from '#protocol/base/errors.ts';

/** Chunks kept: at 100 ms polls about 12 s, enough to see how a fault came about. */
const CHUNKS_MAX = 256;

interface Chunk {
  readonly direction: RecordedChunk['direction'];
  readonly monotonicMs: number;
  readonly bytes: Uint8Array;
}

/** Keeps the last 256 chunks of one port. Both kinds of port use it, so that no driver has to. */
export class FlightRecorder {
  readonly #clock: Clock;
  readonly #ring: Chunk[] = [];
  #next = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Remembers one chunk. The bytes are copied: a port may use its buffer again. */
  record(direction: RecordedChunk['direction'], bytes: Uint8Array): void {
    const monotonicMs = this.#clock.monotonic();
    this.#ring[this.#next] = { direction, monotonicMs, bytes: Uint8Array.from(bytes) };
    this.#next = (this.#next + 1) % CHUNKS_MAX;
  }

  /** What is remembered, oldest first. */
  chunks(): readonly RecordedChunk[] {
    const inOrder = [...this.#ring.slice(this.#next), ...this.#ring.slice(0, this.#next)];
    return inOrder.map(({ direction, monotonicMs, bytes }) => ({
      direction,
      monotonicMs,
      hex: Buffer.from(bytes).toString('hex'),
    }));
  }
}
