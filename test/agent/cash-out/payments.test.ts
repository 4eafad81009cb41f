/** What proves a payment, what does not, who hears of a late one, and what crosses what. */
import { expect, test } from 'vitest';
import { conclude } from '#agent/cash-out/conclude.ts';
import { invoiceOf, Payments } from '#agent/cash-out/payments.ts';
import { saleOf } from '#agent/cash-out/sale.ts';
import type { Plan } from '#agent/machines/cash-out.ts';
import type { Parts } from '#agent/parts.ts';
import { SignerError } from '#protocol/signer/signer.ts';
import { type PartsOptions, WALLET_ID } from '#test/support/parts.ts';
import {
  hashOf,
  invoiced,
  type MachineParts,
  machineParts,
  owed,
  paid as paidSale,
  preimageOf,
} from './rig.ts';

interface Sale {
  readonly parts: MachineParts;
  readonly plan: Plan;
  readonly payments: Payments;
}

async function sale(options: PartsOptions = {}): Promise<Sale> {
  const parts = await machineParts(options);
  const plan = await invoiced(parts, 7_000);
  return { parts, plan, payments: new Payments(parts) };
}

const PREIMAGE = preimageOf(1);
/** What the wallet says of the first invoice when it is paid. */
const paid = (details: Readonly<Record<string, unknown>> = {}, preimage = PREIMAGE) => ({
  paid: true,
  preimage,
  details: { payment_hash: hashOf(PREIMAGE), wallet_id: WALLET_ID, ...details },
});

const STAYS = new AbortController().signal;
const obligations = ({ parts, plan }: Sale) =>
  parts.store.obligations.forTransaction(plan.transactionId);
const payment = ({ parts, plan }: Sale) =>
  parts.store.intents.forTransaction(plan.transactionId).find(({ kind }) => kind === 'payment');
const openPayments = ({ store }: Parts) => store.intents.listOpen('payment').length;
const cancel = (parts: Parts, { transactionId }: Plan) =>
  conclude(parts, {
    transactionId,
    end: 'cancelled',
    input: { kind: 'sale' },
    remainderMinor: 0,
  });
const payNow = (parts: MachineParts) => {
  parts.says.payment = { paid: true, preimage: preimageOf(parts.says.invoices) };
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
  made.parts.says.payment = state;
  const waiting = made.payments.wait(made.plan.transactionId, STAYS);
  expect(await made.parts.clock.resolve(waiting)).toEqual({ kind: 'paid' });
  expect(payment(made)).toMatchObject({ state: 'settled', outcome: 'paid' });
  expect(obligations(made)).toEqual([]);
  expect(invoiceOf(made.parts.store, made.plan.transactionId)).toBeUndefined();
});

test.each([
  ['another preimage', paid({}, '33'.repeat(32))],
  ['another wallet', paid({ wallet_id: 'wallet-2' })],
  ['too little', paid({ amount: 77_844_000 })],
])('held as an obligation, and nothing is dispensed: %s', async (_, state) => {
  const made = await sale();
  made.parts.says.payment = state;
  const waiting = made.payments.wait(made.plan.transactionId, STAYS);
  expect(await made.parts.clock.resolve(waiting)).toMatchObject({ kind: 'held' });
  // Not open: the code is not good for it before the operator has judged it.
  const doubtful = { kind: 'doubtfulPayment', state: 'unknown', amountMinor: 7_000 };
  expect(obligations(made)).toMatchObject([doubtful]);
  const { transactionId } = made.plan;
  const input = { kind: 'sale' } as const;
  await conclude(made.parts, { transactionId, end: 'needsOperator', input, remainderMinor: 0 });
  expect(owed(made.parts)).toEqual([doubtful]);
  expect(made.parts.store.secrets.get(transactionId, 'claimCode')).toBeDefined();
});

