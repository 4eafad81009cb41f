/** What a cassette document does to the books (design 10). Runs inside the caller's commit. */
import type { UnitNotes } from '#hal/cash-dispenser.ts';
import type { Position } from '#protocol/base/ids.ts';
import { minorOfDenomination } from '#protocol/base/money.ts';
import type { BayStatement, CassettesDocument } from '#protocol/documents/cassettes.ts';
import type { Accuracy, CashUnit } from '#state/cash-units.ts';
import type { JsonObject } from '#state/json.ts';
import { bayAccount } from '#state/note-ledger.ts';
import type { Store } from '#state/store.ts';
import { BOOK_SHORT } from '../cash-out/dispense-batch.ts';
import type { Config } from '../config.ts';
import { doubtedAtUnixMs } from '../exchange/doubt.ts';
import { type AsOf, isWrittenAfter } from './as-of.ts';

/** Cause of every movement that a document makes; such movements are no notes that moved. */
const OPERATOR_DOCUMENT = 'operatorDocument';

/** A document to be applied, with the moment that its counts are about. */
export interface CassettesStatement extends AsOf {
  readonly document: CassettesDocument;
}

/** How a bay may change from afar, and what it counts in. */
export interface CassettesRules {
  readonly currency: string;
  readonly cassettes: Config['cassettes'];
}

/** Most movements read at a time. */
const PAGE = 1_000;

/** What the machine's hardware can take. */
export interface BaysOfMachine {
  readonly positions: readonly Position[];
  readonly config: { readonly currency: string };
  holds?(notes: UnitNotes): boolean;
}

/** Why a document is not for this machine, in words; undefined when it is. */
export function cassettesRefusal(
  document: CassettesDocument,
  { positions, config: { currency }, holds }: BaysOfMachine,
): string | undefined {
  const strange = document.bays.filter(({ position }) => !positions.includes(position));
  if (strange.length > 0) {
    const named = strange.map(({ position }) => position).join(', ');
    return `position ${named} is not in this machine, which has ${positions.join(', ')}`;
  }
  const unfit = document.bays.find(({ position, denomination }) => {
    return (
      holds?.({ position, currency, value: minorOfDenomination(denomination, currency) }) === false
    );
  });
  if (!unfit) return undefined;
  const { denomination, position } = unfit;
  return `the dispenser cannot hold notes of ${denomination} ${currency} in position ${position}`;
}

/** True when two documents state the same bays: a republication, which moves nothing. */
export function isSameStatement(a: CassettesDocument, b: CassettesDocument): boolean {
  return JSON.stringify(a.bays) === JSON.stringify(b.bays);
}

/**
 * Makes the books say what the document says, bay by bay, each difference a movement to or from
 * `unaccounted`. Bays that it does not name keep their state. Returns what was done, for the
 * journal. @throws StoreError
 */
export function applyCassettes(
  store: Store,
  statement: CassettesStatement,
  rules: CassettesRules,
): JsonObject[] {
  const isEmptyMachine = store.cashUnits.list().length === 0;
  return statement.document.bays.map((bay) =>
    applyBay(store, bay, { ...statement, ...rules, isEmptyMachine }),
  );
}

type Terms = CassettesStatement & CassettesRules & { readonly isEmptyMachine: boolean };

