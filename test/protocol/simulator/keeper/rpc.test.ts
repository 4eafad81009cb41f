import { createHash } from 'node:crypto';
import { decode } from 'light-bolt11-decoder';
import { describe, expect, it } from 'vitest';
import { KeeperWorld, LNURL_BASE } from '../keeper-world.ts';
import { RawIdentity } from '../raw-client.ts';

/** What a machine must say with an invoice. Source: bitspire-wire.md 6.4. */
const extra = {
  source: 'bitspire',
  type: 'cash_out',
  principal_sats: 82_386,
  fee_sats: 6_591,
  exchange_rate: 1213.8,
  currency: 'USD',
  txid: 'tx-1',
  bills: { 20: 5 },
  cassettes: { 1: 5 },
};

const invoiceBody = { amount: 88_977, memo: 'Cash 100 USD', expiry: 180, extra };

async function setUp() {
  const world = new KeeperWorld();
  world.keeper.fund(1_000_000);
  return { world, keeper: world.keeper, client: await world.client() };
}

describe('create_withdraw', () => {
  it('takes each fee leg by itself, half to even', async () => {
    const { world, keeper, client } = await setUp();
    const figures: [number, number, number, number][] = [
      [82_386, 0.03, 0.05, 2_472 + 4_119],
      [50, 0.05, 0.05, 2 + 2],
      [70, 0.05, 0.05, 4 + 4],
      [222_320, 0.05, 0.0277, 11_116 + 6_158],
      [1, 0.03, 0.05, 0],
    ];
    for (const [principal, superCashIn, operatorCashIn, fee] of figures) {
      keeper.setFees({ superCashIn, operatorCashIn });
      await world.data(client, 'create_withdraw', { principal_sats: principal });
      const link = keeper.books().withdrawLinks.at(-1);
      expect(link).toMatchObject({ principalSats: principal, feeSats: fee });
      expect(link?.netSats).toBe(principal - fee);
    }
  });

  it('stamps sender and event on the link, and gives the same address twice over', async () => {
    const { world, keeper, client } = await setUp();
    const request = client.event({ rpc_name: 'create_withdraw', body: { principal_sats: 10_000 } });
    const next = client.next();
    void client.publish(request);
    const { body } = await world.clock.resolve(next);
    const [link] = keeper.books().withdrawLinks;
    expect(body.data).toEqual({ lnurl: link?.lnurl, lnurl_url: link?.url });
    expect(link?.url.startsWith(`${LNURL_BASE}/withdraw/`)).toBe(true);
    expect(link?.extra).toEqual({
      source: 'bitspire',
      type: 'cash_in',
      principal_sats: 10_000,
      fee_sats: 800,
      nostr_sender_pubkey: world.spire.pubkey,
      nostr_event_id: request.id,
    });
  });

  it('has no cap for null, refuses all for 0, and above n otherwise', async () => {
    const { world, keeper, client } = await setUp();
    const ask = (principal: number) =>
      world.call(client, 'create_withdraw', { principal_sats: principal });
    expect(await ask(900_000)).toMatchObject({ status: 'OK' });
    keeper.setMaxCashInSats(0);
    expect(await ask(1)).toMatchObject({ status: 'ERROR', error: expect.any(String) });
    keeper.setMaxCashInSats(50_000);
    expect(await ask(50_000)).toMatchObject({ status: 'OK' });
    expect(await ask(50_001)).toMatchObject({
      error: 'Cash-in of 50001 sats exceeds max_cash_in_sats of 50000.',
    });
    expect(keeper.books().withdrawLinks).toHaveLength(2);
  });

  it.each([0, -1, 1.5, '100', undefined])('refuses a principal of %s', async (principal) => {
    const { world, keeper, client } = await setUp();
    const answer = await world.call(client, 'create_withdraw', { principal_sats: principal });
    expect(answer).toMatchObject({ status: 'ERROR' });
    expect(keeper.books().withdrawLinks).toEqual([]);
  });

  it('refuses when the balance does not cover the net', async () => {
    const { world, client } = await setUp();
    const ask = (principal: number) =>
      world.call(client, 'create_withdraw', { principal_sats: principal });
    expect(await ask(1_100_000)).toMatchObject({ error: 'Insufficient balance.' });
    expect(await ask(1_080_000)).toMatchObject({ status: 'OK' });
  });
});

