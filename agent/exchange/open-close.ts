/** The two ends of an exchange: what is expected is written down, and what was found holds. */
import assert from 'node:assert';
import { type Position, position } from '#protocol/base/ids.ts';
import type { Exchange } from '#state/exchanges.ts';
import type { Account } from '#state/note-ledger.ts';
import type { Technician } from '#state/technicians.ts';
import type { VisitRecord } from '#state/visit-records.ts';
import type { Parts } from '../parts.ts';
import type { Running } from './books.ts';
import { isSwapped, settleCassettes } from './cassettes.ts';
import { noteDoubt } from './doubt.ts';
import { appendRecord, exchangeBody, expectedHash, technicianOf } from './record.ts';
import {
  type BayBefore,
  type BayStanding,
  type BoxStanding,
  differencesOf,
  touchedBays,
} from './standing.ts';

/** Accounts that a visit may open. */
const isPlace = (account: Account): boolean =>
  account === 'cashbox' || account === 'reject' || account.startsWith('bay:');

/** Writes down what every place should hold, once the machine has come to rest. */
export function setUpExchange(parts: Parts, exchange: Exchange): void {
  const { store, dispenser } = parts;
  const technician = technicianOf(store, exchange.technicianId);
  const expected = new Map<string, { value: number; count: number }[]>();
  for (const { account, value, count } of store.ledger.balances()) {
    if (!isPlace(account)) continue;
    expected.set(account, [...(expected.get(account) ?? []), { value, count }]);
  }
  const setup = {
    bays: positionsOf(parts).map((at): BayBefore => {
      const unit = store.cashUnits.get(at);
      const swapped = isSwapped(parts, at);
      const nothing = { value: null, parked: false, accuracy: 'unknown' } as const;
      const { value, parked, accuracy } = unit ?? nothing;
      return { position: at, value, parked, accuracy, swapped };
    }),
    collects: technician.permissions.includes('collect'),
    testTo: dispenser.capabilities.rejectTrayTest ? 'reject' : 'slot',
    expected: [...expected].map(([account, piles]) => ({ account, piles })),
  };
  store.commit(() => {
    store.exchanges.setUp(exchange.id, { ...setup, bays: setup.bays.map((bay) => ({ ...bay })) });
    const kept = store.exchanges.get(exchange.id)?.setup;
    assert(kept, 'it was set up just now');
    const { reference } = exchange;
    store.journal.append('exchange.setUp', { reference, expectedHash: expectedHash(kept) });
  });
}

function positionsOf({ store, dispenser }: Parts): Position[] {
  const known = store.cashUnits.list().map((unit) => unit.position);
  const all = new Set<number>([...dispenser.capabilities.positions, ...known]);
  return [...all].sort((one, other) => one - other).map(position);
}

/** How and by whom an exchange ends. */
export interface ExchangeEnd {
  readonly exchange: Exchange;
  readonly running: Running | undefined;
  readonly technician: Technician;
  readonly outcome: 'closed' | 'abandoned';
  /** Why it was abandoned. */
  readonly reason: string | null;
}

/** Ends it in one commit: counts, bays, record, journal. */
export function endExchange(parts: Parts, end: ExchangeEnd): VisitRecord {
  const { store, clock, config } = parts;
  const { exchange, running, technician, outcome, reason } = end;
  const { id, reference } = exchange;
  const atUnixMs = clock.now();
  return store.commit(() => {
    if (running) {
      keepCounts(parts, end, running);
      if (outcome === 'closed') settleBays(parts, running, atUnixMs);
      else doubtTouched(parts, exchange, running);
      settleCassettes(parts, countedBays(running, outcome));
    }
    store.exchanges.end(id, outcome, atUnixMs);
    const { currency } = config;
    const body = exchangeBody(store, { exchange, outcome, reason, currency, running });
    const record = appendRecord(parts, { kind: 'exchange', reference, body });
    const { number, hash } = record;
    const by = { technician: technician.id, name: technician.name };
    const said = { reference, record: number, hash, reason, ...by };
    store.journal.append(`exchange.${outcome}`, said);
    return record;
  });
}

/** Every count by hand, over or short or not, stays as a row of its own. */
function keepCounts(parts: Parts, { exchange, technician }: ExchangeEnd, running: Running): void {
  const { bays, boxes } = running.standing;
  const keep = (one: BayStanding | BoxStanding, account: Account) => {
    const values = new Set([...one.expected, ...(one.counted ?? [])].map(({ value }) => value));
    if (one.counted === null) return;
    for (const value of values) {
      const expected = countOf(one.expected, value);
      const counted = countOf(one.counted, value);
      parts.store.cashCounts.insert({
        ...{ atUnixMs: parts.clock.now(), reference: exchange.reference, account, value },
        ...{ technicianId: technician.id, currency: parts.config.currency, expected, counted },
        note: one.note,
        ...reasonOf(one),
      });
    }
  };
  for (const bay of bays) keep(bay, `bay:${bay.before.position}`);
  for (const box of boxes) keep(box, box.place);
}

/** The bays, and whether hands have counted what stands there now. */
const countedBays = ({ standing }: Running, outcome: ExchangeEnd['outcome']) =>
  standing.bays.map(({ before, choice, value, count }) => {
    const isOpened = (choice === 'count' || choice === 'seal') && value !== null && count !== null;
    return { position: before.position, isCounted: outcome === 'closed' && isOpened };
  });

const countOf = (piles: BayStanding['expected'], value: number): number =>
  piles.filter((pile) => pile.value === value).reduce((sum, { count }) => sum + count, 0);

/** One that was abandoned before the reason was given is over or short all the same. */
function reasonOf(one: BayStanding | BoxStanding): { readonly reason?: string } {
  if (one.reason !== null) return { reason: one.reason };
  return differencesOf(one).length > 0 ? { reason: 'unexplained' } : {};
}

/** What was counted and put in is what is there. */
function settleBays({ store, config }: Parts, { standing }: Running, atUnixMs: number): void {
  const { currency } = config;
  for (const bay of standing.bays) {
    const { before, choice, value, count } = bay;
    const unit = store.cashUnits.get(before.position);
    if (choice === 'confirm' && unit) store.cashUnits.put({ ...unit, parked: false });
    if ((choice !== 'count' && choice !== 'seal') || value === null || count === null) continue;
    const isInDoubt = standing.tests.some(
      (test) => test.position === before.position && test.class === 'unknown',
    );
    const accuracy = isInDoubt ? 'inaccurate' : 'accurate';
    const filled = { position: before.position, currency, value, parked: false, accuracy } as const;
    store.cashUnits.put({ ...filled, countedAtUnixMs: atUnixMs });
  }
}

/**
 * Nobody knows what is in a bay that was opened, and not filled to the end. What kept it closed
 * before, such as another cassette in it, was not put right either.
 */
function doubtTouched(parts: Parts, { id }: Exchange, { setup }: Running): void {
  const { store } = parts;
  for (const at of touchedBays(store.exchanges.steps(id))) {
    const unit = store.cashUnits.get(at);
    const wasParked = setup.bays.some(({ position: bay, parked }) => bay === at && parked);
    const parked = unit?.parked === true || wasParked;
    if (unit) store.cashUnits.put({ ...unit, parked, accuracy: 'unknown' });
    noteDoubt(parts, at);
  }
}
