import { type Random, randomBelow } from '../base/clock.ts';

/** Shortest wait, ms: full jitter alone may draw zero again and again. */
const WAIT_MIN_MS = 100;

/** What a `BackOff` is made of; times in ms. */
export interface BackOffOptions {
  readonly random: Random;
  readonly firstMs: number;
  readonly maxMs: number;
  /** What held at least this long counts as a success: the waits start anew. */
  readonly stableMs: number;
}

/** Exponential waits with full jitter, so that a thousand machines do not come back as one. */
export class BackOff {
  readonly #options: BackOffOptions;
  #failures = 0;

  constructor(options: BackOffOptions) {
    this.#options = options;
  }

  /** The wait after one more failure, ms. `heldMs`: how long it had worked before, 0 if never. */
  next(heldMs: number): number {
    const { random, firstMs, maxMs, stableMs } = this.#options;
    if (heldMs >= stableMs) this.#failures = 0;
    const ceilingMs = Math.min(maxMs, firstMs * 2 ** this.#failures);
    this.#failures += 1;
    return Math.max(Math.min(WAIT_MIN_MS, maxMs), randomBelow(random, Math.ceil(ceilingMs) + 1));
  }
}

/** A pause asked for by a relay, made up to a quarter longer at random, ms. */
export function withJitter(random: Random, pauseMs: number): number {
  return pauseMs + randomBelow(random, Math.ceil(pauseMs / 4) + 1);
}
