/** Where the price of a bitcoin can be asked for, and when several answers are one price. */
import { z } from 'zod';
import { messageOf } from '#protocol/base/errors.ts';
import { type MinorPerBtc, minorDigits, minorPerBtc } from '#protocol/base/money.ts';
import type { FetchJson } from '../fetch-json.ts';

/** A price with its source in words, or in words why there is none. */
export type PriceReading =
  | { readonly kind: 'price'; readonly minorPerBtc: MinorPerBtc; readonly source: string }
  | { readonly kind: 'none'; readonly why: string };

/** One public price: its address, and how its answer gives major units for one bitcoin. */
interface PublicSource {
  readonly name: string;
  readonly url: (currency: string) => string;
  readonly price: (currency: string) => z.ZodType<number>;
}

/** How far prices may be apart and still agree, per cent (design 6.1). */
const AGREE_PERCENT = 2;
/** Prices that must agree (design 6.1). */
const AGREE_MIN = 2;

const positive = z.number().positive();
/** Exchanges write prices as decimal strings. */
const decimal = z
  .string()
  .regex(/^\d{1,15}(\.\d{1,20})?$/)
  .transform(Number)
  .pipe(positive);

/** The last trade of each pair: `c` is `[price, volume]`. */
const krakenTicker = z.object({
  result: z.record(z.string(), z.object({ c: z.tuple([decimal], z.unknown()) })),
});

/**
 * The public prices, none of which wants a key. Not every source has every currency; what a source
 * does not have counts as not answered. Sources: docs.cdp.coinbase.com (spot price),
 * docs.kraken.com (ticker), www.bitstamp.net/api (ticker), docs.coingecko.com (simple price),
 * api.yadio.io/docs (exchange rates, also of the Americas' smaller currencies).
 */
const publicSources: readonly PublicSource[] = [
  {
    name: 'Coinbase',
    url: (currency) => `https://api.coinbase.com/v2/prices/BTC-${currency}/spot`,
    price: (currency) =>
      z
        .object({ data: z.object({ amount: decimal, currency: z.literal(currency) }) })
        .transform(({ data }) => data.amount),
  },
  {
    name: 'Kraken',
    url: (currency) => `https://api.kraken.com/0/public/Ticker?pair=XBT${currency}`,
    price: (currency) =>
      krakenTicker.transform(({ result }, context) => {
        // One pair was asked for; Kraken calls it XXBTZUSD or XBTUSD.
        const [[pair, ticker] = [], ...others] = Object.entries(result);
        if (ticker && others.length === 0 && pair?.endsWith(currency)) return ticker.c[0];
        context.addIssue({ code: 'custom', message: 'is not the pair asked for' });
        return z.NEVER;
      }),
  },
  {
    name: 'Bitstamp',
    url: (currency) => `https://www.bitstamp.net/api/v2/ticker/btc${currency.toLowerCase()}/`,
    price: () => z.object({ last: decimal }).transform(({ last }) => last),
  },
  {
    name: 'CoinGecko',
    url: (currency) =>
      'https://api.coingecko.com/api/v3/simple/price' +
      `?ids=bitcoin&vs_currencies=${currency.toLowerCase()}`,
    price: (currency) =>
      z
        .object({ bitcoin: z.object({ [currency.toLowerCase()]: positive }) })
        .transform(({ bitcoin }) => Number(bitcoin[currency.toLowerCase()])),
  },
  {
    name: 'Yadio',
    url: () => 'https://api.yadio.io/exrates/BTC',
    price: (currency) =>
      z
        .object({ BTC: z.object({ [currency]: positive }) })
        .transform(({ BTC }) => Number(BTC[currency])),
  },
];

/** LNbits' answer; `price` is major units for one bitcoin. Source: LNbits `api_check_fiat_rate`. */
const lnbitsRate = z.object({ price: positive }).transform(({ price }) => price);

