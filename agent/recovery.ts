/**
 * What a cut left open, asked of the devices and settled before service (design 8). Evidence goes
 * to
 * the journal before anything is reset; being cut here changes nothing, the next start asks again.
 */
import type { Intent } from '#state/intents.ts';
import type { Transaction } from '#state/transactions.ts';
import { recoverNote } from './cash-in/note.ts';
import type { Withdraws } from './cash-in/withdraws.ts';
import { recoverDispense } from './cash-out/dispense-batch.ts';
import type { Payments } from './cash-out/payments.ts';
import type { Parts } from './parts.ts';

/** Settles what is open on a device that has just answered. */
export async function recoverDevice(parts: Parts, device: 'acceptor' | 'dispenser'): Promise<void> {
  for (const intent of parts.store.intents.listOpen()) {
    if (intent.device !== device) continue;
    parts.log.warn({ intent: intent.id, kind: intent.kind }, 'open intent found at start');
    if (intent.kind === 'deposit' || intent.kind === 'return') await recoverNote(parts, intent);
    else if (intent.kind === 'dispense') await recoverDispense(parts, intent);
    else settleInitialise(parts, intent);
  }
}

/** An initialisation that was cut: the next one follows at once, and this one proves nothing. */
function settleInitialise({ store }: Parts, intent: Intent): void {
  store.commit(() => {
    store.intents.settle(intent.id, 'unknown', { reason: 'cut' });
    store.journal.append('initialise.settled', { device: intent.device ?? '', outcome: 'cut' });
  });
}

/** Brings every open transaction to an end, or to something that is owed. */
export function recoverTransactions(parts: Parts, payments: Payments, withdraws: Withdraws): void {
  for (const transaction of parts.store.transactions.listOpen()) {
    if (transaction.kind === 'cashIn') recoverCashIn(parts, transaction, withdraws);
    else recoverCashOut(parts, transaction);
  }
  withdraws.resume();
  payments.resume();
}

/** Notes that are in the box are issued, whether or not the customer is still there. */
function recoverCashIn(parts: Parts, transaction: Transaction, withdraws: Withdraws): void {
  const { store, clock, log } = parts;
  const { id, principalSats } = transaction;
  if (principalSats > 0) {
    const known = store.intents.forTransaction(id).some(({ kind }) => kind === 'withdraw');
    if (known) return;
    withdraws.issue(id).then(
      (outcome) => log.info({ transactionId: id, outcome: outcome.kind }, 'deposit issued late'),
      (err: unknown) => log.error({ err, transactionId: id }, 'deposit not issued'),
    );
    return;
  }
  if (store.obligations.forTransaction(id).some(({ state }) => state === 'open')) return;
  store.commit(() => {
    store.transactions.update(id, {
      state: 'cancelled',
      outcome: 'cancelled',
      endedAtUnixMs: clock.now(),
    });
    store.secrets.erase(id, 'claimCode');
    store.journal.append('cashIn.ended', { end: 'cancelled', recovered: true }, id);
  });
}

/** What was paid and is not proven handed out is owed; what was never paid ends. */
function recoverCashOut(parts: Parts, transaction: Transaction): void {
  const { store, clock } = parts;
  const { id, fiatMinor, reference, currency } = transaction;
  const intents = store.intents.forTransaction(id);
  if (intents.some(({ kind, state }) => kind === 'payment' && state === 'open')) return;
  const paid = intents.some(({ kind, outcome }) => kind === 'payment' && outcome === 'paid');
  const obligations = store.obligations.forTransaction(id);
  const owed = obligations.length > 0;
  const inDoubt = obligations.some(({ kind }) => kind === 'dispenseUnknown');
  const handedOut = store.ledger
    .movements({ transactionId: id })
    .filter(({ to }) => to === 'customer')
    .reduce((sum, { value, count }) => sum + value * count, 0);
  const missing = Math.max(0, fiatMinor - handedOut);
  store.commit(() => {
    for (const intent of intents) {
      if (intent.kind !== 'reservation' || intent.state !== 'open') continue;
      store.intents.settle(intent.id, 'released', { reason: 'restart' });
    }
    if (paid && missing > 0 && !owed) {
      store.obligations.insert({
        transactionId: id,
        reference,
        kind: 'remainder',
        amountMinor: missing as typeof fiatMinor,
        currency,
        body: { reason: 'cut' },
      });
    }
    const short = inDoubt ? 'needsOperator' : 'remainder';
    const end = !paid ? 'expired' : missing === 0 ? 'dispensed' : short;
    store.transactions.update(id, { state: end, outcome: end, endedAtUnixMs: clock.now() });
    store.journal.append('cashOut.ended', { end, missingMinor: missing, recovered: true }, id);
  });
}
