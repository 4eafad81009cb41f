/**
 * How an exchange stands, told from its answers alone, and what it asks next. Pure: the rows are
 * the memory, so that a power cut, another line or another person goes on where it was.
 */
import assert from 'node:assert';
import { z } from 'zod';
import { type Position, position } from '#protocol/base/ids.ts';
import { type MinorUnits, minorUnits } from '#protocol/base/money.ts';
import type { ExchangeStep } from '#state/exchanges.ts';
import { type ExchangeAnswer, exchangeAnswer, type overShortReason } from '../api/visit-schemas.ts';

const value = z.int().positive().transform(minorUnits);
const pile = z.object({ value, count: z.int() });

/** Notes of one value. */
export type Pile = z.output<typeof pile>;

/** A bay as the books had it when the machine had come to rest. */
const bayBefore = z.object({
  position: z.int().transform(position),
  value: value.nullable(),
  parked: z.boolean(),
  accuracy: z.enum(['accurate', 'set', 'inaccurate', 'unknown']),
  /** Closed because another cassette stands there: what it holds has to be counted. */
  swapped: z.boolean().default(false),
});
export type BayBefore = z.output<typeof bayBefore>;

/** What is known at the start; written once. */
export const setupSchema = z.object({
  bays: z.array(bayBefore),
  /** Whether cash box and reject tray are asked about. */
  collects: z.boolean(),
  /** Where test notes go. */
  testTo: z.enum(['reject', 'slot']),
  expected: z.array(z.object({ account: z.string(), piles: z.array(pile) })),
});
export type Setup = z.output<typeof setupSchema>;

/** The two boxes that are no bays. */
export type BoxPlace = 'cashbox' | 'reject';

/** What is asked, without its trimmings. */
const asked = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('bay'), position: z.int().transform(position) }),
  z.object({ kind: z.literal('bayCount'), position: z.int().transform(position) }),
  z.object({ kind: z.literal('denomination'), position: z.int().transform(position) }),
  z.object({ kind: z.literal('load'), position: z.int().transform(position) }),
  z.object({ kind: z.literal('test'), position: z.int().transform(position) }),
  z.object({ kind: z.literal('reason'), place: z.string() }),
  z.object({ kind: z.literal('seal'), place: z.string() }),
  z.object({ kind: z.literal('box'), place: z.enum(['cashbox', 'reject']) }),
  z.object({ kind: z.literal('boxCount'), place: z.enum(['cashbox', 'reject']) }),
  z.object({ kind: z.literal('close') }),
  z.object({ kind: z.literal('undo') }),
]);
export type Asked = z.output<typeof asked>;

/** What the books said when an answer was given; a wrong kind of answer has none of it. */
const expectedIn = ({ facts }: ExchangeStep) =>
  z.object({ expected: z.array(pile) }).parse(facts).expected;
const valueIn = ({ facts }: ExchangeStep) => z.object({ value }).parse(facts).value;
/** Values were made of denominations when the answer was given, by the currency of then. */
const countedIn = ({ facts }: ExchangeStep) =>
  z.object({ counted: z.array(pile) }).parse(facts).counted;

/** How a test dispense ended. `none`: it failed, and what moved is known. */
export const testOutcome = z.object({
  class: z.enum(['exact', 'none', 'unknown']),
  presented: z.int().nonnegative(),
  rejected: z.int().nonnegative(),
  evidence: z.string(),
});
export type TestOutcome = z.output<typeof testOutcome>;

/** One test dispense, also one whose answer was taken back: its notes have moved. */
export interface TestRun extends TestOutcome {
  readonly position: Position;
  /** What the bay was said to hold then. */
  readonly value: MinorUnits;
  readonly atUnixMs: number;
}

/** What was counted in one place. */
interface Counted {
  readonly choice: 'leave' | 'count' | 'seal' | 'confirm' | null;
  readonly seal: string | null;
  /** What the books expected at the moment of the count, or of the sealing. */
  readonly expected: readonly Pile[];
  readonly counted: readonly Pile[] | null;
  readonly reason: z.infer<typeof overShortReason> | null;
  readonly note: string;
}

