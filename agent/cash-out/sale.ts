/** The opening of a cash-out: reservation, claim code, and what of it is owed later. */
import { z } from 'zod';
import { newReference, newTransactionId, type TransactionId } from '#protocol/base/ids.ts';
import {
  feeSats,
  type MinorUnits,
  minorUnits,
  principalOfPayout,
  wireOfCashOut,
} from '#protocol/base/money.ts';
import type { Transaction } from '#state/transactions.ts';
import { FRESH_MS } from '../cash-in/terms.ts';
import { hashClaimCode, newClaimCode } from '../claim-code.ts';
import type { Notice } from '../machines/cash-in.ts';
import type { ReserveOutcome } from '../machines/cash-out.ts';
import type { Parts } from '../parts.ts';
import { say } from '../texts/customer.ts';
import { readySigner } from '../watch/signer-ready.ts';
import { availableBays } from './available.ts';
import { denominate, splitBatches } from './denominate.ts';

/** An invoice, and with it the reservation, lives this long (design 7.1). */
export const INVOICE_MS = 180_000;
/** Unpaid sales whose notes may be held back at a time (design 7.1). */
const ABANDONED_MAX = 3;

const saidSchema = z.object({ presentedMinor: z.int().default(0) });

/** Who closes an obligation by evidence, where no person does. */
export const MACHINE = 'machine';

/** The transaction of a session. @throws Error when it is not there, which is a bug. */
export function saleOf(parts: Parts, id: TransactionId): Transaction {
  const transaction = parts.store.transactions.get(id);
  if (!transaction) throw new Error(`no transaction ${id}`);
  return transaction;
}

/** Fixes bays, rate and fee, and journals the transaction with its claim code. */
export async function reserve(
  parts: Parts,
  { amount }: { readonly amount: MinorUnits },
): Promise<ReserveOutcome> {
  const { store, clock, random, config } = parts;
  const refused = (notice: Notice): ReserveOutcome => ({ kind: 'refused', notice });
  const fees = parts.fees();
  if (!fees) return refused(say('awaitingFees', 'notice.awaitingFees'));
  const notice = await readySigner(parts, 'cashOut');
  if (notice) return { kind: 'refused', notice };
  const rate = await parts.rates.fresh(FRESH_MS);
  if (!rate) return refused(say('noRate', 'notice.noRate'));
  if (store.intents.listOpen('payment').length >= ABANDONED_MAX) {
    return refused(say('busy', 'notice.busy'));
  }
  const units = denominate(amount, availableBays(parts), config.limits.cashOutNotesMax);
  if (!units) return refused(say('noNotes', 'notice.noNotes'));
  const principal = principalOfPayout(amount, rate.minorPerBtc);
  const fee = feeSats(principal, fees.cashOut);
  const id = newTransactionId(random);
  const code = newClaimCode(random);
  const reference = newReference(random);
  const expiresAtUnixMs = clock.now() + INVOICE_MS;
  const held = units.map((unit) => ({ ...unit }));
  store.commit(() => {
    store.transactions.insert({
      id,
      kind: 'cashOut',
      reference,
      state: 'reserved',
      currency: config.currency,
      fiatMinor: amount,
      rateMinorPerBtc: rate.minorPerBtc,
      principalSats: principal,
      feeSats: fee,
      wireSats: wireOfCashOut(principal, fee),
      claimHash: hashClaimCode(parts.claimKey, code.reveal()),
      createdAtUnixMs: clock.now(),
    });
    store.secrets.put({ transactionId: id, kind: 'claimCode', value: code });
    store.intents.open({
      kind: 'reservation',
      transactionId: id,
      body: { units: held, expiresAtUnixMs },
    });
    const figures = {
      principalSats: principal,
      feeSats: fee,
      fees: { ...fees.cashOut },
      wireSats: wireOfCashOut(principal, fee),
      rateMinorPerBtc: rate.minorPerBtc,
      rateSource: rate.source,
    };
    store.journal.append(
      'cashOut.reserved',
      { reference, amountMinor: amount, units: held, ...figures },
      id,
    );
  });
  const batches = splitBatches(units, parts.dispenser.capabilities.batchMax);
  return { kind: 'reserved', plan: { transactionId: id, batches, ordinal: 1 } };
}

/** Lets go of the notes that a sale held back; to be called inside a commit. */
export function releaseReservation(parts: Parts, id: TransactionId, outcome: string): void {
  for (const intent of parts.store.intents.forTransaction(id)) {
    if (intent.kind !== 'reservation' || intent.state !== 'open') continue;
    parts.store.intents.settle(intent.id, outcome, {});
  }
}

/**
 * What was paid for and is not in the books as handed out, nor owed; minor units. Anything but 0 at
 * the end of a session is a fault of the program, and is owed then.
 */
export function missingOf(parts: Parts, sale: Transaction): MinorUnits {
  const { store } = parts;
  const paid = store.intents
    .forTransaction(sale.id)
    .some(({ kind, outcome }) => kind === 'payment' && outcome === 'paid');
  if (!paid) return minorUnits(0);
  const handedOut = store.ledger
    .movements({ transactionId: sale.id })
    .filter(({ to }) => to === 'customer')
    .reduce((sum, { value, count }) => sum + value * count, 0);
  // What a command in doubt has said is in the books, and is in doubt all the same.
  const doubted = store.intents
    .forTransaction(sale.id)
    .filter(({ kind, outcome }) => kind === 'dispense' && outcome === 'unknown')
    .reduce((sum, { evidence }) => sum + saidSchema.parse(evidence).presentedMinor, 0);
  // One doubtful command says nothing of those that never left: the sums are compared. What was
  // redeemed is among the notes handed out, what the machine replaced among what replaced it.
  const owed = store.obligations
    .forTransaction(sale.id)
    .filter(({ state, settledBy }) => state !== 'redeemed' && settledBy !== MACHINE)
    .reduce((sum, { amountMinor = 0 }) => sum + amountMinor, 0);
  return minorUnits(Math.max(0, sale.fiatMinor - (handedOut - doubted) - owed));
}

/** Whether anything of a transaction is owed or not known. */
export function isOwed({ store }: Parts, id: TransactionId): boolean {
  return store.obligations
    .forTransaction(id)
    .some(({ state }) => state !== 'settled' && state !== 'redeemed');
}

/** Lets go of a code under which nothing is owed any more; to be called inside a commit. */
export function forgetCodeUnlessOwed(parts: Parts, id: TransactionId): void {
  if (!isOwed(parts, id)) parts.store.secrets.erase(id, 'claimCode');
}

/** Writes down that cash is owed; to be called inside a commit. */
export function oweCash(
  parts: Parts,
  sale: Transaction,
  kind: 'remainder' | 'dispenseUnknown',
  amountMinor: MinorUnits,
  evidence: string,
): void {
  const { id: transactionId, reference, currency } = sale;
  parts.store.obligations.insert({
    transactionId,
    reference,
    kind,
    amountMinor,
    currency,
    body: { evidence },
  });
  parts.store.journal.append('obligation.opened', { kind, amountMinor }, transactionId);
}
