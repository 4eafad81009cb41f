/** A claim that is cut while it is redeemed: open again, redeemed, or owed once (design 7.7, 8). */
import { expect, test } from 'vitest';
import { dispenseBatch } from '#agent/cash-out/dispense-batch.ts';
import { redeem } from '#agent/cash-out/redeem.ts';
import type { TransactionId } from '#protocol/base/ids.ts';
import { minorUnits } from '#protocol/base/money.ts';
import { cutAt, type MachineParts, machineParts, paid, recover, recovery } from './rig.ts';

const AMOUNT = 4_000;

async function claimed(parts: MachineParts) {
  const { transactionId } = await paid(parts, AMOUNT);
  const { store, clock } = parts;
  const reference = store.transactions.get(transactionId)?.reference;
  if (reference === undefined) throw new Error('no sale');
  const obligation = store.commit(() => {
    store.transactions.update(transactionId, { outcome: 'owed', endedAtUnixMs: clock.now() });
    return store.obligations.insert({
      transactionId,
      reference,
      kind: 'latePayment',
      amountMinor: minorUnits(AMOUNT),
      currency: 'USD',
      body: {},
    });
  });
  const taken = await redeem(parts, {
    kind: 'redeem',
    transactionId,
    obligationId: obligation.id,
  });
  if (taken.kind !== 'reserved') throw new Error('refused');
  return { transactionId, plan: taken.plan };
}

const states = (parts: MachineParts, transactionId: TransactionId) =>
  parts.store.obligations
    .forTransaction(transactionId)
    .map(({ kind, state, amountMinor }) => `${kind} ${state} ${amountMinor}`);

test('cut between taking the claim and its command: it is open again', async () => {
  const parts = await machineParts();
  const { transactionId, plan } = await claimed(parts);
  await expect(parts.clock.resolve(dispenseBatch(cutAt(parts, 1), plan))).rejects.toThrow('cut');
  await recover(parts);
  expect(states(parts, transactionId)).toEqual(['latePayment open 4000']);
  expect(parts.dispenserDevice.truth().customer).toEqual({});
});

test('cut after the command, proven handed out: the claim is redeemed, once', async () => {
  const parts = await machineParts();
  const { transactionId, plan } = await claimed(parts);
  await expect(parts.clock.resolve(dispenseBatch(cutAt(parts, 2), plan))).rejects.toThrow('cut');
  await recover(parts);
  expect(parts.dispenserDevice.truth().customer).toEqual({ 20: 2 });
  expect(states(parts, transactionId)).toEqual(['latePayment redeemed 4000']);
  await recover(parts);
  expect(states(parts, transactionId)).toEqual(['latePayment redeemed 4000']);
});

test('cut after the command, not known: owed once, and not redeemable', async () => {
  const parts = await machineParts({ device: { memory: 'lost' } });
  const { transactionId, plan } = await claimed(parts);
  parts.dispenserDevice.control({ do: 'fault', name: 'powerCutBeforeResponse' });
  await expect(parts.clock.resolve(dispenseBatch(cutAt(parts, 2), plan))).rejects.toThrow('cut');
  await recover(parts);
  expect(states(parts, transactionId)).toEqual([
    'latePayment settled 4000',
    'dispenseUnknown open 4000',
  ]);
});

test('cut in the recovery itself: nothing is settled by halves', async () => {
  const parts = await machineParts({ device: { memory: 'lost' } });
  const { transactionId, plan } = await claimed(parts);
  parts.dispenserDevice.control({ do: 'fault', name: 'powerCutBeforeResponse' });
  await expect(parts.clock.resolve(dispenseBatch(cutAt(parts, 2), plan))).rejects.toThrow('cut');
  for (const nth of [1, 2, 3, 3]) {
    await recover(cutAt(parts, nth)).catch((error: Error) => expect(error.message).toBe('cut'));
    // The end of the command and what is owed for it are one commit.
    const isOpen = parts.store.intents.listOpen('dispense').length > 0;
    const isSaid = states(parts, transactionId).some((one) => one.startsWith('dispenseUnknown'));
    expect(isSaid).toBe(!isOpen);
  }
  await recover(parts);
  expect(states(parts, transactionId)).toEqual([
    'latePayment settled 4000',
    'dispenseUnknown open 4000',
  ]);
});

test('a claim that this very run has taken is its session’s business, not the recovery’s', async () => {
  const parts = await machineParts();
  const start = recovery(parts);
  const { transactionId } = await claimed(parts);
  start.transactions();
  expect(states(parts, transactionId)).toEqual(['latePayment redeeming 4000']);
  expect(parts.store.intents.listOpen('claim')).toHaveLength(1);
});
