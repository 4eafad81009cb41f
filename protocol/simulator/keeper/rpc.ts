/**
 * The calls that the server knows, in LNbits' shapes and words. A call that is not here is never
 * answered, as on the real one. Source: bitspire-wire.md 2.5, 6.2-6.4; LNbits' `Payment` model.
 */
import { z } from 'zod';
import { messageOf } from '#protocol/base/errors.ts';
import type { InvoiceMaker } from './bolt11.ts';
import type { CallResult, ReceivedCall } from './transport.ts';
import { type Payout, type Wallet, type WalletInvoice, ZERO_PREIMAGE } from './wallet.ts';

/** How the server's calls behave. All may be set while it runs. */
export interface RpcSwitches {
  /** `get_wallet` names the wallet's id; LNbits does so for an admin key only. */
  nameWallet: boolean;
  /** Payments name the wallet they belong to. */
  namePaymentWallet: boolean;
  /** Paid invoices come with an all-zero preimage, as LNbits' internal payments do. */
  zeroPreimages: boolean;
  /** Paid invoices come with a preimage that is of no payment of theirs. */
  foreignPreimages: boolean;
  /** Calls that act on a wallet are refused unless they name it. */
  requireWalletId: boolean;
}

/** Decimal fractions of principal per leg and direction, as the server's settings hold them. */
export interface FeeSettings {
  readonly superCashIn: number;
  readonly superCashOut: number;
  readonly operatorCashIn: number;
  readonly operatorCashOut: number;
}

/** What a call may use. */
export interface RpcContext {
  /** The sender's. */
  readonly wallet: Wallet;
  /** Every wallet of the server: `get_payment` asks for no key and finds any payment. */
  readonly wallets: readonly Wallet[];
  /** True when the sender is an active machine on this wallet. */
  readonly isMachine: boolean;
  readonly fees: FeeSettings;
  /** null: no cap. 0: every cash-in is refused. */
  readonly maxCashInSats: number | null;
  readonly lnurlBase: string;
  readonly invoices: InvoiceMaker;
  readonly switches: RpcSwitches;
}

const FOREIGN_PREIMAGE = 'ab'.repeat(32);

/** A call that the server refuses, in its words. */
class Refusal extends Error {}

/** Source: LNbits' default of `lightning_invoice_expiry`, 1 h. */
const EXPIRY_DEFAULT_SEC = 3600;
/** Source: BOLT 11's description, 639 bytes. */
const MEMO_BYTES_MAX = 639;
const PAGE_MAX = 1000;

const createWithdrawSchema = z.object({ principal_sats: z.number().int().positive() });
const createInvoiceSchema = z.object({
  amount: z.number().int().positive(),
  unit: z.literal('sat').default('sat'),
  memo: z.string().nullish(),
  expiry: z.number().int().positive().nullish(),
  extra: z.record(z.string(), z.unknown()).nullish(),
});
const getPaymentSchema = z.object({ payment_hash: z.string() });
const listPaymentsSchema = z.object({
  limit: z.number().int().positive().max(PAGE_MAX).default(PAGE_MAX),
  offset: z.number().int().nonnegative().default(0),
});
const decodeSchema = z.object({ data: z.string() });

type Handler = (call: ReceivedCall, context: RpcContext) => unknown;

const handlers: Readonly<Record<string, Handler>> = {
  create_withdraw: createWithdraw,
  create_invoice: createInvoice,
  get_payment: getPayment,
  get_wallet: getWallet,
  list_payments: listPayments,
  decode_payment: decodePayment,
  pay_invoice: () => {
    throw new Refusal('Admin key required.');
  },
};

/** Performs a call; undefined when there is no such method. */
export function perform(call: ReceivedCall, context: RpcContext): CallResult {
  const handler = Object.hasOwn(handlers, call.rpcName) ? handlers[call.rpcName] : undefined;
  if (!handler) return undefined;
  if (call.walletId !== undefined && call.walletId !== context.wallet.id) return noWallet;
  if (context.switches.requireWalletId && call.walletId === undefined) return noWallet;
  try {
    return { data: handler(call, context) };
  } catch (error) {
    if (error instanceof Refusal) return { error: error.message };
    if (error instanceof z.ZodError) return { error: z.prettifyError(error) };
    throw error;
  }
}

const noWallet: CallResult = { error: 'Wallet access required (provide wallet_id)' };

