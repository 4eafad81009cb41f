/** Questions as they are asked, answers as they are checked. Says nothing of what is expected. */
import assert from 'node:assert';
import type { UnitNotes } from '#hal/cash-dispenser.ts';
import type { Position } from '#protocol/base/ids.ts';
import { denominationsOf, type MinorUnits } from '#protocol/base/money.ts';
import type { JsonObject } from '#state/json.ts';
import { type Account, account, bagAccount } from '#state/note-ledger.ts';
import {
  type ExchangeAnswer,
  type ExchangeBay,
  type ExchangeBox,
  type ExchangeQuestion,
  type ExchangeView,
  NOTES_MAX,
  overShortReasons,
} from '../api/visit-schemas.ts';
import type { Parts } from '../parts.ts';
import { waitingBags } from './bag-list.ts';
import { withoutBooked } from './bookings.ts';
import type { Running } from './books.ts';
import { isAnother } from './cassettes.ts';
import { faceOf, faceValue, sumOf } from './faces.ts';
import { Refusal } from './refusal.ts';
import {
  type Asked,
  type BayStanding,
  type BoxStanding,
  differencesOf,
  type Pile,
  placeOf,
} from './standing.ts';
import { UNATTENDED } from './unattended.ts';

/** Most notes of one bay: above the largest cassettes sold, which take 3,000. */
const BAY_NOTES_MAX = 3_000;

const pilesFor = (piles: readonly Pile[], currency: string) =>
  piles.map(({ value, count }) => ({ denomination: faceOf(value, currency), count }));

const differencesFor = (one: BayStanding | BoxStanding, currency: string) =>
  differencesOf(one).map(({ value, count }) => ({
    denomination: faceOf(value, currency),
    difference: count,
  }));

/** Faces of all notes that this machine may meet: those of its bays and of its validator. */
function facesOf({ store, acceptor, config }: Parts): number[] {
  const { currency } = config;
  const values = [
    ...store.cashUnits.list().map(({ value }) => value),
    ...acceptor.values(),
    ...store.ledger.balances().map(({ value }) => value),
  ];
  return [...new Set(denominationsOf(values, currency))].sort((one, other) => one - other);
}

const bayAt = ({ standing }: Running, position: number): BayStanding => {
  const bay = standing.bays.find(({ before }) => before.position === position);
  assert(bay, 'what is asked about is a bay of this exchange');
  return bay;
};

const faceOrNull = (value: MinorUnits | null, currency: string): number | null =>
  value === null ? null : faceOf(value, currency);

function bayQuestion(
  running: Running,
  at: number,
  choices: Extract<ExchangeQuestion, { kind: 'bay' }>['choices'],
  currency: string,
): ExchangeQuestion {
  const { position, value, parked, accuracy, swapped } = bayAt(running, at).before;
  const denomination = faceOrNull(value, currency);
  return { kind: 'bay', position, denomination, parked, swapped, accuracy, choices };
}

/** The question with all that a person needs to answer it, and no more. */
export function questionView(parts: Parts, running: Running, mayTest: boolean): ExchangeQuestion {
  const { currency } = parts.config;
  const { asks } = running.standing;
  switch (asks.kind) {
    case 'bay':
      return bayQuestion(running, asks.position, choicesOf(running, asks), currency);
    case 'bayCount': {
      const denomination = faceOf(given(bayAt(running, asks.position).before.value), currency);
      return { ...asks, denomination, countMax: BAY_NOTES_MAX };
    }
    case 'denomination': {
      const current = faceOrNull(bayAt(running, asks.position).before.value, currency);
      const suggested = facesOf(parts).filter((face) => isHeld(parts, asks.position, face));
      return { ...asks, current, suggested };
    }
    case 'load': {
      const denomination = faceOf(given(bayAt(running, asks.position).value), currency);
      return { ...asks, denomination, countMax: BAY_NOTES_MAX };
    }
    case 'test': {
      const { value, test } = bayAt(running, asks.position);
      const last = test === 'none' || test === 'unknown' ? test : null;
      const denomination = faceOf(given(value), currency);
      return { ...asks, denomination, to: running.setup.testTo, permitted: mayTest, last };
    }
    case 'reason': {
      const differences = differencesFor(placeAt(running, asks.place), currency);
      return { ...asks, differences, reasons: [...overShortReasons] };
    }
    case 'box':
      return { ...asks, choices: choicesOf(running, asks) };
    case 'boxCount':
      return { ...asks, denominations: facesOf(parts), countMax: NOTES_MAX };
    case 'seal':
      return asks;
    default:
      return { kind: 'close' };
  }
}

