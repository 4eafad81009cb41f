import { describe, expect, test } from 'vitest';
import { silentLog } from '#protocol/base/log.ts';
import { sats } from '#protocol/base/money.ts';
import { verifySignature } from '#protocol/relay/verify.ts';
import { cashOutExtra } from '#protocol/rpc/dialect.ts';
import type { RpcAnswer } from '#protocol/rpc/rpc.ts';
import { findPayout, Wallet, type WalletPayment } from '#protocol/rpc/wallet.ts';
import { SignerError } from '#protocol/signer/signer.ts';
import { MemoryNetwork } from '#protocol/simulator/memory-network.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { makeKeeper, makeWallet } from './keeper-rig.ts';
import { makeRig, makeSigner } from './rig.ts';

function makeWorld() {
  const clock = new VirtualClock();
  const network = new MemoryNetwork({ clock, verify: verifySignature });
  const signer = makeSigner(clock);
  const keeper = makeKeeper(clock, network.client(), signer.pubkey);
  const { rpc, wallet } = makeWallet(clock, network.client(), signer, keeper);
  return { clock, network, signer, keeper, rpc, wallet };
}

type World = ReturnType<typeof makeWorld>;

const invoice = {
  wireSats: sats(240_107),
  memo: 'bitSpire',
  expirySeconds: 180,
  extra: cashOutExtra({
    principalSats: 222_321,
    feeSats: 17_786,
    exchangeRate: 90_000,
    currency: 'USD',
    transactionId: 'ab'.repeat(16),
    bills: [{ position: 1, denomination: 20, count: 10 }],
    cassettes: [{ position: 1, denomination: 20, count: 100 }],
  }),
};

/** Sends a withdraw and gathers what comes. */
async function withdraw({ wallet, rpc, clock }: World, principal: number) {
  const call = await wallet.prepareWithdraw(sats(principal));
  const answers: RpcAnswer[] = [];
  rpc.watch(call, (answer) => answers.push(answer));
  void rpc.publish(call);
  await clock.advance(1_000);
  return { call, answers, read: answers.map((answer) => wallet.readWithdraw(answer)) };
}

describe('reads', () => {
  test('the balance, and the wallet id where the server names it', async () => {
    const { clock, keeper, wallet } = makeWorld();
    keeper.fund(123_456);
    const named = { walletId: keeper.walletId, balanceSats: 123_456 };
    expect(await clock.resolve(wallet.getWallet())).toEqual({ kind: 'ok', value: named });
    keeper.switches.nameWallet = false;
    const unnamed = { walletId: undefined, balanceSats: 123_456 };
    expect(await clock.resolve(wallet.getWallet())).toEqual({ kind: 'ok', value: unnamed });
  });

  test('whichever key correlates', async () => {
    const { clock, keeper, wallet } = makeWorld();
    for (const [echoId, eTag] of [
      [true, false],
      [false, true],
    ] as const) {
      Object.assign(keeper.switches, { echoId, eTag });
      expect(await clock.resolve(wallet.getWallet())).toMatchObject({ kind: 'ok' });
    }
    Object.assign(keeper.switches, { echoId: false, eTag: false });
    expect(await clock.resolve(wallet.getWallet())).toEqual({ kind: 'unanswered' });
  });

  test('survive one lost answer, and not two', async () => {
    const { clock, keeper, wallet } = makeWorld();
    keeper.switches.dropAnswers = 1;
    expect(await clock.resolve(wallet.getWallet())).toMatchObject({ kind: 'ok' });
    keeper.switches.dropAnswers = 2;
    expect(await clock.resolve(wallet.getWallet())).toEqual({ kind: 'unanswered' });
  });

  test('tell a refusal with its cause and words', async () => {
    const { clock, keeper, wallet } = makeWorld();
    keeper.switches.refuse = () => 'rate_limited';
    const refused = { kind: 'refused', cause: 'rateLimited', words: 'rate_limited' };
    expect(await clock.resolve(wallet.getWallet())).toEqual(refused);
  });

  test('tell a shape that is not known, without its values', async () => {
    const { client, clock, server } = makeRig();
    server.onRequest = (request) => server.ok(request, { balance: 'LNURL1SECRET' });
    const wallet = new Wallet({ rpc: client, clock, log: silentLog, walletId: 'w1' });
    const answer = await clock.resolve(wallet.getWallet());
    expect(answer).toEqual({ kind: 'malformed', reason: 'balance: invalid_type' });
  });

  test('of a payment refuse one of another hash', async () => {
    const { client, clock, server } = makeRig();
    const details = { payment_hash: 'cd'.repeat(32), status: 'success', amount: 1_000 };
    server.onRequest = (request) => server.ok(request, { paid: true, details });
    const wallet = new Wallet({ rpc: client, clock, log: silentLog, walletId: 'w1' });
    const answer = await clock.resolve(wallet.getPayment('ab'.repeat(32)));
    expect(answer.kind).toBe('malformed');
  });

  test('of a list pass over entries that cannot be read', async () => {
    const { client, clock, server } = makeRig();
    const good = { payment_hash: 'ab'.repeat(32), amount: -1_500, status: 'success' };
    const list = [{ payment_hash: 'x' }, good, null, { ...good, amount: 1e300 }];
    server.onRequest = (request) => server.ok(request, list);
    const wallet = new Wallet({ rpc: client, clock, log: silentLog, walletId: 'w1' });
    const answer = await clock.resolve(wallet.listPayments());
    expect(answer).toMatchObject({ kind: 'ok', value: [{ direction: 'out', amountSats: 1 }] });
  });
});

