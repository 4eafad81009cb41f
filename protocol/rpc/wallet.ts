/** The wallet's calls with types: what it holds, invoices, payments and withdraw links. */
import type { z } from 'zod';
import { type Clock, timedOut, withDeadline } from '#protocol/base/clock.ts';
import type { Log } from '#protocol/base/log.ts';
import { type Sats, sats } from '#protocol/base/money.ts';
import {
  classifyRefusal,
  createInvoiceBody,
  createWithdrawBody,
  EVENT_ID_KEY,
  getPaymentBody,
  invoiceResult,
  listedPayment,
  listPaymentsBody,
  listResult,
  paymentResult,
  type RefusalCause,
  rpcNames,
  satsOfMillisats,
  walletResult,
  withdrawResult,
} from './dialect.ts';
import type { PreparedCall, RpcAnswer, RpcClient, RpcOutcome } from './rpc.ts';

/** What came of a call. `unanswered`: nothing is known. `malformed`: it has no shape we know. */
export type WalletAnswer<T> =
  | { readonly kind: 'ok'; readonly value: T }
  | { readonly kind: 'refused'; readonly cause: RefusalCause; readonly words: string }
  | { readonly kind: 'unanswered' }
  | { readonly kind: 'malformed'; readonly reason: string };

/** The wallet. `walletId` is missing when the server does not name it. */
export interface WalletBalance {
  readonly walletId?: string | undefined;
  readonly balanceSats: Sats;
}

/** An invoice as the wallet made it; nothing in it has been checked yet (design 7.3). */
export interface WalletInvoice {
  readonly paymentHash: string;
  readonly bolt11: string;
  readonly walletId?: string | undefined;
}

/**
 * A payment by its hash. `preimage` may be all zero (design 7.4). `amountSats` is missing when the
 * server does not say it, or shows the payer's side.
 */
export interface PaymentState {
  readonly paid: boolean;
  readonly preimage?: string | undefined;
  readonly walletId?: string | undefined;
  readonly amountSats?: Sats | undefined;
}

/** One payment of the wallet's list. */
export interface WalletPayment {
  readonly paymentHash: string;
  readonly direction: 'in' | 'out';
  readonly amountSats: Sats;
  /** LNbits' word: `pending`, `success` or `failed`. */
  readonly status: string;
  readonly walletId?: string | undefined;
  /** The request event behind it; a payout names the withdraw request it settles. */
  readonly nostrEventId?: string | undefined;
}

/** What an answer to `create_withdraw` says. `lnurl` is cash: it goes into no log. */
export type WithdrawAnswer =
  | { readonly kind: 'link'; readonly lnurl: string; readonly lnurlUrl?: string }
  | {
      readonly kind: 'refused';
      readonly cause: RefusalCause;
      readonly capSats?: Sats;
      readonly words: string;
    }
  | { readonly kind: 'malformed'; readonly reason: string };

/** What an invoice is made from. `extra` comes from `cashOutExtra`. */
export interface InvoiceRequest {
  readonly wireSats: Sats;
  readonly memo: string;
  readonly expirySeconds: number;
  readonly extra: Readonly<Record<string, unknown>>;
}

/** What a wallet needs. */
export interface WalletOptions {
  readonly rpc: RpcClient;
  readonly clock: Clock;
  readonly log: Log;
  /** The pinned wallet; named in every call. */
  readonly walletId: string;
}

/** Longest wait for a new invoice, ms: a customer stands there. */
const INVOICE_LIMIT_MS = 20_000;

/** The pinned wallet. Every method lets a SignerError pass. */
export class Wallet {
  readonly #options: WalletOptions;

  constructor(options: WalletOptions) {
    this.#options = options;
  }

