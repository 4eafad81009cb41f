/** What the operator's extension makes of a payment: a settlement, or a rejection and why. */
import { z } from 'zod';

/** One payment as the operator's books take it. */
export const settlementSchema = z.object({
  paymentHash: z.string(),
  status: z.enum(['processed', 'rejected']),
  /** Why it was rejected; empty otherwise. */
  reason: z.string(),
  txType: z.enum(['cash_in', 'cash_out']).optional(),
  wireSats: z.number().int(),
  principalSats: z.number().int().optional(),
  feeSats: z.number().int().optional(),
  /** The request that made the invoice or the link. */
  eventId: z.string().optional(),
});

/** See `settlementSchema`. */
export type Settlement = z.infer<typeof settlementSchema>;

const count = z.number().int().nonnegative();

/** What the server stamps and what a link carries. Source: bitspire-wire.md 6.3. */
const cashInSchema = z.object({
  source: z.literal('bitspire'),
  type: z.literal('cash_in'),
  principal_sats: count,
  fee_sats: count,
  nostr_sender_pubkey: z.string(),
  nostr_event_id: z.string(),
});

/** What the machine must say with an invoice. Source: bitspire-wire.md 6.4. */
const cashOutSchema = z.object({
  ...cashInSchema.shape,
  type: z.literal('cash_out'),
  exchange_rate: z.number(),
  currency: z.string(),
  txid: z.string().min(1),
  bills: z.unknown().refine((value) => value !== undefined, 'bills is missing'),
  cassettes: z.unknown().refine((value) => value !== undefined, 'cassettes is missing'),
});

const extraSchema = z.discriminatedUnion('type', [cashInSchema, cashOutSchema]);

/**
 * Judges a payment by its extra: a missing field, or a stamp of another sender, rejects it; nothing
 * is derived from other fields. Source: bitspire-wire.md 2.4 and 6.4.
 */
export function settlementOf(
  paymentHash: string,
  wireSats: number,
  extra: Record<string, unknown>,
  machinePubkey: string,
): Settlement {
  const read = extraSchema.safeParse(extra);
  if (!read.success) {
    const reason = z.prettifyError(read.error);
    return { paymentHash, status: 'rejected', reason, wireSats };
  }
  if (read.data.nostr_sender_pubkey !== machinePubkey) {
    return { paymentHash, status: 'rejected', reason: 'sender is not this machine', wireSats };
  }
  return {
    paymentHash,
    status: 'processed',
    reason: '',
    txType: read.data.type,
    wireSats,
    principalSats: read.data.principal_sats,
    feeSats: read.data.fee_sats,
    eventId: read.data.nostr_event_id,
  };
}
