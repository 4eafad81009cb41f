/** Several relays as one. */
import type { Filter, SignedEvent } from '../event.ts';
import { defaultLimits } from './limits.ts';
import { type LinkOptions, RelayLink } from './link.ts';
import { RecentIds } from './recent-ids.ts';
import type {
  PublishResult,
  RelayStatus,
  Relays,
  SubscriptionListener,
  Unsubscribe,
} from './relay.ts';

/** Most relays of one pool. A bunker may name its relays, and each costs memory and signatures. */
const RELAYS_MAX = 8;

/** One link per URL. A hostile or dead relay takes nothing from the others. */
export class RelayPool implements Relays {
  readonly #links: readonly RelayLink[];
  readonly #idsMax: number;

  /** URLs that mean the same relay are taken once, and at most 8 in all. */
  constructor(options: LinkOptions & { readonly urls: readonly string[] }) {
    const { urls, ...common } = options;
    const chosen = distinct(urls);
    if (chosen.length > RELAYS_MAX) {
      options.log.warn({ relays: chosen.slice(RELAYS_MAX) }, 'too many relays, these are left out');
    }
    this.#links = chosen.slice(0, RELAYS_MAX).map((url) => new RelayLink({ ...common, url }));
    this.#idsMax = options.limits?.idsMax ?? defaultLimits.idsMax;
  }

  /**
   * See `Relays`. An event that several relays have is reported once.
   * @throws RelayError `refused` above `subscriptionsMax` subscriptions.
   */
  subscribe(filter: Filter | (() => Filter), listener: SubscriptionListener): Unsubscribe {
    const seen = new RecentIds(this.#idsMax);
    const offs = this.#links.map((link) => link.subscribe(filter, listener, seen));
    return () => {
      for (const off of offs) off();
    };
  }

  async publish(event: SignedEvent, limitMs?: number): Promise<readonly PublishResult[]> {
    const results = await Promise.all(this.#links.map((link) => link.publish(event, limitMs)));
    return results.flat();
  }

  ready(): boolean {
    return this.#links.some((link) => link.ready());
  }

  status(): readonly RelayStatus[] {
    return this.#links.flatMap((link) => link.status());
  }

  onStatus(listener: (status: RelayStatus) => void): Unsubscribe {
    const offs = this.#links.map((link) => link.onStatus(listener));
    return () => {
      for (const off of offs) off();
    };
  }

  async close(): Promise<void> {
    await Promise.all(this.#links.map((link) => link.close()));
  }
}

/** The URLs without those that mean the same; each as it was first written. */
function distinct(urls: readonly string[]): readonly string[] {
  const byMeaning = new Map<string, string>();
  for (const url of urls) {
    const meaning = URL.parse(url)?.href ?? url;
    if (!byMeaning.has(meaning)) byMeaning.set(meaning, url);
  }
  return [...byMeaning.values()];
}