function given<Value>(value: Value | null): Value {
  assert(value !== null, 'what is asked about was said before');
  return value;
}

function placeAt({ standing }: Running, place: string): BayStanding | BoxStanding {
  const box = standing.boxes.find((one) => one.place === place);
  const found = box ?? standing.bays.find(({ before }) => `bay:${before.position}` === place);
  assert(found, 'what is asked about is a place of this exchange');
  return found;
}

function choicesOf(running: Running, asks: Asked): ('leave' | 'count' | 'seal' | 'confirm')[] {
  if (asks.kind !== 'bay') return ['leave', 'count', 'seal'];
  const { value, parked, swapped } = bayAt(running, asks.position).before;
  if (value === null) return ['leave', 'count'];
  // What another cassette holds is in no book that could be confirmed.
  return ['leave', 'count', 'seal', ...(parked && !swapped ? (['confirm'] as const) : [])];
}

/** Whether the dispenser can hand out such notes from this bay. */
function isHeld({ dispenser, config }: Parts, position: Position, face: number): boolean {
  const { currency } = config;
  const notes: UnitNotes = { position, currency, value: faceValue(face, currency) };
  const isThere = dispenser.capabilities.positions.includes(position);
  return isThere && (dispenser.holds?.(notes) ?? true);
}

/**
 * Checks an answer against what is asked, and tells what the books say at this moment.
 * @throws Refusal
 */
export function factsOf(parts: Parts, running: Running, answer: ExchangeAnswer): JsonObject {
  const { asks } = running.standing;
  if (asks.kind !== answer.kind) {
    const words = `The exchange asks "${asks.kind}" now, and not "${answer.kind}".`;
    throw new Refusal('usage', 'wrongKind', words, { asked: asks.kind, given: answer.kind });
  }
  switch (answer.kind) {
    case 'bay':
    case 'box':
      if (!choicesOf(running, asks).includes(answer.choice)) throw notAChoice(answer.choice);
      return {};
    case 'bayCount':
      assertAtMost(answer.count, BAY_NOTES_MAX);
      return { ...expectedAt(parts, running, asks), value: bayValue(running, asks) };
    case 'seal':
      assertNewSeal(parts, running, answer.seal);
      return expectedAt(parts, running, asks);
    case 'boxCount':
      return { ...expectedAt(parts, running, asks), counted: pilesOf(parts, answer.counts) };
    case 'reason':
      assertNote(answer.reason, answer.note);
      return {};
    case 'denomination':
      assertHeld(parts, asks, answer.denomination);
      return { value: faceValue(answer.denomination, parts.config.currency) };
    case 'load':
      assertAtMost(answer.count, BAY_NOTES_MAX);
      assertNotFewerThanTested(running, asks, answer.count);
      return {};
    case 'test':
      return { value: given(bayAt(running, positionIn(asks)).value) };
  }
}

function positionIn(asks: Asked): Position {
  assert('position' in asks, 'it is asked about a bay');
  return asks.position;
}

const bayValue = (running: Running, asks: Asked): MinorUnits =>
  given(bayAt(running, positionIn(asks)).before.value);

const notAChoice = (choice: string) =>
  new Refusal('usage', 'notAChoice', `"${choice}" cannot be chosen here.`, { choice });

function assertAtMost(count: number, max: number): void {
  if (count <= max) return;
  throw new Refusal('usage', 'tooMany', `At most ${max} notes are possible there.`, { max });
}

/** `other` says nothing by itself. @throws Refusal `noteNeeded` */
export function assertNote(reason: string, note: string): void {
  if (reason !== 'other' || note !== '') return;
  throw new Refusal('usage', 'noteNeeded', 'Say in your own words what happened.');
}

