/**
 * What a cut left open, asked of the devices and settled before service (design 8). Evidence goes
 * to
 * the journal before anything is reset; being cut here changes nothing, the next start asks again.
 */

import type { IntentId, TransactionId } from '#protocol/base/ids.ts';
import type { Intent } from '#state/intents.ts';
import type { Transaction } from '#state/transactions.ts';
import { recoverNote } from './cash-in/note.ts';
import type { Withdraws } from './cash-in/withdraws.ts';
import { settleClaim } from './cash-out/claim.ts';
import { recoverDispense } from './cash-out/dispense-batch.ts';
import { missingOf, oweCash, releaseReservation } from './cash-out/sale.ts';
import type { Parts } from './parts.ts';
import type { Direction } from './reasons.ts';

/** What the last run left open, and who goes on with it. */
export class Recovery {
  readonly #parts: Parts;
  readonly #withdraws: Withdraws;
  /** Transactions of the last run: those of this run are their sessions' business. */
  readonly #left: ReadonlySet<TransactionId>;
  readonly #leftClaims: ReadonlySet<IntentId>;

  constructor(parts: Parts, withdraws: Withdraws) {
    this.#parts = parts;
    this.#withdraws = withdraws;
    this.#left = new Set(parts.store.transactions.listOpen().map(({ id }) => id));
    this.#leftClaims = new Set(parts.store.intents.listOpen('claim').map(({ id }) => id));
    for (const direction of ['cashIn', 'cashOut'] as const) this.#tell(direction);
  }

  /** Settles what is open on a device that has just answered, and what waited for that. */
  async device(device: 'acceptor' | 'dispenser'): Promise<void> {
    const { store, log } = this.#parts;
    for (const intent of store.intents.listOpen()) {
      if (intent.device !== device) continue;
      log.warn({ intent: intent.id, kind: intent.kind }, 'open intent found at start');
      const isNote = intent.kind === 'deposit' || intent.kind === 'return';
      if (isNote) await recoverNote(this.#parts, intent);
      else if (intent.kind === 'dispense') await recoverDispense(this.#parts, intent);
      else settleInitialise(this.#parts, intent);
    }
    this.#tell(device === 'acceptor' ? 'cashIn' : 'cashOut');
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
      if (!this.#left.has(transaction.id) || this.#waits(transaction.id)) continue;
      if (transaction.kind === 'cashIn') recoverCashIn(this.#parts, transaction, this.#withdraws);
      else recoverCashOut(this.#parts, transaction);
    }
  }

  /** Whether an act of this transaction is open on a device that has to be asked first. */
  #waits(id: TransactionId): boolean {
    return this.#parts.store.intents
      .forTransaction(id)
      .some(({ device, state }) => device !== undefined && state === 'open');
  }

  /** A claim that was being redeemed: one whose commands are settled is over, or open again. */
  #claim(claim: Intent): void {
    const { store } = this.#parts;
    const { id, transactionId } = claim;
    if (transactionId === undefined || !this.#leftClaims.has(id)) return;
    if (this.#waits(transactionId)) return;
    store.commit(() => settleClaim(this.#parts, claim, transactionId));
  }

  /** An act of which nobody knows yet how it ended keeps its direction closed, by its reference. */
  #tell(direction: Direction): void {
    const { store, board } = this.#parts;
    const device = direction === 'cashIn' ? 'acceptor' : 'dispenser';
    const open = store.intents.listOpen().find((intent) => intent.device === device);
    const transaction = open?.transactionId && store.transactions.get(open.transactionId);
    const name = transaction ? ` (reference ${transaction.reference})` : '';
    board.set(
      direction,
      'openIntent',
      open &&
        `The ${device} was cut off at a ${open.kind}${name}; it has not said yet what came of it.`,
    );
  }
}

/** An initialisation that was cut: the next one follows at once, and this one proves nothing. */
function settleInitialise({ store }: Parts, intent: Intent): void {
  store.commit(() => {
    store.intents.settle(intent.id, 'unknown', { reason: 'cut' });
    store.journal.append('initialise.settled', { device: intent.device ?? '', outcome: 'cut' });
  });
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
    const kind = doubtful ? 'dispenseUnknown' : 'remainder';
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
    store.journal.append('cashOut.ended', { end, missingMinor: missing, recovered: true }, id);
  });
}
