/**
 * A relay on `Clock`, in memory, for any number of clients in one process: what @nostr-relay is on
 * real time. No socket, thread or real timer. Messages of one client keep their order, as on a
 * WebSocket, so that a REQ is always live before a later EVENT.
 */
import { matchFilter } from 'nostr-tools/filter';
import type { Clock } from '#protocol/base/clock.ts';
import type { Filter, SignedEvent } from '../event.ts';
import type { Relays } from '../relay/relay.ts';
import { MemoryRelays } from './memory-relays.ts';
import {
  bareEvent,
  isAddressable,
  isEphemeral,
  type RelayRules,
  refusalByTime,
  replaces,
  tagValue,
  usualRelayRules,
} from './relay-rules.ts';

/** Which way a message goes: from a client to the relay, or back. */
export type Direction = 'up' | 'down';

/** How one client's line misbehaves. All may be set while it runs. */
export interface LineFaults {
  /** Time from one end to the other, ms. Asked for every message. */
  latencyMs: (direction: Direction) => number;
  /** Events that never arrive; one that was dropped on its way up gets no OK either. */
  drop: (event: SignedEvent, direction: Direction) => boolean;
  /** Events that arrive twice. */
  duplicate: (event: SignedEvent, direction: Direction) => boolean;
  /** The OK of these events never arrives. */
  withholdOk: (event: SignedEvent) => boolean;
}

/** One client's end of the network. */
export interface MemoryClient extends Relays {
  readonly faults: LineFaults;
  /** Cuts the line: what is under way is lost, and nothing passes until `heal`. */
  partition(): void;
  /** Mends the line: subscriptions are asked again. */
  heal(): void;
}

/** What a network needs. */
export interface MemoryNetworkOptions {
  readonly clock: Clock;
  /** True when id and signature are right. */
  readonly verify: (event: SignedEvent) => boolean;
  /** What the relay calls itself; a public name, because a pairing refuses a private one. */
  readonly url?: string;
  readonly rules?: Partial<RelayRules>;
}

/** What the relay does for one client; `MemoryRelays` is the other side. */
export interface HubClient {
  /** Takes an event that fits the subscription. */
  deliver(subscription: number, event: SignedEvent): void;
}

/** Stored events; the oldest is forgotten beyond it. A machine keeps about ten heads alive. */
const STORED_EVENTS_MAX = 10_000;
const DEFAULT_URL = 'wss://relay.memory.example';

/** The relay itself. */
export class MemoryNetwork {
  readonly url: string;
  readonly rules: RelayRules;
  readonly clock: Clock;
  readonly #verify: (event: SignedEvent) => boolean;
  readonly #stored = new Map<string, SignedEvent>();
  readonly #subscriptions = new Map<HubClient, Map<number, Filter>>();

  constructor(options: MemoryNetworkOptions) {
    this.clock = options.clock;
    this.#verify = options.verify;
    this.url = options.url ?? DEFAULT_URL;
    this.rules = { ...usualRelayRules, ...options.rules };
  }

  /** A new client with a line of its own. */
  client(faults: Partial<LineFaults> = {}): MemoryClient {
    return new MemoryRelays(this, faults);
  }

  /** What is stored, newest first. */
  stored(filter: Filter): SignedEvent[] {
    const events = [...this.#stored.values()].filter((event) => matchFilter(filter, event));
    events.sort((a, b) => b.created_at - a.created_at || (a.id < b.id ? -1 : 1));
    return events.slice(0, filter.limit ?? events.length);
  }

  /** A client's REQ: live from now on; what is stored comes as the result. */
  request(client: HubClient, subscription: number, filter: Filter): SignedEvent[] {
    const subscriptions = this.#subscriptions.get(client) ?? new Map<number, Filter>();
    this.#subscriptions.set(client, subscriptions);
    subscriptions.set(subscription, filter);
    return this.stored(filter);
  }

  /** A client's CLOSE. */
  release(client: HubClient, subscription: number): void {
    this.#subscriptions.get(client)?.delete(subscription);
  }

  /** A client's line is cut. */
  disconnect(client: HubClient): void {
    this.#subscriptions.delete(client);
  }

  /** A client's EVENT; the result is the relay's OK. */
  take(event: SignedEvent): { readonly accepted: boolean; readonly reason: string } {
    const plain = bareEvent(event);
    const refusal = refusalByTime(plain, this.clock.now(), this.rules);
    if (refusal !== undefined) return { accepted: false, reason: refusal };
    if (!this.#verify(plain)) return { accepted: false, reason: 'invalid: signature is wrong' };
    if (!isEphemeral(plain.kind) && !this.#store(plain)) {
      // @nostr-relay's answer to a stale or repeated write; "OK true" proves no write.
      return { accepted: true, reason: 'duplicate: the event already exists' };
    }
    this.#forward(plain);
    return { accepted: true, reason: '' };
  }

  /** Sends an event to whoever asks for its like, as a relay does that came back as it once was. */
  replay(event: SignedEvent): void {
    this.#forward(event);
  }

  #store(event: SignedEvent): boolean {
    const key = isAddressable(event.kind)
      ? `${event.kind}:${event.pubkey}:${tagValue(event, 'd') ?? ''}`
      : event.id;
    const held = this.#stored.get(key);
    if (held && !replaces(event, held)) return false;
    this.#stored.delete(key);
    this.#stored.set(key, event);
    if (this.#stored.size > STORED_EVENTS_MAX) {
      for (const oldest of this.#stored.keys()) {
        this.#stored.delete(oldest);
        break;
      }
    }
    return true;
  }

  #forward(event: SignedEvent): void {
    for (const [client, subscriptions] of this.#subscriptions) {
      for (const [subscription, filter] of subscriptions) {
        if (matchFilter(filter, event)) client.deliver(subscription, event);
      }
    }
  }
}
