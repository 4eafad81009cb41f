/** `bitspire-fees`: what the customer pays for a trade. Source: bitspire-wire.md 3.3. */
import { z } from 'zod';
import type { FeeFractions } from '#protocol/base/money.ts';
import { type IncomingType, readBy, schemaVersion } from './document.ts';

/**
 * Fees as fractions of principal. Applying means: sessions opened from now on use them, a session
 * that is open keeps its own. Without any such document the machine is out of service (design 5).
 */
export interface FeesDocument {
  readonly type: 'fees';
  readonly cashIn: FeeFractions;
  readonly cashOut: FeeFractions;
}

/** Most of one direction; 3 typed for 0.03 is above it. Source: bitspire-wire.md 3.3. */
const FRACTION_MAX = 0.15;
/** How far total and parts may be apart. Source: bitspire-wire.md 3.3. */
const TOTAL_TOLERANCE = 1e-6;

const fraction = z
  .number()
  .min(0)
  .max(FRACTION_MAX, `must be a fraction of at most ${FRACTION_MAX}, not percent`);

const schema = z
  .object({
    schema_version: schemaVersion,
    cash_in_fee_fraction: fraction,
    cash_out_fee_fraction: fraction,
    components: z
      .object({
        super_cash_in: fraction,
        super_cash_out: fraction,
        operator_cash_in: fraction,
        operator_cash_out: fraction,
      })
      .nullish(),
  })
  .transform((fees, context): FeesDocument => {
    const { cash_in_fee_fraction: totalIn, cash_out_fee_fraction: totalOut, components } = fees;
    const cashIn = fractions(totalIn, components?.super_cash_in, components?.operator_cash_in);
    const cashOut = fractions(totalOut, components?.super_cash_out, components?.operator_cash_out);
    if (cashIn && cashOut) return { type: 'fees', cashIn, cashOut };
    const message = 'is not the sum of its components';
    const path = [cashIn ? 'cash_out_fee_fraction' : 'cash_in_fee_fraction'];
    context.addIssue({ code: 'custom', message, path });
    return z.NEVER;
  });

/** The legs, which round each by itself (design 7.2); undefined when they are not the total. */
function fractions(
  total: number,
  platform: number | undefined,
  operator: number | undefined,
): FeeFractions | undefined {
  if (platform === undefined || operator === undefined) return { kind: 'total', total };
  if (Math.abs(total - (platform + operator)) >= TOTAL_TOLERANCE) return undefined;
  return { kind: 'legs', platform, operator };
}

/** See `FeesDocument`. */
export const fees: IncomingType<FeesDocument> = {
  name: 'bitspire-fees',
  read: (value) => readBy(schema, value),
};
