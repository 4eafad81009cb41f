/** The quiet effects of a cash-in: its opening, the inhibit mask before each note, its end. */
import { DeviceError } from '#protocol/base/errors.ts';
import { newReference, newTransactionId, type TransactionId } from '#protocol/base/ids.ts';
import type { MinorUnits } from '#protocol/base/money.ts';
import { principalOfNote, sats } from '#protocol/base/money.ts';
import { isOwed } from '../cash-out/sale.ts';
import { hashClaimCode, newClaimCode } from '../claim-code.ts';
import { formatMoney } from '../format.ts';
import type {
  ArmOutcome,
  CashInEnd,
  CashInTerms,
  JudgeOutcome,
  Notice,
  QuoteOutcome,
} from '../machines/cash-in.ts';
import type { Parts } from '../parts.ts';
import { hasOpenAct, tellOpenAct } from '../recovery/open-act.ts';
import { type SaidKey, say } from '../texts/customer.ts';
import { readySigner } from '../watch/signer-ready.ts';
import { giveBack } from './note.ts';
import { capFor, closedBy, FRESH_MS, termsNow, transactionOf } from './terms.ts';

const closed = (notice: Notice): { kind: 'closed'; notice: Notice } => ({ kind: 'closed', notice });

const ZERO = sats(0);

/**
 * Fixes the terms and opens the transaction with its claim code. The signer is proven first when
 * its
 * last signature is old, so that nobody puts a note into a machine that cannot ask for the sats.
 */
export async function quote(parts: Parts): Promise<QuoteOutcome> {
  const notice = await readySigner(parts, 'cashIn');
  if (notice) return { kind: 'closed', notice };
  const balance = await parts.walletWatch.balance(FRESH_MS);
  if (balance === undefined) return closed(say('wallet', 'notice.walletUnreachable'));
  const rate = await parts.rates.fresh(FRESH_MS);
  if (!rate) return closed(say('noRate', 'notice.noRate'));
  const cap = capFor(parts, balance, ZERO);
  const why = closedBy(cap);
  if (why) return closed(say('limit', why));
  const terms = termsNow(parts, rate, cap, ZERO);
  if (!terms) return closed(say('awaitingFees', 'notice.awaitingFees'));
  if (terms.accepted.length === 0) {
    return closed(say('limit', 'notice.limitNotes'));
  }
  return { kind: 'quoted', transactionId: openTransaction(parts, terms), terms };
}

function openTransaction(parts: Parts, terms: CashInTerms): TransactionId {
  const { store, random, clock, config } = parts;
  const id = newTransactionId(random);
  const code = newClaimCode(random);
  const reference = newReference(random);
  store.commit(() => {
    store.transactions.insert({
      id,
      kind: 'cashIn',
      reference,
      state: 'accepting',
      currency: config.currency,
      fiatMinor: 0 as MinorUnits,
      rateMinorPerBtc: terms.rate,
      principalSats: ZERO,
      feeSats: ZERO,
      wireSats: ZERO,
      claimHash: hashClaimCode(parts.claimKey, code.reveal()),
      createdAtUnixMs: clock.now(),
    });
    store.secrets.put({ transactionId: id, kind: 'claimCode', value: code });
    store.journal.append(
      'cashIn.opened',
      {
        reference,
        rateMinorPerBtc: terms.rate,
        rateSource: terms.rateSource,
        feeFraction: terms.feeFraction,
        capSats: terms.capSats,
      },
      id,
    );
  });
  return id;
}

