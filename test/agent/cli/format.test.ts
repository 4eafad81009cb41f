import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  duration,
  formatDocuments,
  formatEntry,
  formatObligations,
  formatStatus,
  wrap,
} from '#agent/cli/format.ts';
import { entry, FakeService } from '#test/agent/api/fake-service.ts';
import { cashIn, idleView } from '#test/agent/api/views.ts';

describe('wrap', () => {
  test('no line is too long, no visible character is lost', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme-ascii' }),
        fc.integer({ min: 1, max: 80 }),
        (text, columns) => {
          const lines = wrap(text, columns);
          for (const line of lines) expect(line.length).toBeLessThanOrEqual(columns);
          expect(lines.join('').replaceAll(' ', '')).toBe(text.replaceAll(' ', ''));
        },
      ),
    );
  });

  test('it breaks between words', () => {
    expect(wrap('one two three', 7)).toEqual(['one two', 'three']);
    expect(wrap('abcdefgh', 3)).toEqual(['abc', 'def', 'gh']);
    expect(wrap('', 3)).toEqual([]);
  });
});

test.each([
  [0, '0 s'],
  [-5, '0 s'],
  [59_999, '59 s'],
  [60_000, '1 min'],
  [3_661_000, '1 h 1 min'],
  [86_400_000, '1 d'],
  [93_784_000, '1 d 2 h'],
])('%i ms is %s', (ms, words) => {
  expect(duration(ms)).toBe(words);
});

test('nothing at all is said in words', () => {
  expect(formatDocuments([], 0)).toBe('No documents.');
  expect(formatObligations([])).toBe('Nothing is owed, and nothing is unknown.');
});

test('an obligation of unknown amount says so', () => {
  const plain = {
    ...{ id: 'i', reference: 'K7Q4-9XMB', kind: 'claim', state: 'open' },
    ...{ openedAtUnixMs: 0, ageMs: 0, transactionId: null, evidence: {}, acts: [] },
    ...{ partialDispense: null, settled: null },
  };
  const text = formatObligations([
    { ...plain, amountSats: null, amountMinor: null, currency: 'USD' },
    { ...plain, amountSats: null, amountMinor: 500, currency: 'JPY' },
  ]);
  expect(text).toContain('amount unknown');
  expect(text).toContain('500 JPY');
});

test('a machine that knows nothing yet says so', () => {
  const status = new FakeService({ ...idleView, rateMinorPerBtc: null }).status();
  const text = formatStatus({
    ...status,
    walletId: null,
    clockOffsetMs: null,
    relays: [],
    cashUnits: [],
    accounts: [],
  });
  const rows = new Map(text.split('\n').map((line) => [line.slice(0, 13).trim(), line.slice(13)]));
  expect(Object.fromEntries(rows)).toMatchObject({
    Price: 'none',
    Session: '-',
    Relays: 'none',
    Clock: 'offset unknown',
    Bays: 'none',
    Notes: 'none',
    Wallet: 'not pinned',
  });
});

test('a session on the screen is named', () => {
  const withFee = { ...idleView.cashIn, feeFraction: null };
  const view = { ...cashIn({ reference: null }), cashIn: withFee };
  const text = formatStatus(new FakeService(view).status());
  expect(text).toMatch(/^Session {6}cashIn, inserting,/m);
  expect(text).toMatch(/^Cash-in {6}open$/m);
});

test('an entry without a transaction and body is one line', () => {
  const text = formatEntry({ ...entry(7, 'boot'), transactionId: null, body: {} });
  expect(text).toBe('      7  2026-11-21 12:00:07Z  boot');
});
