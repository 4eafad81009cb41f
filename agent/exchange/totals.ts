/** What the books say is where, looked at without closing a period. */
import { minorUnits } from '#protocol/base/money.ts';
import type { TotalsView } from '../api/visit-schemas.ts';
import type { Parts } from '../parts.ts';
import { faceOf } from './faces.ts';

/** Totals of all accounts; those of the world outside count down. */
export function totalsView({ store, clock, config }: Parts): TotalsView {
  const { currency } = config;
  const accounts = new Map<string, { value: number; count: number }[]>();
  for (const { account, value, count } of store.ledger.balances()) {
    accounts.set(account, [...(accounts.get(account) ?? []), { value, count }]);
  }
  return {
    currency,
    atUnixMs: clock.now(),
    accounts: [...accounts].map(([account, piles]) => ({
      account,
      counts: piles.map(({ value, count }) => {
        return { denomination: faceOf(minorUnits(value), currency), count };
      }),
      sumMinor: piles.reduce((sum, { value, count }) => sum + value * count, 0),
    })),
  };
}
