import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { askLink, checkLnurl } from '#agent/cash-in/lnurl.ts';
import { encodeLnurl } from '#protocol/simulator/keeper/lnurl.ts';

/** The example of LUD-01. */
const LUD_01 =
  'LNURL1DP68GURN8GHJ7UM9WFMXJCM99E3K7MF0V9CXJ0M385EKVCENXC6R2C35XVUKXEFCV5MKVV34X5EKZD3EV56NYD3HXQURZEPEXEJXXEPNXSCRVWFNV9NXZCN9XQ6XYEFHVGCXXCMYXYMNSERXFQ5FNS';

const kindOf = (url: string, isPrivateAllowed = false) =>
  checkLnurl(encodeLnurl(url), isPrivateAllowed).kind;

describe('a link', () => {
  test('of the standard’s own example is read, in either case', () => {
    const url =
      'https://service.com/api?q=3fc3645b439ce8e7f2553a69e5267081d96dcd340693afabe04be7b0ccd178df';
    expect(checkLnurl(LUD_01, false)).toEqual({ kind: 'ok', url });
    expect(checkLnurl(LUD_01.toLowerCase(), false)).toEqual({ kind: 'ok', url });
  });

  test.each([
    ['https://wallet.example.com/w/1', 'ok', 'ok'],
    ['http://wallet.example.com/w/1', 'bad', 'bad'],
    ['https://127.0.0.1/w', 'bad', 'ok'],
    ['http://127.0.0.1:3000/w', 'bad', 'ok'],
    ['http://localhost:3000/w', 'bad', 'ok'],
    ['https://192.168.0.10/w', 'bad', 'ok'],
    ['https://0x7f000001/w', 'bad', 'ok'],
    ['https://[::1]/w', 'bad', 'ok'],
    ['ftp://wallet.example.com/w', 'bad', 'bad'],
    ['ftp://127.0.0.1/w', 'bad', 'bad'],
    ['lightning:lnbc1', 'bad', 'bad'],
    ['no address', 'bad', 'bad'],
    ['', 'bad', 'bad'],
  ])('to %s is %s, and %s where private hosts are allowed', (url, inService, inDemo) => {
    expect([kindOf(url), kindOf(url, true)]).toEqual([inService, inDemo]);
  });

  test.each([
    ['https://wallet.example.com/w', 'no LNURL1'],
    ['', 'no LNURL1'],
    [`lightning:${LUD_01}`, 'no LNURL1'],
    [`${LUD_01.slice(0, -1)}Q`, 'does not decode'],
    ['LNURL1', 'does not decode'],
    [`LNURL1${'Q'.repeat(1_100)}`, 'too long'],
    // A checksum of its own, and the prefix `lnurl1x`: it begins right and is another thing.
    ['lnurl1x1qqqqqqqqqqqqqq', 'does not decode'],
  ])('%s says %s', (lnurl, words) => {
    expect(checkLnurl(lnurl, false)).toMatchObject({
      kind: 'bad',
      reason: expect.stringContaining(words),
    });
  });

  test('never throws, and what passes is always https on a public host', () => {
    const any = fc.oneof(
      fc.string(),
      fc.string().map((text) => `lnurl1${text}`),
      fc.webUrl().map((url) => encodeLnurl(url.slice(0, 500))),
      fc.string({ unit: 'binary', maxLength: 100 }).map(encodeLnurl),
      fc.nat(LUD_01.length - 1).map((at) => `${LUD_01.slice(0, at)}Q${LUD_01.slice(at + 1)}`),
    );
    fc.assert(
      fc.property(any, fc.boolean(), (lnurl, isPrivateAllowed) => {
        const check = checkLnurl(lnurl, isPrivateAllowed);
        if (check.kind === 'bad') expect(check.reason).not.toBe('');
        else if (!isPrivateAllowed) expect(new URL(check.url).protocol).toBe('https:');
      }),
      { numRuns: 1_000 },
    );
  });

  test('goes to the very address that was encoded', () => {
    fc.assert(
      fc.property(fc.webUrl({ validSchemes: ['https'] }), (url) => {
        const check = checkLnurl(encodeLnurl(url), true);
        expect(check).toEqual({ kind: 'ok', url: new URL(url).href });
      }),
    );
  });
});

describe('asked, the link’s server', () => {
  const ask = (answer: unknown) => askLink('https://x.example', async () => answer);

  test('says what may be withdrawn', async () => {
    const answer = { tag: 'withdrawRequest', maxWithdrawable: 75_795_000, more: 1 };
    expect(await ask(answer)).toEqual({ kind: 'open', maxWithdrawableMsat: 75_795_000 });
  });

  test.each([
    'Withdraw is spent.',
    'This link has already been used',
    'already claimed',
    'Funds have already been withdrawn',
  ])('proves a claim by "%s"', async (reason) => {
    expect(await ask({ status: 'ERROR', reason })).toEqual({ kind: 'spent', words: reason });
  });

  test.each([
    'Withdraw link does not exist.',
    'Link is not yet claimed',
    'cannot be used before 12:00',
    "It isn't spent",
    'unused',
    'wait link open_time 5 seconds.',
    '',
  ])('proves nothing by "%s"', async (reason) => {
    expect(await ask({ status: 'ERROR', reason })).toMatchObject({ kind: 'unreachable' });
  });

  test.each([
    undefined,
    null,
    'spent',
    { status: 'OK', reason: 'spent' },
    { tag: 'payRequest', maxWithdrawable: 5 },
    { tag: 'withdrawRequest', maxWithdrawable: -1 },
    { status: 'ERROR', reason: `spent${'.'.repeat(600)}` },
  ])('proves nothing by %j', async (answer) => {
    expect(await ask(answer)).toMatchObject({ kind: 'unreachable' });
  });

  test.each([new Error('no route'), 'text'])(
    'that cannot be reached proves nothing',
    async (why) => {
      const state = await askLink('https://x.example', () => Promise.reject(why));
      const reason = why instanceof Error ? why.message : why;
      expect(state).toEqual({ kind: 'unreachable', reason });
    },
  );
});
