/** The opening and the end of a sale, claims on what is owed, and what a start makes of a cut. */
import { expect, test } from 'vitest';
import { Withdraws } from '#agent/cash-in/withdraws.ts';
import { availableBays } from '#agent/cash-out/available.ts';
import { conclude } from '#agent/cash-out/conclude.ts';
import { bookOut } from '#agent/cash-out/dispense-batch.ts';
import { invoice } from '#agent/cash-out/invoice.ts';
import { redeem } from '#agent/cash-out/redeem.ts';
import { oweCash, reserve, saleOf } from '#agent/cash-out/sale.ts';
import type { CashOutEnd, Plan } from '#agent/machines/cash-out.ts';
import type { Parts } from '#agent/parts.ts';
import { Recovery } from '#agent/recovery.ts';
import { position, type TransactionId } from '#protocol/base/ids.ts';
import { minorUnits } from '#protocol/base/money.ts';
import { SignerError } from '#protocol/signer/signer.ts';
import {
  invoiced,
  type MachineParts,
  machineParts,
  paid,
  reserved,
} from '#test/support/machine-parts.ts';

/** Enough notes in one sale for two commands. */
const WIDE = { max_cash_in_sats: null, cashOutNotesMax: 60 };

/** How a claim ends that was not handed out whole. */
const REST = 'settled';

const available = (parts: Parts) => availableBays(parts).map(({ count }) => count);
const owed = ({ store }: Parts) =>
  store.obligations.list().map(({ kind, amountMinor, state }) => ({ kind, amountMinor, state }));
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

test.each<[string, (parts: MachineParts) => Partial<Parts> | undefined, RegExp]>([
  [
    'the wallet refuses',
    ({ rpc }) => {
      rpc.answer = () => ({ kind: 'refused', error: 'Wallet is locked.' });
      return undefined;
    },
    /Wallet is locked/,
  ],
  [
    'the wallet is silent',
    ({ rpc }) => {
      rpc.answer = () => ({ kind: 'unanswered' });
      return undefined;
    },
    /did not answer/,
  ],
  [
    'the answer has another shape',
    ({ says }) => {
      says.invoice = { payment_hash: 7 };
      return undefined;
    },
    /payment_hash/,
  ],
  [
    'the signer is silent',
    ({ rpc }) => {
      rpc.prepare = () => Promise.reject(new SignerError({ kind: 'silent', reason: 'x' }, 'y'));
      return undefined;
    },
    /No invoice/,
  ],
  [
    'another wallet',
    ({ says }) => {
      says.invoice = { wallet_id: 'someone else' };
      return undefined;
    },
    /not the one/,
  ],
  [
    'nobody names the wallet',
    ({ says, walletWatch }) => {
      says.invoice = { wallet_id: null };
      return { walletWatch: { ...walletWatch, named: () => false } };
    },
    /not proven/,
  ],
  [
    'an invoice that cannot be read',
    ({ says }) => {
      says.invoice = { bolt11: 'lnbcrt1nonsense' };
      return undefined;
    },
    /cannot be read/,
  ],
])('no QR: %s', async (_, spoil, words) => {
  const parts = await machineParts();
  const plan = await reserved(parts, 2_000);
  const outcome = await parts.clock.resolve(invoice({ ...parts, ...spoil(parts) }, plan));
  expect(outcome).toMatchObject({
    kind: 'refused',
    notice: { text: expect.stringMatching(words) },
  });
  expect(parts.store.intents.listOpen('payment')).toEqual([]);
});

test('a wallet that is named by get_wallet alone gets its payment', async () => {
  const parts = await machineParts();
  parts.says.invoice = { wallet_id: null };
  await invoiced(parts, 2_000);
  expect(parts.store.intents.listOpen('payment')).toHaveLength(1);
});

test('a fault that is not of the signer is a fault', async () => {
  const parts = await machineParts();
  const plan = await reserved(parts, 2_000);
  const bug = new Error('a bug');
  parts.rpc.prepare = () => Promise.reject(bug);
  await expect(parts.clock.resolve(invoice(parts, plan))).rejects.toBe(bug);
});

test('the operator is told the notes and the bays of the sale', async () => {
  const parts = await machineParts();
  await invoiced(parts, 7_000);
  expect(parts.rpc.asked[0]?.body).toMatchObject({
    amount: 77_845,
    extra: {
      bills: [
        { denomination: 20, count: 1 },
        { denomination: 50, count: 1 },
      ],
      // What is held back lies in its bay all the same.
      cassettes: { '1': { denomination: 20, count: 10 }, '3': { denomination: 50, count: 10 } },
    },
  });
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

/** What the next start makes of what is in the store. */
function recovery(parts: Parts): Recovery {
  return new Recovery(parts, new Withdraws(parts, () => Promise.reject(new Error('no network'))));
}

test('recovery: never paid ends, an open payment waits, a paid one is owed', async () => {
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

test('recovery: all handed out ends as dispensed', async () => {
  const parts = await machineParts();
  const plan = await paid(parts, 4_000);
  settled(parts, plan, 'exact', 2);
  recovery(parts).transactions();
  expect(saleOf(parts, plan.transactionId).outcome).toBe('dispensed');
  expect(owed(parts)).toEqual([]);
});

test('recovery: a doubt cut before its obligation is no claim on cash', async () => {
  const parts = await machineParts();
  const plan = await paid(parts, 4_000);
  settled(parts, plan, 'unknown', 0);
  recovery(parts).transactions();
  expect(saleOf(parts, plan.transactionId).outcome).toBe('needsOperator');
  expect(owed(parts)).toEqual([{ kind: 'dispenseUnknown', amountMinor: 4_000, state: 'open' }]);
});

test('recovery: a doubt about the first command does not swallow the second', async () => {
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

test('recovery: an initialisation that was cut is settled as unknown', async () => {
  const parts = await machineParts();
  const { store } = parts;
  store.commit(() => store.intents.open({ kind: 'initialise', device: 'dispenser', body: {} }));
  const again = recovery(parts);
  await again.device('acceptor');
  expect(store.intents.listOpen()).toHaveLength(1);
  await again.device('dispenser');
  expect(store.intents.listOpen()).toEqual([]);
});
