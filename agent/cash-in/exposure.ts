/**
 * The exposure budget (design 6.6): what was taken within the last hour and the last day, on disk,
 * bounds what a bug or a fault can ask the wallet for. It is kept by the time of each note, so that
 * a session that goes on for hours cannot outgrow it.
 */
import { z } from 'zod';
import { type Sats, sats } from '#protocol/base/money.ts';
import { remembered } from '#state/remembered.ts';
import type { Store } from '#state/store.ts';
import type { Parts } from '../parts.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/**
 * Notes of so long are one sum, so that a day is at most 288 of them: it counts a little
 * longer.
 */
const SPAN_MS = 300_000;
const KEY = 'exposure';

const spanSchema = z.object({ fromUnixMs: z.int(), principalSats: z.int() });
const spansSchema = z.array(spanSchema);
type Span = z.infer<typeof spanSchema>;

const keptSpans = remembered(({ facts }) => spansSchema.parse(facts.get(KEY)?.value ?? []));

/** The sums that still count. One that a wrong clock put in the future counts as of now. */
function spans({ store, clock }: Parts): readonly Span[] {
  const now = clock.now();
  return keptSpans(store)
    .map((span) => ({ ...span, fromUnixMs: Math.min(span.fromUnixMs, spanOf(now)) }))
    .filter(({ fromUnixMs }) => fromUnixMs + SPAN_MS > now - DAY_MS);
}

const spanOf = (atUnixMs: number): number => Math.floor(atUnixMs / SPAN_MS) * SPAN_MS;

/** Counts a note that was taken; inside the commit that books it. */
export function addExposure(parts: Parts, principalSats: Sats): void {
  const now = parts.clock.now();
  const sums = new Map<number, number>();
  for (const one of [...spans(parts), { fromUnixMs: spanOf(now), principalSats }]) {
    sums.set(one.fromUnixMs, (sums.get(one.fromUnixMs) ?? 0) + one.principalSats);
  }
  const kept = [...sums].map(([fromUnixMs, sum]) => ({ fromUnixMs, principalSats: sum }));
  parts.store.facts.put(KEY, kept, now);
}

/** More than there will ever be, 21 million bitcoin: no budget is larger. */
const ALL_SATS = 2_100_000_000_000_000;

/**
 * Counts the budget as used up from now on, for the day that it spans: nobody knows what a restored
 * state has forgotten (design 8). Inside a commit.
 */
export function fillExposure(store: Store, nowUnixMs: number): void {
  const spent: Span = { fromUnixMs: spanOf(nowUnixMs), principalSats: ALL_SATS };
  store.facts.put(KEY, [{ ...spent }], nowUnixMs);
}

/** Principal that may still be taken now under both budgets; negative when they are overdrawn. */
export function exposureLeft(parts: Parts): number {
  const { exposurePerHourSats, exposurePerDaySats } = parts.config.limits;
  const now = parts.clock.now();
  const taken = spans(parts);
  return Math.min(
    exposurePerHourSats - takenSince(taken, now - HOUR_MS),
    exposurePerDaySats - takenSince(taken, now - DAY_MS),
  );
}

function takenSince(taken: readonly Span[], fromUnixMs: number): Sats {
  const counting = taken.filter((span) => span.fromUnixMs + SPAN_MS > fromUnixMs);
  return sats(counting.reduce((sum, { principalSats }) => sum + principalSats, 0));
}
