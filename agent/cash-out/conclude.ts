/** The end of a cash-out's session: last word in the journal, and what is owed by then. */
import type { EndInput } from '../machines/cash-out.ts';
import type { Parts } from '../parts.ts';
import { hasOpenAct, tellOpenAct } from '../recovery/open-act.ts';
import { tellQuarantine } from '../recovery/quarantine.ts';
import { recoveryPolicy } from '../recovery/recovery-policy.ts';
import { claimOf, settleClaim } from './claim.ts';
import { forgetCodeUnlessOwed, missingOf, oweCash, releaseReservation, saleOf } from './sale.ts';

/** Journals how the session ended. An unpaid invoice is still watched: see payments.ts. */
export async function conclude(parts: Parts, input: EndInput): Promise<void> {
  const { store, clock } = parts;
  parts.signatures.release();
  const { transactionId, end, remainderMinor } = input;
  // A command without a settled end: the device is asked for it, and only then is it known.
  if (hasOpenAct(parts, transactionId)) return tellOpenAct(parts, 'cashOut');
  const isPaying = store.intents
    .forTransaction(transactionId)
    .some(({ kind, state }) => kind === 'payment' && state === 'open');
  const sale = saleOf(parts, transactionId);
  const claim = claimOf(parts, transactionId);
  store.commit(() => {
    const missing = missingOf(parts, sale);
    const kind = recoveryPolicy.dispense.unknown.owes;
    if (missing > 0) oweCash(parts, sale, kind, missing, 'the session broke off');
    if (claim) settleClaim(parts, claim);
    store.transactions.update(transactionId, {
      state: end,
      ...(isPaying ? {} : { outcome: end, endedAtUnixMs: clock.now() }),
    });
    if (!isPaying) releaseReservation(parts, transactionId, 'released');
    if (!isPaying) forgetCodeUnlessOwed(parts, transactionId);
    store.journal.append('cashOut.ended', { end, remainderMinor }, transactionId);
  });
  tellQuarantine(parts);
  parts.changed();
}
