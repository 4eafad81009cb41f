/** An invoice is shown only when it says exactly what was asked for (design 7.3). */
import { decode } from 'light-bolt11-decoder';
import type { Sats } from '#protocol/base/money.ts';
import type { Config } from '../config.ts';

/** Human-readable prefixes by network. Source: BOLT 11. */
const PREFIXES: Readonly<Record<Config['network'], string>> = {
  bitcoin: 'lnbc',
  testnet: 'lntb',
  signet: 'lntbs',
  regtest: 'lnbcrt',
};
/** An invoice must be payable for at least this long. */
const LIFE_LEFT_MS = 30_000;
const MILLISATS = 1000n;

/** What an invoice has to be. */
export interface ExpectedInvoice {
  readonly bolt11: string;
  readonly paymentHash: string;
  readonly wireSats: Sats;
  readonly network: Config['network'];
  readonly nowUnixMs: number;
}

/** `ok` with its end, or what is wrong with it in words. */
export type InvoiceCheck =
  | { readonly kind: 'ok'; readonly expiresAtUnixMs: number }
  | { readonly kind: 'bad'; readonly reason: string };

/** Reads a BOLT 11 invoice and holds it against what was asked for. Never throws. */
export function checkInvoice(expected: ExpectedInvoice): InvoiceCheck {
  const bad = (reason: string): InvoiceCheck => ({ kind: 'bad', reason });
  let sections: ReturnType<typeof decode>['sections'];
  try {
    sections = decode(expected.bolt11).sections;
  } catch {
    return bad('the invoice cannot be read');
  }
  const value = (name: string): unknown => {
    const section = sections.find((one) => one.name === name);
    return section && 'value' in section ? section.value : undefined;
  };
  const prefix = /^(lnbcrt|lntbs|lnbc|lntb)/.exec(expected.bolt11.toLowerCase())?.[1];
  if (prefix !== PREFIXES[expected.network]) {
    return bad(`the invoice is for another network (${prefix})`);
  }
  if (value('amount') !== String(BigInt(expected.wireSats) * MILLISATS)) {
    return bad('the invoice is over another amount');
  }
  if (value('payment_hash') !== expected.paymentHash) {
    return bad('the invoice has another payment hash');
  }
  const timestamp = value('timestamp');
  if (typeof timestamp !== 'number') return bad('the invoice has no date');
  const expiry = value('expiry');
  // Source: BOLT 11, one hour when the invoice does not say.
  const expirySeconds = typeof expiry === 'number' ? expiry : 3_600;
  const expiresAtUnixMs = (timestamp + expirySeconds) * 1_000;
  if (expiresAtUnixMs - expected.nowUnixMs < LIFE_LEFT_MS) return bad('the invoice has expired');
  return { kind: 'ok', expiresAtUnixMs };
}
