/** `bitspire-cassettes`: what the operator says is in the bays. Source: bitspire-wire.md 3.1. */
import { z } from 'zod';
import { type Position, position } from '#protocol/base/ids.ts';
import { type IncomingType, readBy, schemaVersion } from './document.ts';

/** One bay as a document states it. */
export interface BayStatement {
  readonly position: Position;
  /** Face value in whole units of the currency, as 20. */
  readonly denomination: number;
  readonly count: number;
}

/**
 * The bays, by position, top first. Applying means: counts as of the event's `created_at`, with
 * what was moved since on top; only for bays whose last physical count is older; never in a
 * transaction or exchange (design 10).
 */
export interface CassettesDocument {
  readonly type: 'cassettes';
  readonly bays: readonly BayStatement[];
}

/** Bounds that only a typing error passes: no note is worth more, no bay holds more. */
const DENOMINATION_MAX = 1_000_000;
const COUNT_MAX = 10_000;

/** Keys as the producer writes them: a whole number, no zero in front, so that none comes twice. */
const positionKey = z.string().regex(/^(?:[1-9]|1[0-6])$/, 'is no position from 1 to 16');

const bay = z.object({
  denomination: z.int().positive().max(DENOMINATION_MAX),
  count: z.int().nonnegative().max(COUNT_MAX),
});

const positions = z
  .record(positionKey, bay)
  .refine((bays) => Object.keys(bays).length > 0, 'names no position');

const schema = z
  .object({ positions, schema_version: schemaVersion.optional() })
  .transform(({ positions: bays }): CassettesDocument => {
    const statements = Object.entries(bays).map(([key, { denomination, count }]) => ({
      position: position(Number(key)),
      denomination,
      count,
    }));
    statements.sort((a, b) => a.position - b.position);
    return { type: 'cassettes', bays: statements };
  });

/** The shape that was withdrawn because two bays of one denomination became one. */
const oldShape = z.object({
  denominations: z.record(z.string(), z.unknown()),
  positions: z.undefined().optional(),
});

const OLD_SHAPE_REASON =
  'this is the old shape, keyed by denomination; ' +
  'needed is {"positions": {"1": {"denomination": 20, "count": 100}}}';

/** See `CassettesDocument`. */
export const cassettes: IncomingType<CassettesDocument> = {
  name: 'bitspire-cassettes',
  read: (value) =>
    oldShape.safeParse(value).success
      ? { kind: 'refused', reason: OLD_SHAPE_REASON }
      : readBy(schema, value),
};
