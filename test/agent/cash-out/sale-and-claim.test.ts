/** The opening and the end of a sale, and claims on what is owed. */
import { expect, test } from 'vitest';
import { availableBays } from '#agent/cash-out/available.ts';
import { conclude } from '#agent/cash-out/conclude.ts';
import { bookOut } from '#agent/cash-out/dispense-batch.ts';
import { redeem } from '#agent/cash-out/redeem.ts';
import { oweCash, reserve, saleOf } from '#agent/cash-out/sale.ts';
import type { CashOutEnd, Plan } from '#agent/machines/cash-out.ts';
import type { Parts } from '#agent/parts.ts';
import { position, type TransactionId } from '#protocol/base/ids.ts';
import { minorUnits } from '#protocol/base/money.ts';
import { SignatureBudget } from '#protocol/signer/signature-budget.ts';
import { invoiced, type MachineParts, machineParts, owed, paid, reserved } from './rig.ts';

/** How a claim ends that was not handed out whole. */
const REST = 'settled';

const available = (parts: Parts) => availableBays(parts).map(({ count }) => count);
const codeOf = ({ store }: Parts, { transactionId }: Plan) =>
  store.secrets.get(transactionId, 'claimCode');
const endSale = (parts: Parts, { transactionId }: Plan, end: CashOutEnd) =>
  conclude(parts, { transactionId, end, input: { kind: 'sale' }, remainderMinor: 0 });

/** A claim on cash, as a late payment leaves it. */
async function claim(parts: MachineParts, amountMinor: number) {
  const plan = await paid(parts, amountMinor);
  const { transactionId } = plan;
  parts.store.commit(() => {
    const sale = saleOf(parts, transactionId);
    oweCash(parts, sale, 'remainder', minorUnits(amountMinor), 'a test');
  });
  const obligationId = parts.store.obligations.forTransaction(transactionId)[0]?.id;
  if (obligationId === undefined) throw new Error('nothing is owed');
  return { plan, input: { kind: 'redeem', transactionId, obligationId } as const };
}

test('a sale holds its notes back, until it ends or lapses', async () => {
  const parts = await machineParts();
  const plan = await reserved(parts, 7_000);
  expect(plan).toMatchObject({ ordinal: 1, batches: [[{ position: 1 }, { position: 3 }]] });
  expect(available(parts)).toEqual([9, 10, 9, 4]);
  await parts.clock.advance(181_000);
  expect(available(parts)).toEqual([10, 10, 10, 4]);
  const other = await reserved(parts, 2_000);
  expect(available(parts)).toEqual([9, 10, 10, 4]);
  await endSale(parts, other, 'failed');
  expect(available(parts)).toEqual([10, 10, 10, 4]);
  expect(codeOf(parts, other)).toBeUndefined();
  expect(saleOf(parts, other.transactionId)).toMatchObject({
    outcome: 'failed',
    feeSats: 618 + 1_030,
  });
});

test('parked bays and bays in doubt are not counted on', async () => {
  const parts = await machineParts();
  const { store } = parts;
  const change = (at: number, over: object) => {
    const unit = store.cashUnits.get(position(at));
    if (unit) store.commit(() => store.cashUnits.put({ ...unit, ...over }));
  };
  change(1, { parked: true });
  change(2, { accuracy: 'inaccurate' });
  change(3, { accuracy: 'unknown' });
  change(4, { accuracy: 'accurate' });
  expect(availableBays(parts)).toMatchObject([{ position: 4, count: 4 }]);
});

test('refused: no fees, no rate, notes gone, too many invoices', async () => {
  const amount = minorUnits(2_000);
  const refusal = async (parts: Parts) => {
    const outcome = await reserve(parts, { amount });
    return outcome.kind === 'refused' ? outcome.notice.code : outcome.kind;
  };
  const parts = await machineParts();
  expect(await refusal({ ...parts, fees: () => undefined })).toBe('awaitingFees');
  const rates = { latest: () => undefined, fresh: async () => undefined };
  expect(await refusal({ ...parts, rates })).toBe('noRate');
  expect(parts.store.transactions.listOpen()).toEqual([]);
  for (let round = 0; round < 3; round++) await invoiced(parts, 2_000);
  expect(await refusal(parts)).toBe('busy');
  const empty = await machineParts({ device: { cassettes: {} } });
  expect(await refusal(empty)).toBe('noNotes');
});

test('no session of an unknown transaction', async () => {
  const parts = await machineParts();
  expect(() => saleOf(parts, 'f'.repeat(32) as TransactionId)).toThrow(/no transaction/);
});

