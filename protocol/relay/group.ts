/** Relays that may become more while they are used: a bunker may move to others (NIP-46). */
import type { Filter, SignedEvent } from '../event.ts';
import { defaultLimits } from './limits.ts';
import { RecentIds } from './recent-ids.ts';
import type {
  PublishResult,
  RelayStatus,
  Relays,
  SubscriptionListener,
  Unsubscribe,
} from './relay.ts';

interface Subscription {
  readonly filter: Filter | (() => Filter);
  readonly listener: SubscriptionListener;
  readonly offs: Unsubscribe[];
}

/** Several `Relays` as one. It closes them all. */
export class RelayGroup implements Relays {
  readonly #members: Relays[] = [];
  readonly #subscriptions = new Set<Subscription>();
  readonly #statusListeners = new Set<(status: RelayStatus) => void>();
  readonly #published: (results: readonly PublishResult[]) => void;
  #isClosed: boolean = false;

  /** `published` sees what the relays said to each event. */
  constructor(first: Relays, published: (results: readonly PublishResult[]) => void) {
    this.#published = published;
    this.add(first);
  }

  /** Takes further relays in: what is subscribed to is asked of them too. */
  add(member: Relays): void {
    this.#members.push(member);
    member.onStatus((status) => {
      for (const listener of [...this.#statusListeners]) listener(status);
    });
    for (const subscription of this.#subscriptions) {
      const { filter, listener } = subscription;
      subscription.offs.push(member.subscribe(filter, listener));
    }
  }

  /** See `Relays`. An event that several members have is reported once. */
  subscribe(filter: Filter | (() => Filter), listener: SubscriptionListener): Unsubscribe {
    const seen = new RecentIds(defaultLimits.idsMax);
    const once: SubscriptionListener = {
      event: (event, live) => {
        if (seen.has(event.id)) return;
        seen.add(event.id);
        listener.event(event, live);
      },
      endOfStored: (url) => listener.endOfStored?.(url),
    };
    const offs = this.#members.map((member) => member.subscribe(filter, once));
    const subscription: Subscription = { filter, listener: once, offs };
    this.#subscriptions.add(subscription);
    return () => {
      this.#subscriptions.delete(subscription);
      for (const off of offs.splice(0)) off();
    };
  }

  async publish(event: SignedEvent, limitMs?: number): Promise<readonly PublishResult[]> {
    const members = this.#members.map((member) => member.publish(event, limitMs));
    const results = (await Promise.all(members)).flat();
    if (!this.#isClosed) this.#published(results);
    return results;
  }

  ready(): boolean {
    return this.#members.some((member) => member.ready());
  }

  status(): readonly RelayStatus[] {
    return this.#members.flatMap((member) => member.status());
  }

  onStatus(listener: (status: RelayStatus) => void): Unsubscribe {
    this.#statusListeners.add(listener);
    return () => this.#statusListeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#subscriptions.clear();
    await Promise.all(this.#members.map((member) => member.close()));
    this.#statusListeners.clear();
  }
}
