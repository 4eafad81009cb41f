/** Notes that may be promised to a customer now. */
import { z } from 'zod';
import { position } from '#protocol/base/ids.ts';
import type { Intent } from '#state/intents.ts';
import { bayAccount } from '#state/note-ledger.ts';
import type { Parts } from '../parts.ts';
import type { Bay } from './denominate.ts';

const unit = z.object({ position: z.int().transform(position), count: z.int().nonnegative() });

/** What a reservation holds back, and until when. */
export const reservationBody = z.object({
  units: z.array(unit).readonly(),
  expiresAtUnixMs: z.number(),
});

/** Reads a reservation. @throws ZodError for what this program never wrote. */
export const readReservation = (intent: Pick<Intent, 'body'>) => reservationBody.parse(intent.body);

/**
 * The bays with what may be counted on: not parked, counted or set, less what is reserved. A lapsed
 * reservation holds nothing.
 */
export function availableBays(parts: Parts): readonly Bay[] {
  const { store, clock } = parts;
  const reserved = new Map<number, number>();
  for (const intent of store.intents.listOpen('reservation')) {
    const { units, expiresAtUnixMs } = readReservation(intent);
    if (expiresAtUnixMs < clock.now()) continue;
    for (const { position: bay, count } of units) {
      reserved.set(bay, (reserved.get(bay) ?? 0) + count);
    }
  }
  return store.cashUnits
    .list()
    .filter(({ parked, accuracy }) => !parked && (accuracy === 'accurate' || accuracy === 'set'))
    .map(({ position: bay, value }) => ({
      position: bay,
      value,
      count: Math.max(0, store.ledger.count(bayAccount(bay), value) - (reserved.get(bay) ?? 0)),
    }));
}