/** Tells the acceptor which notes fit now; rate and balance are renewed when old. */
export async function arm(parts: Parts, transactionId: TransactionId): Promise<ArmOutcome> {
  const { principalSats } = transactionOf(parts, transactionId);
  const failed = (key: SaidKey): ArmOutcome => ({
    kind: 'failed',
    notice: say('interrupted', key),
  });
  const lost = 'notice.slotLost';
  const { device, cashBox } = parts.acceptor.status();
  if (device !== 'ready' || cashBox !== 'ok') return failed(lost);
  const balance = await parts.walletWatch.balance(FRESH_MS);
  if (balance === undefined) return failed('notice.walletGone');
  const rate = await parts.rates.fresh(FRESH_MS);
  if (!rate) return failed('notice.rateGone');
  const cap = capFor(parts, balance, principalSats);
  const terms = termsNow(parts, rate, cap, principalSats);
  if (!terms) return failed('notice.feesGone');
  try {
    await parts.acceptor.accept(terms.accepted);
  } catch (err) {
    if (!(err instanceof DeviceError)) throw err;
    parts.log.warn({ err }, 'slot not opened');
    return failed(lost);
  }
  const full = terms.accepted.length === 0;
  return {
    kind: 'armed',
    terms,
    notice: full ? say('capReached', 'notice.capReached') : null,
  };
}

/** Closes the slot. A note that waits in escrow, or comes there while it closes, is given back. */
export async function disarm(parts: Parts): Promise<void> {
  const returnWaiting = async () => {
    try {
      await giveBack(parts);
    } catch (err) {
      if (!(err instanceof DeviceError)) throw err;
    }
  };
  const given: Promise<void>[] = [];
  const unsubscribe = parts.acceptor.subscribe((event) => {
    if (event.kind !== 'note.escrowed') return;
    const giving = returnWaiting();
    given.push(giving);
    // It may fail, for want of a disk, before anybody waits for it.
    giving.catch(() => undefined);
  });
  try {
    await returnWaiting();
    if (parts.acceptor.status().device === 'ready') await parts.acceptor.accept([]);
  } finally {
    unsubscribe();
    await Promise.all(given);
  }
}

/** Checks cap, budgets and cash box again for the note in escrow. */
export async function judge(
  parts: Parts,
  input: { transactionId: TransactionId; value: MinorUnits; terms: CashInTerms },
): Promise<JudgeOutcome> {
  const refused = (notice: Notice): JudgeOutcome => ({ kind: 'refused', notice });
  const { principalSats } = transactionOf(parts, input.transactionId);
  if (parts.acceptor.status().cashBox !== 'ok') {
    return refused(say('cashBox', 'notice.cashBox'));
  }
  const balance = await parts.walletWatch.balance(FRESH_MS);
  if (balance === undefined) {
    return refused(say('wallet', 'notice.walletReturned'));
  }
  const { capSats } = capFor(parts, balance, principalSats);
  const principal = principalOfNote(input.value, input.terms.rate);
  if (principal > 0 && principalSats + principal <= capSats) return { kind: 'fits' };
  const fits = input.terms.accepted.filter(
    (value) => principalSats + principalOfNote(value, input.terms.rate) <= capSats,
  );
  const money = (value: number) => formatMoney(value, parts.config.currency);
  const note = money(input.value);
  if (fits.length === 0) return refused(say('overCap', 'notice.overCapNone', { note }));
  const highest = money(Math.max(...fits));
  return refused(say('overCap', 'notice.overCap', { note, highest }));
}

/** Journals how the session ended, and lets go of a code that nothing hangs on. */
export async function conclude(
  parts: Parts,
  input: { transactionId: TransactionId; end: CashInEnd },
): Promise<void> {
  const { store, clock } = parts;
  const { transactionId, end } = input;
  parts.signatures.release();
  // A note whose end is not on disk: the device is asked first, and the recovery goes on.
  if (hasOpenAct(parts, transactionId)) return tellOpenAct(parts, 'cashIn');
  const transaction = transactionOf(parts, transactionId);
  if (transaction.endedAtUnixMs !== undefined) return;
  const isDue = transaction.principalSats > 0 || isOwed(parts, transactionId);
  const over = !isDue || end === 'claimed';
  store.commit(() => {
    store.transactions.update(transactionId, {
      state: end,
      ...(over ? { endedAtUnixMs: clock.now(), outcome: end } : {}),
    });
    if (over) store.secrets.erase(transactionId, 'claimCode');
    store.journal.append('cashIn.ended', { end }, transactionId);
  });
  parts.changed();
}
