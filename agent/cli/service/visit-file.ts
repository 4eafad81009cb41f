/** A visit from a file instead of a person: what it may say, and the answer to each question. */
import { z } from 'zod';
import {
  type ExchangeAnswer,
  type ExchangeQuestion,
  NOTES_MAX,
  overShortReason,
} from '../../api/visit-schemas.ts';
import type { Wish } from './ask-question.ts';

const count = z.int().nonnegative().max(NOTES_MAX);
const seal = z.string();
const face = z.int().positive();
const reason = z
  .strictObject({ reason: overShortReason, note: z.string().default('') })
  .optional()
  .describe('Needed when it is over or short.');
const loaded = {
  denomination: face.optional().describe('Notes put in; as before unless given.'),
  load: count.describe('Notes in it when it goes back.'),
  test: z.enum(['run', 'skip']).default('run').describe('Test dispense of one note.'),
};

const bay = z.discriminatedUnion('do', [
  z.strictObject({ do: z.literal('leave') }),
  z.strictObject({ do: z.literal('confirm') }),
  z.strictObject({
    do: z.literal('count'),
    out: count.optional().describe('Notes taken out; not asked of an empty bay.'),
    reason,
    ...loaded,
  }),
  z.strictObject({ do: z.literal('seal'), seal, ...loaded }),
]);

const box = z.discriminatedUnion('do', [
  z.strictObject({ do: z.literal('leave') }),
  z.strictObject({
    do: z.literal('count'),
    counts: z.record(z.string().regex(/^[1-9]\d*$/), count).describe('Notes by face value.'),
    reason,
  }),
  z.strictObject({ do: z.literal('seal'), seal }),
]);

/** The file of `spire service --json-file`. What it does not name is left as it is. */
export const visitFile = z.strictObject({
  name: z.string().describe('Of the technician.'),
  pin: z.string(),
  bays: z.record(z.string().regex(/^\d+$/), bay).default({}),
  boxes: z.strictObject({ cashbox: box.optional(), reject: box.optional() }).prefault({}),
  record: z
    .int()
    .positive()
    .optional()
    .describe('Number that its record will have: one that is there is shown, and nothing is done.'),
  end: z
    .union([z.literal('close'), z.strictObject({ abandon: z.string().min(1) })])
    .default('close'),
});
/** The file of `spire service --json-file`. */
export type VisitFile = z.output<typeof visitFile>;

/** The other file that it takes: sealed bags that were counted at the depot. It opens no exchange. */
export const bagFile = z.strictObject({
  name: z.string().describe('Of the technician.'),
  pin: z.string(),
  bags: z
    .record(
      z.string().describe('The seal.'),
      z.strictObject({
        counts: z.record(z.string().regex(/^[1-9]\d*$/), count).describe('Notes by face value.'),
        reason,
      }),
    )
    .refine((bags) => Object.keys(bags).length > 0),
});
/** See `bagFile`. */
export type BagFile = z.output<typeof bagFile>;

/** The file's wish at a question; undefined when it does not say. */
export function wishOf(file: VisitFile, asks: ExchangeQuestion): Wish | undefined {
  if (typeof file.end === 'object') return { kind: 'abandon' };
  if (asks.kind === 'close') return { kind: 'close' };
  const answer = answerOf(file, asks);
  return answer && { kind: 'answer', answer };
}

function answerOf(
  file: VisitFile,
  asks: Exclude<ExchangeQuestion, { kind: 'close' }>,
): ExchangeAnswer | undefined {
  if ('position' in asks) return bayAnswer(file.bays[String(asks.position)], asks);
  const [kind, at = ''] = asks.place.split(':', 2);
  const place = kind === 'bay' ? file.bays[at] : file.boxes[kind === 'reject' ? kind : 'cashbox'];
  switch (asks.kind) {
    case 'box':
      return { kind: 'box', choice: place?.do ?? 'leave' };
    case 'seal':
      return place?.do === 'seal' ? { kind: 'seal', seal: place.seal } : undefined;
    case 'reason':
      return place?.do === 'count' && place.reason
        ? { kind: 'reason', ...place.reason }
        : undefined;
    case 'boxCount':
      return place?.do === 'count' && 'counts' in place
        ? { kind: 'boxCount', counts: pilesOf(place.counts) }
        : undefined;
  }
}

/** Notes by face value as the API takes them. */
export const pilesOf = (counts: Readonly<Record<string, number>>) =>
  Object.entries(counts).map(([face, notes]) => ({ denomination: Number(face), count: notes }));

function bayAnswer(
  bay: VisitFile['bays'][string] | undefined,
  asks: Extract<ExchangeQuestion, { position: number }>,
): ExchangeAnswer | undefined {
  if (asks.kind === 'bay') return { kind: 'bay', choice: bay?.do ?? 'leave' };
  const counted = bay?.do === 'count' ? bay : undefined;
  const filled = bay?.do === 'count' || bay?.do === 'seal' ? bay : undefined;
  switch (asks.kind) {
    case 'bayCount':
      return counted?.out === undefined ? undefined : { kind: 'bayCount', count: counted.out };
    case 'denomination': {
      const denomination = filled?.denomination ?? asks.current;
      return denomination === null || !filled ? undefined : { kind: 'denomination', denomination };
    }
    case 'load':
      return filled && { kind: 'load', count: filled.load };
    case 'test': {
      // One that has failed is looked at by a person before it is tried again.
      const isAgain = asks.last !== null;
      if (!filled || (isAgain && filled.test === 'run')) return undefined;
      return { kind: 'test', choice: asks.permitted ? filled.test : 'skip' };
    }
  }
}
