/** Money and times as people read them. */
import { minorDigits } from '#protocol/base/money.ts';

/** Minor units as an amount with its currency: `$20.00`, or `Q 100.00` where its sign is a word. */
export function formatMoney(minor: number, currency: string): string {
  const format = new Intl.NumberFormat('en', {
    style: 'currency',
    currency,
    currencyDisplay: 'narrowSymbol',
  });
  return format.format(minor / 10 ** minorDigits(currency));
}
