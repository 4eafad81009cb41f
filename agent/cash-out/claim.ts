/**
 * A claim while it is redeemed: an intent on disk from the moment it is taken until what came of it
 * is proven (design 7.7).
 */
import { z } from 'zod';
import type { ObligationId, TransactionId } from '#protocol/base/ids.ts';
import { type MinorUnits, minorUnits } from '#protocol/base/money.ts';
import type { Intent } from '#state/intents.ts';
import type { Parts } from '../parts.ts';
import { MACHINE, oweCash, saleOf } from './sale.ts';

const WHY = {
  open: 'nothing left for it',
  redeemed: 'handed out',
  settled: 'redeemed in part or in doubt: what is left is an obligation of its own',
} as const;

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

/**
 * Says what became of a claim, by the commands that left for it alone: none left, and it is open
 * again; all of it proven handed out, and it is redeemed; else it is over, and what is left, or in
 * doubt, is an obligation of its own, so that no amount is listed twice. Inside a commit, once
 * every
 * command is settled.
 */
export function settleClaim(parts: Parts, claim: Intent, transactionId: TransactionId): void {
  const { store } = parts;
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
  const isDone = !doubtful && owed + rest === 0;
  const state = isUntouched ? 'open' : isDone ? 'redeemed' : 'settled';
  if (!isUntouched && rest > 0) {
    const kind = doubtful ? 'dispenseUnknown' : 'remainder';
    oweCash(parts, saleOf(parts, transactionId), kind, rest, 'the session broke off');
  }
  if (isUntouched) store.obligations.setState(obligationId, 'redeeming', 'open');
  else store.obligations.setState(obligationId, 'redeeming', state, MACHINE, WHY[state]);
  const evidence = { obligationId, handedOutMinor: handedOut, state };
  store.intents.settle(claim.id, state, evidence);
  store.journal.append('claim.settled', evidence, transactionId);
}