describe('an invoice', () => {
  test('is made, paid, and settles at the operator', async () => {
    const { clock, keeper, wallet } = makeWorld();
    const made = await clock.resolve(wallet.createInvoice(invoice));
    if (made.kind !== 'ok') throw new Error(made.kind);
    expect(made.value.walletId).toBe(keeper.walletId);
    expect(made.value.bolt11).toMatch(/^lnbcrt/);
    const { paymentHash } = made.value;
    const before = await clock.resolve(wallet.getPayment(paymentHash));
    expect(before).toMatchObject({ kind: 'ok', value: { paid: false } });
    keeper.pay(paymentHash);
    expect(await clock.resolve(wallet.getPayment(paymentHash))).toMatchObject({
      kind: 'ok',
      value: { paid: true, walletId: keeper.walletId, amountSats: 240_107 },
    });
    const [settlement] = keeper.books().settlements;
    expect(settlement).toMatchObject({ status: 'processed', txType: 'cash_out', feeSats: 17_786 });
    const listed = await clock.resolve(wallet.listPayments());
    expect(listed).toMatchObject({ kind: 'ok', value: [{ paymentHash, direction: 'in' }] });
  });

  test('is asked for once, and a late answer is nobody’s', async () => {
    const { clock, keeper, wallet } = makeWorld();
    keeper.switches.answerDelayMs = 25_000;
    const answer = await clock.resolve(wallet.createInvoice(invoice));
    expect(answer).toEqual({ kind: 'unanswered' });
    await clock.advance(60_000);
    expect(keeper.books().invoices).toHaveLength(1);
  });
});

describe('a withdraw', () => {
  test('is a link for principal less fees, and its payout is found', async () => {
    const world = makeWorld();
    const { keeper, clock, wallet } = world;
    keeper.fund(1_000_000);
    const { call, read } = await withdraw(world, 82_386);
    const [link] = read;
    if (link?.kind !== 'link') throw new Error('no link');
    expect(link.lnurl).toMatch(/^LNURL1/);
    expect(link.lnurlUrl).toMatch(/^https:\/\/keeper\.example\//);
    expect(keeper.claim(link.lnurl)).toEqual({ ok: true, sats: 75_795 });
    const listed = await clock.resolve(wallet.listPayments());
    if (listed.kind !== 'ok') throw new Error(listed.kind);
    const payout = findPayout(listed.value, call.event.id);
    expect(payout).toMatchObject({ amountSats: 75_795, direction: 'out', status: 'success' });
    expect(findPayout(listed.value, 'ff'.repeat(32))).toBeUndefined();
  });

  test('answered twice is told twice', async () => {
    const world = makeWorld();
    world.keeper.fund(1_000_000);
    world.keeper.switches.answerTwice = true;
    const { read } = await withdraw(world, 10_000);
    expect(read.map(({ kind }) => kind)).toEqual(['link', 'link']);
  });

  test('refused tells why, and the cap when the words carry one', async () => {
    const world = makeWorld();
    world.keeper.setMaxCashInSats(400_000);
    expect((await withdraw(world, 500_000)).read).toMatchObject([
      { kind: 'refused', cause: 'cap', capSats: 400_000 },
    ]);
    expect((await withdraw(world, 10_000)).read).toMatchObject([
      { kind: 'refused', cause: 'balance' },
    ]);
    world.keeper.setMaxCashInSats(0);
    expect((await withdraw(world, 1)).read).toMatchObject([{ cause: 'cap', capSats: 0 }]);
  });

  test('without a link in its answer is malformed', () => {
    const { wallet } = makeWorld();
    expect(wallet.readWithdraw({ kind: 'ok', data: { id: 'l1' } }).kind).toBe('malformed');
    expect(wallet.readWithdraw({ kind: 'ok', data: null }).kind).toBe('malformed');
  });

  test('is not prepared by a signer that does not sign', async () => {
    const { wallet, signer } = makeWorld();
    const refused = new SignerError({ kind: 'refused', reason: 'revoked' }, 'sign_event');
    signer.sign = () => Promise.reject(refused);
    await expect(wallet.prepareWithdraw(sats(1))).rejects.toBe(refused);
    await expect(wallet.createInvoice(invoice)).rejects.toBe(refused);
  });
});

test('a payout counts only when it went out and succeeded', () => {
  const payment: WalletPayment = {
    paymentHash: 'ab'.repeat(32),
    direction: 'out',
    amountSats: sats(1),
    status: 'success',
    nostrEventId: 'e1',
  };
  expect(findPayout([payment], 'e1')).toBe(payment);
  expect(findPayout([{ ...payment, status: 'pending' }], 'e1')).toBeUndefined();
  expect(findPayout([{ ...payment, direction: 'in' }], 'e1')).toBeUndefined();
});
