/** Cash that is owed, handed out by its claim code, once (design 7.7). */
import type { CashOutInput, ReserveOutcome } from '../machines/cash-out.ts';
import type { Parts } from '../parts.ts';
import { type SaidKey, say } from '../texts/customer.ts';
import { availableBays } from './available.ts';
import { openClaim } from './claim.ts';
import { denominate, splitBatches } from './denominate.ts';

/** Takes the obligation, on disk, before a note moves; two codes at once cannot both take it. */
export async function redeem(
  parts: Parts,
  input: Extract<CashOutInput, { kind: 'redeem' }>,
): Promise<ReserveOutcome> {
  const { store, config } = parts;
  const { transactionId, obligationId } = input;
  const refused = (key: SaidKey): ReserveOutcome => ({
    kind: 'refused',
    notice: say('claim', key),
  });
  const obligation = store.obligations.get(obligationId);
  if (obligation?.state !== 'open' || obligation.amountMinor === undefined) {
    return refused('notice.nothingOwed');
  }
  const { amountMinor } = obligation;
  const units = denominate(amountMinor, availableBays(parts), config.limits.cashOutNotesMax);
  if (!units) {
    return refused('notice.claimNotNow');
  }
  const ordinal = openClaim(parts, { transactionId, obligationId, amountMinor });
  const batches = splitBatches(units, parts.dispenser.capabilities.batchMax);
  return { kind: 'reserved', plan: { transactionId, batches, ordinal } };
}
