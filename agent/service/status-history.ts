/** What the last weeks say of a machine: use of each bay, counts that differed, documents' ages. */
import type { MinorUnits } from '#protocol/base/money.ts';
import { bayAccount } from '#state/note-ledger.ts';
import type { StatusView } from '../api/schemas.ts';
import { documentsView } from '../documents/view.ts';
import { faceOf } from '../exchange/faces.ts';
import type { Parts } from '../parts.ts';

const DAY_MS = 86_400_000;
/** Weeks enough for a weekday and a payday to count as often as they come. */
const USE_MS = 28 * DAY_MS;
/** Differences are shown for as long as a dispute may take. */
const OVER_SHORT_MS = 90 * DAY_MS;
/** Lines that a person reads; all of them stand in the records. */
const OVER_SHORT_MAX = 20;

type History = Pick<Parts, 'store' | 'clock'>;

/**
 * What customers took out of each bay, what came of the rest, and when it is empty if they go on.
 * With less than a day to look back on nothing is foretold.
 */
export function bayUse({ store, clock }: History): StatusView['bayUse'] {
  const now = clock.now();
  return store.cashUnits.list().map(({ position, value }) => {
    const account = bayAccount(position);
    const { sinceUnixMs, counts } = store.ledger.outflow(account, now - USE_MS);
    const dispensed = counts.customer ?? 0;
    const rejected = counts.reject ?? 0;
    const days = (now - sinceUnixMs) / DAY_MS;
    const perDay = days < 1 ? null : (dispensed + rejected) / days;
    const held = store.ledger.count(account, value);
    return {
      position,
      days: Math.floor(days),
      dispensed,
      rejected,
      perDay,
      daysToEmpty: perDay === null || perDay === 0 ? null : Math.floor(held / perDay),
      notesPerReject: rejected === 0 ? null : Math.floor((dispensed + rejected) / rejected),
    };
  });
}

/** Counts that were over or short, newest first. */
export function overShort({
  store,
  clock,
  config,
}: History & { readonly config: Pick<Parts['config'], 'currency'> }): StatusView['overShort'] {
  const face = (value: MinorUnits) => faceOf(value, config.currency);
  return store.cashCounts
    .since(clock.now() - OVER_SHORT_MS)
    .filter(({ expected, counted }) => expected !== counted)
    .slice(0, OVER_SHORT_MAX)
    .map(({ atUnixMs, reference, account, value, expected, counted, reason, note }) => {
      const difference = counted - expected;
      const why = { reason: reason ?? null, note };
      return { atUnixMs, reference, account, denomination: face(value), difference, ...why };
    });
}

/** How old each document is, ms; null for one that never came, or was never published. */
export function documentAges({ store, clock }: History): StatusView['documents'] {
  return documentsView(store).map(({ type, direction, createdAtUnixMs, refused, pending }) => ({
    type,
    direction,
    ageMs: createdAtUnixMs === null ? null : Math.max(0, clock.now() - createdAtUnixMs),
    refused,
    pending,
  }));
}
