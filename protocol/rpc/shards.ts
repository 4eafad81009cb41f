/**
 * Puts long answers together again. Every bound here is ours: the reference client keeps unfinished
 * shards for ever and believes `totalShards` (nostr.md 5.1).
 */
import type { Clock } from '#protocol/base/clock.ts';
import type { Shard } from './dialect.ts';

/** Most parts of one answer; with 40,000 characters a part far more than `CHARACTERS_MAX`. */
export const PARTS_MAX = 64;
/** Longest answer, characters: fifty payments come to about 60,000. */
export const CHARACTERS_MAX = 400_000;
/** Unfinished answers kept at a time, which bounds the memory to 8 times the longest answer. */
export const UNFINISHED_MAX = 8;
/** Longest time from the first part to the last, ms: a call is given up long before. */
export const AGE_MAX_MS = 60_000;

/** What a part brought. `eventIds`: the requests that any of the parts' events named. */
export type ShardOutcome =
  | { readonly kind: 'whole'; readonly text: string; readonly eventIds: readonly string[] }
  | { readonly kind: 'waiting' }
  | { readonly kind: 'dropped'; readonly reason: string };

interface Unfinished {
  readonly parts: Map<number, string>;
  readonly totalShards: number;
  readonly eventIds: Set<string>;
  readonly startedMs: number;
  characters: number;
}

/** Unfinished answers, by sender and shards id. */
export class ShardBuffer {
  readonly #clock: Clock;
  readonly #unfinished = new Map<string, Unfinished>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Answers that wait for parts. */
  get size(): number {
    return this.#unfinished.size;
  }

  /** Takes a part; `eventIds` are the requests that its event names in `e` tags. */
  add(sender: string, shard: Shard, eventIds: readonly string[]): ShardOutcome {
    this.#forgetOld();
    const { index, part, totalShards } = shard;
    if (totalShards > PARTS_MAX || index >= totalShards) {
      return { kind: 'dropped', reason: `part ${index} of ${totalShards}, at most ${PARTS_MAX}` };
    }
    const key = `${sender}:${shard.shardsId}`;
    const held = this.#unfinished.get(key) ?? this.#start(key, totalShards);
    const known = held.parts.get(index);
    if (held.totalShards !== totalShards || (known !== undefined && known !== part)) {
      this.#unfinished.delete(key);
      return { kind: 'dropped', reason: 'parts contradict each other' };
    }
    for (const eventId of eventIds) held.eventIds.add(eventId);
    if (known === undefined) {
      held.parts.set(index, part);
      held.characters += part.length;
    }
    if (held.characters > CHARACTERS_MAX) {
      this.#unfinished.delete(key);
      return { kind: 'dropped', reason: `longer than ${CHARACTERS_MAX} characters` };
    }
    if (held.parts.size < totalShards) return { kind: 'waiting' };
    this.#unfinished.delete(key);
    return { kind: 'whole', text: joined(held), eventIds: [...held.eventIds] };
  }

  #start(key: string, totalShards: number): Unfinished {
    if (this.#unfinished.size >= UNFINISHED_MAX) {
      for (const oldest of this.#unfinished.keys()) {
        this.#unfinished.delete(oldest);
        break;
      }
    }
    const started: Unfinished = {
      parts: new Map(),
      totalShards,
      eventIds: new Set(),
      startedMs: this.#clock.monotonic(),
      characters: 0,
    };
    this.#unfinished.set(key, started);
    return started;
  }

  #forgetOld(): void {
    const oldestMs = this.#clock.monotonic() - AGE_MAX_MS;
    for (const [key, { startedMs }] of this.#unfinished) {
      if (startedMs < oldestMs) this.#unfinished.delete(key);
    }
  }
}

function joined({ parts }: Unfinished): string {
  const inOrder = [...parts].sort(([a], [b]) => a - b);
  return inOrder.map(([, part]) => part).join('');
}
