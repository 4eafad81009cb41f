/**
 * `bitspire-record-<number>`: the record of a visit, for the operator. Its text is encrypted as in
 * all documents, so the signature is bound to it by its hash in a tag; whoever has the record
 * proves it offline, without any key. The tag is NIP-94's for a SHA-256.
 */
import { createHash } from 'node:crypto';
import type { OutgoingDocument } from './document.ts';

/** First part of the d tag, before the record's number. */
const NAME = 'bitspire-record-';
/** Source: NIP-94, "x". */
const HASH_TAG = 'x';

/** First part of the d tag of a record; each has its own, so that none replaces another. */
export const recordName = (number: number): string => `${NAME}${number}`;

/** The record that a name is of; undefined for every other document. */
export function recordNumberOf(name: string): number | undefined {
  const digits = name.startsWith(NAME) ? name.slice(NAME.length) : '';
  return /^[1-9][0-9]{0,8}$/.test(digits) ? Number(digits) : undefined;
}

/** Ready to be published. `text` is the record's canonical JSON. */
export function recordDocument(number: number, text: string): OutgoingDocument {
  const hash = createHash('sha256').update(text).digest('hex');
  const tags = [[HASH_TAG, hash]];
  return { name: recordName(number), audience: 'operator', text, tags };
}

/** The hash that an event is bound to; undefined when it names none, or several. */
export function recordHashIn(tags: readonly (readonly string[])[]): string | undefined {
  const hashes = tags.filter(([name]) => name === HASH_TAG).map(([, hash]) => hash);
  return hashes.length === 1 ? hashes[0] : undefined;
}