describe('claiming', () => {
  it('pays a link once, and records the settlement', async () => {
    const { world, keeper, client } = await setUp();
    const { lnurl } = await world.data(client, 'create_withdraw', { principal_sats: 82_386 });
    expect(keeper.claim(String(lnurl))).toEqual({ ok: true, sats: 75_795 });
    expect(keeper.claim(String(lnurl))).toEqual({ ok: false, reason: 'Withdraw is spent.' });
    const books = keeper.books();
    expect(books.balanceSats).toBe(1_000_000 - 75_795);
    expect(books.withdrawLinks).toMatchObject([{ state: 'claimed' }]);
    expect(books.settlements).toMatchObject([
      { status: 'processed', txType: 'cash_in', wireSats: 75_795, feeSats: 6_591 },
    ]);
    expect(books.entries.reduce((sum, { sats }) => sum + sats, 0)).toBe(books.balanceSats);
  });

  it('shows the payout with the merged extra in list_payments', async () => {
    const { world, keeper, client } = await setUp();
    const { lnurl } = await world.data(client, 'create_withdraw', { principal_sats: 10_000 });
    keeper.claim(String(lnurl));
    const [link] = keeper.books().withdrawLinks;
    const list = await world.data(client, 'list_payments');
    expect(list).toMatchObject([
      {
        amount: -9_200_000,
        extra: {
          nostr_event_id: link?.eventId,
          tag: 'withdraw',
          withdrawal_link_id: link?.id,
        },
      },
    ]);
  });

  it('pays no deleted link, and none that the balance does not cover', async () => {
    const { world, keeper, client } = await setUp();
    const make = async (principal: number) => {
      const data = await world.data(client, 'create_withdraw', { principal_sats: principal });
      return String(data.lnurl);
    };
    const [big, second, deleted] = [await make(700_000), await make(700_000), await make(1_000)];
    expect(keeper.deleteLink(deleted)).toBe(true);
    expect(keeper.deleteLink(deleted)).toBe(false);
    expect(keeper.claim(deleted)).toMatchObject({ ok: false });
    expect(keeper.claim(big)).toMatchObject({ ok: true });
    expect(keeper.claim(second)).toEqual({ ok: false, reason: 'Insufficient balance.' });
    expect(keeper.books().withdrawLinks.map(({ state }) => state)).toEqual([
      'claimed',
      'open',
      'deleted',
    ]);
  });
});

