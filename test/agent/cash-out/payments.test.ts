/** What proves a payment, what does not, and who hears of a late one. */
import { expect, test } from 'vitest';
import { conclude } from '#agent/cash-out/conclude.ts';
import { invoice } from '#agent/cash-out/invoice.ts';
import { invoiceOf, Payments } from '#agent/cash-out/payments.ts';
import type { Plan } from '#agent/machines/cash-out.ts';
import { type PartsOptions, type TestParts, testParts } from '#test/support/parts.ts';
import { invoiced, owedMinor, paid, reserved, type ScriptedWallet, scriptWallet } from './rig.ts';

interface Sale {
  readonly parts: TestParts;
  readonly wallet: ScriptedWallet;
  readonly plan: Plan;
  readonly payments: Payments;
}

async function sale(options: PartsOptions = {}): Promise<Sale> {
  const parts = await testParts(options);
  const wallet = scriptWallet(parts);
  const plan = await invoiced(parts, 7_000);
  return { parts, wallet, plan, payments: new Payments(parts) };
}

const STAYS = new AbortController().signal;
const obligations = ({ parts, plan }: Sale) =>
  parts.store.obligations.forTransaction(plan.transactionId);
const payment = ({ parts, plan }: Sale) =>
  parts.store.intents.forTransaction(plan.transactionId).find(({ kind }) => kind === 'payment');
const unnamed: PartsOptions = {
  parts: { walletWatch: { balance: async () => 0, named: () => false } },
};

test('asked at 2, 3 and 5 s, then every 10 s', async () => {
  const { parts, plan, payments } = await sale();
  const from = parts.clock.monotonic();
  const at: number[] = [];
  const { answer } = parts.rpc;
  parts.rpc.answer = (rpcName, body) => {
    at.push(parts.clock.monotonic() - from);
    return answer(rpcName, body);
  };
  const waiting = payments.wait(plan.transactionId, STAYS);
  await parts.clock.advance(31_000);
  expect(at).toEqual([2_000, 5_000, 10_000, 20_000, 30_000]);
  payments.close();
  await expect(waiting).rejects.toThrow();
});

test.each([
  ['our wallet and our preimage', paid()],
  ['a zero preimage, as LNbits gives inside one server', paid({}, '00'.repeat(32))],
  ['no preimage', { paid: true, details: { wallet_id: 'wallet-1' } }],
  ['no wallet named, which get_wallet has proven', paid({ wallet_id: null })],
  ['at least the amount', paid({ amount: 77_845_000 })],
])('proven: %s', async (_, state) => {
  const made = await sale();
  made.wallet.payment = state;
  const waiting = made.payments.wait(made.plan.transactionId, STAYS);
  expect(await made.parts.clock.resolve(waiting)).toEqual({ kind: 'paid' });
  expect(payment(made)).toMatchObject({ state: 'settled', outcome: 'paid' });
  expect(obligations(made)).toEqual([]);
  expect(invoiceOf(made.parts.store, made.plan.transactionId)).toBeUndefined();
});

test.each<[string, unknown, PartsOptions]>([
  ['another preimage', paid({}, '33'.repeat(32)), {}],
  ['another wallet', paid({ wallet_id: 'wallet-2' }), {}],
  ['too little', paid({ amount: 77_844_000 }), {}],
])('held as an obligation, and nothing is dispensed: %s', async (_, state, options) => {
  const made = await sale(options);
  made.wallet.payment = state;
  const waiting = made.payments.wait(made.plan.transactionId, STAYS);
  expect(await made.parts.clock.resolve(waiting)).toMatchObject({ kind: 'held' });
  // Not open: the code is not good for it before the operator has judged it.
  const doubtful = { kind: 'latePayment', state: 'unknown', amountMinor: 7_000 };
  expect(obligations(made)).toMatchObject([doubtful]);
});

test('a payment that nobody names, in a wallet that nobody named, is held', async () => {
  let isNamed = true;
  const made = await sale({
    parts: { walletWatch: { balance: async () => 0, named: () => isNamed } },
  });
  isNamed = false;
  made.wallet.payment = paid({ wallet_id: null });
  const waiting = made.payments.wait(made.plan.transactionId, STAYS);
  expect(await made.parts.clock.resolve(waiting)).toMatchObject({ kind: 'held' });
});

test.each([
  ['not paid', { paid: false }],
  ['paid, but the payment is pending', paid({ status: 'pending' })],
  ['about another payment', paid({ payment_hash: '44'.repeat(32) })],
  ['nothing that can be read', { paid: 'yes' }],
  ['silence', undefined],
])('no payment: %s', async (_, state) => {
  const made = await sale();
  made.wallet.payment = state;
  const waiting = made.payments.wait(made.plan.transactionId, STAYS);
  expect(await made.parts.clock.resolve(waiting)).toMatchObject({ kind: 'expired' });
  expect(payment(made)?.state).toBe('open');
  made.payments.close();
});

