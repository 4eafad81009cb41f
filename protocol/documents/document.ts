/** What all kind-30078 documents (NIP-78) have in common. */
import { z } from 'zod';
import type { SignedEvent } from '../event.ts';
import { parseBoundedJson } from '../rpc/bounded-json.ts';

/** The d tag of a document of ours or for us. Source: bitspire-wire.md 3. */
export const dTagOf = (name: string, spirePubkey: string): string => `${name}:${spirePubkey}`;

/** Longest plaintext read, characters; what we read is below 2,000. */
export const TEXT_CHARACTERS_MAX = 24_576;

/** What a text says as a document, or why it is none. The reason is shown to the operator. */
export type Parsed<Document> =
  | { readonly kind: 'document'; readonly document: Document }
  | { readonly kind: 'refused'; readonly reason: string };

/** A type of document that the operator sends us. */
export interface IncomingType<Document> {
  /** First part of the d tag. */
  readonly name: string;
  /** Reads parsed JSON. Unknown fields are ignored, an unknown `schema_version` is refused. */
  readonly read: (value: unknown) => Parsed<Document>;
}

/** A document of ours, ready to be published. `name` is the first part of its d tag. */
export interface OutgoingDocument {
  readonly name: string;
  /** `operator`: encrypted to the operator (NIP-44). `public`: plain, for everyone. */
  readonly audience: 'operator' | 'public';
  /** 30078 unless given. */
  readonly kind?: number;
  readonly text: string;
  /** Tags beside those of every document; public, also where the text is not. */
  readonly tags?: readonly (readonly string[])[];
}

/** Order among documents of one author and d tag. */
export interface DocumentVersion {
  /** Unix seconds, as the author says. */
  readonly createdAt: number;
  readonly eventId: string;
}

/** The order of an event among those of its author and d tag. */
export const versionOf = (event: SignedEvent): DocumentVersion => ({
  createdAt: event.created_at,
  eventId: event.id,
});

/** True when `a` replaces `b`: newer, or the lower id in the same second. Source: NIP-01. */
export function supersedes(a: DocumentVersion, b: DocumentVersion | undefined): boolean {
  if (!b) return true;
  if (a.createdAt !== b.createdAt) return a.createdAt > b.createdAt;
  return a.eventId < b.eventId;
}

/** The only `schema_version` known; anything else may mean something we would misread. */
export const schemaVersion = z.literal(1, {
  error: ({ input }) =>
    input === undefined ? 'is missing' : `${JSON.stringify(input)} is not known, only 1 is`,
});

/** Reads a decrypted text as a document of a type. Never throws. */
export function readText<Document>(
  type: IncomingType<Document>,
  plaintext: string,
): Parsed<Document> {
  const parsed = parseBoundedJson(plaintext, TEXT_CHARACTERS_MAX);
  return parsed.kind === 'value' ? type.read(parsed.value) : parsed;
}

/** Issues named in a reason; more do not help whoever reads it. */
const ISSUES_MAX = 3;

/** Holds a value against a schema, and makes words of what is wrong. */
export function readBy<Document>(schema: z.ZodType<Document>, value: unknown): Parsed<Document> {
  const result = schema.safeParse(value);
  if (result.success) return { kind: 'document', document: result.data };
  const issues = result.error.issues.slice(0, ISSUES_MAX);
  const words = issues.map(({ path, message }) => `${path.join('.')} ${message}`.trim());
  return { kind: 'refused', reason: words.join('; ') };
}
