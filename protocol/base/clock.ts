/**
 * Time and randomness come only from here, as arguments, so that a whole machine can run on a
 * virtual clock from one seed. This file alone may call Date.now, Math.random and setTimeout.
 */
import { randomBytes } from 'node:crypto';

/** Ends a timer before it fires; calling it again is harmless. */
export type CancelTimer = () => void;

/** Source of time. `now` is for records, `monotonic` for deadlines. */
export interface Clock {
  /** Wall time, Unix milliseconds. May jump. */
  now(): number;
  /** Milliseconds from an arbitrary start that never jump. */
  monotonic(): number;
  /** Runs `task` once after `delayMs`. */
  after(delayMs: number, task: () => void): CancelTimer;
}

/** Source of randomness. */
export interface Random {
  /** That many random bytes. */
  bytes(count: number): Uint8Array;
}

/** The computer's own clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after: (delayMs, task) => {
    const timer = setTimeout(task, delayMs);
    return () => clearTimeout(timer);
  },
};

/**
 * Bytes of an id (ids.ts), and of tokens and salts, which are made ahead as well. Keys and claim
 * codes have other sizes and never are.
 */
const ID_BYTES = 16;
/** Ids made at once: asking the system takes longer than all else that an id costs. */
const IDS_AHEAD = 64;

/** Asks the system; for ids, of many at a time. */
class SystemRandom implements Random {
  #ids = new Uint8Array(0);
  #next = 0;

  bytes(count: number): Uint8Array {
    return count === ID_BYTES ? this.#id() : new Uint8Array(randomBytes(count));
  }

  #id(): Uint8Array {
    if (this.#next === this.#ids.length) {
      this.#ids = new Uint8Array(randomBytes(ID_BYTES * IDS_AHEAD));
      this.#next = 0;
    }
    const from = this.#next;
    this.#next += ID_BYTES;
    const id = this.#ids.slice(from, this.#next);
    // Given away once: what is handed out is kept nowhere.
    this.#ids.fill(0, from, this.#next);
    return id;
  }
}

/** The computer's own cryptographic randomness. */
export const systemRandom: Random = new SystemRandom();

/** A whole number from 0 up to but not including `bound` (at most 2^32), without modulo bias. */
export function randomBelow(random: Random, bound: number): number {
  const range = 0x1_0000_0000;
  const limit = range - (range % bound);
  for (;;) {
    const bytes = random.bytes(4);
    const value = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0);
    if (value < limit) return value % bound;
  }
}

/** Resolves after `delayMs`, or at once with a rejection when the signal is aborted. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = () => {
      cancel();
      reject(signal?.reason);
    };
    const cancel = clock.after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** Marks that a wait ended at its deadline and not with an answer. */
export const timedOut: unique symbol = Symbol('timed out');

/** Waits for a promise at most `limitMs`; the promise itself goes on. */
export async function withDeadline<T>(
  clock: Clock,
  limitMs: number,
  promise: Promise<T>,
): Promise<T | typeof timedOut> {
  let cancel: CancelTimer = () => undefined;
  const deadline = new Promise<typeof timedOut>((resolve) => {
    cancel = clock.after(limitMs, () => resolve(timedOut));
  });
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    cancel();
  }
}