/** A bay in the exchange. */
export interface BayStanding extends Counted {
  readonly before: BayBefore;
  /** What was put in. */
  readonly value: MinorUnits | null;
  readonly count: number | null;
  readonly test: TestOutcome['class'] | 'skipped' | null;
}

/** Cash box or reject tray in the exchange. */
export interface BoxStanding extends Counted {
  readonly place: BoxPlace;
}

/** The whole of it. */
export interface Standing {
  readonly bays: readonly BayStanding[];
  readonly boxes: readonly BoxStanding[];
  readonly tests: readonly TestRun[];
  /** A test dispense of which the end is not written yet. */
  readonly testing: { readonly step: number; readonly position: Position } | undefined;
  readonly asks: Asked;
  /** The answer that undo would take back. */
  readonly last: number | undefined;
  /** The number that the next answer has to carry. */
  readonly step: number;
}

const NOTHING: Counted = {
  ...{ choice: null, seal: null, expected: [], counted: null, reason: null, note: '' },
};

/** Reads what this program wrote. @throws ZodError for what it did not. */
const questionOf = (step: ExchangeStep): Asked => asked.parse(step.question);
const answerOf = (step: ExchangeStep): ExchangeAnswer => exchangeAnswer.parse(step.answer);

/** How an exchange stands after these steps. */
export function standingOf(setup: Setup, steps: readonly ExchangeStep[]): Standing {
  const bays = new Map<string, BayStanding>();
  for (const before of setup.bays) {
    const bay = { ...NOTHING, before, value: null, count: null, test: null };
    bays.set(`bay:${before.position}`, bay);
  }
  const boxes = new Map<string, BoxStanding>();
  if (setup.collects) {
    for (const place of ['cashbox', 'reject'] as const) boxes.set(place, { ...NOTHING, place });
  }
  const answers = steps.filter((step) => questionOf(step).kind !== 'undo');
  const standing = answers.filter((step) => step.undoneAtUnixMs === undefined);
  for (const step of standing) answered(step, bays, boxes);
  const last = standing.at(-1);
  const lists = { bays: [...bays.values()], boxes: [...boxes.values()] };
  return {
    ...lists,
    tests: answers.flatMap(testRunOf),
    testing: answers.flatMap(openTestOf)[0],
    asks: nextQuestion(lists.bays, lists.boxes),
    last: last?.ordinal,
    step: (steps.at(-1)?.ordinal ?? 0) + 1,
  };
}

function openTestOf(step: ExchangeStep): { step: number; position: Position }[] {
  const question = questionOf(step);
  const isOpen = step.answer.choice === 'run' && step.outcome === undefined;
  if (question.kind !== 'test' || !isOpen) return [];
  return [{ step: step.ordinal, position: question.position }];
}

function testRunOf(step: ExchangeStep): TestRun[] {
  const question = questionOf(step);
  if (question.kind !== 'test' || step.outcome === undefined) return [];
  const outcome = testOutcome.parse(step.outcome);
  const { position: at } = question;
  return [{ ...outcome, position: at, value: valueIn(step), atUnixMs: step.atUnixMs }];
}

/** Puts one answer in its place. */
function answered(
  step: ExchangeStep,
  bays: Map<string, BayStanding>,
  boxes: Map<string, BoxStanding>,
): void {
  const question = questionOf(step);
  const place = placeOf(question);
  const bay = bays.get(place);
  if (bay) bays.set(place, { ...bay, ...changeOf(step), ...bayChangeOf(step) });
  const box = boxes.get(place);
  if (box) boxes.set(place, { ...box, ...changeOf(step) });
}

/** The place that a question is about. */
export function placeOf(question: Asked): string {
  if ('position' in question) return `bay:${question.position}`;
  assert('place' in question, 'an answer is about a place');
  return question.place;
}

function changeOf(step: ExchangeStep): Partial<Counted> {
  const answer = answerOf(step);
  switch (answer.kind) {
    case 'bay':
    case 'box':
      return { choice: answer.choice };
    case 'seal':
      return { seal: answer.seal, expected: expectedIn(step) };
    case 'bayCount': {
      const counted = [{ value: valueIn(step), count: answer.count }];
      return { counted, expected: expectedIn(step) };
    }
    case 'boxCount':
      return { counted: countedIn(step), expected: expectedIn(step) };
    case 'reason':
      return { reason: answer.reason, note: answer.note };
    default:
      return {};
  }
}