/** Rounds as Python's `round` does, which the server is written in: half to even. */
function pythonRound(value: number): number {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

function createWithdraw(call: ReceivedCall, context: RpcContext): unknown {
  const { wallet, fees, maxCashInSats } = context;
  const { principal_sats: principalSats } = createWithdrawSchema.parse(call.body);
  if (!context.isMachine) throw new Refusal('No active machine for this sender.');
  if (maxCashInSats === 0) throw new Refusal('Cash-in is disabled (max_cash_in_sats is 0).');
  if (maxCashInSats !== null && principalSats > maxCashInSats) {
    throw new Refusal(
      `Cash-in of ${principalSats} sats exceeds max_cash_in_sats of ${maxCashInSats}.`,
    );
  }
  const feeSats =
    pythonRound(principalSats * fees.superCashIn) +
    pythonRound(principalSats * fees.operatorCashIn);
  const netSats = principalSats - feeSats;
  if (netSats <= 0) throw new Refusal('Nothing is left to withdraw after fees.');
  if (netSats > wallet.balanceSats) throw new Refusal('Insufficient balance.');
  const extra = {
    source: 'bitspire',
    type: 'cash_in',
    principal_sats: principalSats,
    fee_sats: feeSats,
    nostr_sender_pubkey: call.sender,
    nostr_event_id: call.eventId,
  };
  const link = wallet.createLink(
    { principalSats, feeSats, netSats, eventId: call.eventId, extra },
    context.lnurlBase,
  );
  return { lnurl: link.lnurl, lnurl_url: link.url };
}

function createInvoice(call: ReceivedCall, context: RpcContext): unknown {
  const asked = createInvoiceSchema.parse(call.body);
  const memo = asked.memo ?? '';
  if (Buffer.byteLength(memo) > MEMO_BYTES_MAX) throw new Refusal('Memo is too long.');
  const stamps = { nostr_sender_pubkey: call.sender, nostr_event_id: call.eventId };
  const invoice = context.wallet.createInvoice(
    asked.amount,
    memo,
    asked.expiry ?? EXPIRY_DEFAULT_SEC,
    { ...asked.extra, ...stamps },
  );
  return paymentOf(invoice, context);
}

function getPayment(call: ReceivedCall, context: RpcContext): unknown {
  const { payment_hash: paymentHash } = getPaymentSchema.parse(call.body);
  for (const wallet of context.wallets) {
    const invoice = wallet.invoice(paymentHash);
    if (!invoice) continue;
    const details = paymentOf(invoice, { ...context, wallet });
    return { paid: invoice.paid, preimage: details.preimage, details };
  }
  throw new Refusal('Payment does not exist.');
}

function getWallet(_call: ReceivedCall, { wallet, switches }: RpcContext): unknown {
  const named = switches.nameWallet ? { id: wallet.id } : {};
  return { ...named, name: 'bitSpire', balance: wallet.balanceSats * 1000 };
}

function listPayments(call: ReceivedCall, context: RpcContext): unknown {
  const { limit, offset } = listPaymentsSchema.parse(call.body);
  // Both lists are in order of time, so that no page needs more than its own length of each.
  const reach = offset + limit;
  const incoming = context.wallet.invoices(reach).map((invoice) => ({
    atUnixMs: invoice.createdAtUnixMs,
    payment: paymentOf(invoice, context),
  }));
  const outgoing = context.wallet.payouts(reach).map((payout) => ({
    atUnixMs: payout.atUnixMs,
    payment: payoutOf(payout, context),
  }));
  return [...incoming, ...outgoing]
    .sort((a, b) => b.atUnixMs - a.atUnixMs)
    .slice(offset, reach)
    .map(({ payment }) => payment);
}

function decodePayment(call: ReceivedCall, { invoices }: RpcContext): unknown {
  const { data } = decodeSchema.parse(call.body);
  try {
    const terms = invoices.read(data);
    return {
      payment_hash: terms.paymentHash,
      amount_msat: terms.amountMsat,
      description: terms.memo,
      date: Math.floor(terms.createdAtUnixMs / 1000),
      expiry: (terms.expiresAtUnixMs - terms.createdAtUnixMs) / 1000,
    };
  } catch (error) {
    throw new Refusal(`Failed to decode: ${messageOf(error)}`);
  }
}

function paymentOf(invoice: WalletInvoice, context: RpcContext) {
  const { switches } = context;
  const hidden = invoice.internal || switches.zeroPreimages ? ZERO_PREIMAGE : invoice.preimage;
  const preimage = switches.foreignPreimages ? FOREIGN_PREIMAGE : hidden;
  return {
    ...walletName(context),
    checking_id: invoice.paymentHash,
    payment_hash: invoice.paymentHash,
    amount: invoice.wireSats * 1000,
    fee: 0,
    bolt11: invoice.bolt11,
    status: invoice.paid ? 'success' : 'pending',
    memo: invoice.memo,
    time: new Date(invoice.createdAtUnixMs).toISOString(),
    expiry: new Date(invoice.expiresAtUnixMs).toISOString(),
    preimage: invoice.paid ? preimage : null,
    extra: invoice.extra,
  };
}

function payoutOf(payout: Payout, context: RpcContext) {
  return {
    ...walletName(context),
    checking_id: payout.paymentHash,
    payment_hash: payout.paymentHash,
    amount: -payout.sats * 1000,
    fee: 0,
    status: 'success',
    memo: 'bitSpire cash-in',
    time: new Date(payout.atUnixMs).toISOString(),
    extra: payout.extra,
  };
}

const walletName = ({ switches, wallet }: RpcContext) =>
  switches.namePaymentWallet ? { wallet_id: wallet.id } : {};
