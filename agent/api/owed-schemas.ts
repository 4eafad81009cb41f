/** What the local API says of one obligation and of one dispute, as zod schemas. */
import { z } from 'zod';
import { anyJson, obligationView } from './schemas.ts';

const count = z.int().nonnegative();
const json = z.record(z.string(), anyJson);

/** Service scope: which obligations to show. */
export const obligationsQuery = z.strictObject({
  which: z.enum(['open', 'all']).default('open').describe('`all`: also those that are closed.'),
  name: z.string().max(64).optional().describe('A reference, or the id of one.'),
});
export type ObligationsQuery = z.infer<typeof obligationsQuery>;

/** Service scope: whose dispute. */
export const disputeQuery = z.strictObject({
  name: z.string().max(64).describe('A reference or a transaction id.'),
});

const entry = z.strictObject({
  seq: count,
  epoch: count,
  bootId: z.string(),
  atUnixMs: count,
  monotonicMs: count,
  kind: z.string(),
  transactionId: z.string().nullable(),
  body: json,
  previousHash: z.string(),
  hash: z
    .string()
    .describe(
      'SHA-256 of the JSON list of seq, epoch, bootId, atUnixMs, monotonicMs, kind, ' +
        'transactionId, body as canonical JSON text, previousHash.',
    ),
});

const transaction = z.strictObject({
  id: z.string(),
  kind: z.enum(['cashIn', 'cashOut']),
  reference: z.string(),
  state: z.string(),
  outcome: z.string().nullable(),
  currency: z.string(),
  fiatMinor: count,
  rateMinorPerBtc: count,
  principalSats: count,
  feeSats: count,
  wireSats: count,
  paymentHash: z.string().nullable(),
  createdAtUnixMs: count,
  endedAtUnixMs: count.nullable(),
});

const counters = z.array(
  z.strictObject({
    account: z.string(),
    currency: z.string(),
    valueMinor: count,
    before: z.int(),
    after: z.int(),
  }),
);

/** Service scope: everything that is known of one transaction, without a bearer value. */
export const disputeBundle = z.strictObject({
  format: z.literal('spire-dispute-1'),
  madeAtUnixMs: count,
  versions: z.strictObject({ agent: z.string(), node: z.string() }),
  spirePubkey: z.string(),
  transaction,
  neighbours: z
    .strictObject({ before: transaction.nullable(), after: transaction.nullable() })
    .describe('The transaction before it and the one after it on this machine.'),
  notes: z.strictObject({
    moved: z.array(
      z.strictObject({
        seq: count,
        atUnixMs: count,
        from: z.string(),
        to: z.string(),
        currency: z.string(),
        valueMinor: count,
        count,
        cause: z.string(),
        transactionId: z.string().nullable(),
      }),
    ),
    counters: counters.describe('Every account that it touched, before its first note and after.'),
  }),
  devices: z.strictObject({
    before: z
      .array(z.strictObject({ act: z.string(), atUnixMs: count, intended: json }))
      .describe('What was to be done, and the counters and last result read before it.'),
    now: z.array(json).describe('Both devices as they are now, with their counters.'),
  }),
  obligations: z.array(obligationView),
  journal: z.strictObject({
    complete: z
      .boolean()
      .describe('True: from first to last without a gap, so that the chain is whole by itself.'),
    chain: z.enum(['ok', 'broken']).describe('What the machine found over the same range.'),
    head: z.strictObject({ seq: count, epoch: count, hash: z.string() }),
    entries: z.array(entry).describe('`device.recorded` holds the bytes of the device.'),
  }),
});
export type DisputeBundle = z.infer<typeof disputeBundle>;
