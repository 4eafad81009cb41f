/** One command on the real driver: what is on disk when its first byte moves, and what comes of it. */
import { expect, test } from 'vitest';
import { dispenseBatch, recoverDispense } from '#agent/cash-out/dispense-batch.ts';
import type { BatchOutcome, Plan } from '#agent/machines/cash-out.ts';
import { position } from '#protocol/base/ids.ts';
import { diskFailure, failingDisk } from '#test/support/failing-disk.ts';
import { type TestParts, testParts } from '#test/support/parts.ts';
import {
  bayDifferences,
  customerNotes,
  dispenseFrames,
  markPaid,
  owedMinor,
  reserved,
} from './rig.ts';

const fault = (parts: TestParts, name: string, more: { times?: number; value?: number } = {}) =>
  parts.dispenserDevice.control({ do: 'fault', name, ...more });

async function paidPlan(parts: TestParts, amount: number): Promise<Plan> {
  const plan = await reserved(parts, amount);
  markPaid(parts, plan.transactionId);
  return plan;
}

/** Runs a plan to its end, as the machine does. */
async function run(parts: TestParts, first: Plan): Promise<BatchOutcome> {
  let plan = first;
  for (;;) {
    const outcome = await parts.clock.resolve(dispenseBatch(parts, plan));
    if (outcome.kind === 'short') plan = outcome.next;
    else if (outcome.kind === 'exact' && plan.batches.length > 1) {
      plan = { ...plan, batches: plan.batches.slice(1), ordinal: plan.ordinal + 1 };
    } else return outcome;
  }
}

const settledAs = (parts: TestParts, plan: Plan) =>
  parts.store.intents
    .forTransaction(plan.transactionId)
    .filter(({ kind }) => kind === 'dispense')
    .map(({ ordinal, outcome }) => [ordinal, outcome]);

test('the intent is on disk, with its baseline, when the first byte of the command moves', async () => {
  const parts = await testParts();
  const plan = await paidPlan(parts, 9_000);
  const seen: unknown[] = [];
  parts.dispenserPort.onWrite = (hex) => {
    if (!hex.startsWith('04300252')) return;
    const [open] = parts.store.intents.listOpen('dispense');
    seen.push({ body: open?.body, ordinal: open?.ordinal, device: open?.device });
  };
  expect(await run(parts, plan)).toMatchObject({ kind: 'exact' });
  expect(seen).toMatchObject([
    { ordinal: 1, device: 'dispenser', body: { lastResultHex: expect.any(String) } },
  ]);
  expect(parts.store.intents.listOpen('dispense')).toEqual([]);
  expect(parts.store.journal.read({}).map(({ kind }) => kind)).toEqual([
    'cashOut.reserved',
    'dispense.intended',
    'dispense.settled',
  ]);
});

test('a disk that does not keep the intent sends no byte of the command', async () => {
  const disk: { isBroken: boolean } = { isBroken: false };
  const beforeCommit = () => {
    if (disk.isBroken) throw diskFailure();
  };
  const parts = await testParts({ store: { openDatabase: failingDisk({ beforeCommit }) } });
  const plan = await paidPlan(parts, 9_000);
  disk.isBroken = true;
  await expect(parts.clock.resolve(dispenseBatch(parts, plan))).rejects.toThrow();
  await parts.clock.advance(60_000);
  expect(dispenseFrames(parts)).toEqual([]);
  expect(customerNotes(parts).truth).toEqual({});
});

test('exact: books and bays agree with the device', async () => {
  const parts = await testParts();
  const plan = await paidPlan(parts, 9_000);
  const outcome = await run(parts, plan);
  expect(outcome.kind).toBe('exact');
  expect(customerNotes(parts)).toEqual({ booked: { 20: 2, 50: 1 }, truth: { 20: 2, 50: 1 } });
  expect(bayDifferences(parts)).toEqual([]);
  expect(owedMinor(parts, plan.transactionId)).toBe(0);
});

test('more notes than one command takes go in several, each under its number', async () => {
  const cassettes = { '1': { denomination: 20, count: 60 } };
  const parts = await testParts({
    device: { model: 'lcdm-4000-lamassu', cassettes },
    config: { limits: { max_cash_in_sats: null, cashOutNotesMax: 60 } },
  });
  const plan = await paidPlan(parts, 90_000);
  expect(await run(parts, plan)).toMatchObject({ kind: 'exact' });
  expect(settledAs(parts, plan)).toEqual([
    [1, 'exact'],
    [2, 'exact'],
    [3, 'exact'],
  ]);
  expect(customerNotes(parts)).toEqual({ booked: { 20: 45 }, truth: { 20: 45 } });
});

test('a proven shortfall comes from the twin bay under the next number', async () => {
  const parts = await testParts();
  const plan = await paidPlan(parts, 8_000);
  fault(parts, 'pickUpFailure', { value: 1 });
  expect(await run(parts, plan)).toMatchObject({ kind: 'exact' });
  expect(settledAs(parts, plan)).toEqual([
    [1, 'partial'],
    [2, 'exact'],
  ]);
  expect(customerNotes(parts)).toEqual({ booked: { 20: 4 }, truth: { 20: 4 } });
  expect(bayDifferences(parts)).toEqual([]);
  expect(parts.store.cashUnits.get(position(1))?.accuracy).toBe('inaccurate');
});

