/**
 * The books of one wallet: what is in it and why. Every change of the balance is an entry, so that
 * a test can compare the machine's journal with what really happened to the money.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Clock, Random } from '#protocol/base/clock.ts';
import type { InvoiceMaker } from './bolt11.ts';
import { encodeLnurl } from './lnurl.ts';
import { settlementOf, settlementSchema } from './settlement.ts';

const extraSchema = z.record(z.string(), z.unknown());

const linkSchema = z.object({
  id: z.string(),
  /** LUD-03's secret of one withdrawal. */
  k1: z.string(),
  principalSats: z.number().int(),
  feeSats: z.number().int(),
  netSats: z.number().int(),
  lnurl: z.string(),
  url: z.string(),
  state: z.enum(['open', 'claimed', 'deleted']),
  /** The request that made it. */
  eventId: z.string(),
  extra: extraSchema,
});

const invoiceSchema = z.object({
  paymentHash: z.string(),
  preimage: z.string(),
  bolt11: z.string(),
  /** What the payer pays, fees in it. */
  wireSats: z.number().int(),
  memo: z.string(),
  createdAtUnixMs: z.number(),
  expiresAtUnixMs: z.number(),
  paid: z.boolean(),
  /** Paid inside the same LNbits, which then gives an all-zero preimage. */
  internal: z.boolean(),
  extra: extraSchema,
});

const payoutSchema = z.object({
  paymentHash: z.string(),
  sats: z.number().int(),
  atUnixMs: z.number(),
  extra: extraSchema,
});

const entrySchema = z.object({
  atUnixMs: z.number(),
  cause: z.enum(['funded', 'invoicePaid', 'linkClaimed']),
  /** Negative when it leaves the wallet. */
  sats: z.number().int(),
  /** Payment hash or link id. */
  reference: z.string(),
});

const stateSchema = z.object({
  walletId: z.string(),
  links: z.array(linkSchema),
  invoices: z.array(invoiceSchema),
  payouts: z.array(payoutSchema),
  settlements: z.array(settlementSchema),
  entries: z.array(entrySchema),
});

/** A withdraw link: who holds its LNURL may take `netSats` once. */
export type WithdrawLink = z.infer<typeof linkSchema>;
/** An invoice of this wallet. */
export type WalletInvoice = z.infer<typeof invoiceSchema>;
/** A payment out of the wallet. */
export type Payout = z.infer<typeof payoutSchema>;
/** A wallet, plain JSON. */
export type WalletState = z.infer<typeof stateSchema>;
/** Reads a kept wallet. */
export const walletStateSchema = stateSchema;

/** The books as they stand: a copy. */
export interface Books {
  readonly walletId: string;
  readonly balanceSats: number;
  readonly withdrawLinks: readonly WithdrawLink[];
  readonly invoices: readonly WalletInvoice[];
  readonly payouts: readonly Payout[];
  readonly settlements: WalletState['settlements'];
  readonly entries: WalletState['entries'];
}

/** What became of a claim or a payment; `reason` in the server's words. */
export type MoneyOutcome =
  | { readonly ok: true; readonly sats: number }
  | { readonly ok: false; readonly reason: string };

/** What a wallet needs. */
export interface WalletOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly invoices: InvoiceMaker;
  readonly state: WalletState;
  /** The machine whose settlements these are; a wallet of no machine makes none. */
  readonly machinePubkey?: string;
  readonly onChange: () => void;
}

/** What LNbits gives for an invoice that was paid inside the same server. */
export const ZERO_PREIMAGE = '00'.repeat(32);
const ID_BYTES = 16;
const PREIMAGE_BYTES = 32;
const LINK_PATH = '/withdraw/api/v1/lnurl/';

/** An empty wallet with a new id, shaped as LNbits' ids are. */
export function newWalletState(random: Random): WalletState {
  const walletId = Buffer.from(random.bytes(ID_BYTES)).toString('hex');
  return { walletId, links: [], invoices: [], payouts: [], settlements: [], entries: [] };
}

/** One wallet. */
export class Wallet {
  readonly id: string;
  readonly #options: WalletOptions;
  readonly #state: WalletState;
  readonly #links = new Map<string, WithdrawLink>();
  readonly #invoices = new Map<string, WalletInvoice>();
  #balanceSats = 0;

