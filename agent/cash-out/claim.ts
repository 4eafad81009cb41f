/**
 * A claim while it is redeemed: an intent on disk from the moment it is taken until what came of it
 * is proven (design 7.7).
 */
import assert from 'node:assert';
import { z } from 'zod';
import type { ObligationId, TransactionId } from '#protocol/base/ids.ts';
import { type MinorUnits, minorUnits } from '#protocol/base/money.ts';
import type { Intent } from '#state/intents.ts';
import type { Parts } from '../parts.ts';
import { recoveryPolicy } from '../recovery/recovery-policy.ts';
import { MACHINE, oweCash, saleOf } from './sale.ts';

/** What became of a claim (design 7.7); `open`: no command left for it, it is as it was. */
type ClaimEnd = 'open' | 'redeemed' | 'reduced' | 'unknown';

const WHY: Readonly<Record<Exclude<ClaimEnd, 'open'>, string>> = {
  redeemed: 'handed out',
  reduced: 'handed out in part: what is left is an obligation of its own',
  unknown: 'nobody knows how much of it was handed out: the doubt is an obligation of its own',
};

const bodySchema = z.object({
  obligationId: z.string().transform((id) => id as ObligationId),
  amountMinor: z.int(),
  /** Number of the first command for it; all that were sent later are for it as well. */
  firstOrdinal: z.int(),
  /** Obligations that the transaction had by then; all later ones are of this claim. */
  obligationsBefore: z.int(),
});
const presentedSchema = z
  .object({ presentedMinor: z.int() })
  .transform(({ presentedMinor }) => presentedMinor);

/**
 * Takes a claim: two codes at once cannot both take it. Gives the number of the first command that
 * may leave for it. @throws StoreError `sequenceError` when it is not open any more.
 */
export function openClaim(
  parts: Parts,
  claim: {
    readonly transactionId: TransactionId;
    readonly obligationId: ObligationId;
    readonly amountMinor: MinorUnits;
  },
): number {
  const { store } = parts;
  const { transactionId, obligationId, amountMinor } = claim;
  const firstOrdinal = 1 + Math.max(0, ...dispensesOf(parts, transactionId).map(ordinalOf));
  const obligationsBefore = store.obligations.forTransaction(transactionId).length;
  const body = { obligationId, amountMinor, firstOrdinal, obligationsBefore };
  store.commit(() => {
    store.obligations.setState(obligationId, 'open', 'redeeming');
    store.intents.open({ kind: 'claim', transactionId, body });
    store.journal.append('claim.redeeming', body, transactionId);
  });
  return firstOrdinal;
}

const ordinalOf = ({ ordinal = 0 }: Intent): number => ordinal;

function dispensesOf({ store }: Parts, transactionId: TransactionId): readonly Intent[] {
  return store.intents.forTransaction(transactionId).filter(({ kind }) => kind === 'dispense');
}

/** The claim for which this transaction is being redeemed; undefined when there is none. */
export function claimOf({ store }: Parts, transactionId: TransactionId): Intent | undefined {
  return store.intents
    .forTransaction(transactionId)
    .find(({ kind, state }) => kind === 'claim' && state === 'open');
}

/** The sale of which something is redeemed. */
export function transactionOfClaim({ transactionId }: Intent): TransactionId {
  assert.ok(transactionId !== undefined, 'a claim is of a transaction');
  return transactionId;
}

/**
 * Says what became of a claim, by the commands that left for it alone: none left, and it is open
 * again; all of it proven handed out, and it is redeemed; else it is over, and what is left, or in
 * doubt, is an obligation of its own, so that no amount is listed twice. Inside a commit, once
 * every
 * command is settled.
 */
export function settleClaim(parts: Parts, claim: Intent): void {
  const { store } = parts;
  const transactionId = transactionOfClaim(claim);
  const { obligationId, amountMinor, firstOrdinal, obligationsBefore } = bodySchema.parse(
    claim.body,
  );
  const sent = dispensesOf(parts, transactionId).filter((one) => ordinalOf(one) >= firstOrdinal);
  const handedOut = sent.reduce((sum, one) => sum + presentedSchema.parse(one.evidence), 0);
  const doubtful = sent.some(({ outcome }) => outcome === 'unknown');
  const owed = store.obligations
    .forTransaction(transactionId)
    .slice(obligationsBefore)
    .reduce((sum, one) => sum + (one.amountMinor ?? 0), 0);
  const rest = minorUnits(Math.max(0, amountMinor - handedOut - owed));
  const isUntouched = sent.length === 0 && owed === 0;
  const end = isUntouched ? 'open' : endOf(doubtful, owed + rest);
  if (!isUntouched && rest > 0) {
    const kind = recoveryPolicy.dispense[doubtful ? 'unknown' : 'none'].owes;
    oweCash(parts, saleOf(parts, transactionId), kind, rest, 'the session broke off');
  }
  if (end === 'open') store.obligations.setState(obligationId, 'redeeming', 'open');
  else {
    const state = end === 'redeemed' ? 'redeemed' : 'settled';
    store.obligations.setState(obligationId, 'redeeming', state, MACHINE, WHY[end]);
  }
  const evidence = { obligationId, handedOutMinor: handedOut, end };
  store.intents.settle(claim.id, end, evidence);
  store.journal.append('claim.settled', evidence, transactionId);
}

function endOf(doubtful: boolean, leftMinor: number): Exclude<ClaimEnd, 'open'> {
  if (doubtful) return 'unknown';
  return leftMinor === 0 ? 'redeemed' : 'reduced';
}
