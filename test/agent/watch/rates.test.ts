import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Config } from '#agent/config.ts';
import { type FetchJson, makeFetchJson } from '#agent/fetch-json.ts';
import { agreedPrice } from '#agent/watch/rate-sources.ts';
import { openRates } from '#agent/watch/rates.ts';
import { ReasonBoard } from '#agent/watch/reasons.ts';
import { silentLog } from '#protocol/base/log.ts';
import { minorPerBtc } from '#protocol/base/money.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

const MINUTE_MS = 60_000;

function makeRig(rate: Config['rate'], ask: FetchJson, currency = 'USD') {
  const clock = new VirtualClock();
  const board = new ReasonBoard();
  const asked: string[] = [];
  const rates = openRates({
    rate,
    currency,
    clock,
    log: silentLog,
    board,
    fetchJson: async (url) => {
      asked.push(url);
      return ask(url);
    },
  });
  const why = () => board.list('cashIn').find(({ code }) => code === 'noRate')?.text;
  return { clock, board, asked, rates, why };
}

/** LNbits with a price that a test moves. */
function lnbitsRig(price: number, url = 'https://lnbits.example') {
  const server: { price: number; fails: boolean } = { price, fails: false };
  const rig = makeRig({ kind: 'lnbits', url }, async () => {
    if (server.fails) throw new Error('connection refused');
    return { rate: 1e8 / server.price, price: server.price };
  });
  /** Asks again: what is a millisecond old is too old. */
  const again = async () => {
    await rig.clock.advance(1);
    return rig.rates.fresh(0);
  };
  return { ...rig, server, again };
}

type Prices = Partial<
  Record<'coinbase' | 'kraken' | 'bitstamp' | 'coingecko' | 'yadio', number | string>
>;

/** The public sources as they answer; one without a price fails. */
function publicAnswers(prices: Prices, currency = 'USD'): FetchJson {
  const answers: readonly (readonly [string, number | string | undefined, unknown])[] = [
    [
      'api.coinbase.com',
      prices.coinbase,
      { data: { amount: `${prices.coinbase}`, base: 'BTC', currency } },
    ],
    [
      'api.kraken.com',
      prices.kraken,
      { error: [], result: { [`XXBTZ${currency}`]: { c: [`${prices.kraken}`, '0.1'] } } },
    ],
    ['www.bitstamp.net', prices.bitstamp, { last: `${prices.bitstamp}`, bid: '1' }],
    [
      'api.coingecko.com',
      prices.coingecko,
      { bitcoin: { [currency.toLowerCase()]: prices.coingecko } },
    ],
    ['api.yadio.io', prices.yadio, { BTC: { [currency]: prices.yadio }, base: 'BTC' }],
  ];
  return async (url) => {
    const [, price, answer] = answers.find(([host]) => new URL(url).host === host) ?? [];
    if (price === undefined) throw new Error('not found');
    return answer;
  };
}

describe('a fixed rate', () => {
  test('is always fresh and never asked for', async () => {
    const { clock, rates, asked, why } = makeRig(
      { kind: 'fixed', minorPerBtc: 9_000_000 },
      async () => null,
    );
    await clock.advance(MINUTE_MS);
    expect(await rates.fresh(0)).toEqual({
      minorPerBtc: 9_000_000,
      source: 'fixed by configuration',
      atMonotonicMs: MINUTE_MS,
    });
    expect(rates.latest()?.minorPerBtc).toBe(9_000_000);
    expect([asked, why()]).toEqual([[], undefined]);
  });
});

