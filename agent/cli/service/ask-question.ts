/** Each question of an exchange, put to a person: what is shown, and what may be answered. */
import type { ExchangeAnswer, ExchangeQuestion, ExchangeView } from '../../api/visit-schemas.ts';
import type { Speak } from '../../texts/technician.ts';
import type { Choice, Prompter } from './prompter.ts';
import { differenceWords, pilesWords, placeWords } from './words.ts';

/** What a person wants: an answer, or something about the exchange itself. */
export type Wish =
  | { readonly kind: 'answer'; readonly answer: ExchangeAnswer }
  | { readonly kind: 'undo' | 'abandon' | 'close' };

/** Who is asked, in which language. */
export interface Asking {
  readonly prompter: Prompter;
  readonly speak: Speak;
}

type Question<Kind extends ExchangeQuestion['kind']> = Extract<ExchangeQuestion, { kind: Kind }>;
type Box = Extract<ExchangeAnswer, { kind: 'boxCount' }>['counts'];

const UNDO = { kind: 'undo' } as const;
const ABANDON = { kind: 'abandon' } as const;
const given = (answer: ExchangeAnswer): Wish => ({ kind: 'answer', answer });

/** Asks what the exchange asks. Rejects with `Stopped` at Ctrl-C. */
export function askQuestion(asking: Asking, view: ExchangeView): Promise<Wish> {
  const { asks } = view;
  switch (asks?.kind) {
    case 'bay':
      return askBay(asking, view, asks);
    case 'bayCount':
      return askBayCount(asking, view, asks);
    case 'reason':
      return askReason(asking, view, asks);
    case 'seal':
      return askSeal(asking, view, asks);
    case 'denomination':
      return askDenomination(asking, view, asks);
    case 'load':
      return askLoad(asking, view, asks);
    case 'box':
      return askBox(asking, view, asks);
    case 'boxCount':
      return askBoxCount(asking, view, asks);
    case 'test':
      return askTest(asking, view, asks);
    default:
      return askClose(asking, view);
  }
}

/** A choice between answers, and what can be done about the exchange. */
async function choose<Value extends string>(
  { prompter, speak }: Asking,
  { canUndo }: ExchangeView,
  message: string,
  choices: readonly Choice<Value>[],
): Promise<Value | 'undo' | 'abandon'> {
  const undo = canUndo ? [{ value: 'undo' as const, label: speak('flow.undo') }] : [];
  const abandon = { value: 'abandon' as const, label: speak('flow.abandon') };
  return prompter.choose<Value | 'undo' | 'abandon'>(message, [...choices, ...undo, abandon]);
}

const isWish = (chosen: string): chosen is 'undo' | 'abandon' =>
  chosen === 'undo' || chosen === 'abandon';

/** A line of text; `u` and `a` are about the exchange. */
async function type(
  { prompter, speak }: Asking,
  message: string,
  judge: (typed: string) => string | undefined,
): Promise<string | 'undo' | 'abandon'> {
  const typed = await prompter.type(message, {
    hint: speak('flow.keys'),
    judge: (text) => (/^[ua]$/i.test(text) ? undefined : judge(text)),
  });
  if (/^u$/i.test(typed)) return 'undo';
  return /^a$/i.test(typed) ? 'abandon' : typed;
}

/** A count from 0 to `max`; where it may be left `empty` that means none. */
async function typeCount(
  asking: Asking,
  message: string,
  max: number,
  mayBeEmpty = false,
): Promise<number | 'undo' | 'abandon'> {
  const typed = await type(asking, message, (text) => {
    const isCount = /^\d{1,9}$/.test(text) ? Number(text) <= max : false;
    if (isCount || (text === '' && mayBeEmpty)) return undefined;
    return asking.speak('flow.notANumber', { max });
  });
  return isWish(typed) ? typed : Number(typed);
}

const heldKey = ({ parked, swapped }: Question<'bay'>) => {
  if (swapped) return 'bay.swapped';
  return parked ? 'bay.parked' : 'bay.notes';
};

