/**
 * The device's lifetime counters, as a witness: where an answer with a credit was lost for good,
 * they tell whether the note was stacked. Source: GA138, Get Counters: they survive a power cut.
 */
import type { AcceptorBaseline } from '../cash-acceptor.ts';
import { type EventName, replies, type SspEvent } from './commands.ts';
import { isOk, type SspLink } from './link.ts';
import { countedSince, decodeCounters } from './models.ts';

/** What the counters prove of the one note since a baseline. */
export type CounterProof = 'deposited' | 'returned' | 'unknown';

/** Remembers what the counters said before the note that is inside. */
export class CounterMemory {
  readonly #link: SspLink;
  #baseline: AcceptorBaseline | undefined;
  /** They were read, and nothing has moved since. */
  #isFresh: boolean = false;
  #isAsking: boolean = false;
  /** Whether the device has counters; undefined until it was asked. */
  #areKnown: boolean | undefined;

  constructor(link: SspLink) {
    this.#link = link;
  }

  /** The device has counters. */
  get areKnown(): boolean {
    return this.#areKnown === true;
  }

  /** The counters before the note that is inside; undefined when they were not read in time. */
  get baseline(): AcceptorBaseline | undefined {
    return this.#baseline;
  }

  /**
   * A note is being drawn in: what was counted before it is known only when nothing moved
   * since.
   */
  noteBegins(): void {
    if (!this.#isFresh) this.#baseline = undefined;
    this.#isFresh = false;
  }

  /** A note has moved, or may have. */
  mayHaveMoved(): void {
    this.#isFresh = false;
  }

  /**
   * Reads them, while nothing is inside, if anything may have moved. Gives what they prove since
   * the last baseline, or since the one that is given; undefined when nothing was read.
   */
  async refresh(since?: AcceptorBaseline): Promise<CounterProof | undefined> {
    if (this.#isAsking || (this.#isFresh && since === undefined)) return undefined;
    if (this.#areKnown === false) return 'unknown';
    this.#isAsking = true;
    // Set before the answer, so that a note drawn in meanwhile is not overlooked.
    this.#isFresh = true;
    const reply = await this.#link.ask('getCounters');
    this.#isAsking = false;
    if (typeof reply === 'string') this.#isFresh = false;
    if (typeof reply === 'string' || !this.#isFresh) return undefined;
    if (reply.code === replies.commandNotKnown) this.#areKnown = false;
    const before = since ?? this.#baseline;
    const now = isOk(reply) ? decodeCounters(reply.data) : undefined;
    if (now) this.#areKnown = true;
    this.#baseline = now;
    return now && before ? compare(before, now) : 'unknown';
  }
}

const COUNTED: ReadonlySet<EventName> = new Set([
  'credit',
  'stacked',
  'rejected',
  'clearedToCashbox',
  'clearedFromFront',
]);

/** Whether a note has moved: a counter may have gone on. */
export function isCounted(events: readonly SspEvent[]): boolean {
  return events.some(({ name }) => COUNTED.has(name));
}

function compare(before: AcceptorBaseline, now: AcceptorBaseline): CounterProof {
  const stacked = countedSince(before.stacked, now.stacked);
  const rejected = countedSince(before.rejected, now.rejected);
  if (stacked === 1 && rejected === 0) return 'deposited';
  return stacked === 0 && rejected === 1 ? 'returned' : 'unknown';
}
