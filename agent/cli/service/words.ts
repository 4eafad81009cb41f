/** Places, counts and differences as a technician reads them, and the summary of a visit. */

import QRCode from 'qrcode';
import type { ObligationView } from '../../api/schemas.ts';
import type {
  ExchangeBay,
  ExchangeBox,
  ExchangeView,
  RecordView,
  TotalsView,
} from '../../api/visit-schemas.ts';
import { formatMoney } from '../../format.ts';
import type { Speak } from '../../texts/technician.ts';
import { wrap } from '../format.ts';

interface Difference {
  readonly denomination: number;
  readonly difference: number;
}
interface Pile {
  readonly denomination: number;
  readonly count: number;
}

/** `bay:1`, `cashbox`, `reject`, or an account of the books. */
export function placeWords(speak: Speak, place: string): string {
  const [kind, name = ''] = place.split(':', 2);
  if (kind === 'bay') return speak('place.bay', { position: name });
  if (kind === 'bag') return speak('totals.bag', { seal: name });
  if (kind === 'cashbox' || kind === 'reject') return speak(`place.${kind}`);
  return place;
}

/** `3 notes of 20 short, 1 notes of 50 over`. */
export const differenceWords = (speak: Speak, differences: readonly Difference[]): string =>
  differences
    .filter(({ difference }) => difference !== 0)
    .map(({ denomination, difference }) =>
      speak(difference < 0 ? 'reason.short' : 'reason.over', {
        denomination,
        count: Math.abs(difference),
      }),
    )
    .join(', ');

/** `12 x 20, 3 x 50`. */
export function pilesWords(speak: Speak, piles: readonly Pile[]): string {
  const some = piles.filter(({ count }) => count !== 0);
  if (some.length === 0) return speak('boxCount.nothing');
  return some.map(({ denomination, count }) => `${count} x ${denomination}`).join(', ');
}

const signed = (count: number): string => (count > 0 ? `+${count}` : String(count));

/** Over and short in short: `-3`, or `20: -3, 50: +1` for several. */
function overShort({ differences }: Pick<ExchangeBay, 'differences'>): string {
  if (differences === null) return '';
  const found = differences.filter(({ difference }) => difference !== 0);
  const [only] = found;
  if (!only) return '0';
  if (found.length === 1) return signed(only.difference);
  return found.map((one) => `${one.denomination}: ${signed(one.difference)}`).join(', ');
}

function bayRow(speak: Speak, bay: ExchangeBay, currency: string): string[] {
  const { position, choice, countOut, denominationOut, denomination, count, sumMinor, test } = bay;
  const place = placeWords(speak, `bay:${position}`);
  if (choice === 'confirm') return [place, speak('summary.confirmed')];
  if (choice === 'leave' || choice === null) return [place, speak('summary.left')];
  const seal = bay.seal ?? '';
  const out =
    choice === 'seal' ? speak('summary.sealed', { seal }) : `${countOut} x ${denominationOut}`;
  return [
    place,
    out,
    overShort(bay),
    count === null ? '' : `${count} x ${denomination}`,
    sumMinor === null ? '' : formatMoney(sumMinor, currency),
    test === null ? '' : speak(`summary.test.${test}`),
  ];
}

/** What is said of a box, over all columns: piles may be many. */
function boxWords(speak: Speak, box: ExchangeBox): string {
  if (box.choice === 'seal') return speak('summary.sealed', { seal: box.seal ?? '' }).trim();
  if (box.choice !== 'count') return speak('summary.left');
  const piles = pilesWords(speak, box.counts ?? []);
  return speak('summary.counted', { piles, differences: overShort(box) });
}

/** Columns within the frame of a note in a terminal of 80. */
const COLUMNS = 74;

/** A place and what is said of it, in lines that fit. */
function told(place: string, words: string, placeColumns: number): string[] {
  const margin = placeColumns + 2;
  return wrap(words, COLUMNS - margin).map(
    (line, index) => (index === 0 ? place : '').padEnd(margin) + line,
  );
}

