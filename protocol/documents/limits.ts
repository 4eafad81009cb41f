/** `bitspire-limits`: our own, optional; the cap that the server otherwise keeps to itself. */
import { z } from 'zod';
import { type Sats, sats } from '#protocol/base/money.ts';
import { type IncomingType, readBy, schemaVersion } from './document.ts';

/**
 * The most principal of one cash-in. null: no cap from here. 0: cash-in is closed. Applying means:
 * it is one of the figures of which the least holds (design 6.2), from the next note on.
 */
export interface LimitsDocument {
  readonly type: 'limits';
  readonly maxCashInSats: Sats | null;
}

const schema = z
  .object({
    schema_version: schemaVersion,
    // The key is required, so that a forgotten one does not lift a cap.
    max_cash_in_sats: z.int().nonnegative().nullable(),
  })
  .transform(
    ({ max_cash_in_sats: max }): LimitsDocument => ({
      type: 'limits',
      maxCashInSats: max === null ? null : sats(max),
    }),
  );

/** See `LimitsDocument`. */
export const limits: IncomingType<LimitsDocument> = {
  name: 'bitspire-limits',
  read: (value) => readBy(schema, value),
};
