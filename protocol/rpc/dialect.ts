/**
 * What the server's kind 21000 looks like, in one file because only part of it is public: when the
 * server turns out to differ, this file and its fixtures change and nothing else does. Decisions
 * name their source; "not public" marks those that rest on the fixtures alone.
 */
import { z } from 'zod';
import type { SignedEvent } from '../event.ts';
import { parseBoundedJson } from './bounded-json.ts';
import type { RpcAnswer } from './rpc.ts';
import { CHARACTERS_MAX } from './shards.ts';

// ---- Calls ------------------------------------------------------------------------------------

/** Names of the calls. Source: LNbits fork pull request 3; `create_withdraw`: spirekeeper 32. */
export const rpcNames = {
  getWallet: 'get_wallet',
  createInvoice: 'create_invoice',
  getPayment: 'get_payment',
  listPayments: 'list_payments',
  createWithdraw: 'create_withdraw',
} as const;

/** Life of a request, seconds, in its expiration tag (NIP-40). Source: satmachineadmin 15. */
export const EXPIRATION_SEC = 300;

/**
 * Keys that may carry the correlation id. Which one the server uses is not public: ours goes out
 * under all of them, and an answer may echo any.
 */
const CORRELATION_KEYS = ['request_id', 'requestId', 'id'] as const;

/** Longest words of a refusal that are kept, characters. */
const WORDS_MAX = 1_000;

/** A request's plaintext. Source: bitspire-wire.md 2.3 for `rpc_name`, `body` and `wallet_id`. */
export function requestEnvelope(call: {
  readonly rpcName: string;
  readonly body: unknown;
  readonly walletId?: string | undefined;
  readonly requestId: string;
}): string {
  const ids = Object.fromEntries(CORRELATION_KEYS.map((key) => [key, call.requestId]));
  const walletId = call.walletId === undefined ? {} : { wallet_id: call.walletId };
  return JSON.stringify({ rpc_name: call.rpcName, body: call.body, ...walletId, ...ids });
}

/** A request's tags. Source: bitspire-wire.md 2.1; that `p` is required is inferred there. */
export function requestTags(transportPubkey: string, createdAtSec: number): string[][] {
  return [
    ['p', transportPubkey],
    ['expiration', String(createdAtSec + EXPIRATION_SEC)],
  ];
}

/** Body of `create_invoice`: LNbits' `POST /api/v1/payments`. Source: its `CreateInvoice`. */
export function createInvoiceBody(invoice: {
  readonly wireSats: number;
  readonly memo: string;
  readonly expirySeconds: number;
  readonly extra: Readonly<Record<string, unknown>>;
}): unknown {
  const { wireSats, memo, expirySeconds, extra } = invoice;
  return { out: false, amount: wireSats, unit: 'sat', memo, expiry: expirySeconds, extra };
}

/** Body of `get_payment`. The name of its only field is not public: LNbits' path parameter. */
export const getPaymentBody = (paymentHash: string): unknown => ({ payment_hash: paymentHash });

/** Payments asked for at a time: fifty are about 60,000 characters of answer. */
const PAYMENTS_ASKED = 50;

/** Body of `list_payments`: LNbits' query parameters, newest first. Not public for this call. */
export const listPaymentsBody = (): unknown => ({
  limit: PAYMENTS_ASKED,
  sortby: 'time',
  direction: 'desc',
});

/** Body of `create_withdraw`; nothing else in it is trusted. Source: spirekeeper 32. */
export const createWithdrawBody = (principalSats: number): unknown => ({
  principal_sats: principalSats,
});

/** Notes of one kind in one bay. */
export interface BillsOfBay {
  readonly position: number;
  /** Face value, as 20. */
  readonly denomination: number;
  readonly count: number;
}

/**
 * `extra` of a cash-out's invoice; a field missing here is a rejected settlement. Source:
 * bitspire-wire.md 6.4 for the names; the shapes of `bills` and `cassettes` are not public.
 */
