import { expect, test } from 'vitest';
import { formatMoney } from '#agent/format.ts';

test.each([
  [2_000, 'USD', '$20.00'],
  [1, 'USD', '$0.01'],
  [123_456_789, 'USD', '$1,234,567.89'],
  [5_000, 'EUR', '€50.00'],
  [10_000, 'GTQ', 'Q 100.00'],
  [1_000, 'JPY', '¥1,000'],
  [1_500, 'KWD', 'KWD 1.500'],
  [0, 'USD', '$0.00'],
])('%i of %s is %s', (minor, currency, words) => {
  expect(formatMoney(minor, currency).replaceAll('\u00a0', ' ')).toBe(words);
});
