/**
 * Payments: the wallet's own word that an invoice is paid, and nothing less (design 7.4). A payment
 * that comes when nobody waits for it any more is owed, never silently kept.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { sleep } from '#protocol/base/clock.ts';
import type { TransactionId } from '#protocol/base/ids.ts';
import type { PaymentState } from '#protocol/rpc/wallet.ts';
import { SignerError } from '#protocol/signer/signer.ts';
import type { Intent } from '#state/intents.ts';
import type { Store } from '#state/store.ts';
import type { PaymentOutcome } from '../machines/cash-out.ts';
import type { Parts } from '../parts.ts';
import { recoveryPolicy } from '../recovery/recovery-policy.ts';
import { say } from '../texts/customer.ts';
import { INVOICE_MS, releaseReservation, saleOf } from './sale.ts';

/** Pauses between two questions: 2, 3, 5, then every 10 s (design 7.4). */
const FIRST_PAUSES_MS = [2_000, 3_000, 5_000];
const PAUSE_MS = 10_000;
/** A payment may settle a little after the invoice's end. */
const GRACE_MS = 20_000;
/** Pace and end of asking after an invoice that nobody waits for. */
const LATE_PAUSE_MS = 30_000;
const LATE_MS = 600_000;
/**
 * Pace after that end, while the wallet has not said whether it was paid: six questions an hour for
 * each of at most three invoices, until it says so, also over restarts.
 */
const UNHEARD_PAUSE_MS = 600_000;

const HELD: PaymentOutcome = {
  kind: 'held',
  notice: say('paymentHeld', 'notice.paymentHeld'),
};

const bodySchema = z.object({
  paymentHash: z.string(),
  bolt11: z.string(),
  wireSats: z.number(),
  expiresAtUnixMs: z.number(),
});

/** The open payment of a transaction, if it waits for one. */
function openPayment(store: Store, transactionId: TransactionId): Intent | undefined {
  return store.intents
    .forTransaction(transactionId)
    .find(({ kind, state }) => kind === 'payment' && state === 'open');
}

/** The invoice that may be paid now; undefined when there is none. */
export function invoiceOf(store: Store, transactionId: TransactionId): string | undefined {
  const intent = openPayment(store, transactionId);
  return intent && bodySchema.parse(intent.body).bolt11;
}

/** Why a payment that is there does not prove itself, or undefined when it does. */
function doubt(
  payment: PaymentState,
  expected: { readonly wireSats: number; readonly paymentHash: string },
  wallet: { readonly id: string; readonly named: boolean },
): string | undefined {
  if (payment.walletId !== undefined && payment.walletId !== wallet.id) return 'another wallet';
  if (payment.walletId === undefined && !wallet.named) return 'no wallet is named';
  if (payment.amountSats !== undefined && payment.amountSats < expected.wireSats) {
    return 'less than the invoice';
  }
  const { preimage } = payment;
  // LNbits gives zeros for an invoice that was paid inside the same server.
  if (preimage === undefined || preimage === '' || /^0+$/.test(preimage)) return undefined;
  const hash = createHash('sha256').update(Buffer.from(preimage, 'hex')).digest('hex');
  return hash === expected.paymentHash ? undefined : 'the preimage is of another payment';
}

/** Waits for payments, at the screen and behind it. */
export class Payments {
  readonly #parts: Parts;
  readonly #closed = new AbortController();
  readonly #followed = new Set<TransactionId>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Asks again for every invoice that was open when the program ended. */
  resume(): void {
    for (const { transactionId } of this.#parts.store.intents.listOpen('payment')) {
      if (transactionId !== undefined) this.#follow(transactionId);
    }
  }

  /** Ends all asking; what is open goes on after the next start. */
  close(): void {
    this.#closed.abort(new Error('closed'));
  }

