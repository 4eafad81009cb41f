/** A claim that is cut while it is redeemed: open again, redeemed, or owed once (design 7.7, 8). */
import { expect, test } from 'vitest';
import { Withdraws } from '#agent/cash-in/withdraws.ts';
import { dispenseBatch } from '#agent/cash-out/dispense-batch.ts';
import { redeem } from '#agent/cash-out/redeem.ts';
import { Recovery } from '#agent/recovery.ts';
import type { TransactionId } from '#protocol/base/ids.ts';
import { minorUnits } from '#protocol/base/money.ts';
import { type TestParts, testParts } from '#test/support/parts.ts';
import { markPaid, reserved } from './rig.ts';

const AMOUNT = 4_000;

/** The next start, as far as the dispenser is concerned. */
async function recover(parts: TestParts): Promise<void> {
  const withdraws = new Withdraws(parts, () => Promise.reject(new Error('no network')));
  const recovery = new Recovery(parts, withdraws);
  await parts.clock.resolve(recovery.device('dispenser'));
  recovery.transactions();
}

/** The same parts with a power that goes at the n-th commit from now. */
function cutAt(parts: TestParts, nth: number): TestParts {
  let count = 0;
  const commit = <T>(work: () => T): T => {
    count++;
    if (count >= nth) throw new Error('cut');
    return parts.store.commit(work);
  };
  return Object.assign(Object.create(parts), {
    store: Object.assign(Object.create(parts.store), { commit }),
  });
}

async function claimed(parts: TestParts) {
  const { transactionId } = await reserved(parts, AMOUNT);
  markPaid(parts, transactionId);
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

const states = (parts: TestParts, transactionId: TransactionId) =>
  parts.store.obligations
    .forTransaction(transactionId)
    .map(({ kind, state, amountMinor }) => `${kind} ${state} ${amountMinor}`);

test('cut between taking the claim and its command: it is open again', async () => {
  const parts = await testParts();
  const { transactionId, plan } = await claimed(parts);
  await expect(parts.clock.resolve(dispenseBatch(cutAt(parts, 1), plan))).rejects.toThrow('cut');
  await recover(parts);
  expect(states(parts, transactionId)).toEqual(['latePayment open 4000']);
  expect(parts.dispenserDevice.truth().customer).toEqual({});
});

test('cut after the command, proven handed out: the claim is redeemed, once', async () => {
  const parts = await testParts();
  const { transactionId, plan } = await claimed(parts);
  await expect(parts.clock.resolve(dispenseBatch(cutAt(parts, 2), plan))).rejects.toThrow('cut');
  await recover(parts);
  expect(parts.dispenserDevice.truth().customer).toEqual({ 20: 2 });
  expect(states(parts, transactionId)).toEqual(['latePayment redeemed 4000']);
  await recover(parts);
  expect(states(parts, transactionId)).toEqual(['latePayment redeemed 4000']);
});

test('cut after the command, not known: owed once, and not redeemable', async () => {
  const parts = await testParts({ device: { memory: 'lost' } });
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
  const parts = await testParts({ device: { memory: 'lost' } });
  const { transactionId, plan } = await claimed(parts);
  parts.dispenserDevice.control({ do: 'fault', name: 'powerCutBeforeResponse' });
  await expect(parts.clock.resolve(dispenseBatch(cutAt(parts, 2), plan))).rejects.toThrow('cut');
  for (const nth of [1, 2]) {
    await expect(recover(cutAt(parts, nth))).rejects.toThrow('cut');
  }
  await recover(parts);
  expect(states(parts, transactionId)).toEqual([
    'latePayment settled 4000',
    'dispenseUnknown open 4000',
  ]);
});