test('a proven shortfall that no other bay can make is owed, to the cent', async () => {
  const parts = await testParts({
    device: { cassettes: { '1': { denomination: 20, count: 10 } } },
  });
  const plan = await paidPlan(parts, 8_000);
  fault(parts, 'pickUpFailure', { value: 1 });
  expect(await run(parts, plan)).toMatchObject({ kind: 'remainder', remainderMinor: 6_000 });
  expect(parts.store.obligations.forTransaction(plan.transactionId)).toMatchObject([
    { kind: 'remainder', state: 'open', amountMinor: 6_000 },
  ]);
  expect(customerNotes(parts)).toEqual({ booked: { 20: 1 }, truth: { 20: 1 } });
  expect(dispenseFrames(parts)).toHaveLength(1);
});

test('rejected notes are booked as rejected', async () => {
  const parts = await testParts();
  const plan = await paidPlan(parts, 4_000);
  fault(parts, 'reject', { times: 2 });
  expect(await run(parts, plan)).toMatchObject({ kind: 'exact' });
  expect(parts.dispenserDevice.truth().reject).toEqual({ 20: 2 });
  expect(parts.store.ledger.balance('reject')).toMatchObject([{ value: 2_000, count: 2 }]);
  expect(bayDifferences(parts)).toEqual([]);
});

test('notes that the books did not have are first put right, by name', async () => {
  const booked = { '1': { denomination: 20, count: 2 } };
  const device = { cassettes: { '1': { denomination: 20, count: 10 } } };
  const parts = await testParts({ device, booked });
  const plan = await paidPlan(parts, 4_000);
  fault(parts, 'reject', { times: 1 });
  await run(parts, plan);
  const causes = parts.store.ledger
    .movements({ transactionId: plan.transactionId })
    .map(({ from, to, count, cause }) => `${from} > ${to} ${count} ${cause}`);
  expect(causes).toEqual([
    'bay:1 > customer 2 dispense',
    'unaccounted > bay:1 1 bookShort',
    'bay:1 > reject 1 dispense',
  ]);
  expect(parts.store.verify().problems).toEqual([]);
});

test('a lost response is settled by the last status, and the command left once', async () => {
  const parts = await testParts();
  const plan = await paidPlan(parts, 4_000);
  fault(parts, 'loseResponse', { value: 0x52 });
  expect(await run(parts, plan)).toMatchObject({ kind: 'exact' });
  expect(dispenseFrames(parts)).toHaveLength(1);
  expect(bayDifferences(parts)).toEqual([]);
});

test('a lost response and a lost memory are unknown, and never a second command', async () => {
  const parts = await testParts({ device: { memory: 'lost' } });
  const plan = await paidPlan(parts, 4_000);
  fault(parts, 'powerCutBeforeResponse');
  const outcome = await parts.clock.resolve(dispenseBatch(parts, plan));
  expect(outcome).toMatchObject({ kind: 'unknown', notice: { code: 'dispenseUnknown' } });
  parts.dispenserDevice.control({ do: 'power', on: true });
  await parts.clock.advance(120_000);
  expect(dispenseFrames(parts)).toHaveLength(1);
  expect(owedMinor(parts, plan.transactionId)).toBe(4_000);
  for (const bay of [1, 2]) {
    expect(parts.store.cashUnits.get(position(bay))?.accuracy).toBe('inaccurate');
  }
});

test('a number that was used is never used again, whatever asks', async () => {
  const parts = await testParts();
  const plan = await paidPlan(parts, 4_000);
  await run(parts, plan);
  await expect(parts.clock.resolve(dispenseBatch(parts, plan))).rejects.toThrow();
  expect(dispenseFrames(parts)).toHaveLength(1);
});

test('after a cut the last status settles the intent; nothing is dispensed by a start', async () => {
  const parts = await testParts();
  const plan = await paidPlan(parts, 4_000);
  const power: { isCut: boolean } = { isCut: true };
  const store = {
    ...parts.store,
    commit: <T>(work: () => T): T => {
      if (power.isCut && parts.store.intents.listOpen('dispense').length > 0)
        throw new Error('cut');
      return parts.store.commit(work);
    },
  };
  await expect(parts.clock.resolve(dispenseBatch({ ...parts, store }, plan))).rejects.toThrow(
    'cut',
  );
  power.isCut = false;
  const [open] = parts.store.intents.listOpen('dispense');
  if (!open) throw new Error('the intent was lost');
  await parts.clock.resolve(recoverDispense(parts, open));
  expect(settledAs(parts, plan)).toEqual([[1, 'exact']]);
  expect(dispenseFrames(parts)).toHaveLength(1);
  expect(customerNotes(parts)).toEqual({ booked: { 20: 2 }, truth: { 20: 2 } });
});