async function askBay(asking: Asking, view: ExchangeView, asks: Question<'bay'>): Promise<Wish> {
  const { speak } = asking;
  const { position, denomination, choices } = asks;
  const values = { position, denomination: denomination ?? 0, currency: view.currency };
  const notes = denomination === null ? speak('bay.empty') : speak(heldKey(asks), values);
  const options = choices.map((value) => ({ value, label: speak(`bay.${value}`, values) }));
  const chosen = await choose(asking, view, speak('bay.ask', { position, notes }), options);
  return isWish(chosen) ? { kind: chosen } : given({ kind: 'bay', choice: chosen });
}

async function askBayCount(
  asking: Asking,
  { currency }: ExchangeView,
  { position, denomination, countMax }: Question<'bayCount'>,
): Promise<Wish> {
  const message = asking.speak('bayCount.ask', { position, denomination, currency });
  const count = await typeCount(asking, message, countMax);
  return typeof count === 'string' ? { kind: count } : given({ kind: 'bayCount', count });
}

async function askReason(
  asking: Asking,
  view: ExchangeView,
  { place, differences, reasons }: Question<'reason'>,
): Promise<Wish> {
  const { speak } = asking;
  const found = differenceWords(speak, differences);
  const message = speak('reason.ask', { place: placeWords(speak, place), differences: found });
  const choices = reasons.map((value) => ({ value, label: speak(`reason.${value}`) }));
  const mistyped = { value: 'undo' as const, label: speak('reason.mistyped') };
  const reason = await choose(asking, { ...view, canUndo: false }, message, [mistyped, ...choices]);
  if (isWish(reason)) return { kind: reason };
  const note = await typeNote(asking, reason === 'other');
  return given({ kind: 'reason', reason, note });
}

/** The person's own words for a difference. */
export function typeNote({ prompter, speak }: Asking, needed: boolean): Promise<string> {
  const judge = (text: string) =>
    needed && text === '' ? speak('why.noteNeeded') : tooLong(text, speak);
  return prompter.type(speak(needed ? 'reason.noteNeeded' : 'reason.note'), { judge });
}

const NOTE_CHARACTERS_MAX = 200;
const tooLong = (text: string, speak: Speak) =>
  text.length > NOTE_CHARACTERS_MAX ? speak('why.malformed') : undefined;

async function askSeal(
  asking: Asking,
  _view: ExchangeView,
  { place }: Question<'seal'>,
): Promise<Wish> {
  const { prompter, speak } = asking;
  const message = speak('seal.ask', { place: placeWords(speak, place) });
  const judge = (text: string) =>
    text === '' || /^[\w./-]{1,40}$/.test(text) ? undefined : speak('seal.wrong');
  // A seal may be called u or a, so that Enter alone takes back here.
  const seal = await prompter.type(message, { judge, hint: speak('seal.keys') });
  return seal === '' ? UNDO : given({ kind: 'seal', seal });
}

async function askDenomination(
  asking: Asking,
  view: ExchangeView,
  { position, current, suggested }: Question<'denomination'>,
): Promise<Wish> {
  const { speak } = asking;
  const { currency } = view;
  const faces = [...new Set([...(current === null ? [] : [current]), ...suggested])];
  const choices = faces.map((denomination) => ({
    value: String(denomination),
    label: speak(denomination === current ? 'denomination.current' : 'denomination.one', {
      denomination,
      currency,
    }),
  }));
  const other = { value: 'other', label: speak('denomination.other') };
  const message = speak('denomination.ask', { position });
  const chosen = await choose(asking, view, message, [...choices, other]);
  if (isWish(chosen)) return { kind: chosen };
  if (chosen !== 'other') return given({ kind: 'denomination', denomination: Number(chosen) });
  const which = await typeFace(asking, speak('denomination.which', { position, currency }));
  return typeof which === 'string'
    ? { kind: which }
    : given({ kind: 'denomination', denomination: which });
}

/** Largest face value there is to type. */
const FACE_MAX = 1_000_000;

async function typeFace(asking: Asking, message: string): Promise<number | 'undo' | 'abandon'> {
  const typed = await type(asking, message, (text) =>
    /^[1-9]\d{0,6}$/.test(text) && Number(text) <= FACE_MAX
      ? undefined
      : asking.speak('flow.notANumber', { max: FACE_MAX }),
  );
  return isWish(typed) ? typed : Number(typed);
}

