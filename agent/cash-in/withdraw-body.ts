/** What an open withdraw keeps on disk, so that its answer is taken also after a restart. */
import { z } from 'zod';
import type { Intent } from '#state/intents.ts';
import { type JsonObject, parseJsonObject } from '#state/json.ts';

const preparedCall = z.object({
  rpcName: z.string(),
  requestId: z.string(),
  event: z.object({
    id: z.string(),
    pubkey: z.string(),
    created_at: z.number(),
    kind: z.number(),
    tags: z.array(z.array(z.string())),
    content: z.string(),
    sig: z.string(),
  }),
});

const schema = z.object({
  principalSats: z.number(),
  netSats: z.number(),
  state: z.enum(['prepared', 'sent', 'answered']),
  /** Every call that may have reached the wallet, in order. */
  calls: z.array(preparedCall).readonly(),
  /** Of the one link that may be shown. */
  lnurlHash: z.string().optional(),
  /** The link's amount was held against the promise. */
  compared: z.boolean().optional(),
});

/** The body of a withdraw intent. */
export type WithdrawBody = z.output<typeof schema>;

/** Reads the body of a withdraw intent. @throws ZodError for what this program never wrote. */
export function withdrawBody(intent: Pick<Intent, 'body'>): WithdrawBody {
  return schema.parse(intent.body);
}

/** The body as it is kept: plain JSON, without what is undefined. */
export function withdrawJson(body: WithdrawBody): JsonObject {
  return parseJsonObject(JSON.stringify(body));
}
