/**
 * What a cut left open, asked of the devices and settled before service (design 8). Evidence goes
 * to
 * the journal before anything is reset; being cut here changes nothing, the next start asks again.
 */

import type { IntentId, TransactionId } from '#protocol/base/ids.ts';
import type { Intent } from '#state/intents.ts';
import type { Transaction } from '#state/transactions.ts';
import { recoverNote, writeCredits } from '../cash-in/note.ts';
import { withdrawBody } from '../cash-in/withdraw-body.ts';
import type { Withdraws } from '../cash-in/withdraws.ts';
import { claimOf, settleClaim, transactionOfClaim } from '../cash-out/claim.ts';
import { recoverDispense } from '../cash-out/dispense-batch.ts';
import { forgetCodeUnlessOwed, missingOf, oweCash, releaseReservation } from '../cash-out/sale.ts';
import { recoverTest, TEST_DISPENSE } from '../exchange/test-dispense.ts';
import type { Parts } from '../parts.ts';
import { hasOpenAct, tellOpenAct, writeKeptEnd } from './open-act.ts';
import { countRestart, tellQuarantine } from './quarantine.ts';
import { recoveryPolicy } from './recovery-policy.ts';

/** What the last run left open, and who goes on with it. */
export class Recovery {
  readonly #parts: Parts;
  readonly #withdraws: Withdraws;
  /** Transactions of the last run: those of this run are their sessions' business. */
  readonly #left: Set<TransactionId>;
  readonly #leftClaims: Set<IntentId>;

  constructor(parts: Parts, withdraws: Withdraws) {
    this.#parts = parts;
    this.#withdraws = withdraws;
    this.#left = new Set(parts.store.transactions.listOpen().map(({ id }) => id));
    this.#leftClaims = new Set(parts.store.intents.listOpen('claim').map(({ id }) => id));
    countRestart(parts);
    for (const direction of ['cashIn', 'cashOut'] as const) tellOpenAct(parts, direction);
  }

  /**
   * Settles what is open on a device, and what waited for that: once it has answered at a start, or
   * when the disk did not take the end of an act and the session is over.
   */
  async device(device: 'acceptor' | 'dispenser'): Promise<void> {
    const { store, log } = this.#parts;
    for (const intent of store.intents.listOpen()) {
      if (intent.device !== device) continue;
      log.warn({ intent: intent.id, kind: intent.kind }, 'open intent found');
      this.#adopt(intent);
      if (await writeKeptEnd(this.#parts, intent)) continue;
      const isNote = intent.kind === 'deposit' || intent.kind === 'return';
      if (isNote) await recoverNote(this.#parts, intent);
      else if (intent.kind === 'dispense') await recoverDispense(this.#parts, intent);
      else if (intent.kind === TEST_DISPENSE) await recoverTest(this.#parts, intent);
      else settleInitialise(this.#parts, intent, device);
    }
    tellOpenAct(this.#parts, device === 'acceptor' ? 'cashIn' : 'cashOut');
    this.#credits();
    this.transactions();
  }

  #credits(): void {
    if (writeCredits(this.#parts)) void this.#parts.acceptor.confirmDeposit();
  }

  /** Also a session of this run is over when the end of its act was not written down. */
  #adopt({ transactionId }: Intent): void {
    if (transactionId === undefined) return;
    this.#left.add(transactionId);
    const claim = claimOf(this.#parts, transactionId);
    if (claim) this.#leftClaims.add(claim.id);
  }

  /** No session is on: whatever is open now is as if it had been left by the last run. */
  sessionsOver(): void {
    this.#credits();
    for (const { id } of this.#parts.store.transactions.listOpen()) this.#left.add(id);
    for (const { id } of this.#parts.store.intents.listOpen('claim')) this.#leftClaims.add(id);
    this.transactions();
  }

  /**
   * Brings every transaction of the last run to an end, or to something that is owed. One that has
   * an act open on a device waits for that device.
   */
  transactions(): void {
    const { store } = this.#parts;
    for (const claim of store.intents.listOpen('claim')) this.#claim(claim);
    for (const transaction of store.transactions.listOpen()) {
      if (!this.#left.has(transaction.id) || hasOpenAct(this.#parts, transaction.id)) continue;
      if (transaction.kind === 'cashIn') recoverCashIn(this.#parts, transaction, this.#withdraws);
      else recoverCashOut(this.#parts, transaction);
    }
    tellQuarantine(this.#parts);
  }

  /** A claim that was being redeemed: one whose commands are settled is over, or open again. */
  #claim(claim: Intent): void {
    const { store } = this.#parts;
    const transactionId = transactionOfClaim(claim);
    if (!this.#leftClaims.has(claim.id) || hasOpenAct(this.#parts, transactionId)) return;
    store.commit(() => {
      settleClaim(this.#parts, claim);
      forgetCodeUnlessOwed(this.#parts, transactionId);
    });
  }
}

/** An initialisation that was cut: the next one follows at once, and this one proves nothing. */
function settleInitialise({ store }: Parts, intent: Intent, device: string): void {
  store.commit(() => {
    store.intents.settle(intent.id, 'unknown', { reason: 'cut' });
    store.journal.append('initialise.settled', { device, outcome: 'cut' });
  });
}

/** Notes that are in the box are issued, whether or not the customer is still there. */
function recoverCashIn(parts: Parts, transaction: Transaction, withdraws: Withdraws): void {
  const { store, clock, log } = parts;
  const { id, principalSats } = transaction;
  if (principalSats > 0) {
    const known = store.intents.forTransaction(id).findLast(({ kind }) => kind === 'withdraw');
    // A full disk may have ended the asking; one that goes on is only joined.
    const isAsking = known?.state === 'open' && withdrawBody(known).state !== 'answered';
    if (known && !isAsking) return;
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
  const { id } = transaction;
  const intents = store.intents.forTransaction(id);
  if (intents.some(({ kind, state }) => kind === 'payment' && state === 'open')) return;
  const paid = intents.some(({ kind, outcome }) => kind === 'payment' && outcome === 'paid');
  const missing = missingOf(parts, transaction);
  store.commit(() => {
    releaseReservation(parts, id, 'released');
    // Every command that left was settled before: what is missing was never asked for, unless one
    // is in doubt, which nobody may be paid from.
    const doubtful = intents.some(
      ({ kind, outcome }) => kind === 'dispense' && outcome === 'unknown',
    );
    const kind = recoveryPolicy.dispense[doubtful ? 'unknown' : 'none'].owes;
    if (missing > 0) oweCash(parts, transaction, kind, missing, 'cut before the command');
    const kinds = store.obligations.forTransaction(id).map(({ kind }) => kind);
    const end = kinds.includes('dispenseUnknown')
      ? 'needsOperator'
      : kinds.length > 0
        ? 'remainder'
        : paid
          ? 'dispensed'
          : 'expired';
    store.transactions.update(id, { state: end, outcome: end, endedAtUnixMs: clock.now() });
    forgetCodeUnlessOwed(parts, id);
    store.journal.append('cashOut.ended', { end, missingMinor: missing, recovered: true }, id);
  });
}