test('paid after the cancelling, between two questions: owed, and the code stays', async () => {
  const made = await sale();
  const { parts, plan, payments, wallet } = made;
  const cancelled = new AbortController();
  const waiting = payments.wait(plan.transactionId, cancelled.signal);
  await parts.clock.advance(1_000);
  cancelled.abort(new Error('cancelled'));
  await expect(waiting).rejects.toThrow('cancelled');
  const input = { kind: 'sale' } as const;
  await conclude(parts, { ...plan, end: 'cancelled', input, remainderMinor: 0 });
  wallet.payment = paid();
  await parts.clock.advance(31_000);
  expect(obligations(made)).toMatchObject([{ kind: 'latePayment', amountMinor: 7_000 }]);
  expect(parts.store.secrets.get(plan.transactionId, 'claimCode')).toBeDefined();
});

test('a start asks again for what was open, and owes what was paid meanwhile', async () => {
  const made = await sale();
  made.wallet.payment = paid();
  made.payments.close();
  new Payments(made.parts).resume();
  await made.parts.clock.advance(31_000);
  expect(obligations(made)).toMatchObject([{ kind: 'latePayment', amountMinor: 7_000 }]);
});

test('never paid: settled as lapsed ten minutes after its end, code and notes are free', async () => {
  const made = await sale();
  const { parts, plan, payments } = made;
  payments.resume();
  await parts.clock.advance(180_000 + 600_000 + 60_000);
  expect(payment(made)).toMatchObject({ state: 'settled', outcome: 'lapsed' });
  expect(parts.store.intents.listOpen()).toEqual([]);
  expect(parts.store.secrets.get(plan.transactionId, 'claimCode')).toBeUndefined();
  expect(owedMinor(parts, plan.transactionId)).toBe(0);
  expect(parts.clock.pending).toBeLessThan(5);
});

test('no QR for another wallet, and the machine says so', async () => {
  const parts = await testParts();
  scriptWallet(parts).invoice = { walletId: 'wallet-2' };
  const plan = await reserved(parts, 7_000);
  const outcome = await parts.clock.resolve(invoice(parts, plan));
  expect(outcome).toMatchObject({ kind: 'refused', notice: { code: 'walletMismatch' } });
  expect(parts.board.list('cashOut').map(({ code }) => code)).toEqual(['walletMismatch']);
  expect(parts.store.intents.listOpen('payment')).toEqual([]);
});

test('no QR when nobody names the wallet', async () => {
  const parts = await testParts(unnamed);
  const { answer } = scriptedWithoutId(parts);
  parts.rpc.answer = answer;
  const plan = await reserved(parts, 7_000);
  const outcome = await parts.clock.resolve(invoice(parts, plan));
  expect(outcome).toMatchObject({ kind: 'refused', notice: { code: 'walletMismatch' } });
});

function scriptedWithoutId(parts: TestParts): Pick<TestParts['rpc'], 'answer'> {
  scriptWallet(parts);
  const { answer } = parts.rpc;
  return {
    answer: async (rpcName, body) => {
      const said = await answer(rpcName, body);
      if (said.kind !== 'ok') return said;
      return { kind: 'ok', data: { ...(said.data as object), wallet_id: null } };
    },
  };
}

test.each([
  ['another amount', { amountMsat: 1_000 }],
  ['another hash', { paymentHash: '55'.repeat(32) }],
  ['no life left', { expiryMs: 10_000 }],
])('no QR for an invoice with %s', async (_, terms) => {
  const parts = await testParts();
  scriptWallet(parts).invoice = terms;
  const plan = await reserved(parts, 7_000);
  const outcome = await parts.clock.resolve(invoice(parts, plan));
  expect(outcome).toMatchObject({ kind: 'refused', notice: { code: 'invoice' } });
  expect(invoiceOf(parts.store, plan.transactionId)).toBeUndefined();
});

test('the journal has no bearer value: no invoice, no code', async () => {
  const { parts, plan } = await sale();
  const text = JSON.stringify(parts.store.journal.read({}));
  const code = parts.store.secrets.get(plan.transactionId, 'claimCode')?.reveal() ?? 'missing';
  expect(code.split(' ')).toHaveLength(5);
  expect(text).not.toContain(code);
  expect(text).not.toContain('lnbcrt');
  expect(text).toContain('"wireSats":77845');
});