describe('the rate of LNbits', () => {
  test('is asked for when it is older than wanted, and not before', async () => {
    const { clock, rates, asked } = lnbitsRig(90_123.456, 'https://lnbits.example/');
    expect(rates.latest()).toBeUndefined();
    const url = 'https://lnbits.example/api/v1/rate/USD';
    const first = { minorPerBtc: 9_012_346, source: url, atMonotonicMs: 0 };
    expect(await rates.fresh(MINUTE_MS)).toEqual(first);
    await clock.advance(MINUTE_MS);
    expect(await rates.fresh(MINUTE_MS)).toEqual(first);
    await clock.advance(1);
    expect((await rates.fresh(MINUTE_MS))?.atMonotonicMs).toBe(MINUTE_MS + 1);
    expect(asked).toEqual([url, url]);
  });

  test('comes in minor units of the currency', async () => {
    const { rates } = makeRig(
      { kind: 'lnbits', url: 'https://lnbits.example' },
      async () => ({ price: 13_500_000.4 }),
      'JPY',
    );
    expect((await rates.fresh(0))?.minorPerBtc).toBe(13_500_000);
  });

  test('is asked for once by all who wait', async () => {
    const answer = Promise.withResolvers<unknown>();
    const { rates, asked } = makeRig(
      { kind: 'lnbits', url: 'https://lnbits.example' },
      () => answer.promise,
    );
    const all = [rates.fresh(0), rates.fresh(0), rates.fresh(MINUTE_MS)];
    answer.resolve({ price: 90_000 });
    expect((await Promise.all(all)).map((rate) => rate?.minorPerBtc)).toEqual([9e6, 9e6, 9e6]);
    expect(asked).toHaveLength(1);
  });

  test('closes both directions while there is none, and opens them with the next one', async () => {
    const { rates, board, server, why } = lnbitsRig(90_000);
    server.fails = true;
    expect(await rates.fresh(MINUTE_MS)).toBeUndefined();
    expect(why()).toBe('There is no reliable bitcoin price: LNbits: connection refused.');
    expect(board.open('cashOut')).toBe(false);
    server.fails = false;
    expect((await rates.fresh(MINUTE_MS))?.minorPerBtc).toBe(9_000_000);
    expect([board.open('cashIn'), board.open('cashOut')]).toEqual([true, true]);
  });

  test('after a failure is asked for again, however young the last one is', async () => {
    const { clock, rates, server, why } = lnbitsRig(90_000);
    await rates.fresh(0);
    await clock.advance(MINUTE_MS);
    server.fails = true;
    expect(await rates.fresh(0)).toBeUndefined();
    expect(rates.latest()?.minorPerBtc).toBe(9_000_000);
    expect(await rates.fresh(10 * MINUTE_MS)).toBeUndefined();
    server.fails = false;
    expect(await rates.fresh(10 * MINUTE_MS)).toBeDefined();
    expect(why()).toBeUndefined();
  });

  test.each([
    ['no object', null],
    ['no price', { rate: 1_111 }],
    ['a price of nothing', { price: 0 }],
    ['a price as text', { price: '90000' }],
    ['a price beyond all numbers', { price: 1e300 }],
  ])('is none with %s', async (_name, answer) => {
    const { rates, why } = makeRig(
      { kind: 'lnbits', url: 'https://lnbits.example' },
      async () => answer,
    );
    expect(await rates.fresh(0)).toBeUndefined();
    expect(why()).toMatch(/LNbits/);
  });
});

describe('public prices', () => {
  const rateOf = async (prices: Prices, currency = 'USD') => {
    const rig = makeRig({ kind: 'public' }, publicAnswers(prices, currency), currency);
    const rate = await rig.rates.fresh(0);
    const { minorPerBtc, source } = rate ?? {};
    return { rate: minorPerBtc, source, why: rig.why(), asked: rig.asked };
  };

  test('are the median of those that agree', async () => {
    const all = { coinbase: 90_000, kraken: '90100.5', bitstamp: 90_300, coingecko: 90_200 };
    const { rate, source, asked } = await rateOf({ ...all, yadio: 120_000 });
    expect(rate).toBe(9_015_025);
    expect(source).toMatch(/^median of Coinbase: 9000000, Kraken: 9010050, .*Yadio: 12000000$/);
    expect(asked).toHaveLength(5);
    expect(asked.every((url) => url.startsWith('https://'))).toBe(true);
  });

  test('need two, whichever they are', async () => {
    expect((await rateOf({ coinbase: 700_000, yadio: 701_000 }, 'GTQ')).rate).toBe(70_050_000);
    const one = await rateOf({ kraken: 90_000 });
    expect(one.rate).toBeUndefined();
    expect(one.why).toMatch(/1 of 5 sources answered, 2 are needed .*Kraken: 9000000; .*not found/);
    expect((await rateOf({})).why).toMatch(/0 of 5 sources answered/);
  });

  test('that do not agree are none', async () => {
    const { rate, why } = await rateOf({ coinbase: 90_000, kraken: 91_801 });
    expect(rate).toBeUndefined();
    expect(why).toMatch(/no 2 sources agree within 2 %/);
    expect((await rateOf({ coinbase: 90_000, kraken: 91_800 })).rate).toBe(9_090_000);
  });

  test('of another currency or pair are not taken', async () => {
    const ask = publicAnswers({ coinbase: 90_000, kraken: 90_000 }, 'EUR');
    const { rates } = makeRig({ kind: 'public' }, ask, 'USD');
    expect(await rates.fresh(0)).toBeUndefined();
  });
});

