/**
 * How many signatures the bunker still gives, as far as the operator has told us its caps: a bunker
 * whose cap is used up is silent, like a dead one (bitspire-wire.md 8). What a transaction will
 * need
 * is reserved before it begins, so that exhaustion closes new sessions and never an open one.
 */
import { z } from 'zod';
import type { Clock } from '../base/clock.ts';

/** One cap of the bunker: at most so many signatures in any window. All caps bind together. */
export interface SignatureCap {
  readonly count: number;
  readonly windowMs: number;
}

/** `money` may use what is reserved, `other` (documents, AUTH) may not. */
export type SignaturePurpose = 'money' | 'other';

const usesSchema = z.array(z.object({ fromUnixMs: z.int(), count: z.int().min(0) }));

/** Signatures by the time in which they were asked for; plain JSON. */
export type SignatureUses = z.infer<typeof usesSchema>;

/** What a budget needs. */
export interface SignatureBudgetOptions {
  readonly clock: Clock;
  /** The bunker's caps; none: nothing is ever refused. */
  readonly caps: readonly SignatureCap[];
  /** What `keep` was given last, of any shape: the bunker counts on over our restarts. */
  readonly kept?: unknown;
  /** Keeps the uses; called when a session begins and after every 20 signatures. */
  readonly keep?: (uses: SignatureUses) => void;
}

/** Uses are counted by this much time, ms; a window is taken to begin with a whole one. */
const BUCKET_MS = 60_000;
/** Uses that a power cut may make us forget. */
const KEEP_EVERY = 20;

/** Counts signatures against the caps. */
export class SignatureBudget {
  readonly #options: SignatureBudgetOptions;
  readonly #uses = new Map<number, number>();
  #reserved = 0;
  #sinceKept = 0;

  constructor(options: SignatureBudgetOptions) {
    this.#options = options;
    const kept = usesSchema.safeParse(options.kept);
    for (const { fromUnixMs, count } of kept.data ?? []) this.#uses.set(fromUnixMs, count);
  }

  /** Counts one signature; false, and nothing counted, when there is none for this purpose. */
  take(purpose: SignaturePurpose): boolean {
    if (this.#options.caps.length === 0) return true;
    const mine = purpose === 'money' ? 0 : this.#reserved;
    if (this.#left() <= mine) return false;
    if (purpose === 'money') this.#reserved = Math.max(0, this.#reserved - 1);
    const bucket = this.#bucket();
    this.#uses.set(bucket, (this.#uses.get(bucket) ?? 0) + 1);
    this.#sinceKept += 1;
    if (this.#sinceKept >= KEEP_EVERY) this.#keep();
    return true;
  }

  /** Whether so many could be reserved for a new session now. */
  has(count: number): boolean {
    return this.#left() >= count;
  }

  /** Reserves for the one session that begins, in place of the last one's; false when it cannot. */
  reserve(count: number): boolean {
    this.#reserved = 0;
    if (!this.has(count)) return false;
    this.#reserved = count;
    this.#keep();
    return true;
  }

  /** The session is over: what it did not need is free. */
  release(): void {
    this.#reserved = 0;
  }

  #keep(): void {
    if (this.#options.caps.length === 0) return;
    this.#sinceKept = 0;
    const uses = [...this.#uses].map(([fromUnixMs, count]) => ({ fromUnixMs, count }));
    this.#options.keep?.(uses);
  }

  #bucket(): number {
    return Math.floor(this.#options.clock.now() / BUCKET_MS) * BUCKET_MS;
  }

  /** What the tightest cap leaves, the reserved ones among it. */
  #left(): number {
    const { caps } = this.#options;
    const now = this.#bucket();
    const longestMs = Math.max(0, ...caps.map(({ windowMs }) => windowMs));
    for (const from of this.#uses.keys()) {
      // One from the future was counted by a clock that has been set back since: it stays a while.
      if (from <= now - longestMs - BUCKET_MS) this.#uses.delete(from);
    }
    const lefts = caps.map(({ count, windowMs }) => {
      const since = now - windowMs;
      let used = 0;
      for (const [from, uses] of this.#uses) if (from >= since) used += uses;
      return count - used;
    });
    return Math.min(Infinity, ...lefts);
  }
}
