/** The end of a cash-out's session: last word in the journal, and what is owed by then. */
import type { EndInput } from '../machines/cash-out.ts';
import type { Parts } from '../parts.ts';
import { claimOf, settleClaim } from './claim.ts';
import { missingOf, oweCash, releaseReservation, saleOf } from './sale.ts';

/** Journals how the session ended. An unpaid invoice is still watched: see payments.ts. */
export async function conclude(parts: Parts, input: EndInput): Promise<void> {
  const { store, clock } = parts;
  const { transactionId, end, remainderMinor } = input;
  const intents = store.intents.forTransaction(transactionId);
  const isOpen = (wanted: string) =>
    intents.some(({ kind, state }) => kind === wanted && state === 'open');
  // A command without a settled end: the device is asked for it, and only then is it known.
  const isDispensing = isOpen('dispense');
  const isPaying = isOpen('payment');
  const sale = saleOf(parts, transactionId);
  const claim = claimOf(parts, transactionId);
  store.commit(() => {
    const missing = missingOf(parts, sale);
    if (missing > 0) oweCash(parts, sale, 'dispenseUnknown', missing, 'the session broke off');
    if (claim && !isDispensing) settleClaim(parts, claim, transactionId);
    const owed = store.obligations
      .forTransaction(transactionId)
      .some(({ state }) => state !== 'settled' && state !== 'redeemed');
    store.transactions.update(transactionId, {
      state: end,
      ...(isPaying ? {} : { outcome: end, endedAtUnixMs: clock.now() }),
    });
    if (!isPaying) releaseReservation(parts, transactionId, 'released');
    if (!isPaying && !owed) store.secrets.erase(transactionId, 'claimCode');
    store.journal.append('cashOut.ended', { end, remainderMinor }, transactionId);
  });
  parts.changed();
}
