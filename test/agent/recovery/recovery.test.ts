/**
 * What a start makes of what a cut left open, on real parts; whole machines:
 * power-cuts.test.ts.
 */
import { expect, test } from 'vitest';
import { dispenseBatch } from '#agent/cash-out/dispense-batch.ts';
import { saleOf } from '#agent/cash-out/sale.ts';
import type { Plan } from '#agent/machines/cash-out.ts';
import type { Parts } from '#agent/parts.ts';
import { settleByHand } from '#agent/recovery/settle.ts';
import { minorUnits } from '#protocol/base/money.ts';
import {
  cutAt,
  dispensesOnWire,
  invoiced,
  type MachineParts,
  machineParts,
  owed,
  paid,
  recover,
  recovery,
  reserved,
} from '../cash-out/rig.ts';

/** Enough notes in one sale for two commands. */
const WIDE = { max_cash_in_sats: null, cashOutNotesMax: 60 };

test.each([
  ['before the intent', 1, 'survives', 'remainder', 4_000, 0],
  ['after the command, of which the unit knows', 2, 'survives', 'dispensed', 0, 1],
  ['after the command, of which nobody knows', 2, 'lost', 'needsOperator', 4_000, 1],
] as const)('a sale cut %s', async (_, commit, memory, end, owedMinor, commands) => {
  const parts = await machineParts({ device: { memory } });
  const plan = await paid(parts, 4_000);
  if (memory === 'lost') {
    parts.dispenserDevice.control({ do: 'fault', name: 'powerCutBeforeResponse' });
  }
  await expect(parts.clock.resolve(dispenseBatch(cutAt(parts, commit), plan))).rejects.toThrow(
    'cut',
  );
  await recover(parts);
  const { outcome, endedAtUnixMs } = saleOf(parts, plan.transactionId);
  expect(outcome).toBe(end);
  expect(endedAtUnixMs).toBeDefined();
  expect(owed(parts).reduce((sum, { amountMinor = 0 }) => sum + amountMinor, 0)).toBe(owedMinor);
  expect(dispensesOnWire(parts)).toBe(commands);
  // A code is cash: it is gone with the last thing that it was good for.
  const code = parts.store.secrets.get(plan.transactionId, 'claimCode');
  expect(code === undefined).toBe(owedMinor === 0);
});

test('never paid ends, an open payment waits, a paid one is owed', async () => {
  const parts = await machineParts();
  const unpaid = await reserved(parts, 2_000);
  const pays = await paid(parts, 7_000);
  const waits = await invoiced(parts, 2_000);
  recovery(parts).transactions();
  const state = ({ transactionId }: Plan) => saleOf(parts, transactionId).outcome;
  expect([state(unpaid), state(waits), state(pays)]).toEqual(['expired', undefined, 'remainder']);
  expect(owed(parts)).toEqual([{ kind: 'remainder', amountMinor: 7_000, state: 'open' }]);
  recovery(parts).transactions();
  expect(owed(parts)).toHaveLength(1);
});

/** A dispense of a paid sale that was settled so, with the notes of bay 1 in the books. */
function settled(parts: Parts, { transactionId }: Plan, outcome: string, notes: number): void {
  const { store } = parts;
  store.commit(() => {
    const act = { kind: 'dispense', device: 'dispenser', transactionId, ordinal: 1, body: {} };
    store.intents.settle(store.intents.open(act).id, outcome, {});
    if (notes === 0) return;
    const move = { from: 'bay:1', to: 'customer', currency: 'USD', cause: 'test' } as const;
    store.ledger.move({ ...move, value: minorUnits(2_000), count: notes, transactionId });
  });
}

test('all handed out ends as dispensed', async () => {
  const parts = await machineParts();
  const plan = await paid(parts, 4_000);
  settled(parts, plan, 'exact', 2);
  recovery(parts).transactions();
  expect(saleOf(parts, plan.transactionId).outcome).toBe('dispensed');
  expect(owed(parts)).toEqual([]);
});

test('a doubt cut before its obligation is no claim on cash', async () => {
  const parts = await machineParts();
  const plan = await paid(parts, 4_000);
  settled(parts, plan, 'unknown', 0);
  recovery(parts).transactions();
  expect(saleOf(parts, plan.transactionId).outcome).toBe('needsOperator');
  expect(owed(parts)).toEqual([{ kind: 'dispenseUnknown', amountMinor: 4_000, state: 'open' }]);
});

