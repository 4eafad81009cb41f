/**
 * Which cassette stands in which bay, where the unit can read that. Another one than before may
 * hold other notes: its bay stays closed until hands have counted it in an exchange.
 */
import { z } from 'zod';
import type { CashDispenserStatus } from '#hal/cash-dispenser.ts';
import type { Position } from '#protocol/base/ids.ts';
import type { Parts } from '../parts.ts';
import { noteDoubt } from './doubt.ts';

/** What is known of the cassette in one bay, in the unit's own words. */
const knownCassette = z.object({
  /** The one that the books are about. */
  known: z.string(),
  /** The one that was read last. */
  seen: z.string(),
  /** The bay was closed for it. */
  isClosed: z.boolean(),
});
type KnownCassette = z.output<typeof knownCassette>;

type CassetteParts = Pick<Parts, 'store' | 'clock'>;

const keyOf = (at: Position): string => `cassette:${at}`;

const cassetteAt = ({ store }: Pick<Parts, 'store'>, at: Position): KnownCassette | undefined =>
  knownCassette.safeParse(store.facts.get(keyOf(at))?.value).data;

const keep = ({ store, clock }: CassetteParts, at: Position, cassette: KnownCassette): void =>
  store.facts.put(keyOf(at), { ...cassette }, clock.now());

/** Whether a bay is closed because another cassette than before was put into it. */
export const isSwapped = (parts: Pick<Parts, 'store'>, at: Position): boolean =>
  cassetteAt(parts, at)?.isClosed ?? false;

/** Whether another cassette than the one of the books stands there now. */
export function isAnother(parts: Pick<Parts, 'store'>, at: Position): boolean {
  const cassette = cassetteAt(parts, at);
  return cassette !== undefined && cassette.seen !== cassette.known;
}

/**
 * Compares what the unit reads with what it read last. While hands are in the machine nothing is
 * closed: the end of the exchange does that.
 */
export function noteCassettes(
  parts: CassetteParts,
  units: CashDispenserStatus['units'],
  isAttended: boolean,
): void {
  const { store } = parts;
  const news = units.flatMap(({ position, cassette: seen }) => {
    if (seen === undefined) return [];
    const held = cassetteAt(parts, position);
    const isOpenWithAnother = held?.isClosed === false && held.known !== seen;
    const isNews = held?.seen !== seen || (isOpenWithAnother && !isAttended);
    return isNews ? [{ position, seen, held }] : [];
  });
  if (news.length === 0) return;
  store.commit(() => {
    for (const { position, seen, held } of news) {
      keep(parts, position, { known: seen, isClosed: false, ...held, seen });
      const kind = held ? 'cassette.changed' : 'cassette.learned';
      if (held?.seen !== seen) {
        store.journal.append(kind, { position, was: held?.seen ?? null, is: seen });
      }
      if (!isAttended) closeSwapped(parts, position);
    }
  });
}

/** Closes a bay in which another cassette stands; inside a commit. */
function closeSwapped(parts: CassetteParts, at: Position): void {
  const { store } = parts;
  const cassette = cassetteAt(parts, at);
  if (!cassette || cassette.isClosed || cassette.seen === cassette.known) return;
  const unit = store.cashUnits.get(at);
  if (unit) store.cashUnits.put({ ...unit, parked: true, accuracy: 'unknown' });
  noteDoubt(parts, at);
  keep(parts, at, { ...cassette, isClosed: true });
  const { known: was, seen: is } = cassette;
  store.journal.append('cassette.swapped', { position: at, was, is });
}

/**
 * An exchange is closed: bays that were closed for their cassettes, and were counted by hand since,
 * are about what stands there now. Another cassette elsewhere closes its bay. Inside a commit.
 */
export function settleCassettes(
  parts: CassetteParts,
  bays: readonly { readonly position: Position; readonly isCounted: boolean }[],
): void {
  const { store } = parts;
  for (const { position, isCounted } of bays) {
    const cassette = cassetteAt(parts, position);
    if (cassette?.isClosed && isCounted) {
      const { known: was, seen } = cassette;
      keep(parts, position, { known: seen, seen, isClosed: false });
      store.journal.append('cassette.accepted', { position, was, is: seen });
    } else closeSwapped(parts, position);
  }
}
