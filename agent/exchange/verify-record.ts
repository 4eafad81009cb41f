/**
 * Proves records offline: each body against the hash that was signed, each signature against the
 * machine's key, each record against the one before. Needs no machine, no network and no secret.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { messageOf } from '#protocol/base/errors.ts';
import { recordHashIn } from '#protocol/documents/visit-record.ts';
import { kinds } from '#protocol/event.ts';
import { verifySignature } from '#protocol/relay/verify.ts';
import { canonicalJson, type JsonObject } from '#state/json.ts';
import { commandVoice, type SayCommand } from '../texts/command.ts';

const hex = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`));

const eventSchema = z.object({
  id: hex(32),
  pubkey: hex(32),
  created_at: z.int(),
  kind: z.literal(kinds.document),
  tags: z.array(z.array(z.string())),
  content: z.string(),
  sig: hex(64),
});

const linkSchema = z.object({
  number: z.int().positive(),
  previousHash: hex(32),
  spire: hex(32),
});

const recordSchema = z.object({
  hash: hex(32),
  body: z.record(z.string(), z.json()).refine((body) => linkSchema.safeParse(body).success, {
    error: 'has no number, no previousHash or no spire',
  }),
  event: eventSchema.nullable(),
});
type Record = z.output<typeof recordSchema>;

/** What a proof found. */
export type RecordVerdict =
  | {
      readonly outcome: 'ok';
      readonly records: number;
      /** The machine's key, hex. */
      readonly pubkey: string;
      /** Numbers of the first and the last one. */
      readonly from: number;
      readonly to: number;
    }
  | {
      readonly outcome: 'bad';
      /** The record that fails; null when no record can be told. */
      readonly number: number | null;
      readonly code: RecordFault;
      readonly reason: string;
    };

/** What is wrong with a record. */
export type RecordFault =
  | 'malformed'
  | 'wrongHash'
  | 'unsigned'
  | 'badSignature'
  | 'tampered'
  | 'wrongKey'
  | 'outOfOrder';

/** Longest text that is read: ten thousand records of the longest kind. */
export const RECORDS_CHARACTERS_MAX = 256 * 1024 * 1024;

const bad = (number: number | null, code: RecordFault, reason: string): RecordVerdict => {
  return { outcome: 'bad', number, code, reason };
};

/** How records are proven, and told about. */
export interface VerifyOptions {
  /** The machine that must have signed; without it all must be of one machine. */
  readonly pubkey?: string | undefined;
  /** In whose language it is said why not; English unless given. */
  readonly say?: SayCommand;
}

/** Proves one record, a list of them, or one a line, as the API gives them. */
export function verifyRecords(
  text: string,
  { pubkey, say = commandVoice('en') }: VerifyOptions = {},
): RecordVerdict {
  let values: readonly unknown[];
  try {
    values = readAll(text);
  } catch (error) {
    return bad(null, 'malformed', say('verify.noJson', { why: messageOf(error) }));
  }
  if (values.length === 0) return bad(null, 'malformed', say('verify.none'));
  const records: Record[] = [];
  for (const value of values) {
    const parsed = recordSchema.safeParse(value);
    if (!parsed.success) {
      const values = { number: records.length + 1, why: z.prettifyError(parsed.error) };
      return bad(null, 'malformed', say('verify.malformed', values));
    }
    records.push(parsed.data);
  }
  const machine = pubkey ?? linkSchema.parse(records[0]?.body).spire;
  let before: Record | undefined;
  for (const record of records) {
    const fault = faultOf(record, machine, say) ?? orderFault(record, before, say);
    if (fault) return fault;
    before = record;
  }
  const numberOf = (record: Record | undefined) => linkSchema.parse(record?.body).number;
  const [from, to] = [numberOf(records[0]), numberOf(before)];
  return { outcome: 'ok', records: records.length, pubkey: machine, from, to };
}

function readAll(text: string): readonly unknown[] {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value : [value];
  } catch (error) {
    const lines = text.split('\n').filter((line) => line.trim() !== '');
    if (lines.length < 2) throw error;
    return lines.map((line): unknown => JSON.parse(line));
  }
}

function faultOf(
  { hash, body, event }: Record,
  machine: string,
  say: SayCommand,
): RecordVerdict | undefined {
  const { number, spire } = linkSchema.parse(body);
  if (!event) return bad(number, 'unsigned', say('verify.unsigned', { number }));
  if (!verifySignature(event)) {
    return bad(number, 'badSignature', say('verify.badSignature', { number }));
  }
  if (event.pubkey !== machine || spire !== machine) {
    const values = { number, signer: event.pubkey, pubkey: machine };
    return bad(number, 'wrongKey', say('verify.wrongKey', values));
  }
  const plain: JsonObject = body;
  const actual = createHash('sha256').update(canonicalJson(plain)).digest('hex');
  if (recordHashIn(event.tags) !== actual) {
    return bad(number, 'tampered', say('verify.tampered', { number }));
  }
  if (hash !== actual) {
    return bad(number, 'wrongHash', say('verify.wrongHash', { number }));
  }
  return undefined;
}

function orderFault(
  record: Record,
  before: Record | undefined,
  say: SayCommand,
): RecordVerdict | undefined {
  const { number, previousHash } = linkSchema.parse(record.body);
  if (!before) {
    const isGenesis = /^0+$/.test(previousHash);
    if ((number === 1) === isGenesis) return undefined;
    return bad(number, 'outOfOrder', say('verify.wrongLink', { number }));
  }
  const last = linkSchema.parse(before.body).number;
  if (number !== last + 1) {
    return bad(number, 'outOfOrder', say('verify.wrongPlace', { number, next: last + 1 }));
  }
  if (previousHash === before.hash) return undefined;
  return bad(number, 'outOfOrder', say('verify.notFollowing', { number, last }));
}