  /**
   * Resolves when the payment is proven, doubtful, or the invoice's time is over. When the customer
   * cancels, the signal ends the waiting and the invoice is followed behind the screen.
   */
  async wait(transactionId: TransactionId, signal: AbortSignal): Promise<PaymentOutcome> {
    const { clock } = this.#parts;
    const ends = AbortSignal.any([signal, this.#closed.signal]);
    try {
      for (let poll = 0; ; poll++) {
        await sleep(clock, FIRST_PAUSES_MS.at(poll) ?? PAUSE_MS, ends);
        // Cancelled while the question is on its way: nobody hands out what is paid then.
        const outcome = await this.#ask(transactionId, () => signal.aborted);
        if (typeof outcome === 'object') return outcome;
        if (clock.now() > this.#shownUntil(transactionId) + GRACE_MS) {
          return { kind: 'expired', notice: say('expired', 'notice.expired') };
        }
      }
    } finally {
      this.#follow(transactionId);
    }
  }

  /** A wallet may give an invoice a longer life than asked for: the screen does not wait for it. */
  #shownUntil(transactionId: TransactionId): number {
    const intent = openPayment(this.#parts.store, transactionId);
    return Math.min(this.#endOf(transactionId), (intent?.openedAtUnixMs ?? 0) + INVOICE_MS);
  }

  #endOf(transactionId: TransactionId): number {
    const intent = openPayment(this.#parts.store, transactionId);
    return intent ? bodySchema.parse(intent.body).expiresAtUnixMs : 0;
  }

  /** Follows an invoice that nobody waits for until ten minutes after its end. */
  #follow(transactionId: TransactionId): void {
    const isOpen = openPayment(this.#parts.store, transactionId) !== undefined;
    if (!isOpen || this.#followed.has(transactionId) || this.#closed.signal.aborted) return;
    this.#followed.add(transactionId);
    this.#followOn(transactionId)
      // Only the end of the program breaks the pause between two questions.
      .catch((err: unknown) => this.#parts.log.debug({ err }, 'late payment followed later'))
      .finally(() => this.#followed.delete(transactionId));
  }

  async #followOn(transactionId: TransactionId): Promise<void> {
    const { clock } = this.#parts;
    for (let pauseMs = LATE_PAUSE_MS; ; ) {
      await sleep(clock, pauseMs, this.#closed.signal);
      const isOver = clock.now() > this.#endOf(transactionId) + LATE_MS;
      if (await this.#isClosed(transactionId, isOver)) return;
      pauseMs = isOver ? UNHEARD_PAUSE_MS : LATE_PAUSE_MS;
    }
  }

  /**
   * Asks once behind the screen. Silence is no answer: after its end an invoice is closed only by a
   * word that it is not paid. A fault, of the disk or of too many open calls, does not end the
   * asking.
   */
  async #isClosed(transactionId: TransactionId, isOver: boolean): Promise<boolean> {
    try {
      const outcome = await this.#ask(transactionId, () => true);
      if (outcome === 'unpaid' && isOver) this.#lapse(transactionId);
      return typeof outcome === 'object' || (outcome === 'unpaid' && isOver);
    } catch (err) {
      this.#parts.log.error({ err, transactionId }, 'late payment not asked for');
      return false;
    }
  }

  #lapse(transactionId: TransactionId): void {
    const { store, clock } = this.#parts;
    const intent = openPayment(store, transactionId);
    if (!intent) return;
    store.commit(() => {
      store.intents.settle(intent.id, 'lapsed', {});
      releaseReservation(this.#parts, transactionId, 'lapsed');
      store.secrets.erase(transactionId, 'claimCode');
      store.transactions.update(transactionId, {
        outcome: 'expired',
        endedAtUnixMs: clock.now(),
      });
      store.journal.append('payment.lapsed', {}, transactionId);
    });
  }

  /**
   * Asks once. `isLate` tells, at the answer, that nobody waits for it any more. Of all refusals
   * only
   * the wallet's word that it knows of no such payment says that nothing was paid.
   */
  async #ask(
    transactionId: TransactionId,
    isLate: () => boolean,
  ): Promise<PaymentOutcome | 'unpaid' | 'unheard'> {
    const { store, wallet, walletId, walletWatch, log } = this.#parts;
    const intent = openPayment(store, transactionId);
    // Whoever settled it has also decided who gets the cash: it is not for this session.
    if (!intent) return HELD;
    const expected = bodySchema.parse(intent.body);
    let answer: Awaited<ReturnType<typeof wallet.getPayment>>;
    try {
      answer = await wallet.getPayment(expected.paymentHash);
    } catch (err) {
      if (!(err instanceof SignerError)) throw err;
      log.warn({ err, transactionId }, 'payment not asked for');
      return 'unheard';
    }
    if (answer.kind !== 'ok') {
      log.warn({ transactionId, answer: answer.kind }, 'payment state not known');
      return answer.kind === 'refused' && answer.cause === 'noPayment' ? 'unpaid' : 'unheard';
    }
    if (!answer.value.paid) return 'unpaid';
    // The program ends, and the next start asks again; or it was settled in the meantime.
    const isOpen = store.intents.get(intent.id)?.state === 'open';
    if (this.#closed.signal.aborted || !isOpen) return 'unheard';
    const named = walletWatch.named();
    const why = doubt(answer.value, expected, { id: walletId, named });
    return this.#settle(transactionId, intent, why, isLate());
  }

  /**
   * One commit for "it is paid", and for what is owed when nobody waits or the proof is not
   * clean.
   */
  #settle(
    transactionId: TransactionId,
    intent: Intent,
    why: string | undefined,
    isLate: boolean,
  ): PaymentOutcome {
    const { store, clock, config } = this.#parts;
    const sale = saleOf(this.#parts, transactionId);
    const owe = isLate || why !== undefined;
    store.commit(() => {
      store.intents.settle(intent.id, 'paid', { isLate, ...(why === undefined ? {} : { why }) });
      releaseReservation(this.#parts, transactionId, owe ? 'released' : 'consumed');
      store.transactions.update(transactionId, {
        state: owe ? 'owed' : 'paid',
        ...(isLate ? { outcome: 'owed', endedAtUnixMs: clock.now() } : {}),
      });
      store.journal.append(
        'payment.settled',
        { wireSats: sale.wireSats, isLate, doubt: why ?? null },
        transactionId,
      );
      if (!owe) return;
      store.obligations.insert({
        transactionId,
        reference: sale.reference,
        // A late payment is good for the cash; a doubtful one is the operator's to judge.
        ...(why === undefined
          ? { kind: recoveryPolicy.payment.late.owes, state: 'open' }
          : { kind: recoveryPolicy.payment.doubtful.owes, state: 'unknown' }),
        amountMinor: sale.fiatMinor,
        amountSats: sale.wireSats,
        currency: config.currency,
        body: { reason: why ?? 'late' },
      });
    });
    this.#parts.changed();
    if (why === undefined) return { kind: 'paid' };
    return HELD;
  }
}