  /** What is in the wallet, whole sats, and its id if the server names it. @throws SignerError */
  async getWallet(): Promise<WalletAnswer<WalletBalance>> {
    return this.#read(rpcNames.getWallet, {}, walletResult, ({ walletId, balanceSats }) => ({
      walletId,
      balanceSats: sats(balanceSats),
    }));
  }

  /**
   * Makes an invoice, sent once. It is no read: sent again it would make a second one. An answer
   * that comes after 20 s leaves an invoice that nobody was shown, which expires by itself; of two
   * answers only the first is taken, so that there are never two invoices for one sale.
   * @throws SignerError
   */
  async createInvoice(request: InvoiceRequest): Promise<WalletAnswer<WalletInvoice>> {
    const { rpc, clock, walletId } = this.#options;
    const body = createInvoiceBody(request);
    const call = await rpc.prepare(rpcNames.createInvoice, body, walletId);
    const { promise, resolve } = Promise.withResolvers<RpcAnswer>();
    const off = rpc.watch(call, resolve);
    try {
      // Not awaited: the answer may come before the last relay's OK.
      void rpc.publish(call);
      const answer = await withDeadline(clock, INVOICE_LIMIT_MS, promise);
      if (answer === timedOut) return { kind: 'unanswered' };
      return judged(answer, invoiceResult, (value) => value);
    } finally {
      off();
    }
  }

  /** Whether a payment is paid, and into which wallet. @throws SignerError */
  async getPayment(paymentHash: string): Promise<WalletAnswer<PaymentState>> {
    const body = getPaymentBody(paymentHash);
    const answer = await this.#read(rpcNames.getPayment, body, paymentResult, (value) => value);
    if (answer.kind !== 'ok') return answer;
    const { paymentHash: told, amountSats, ...state } = answer.value;
    if (told !== undefined && told !== paymentHash) {
      return { kind: 'malformed', reason: 'the answer is about another payment' };
    }
    const amount = amountSats === undefined ? {} : { amountSats: sats(amountSats) };
    return { kind: 'ok', value: { ...state, ...amount } };
  }

  /** The newest payments, in and out; that one is missing proves nothing. @throws SignerError */
  async listPayments(): Promise<WalletAnswer<readonly WalletPayment[]>> {
    const body = listPaymentsBody();
    return this.#read(rpcNames.listPayments, body, listResult, (entries) => {
      const payments = entries.flatMap(readListed);
      const unreadable = entries.length - payments.length;
      if (unreadable > 0) this.#options.log.warn({ unreadable }, 'payments that cannot be read');
      return payments;
    });
  }

  /** Encrypts and signs a `create_withdraw`; nothing is sent. @throws SignerError */
  prepareWithdraw(principalSats: Sats): Promise<PreparedCall> {
    const body = createWithdrawBody(principalSats);
    return this.#options.rpc.prepare(rpcNames.createWithdraw, body, this.#options.walletId);
  }

  /**
   * Reads an answer to `create_withdraw`. The link's form, host and amount are still to be checked
   * (design 6.5). `malformed` may hide a link that was made.
   */
  readWithdraw(answer: RpcAnswer): WithdrawAnswer {
    if (answer.kind === 'ok') {
      const result = withdrawResult.safeParse(answer.data);
      if (!result.success) return { kind: 'malformed', reason: shapeOf(result.error) };
      return { kind: 'link', ...result.data };
    }
    const { cause, capSats } = classifyRefusal(answer.error);
    const cap = capSats === undefined ? {} : { capSats: sats(capSats) };
    return { kind: 'refused', cause, ...cap, words: answer.error };
  }

  async #read<Raw, T>(
    rpcName: string,
    body: unknown,
    schema: z.ZodType<Raw>,
    make: (raw: Raw) => T,
  ): Promise<WalletAnswer<T>> {
    const { rpc, walletId } = this.#options;
    return judged(await rpc.ask(rpcName, body, walletId), schema, make);
  }
}

/** The payment that settled a withdraw request: it names the request's event, and succeeded. */
export function findPayout(
  payments: readonly WalletPayment[],
  withdrawEventId: string,
): WalletPayment | undefined {
  return payments.find(
    ({ nostrEventId, direction, status }) =>
      nostrEventId === withdrawEventId && direction === 'out' && status === 'success',
  );
}

function judged<Raw, T>(
  outcome: RpcOutcome,
  schema: z.ZodType<Raw>,
  make: (raw: Raw) => T,
): WalletAnswer<T> {
  if (outcome.kind === 'unanswered') return outcome;
  if (outcome.kind === 'refused') {
    const { cause } = classifyRefusal(outcome.error);
    return { kind: 'refused', cause, words: outcome.error };
  }
  const result = schema.safeParse(outcome.data);
  if (!result.success) return { kind: 'malformed', reason: shapeOf(result.error) };
  return { kind: 'ok', value: make(result.data) };
}

/** What is wrong with a shape: fields and rules only, since the values may be worth money. */
function shapeOf(error: z.ZodError): string {
  return error.issues.map(({ path, code }) => `${path.join('.') || 'result'}: ${code}`).join('; ');
}

function readListed(entry: unknown): readonly WalletPayment[] {
  const read = listedPayment.safeParse(entry);
  if (!read.success) return [];
  const { payment_hash: paymentHash, amount, status, wallet_id: walletId, extra } = read.data;
  const amountSats = satsOfMillisats(Math.abs(amount));
  if (!Number.isSafeInteger(amountSats)) return [];
  const eventId = extra?.[EVENT_ID_KEY];
  return [
    {
      paymentHash,
      direction: amount < 0 ? 'out' : 'in',
      amountSats: sats(amountSats),
      status,
      walletId: walletId ?? undefined,
      nostrEventId: typeof eventId === 'string' ? eventId : undefined,
    },
  ];
}
