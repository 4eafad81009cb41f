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

function boxRow(speak: Speak, box: ExchangeBox): string[] {
  const place = placeWords(speak, box.place);
  if (box.choice === 'seal') return [place, speak('summary.sealed', { seal: box.seal ?? '' })];
  if (box.choice !== 'count') return [place, speak('summary.left')];
  return [place, pilesWords(speak, box.counts ?? []), overShort(box)];
}

/** What was found and done, a line for each place, in columns that fit into 80 with a frame. */
export function summaryLines(speak: Speak, view: ExchangeView): string[] {
  const rows = [
    speak('summary.head').split('|'),
    ...view.bays.map((bay) => bayRow(speak, bay, view.currency)),
    ...view.boxes.map((box) => boxRow(speak, box)),
  ];
  // A row of two says one thing over all columns.
  const wide = rows.filter(({ length }) => length > 2);
  const widthOf = (column: number) =>
    Math.max(...(column === 0 ? rows : wide).map((row) => (row[column] ?? '').length));
  const swapped = view.bays
    .filter((bay) => bay.swapped)
    .map(({ position }) =>
      speak('summary.swapped', { place: placeWords(speak, `bay:${position}`) }),
    );
  const table = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(row.length > 2 || column === 0 ? widthOf(column) : 0))
      .join('  ')
      .trimEnd(),
  );
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
