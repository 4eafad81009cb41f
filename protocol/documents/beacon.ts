/** The public beacon: that there is a machine, and what it does. Source: bitspire-wire.md 3.4. */
import { z } from 'zod';
import { ConfigError } from '#protocol/base/errors.ts';
import { BEACON_NAME } from '../rpc/dialect.ts';
import type { OutgoingDocument } from './document.ts';

/**
 * Plain words only: bunkers add tags to public text that mentions somebody (nostr.md 0.7), and then
 * the signature is refused.
 */
const plainWords = z.string().regex(/^[\w .,()/+-]{1,64}$/);

const schema = z.object({
  cash_in: z.boolean(),
  cash_out: z.boolean(),
  // Its words are not public; these are XFS4IoT's levels.
  cash_level: z.enum(['ok', 'full', 'high', 'low', 'empty']).nullable(),
  fiat: z.string().regex(/^[A-Z]{3}$/),
  model: plainWords,
});

/** What a beacon says. */
export interface Beacon {
  readonly cashIn: boolean;
  readonly cashOut: boolean;
  /** null unless the operator opted in a second time: it tells robbers where to go. */
  readonly cashLevel: 'ok' | 'full' | 'high' | 'low' | 'empty' | null;
  /** ISO 4217. */
  readonly fiat: string;
  readonly model: string;
}

/**
 * For everyone, and published only when the operator opted in (design 10). The field `cash_level`
 * is always there, since a reader may require it.
 * @throws ConfigError `invalidData` for a model or currency that is not plain.
 */
export function beaconDocument(beacon: Beacon): OutgoingDocument {
  const content = schema.safeParse({
    cash_in: beacon.cashIn,
    cash_out: beacon.cashOut,
    cash_level: beacon.cashLevel,
    fiat: beacon.fiat,
    model: beacon.model,
  });
  if (!content.success) {
    throw new ConfigError('invalidData', `no beacon: ${z.prettifyError(content.error)}`);
  }
  return { name: BEACON_NAME, audience: 'public', text: JSON.stringify(content.data) };
}