export function cashOutExtra(sale: {
  readonly principalSats: number;
  readonly feeSats: number;
  /** Major units of the currency for one bitcoin. */
  readonly exchangeRate: number;
  readonly currency: string;
  readonly transactionId: string;
  /** What is to be handed out. */
  readonly bills: readonly BillsOfBay[];
  /** What the bays hold before that. */
  readonly cassettes: readonly BillsOfBay[];
}): Readonly<Record<string, unknown>> {
  return {
    source: 'bitspire',
    type: 'cash_out',
    principal_sats: sale.principalSats,
    fee_sats: sale.feeSats,
    exchange_rate: sale.exchangeRate,
    currency: sale.currency,
    txid: sale.transactionId,
    bills: sale.bills.map(({ denomination, count }) => ({ denomination, count })),
    cassettes: byPosition(sale.cassettes),
  };
}

/** `{"1": {denomination, count}}`, as the cassette documents have it (bitspire-wire.md 3.1). */
export function byPosition(
  bays: readonly BillsOfBay[],
): Readonly<Record<string, { readonly denomination: number; readonly count: number }>> {
  return Object.fromEntries(
    bays.map(({ position, denomination, count }) => [String(position), { denomination, count }]),
  );
}

// ---- Answers ----------------------------------------------------------------------------------

const shardSchema = z.object({
  part: z.string(),
  index: z.int().nonnegative(),
  totalShards: z.int().positive(),
  shardsId: z.string().min(1).max(128),
});

/** A part of a long answer. Source: Lightning.Pub's wrapper (bitspire-wire.md 2.3). */
export type Shard = z.infer<typeof shardSchema>;

/** A decrypted message. `ids`: what it echoes, to be held against the open calls. */
export type ReceivedMessage =
  | { readonly kind: 'answer'; readonly ids: readonly string[]; readonly answer: RpcAnswer }
  | { readonly kind: 'shard'; readonly shard: Shard }
  | { readonly kind: 'unreadable'; readonly reason: string };

const responseSchema = z.record(z.string(), z.unknown());

/** Reads a decrypted message, or a joined one (`isJoined`), which may be no shard again. */
export function readMessage(plaintext: string, isJoined = false): ReceivedMessage {
  const parsed = parseBoundedJson(plaintext, CHARACTERS_MAX);
  if (parsed.kind === 'refused') return { kind: 'unreadable', reason: parsed.reason };
  const response = responseSchema.safeParse(parsed.value);
  if (!response.success) return { kind: 'unreadable', reason: 'no JSON object' };
  if (!isJoined && 'shardsId' in response.data) {
    const shard = shardSchema.safeParse(response.data);
    return shard.success
      ? { kind: 'shard', shard: shard.data }
      : { kind: 'unreadable', reason: 'malformed shard' };
  }
  const answer = readAnswer(response.data);
  if (answer.kind === 'unreadable') return answer;
  const echoed = CORRELATION_KEYS.map((key) => response.data[key]);
  return { kind: 'answer', ids: echoed.filter((id) => typeof id === 'string'), answer };
}

/**
 * `status` OK with `data`, or ERROR with words in `error`. Source: bitspire-wire.md 2.3, where the
 * key `status` is inferred: without it the presence of `error` or `data` decides. What says both is
 * no answer, because a refusal is proof that no link was made.
 */
function readAnswer(
  response: Readonly<Record<string, unknown>>,
): RpcAnswer | { readonly kind: 'unreadable'; readonly reason: string } {
  const { status, data, error } = response;
  const hasError = error !== undefined && error !== null && error !== '';
  const hasData = data !== undefined && data !== null;
  if (hasError && hasData) return { kind: 'unreadable', reason: 'data and error at once' };
  const word = typeof status === 'string' ? status.toUpperCase() : undefined;
  if (word === 'ERROR' && hasData) return { kind: 'unreadable', reason: 'ERROR with data' };
  if (word === 'OK' && hasError) return { kind: 'unreadable', reason: 'OK with an error' };
  if (word === 'ERROR' || (word === undefined && hasError)) {
    // Lightning.Pub's word for it is `reason`.
    const words = error ?? response.reason ?? '';
    const text = typeof words === 'string' ? words : JSON.stringify(words);
    return { kind: 'refused', error: text.slice(0, WORDS_MAX) };
  }
  if (word === 'OK' || (word === undefined && 'data' in response)) return { kind: 'ok', data };
  return { kind: 'unreadable', reason: 'neither OK nor ERROR' };
}

