/** A sale on real parts, brought to the point that a test is about. */
import { createHash } from 'node:crypto';
import { invoice } from '#agent/cash-out/invoice.ts';
import { reserve } from '#agent/cash-out/sale.ts';
import type { Plan } from '#agent/machines/cash-out.ts';
import type { TransactionId } from '#protocol/base/ids.ts';
import { type MinorUnits, minorUnits } from '#protocol/base/money.ts';
import { createInvoiceMaker } from '#protocol/simulator/keeper/bolt11.ts';
import { bayAccount } from '#state/note-ledger.ts';
import { type TestParts, WALLET_ID } from '#test/support/parts.ts';
import { seededRandom } from '#test/support/seeded-random.ts';

const maker = createInvoiceMaker(seededRandom('node').bytes(32));
/** What the wallet would show of a payment from outside. */
export const PREIMAGE = '11'.repeat(32);
/** Its payment hash. */
export const HASH = createHash('sha256').update(Buffer.from(PREIMAGE, 'hex')).digest('hex');

/** A wallet that makes invoices and says of payments what the test sets. */
export interface ScriptedWallet {
  /** `get_payment`'s answer; undefined when the wallet is silent. */
  payment: unknown;
  /** Of the next invoices. */
  invoice: { walletId?: string; amountMsat?: number; paymentHash?: string; expiryMs?: number };
}

/** Puts the wallet at the other end of the parts' line. */
export function scriptWallet(parts: TestParts): ScriptedWallet {
  const wallet: ScriptedWallet = { payment: { paid: false }, invoice: {} };
  parts.rpc.answer = (rpcName, body) => {
    if (rpcName === 'get_payment') {
      if (wallet.payment === undefined) return { kind: 'unanswered' };
      return { kind: 'ok', data: wallet.payment };
    }
    const { amount } = body as { readonly amount: number };
    const { walletId = WALLET_ID, expiryMs = 180_000, paymentHash = HASH } = wallet.invoice;
    const bolt11 = maker.make(
      {
        paymentHash,
        amountMsat: wallet.invoice.amountMsat ?? amount * 1_000,
        memo: 'Cash',
        createdAtUnixMs: parts.clock.now(),
        expiresAtUnixMs: parts.clock.now() + expiryMs,
      },
      '22'.repeat(32),
    );
    return { kind: 'ok', data: { payment_hash: HASH, bolt11, wallet_id: walletId } };
  };
  return wallet;
}

/** What the wallet says of our invoice when it is paid. */
export const paid = (details: Readonly<Record<string, unknown>> = {}, preimage = PREIMAGE) => ({
  paid: true,
  preimage,
  details: { payment_hash: HASH, wallet_id: WALLET_ID, ...details },
});

/** Reserves an amount. @throws Error when it is refused. */
export async function reserved(parts: TestParts, amount: number): Promise<Plan> {
  const outcome = await reserve(parts, { amount: minorUnits(amount) });
  if (outcome.kind !== 'reserved') throw new Error(outcome.notice.text);
  return outcome.plan;
}

/** Reserves, and has the invoice made. @throws Error when it is refused. */
export async function invoiced(parts: TestParts, amount: number): Promise<Plan> {
  const plan = await reserved(parts, amount);
  const outcome = await parts.clock.resolve(invoice(parts, plan));
  if (outcome.kind !== 'invoiced') throw new Error(outcome.notice.text);
  return plan;
}

/** Writes down that a sale is paid, as payments.ts does. */
export function markPaid(parts: TestParts, transactionId: TransactionId): void {
  const { store } = parts;
  store.commit(() => {
    const intent = store.intents.open({ kind: 'payment', transactionId, body: {} });
    store.intents.settle(intent.id, 'paid', {});
    for (const { id, kind, state } of store.intents.forTransaction(transactionId)) {
      if (kind === 'reservation' && state === 'open') store.intents.settle(id, 'consumed', {});
    }
  });
}

/** DISPENSE frames that left the driver. Source: LCDM-4000, command 52 hex. */
export const dispenseFrames = ({ dispenserPort }: TestParts): readonly string[] =>
  dispenserPort.sent.filter((hex) => hex.startsWith('04300252'));

/** Notes by denomination in an account of the books, and in the device's truth. */
export function customerNotes(parts: TestParts): { booked: object; truth: object } {
  const balance = parts.store.ledger.balance('customer').filter(({ count }) => count > 0);
  const booked = Object.fromEntries(balance.map(({ value, count }) => [value / 100, count]));
  return { booked, truth: parts.dispenserDevice.truth().customer };
}

/** Positions of which the books differ from what lies in the bay. */
export function bayDifferences(parts: TestParts): readonly number[] {
  const { units } = parts.dispenserDevice.truth();
  return parts.store.cashUnits
    .list()
    .filter(({ position: bay, value }) => {
      return parts.store.ledger.count(bayAccount(bay), value) !== units[bay]?.count;
    })
    .map(({ position: bay }) => bay);
}

/** What is owed on a sale, in minor units. */
export function owedMinor(parts: TestParts, transactionId: TransactionId): MinorUnits {
  return minorUnits(
    parts.store.obligations
      .forTransaction(transactionId)
      .filter(({ state }) => state !== 'settled' && state !== 'redeemed')
      .reduce((sum, { amountMinor }) => sum + (amountMinor ?? 0), 0),
  );
}
