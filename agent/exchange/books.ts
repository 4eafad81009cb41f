/** Brings the note ledger and the bays to what the answers of an exchange say; inside a commit. */

import assert from 'node:assert';
import type { CashUnit } from '#state/cash-units.ts';
import type { Exchange } from '#state/exchanges.ts';
import type { Parts } from '../parts.ts';
import { noteSealed } from './bag-list.ts';
import { bookDifference, planOf } from './bookings.ts';
import {
  type BayStanding,
  type Setup,
  type Standing,
  setupSchema,
  standingOf,
  touchedBays,
} from './standing.ts';

/** An open exchange that is past its draining, as it stands. */
export interface Running {
  readonly exchange: Exchange;
  readonly setup: Setup;
  readonly standing: Standing;
}

/** Reads how it stands; undefined while it drains. */
export function runningOf(
  { store }: Pick<Parts, 'store'>,
  exchange: Exchange,
): Running | undefined {
  if (exchange.setup === undefined) return undefined;
  const setup = setupSchema.parse(exchange.setup);
  return { exchange, setup, standing: standingOf(setup, store.exchanges.steps(exchange.id)) };
}

/**
 * Moves what the answers say and the books have not, and tells the bays what they hold by now.
 * While it is open no bay that was touched may be counted on.
 */
export function bookAnswers(parts: Pick<Parts, 'store' | 'config'>, exchange: Exchange): Standing {
  const { store, config } = parts;
  const standing = runningOf(parts, exchange)?.standing;
  assert(standing, 'nothing is answered before the exchange is set up');
  const plan = planOf(standing);
  const { reference, booked } = exchange;
  store.exchanges.book(
    exchange.id,
    bookDifference(store, config.currency, reference, plan, booked),
  );
  const steps = store.exchanges.steps(exchange.id);
  noteSealed(store, steps);
  const touched = touchedBays(steps);
  for (const bay of standing.bays) {
    if (!touched.has(bay.before.position)) continue;
    const unit = unitDuring(bay, config.currency, store.cashUnits.get(bay.before.position));
    if (unit) store.cashUnits.put(unit);
  }
  return standing;
}

/** A bay while hands are on it; undefined for one that the books never knew. */
function unitDuring(
  bay: BayStanding,
  currency: string,
  held: CashUnit | undefined,
): CashUnit | undefined {
  const { before, choice } = bay;
  const { position } = before;
  const isOpened = choice === 'count' || choice === 'seal';
  const value = isOpened && bay.count !== null ? bay.value : before.value;
  if (value === null) return held && { ...held, accuracy: 'unknown' };
  const { accuracy } = before;
  // What hands have put in is known on site; a device that measures notes is told of it now.
  const parked = before.parked && !(isOpened && bay.count !== null);
  return {
    ...(held ?? {}),
    ...{ position, currency, value, parked },
    accuracy: isOpened || held === undefined ? 'unknown' : accuracy,
  };
}
