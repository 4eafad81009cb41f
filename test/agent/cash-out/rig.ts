/**
 * Parts of a machine on which a cash-out can be walked step by step: `testParts` with a wallet that
 * makes real invoices, hands that sell, pay, cut the power and compare the books with the device.
 */
import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import { Withdraws } from '#agent/cash-in/withdraws.ts';
import { invoice } from '#agent/cash-out/invoice.ts';
import { Payments } from '#agent/cash-out/payments.ts';
import { reserve } from '#agent/cash-out/sale.ts';
import type { Plan } from '#agent/machines/cash-out.ts';
import type { Parts } from '#agent/parts.ts';
import { Recovery } from '#agent/recovery/recovery.ts';
import type { CashDispenser } from '#hal/cash-dispenser.ts';
import { commands } from '#hal/lcdm/id30/commands.ts';
import { minorUnits } from '#protocol/base/money.ts';
import type { RpcOutcome } from '#protocol/rpc/rpc.ts';
import { createInvoiceMaker } from '#protocol/simulator/keeper/bolt11.ts';
import { bayAccount } from '#state/note-ledger.ts';
import { type PartsOptions, type TestParts, testParts, WALLET_ID } from '#test/support/parts.ts';
import { seededRandom } from '#test/support/seeded-random.ts';
import { withMethods } from '#test/support/with-methods.ts';

/** What proves the n-th invoice of the scripted wallet, from 1. */
export const preimageOf = (invoiceNumber: number): string =>
  String(invoiceNumber).padStart(2, '5').repeat(32);
/** The payment hash of a preimage. */
export const hashOf = (preimage: string): string =>
  createHash('sha256').update(Buffer.from(preimage, 'hex')).digest('hex');

/** A cassette machine whose wallet is scripted. */
export interface MachineParts extends TestParts {
  readonly says: {
    /** Laid over what the wallet says of a new invoice. */
    invoice: Record<string, unknown>;
    /** Laid over what stands in the invoice itself. */
    terms: { amountMsat?: number; paymentHash?: string; lifeMs?: number };
    /** Laid over what it says of a payment; undefined when it is silent. */
    payment: Record<string, unknown> | undefined;
    /** Invoices made so far. */
    invoices: number;
  };
}

const maker = createInvoiceMaker(seededRandom('node').bytes(32));

/** The parts; the wallet answers with an invoice that is right, and with "not paid". */
export async function machineParts(options: PartsOptions = {}): Promise<MachineParts> {
  const parts = await testParts(options);
  const payment = { paid: false };
  const says: MachineParts['says'] = { invoice: {}, terms: {}, payment, invoices: 0 };
  parts.rpc.answer = (rpcName, body): RpcOutcome => {
    if (rpcName === 'get_payment') {
      if (says.payment === undefined) return { kind: 'unanswered' };
      const details = { wallet_id: WALLET_ID };
      return { kind: 'ok', data: { details, ...says.payment } };
    }
    const asked = body as { readonly amount: number; readonly memo: string };
    const now = parts.clock.now();
    says.invoices += 1;
    const paymentHash = hashOf(preimageOf(says.invoices));
    const terms = {
      paymentHash,
      amountMsat: asked.amount * 1_000,
      memo: asked.memo,
      createdAtUnixMs: now,
      expiresAtUnixMs: now + (says.terms.lifeMs ?? 180_000),
      ...says.terms,
    };
    const made = { payment_hash: paymentHash, wallet_id: WALLET_ID };
    const bolt11 = maker.make(terms, '11'.repeat(32));
    return { kind: 'ok', data: { ...made, bolt11, ...says.invoice } };
  };
  return { ...parts, says };
}

/** The plan of a sale that has just been reserved. */
export async function reserved(parts: Parts, amountMinor: number): Promise<Plan> {
  const outcome = await reserve(parts, { amount: minorUnits(amountMinor) });
  if (outcome.kind !== 'reserved') throw new Error(`refused: ${outcome.notice.text}`);
  return outcome.plan;
}

/** The plan of a sale whose invoice is on the screen. */
export async function invoiced(parts: MachineParts, amountMinor: number): Promise<Plan> {
  const plan = await reserved(parts, amountMinor);
  expect(await parts.clock.resolve(invoice(parts, plan))).toMatchObject({ kind: 'invoiced' });
  return plan;
}

/** The plan of a sale that is paid. */
export async function paid(parts: MachineParts, amountMinor: number): Promise<Plan> {
  const plan = await invoiced(parts, amountMinor);
  parts.says.payment = { paid: true, preimage: preimageOf(parts.says.invoices) };
  const payments = new Payments(parts);
  const waited = payments.wait(plan.transactionId, new AbortController().signal);
  expect(await parts.clock.resolve(waited)).toEqual({ kind: 'paid' });
  return plan;
}

/** DISPENSE frames that left the driver. */
export function dispensesOnWire({ dispenserPort }: TestParts): number {
  // EOT, ID, STX, command. Source: cash-hardware.md 7.1.
  const start = `043002${commands.dispense.code.toString(16)}`;
  return dispenserPort.sent.filter((hex) => hex.startsWith(start)).length;
}

/** Holds bays, reject tray and customer of the books against where the notes are. */
export function expectBooksTrue({ store, dispenserDevice }: TestParts): void {
  const truth = dispenserDevice.truth();
  for (const { position, value } of store.cashUnits.list()) {
    expect(store.ledger.count(bayAccount(position), value)).toBe(truth.units[position]?.count);
  }
  const notes = (account: 'customer' | 'reject') =>
    Object.fromEntries(
      store.ledger.balance(account).map(({ value, count }) => [String(value / 100), count]),
    );
  expect(notes('customer')).toEqual(truth.customer);
  expect(notes('reject')).toEqual(truth.reject);
  expect(store.verify().problems).toEqual([]);
}

/** The same parts with another word of the dispenser. */
export function withDispenser(parts: MachineParts, over: Partial<CashDispenser>): MachineParts {
  return { ...parts, dispenser: withMethods(parts.dispenser, over) };
}

/** The same parts with a power that goes at the n-th commit from now. */
export function cutAt(parts: MachineParts, nth: number): MachineParts {
  let count = 0;
  const commit = <T>(work: () => T): T => {
    count++;
    if (count >= nth) throw new Error('cut');
    return parts.store.commit(work);
  };
  return { ...parts, store: { ...parts.store, commit } };
}

/** What is owed or not known, in short. */
export const owed = ({ store }: Parts) =>
  store.obligations.list().map(({ kind, amountMinor, state }) => ({ kind, amountMinor, state }));

/** The next start, as far as the dispenser is concerned. */
export async function recover(parts: MachineParts): Promise<void> {
  const start = recovery(parts);
  await parts.clock.resolve(start.device('dispenser'));
  start.transactions();
}

/** What the next start makes of what is in the store. */
export function recovery(parts: Parts): Recovery {
  return new Recovery(parts, new Withdraws(parts, () => Promise.reject(new Error('no network'))));
}