function assertNotFewerThanTested({ standing }: Running, asks: Asked, count: number): void {
  const tested = standing.tests
    .filter((test) => test.position === positionIn(asks))
    .reduce((sum, { presented, rejected }) => sum + presented + rejected, 0);
  if (count >= tested) return;
  const words = `${tested} test notes came out of it already: say what was put in before the test.`;
  throw new Refusal('usage', 'fewerThanTested', words, { tested });
}

function assertHeld(parts: Parts, asks: Asked, denomination: number): void {
  const position = positionIn(asks);
  if (isHeld(parts, position, denomination)) return;
  const words = `This dispenser cannot hold notes of ${denomination} ${parts.config.currency}.`;
  throw new Refusal('usage', 'denominationNotHeld', words, { denomination, position });
}

function assertNewSeal({ store }: Parts, { standing }: Running, seal: string): void {
  const isOurs = [...standing.bays, ...standing.boxes].some((one) => one.seal === seal);
  const isWaiting = waitingBags(store).some((bag) => bag.seal === seal);
  const holds = isWaiting || store.ledger.balance(bagAccount(seal)).length > 0;
  if (!isOurs && !holds && !seal.startsWith(UNATTENDED)) return;
  throw new Refusal('usage', 'sealInUse', `Seal ${seal} is on another bag.`, { seal });
}

/** Notes by value from notes by face. @throws Refusal `denominationTwice` */
export function pilesOf(
  { config }: Pick<Parts, 'config'>,
  counts: readonly { readonly denomination: number; readonly count: number }[],
): Pile[] {
  const twice = counts.find(({ denomination }, at) =>
    counts.slice(at + 1).some((other) => other.denomination === denomination),
  );
  if (twice) {
    const { denomination } = twice;
    const words = `Notes of ${denomination} are counted twice in this answer.`;
    throw new Refusal('usage', 'denominationTwice', words, { denomination });
  }
  return counts
    .filter(({ count }) => count > 0)
    .map(({ denomination, count }) => ({ value: faceValue(denomination, config.currency), count }));
}

/** What the place would hold by the books, were it not for this exchange. */
function expectedAt({ store }: Parts, { exchange }: Running, asks: Asked): JsonObject {
  const place: Account = account(placeOf(asks));
  return { expected: withoutBooked(store, exchange.booked, place).map((pile) => ({ ...pile })) };
}

/** What the places are told of once they were counted. */
export function placesView(
  parts: Pick<Parts, 'config' | 'store'>,
  running: Running | undefined,
): Pick<ExchangeView, 'bays' | 'boxes'> {
  const { currency } = parts.config;
  const { bays = [], boxes = [], tests = [] } = running?.standing ?? {};
  return {
    bays: bays.map((bay) => ({
      ...bayView(bay, currency, tests),
      // One that was closed for it, and is counted now, opens with what stands there.
      swapped: isAnother(parts, bay.before.position) && !(bay.before.swapped && bay.count !== null),
    })),
    boxes: boxes.map((box): ExchangeBox => {
      const { place, choice, seal } = box;
      return { place, choice, seal, counts: countsFor(box, currency), ...overShort(box, currency) };
    }),
  };
}

const countsFor = ({ counted }: BayStanding | BoxStanding, currency: string) =>
  counted === null ? null : pilesFor(counted, currency);

const overShort = (one: BayStanding | BoxStanding, currency: string) => ({
  differences: one.counted === null ? null : differencesFor(one, currency),
  reason: one.reason,
  note: one.note,
});

function bayView(
  bay: BayStanding,
  currency: string,
  tests: Running['standing']['tests'],
): Omit<ExchangeBay, 'swapped'> {
  const { before, choice, counted, seal, count, test } = bay;
  const { position } = before;
  const denomination = faceOrNull(bay.value, currency);
  return {
    ...{ position, choice, seal, denomination, count, test },
    denominationOut: faceOrNull(before.value, currency),
    countOut: counted?.reduce((sum, pile) => sum + pile.count, 0) ?? null,
    ...overShort(bay, currency),
    sumMinor: denomination === null || count === null ? null : sumOf(denomination, count, currency),
    testNotes: tests
      .filter((one) => one.position === position)
      .reduce((sum, { presented, rejected }) => sum + presented + rejected, 0),
  };
}