function applyBay(store: Store, bay: BayStatement, terms: Terms): JsonObject {
  const { position } = bay;
  const held = store.cashUnits.get(position);
  const { countedAtUnixMs } = held ?? {};
  if (countedAtUnixMs !== undefined && isWrittenAfter(terms, countedAtUnixMs)) {
    return { position, result: 'ignored', why: 'counted by hand since' };
  }
  const { currency } = terms;
  const value = minorOfDenomination(bay.denomination, currency);
  const since = movedSince(store, position, terms);
  // More handed out since than it says there were: the document is wrong, and so is any count.
  const target = Math.max(0, bay.count + since.sum);
  const before = held === undefined ? 0 : store.ledger.count(bayAccount(position), held.value);
  const isChanged = held !== undefined && (held.value !== value || held.currency !== currency);
  const isRaised = !terms.isEmptyMachine && !isChanged && target > before;
  const { changedDenomination, raisedCount } = terms.cassettes;
  const parks =
    (isChanged && changedDenomination === 'park') || (isRaised && raisedCount === 'park');
  correct(store, position, { currency, value, target });
  const isContradicted = bay.count + since.sum < 0;
  // Without a clock, notes that moved may have moved before or after the document was written.
  const isDoubtful =
    isContradicted || (terms.timeKnownSinceUnixMs === undefined && since.hasHistory);
  const unit: CashUnit = {
    ...held,
    position,
    currency,
    value,
    parked: parks || held?.parked === true,
    accuracy: isDoubtful ? 'inaccurate' : accuracyOf(store, held, terms),
  };
  store.cashUnits.put(unit);
  const { parked, accuracy } = unit;
  return {
    position,
    result: 'applied',
    denomination: bay.denomination,
    stated: bay.count,
    movedSince: since.sum,
    before,
    after: target,
    parked,
    accuracy,
  };
}

/**
 * `set`, unless the bay came into doubt after the document was written: a dispense of which nobody
 * knows how it ended is on no side of the sum, and a restored state knows no counts (design 8).
 */
function accuracyOf(store: Store, held: CashUnit | undefined, terms: Terms): Accuracy {
  const wasSure = held === undefined || held.accuracy === 'accurate' || held.accuracy === 'set';
  if (wasSure) return 'set';
  const doubtedAt = doubtedAtUnixMs({ store }, held.position) ?? 0;
  if (isWrittenAfter(terms, doubtedAt)) return held.accuracy;
  const isLaterDoubt = store.obligations
    .list()
    .some(
      ({ kind, createdAtUnixMs }) =>
        (kind === 'dispenseUnknown' || kind === 'restored') &&
        isWrittenAfter(terms, createdAtUnixMs),
    );
  return isLaterDoubt ? held.accuracy : 'set';
}

/**
 * Notes that moved into a bay less those that moved out of it after an instant, of whatever value
 * the books took them for. Corrections are no notes that moved: the newer document states anew what
 * they corrected.
 */
function movedSince(
  store: Store,
  position: Position,
  terms: Terms,
): { readonly sum: number; readonly hasHistory: boolean } {
  const account = bayAccount(position);
  let sum = 0;
  let hasHistory = false;
  let afterSeq = 0;
  for (;;) {
    const page = store.ledger.movements({ account, afterSeq, limit: PAGE });
    for (const { atUnixMs, cause, to, count } of page) {
      if (cause === OPERATOR_DOCUMENT || cause === BOOK_SHORT) continue;
      hasHistory = true;
      if (isWrittenAfter(terms, atUnixMs)) sum += to === account ? count : -count;
    }
    afterSeq = page.at(-1)?.seq ?? afterSeq;
    if (page.length < PAGE) return { sum, hasHistory };
  }
}

/** Moves the difference, so that the bay holds `target` notes of one value and none of another. */
function correct(
  store: Store,
  position: Position,
  wanted: { readonly currency: string; readonly value: CashUnit['value']; readonly target: number },
): void {
  const { currency, value, target } = wanted;
  const bay = bayAccount(position);
  const cause = OPERATOR_DOCUMENT;
  let difference = target;
  for (const { count, ...note } of store.ledger.balance(bay)) {
    if (note.value === value && note.currency === currency) difference = target - count;
    else store.ledger.move({ ...note, count, from: bay, to: 'unaccounted', cause });
  }
  if (difference > 0) {
    const move = { from: 'unaccounted', to: bay, currency, value, cause } as const;
    store.ledger.move({ ...move, count: difference });
  } else if (difference < 0) {
    const move = { from: bay, to: 'unaccounted', currency, value, cause } as const;
    store.ledger.move({ ...move, count: -difference });
  }
}
