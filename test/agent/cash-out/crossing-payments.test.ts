/** Payments that cross something: the cancelling, a silent wallet, the end of the program. */
import { expect, test } from 'vitest';
import { conclude } from '#agent/cash-out/conclude.ts';
import { invoiceOf, Payments } from '#agent/cash-out/payments.ts';
import { saleOf } from '#agent/cash-out/sale.ts';
import type { Plan } from '#agent/machines/cash-out.ts';
import type { Parts } from '#agent/parts.ts';
import { SignerError } from '#protocol/signer/signer.ts';
import {
  invoiced,
  type MachineParts,
  machineParts,
  paid,
  preimageOf,
} from '#test/support/machine-parts.ts';

const owed = ({ store }: Parts) =>
  store.obligations.list().map(({ kind, amountMinor }) => ({ kind, amountMinor }));
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
  expect(owed(parts)).toEqual([{ kind: 'latePayment', amountMinor: 7_000 }]);
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
  expect(owed(parts)).toEqual([{ kind: 'latePayment', amountMinor: 7_000 }]);
  expect(invoiceOf(parts.store, plan.transactionId)).toBeUndefined();
});

test.each([
  ['the wallet knows of no such payment', 'Payment does not exist.', 0],
  ['the wallet fails for the moment', 'database is locked', 1],
])('refused for twenty minutes: %s', async (_, error, left) => {
  const parts = await machineParts();
  await invoiced(parts, 2_000);
  parts.rpc.answer = () => ({ kind: 'refused', error });
  new Payments(parts).resume();
  await parts.clock.advance(1_200_000);
  expect(openPayments(parts)).toBe(left);
  expect(owed(parts)).toEqual([]);
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
  // Followed behind the screen, where the fault ends the following until the next start.
  await parts.clock.advance(60_000);
  expect(openPayments(parts)).toBe(1);
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
  expect(owed(parts)).toEqual([{ kind: 'latePayment', amountMinor: 2_000 }]);
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
  const plan = await paid(parts, 2_000);
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