function bayChangeOf(step: ExchangeStep): Partial<BayStanding> {
  const answer = answerOf(step);
  if (answer.kind === 'denomination') return { value: valueIn(step) };
  if (answer.kind === 'load') return { count: answer.count };
  if (answer.kind !== 'test') return {};
  if (answer.choice === 'skip') return { test: 'skipped' };
  return { test: step.outcome ? testOutcome.parse(step.outcome).class : null };
}

/** Counted less expected, of each value that differs. */
export function differencesOf({
  counted,
  expected,
}: Pick<Counted, 'counted' | 'expected'>): Pile[] {
  if (counted === null) return [];
  const values = new Set([...counted, ...expected].map((one) => one.value));
  const countOf = (piles: readonly Pile[], face: MinorUnits) =>
    piles.filter((one) => one.value === face).reduce((sum, one) => sum + one.count, 0);
  return [...values]
    .map((face) => ({ value: face, count: countOf(counted, face) - countOf(expected, face) }))
    .filter(({ count }) => count !== 0)
    .sort((one, other) => one.value - other.value);
}

function nextQuestion(bays: readonly BayStanding[], boxes: readonly BoxStanding[]): Asked {
  for (const bay of bays) {
    const question = nextOfBay(bay);
    if (question) return question;
  }
  for (const box of boxes) {
    const question = nextOfBox(box);
    if (question) return question;
  }
  const untested = bays.find(
    ({ count, test }) => (count ?? 0) > 0 && test !== 'exact' && test !== 'skipped',
  );
  if (untested) return { kind: 'test', position: untested.before.position };
  return { kind: 'close' };
}

function nextOfBay(bay: BayStanding): Asked | undefined {
  const { before, choice } = bay;
  const at = { position: before.position };
  const place = `bay:${before.position}`;
  if (choice === null) return { kind: 'bay', ...at };
  if (choice === 'leave' || choice === 'confirm') return undefined;
  if (choice === 'seal' && bay.seal === null) return { kind: 'seal', place };
  if (choice === 'count' && before.value !== null && bay.counted === null) {
    return { kind: 'bayCount', ...at };
  }
  if (differencesOf(bay).length > 0 && bay.reason === null) return { kind: 'reason', place };
  if (bay.value === null) return { kind: 'denomination', ...at };
  return bay.count === null ? { kind: 'load', ...at } : undefined;
}

function nextOfBox(box: BoxStanding): Asked | undefined {
  const { place, choice } = box;
  if (choice === null) return { kind: 'box', place };
  if (choice === 'seal') return box.seal === null ? { kind: 'seal', place } : undefined;
  if (choice !== 'count') return undefined;
  if (box.counted === null) return { kind: 'boxCount', place };
  const isUnexplained = differencesOf(box).length > 0 && box.reason === null;
  return isUnexplained ? { kind: 'reason', place } : undefined;
}

/** Bays that were opened, or may have been: also those of which the answer was taken back. */
export function touchedBays(steps: readonly ExchangeStep[]): ReadonlySet<Position> {
  const touched = new Set<Position>();
  for (const step of steps) {
    const question = questionOf(step);
    const { choice } = step.answer;
    const isOpened = question.kind === 'bay' && (choice === 'count' || choice === 'seal');
    const isTested = question.kind === 'test' && choice === 'run';
    if ((isOpened || isTested) && 'position' in question) touched.add(question.position);
  }
  return touched;
}

/** Counts that were given and taken back, for the record: a blind count is made once. */
export function takenBack(steps: readonly ExchangeStep[]): { place: string; piles: Pile[] }[] {
  return steps
    .filter(({ undoneAtUnixMs }) => undoneAtUnixMs !== undefined)
    .flatMap((step) => {
      const { counted } = changeOf(step);
      return counted ? [{ place: placeOf(questionOf(step)), piles: [...counted] }] : [];
    });
}