const widest = (texts: readonly string[]): number =>
  Math.max(0, ...texts.map(({ length }) => length));

/** Rows in columns; a row of two says one thing over all of them. */
function tableOf(rows: readonly (readonly string[])[], placeColumns: number): string[] {
  const wide = rows.filter(({ length }) => length > 2);
  const widthOf = (column: number) =>
    column === 0 ? placeColumns : widest(wide.map((row) => row[column] ?? ''));
  return rows.flatMap((row) => {
    const [place = '', words = '', ...rest] = row;
    if (rest.length === 0) return told(place, words, placeColumns);
    const cells = row.map((cell, column) => cell.padEnd(widthOf(column)));
    return cells.join('  ').trimEnd();
  });
}

/** What was found and done, a line for each place, in columns that fit into 80 with a frame. */
export function summaryLines(speak: Speak, view: ExchangeView): string[] {
  const bays = [
    speak('summary.head').split('|'),
    ...view.bays.map((bay) => bayRow(speak, bay, view.currency)),
  ];
  const boxes = view.boxes.map((box) => [placeWords(speak, box.place), boxWords(speak, box)]);
  const placesOf = (rows: readonly (readonly string[])[]) => widest(rows.map(([at = '']) => at));
  const together = tableOf([...bays, ...boxes], placesOf([...bays, ...boxes]));
  const table =
    widest(together) <= COLUMNS
      ? together
      : [bays, boxes].flatMap((rows) => tableOf(rows, placesOf(rows)));
  const swapped = view.bays
    .filter((bay) => bay.swapped)
    .flatMap(({ position }) => {
      const place = placeWords(speak, `bay:${position}`);
      return wrap(speak('summary.swapped', { place }), COLUMNS);
    });
  return [...table, ...swapped];
}

/** The books, a line for each account. */
export function totalsLines(speak: Speak, totals: TotalsView): string[] {
  return totals.accounts
    .filter(({ account }) => /^(bay|bag):|^(cashbox|reject)$/.test(account))
    .map(({ account, counts, sumMinor }) => {
      const sum = formatMoney(sumMinor, totals.currency);
      return `${placeWords(speak, account)}: ${pilesWords(speak, counts)}, ${sum}`;
    });
}

/** An instant to the minute, in UTC as the records have it. */
export const minuteOf = (unixMs: number): string =>
  `${new Date(unixMs).toISOString().slice(0, 16).replace('T', ' ')}Z`;

/** A record in one line of a menu. */
export const recordLabel = (speak: Speak, record: RecordView): string => {
  const { number, reference, atUnixMs } = record;
  return speak('menu.record', { number, reference, time: minuteOf(atUnixMs) });
};

/** Something owed in one line of a menu. */
export function owedLabel(speak: Speak, owed: ObligationView): string {
  const { reference, kind, amountMinor, currency, amountSats } = owed;
  const sum = amountMinor === null ? undefined : formatMoney(amountMinor, currency);
  const sats = amountSats === null ? undefined : `${amountSats} sats`;
  return speak('settle.item', { reference, kind, amount: sum ?? sats ?? speak('settle.unknown') });
}

type RecordId = Pick<RecordView, 'number' | 'hash'>;

/** What the technician's phone reads off the terminal: number and hash of a record. */
export const recordText = ({ number, hash }: RecordId): string => `spire-record:${number}:${hash}`;

/**
 * The record as a QR code of half blocks, 41 columns and 21 lines. Black on white by colour, where
 * there are colours: few phones read one that is inverted.
 */
export async function recordQr(record: RecordId, isColoured: boolean): Promise<string> {
  const drawn = await QRCode.toString(recordText(record), {
    type: 'utf8',
    errorCorrectionLevel: 'L',
    margin: 2,
  });
  const lines = drawn.split('\n').filter((line) => line !== '');
  return lines.map((line) => (isColoured ? `\u001b[30;107m${line}\u001b[0m` : line)).join('\n');
}
