/** The subscriptions of one link: asked anew on every connection, checked event by event. */
import { matchFilter } from 'nostr-tools/filter';
import type { CancelTimer, Clock, Random } from '../base/clock.ts';
import { RelayError } from '../base/errors.ts';
import type { Filter, SignedEvent } from '../event.ts';
import { BackOff, withJitter } from './back-off.ts';
import type { LinkLimits } from './limits.ts';
import { prefixOf, type RequestMessage } from './message.ts';
import type { RecentIds } from './recent-ids.ts';
import type { SubscriptionListener, Unsubscribe } from './relay.ts';
import type { Verify } from './verify.ts';

/** Length of a REQ's random id; NIP-01 allows 64 characters. */
const REQUEST_ID_BYTES = 8;

/** What the subscriptions of a link are made of. */
export interface SubscriptionsOptions {
  readonly url: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: LinkLimits;
  readonly verify: Verify;
  send(message: readonly unknown[]): void;
  isOpen(): boolean;
  /** A REQ was answered or given up: events that waited for it may be published. */
  settled(): void;
  /** A REQ got `auth-required:`; true when it is to wait for the authentication. */
  requireAuth(): boolean;
  /** Whether an unanswered REQ may be so because we did not answer a challenge. */
  isChallenged(): boolean;
  /** The relay sent what it should not have. */
  offence(reason: string): void;
  /** Longest name of a REQ that the relay takes, characters; undefined when it does not say. */
  requestIdCharsMax(): number | undefined;
  /** The relay closed a REQ. */
  refused(words: string, waitMs: number): void;
}

/**
 * `asked`: no EOSE yet. `held`: waits for authentication. `refused`: will be asked again later.
 * `live`: EOSE came.
 */
type Phase = 'unasked' | 'asked' | 'held' | 'refused' | 'live';

interface Subscription {
  readonly filter: Filter | (() => Filter);
  readonly listener: SubscriptionListener;
  readonly seen: RecentIds;
  readonly backOff: BackOff;
  phase: Phase;
  /** Answered, refused, over time or taken off: nothing need wait for it. */
  isSettled: boolean;
  /** The REQ on this connection and the filter that was sent with it. */
  request: { readonly id: string; readonly filter: Filter; readonly atMs: number } | undefined;
  cancelTimer: CancelTimer;
}

/** What may be waited for: one subscription on the present connection. */
export type Settleable = Readonly<Pick<Subscription, 'isSettled'>>;

/** All subscriptions of one link. */
export class Subscriptions {
  readonly #options: SubscriptionsOptions;
  readonly #all = new Set<Subscription>();
  readonly #byRequest = new Map<string, Subscription>();

  constructor(options: SubscriptionsOptions) {
    this.#options = options;
  }