describe('agreement', () => {
  const agreed = (...prices: number[]) => agreedPrice(prices.map(minorPerBtc));

  test('is that of the largest group', () => {
    expect(agreed(200, 100, 101, 300)).toBe(101);
    expect(agreed(100, 101, 102, 200, 201)).toBe(101);
    expect(agreed(10_000, 10_150, 10_300)).toBe(10_150);
  });

  test('is none when two groups of one size contradict each other', () => {
    expect(agreed(100, 101, 200, 201)).toBeUndefined();
    expect(agreed(10_000, 10_150, 10_300, 10_490)).toBeUndefined();
    expect(agreed()).toBeUndefined();
  });

  test('lies within 2 % of two of the prices at least, and is the same in any order', () => {
    const price = fc.integer({ min: 8_000_000, max: 10_000_000 });
    fc.assert(
      fc.property(fc.array(price, { maxLength: 6 }), (prices) => {
        const result = agreed(...prices);
        expect(agreed(...prices.toReversed())).toBe(result);
        if (result === undefined) return;
        const near = prices.filter((one) => Math.abs(one - result) <= 0.02 * Math.max(one, result));
        expect(near.length).toBeGreaterThanOrEqual(2);
      }),
    );
  });
});

describe('a jump', () => {
  test('of more than 10 % opens nothing until it held for ten minutes', async () => {
    const { clock, again, server, board, why } = lnbitsRig(90_000);
    await again();
    server.price = 99_001;
    for (let minute = 0; minute < 10; minute++) {
      expect(await again()).toBeUndefined();
      expect(why()).toMatch(
        /jumped from \$90,000.00 to \$99,\d{3}.00 and must hold for 10 minutes/,
      );
      expect(board.open('cashOut')).toBe(false);
      server.price += 1;
      await clock.advance(MINUTE_MS - 1);
    }
    expect((await again())?.minorPerBtc).toBe(9_901_100);
    expect(why()).toBeUndefined();
  });

  test('of 10 % is none, up or down', async () => {
    const { again, server } = lnbitsRig(100_000);
    await again();
    for (const price of [110_000, 99_000]) {
      server.price = price;
      expect((await again())?.minorPerBtc).toBe(price * 100);
    }
    server.price = 89_099;
    expect(await again()).toBeUndefined();
  });

  test('that goes back is forgotten, and a further one begins anew', async () => {
    const { clock, again, server } = lnbitsRig(90_000);
    await again();
    server.price = 120_000;
    expect(await again()).toBeUndefined();
    await clock.advance(9 * MINUTE_MS);
    server.price = 90_500;
    expect(await again()).toBeDefined();
    server.price = 120_000;
    expect(await again()).toBeUndefined();
    await clock.advance(9 * MINUTE_MS);
    server.price = 150_000;
    expect(await again()).toBeUndefined();
    await clock.advance(9 * MINUTE_MS);
    expect(await again()).toBeUndefined();
    await clock.advance(MINUTE_MS);
    expect((await again())?.minorPerBtc).toBe(15_000_000);
  });
});

describe('asking over HTTP', () => {
  async function serve(status: number, body: string, headers: Record<string, string> = {}) {
    const server = createServer((_request, response) => {
      response.writeHead(status, headers).end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  }

  test('gives what the server says', async () => {
    expect(await makeFetchJson()(await serve(200, '{"price": 1}'))).toEqual({ price: 1 });
  });

  test('tells the time of the server, also through a cache', async () => {
    const heard: [string, number][] = [];
    const ask = makeFetchJson((host, unixMs) => heard.push([host, unixMs]));
    const date = 'Sat, 21 Nov 2026 12:00:00 GMT';
    await ask(await serve(200, '1', { date }));
    await ask(await serve(200, '1', { date, age: '30' }));
    await ask(await serve(200, '1', { date: 'soon' }));
    const unixMs = Date.parse(date) + 500;
    expect(heard).toEqual([
      ['127.0.0.1', unixMs],
      ['127.0.0.1', unixMs + 30_000],
    ]);
  });

  test('ends with an error for anything else', async () => {
    await expect(makeFetchJson()(await serve(500, '{"price": 1}'))).rejects.toThrow('says 500');
    await expect(makeFetchJson()(await serve(200, '<html>'))).rejects.toThrow(SyntaxError);
    await expect(makeFetchJson()(await serve(204, ''))).rejects.toThrow(SyntaxError);
    const target = await serve(200, '{"price": 1}');
    await expect(makeFetchJson()(await serve(302, '', { location: target }))).rejects.toThrow();
    const long = JSON.stringify({ price: 1, more: 'x'.repeat(65_536) });
    await expect(makeFetchJson()(await serve(200, long))).rejects.toThrow('above 65536 bytes');
  });

  test('is what rates do by themselves', async () => {
    const url = await serve(200, '{"rate": 1000, "price": 100000}');
    const clock = new VirtualClock();
    const board = new ReasonBoard();
    const rates = openRates({
      rate: { kind: 'lnbits', url },
      currency: 'USD',
      clock,
      log: silentLog,
      board,
    });
    expect((await rates.fresh(0))?.minorPerBtc).toBe(10_000_000);
  });
});
