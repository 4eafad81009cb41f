/**
 * The invoice of a cash-out: asked for once, shown only when it is exactly right (design 7.2,
 * 7.3).
 */
import type { Position, TransactionId } from '#protocol/base/ids.ts';
import { type MinorUnits, minorDigits } from '#protocol/base/money.ts';
import { type BillsOfBay, cashOutExtra } from '#protocol/rpc/dialect.ts';
import { SignerError } from '#protocol/signer/signer.ts';
import type { InvoiceOutcome, WithTransaction } from '../machines/cash-out.ts';
import type { Parts } from '../parts.ts';
import { type Said, say } from '../texts/customer.ts';
import { availableBays, readReservation } from './available.ts';
import { checkInvoice } from './check-invoice.ts';
import { INVOICE_MS, saleOf } from './sale.ts';

/** What the operator's settlement needs to know of the notes. */
function billsOf(parts: Parts, { transactionId }: WithTransaction) {
  const { store, config } = parts;
  const units = store.intents
    .forTransaction(transactionId)
    .filter(({ kind }) => kind === 'reservation')
    .flatMap((reservation) => readReservation(reservation).units);
  const held = new Map(units.map(({ position, count }) => [position, count]));
  const heldOf = (position: Position): number => held.get(position) ?? 0;
  const entry = (position: Position, value: MinorUnits, count: number): BillsOfBay => ({
    position,
    denomination: value / 10 ** minorDigits(config.currency),
    count,
  });
  return {
    bills: store.cashUnits
      .list()
      .filter(({ position }) => held.has(position))
      .map(({ position, value }) => entry(position, value, heldOf(position))),
    // The reservation is already held back from what is available.
    cassettes: availableBays(parts).map(({ position, value, count }) =>
      entry(position, value, count + heldOf(position)),
    ),
  };
}

/** The journal has what the machine knows of it; the customer is told what he can use. */
function refuse(
  { store }: Parts,
  transactionId: TransactionId,
  notice: Said,
  text = notice.text,
): InvoiceOutcome {
  const { code } = notice;
  store.commit(() => store.journal.append('invoice.refused', { code, text }, transactionId));
  return { kind: 'refused', notice };
}

/** Asks the wallet for the invoice. Whatever is wrong with it is said, and nothing is shown. */
export async function invoice(parts: Parts, input: WithTransaction): Promise<InvoiceOutcome> {
  const { store, wallet, config, clock } = parts;
  const { transactionId } = input;
  const sale = saleOf(parts, transactionId);
  const refused = (notice: Said, text?: string) => refuse(parts, transactionId, notice, text);
  const made = await wallet
    .createInvoice({
      wireSats: sale.wireSats,
      memo: `Cash ${sale.reference}`,
      expirySeconds: INVOICE_MS / 1_000,
      extra: cashOutExtra({
        principalSats: sale.principalSats,
        feeSats: sale.feeSats,
        exchangeRate: sale.rateMinorPerBtc / 10 ** minorDigits(config.currency),
        currency: config.currency,
        transactionId,
        ...billsOf(parts, input),
      }),
    })
    .catch((error: unknown) => {
      if (error instanceof SignerError) return error;
      throw error;
    });
  if (made instanceof SignerError) {
    return refused(say('signer', 'notice.invoiceSigner'), `no invoice: ${made.message}`);
  }
  if (made.kind === 'refused') {
    return refused(say('wallet', 'notice.walletRefused', { words: made.words }));
  }
  if (made.kind === 'malformed') {
    return refused(say('wallet', 'notice.invoiceNone'), `no invoice: ${made.reason}`);
  }
  if (made.kind === 'unanswered') return refused(say('wallet', 'notice.walletSilent'));
  const { bolt11, paymentHash, walletId } = made.value;
  if (walletId !== undefined && walletId !== parts.walletId) {
    const notice = say('walletMismatch', 'notice.walletMismatch');
    parts.board.setBoth('walletMismatch', notice.text);
    return refused(notice);
  }
  if (walletId === undefined && !parts.walletWatch.named()) {
    return refused(say('walletMismatch', 'notice.walletUnproven'));
  }
  const check = checkInvoice({
    bolt11,
    paymentHash,
    wireSats: sale.wireSats,
    network: config.network,
    nowUnixMs: clock.now(),
  });
  if (check.kind === 'bad') return refused(say('invoice', 'notice.invoiceBad'), check.reason);
  const { expiresAtUnixMs } = check;
  store.commit(() => {
    store.intents.open({
      kind: 'payment',
      transactionId,
      body: { paymentHash, bolt11, wireSats: sale.wireSats, expiresAtUnixMs },
    });
    store.transactions.update(transactionId, { state: 'awaitingPayment', paymentHash });
    store.journal.append(
      'invoice.created',
      { paymentHash, wireSats: sale.wireSats, expiresAtUnixMs },
      transactionId,
    );
  });
  return { kind: 'invoiced', expiresAtUnixMs };
}