async function askLoad(
  asking: Asking,
  { currency }: ExchangeView,
  { position, denomination, countMax: max }: Question<'load'>,
): Promise<Wish> {
  const message = asking.speak('load.ask', { position, denomination, currency, max });
  const count = await typeCount(asking, message, max);
  return typeof count === 'string' ? { kind: count } : given({ kind: 'load', count });
}

async function askBox(
  asking: Asking,
  view: ExchangeView,
  { place, choices }: Question<'box'>,
): Promise<Wish> {
  const { speak } = asking;
  // A box is never parked, so that there is nothing to confirm.
  const options = choices.flatMap((value) =>
    value === 'confirm' ? [] : [{ value, label: speak(`box.${value}`) }],
  );
  const message = speak('box.ask', { place: placeWords(speak, place) });
  const chosen = await choose(asking, view, message, options);
  return isWish(chosen) ? { kind: chosen } : given({ kind: 'box', choice: chosen });
}

async function askBoxCount(
  asking: Asking,
  view: ExchangeView,
  { place, denominations, countMax }: Question<'boxCount'>,
): Promise<Wish> {
  const where = placeWords(asking.speak, place);
  const counts = await typePiles(asking, { where, denominations, countMax, ...view });
  return typeof counts === 'string' ? { kind: counts } : given({ kind: 'boxCount', counts });
}

/** What is counted, note by note. */
export interface Piles {
  /** Its name, as it is asked. */
  readonly where: string;
  readonly denominations: readonly number[];
  readonly countMax: number;
  readonly currency: string;
}

/** Counts of every denomination, one after the other; looked at as a whole before they count. */
export async function typePiles(
  asking: Asking,
  { where, denominations, countMax, currency }: Piles,
): Promise<Box | 'undo' | 'abandon'> {
  const { prompter, speak } = asking;
  const faces = [...denominations];
  const counts = new Map<number, number>();
  for (;;) {
    const next = faces.find((face) => !counts.has(face));
    if (next !== undefined) {
      const values = { place: where, denomination: next, currency };
      const count = await typeCount(asking, speak('boxCount.one', values), countMax, true);
      if (count === 'abandon') return count;
      if (count !== 'undo') counts.set(next, count);
      else if (counts.size === 0) return count;
      else for (const last of [...counts.keys()].slice(-1)) counts.delete(last);
      continue;
    }
    const piles = [...counts].map(([denomination, count]) => ({ denomination, count }));
    const message = speak('boxCount.sum', { place: where, piles: pilesWords(speak, piles) });
    const chosen = await prompter.choose(
      message,
      (['yes', 'other', 'again'] as const).map((value) => ({
        value,
        label: speak(`boxCount.${value}`),
      })),
    );
    if (chosen === 'yes') return piles.filter(({ count }) => count > 0);
    if (chosen === 'again') counts.clear();
    else {
      const face = await typeFace(asking, speak('boxCount.which', { currency }));
      if (typeof face === 'number' && !faces.includes(face)) faces.push(face);
    }
  }
}

async function askTest(
  asking: Asking,
  view: ExchangeView,
  { position, denomination, to, permitted, last }: Question<'test'>,
): Promise<Wish> {
  const { speak } = asking;
  const values = { position, denomination, currency: view.currency };
  const message = speak(last === null ? 'test.ask' : 'test.askAgain', values);
  const run = { value: 'run' as const, label: speak(`test.run.${to}`) };
  const skip = { value: 'skip' as const, label: speak('test.without') };
  const chosen = await choose(asking, view, message, permitted ? [run, skip] : [skip]);
  return isWish(chosen) ? { kind: chosen } : given({ kind: 'test', choice: chosen });
}

async function askClose(asking: Asking, view: ExchangeView): Promise<Wish> {
  const { speak } = asking;
  const close = { value: 'close' as const, label: speak('close.close') };
  const chosen = await choose(asking, view, speak('close.ask'), [close]);
  return chosen === 'abandon' ? ABANDON : { kind: chosen };
}
