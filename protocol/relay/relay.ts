/** What the rest of `protocol` asks of relays; `link.ts` is one of them, `pool.ts` several. */
import type { Filter, SignedEvent } from '../event.ts';
import type { Shortcoming } from './information.ts';

/** Takes a listener or subscription off again; calling it twice is harmless. */
export type Unsubscribe = () => void;

/** What one relay said to one event (NIP-01 OK). `silent`: nothing within the bound, or no link. */
export interface PublishResult {
  readonly url: string;
  readonly outcome: 'accepted' | 'refused' | 'silent';
  /** The relay's own words, or ours. */
  readonly reason: string;
}

/** Takes the events of a subscription. */
export interface SubscriptionListener {
  /** A verified event that fits the filter, once per id. `live`: it came after EOSE. */
  event(event: SignedEvent, live: boolean): void;
  /** One relay has sent what it had stored; comes again after each reconnect. */
  endOfStored?(url: string): void;
}

/** The state of one link. */
export interface RelayStatus {
  readonly url: string;
  readonly state: 'connecting' | 'open' | 'waiting' | 'closed';
  /** Why it is not open, in words. */
  readonly reason: string | undefined;
  /** The relay's clock less ours, ms, by the Date header of its upgrade; undefined if unknown. */
  readonly clockOffsetMs: number | undefined;
  /** Where it grants less than we need by its own word (NIP-11); absent while it says nothing. */
  readonly shortcomings?: readonly Shortcoming[];
}

/** One relay or several, as one. */
export interface Relays {
  /**
   * Keeps a subscription alive over reconnects on every relay until it is taken off. The filter is
   * asked again as it is: no `since` is made up. A function is asked for it at every (re-)REQ.
   */
  subscribe(filter: Filter | (() => Filter), listener: SubscriptionListener): Unsubscribe;
  /**
   * Sends an event to every relay, after the subscriptions there are live (REQ before publish).
   * Resolves when each relay answered or its bound passed; never rejects. At most `limitMs`.
   */
  publish(event: SignedEvent, limitMs?: number): Promise<readonly PublishResult[]>;
  /** True once at least one relay is open and has answered every REQ with EOSE. */
  ready(): boolean;
  /** The links' states. */
  status(): readonly RelayStatus[];
  /** Tells of every change of state. */
  onStatus(listener: (status: RelayStatus) => void): Unsubscribe;
  /** Ends sockets, timers and what waits. */
  close(): Promise<void>;
}