  /** @throws RelayError `refused` above `subscriptionsMax`. */
  add(
    filter: Filter | (() => Filter),
    listener: SubscriptionListener,
    seen: RecentIds,
  ): Unsubscribe {
    const { random, limits, url } = this.#options;
    if (this.#all.size >= limits.subscriptionsMax) {
      throw new RelayError('refused', `${url}: over ${limits.subscriptionsMax} subscriptions`);
    }
    const backOff = new BackOff({
      random,
      firstMs: limits.backOffFirstMs,
      maxMs: limits.backOffMaxMs,
      stableMs: limits.stableMs,
    });
    const subscription: Subscription = {
      filter,
      listener,
      seen,
      backOff,
      phase: 'unasked',
      isSettled: false,
      request: undefined,
      cancelTimer: () => undefined,
    };
    this.#all.add(subscription);
    if (this.#options.isOpen()) this.#ask(subscription);
    return () => this.#remove(subscription);
  }

  /** Those that exist now. */
  present(): readonly Settleable[] {
    return [...this.#all];
  }

  /** True when every REQ was answered with EOSE. */
  areLive(): boolean {
    for (const subscription of this.#all) if (subscription.phase !== 'live') return false;
    return true;
  }

  /** A new connection: every filter is asked for again, as it is now. */
  opened(): void {
    for (const subscription of [...this.#all]) this.#ask(subscription);
  }

  /** What was asked before it was known how long a name may be is asked again. */
  shortenNames(): void {
    const mostChars = this.#options.requestIdCharsMax() ?? Infinity;
    for (const subscription of [...this.#all]) {
      if ((subscription.request?.id.length ?? 0) > mostChars) this.#ask(subscription);
    }
  }

  /** The connection ended, and every REQ with it. */
  lost(): void {
    this.#byRequest.clear();
    for (const subscription of this.#all) {
      subscription.cancelTimer();
      subscription.phase = 'unasked';
      subscription.isSettled = false;
      subscription.request = undefined;
    }
  }

  /** Takes all of them off. */
  close(): void {
    this.lost();
    this.#all.clear();
  }

  /** We are authenticated: what was held back is asked again. */
  authenticated(): void {
    for (const subscription of [...this.#all]) {
      if (subscription.phase === 'held') this.#ask(subscription);
    }
  }

  /** We cannot authenticate: what was held back is asked again later. */
  authenticationFailed(words: string): void {
    for (const subscription of [...this.#all]) {
      if (subscription.phase === 'held') this.#refuse(subscription, words);
    }
  }

  /** Takes what a relay says to a REQ. */
  take(message: RequestMessage): void {
    const subscription = this.#byRequest.get(message.request);
    // Late news of a REQ that is closed already; a relay may also make requests up.
    if (!subscription?.request) return;
    switch (message.kind) {
      case 'event':
        this.#takeEvent(subscription, subscription.request.filter, message.event);
        break;
      case 'endOfStored':
        this.#takeEndOfStored(subscription);
        break;
      case 'closed':
        this.#takeClosed(subscription, message.words);
        break;
    }
  }

  #ask(subscription: Subscription): void {
    const { clock, limits, send } = this.#options;
    const { filter } = subscription;
    this.#forgetRequest(subscription);
    const id = this.#requestId();
    // A copy, as what comes in is checked against what was asked, whatever its owner does to it.
    const asked = structuredClone(typeof filter === 'function' ? filter() : filter);
    subscription.request = { id, filter: asked, atMs: clock.monotonic() };
    subscription.phase = 'asked';
    subscription.isSettled = false;
    subscription.cancelTimer = clock.after(limits.storedMs, () => this.#overTime(subscription));
    this.#byRequest.set(id, subscription);
    send(['REQ', id, asked]);
  }

  /** Names are random, so that nobody can answer a REQ that he has not seen. */
  #requestId(): string {
    const { random, requestIdCharsMax } = this.#options;
    const id = Buffer.from(random.bytes(REQUEST_ID_BYTES)).toString('hex');
    const short = id.slice(0, requestIdCharsMax() ?? id.length);
    // Two that are cut to the same letters would be one REQ.
    return this.#byRequest.has(short) ? id : short;
  }

  #takeEvent(subscription: Subscription, asked: Filter, event: SignedEvent): void {
    const { verify, offence } = this.#options;
    // From cheap to dear. Relays are known to send what was not asked for: no offence.
    if (!matchFilter(asked, event)) return;
    if (subscription.seen.has(event.id)) return;
    if (!verify(event)) {
      offence(`forged event ${event.id}`);
      return;
    }
    // Only now: a forgery that comes first must not hide the real one.
    subscription.seen.add(event.id);
    subscription.listener.event(event, subscription.phase === 'live');
  }

  #takeEndOfStored(subscription: Subscription): void {
    if (subscription.phase === 'live') return;
    subscription.cancelTimer();
    subscription.phase = 'live';
    subscription.isSettled = true;
    subscription.listener.endOfStored?.(this.#options.url);
    this.#options.settled();
  }

  #takeClosed(subscription: Subscription, words: string): void {
    const request = subscription.request;
    if (request) this.#byRequest.delete(request.id);
    if (prefixOf(words) === 'auth-required' && this.#options.requireAuth()) {
      // Its timer goes on: what waits for it does not wait for a signer for ever.
      subscription.phase = 'held';
      return;
    }
    this.#refuse(subscription, words);
  }

  #refuse(subscription: Subscription, words: string): void {
    const { clock, random, limits, refused, settled } = this.#options;
    const nowMs = clock.monotonic();
    const { request } = subscription;
    const backOffMs = subscription.backOff.next(request ? nowMs - request.atMs : 0);
    const pauseMs = pauseFor(words, limits);
    const waitMs = Math.max(backOffMs, pauseMs > 0 ? withJitter(random, pauseMs) : 0);
    this.#forgetRequest(subscription);
    subscription.phase = 'refused';
    subscription.isSettled = true;
    subscription.cancelTimer = clock.after(waitMs, () => this.#ask(subscription));
    refused(words, waitMs);
    settled();
  }

  /** No EOSE within the bound. The REQ stays: its EOSE and events may still come. */
  #overTime(subscription: Subscription): void {
    const { isChallenged, requireAuth, settled } = this.#options;
    subscription.isSettled = true;
    // Some relays say nothing at all until their challenge is answered.
    if (subscription.phase === 'asked' && isChallenged() && requireAuth()) {
      subscription.phase = 'held';
    }
    settled();
  }

  /** Ends the REQ, also on the relay, unless the relay has ended it. */
  #forgetRequest(subscription: Subscription): void {
    const { request } = subscription;
    subscription.cancelTimer();
    subscription.request = undefined;
    if (request && this.#byRequest.delete(request.id)) this.#options.send(['CLOSE', request.id]);
  }

  #remove(subscription: Subscription): void {
    if (!this.#all.delete(subscription)) return;
    this.#forgetRequest(subscription);
    subscription.isSettled = true;
    this.#options.settled();
  }
}

/** How long to leave a relay alone after such words, ms. */
export function pauseFor(words: string, limits: LinkLimits): number {
  const prefix = prefixOf(words);
  if (prefix === 'rate-limited') return limits.rateLimitedMs;
  return prefix === 'blocked' ? limits.blockedMs : 0;
}