/** The request events that an answer names in `e` tags; that there are any is not public. */
export function namedRequests(event: Pick<SignedEvent, 'tags'>): readonly string[] {
  return event.tags.flatMap(([name, value]) => (name === 'e' && value ? [value] : []));
}

// ---- Refusals ---------------------------------------------------------------------------------

/** Why a call was refused, as far as the words are recognised; all others are `other`. */
export type RefusalCause =
  | 'cap'
  | 'balance'
  | 'rateLimited'
  | 'notInRoster'
  /** Of `get_payment` alone: the wallet has no such payment. */
  | 'noPayment'
  | 'transient'
  | 'other';

/** A classified refusal. `capSats` when the words carry exactly one cap. */
export interface Refusal {
  readonly cause: RefusalCause;
  readonly capSats?: number;
}

/** `rate_limited` and `not_in_roster`: satmachineadmin 20, proposed. */
const RATE_LIMITED = /\brate[ _-]?limit(?:ed|s)?\b|\btoo many requests\b/i;
const NOT_IN_ROSTER = /\bnot[ _]in[ _]roster\b/i;
/** The setting's name is public (spirekeeper m012), the sentence around it is not. */
const CAP = /\bmax_cash_in_sats\b|\b(?:cash-?in|per-transaction) (?:cap|limit|maximum)\b/i;
/** A number right after the cap's name: `of 400,000`, `(400000)`, `= 400_000`. */
const CAP_NUMBER = new RegExp(
  `(?:${CAP.source})(?: is| of|[ =:(])*(\\d{1,3}(?:[,_]\\d{3})+|\\d+)(?![\\d.,_]*\\d)`,
  'gi',
);
/** LNbits' payment service: "Insufficient balance.", "You must reserve at least ...". */
const BALANCE = /\b(?:insufficient|not enough) (?:balance|funds)\b|\bmust reserve at least\b/i;
/**
 * The only words that prove that the wallet has no such payment, and all of them. Source: LNbits'
 * `api_payment`, 404 "Payment does not exist."; a longer sentence with them in it is of another
 * make, and proves nothing.
 */
const NO_PAYMENT = /^\s*payment does not exist\.?\s*$/i;
/** Not public: common words of servers that fail for the moment. */
const TRANSIENT = [
  /\btim(?:ed|e)[ -]?out\b/i,
  /\btemporar(?:y|ily)\b/i,
  /\btry again\b/i,
  /\bservice unavailable\b/i,
  /\bdatabase is locked\b/i,
  /\bconnection (?:refused|reset|closed|error)\b/i,
];

/** Classifies the words of a refusal. Source: bitspire-wire.md 2.4 and the patterns above. */
export function classifyRefusal(words: string): Refusal {
  if (RATE_LIMITED.test(words)) return { cause: 'rateLimited' };
  if (NOT_IN_ROSTER.test(words)) return { cause: 'notInRoster' };
  if (CAP.test(words)) {
    const numbers = [...words.matchAll(CAP_NUMBER)].map(([, digits]) => digits ?? '');
    const caps = new Set(numbers.map((digits) => Number(digits.replaceAll(/[,_]/g, ''))));
    const [capSats] = caps;
    const isOne = capSats !== undefined && caps.size === 1 && Number.isSafeInteger(capSats);
    return isOne ? { cause: 'cap', capSats } : { cause: 'cap' };
  }
  if (BALANCE.test(words)) return { cause: 'balance' };
  if (NO_PAYMENT.test(words)) return { cause: 'noPayment' };
  const isTransient = TRANSIENT.some((wording) => wording.test(words));
  return { cause: isTransient ? 'transient' : 'other' };
}

// ---- Results ----------------------------------------------------------------------------------

const hash = z.string().regex(/^[0-9a-f]{64}$/);
const identifier = z.string().min(1).max(256);
const millisats = z.number();
/** Longest LNURL or invoice taken, characters; a QR code ends at 4,296. */
const code = z.string().min(1).max(4_296);

/** Millisats as whole sats, never more than there are. */
export const satsOfMillisats = (msat: number): number => Math.floor(msat / 1000);