describe('create_invoice', () => {
  it('gives a real signed invoice of the regtest network', async () => {
    const { world, client, keeper } = await setUp();
    const payment = await world.data(client, 'create_invoice', invoiceBody);
    const { sections } = decode(String(payment.bolt11));
    const section = (name: string) => sections.find((one) => one.name === name);
    expect(section('coin_network')).toMatchObject({ value: { bech32: 'bcrt' } });
    expect(section('amount')).toMatchObject({ value: '88977000' });
    expect(section('payment_hash')).toMatchObject({ value: payment.payment_hash });
    expect(section('expiry')).toMatchObject({ value: 180 });
    expect(section('timestamp')).toMatchObject({ value: world.nowSec() });
    expect(section('description')).toMatchObject({ value: 'Cash 100 USD' });
    expect(payment).toMatchObject({
      amount: 88_977_000,
      status: 'pending',
      preimage: null,
      wallet_id: keeper.walletId,
      extra: { ...extra, nostr_sender_pubkey: world.spire.pubkey },
    });
    const decoded = await world.data(client, 'decode_payment', { data: payment.bolt11 });
    expect(decoded).toMatchObject({ amount_msat: 88_977_000, expiry: 180 });
  });

  it('is paid with a preimage that hashes to the payment hash', async () => {
    const { world, keeper, client } = await setUp();
    const { payment_hash: hash } = await world.data(client, 'create_invoice', invoiceBody);
    const look = () => world.data(client, 'get_payment', { payment_hash: hash });
    expect(await look()).toMatchObject({ paid: false, preimage: null });
    expect(keeper.pay(String(hash))).toEqual({ ok: true, sats: 88_977 });
    expect(keeper.pay(String(hash))).toMatchObject({ ok: false });
    const { paid, preimage, details } = await look();
    expect(paid).toBe(true);
    const proof = createHash('sha256').update(Buffer.from(String(preimage), 'hex'));
    expect(proof.digest('hex')).toBe(hash);
    expect(details).toMatchObject({ status: 'success', wallet_id: keeper.walletId });
    expect(keeper.books()).toMatchObject({
      balanceSats: 1_088_977,
      settlements: [{ status: 'processed', txType: 'cash_out', principalSats: 82_386 }],
    });
  });

  it('gives a zero preimage for internal payments, or for all when told to', async () => {
    const { world, keeper, client } = await setUp();
    const paid = async (how: { internal: boolean }) => {
      const { payment_hash: hash } = await world.data(client, 'create_invoice', invoiceBody);
      keeper.pay(String(hash), how);
      const { preimage } = await world.data(client, 'get_payment', { payment_hash: hash });
      return preimage;
    };
    expect(await paid({ internal: true })).toBe('00'.repeat(32));
    expect(await paid({ internal: false })).not.toBe('00'.repeat(32));
    keeper.switches.zeroPreimages = true;
    expect(await paid({ internal: false })).toBe('00'.repeat(32));
    keeper.switches.foreignPreimages = true;
    expect(await paid({ internal: false })).toBe('ab'.repeat(32));
  });

  it('takes no payment after the expiry, unless it was under way', async () => {
    const { world, keeper, client } = await setUp();
    const { bolt11 } = await world.data(client, 'create_invoice', invoiceBody);
    await world.clock.advance(180_000);
    expect(keeper.pay(String(bolt11))).toEqual({ ok: false, reason: 'Invoice is expired.' });
    expect(keeper.pay(String(bolt11), { evenExpired: true })).toMatchObject({ ok: true });
  });

  it.each(Object.keys(extra))('rejects the settlement when extra lacks %s', async (key) => {
    const { world, keeper, client } = await setUp();
    const lacking = Object.fromEntries(Object.entries(extra).filter(([name]) => name !== key));
    const { payment_hash: hash } = await world.data(client, 'create_invoice', {
      ...invoiceBody,
      extra: lacking,
    });
    keeper.pay(String(hash));
    expect(keeper.books().settlements).toMatchObject([
      { status: 'rejected', paymentHash: hash, reason: expect.stringMatching(/\S/) },
    ]);
  });

  it('rejects the settlement when another machine of the roster made the invoice', async () => {
    const { world, keeper } = await setUp();
    const other = new RawIdentity();
    keeper.roster.add(other.pubkey);
    const client = await world.client(other);
    const { payment_hash: hash } = await world.data(client, 'create_invoice', invoiceBody);
    keeper.pay(String(hash));
    expect(keeper.books().settlements).toMatchObject([
      { status: 'rejected', reason: 'sender is not this machine' },
    ]);
  });

  it.each([
    [{ amount: 0 }],
    [{ amount: 10.5 }],
    [{ amount: 10, unit: 'EUR' }],
    [{ amount: 10, memo: 'x'.repeat(640) }],
  ])('refuses %j', async (body) => {
    const { world, keeper, client } = await setUp();
    expect(await world.call(client, 'create_invoice', body)).toMatchObject({ status: 'ERROR' });
    expect(keeper.books().invoices).toEqual([]);
  });
});