/** Major units as minor units, to the nearest. @throws RangeError beyond the safe integers. */
function toMinor(price: number, currency: string): MinorPerBtc {
  return minorPerBtc(Math.round(price * 10 ** minorDigits(currency)));
}

async function ask(
  fetchJson: FetchJson,
  url: string,
  schema: z.ZodType<number>,
  currency: string,
): Promise<PriceReading> {
  try {
    const answer = schema.safeParse(await fetchJson(url));
    if (!answer.success) return { kind: 'none', why: 'an answer that cannot be read' };
    return { kind: 'price', minorPerBtc: toMinor(answer.data, currency), source: url };
  } catch (error) {
    // Whatever a stranger's server does is only the lack of its price.
    return { kind: 'none', why: messageOf(error) };
  }
}

/**
 * Asks the operator's LNbits, which alone is enough: it settles at its own price. Never
 * rejects.
 */
export async function askLnbits(
  base: string,
  currency: string,
  fetchJson: FetchJson,
): Promise<PriceReading> {
  const url = `${base.replace(/\/+$/, '')}/api/v1/rate/${currency}`;
  const reading = await ask(fetchJson, url, lnbitsRate, currency);
  return reading.kind === 'price' ? reading : { kind: 'none', why: `LNbits: ${reading.why}` };
}

/** Asks all public prices at once and takes what they agree on. Never rejects. */
export async function askPublic(currency: string, fetchJson: FetchJson): Promise<PriceReading> {
  const readings = await Promise.all(
    publicSources.map(async ({ name, url, price }) => {
      const reading = await ask(fetchJson, url(currency), price(currency), currency);
      return { name, reading };
    }),
  );
  const prices = readings.flatMap(({ reading }) =>
    reading.kind === 'price' ? [reading.minorPerBtc] : [],
  );
  const agreed = agreedPrice(prices);
  const words = readings.map(({ name, reading }) =>
    reading.kind === 'price' ? `${name}: ${reading.minorPerBtc}` : `${name}: ${reading.why}`,
  );
  if (agreed !== undefined) {
    const answered = readings.flatMap(({ reading }, at) =>
      reading.kind === 'price' ? [words[at]] : [],
    );
    return { kind: 'price', minorPerBtc: agreed, source: `median of ${answered.join(', ')}` };
  }
  const why =
    prices.length < AGREE_MIN
      ? `${prices.length} of ${readings.length} sources answered, ${AGREE_MIN} are needed`
      : `no ${AGREE_MIN} sources agree within ${AGREE_PERCENT} %`;
  return { kind: 'none', why: `${why} (${words.join('; ')})` };
}

/**
 * The median of the largest group of prices that lie within 2 % of each other; groups of one size
 * that overlap count as one. Undefined when no two prices agree, or when two groups of one size
 * contradict each other: then nothing says which of them is right.
 */
export function agreedPrice(prices: readonly MinorPerBtc[]): MinorPerBtc | undefined {
  const sorted = prices.toSorted((a, b) => a - b);
  const groups = sorted.map((low) => {
    const members = sorted.filter(
      (price) => price >= low && price * 100 <= low * (100 + AGREE_PERCENT),
    );
    return { low, high: Math.max(...members), size: members.length };
  });
  const most = Math.max(0, ...groups.map(({ size }) => size));
  if (most < AGREE_MIN) return undefined;
  const largest = groups.filter(({ size }) => size === most);
  const lows = largest.map(({ low }) => low);
  const highs = largest.map(({ high }) => high);
  if (Math.max(...lows) > Math.min(...highs)) return undefined;
  const agreeing = sorted.filter(
    (price) => price >= Math.min(...lows) && price <= Math.max(...highs),
  );
  const last = agreeing.length - 1;
  const middle = agreeing.slice(Math.floor(last / 2), Math.ceil(last / 2) + 1);
  return minorPerBtc(Math.round(middle.reduce((sum, price) => sum + price, 0) / middle.length));
}
