/**
 * An obligation that a person has settled outside the machine: paid by hand, counted, explained.
 * Its claim code is void from the same commit on (design 7.7).
 */
import type { ObligationId, TransactionId } from '#protocol/base/ids.ts';
import type { Intent } from '#state/intents.ts';
import type { Obligation } from '#state/obligations.ts';
import { withdrawBody } from '../cash-in/withdraw-body.ts';
import { isOwed } from '../cash-out/sale.ts';
import type { Parts } from '../parts.ts';
import { type Confirmation, type ConfirmOutcome, confirmClaim } from '../upkeep/restore.ts';
import { tellQuarantine } from './quarantine.ts';

/** Who settles what, and why. */
export interface Settlement {
  readonly obligationId: ObligationId;
  /** The person, for the record. */
  readonly by: string;
  /** What was found or paid, for the record. */
  readonly reason: string;
}

/** `busy`: its code is being redeemed at this moment. */
export type SettleOutcome = 'settled' | 'notFound' | 'alreadySettled' | 'busy';

/** Settles an obligation by hand, and lets go of the code where nothing else is due under it. */
export function settleByHand(parts: Parts, settlement: Settlement): SettleOutcome {
  const { store } = parts;
  const { obligationId, by, reason } = settlement;
  const obligation = store.obligations.get(obligationId);
  if (!obligation) return 'notFound';
  const { state, kind, transactionId } = obligation;
  if (state === 'settled' || state === 'redeemed') return 'alreadySettled';
  if (state === 'redeeming') return 'busy';
  store.commit(() => {
    store.obligations.setState(obligationId, state, 'settled', by, reason);
    store.journal.append('obligation.settled', { obligationId, kind, by, reason }, transactionId);
    if (transactionId !== undefined) voidCode(parts, transactionId, obligation);
  });
  tellQuarantine(parts);
  parts.changed();
  return 'settled';
}

/** A claim that a restore suspended is good again, by a person's word. */
export function confirmByHand(parts: Parts, confirmation: Confirmation): ConfirmOutcome {
  const outcome = confirmClaim(parts.store, confirmation);
  tellQuarantine(parts);
  parts.changed();
  return outcome;
}

/** The code is good for what else is due, and for a link that was made; else it is void. */
function voidCode(parts: Parts, id: TransactionId, settled: Obligation): void {
  const { store, clock } = parts;
  const transaction = store.transactions.get(id);
  if (!transaction || isOwed(parts, id)) return;
  const open = store.intents.forTransaction(id).filter(({ state }) => state === 'open');
  if (open.some(({ kind }) => kind !== 'withdraw')) return;
  // What was promised in sats is over only when it was this that was settled.
  const promised = transaction.kind === 'cashIn' && transaction.principalSats > 0;
  if (promised && transaction.outcome === undefined) {
    if (!settled.kind.startsWith('withdraw') || open.some(hasLink)) return;
    for (const intent of open) store.intents.settle(intent.id, 'settledByHand', {});
  }
  store.secrets.erase(id, 'claimCode');
  store.secrets.erase(id, 'lnurl');
  if (transaction.endedAtUnixMs !== undefined) return;
  const endedAtUnixMs = clock.now();
  store.transactions.update(id, { state: 'settled', outcome: 'settled', endedAtUnixMs });
}

/** A link that was made may be claimed as long as its server lets it. */
const hasLink = (withdraw: Intent): boolean => withdrawBody(withdraw).state === 'answered';