test('a doubt about the first command does not swallow the second', async () => {
  const cassettes = { '1': { denomination: 20, count: 80 } };
  const parts = await machineParts({ device: { cassettes }, config: { limits: WIDE } });
  const plan = await paid(parts, 100_000);
  expect(plan.batches).toHaveLength(2);
  const [units = []] = plan.batches;
  const { store } = parts;
  const { transactionId } = plan;
  const { lastResultHex } = await parts.clock.resolve(parts.dispenser.baseline());
  store.commit(() => {
    const body = {
      units: units.map((unit) => ({ ...unit })),
      lastResultHex: lastResultHex ?? null,
      sequenceNumber: null,
    };
    const act = { kind: 'dispense', device: 'dispenser', transactionId, ordinal: 1, body };
    store.intents.open(act);
  });
  const again = recovery(parts);
  again.transactions();
  expect(parts.board.list('cashOut')).toMatchObject([{ code: 'openIntent' }]);
  expect(owed(parts)).toEqual([]);
  await parts.clock.resolve(again.device('dispenser'));
  expect(parts.board.open('cashOut')).toBe(true);
  const sum = owed(parts).reduce((total, { amountMinor = 0 }) => total + amountMinor, 0);
  expect(sum).toBe(100_000);
  await parts.clock.resolve(again.device('dispenser'));
  expect(owed(parts)).toHaveLength(2);
});

test('an initialisation that was cut is settled as unknown', async () => {
  const parts = await machineParts();
  const { store } = parts;
  store.commit(() => store.intents.open({ kind: 'initialise', device: 'dispenser', body: {} }));
  const again = recovery(parts);
  await again.device('acceptor');
  expect(store.intents.listOpen()).toHaveLength(1);
  await again.device('dispenser');
  expect(store.intents.listOpen()).toEqual([]);
});

const COUNTING = {
  model: 'lcdm-4000-lamassu',
  cassettes: { '1': { denomination: 20, count: 10 } },
} as const;
const DAY_MS = 86_400_000;
const codes = (parts: Parts) => parts.board.list('cashOut').map(({ code }) => code);

/** A sale that is cut with its notes on the way, and a start that proves what came of it. */
async function cutSale(parts: MachineParts): Promise<void> {
  const plan = await paid(parts, 2_000);
  await expect(parts.clock.resolve(dispenseBatch(cutAt(parts, 2), plan))).rejects.toThrow('cut');
  await recover(parts);
}

test('the third start in a day that finds notes on the way closes cash-out until settled', async () => {
  const parts = await machineParts({ device: COUNTING });
  await cutSale(parts);
  await cutSale(parts);
  expect([codes(parts), owed(parts)]).toEqual([[], []]);
  await cutSale(parts);
  expect(codes(parts)).toEqual(['unsettled']);
  expect(parts.board.open('cashIn')).toBe(true);
  const [restarts] = parts.store.obligations.list({ open: true });
  if (!restarts) throw new Error('nobody was told');
  expect(restarts).toMatchObject({ kind: 'repeatedRestarts', body: { direction: 'cashOut' } });
  parts.board.set('cashOut', 'unsettled', undefined);
  await recover(parts);
  expect(codes(parts)).toEqual(['unsettled']);
  const settlement = { obligationId: restarts.id, by: 'Ana', reason: 'a loose plug' };
  expect(settleByHand(parts, settlement)).toBe('settled');
  expect(codes(parts)).toEqual([]);
  // It counts from the beginning.
  await cutSale(parts);
  expect(codes(parts)).toEqual([]);
  expect(parts.dispenserDevice.truth().customer).toEqual({ '20': 4 });
});

test('starts that find notes on the way, and lie more than a day apart, close nothing', async () => {
  const parts = await machineParts({ device: COUNTING });
  for (let cut = 0; cut < 4; cut++) {
    await cutSale(parts);
    parts.clock.jumpWall(DAY_MS / 2 + 60_000);
  }
  expect(codes(parts)).toEqual([]);
});
