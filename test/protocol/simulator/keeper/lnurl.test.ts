import { bech32 } from '@scure/base';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { systemRandom } from '#protocol/base/clock.ts';
import { newSecretKey } from '#protocol/signer/nostr-crypto.ts';
import { createInvoiceMaker } from '#protocol/simulator/keeper/bolt11.ts';
import { decodeLnurl, encodeLnurl } from '#protocol/simulator/keeper/lnurl.ts';
import { startLnurlHttp } from '#protocol/simulator/keeper/lnurl-http.ts';
import { KeeperWorld } from '../keeper-world.ts';

const stops: (() => Promise<void>)[] = [];
const purse = createInvoiceMaker(newSecretKey(systemRandom));

afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

async function setUp() {
  const world = new KeeperWorld();
  world.keeper.fund(1_000_000);
  const data = await world.data(await world.client(), 'create_withdraw', {
    principal_sats: 82_386,
  });
  const http = await startLnurlHttp({ answer: (path) => world.keeper.answerLnurl(path) });
  stops.push(() => http.stop());
  const get = async (url: string): Promise<Record<string, unknown>> => {
    const { pathname, search } = new URL(url);
    const response = await fetch(`${http.base}${pathname}${search}`);
    return JSON.parse(await response.text());
  };
  const invoice = (amountMsat: number) =>
    purse.make(
      {
        amountMsat,
        paymentHash: 'ab'.repeat(32),
        memo: '',
        createdAtUnixMs: world.clock.now(),
        expiresAtUnixMs: world.clock.now() + 600_000,
      },
      'cd'.repeat(32),
    );
  const callback = (offer: Record<string, unknown>, k1: unknown, pr: string) =>
    get(`${offer.callback}?k1=${k1}&pr=${pr}`);
  return { world, get, invoice, callback, url: decodeLnurl(String(data.lnurl)), http };
}

describe('LNURL', () => {
  it('is bech32 in capitals, and comes back', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 300 }), (path) => {
        const url = `https://wallet.example/${encodeURIComponent(path)}`;
        const lnurl = encodeLnurl(url);
        expect(lnurl).toMatch(/^LNURL1[02-9AC-HJ-NP-Z]+$/);
        expect(decodeLnurl(lnurl)).toBe(url);
      }),
    );
  });

  it('is the string of LUD-01', () => {
    const lnurl =
      'LNURL1DP68GURN8GHJ7UM9WFMXJCM99E3K7MF0V9CXJ0M385EKVCENXC6R2C35XVUKXEFCV5MKVV34X5EKZD3EV56' +
      'NYD3HXQURZEPEXEJXXEPNXSCRVWFNV9NXZCN9XQ6XYEFHVGCXXCMYXYMNSERXFQ5FNS';
    const url = decodeLnurl(lnurl);
    expect(url).toMatch(/^https:\/\/service\.com\/api\?q=3fc3645b439ce8e7/);
    expect(encodeLnurl(url)).toBe(lnurl);
    expect(bech32.decode(lnurl as `${string}1${string}`, false).prefix).toBe('lnurl');
  });
});

describe('LNURL-withdraw over HTTP', () => {
  it('offers the net, pays it once and is spent', async () => {
    const { world, get, invoice, callback, url } = await setUp();
    const offer = await get(url);
    expect(offer).toMatchObject({
      tag: 'withdrawRequest',
      minWithdrawable: 75_795_000,
      maxWithdrawable: 75_795_000,
      k1: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(await callback(offer, offer.k1, invoice(75_795_000))).toEqual({ status: 'OK' });
    const spent = { status: 'ERROR', reason: 'Withdraw is spent.' };
    expect(await callback(offer, offer.k1, invoice(75_795_000))).toEqual(spent);
    expect(await get(url)).toEqual(spent);
    expect(world.keeper.books()).toMatchObject({
      balanceSats: 1_000_000 - 75_795,
      payouts: [{ sats: 75_795, paymentHash: 'ab'.repeat(32) }],
    });
  });

  it('pays nothing for a wrong k1, amount or invoice', async () => {
    const { world, get, invoice, callback, url, http } = await setUp();
    const offer = await get(url);
    const refused = { status: 'ERROR' };
    expect(await callback(offer, 'guess', invoice(75_795_000))).toMatchObject(refused);
    expect(await callback(offer, offer.k1, invoice(75_796_000))).toMatchObject(refused);
    expect(await callback(offer, offer.k1, invoice(75_794_000))).toMatchObject(refused);
    const expired = invoice(75_795_000);
    await world.clock.advance(600_000);
    expect(await callback(offer, offer.k1, expired)).toMatchObject(refused);
    expect(await callback(offer, offer.k1, 'nonsense')).toMatchObject(refused);
    expect(await get(`${url}0`)).toMatchObject(refused);
    expect(await (await fetch(`${http.base}//`)).json()).toMatchObject(refused);
    expect(world.keeper.books()).toMatchObject({ balanceSats: 1_000_000, payouts: [] });
    expect(await callback(offer, offer.k1, invoice(75_795_000))).toEqual({ status: 'OK' });
  });

  it('offers no deleted link', async () => {
    const { world, get, url } = await setUp();
    world.keeper.deleteLink(url);
    expect(await get(url)).toEqual({ status: 'ERROR', reason: 'Withdraw link does not exist.' });
  });
});