/**
 * `get_wallet`. Source: LNbits' `api_wallet`: `balance` is in millisats, `id` is there for an admin
 * key only. An overdrawn wallet has nothing to give, so a negative balance is none.
 */
export const walletResult = z
  .object({
    id: identifier.nullish(),
    wallet_id: identifier.nullish(),
    balance: millisats.nullish(),
    balance_msat: millisats.nullish(),
  })
  .transform((wallet, context) => {
    const msat = wallet.balance_msat ?? wallet.balance;
    const balanceSats = Math.max(0, satsOfMillisats(msat ?? Number.NaN));
    if (!Number.isSafeInteger(balanceSats)) {
      context.addIssue({ code: 'custom', message: 'no balance' });
      return z.NEVER;
    }
    return { walletId: wallet.id ?? wallet.wallet_id ?? undefined, balanceSats };
  });

/** `create_invoice`. Source: LNbits' `Payment`; older versions say `payment_request`. */
export const invoiceResult = z
  .object({
    payment_hash: hash,
    bolt11: code.nullish(),
    payment_request: code.nullish(),
    wallet_id: identifier.nullish(),
  })
  .transform((made, context) => {
    const bolt11 = made.bolt11 ?? made.payment_request;
    if (!bolt11) {
      context.addIssue({ code: 'custom', message: 'no invoice' });
      return z.NEVER;
    }
    return { paymentHash: made.payment_hash, bolt11, walletId: made.wallet_id ?? undefined };
  });

const detailsSchema = z.object({
  payment_hash: hash.nullish(),
  wallet_id: identifier.nullish(),
  amount: millisats.nullish(),
  status: z.string().nullish(),
  preimage: z.string().nullish(),
});

/**
 * `get_payment`. Source: LNbits' `api_payment`: `{paid, preimage, details: Payment}`. At 0162e2ea71
 * its `paid` is "not pending", which is true for a failed payment as well, so a status that is not
 * `success` overrules it. A negative amount is the payer's side of a payment inside one LNbits.
 */
export const paymentResult = z
  .object({ paid: z.boolean(), preimage: z.string().nullish(), details: detailsSchema.nullish() })
  .transform(({ paid, preimage, details }) => {
    const status = details?.status ?? 'success';
    const amountSats = satsOfMillisats(details?.amount ?? Number.NaN);
    return {
      paid: paid && status === 'success',
      paymentHash: details?.payment_hash ?? undefined,
      preimage: preimage ?? details?.preimage ?? undefined,
      walletId: details?.wallet_id ?? undefined,
      amountSats: Number.isSafeInteger(amountSats) && amountSats >= 0 ? amountSats : undefined,
    };
  });

/** An entry of `list_payments`. Source: LNbits' `Payment`: `amount` in msat, negative = out. */
export const listedPayment = z.object({
  payment_hash: hash,
  amount: millisats,
  status: z.string(),
  wallet_id: identifier.nullish(),
  extra: z.record(z.string(), z.unknown()).nullish(),
});

/** `list_payments`: an array, or LNbits' page of one. Entries are read one by one. */
export const listResult = z.union([
  z.array(z.unknown()),
  z.object({ data: z.array(z.unknown()) }).transform(({ data }) => data),
]);

/** Where a payment keeps the id of the request behind it. Source: satmachineadmin 9414a18f82. */
export const EVENT_ID_KEY = 'nostr_event_id';

/** `create_withdraw`. Source: spirekeeper's cashin_transport; the rest of it is not public. */
export const withdrawResult = z
  .object({ lnurl: code, lnurl_url: code.nullish() })
  .transform(({ lnurl, lnurl_url: lnurlUrl }) => ({
    lnurl,
    ...(lnurlUrl ? { lnurlUrl } : {}),
  }));

// ---- Beacon -----------------------------------------------------------------------------------

/** Name of the public beacon, before `:<our pubkey>`. Not public (bitspire-wire.md 10.6). */
export const BEACON_NAME = 'bitspire-beacon';

/** Name of the telemetry, before `:<our pubkey>`. Not public (bitspire-wire.md 10.6). */
export const TELEMETRY_NAME = 'bitspire-telemetry';