test('a payment that nobody names, in a wallet that nobody named, is held', async () => {
  let isNamed = true;
  const made = await sale({
    parts: { walletWatch: { balance: async () => 0, named: () => isNamed } },
  });
  isNamed = false;
  made.parts.says.payment = paid({ wallet_id: null });
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
  made.parts.says.payment = state;
  const waiting = made.payments.wait(made.plan.transactionId, STAYS);
  expect(await made.parts.clock.resolve(waiting)).toMatchObject({ kind: 'expired' });
  expect(payment(made)?.state).toBe('open');
  made.payments.close();
});

test('paid after the cancelling, between two questions: owed, and the code stays', async () => {
  const made = await sale();
  const { parts, plan, payments } = made;
  const cancelled = new AbortController();
  const waiting = payments.wait(plan.transactionId, cancelled.signal);
  await parts.clock.advance(1_000);
  cancelled.abort(new Error('cancelled'));
  await expect(waiting).rejects.toThrow('cancelled');
  const input = { kind: 'sale' } as const;
  await conclude(parts, { ...plan, end: 'cancelled', input, remainderMinor: 0 });
  parts.says.payment = paid();
  await parts.clock.advance(31_000);
  expect(obligations(made)).toMatchObject([{ kind: 'latePayment', amountMinor: 7_000 }]);
  expect(parts.store.secrets.get(plan.transactionId, 'claimCode')).toBeDefined();
});

test('a start asks again for what was open, and owes what was paid meanwhile', async () => {
  const made = await sale();
  made.parts.says.payment = paid();
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
  expect(owed(parts)).toEqual([]);
  expect(parts.clock.pending).toBeLessThan(5);
});

/** A wallet that answers only when told to. */
function holdAnswers(parts: MachineParts): () => void {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { answer } = parts.rpc;
  parts.rpc.answer = async (...call) => {
    await promise;
    return answer(...call);
  };
  return resolve;
}

test('cancelled while the question is on its way, then paid: it is owed', async () => {
  const parts = await machineParts();
  const plan = await invoiced(parts, 7_000);
  const release = holdAnswers(parts);
  const stop = new AbortController();
  const payments = new Payments(parts);
  const waited = payments.wait(plan.transactionId, stop.signal);
  await parts.clock.advance(2_100);
  stop.abort(new Error('cancelled'));
  await cancel(parts, plan);
  payNow(parts);
  release();
  await parts.clock.resolve(waited);
  expect(owed(parts)).toMatchObject([{ kind: 'latePayment', amountMinor: 7_000 }]);
  expect(saleOf(parts, plan.transactionId)).toMatchObject({ state: 'owed', outcome: 'owed' });
  expect(invoiceOf(parts.store, plan.transactionId)).toBeUndefined();
});

test('a wallet silent for an hour ends no invoice; its word after that counts', async () => {
  const parts = await machineParts();
  const plan = await invoiced(parts, 7_000);
  const { answer } = parts.rpc;
  const payments = new Payments(parts);
  parts.rpc.answer = () => ({ kind: 'unanswered' });
  payments.resume();
  await parts.clock.advance(3_600_000);
  expect(openPayments(parts)).toBe(1);
  parts.rpc.answer = answer;
  payNow(parts);
  await parts.clock.advance(601_000);
  expect(owed(parts)).toMatchObject([{ kind: 'latePayment', amountMinor: 7_000 }]);
  expect(invoiceOf(parts.store, plan.transactionId)).toBeUndefined();
});

test.each([
  ['the wallet knows of no such payment', 'Payment does not exist.', 0],
  ['the wallet fails for the moment', 'database is locked', 1],
  ['words that nobody knows', 'Internal server error.', 1],
  ['words around those that prove it', 'Cache miss: payment does not exist. Try again.', 1],
  ['no words', '', 1],
])('refused for twenty minutes: %s', async (_, error, left) => {
  const parts = await machineParts();
  await invoiced(parts, 2_000);
  parts.rpc.answer = () => ({ kind: 'refused', error });
  new Payments(parts).resume();
  await parts.clock.advance(1_200_000);
  expect(openPayments(parts)).toBe(left);
  expect(owed(parts)).toEqual([]);
});

