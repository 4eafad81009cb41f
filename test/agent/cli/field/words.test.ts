/** What a technician reads of a visit, and what the phone reads. */
import QRCode from 'qrcode';
import { expect, test } from 'vitest';
import type { ExchangeView } from '#agent/api/visit-schemas.ts';
import {
  differenceWords,
  placeWords,
  recordQr,
  recordText,
  summaryLines,
  totalsLines,
} from '#agent/cli/service/words.ts';
import { speaker } from '#agent/texts/technician.ts';

const say = speaker('en');
const RECORD = { number: 12, hash: 'ab'.repeat(32) };

/** Dark modules of a drawing in half blocks, row by row. */
function modulesOf(drawing: string): boolean[][] {
  return drawing.split('\n').flatMap((line) => {
    const cells = Array.from(line);
    return [
      cells.map((cell) => cell === '█' || cell === '▀'),
      cells.map((cell) => cell === '█' || cell === '▄'),
    ];
  });
}

test('the QR code is that of the number and the hash, with its quiet zone, in 80x24', async () => {
  expect(recordText(RECORD)).toBe(`spire-record:12:${RECORD.hash}`);
  const drawn = await recordQr(RECORD, false);
  const { modules } = QRCode.create(recordText(RECORD), { errorCorrectionLevel: 'L' });
  const quiet = 2;
  const rows = modulesOf(drawn);
  for (let y = 0; y < modules.size; y++) {
    for (let x = 0; x < modules.size; x++) {
      const dark = modules.get(y, x) === 1;
      expect([y, x, rows[y + quiet]?.[x + quiet] ?? false]).toEqual([y, x, dark]);
    }
  }
  const lines = drawn.split('\n');
  expect(lines.length).toBeLessThanOrEqual(22);
  expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(80);
  const coloured = await recordQr(RECORD, true);
  expect(coloured.split('\n').every((line) => line.startsWith('\u001b[30;107m'))).toBe(true);
});

test('places and differences have their words; an account of the world outside has none', () => {
  expect(placeWords(say, 'bay:3')).toBe('Bay 3');
  expect(placeWords(say, 'bag:C-1')).toBe('Bag C-1');
  expect(placeWords(say, 'reject')).toBe('Reject tray');
  expect(placeWords(say, 'technician')).toBe('technician');
  const differences = [
    { denomination: 20, difference: -2 },
    { denomination: 50, difference: 0 },
    { denomination: 100, difference: 1 },
  ];
  expect(differenceWords(say, differences)).toBe('2 x 20 short, 1 x 100 over');
});

test('a summary has a line for each place, whatever was done there', () => {
  const nothing = { seal: null, reason: null, note: '', differences: null };
  const bay = {
    ...{ ...nothing, denominationOut: 20, countOut: null, denomination: null, count: null },
    ...{ sumMinor: null, test: null, testNotes: 0, swapped: false },
  };
  const differences = [
    { denomination: 20, difference: -2 },
    { denomination: 50, difference: 3 },
  ];
  const view: ExchangeView = {
    ...{ id: 'x', reference: 'K7Q4-9XMB', state: 'asking', step: 9, technician: 'Ana' },
    ...{ openedAtUnixMs: 0, currency: 'GTQ', canUndo: true, asks: { kind: 'close' } },
    bays: [
      { ...bay, position: 1, choice: null },
      { ...bay, position: 2, choice: 'confirm' },
      { ...bay, position: 3, choice: 'count', countOut: 7, differences: [], swapped: true },
    ],
    boxes: [
      { ...nothing, place: 'cashbox', choice: 'count', counts: null, differences },
      { ...nothing, place: 'reject', choice: 'seal', counts: null, seal: null },
    ],
  };
  expect(summaryLines(say, view).slice(1)).toEqual([
    'Bay 1        left as it is',
    'Bay 2        confirmed',
    'Bay 3        7 x 20  0',
    'Cash box     no notes; over/short: 20: -2, 50: +3',
    'Reject tray  seal',
    'Bay 3: another cassette than before is in it. Put the right one in, or it',
    'stays closed.',
  ]);
  // What is long takes lines of its own, and no column.
  const counts = [1, 2, 5, 10, 20, 50, 100, 200].map((denomination) => ({
    denomination,
    count: 123,
  }));
  const full: ExchangeView = {
    ...view,
    bays: view.bays.map((one) => ({
      ...{
        ...one,
        choice: 'count' as const,
        countOut: 1_234,
        differences,
        test: 'unknown' as const,
      },
      ...{ denomination: 200, count: 1_234, sumMinor: 24_680_000 },
    })),
    boxes: view.boxes.map((one) => ({ ...one, choice: 'count' as const, counts, differences })),
  };
  for (const language of ['en', 'es'] as const) {
    const lines = summaryLines(speaker(language), full);
    expect(lines.filter(({ length }) => length > 74)).toEqual([]);
    expect(lines.join('\n')).toContain('123 x 200');
  }
});

test('totals say what is in the machine and in bags, and nothing of the world outside', () => {
  const account = (name: string, count: number) => ({
    ...{ account: name, sumMinor: count * 2_000 },
    counts: [{ denomination: 20, count }],
  });
  const accounts = [account('bay:1', 3), account('customer', -3), account('bag:B', 1)];
  expect(totalsLines(say, { currency: 'USD', atUnixMs: 0, accounts })).toEqual([
    'Bay 1: 3 x 20, $60.00',
    'Bag B: 1 x 20, $20.00',
  ]);
});