  constructor(options: WalletOptions) {
    this.#options = options;
    this.#state = structuredClone(options.state);
    this.id = this.#state.walletId;
    for (const link of this.#state.links) this.#links.set(link.id, link);
    for (const invoice of this.#state.invoices) this.#invoices.set(invoice.paymentHash, invoice);
    for (const entry of this.#state.entries) this.#balanceSats += entry.sats;
  }

  get balanceSats(): number {
    return this.#balanceSats;
  }

  /** Everything, copied; also what is kept on disk. */
  get state(): WalletState {
    return structuredClone(this.#state);
  }

  /** The books as a test reads them. */
  books(): Books {
    const { links, ...rest } = this.state;
    return { ...rest, balanceSats: this.#balanceSats, withdrawLinks: links };
  }

  /** The newest so many, newest first. */
  invoices(countMax: number): WalletInvoice[] {
    return this.#state.invoices.slice(-countMax).reverse();
  }

  /** The newest so many, newest first. */
  payouts(countMax: number): Payout[] {
    return this.#state.payouts.slice(-countMax).reverse();
  }

  /** An invoice by its payment hash. */
  invoice(paymentHash: string): WalletInvoice | undefined {
    return this.#invoices.get(paymentHash);
  }

  /** The operator puts sats in. */
  fund(sats: number): void {
    this.#enter('funded', sats, 'fund');
  }

  /** Makes a withdraw link below a base address. */
  createLink(
    link: Pick<WithdrawLink, 'principalSats' | 'feeSats' | 'netSats' | 'eventId' | 'extra'>,
    base: string,
  ): WithdrawLink {
    const id = this.#hex(ID_BYTES);
    const url = `${base}${LINK_PATH}${id}`;
    const made: WithdrawLink = {
      ...link,
      id,
      url,
      k1: this.#hex(PREIMAGE_BYTES),
      lnurl: encodeLnurl(url),
      state: 'open',
    };
    this.#state.links.push(made);
    this.#links.set(id, made);
    this.#options.onChange();
    return made;
  }

  /** A link by its id, the last part of its address. */
  link(id: string): WithdrawLink | undefined {
    return this.#links.get(id);
  }

  /** Pays a link out, once. `paymentHash` is that of the claimer's invoice. */
  claim(link: WithdrawLink, paymentHash: string = this.#hex(PREIMAGE_BYTES)): MoneyOutcome {
    if (link.state === 'deleted') return { ok: false, reason: 'Withdraw link does not exist.' };
    if (link.state === 'claimed') return { ok: false, reason: 'Withdraw is spent.' };
    if (link.netSats > this.#balanceSats) return { ok: false, reason: 'Insufficient balance.' };
    link.state = 'claimed';
    // The withdraw extension writes these two last, so that a link's extra cannot take their place.
    const extra = { ...link.extra, tag: 'withdraw', withdrawal_link_id: link.id };
    const atUnixMs = this.#options.clock.now();
    this.#state.payouts.push({ paymentHash, sats: link.netSats, atUnixMs, extra });
    this.#settle(paymentHash, link.netSats, extra);
    this.#enter('linkClaimed', -link.netSats, link.id);
    return { ok: true, sats: link.netSats };
  }

  /** The operator deletes a link; true when it was open. */
  deleteLink(link: WithdrawLink): boolean {
    if (link.state !== 'open') return false;
    link.state = 'deleted';
    this.#options.onChange();
    return true;
  }

  /** Makes a signed invoice. */
  createInvoice(
    wireSats: number,
    memo: string,
    expirySec: number,
    extra: Record<string, unknown>,
  ): WalletInvoice {
    const preimage = this.#hex(PREIMAGE_BYTES);
    const paymentHash = createHash('sha256').update(Buffer.from(preimage, 'hex')).digest('hex');
    const createdAtUnixMs = Math.floor(this.#options.clock.now() / 1000) * 1000;
    const terms = { memo, createdAtUnixMs, expiresAtUnixMs: createdAtUnixMs + expirySec * 1000 };
    const bolt11 = this.#options.invoices.make(
      { ...terms, paymentHash, amountMsat: wireSats * 1000 },
      this.#hex(PREIMAGE_BYTES),
    );
    const paid = { paid: false, internal: false };
    const made = { ...terms, ...paid, paymentHash, preimage, bolt11, wireSats, extra };
    this.#state.invoices.push(made);
    this.#invoices.set(paymentHash, made);
    this.#options.onChange();
    return made;
  }

  /** A customer pays an invoice. `internal`: from another wallet of the same server. */
  pay(invoice: WalletInvoice, how: { internal: boolean; evenExpired: boolean }): MoneyOutcome {
    if (invoice.paid) return { ok: false, reason: 'Invoice is already paid.' };
    if (!how.evenExpired && invoice.expiresAtUnixMs <= this.#options.clock.now()) {
      return { ok: false, reason: 'Invoice is expired.' };
    }
    invoice.paid = true;
    invoice.internal = how.internal;
    this.#settle(invoice.paymentHash, invoice.wireSats, invoice.extra);
    this.#enter('invoicePaid', invoice.wireSats, invoice.paymentHash);
    return { ok: true, sats: invoice.wireSats };
  }

  #settle(paymentHash: string, wireSats: number, extra: Record<string, unknown>): void {
    const { machinePubkey } = this.#options;
    if (machinePubkey === undefined) return;
    const stamped = settlementOf(paymentHash, wireSats, extra, machinePubkey);
    this.#state.settlements.push(stamped);
  }

  #enter(cause: WalletState['entries'][number]['cause'], sats: number, reference: string): void {
    this.#state.entries.push({ atUnixMs: this.#options.clock.now(), cause, sats, reference });
    this.#balanceSats += sats;
    this.#options.onChange();
  }

  #hex(count: number): string {
    return Buffer.from(this.#options.random.bytes(count)).toString('hex');
  }
}