describe('wallets', () => {
  it('names the wallet and its payments, or not', async () => {
    const { world, keeper, client } = await setUp();
    expect(await world.data(client, 'get_wallet')).toEqual({
      id: keeper.walletId,
      name: 'bitSpire',
      balance: 1_000_000_000,
    });
    keeper.switches.nameWallet = false;
    keeper.switches.namePaymentWallet = false;
    expect(await world.data(client, 'get_wallet')).not.toHaveProperty('id');
    const payment = await world.data(client, 'create_invoice', invoiceBody);
    expect(payment).not.toHaveProperty('wallet_id');
  });

  it('lets a machine that fell off the roster take money into another wallet (9.1)', async () => {
    const { world, keeper, client } = await setUp();
    keeper.roster.delete(world.spire.pubkey);
    const { id } = await world.data(client, 'get_wallet');
    expect(id).not.toBe(keeper.walletId);
    const { payment_hash: hash } = await world.data(client, 'create_invoice', invoiceBody);
    keeper.pay(String(hash));
    expect(await world.data(client, 'get_payment', { payment_hash: hash })).toMatchObject({
      paid: true,
      details: { wallet_id: id },
    });
    expect(keeper.books()).toMatchObject({ balanceSats: 1_000_000, settlements: [] });
    expect(keeper.books(world.spire.pubkey)).toMatchObject({
      walletId: id,
      balanceSats: 88_977,
      settlements: [],
    });
    const withdraw = await world.call(client, 'create_withdraw', { principal_sats: 1_000 });
    expect(withdraw).toMatchObject({ error: 'No active machine for this sender.' });
  });

  it('refuses or ignores who is on no roster when told to', async () => {
    const { world, keeper } = await setUp();
    const stranger = await world.client(new RawIdentity());
    keeper.switches.unknownSender = 'refuse';
    expect(await world.call(stranger, 'get_wallet')).toMatchObject({ error: 'not_in_roster' });
    keeper.switches.unknownSender = 'silent';
    void stranger.call('get_wallet');
    await world.clock.advance(60_000);
    expect(stranger.answers).toHaveLength(1);
  });

  it('refuses another wallet, no wallet when it wants one, and paying out', async () => {
    const { world, keeper, client } = await setUp();
    const words = 'Wallet access required (provide wallet_id)';
    const other = await world.call(client, 'get_wallet', {}, { wallet_id: 'ab'.repeat(16) });
    expect(other.error).toBe(words);
    keeper.switches.requireWalletId = true;
    expect((await world.call(client, 'get_wallet')).error).toBe(words);
    const named = await world.call(client, 'get_wallet', {}, { wallet_id: keeper.walletId });
    expect(named.status).toBe('OK');
    keeper.switches.requireWalletId = false;
    expect((await world.call(client, 'pay_invoice', { bolt11: 'x' })).error).toBe(
      'Admin key required.',
    );
  });

  it('pages through payments of both directions, newest first', async () => {
    const { world, keeper, client } = await setUp();
    for (let count = 1; count <= 4; count++) {
      await world.data(client, 'create_invoice', { amount: count });
      const link = await world.data(client, 'create_withdraw', { principal_sats: 100 * count });
      keeper.claim(String(link.lnurl));
      await world.clock.advance(10_000);
    }
    const amounts = async (body: unknown) => {
      const list: unknown = await world.data(client, 'list_payments', body);
      return (list as { amount: number }[]).map(({ amount }) => amount);
    };
    const all = await amounts({});
    expect(all).toHaveLength(8);
    expect(all.slice(0, 2)).toEqual([-368_000, 4_000]);
    expect(await amounts({ limit: 3, offset: 2 })).toEqual(all.slice(2, 5));
  });

  it('goes on with its books, fees, cap and wallets after a restart', async () => {
    const { world, keeper, client } = await setUp();
    const { lnurl } = await world.data(client, 'create_withdraw', { principal_sats: 10_000 });
    const { payment_hash: hash } = await world.data(client, 'create_invoice', invoiceBody);
    await world.data(await world.client(new RawIdentity()), 'get_wallet');
    keeper.setFees({ superCashIn: 0.01 });
    keeper.setMaxCashInSats(5_000);
    const state = JSON.parse(JSON.stringify(keeper.state));
    const again = new KeeperWorld(state);
    expect(again.keeper.books()).toEqual(keeper.books());
    expect(again.keeper.state).toEqual(keeper.state);
    expect(again.keeper.claim(String(lnurl))).toEqual({ ok: true, sats: 9_200 });
    expect(again.keeper.pay(String(hash))).toEqual({ ok: true, sats: 88_977 });
  });
});
