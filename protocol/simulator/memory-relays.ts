/** One client's end of the memory network: the `Relays` contract over a line with faults. */
import type { CancelTimer } from '#protocol/base/clock.ts';
import type { Filter, SignedEvent } from '../event.ts';
import type {
  PublishResult,
  RelayStatus,
  SubscriptionListener,
  Unsubscribe,
} from '../relay/relay.ts';
import type {
  Direction,
  HubClient,
  LineFaults,
  MemoryClient,
  MemoryNetwork,
} from './memory-network.ts';
import { bareEvent } from './relay-rules.ts';

/** How long a publish waits for the relay's OK when its caller does not say, ms. */
const PUBLISH_LIMIT_MS = 5_000;
/**
 * Ids remembered per subscription, so that each is told once; copies of an event come within
 * seconds, and what a simulated world remembers is counted as the machine's memory (test/bench).
 */
const SEEN_IDS_MAX = 256;
/** Latency of a healthy line, ms each way. */
const LATENCY_MS = 10;

interface Subscription {
  readonly filter: Filter | (() => Filter);
  readonly listener: SubscriptionListener;
  readonly seen: Set<string>;
  ended: boolean;
}

/** See `MemoryClient`. */
export class MemoryRelays implements MemoryClient, HubClient {
  readonly faults: LineFaults;
  readonly #network: MemoryNetwork;
  readonly #subscriptions = new Map<number, Subscription>();
  readonly #statusListeners = new Set<(status: RelayStatus) => void>();
  readonly #waiting = new Set<(reason: string) => void>();
  readonly #underWay = new Set<CancelTimer>();
  readonly #lineFreeMs: Record<Direction, number> = { up: 0, down: 0 };
  #state: 'open' | 'waiting' | 'closed' = 'open';
  #lastSubscription = 0;

  constructor(network: MemoryNetwork, faults: Partial<LineFaults>) {
    this.#network = network;
    this.faults = {
      latencyMs: () => LATENCY_MS,
      drop: () => false,
      duplicate: () => false,
      withholdOk: () => false,
      ...faults,
    };
  }

  subscribe(filter: Filter | (() => Filter), listener: SubscriptionListener): Unsubscribe {
    const id = ++this.#lastSubscription;
    this.#subscriptions.set(id, { filter, listener, seen: new Set(), ended: false });
    if (this.#state === 'open') this.#request(id);
    return () => {
      if (!this.#subscriptions.delete(id)) return;
      this.#send('up', () => this.#network.release(this, id));
    };
  }

  publish(event: SignedEvent, limitMs = PUBLISH_LIMIT_MS): Promise<readonly PublishResult[]> {
    const { url, clock } = this.#network;
    if (this.#state !== 'open') {
      return Promise.resolve([{ url, outcome: 'silent', reason: 'no link' }]);
    }
    const sent = bareEvent(event);
    return new Promise((resolve) => {
      const settle = (outcome: PublishResult['outcome'], reason: string) => {
        cancel();
        this.#waiting.delete(lost);
        resolve([{ url, outcome, reason }]);
      };
      const lost = (reason: string) => settle('silent', reason);
      const cancel = clock.after(limitMs, () => lost('no answer in time'));
      this.#waiting.add(lost);
      this.#carry('up', sent, () => {
        const { accepted, reason } = this.#network.take(sent);
        if (this.faults.withholdOk(sent)) return;
        this.#send('down', () => settle(accepted ? 'accepted' : 'refused', reason));
      });
    });
  }

  ready(): boolean {
    return this.#state === 'open' && [...this.#subscriptions.values()].every(({ ended }) => ended);
  }

  status(): readonly RelayStatus[] {
    const reason = { open: undefined, waiting: 'the line is cut', closed: 'closed' }[this.#state];
    const clockOffsetMs = this.#state === 'open' ? 0 : undefined;
    return [{ url: this.#network.url, state: this.#state, reason, clockOffsetMs }];
  }

  onStatus(listener: (status: RelayStatus) => void): Unsubscribe {
    this.#statusListeners.add(listener);
    return () => this.#statusListeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#subscriptions.clear();
    this.#cut('closed', 'closed');
    this.#statusListeners.clear();
  }

  partition(): void {
    if (this.#state === 'open') this.#cut('waiting', 'the line is cut');
  }

  heal(): void {
    if (this.#state !== 'waiting') return;
    this.#state = 'open';
    this.#tellStatus();
    for (const id of this.#subscriptions.keys()) this.#request(id);
  }

  deliver(subscription: number, event: SignedEvent): void {
    this.#carry('down', event, () => this.#tell(subscription, event));
  }

  #cut(state: 'waiting' | 'closed', reason: string): void {
    this.#state = state;
    for (const cancel of this.#underWay) cancel();
    this.#underWay.clear();
    this.#network.disconnect(this);
    for (const subscription of this.#subscriptions.values()) subscription.ended = false;
    for (const lost of [...this.#waiting]) lost(reason);
    this.#tellStatus();
  }

  #tellStatus(): void {
    for (const status of this.status()) {
      for (const listener of this.#statusListeners) listener(status);
    }
  }

  #request(id: number): void {
    const subscription = this.#subscriptions.get(id);
    if (!subscription) return;
    const { filter, listener } = subscription;
    const asked = typeof filter === 'function' ? filter() : filter;
    this.#send('up', () => {
      for (const event of this.#network.request(this, id, asked)) this.deliver(id, event);
      this.#send('down', () => {
        subscription.ended = true;
        listener.endOfStored?.(this.#network.url);
      });
    });
  }

  #tell(id: number, event: SignedEvent): void {
    const subscription = this.#subscriptions.get(id);
    if (!subscription || subscription.seen.has(event.id)) return;
    subscription.seen.add(event.id);
    if (subscription.seen.size > SEEN_IDS_MAX) {
      for (const oldest of subscription.seen) {
        subscription.seen.delete(oldest);
        break;
      }
    }
    subscription.listener.event(bareEvent(event), subscription.ended);
  }

  /** Carries an event, unless the line loses it; perhaps twice. */
  #carry(direction: Direction, event: SignedEvent, arrive: () => void): void {
    if (this.faults.drop(event, direction)) return;
    this.#send(direction, arrive);
    if (this.faults.duplicate(event, direction)) this.#send(direction, arrive);
  }

  /** Runs `arrive` at the other end, never before what was sent earlier the same way. */
  #send(direction: Direction, arrive: () => void): void {
    if (this.#state !== 'open') return;
    const { clock } = this.#network;
    const nowMs = clock.monotonic();
    const dueMs = Math.max(nowMs + this.faults.latencyMs(direction), this.#lineFreeMs[direction]);
    this.#lineFreeMs[direction] = dueMs;
    const cancel = clock.after(dueMs - nowMs, () => {
      this.#underWay.delete(cancel);
      arrive();
    });
    this.#underWay.add(cancel);
  }
}