test('a claim is redeemed once: of two at a time, one gets it; numbers go on', async () => {
  const parts = await machineParts();
  const { plan, input } = await claim(parts, 4_000);
  parts.store.commit(() => {
    const { transactionId } = plan;
    const used = { kind: 'dispense', transactionId, ordinal: 7, body: {} };
    parts.store.intents.settle(parts.store.intents.open(used).id, 'none', {});
  });
  const outcomes = await Promise.all([redeem(parts, input), redeem(parts, input)]);
  expect(outcomes).toMatchObject([
    { kind: 'reserved', plan: { ordinal: 8 } },
    { kind: 'refused', notice: { code: 'claim' } },
  ]);
  expect(owed(parts)).toMatchObject([{ state: 'redeeming' }]);
});

test('a claim that cannot be made now stays good', async () => {
  const parts = await machineParts({
    device: { cassettes: { '1': { denomination: 20, count: 1 } } },
  });
  const { plan, input } = await claim(parts, 2_000);
  const unit = parts.store.cashUnits.get(position(1));
  if (unit) parts.store.commit(() => parts.store.cashUnits.put({ ...unit, parked: true }));
  expect(await redeem(parts, input)).toMatchObject({ kind: 'refused' });
  expect(owed(parts)).toMatchObject([{ state: 'open' }]);
  expect(codeOf(parts, plan)).toBeDefined();
});

/** A command that left for the claim and was settled. */
interface Sent {
  readonly outcome: 'exact' | 'partial' | 'none' | 'unknown';
  readonly presentedMinor: number;
}

test.each<[string, readonly Sent[], number, string[]]>([
  ['all of it', [{ outcome: 'exact', presentedMinor: 4_000 }], 0, ['redeemed']],
  ['a part, the rest owed', [{ outcome: 'partial', presentedMinor: 2_000 }], 2_000, [REST, 'open']],
  // The session broke off between two commands: the rest was never asked for.
  ['the first of two', [{ outcome: 'exact', presentedMinor: 2_000 }], 0, [REST, 'open']],
  ['nobody knows', [{ outcome: 'unknown', presentedMinor: 0 }], 0, [REST, 'open']],
  // A fault before any command must not eat the claim.
  ['nothing: no command left', [], 0, ['open']],
])('what was handed out for a claim: %s', async (_, sent, owedMinor, states) => {
  const parts = await machineParts();
  const { store } = parts;
  const { plan, input } = await claim(parts, 4_000);
  const taken = await redeem(parts, input);
  if (taken.kind !== 'reserved') throw new Error('not taken');
  const { transactionId } = plan;
  store.commit(() => {
    for (const [at, { outcome, presentedMinor }] of sent.entries()) {
      const ordinal = taken.plan.ordinal + at;
      const intent = store.intents.open({ kind: 'dispense', transactionId, ordinal, body: {} });
      store.intents.settle(intent.id, outcome, { presentedMinor });
      bookOut(parts, transactionId, position(1), 'customer', presentedMinor / 2_000);
    }
    const sale = saleOf(parts, transactionId);
    if (owedMinor > 0) oweCash(parts, sale, 'remainder', minorUnits(owedMinor), 'short');
  });
  const end = { transactionId, end: 'needsOperator', input, remainderMinor: owedMinor } as const;
  await conclude(parts, end);
  expect(owed(parts).map(({ state }) => state)).toEqual(states);
  const left = owed(parts).filter(({ state }) => state === 'open');
  const handedOut = sent.reduce((sum, { presentedMinor }) => sum + presentedMinor, 0);
  expect(left.reduce((sum, { amountMinor = 0 }) => sum + amountMinor, 0)).toBe(4_000 - handedOut);
  const isDoubtful = sent.some(({ outcome }) => outcome === 'unknown');
  expect(left.some(({ kind }) => kind === 'dispenseUnknown')).toBe(isDoubtful);
  expect(codeOf(parts, plan) === undefined).toBe(left.length === 0);
  // Concluded again, nothing changes.
  await conclude(parts, end);
  expect(owed(parts).map(({ state }) => state)).toEqual(states);
});

test('a session that broke off after the payment owes all of it', async () => {
  const parts = await machineParts();
  const plan = await paid(parts, 7_000);
  await endSale(parts, plan, 'needsOperator');
  expect(owed(parts)).toEqual([{ kind: 'dispenseUnknown', amountMinor: 7_000, state: 'open' }]);
  expect(codeOf(parts, plan)).toBeDefined();
});

test('a sale that could not be signed to its end does not begin', async () => {
  const parts = await machineParts();
  const signatures = new SignatureBudget({
    ...{ clock: parts.clock, caps: [{ count: 1, windowMs: 3_600_000 }] },
  });
  const amount = minorUnits(2_000);
  expect(await reserve({ ...parts, signatures }, { amount })).toMatchObject({
    ...{ kind: 'refused', notice: { code: 'signatures' } },
  });
  const fees = () => undefined;
  expect(await reserve({ ...parts, fees }, { amount })).toMatchObject({
    ...{ kind: 'refused', notice: { code: 'awaitingFees' } },
  });
  expect(parts.store.transactions.recent(1)).toEqual([]);
});