test('never heard about: asked six times an hour, also by later starts, until it is', async () => {
  const parts = await machineParts();
  await invoiced(parts, 7_000);
  const { answer } = parts.rpc;
  const asked = () => parts.rpc.asked.filter(({ rpcName }) => rpcName === 'get_payment').length;
  parts.rpc.answer = () => ({ kind: 'refused', error: 'Internal server error.' });
  for (let start = 0; start < 3; start++) {
    const payments = new Payments(parts);
    payments.resume();
    await parts.clock.advance(start === 0 ? 780_000 : 0);
    const before = asked();
    await parts.clock.advance(3_600_000);
    expect(asked() - before).toBeLessThanOrEqual(8);
    expect(asked() - before).toBeGreaterThanOrEqual(6);
    payments.close();
    expect(openPayments(parts)).toBe(1);
  }
  parts.rpc.answer = answer;
  payNow(parts);
  new Payments(parts).resume();
  await parts.clock.advance(31_000);
  expect(owed(parts)).toMatchObject([{ kind: 'latePayment', amountMinor: 7_000, state: 'open' }]);
});

test('a signer that is silent for a while delays; another fault ends the waiting', async () => {
  const parts = await machineParts();
  const plan = await invoiced(parts, 2_000);
  const silent = new SignerError({ kind: 'silent', reason: 'x' }, 'y');
  const { answer } = parts.rpc;
  parts.rpc.answer = () => Promise.reject(silent);
  const payments = new Payments(parts);
  const waited = payments.wait(plan.transactionId, new AbortController().signal);
  await parts.clock.advance(12_000);
  parts.rpc.answer = answer;
  payNow(parts);
  expect(await parts.clock.resolve(waited)).toEqual({ kind: 'paid' });

  const other = await invoiced(parts, 2_000);
  parts.rpc.answer = () => Promise.reject(new Error('a bug'));
  const broken = payments.wait(other.transactionId, new AbortController().signal);
  await expect(parts.clock.resolve(broken)).rejects.toThrow('a bug');
  // Followed behind the screen, where a fault is only a question without an answer.
  await parts.clock.advance(60_000);
  expect(openPayments(parts)).toBe(1);
  parts.rpc.answer = answer;
  payNow(parts);
  await parts.clock.advance(31_000);
  expect(owed(parts)).toMatchObject([{ kind: 'latePayment', amountMinor: 2_000 }]);
});

test('the program ends while the question is on its way: nothing is settled', async () => {
  const parts = await machineParts();
  const plan = await invoiced(parts, 2_000);
  const release = holdAnswers(parts);
  const payments = new Payments(parts);
  const waited = payments.wait(plan.transactionId, new AbortController().signal);
  waited.catch(() => undefined);
  await parts.clock.advance(2_100);
  payments.close();
  payNow(parts);
  release();
  await expect(parts.clock.resolve(waited)).rejects.toThrow('closed');
  expect(openPayments(parts)).toBe(1);
  const next = new Payments(parts);
  next.resume();
  next.resume();
  await parts.clock.advance(31_000);
  expect(owed(parts)).toMatchObject([{ kind: 'latePayment', amountMinor: 2_000 }]);
  // Following ends with the program.
  await invoiced(parts, 2_000);
  parts.says.payment = { paid: false };
  next.resume();
  next.close();
  await parts.clock.advance(60_000);
  expect(openPayments(parts)).toBe(1);
});

test('a payment that was settled by someone else is not for the session that waits', async () => {
  const parts = await machineParts();
  const plan = await paidSale(parts, 2_000);
  const waited = new Payments(parts).wait(plan.transactionId, new AbortController().signal);
  expect(await parts.clock.resolve(waited)).toMatchObject({ kind: 'held' });
  const other = await invoiced(parts, 2_000);
  const release = holdAnswers(parts);
  const late = new Payments(parts).wait(other.transactionId, new AbortController().signal);
  await parts.clock.advance(2_100);
  const [intent] = parts.store.intents.listOpen('payment');
  if (intent) parts.store.commit(() => parts.store.intents.settle(intent.id, 'lapsed', {}));
  release();
  expect(await parts.clock.resolve(late)).toMatchObject({
    kind: expect.stringMatching(/held|expired/),
  });
  expect(owed(parts)).toEqual([]);
});
