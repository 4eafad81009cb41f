/** What a cash-in costs and how much it may come to now: rate, fee, cap, and the notes that fit. */
import type { TransactionId } from '#protocol/base/ids.ts';
import {
  type FeeFractions,
  feeSats,
  type MinorPerBtc,
  type MinorUnits,
  principalOfNote,
  type Sats,
  sats,
  wireOfCashIn,
} from '#protocol/base/money.ts';
import { remembered } from '#state/remembered.ts';
import type { Transaction } from '#state/transactions.ts';
import type { CashInTerms, CashInTotal } from '../machines/cash-in.ts';
import type { Parts, Rate } from '../parts.ts';
import type { SaidKey } from '../texts/customer.ts';
import { type EffectiveCap, effectiveCap } from './effective-cap.ts';
import { exposureLeft } from './exposure.ts';

/** A balance and a rate older than this are asked for again (design 6.2). */
export const FRESH_MS = 60_000;
/** How long a cap holds that a refusal taught (design 6.2). */
const LEARNED_CAP_MS = 86_400_000;
/** Where such a cap is kept. */
export const LEARNED_CAP = 'learnedCap';

const transactionNow = remembered(({ transactions }, id: TransactionId) => transactions.get(id));

/** The transaction of a session. @throws Error when it is not there, which is a bug. */
export function transactionOf(parts: Parts, id: TransactionId): Transaction {
  const transaction = transactionNow(parts.store, id);
  if (!transaction) throw new Error(`no transaction ${id}`);
  return transaction;
}

/** The whole fraction of principal that a fee takes, for the screen. */
export function feeFractionOf(fractions: FeeFractions): number {
  return fractions.kind === 'total' ? fractions.total : fractions.platform + fractions.operator;
}

/** Sats of links that were made and not proven claimed: they may leave the wallet at any time. */
const unclaimedSats = remembered(({ intents }) =>
  intents.listOpen('withdraw').reduce((sum, intent) => sum + (Number(intent.body.netSats) || 0), 0),
);

const learned = remembered(({ facts }) => facts.get(LEARNED_CAP));

function learnedCap(parts: Parts): number | undefined {
  const fact = learned(parts.store);
  if (!fact || parts.clock.now() - fact.atUnixMs > LEARNED_CAP_MS) return undefined;
  return typeof fact.value === 'number' ? fact.value : undefined;
}

/** Keeps what a cap refusal taught, for a day. */
export function learnCap(parts: Parts, capSats: Sats): void {
  parts.store.commit(() => {
    parts.store.facts.put(LEARNED_CAP, capSats, parts.clock.now());
    parts.store.journal.append('cap.learned', { capSats });
  });
}

/** The cap for a session that has already taken `already`, beside what the budgets still allow. */
export function capFor(parts: Parts, balanceSats: number, already: Sats): EffectiveCap {
  return effectiveCap({
    configured: parts.config.limits.max_cash_in_sats,
    operator: parts.operatorCap(),
    learned: learnedCap(parts),
    noEscrow: parts.acceptor.capabilities.escrow ? undefined : parts.config.limits.noEscrowSats,
    spendable: balanceSats - unclaimedSats(parts.store) - parts.config.limits.walletReserveSats,
    budget: exposureLeft(parts) + already,
  });
}

/**
 * Reads what `judge` will ask of the state while the note is still drawn in, and not while it waits
 * in escrow. What is written meanwhile is read again there.
 */
export function readAhead(parts: Parts, transactionId: TransactionId): void {
  capFor(parts, 0, transactionOf(parts, transactionId).principalSats);
}

/** Why no cash-in can be taken under these limits, or undefined. */
export function closedBy(cap: EffectiveCap): SaidKey | undefined {
  if (cap.capSats > 0) return undefined;
  if (cap.binding === 'spendable') return 'notice.limitEmpty';
  if (cap.binding === 'budget') return 'notice.limitReached';
  return 'notice.limitClosed';
}

/** Values of the notes that still fit under a cap at a rate. */
export function fittingValues(
  values: readonly MinorUnits[],
  rate: MinorPerBtc,
  principal: Sats,
  capSats: Sats,
): readonly MinorUnits[] {
  return values
    .filter((value) => principal + principalOfNote(value, rate) <= capSats)
    .sort((a, b) => a - b);
}

/** The terms at this moment; undefined when there is no fee document. */
export function termsNow(
  parts: Parts,
  rate: Rate,
  cap: EffectiveCap,
  principal: Sats,
): CashInTerms | undefined {
  const fees = parts.fees();
  if (!fees) return undefined;
  return {
    rate: rate.minorPerBtc,
    rateSource: rate.source,
    feeFraction: feeFractionOf(fees.cashIn),
    capSats: cap.binding === 'spendable' || cap.binding === 'budget' ? cap.capSats : cap.agreed,
    accepted: fittingValues(parts.acceptor.values(), rate.minorPerBtc, principal, cap.capSats),
  };
}

/** What a transaction has come to so far; `notes` is counted from the note ledger. */
export function totalOf(parts: Parts, transaction: Transaction): CashInTotal {
  const movements = parts.store.ledger.movements({ transactionId: transaction.id });
  const notes = movements
    .filter(({ to }) => to === 'cashbox')
    .reduce((sum, movement) => sum + movement.count, 0);
  return {
    notes,
    fiat: transaction.fiatMinor,
    principal: transaction.principalSats,
    fee: transaction.feeSats,
    net: transaction.wireSats,
  };
}

/** Principal, fee and net after one more note. The fee is that of the whole principal. */
export function afterNote(
  before: Sats,
  note: Sats,
  fractions: FeeFractions,
): { readonly principal: Sats; readonly fee: Sats; readonly net: Sats } {
  const principal = sats(before + note);
  const fee = feeSats(principal, fractions);
  return { principal, fee, net: wireOfCashIn(principal, fee) };
}
