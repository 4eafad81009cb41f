/** Whether relays answer, asked now: a question and the word that all stored answers were given. */
import type { Clock } from '../base/clock.ts';
import type { Filter } from '../event.ts';
import type { RelayStatus, Relays, Unsubscribe } from './relay.ts';

/** How one link stands, and how long its relay took to answer. */
export interface RoundTrip extends Pick<RelayStatus, 'url' | 'state' | 'reason' | 'shortcomings'> {
  /** From REQ to EOSE, ms; undefined when none came in time, or the link is not open. */
  readonly answeredMs: number | undefined;
}

/**
 * Asks all open links for one event of a filter, and waits at most `limitMs` for their EOSE
 * (NIP-01). Nothing is published and nothing is signed.
 * @throws RelayError `refused` over too many subscriptions.
 */
export async function roundTrips(
  relays: Relays,
  options: { readonly clock: Clock; readonly filter: Filter; readonly limitMs: number },
): Promise<readonly RoundTrip[]> {
  const { clock, filter, limitMs } = options;
  const startedMs = clock.monotonic();
  const answered = new Map<string, number>();
  const unanswered = new Set(
    relays
      .status()
      .filter(({ state }) => state === 'open')
      .map(({ url }) => url),
  );
  if (unanswered.size > 0) {
    let unsubscribe: Unsubscribe = () => undefined;
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = clock.after(limitMs, resolve);
    unsubscribe = relays.subscribe(
      { ...filter, limit: 1 },
      {
        event: () => undefined,
        endOfStored: (url) => {
          if (!unanswered.delete(url)) return;
          answered.set(url, clock.monotonic() - startedMs);
          if (unanswered.size === 0) resolve();
        },
      },
    );
    await promise;
    cancel();
    unsubscribe();
  }
  return relays.status().map(({ url, state, reason, shortcomings = [] }) => {
    return { url, state, reason, shortcomings, answeredMs: answered.get(url) };
  });
}
