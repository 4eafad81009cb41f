/** The effects of the cash-out machine, bound to the parts of this machine. */
import type { MinorUnits } from '#protocol/base/money.ts';
import type {
  CashOutInput,
  EndInput,
  Plan,
  PresentOutcome,
  WithTransaction,
} from '../machines/cash-out.ts';
import { effect } from '../machines/effect.ts';
import type { Parts } from '../parts.ts';
import { say } from '../texts/customer.ts';
import { conclude } from './conclude.ts';
import { dispenseBatch, TAKE_MS } from './dispense-batch.ts';
import { invoice } from './invoice.ts';
import type { Payments } from './payments.ts';
import { redeem } from './redeem.ts';
import { reserve } from './sale.ts';

/** Everything that `cashOutMachine.provide` wants. */
export function cashOutActors(parts: Parts, payments: Payments) {
  return {
    reserve: effect((input: { readonly amount: MinorUnits }) => reserve(parts, input)),
    invoice: effect((input: WithTransaction) => invoice(parts, input)),
    awaitPayment: effect((input: WithTransaction, signal) =>
      payments.wait(input.transactionId, signal),
    ),
    redeem: effect((input: Extract<CashOutInput, { kind: 'redeem' }>) => redeem(parts, input)),
    dispense: effect((plan: Plan) => dispenseBatch(parts, plan)),
    present: effect((input: WithTransaction) => present(parts, input)),
    conclude: effect((input: EndInput) => conclude(parts, input)),
  };
}

/**
 * Waits until the notes are taken; where the unit cannot sense it, they fell into the tray. What
 * the exit said is evidence; only notes that are sensed there are called left.
 */
async function present(parts: Parts, { transactionId }: WithTransaction): Promise<PresentOutcome> {
  const { store, board, dispenser } = parts;
  const taken = await dispenser.waitTaken(TAKE_MS);
  store.commit(() => store.journal.append('notes.presented', { taken }, transactionId));
  if (taken !== 'notTaken') return { kind: 'taken' };
  const notice = say('presentedNotTaken', 'notice.presentedNotTaken');
  board.set('cashOut', 'dispenser', notice.text);
  return { kind: 'notTaken', notice };
}
