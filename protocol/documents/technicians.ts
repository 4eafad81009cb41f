/** `bitspire-technicians`: our own, optional; who may come to the machine, said from afar. */
import { z } from 'zod';
import { type IncomingType, readBy, schemaVersion } from './document.ts';

/** An invite that the operator made: the machine is told its hash, the technician the invite. */
export interface InviteStatement {
  /** SHA-256 of the invite's 32 bytes, hex. */
  readonly hash: string;
  readonly name: string;
  /** Words that a machine does not know permit nothing there. */
  readonly permissions: readonly string[];
  /** When the technician's access ends, Unix seconds; null for never. */
  readonly expiresAtSec: number | null;
}

/**
 * Applying means, in this order and at once: those of `revoked` and `deleted` are shut out and
 * their open invites end, those of `confirmed` are let in again after a restore, and invites that
 * are new are good for 7 days from the event's `created_at`. By id or name; only what was there
 * when it was written. Saying the same again changes nothing.
 */
export interface TechniciansDocument {
  readonly type: 'technicians';
  readonly revoked: readonly string[];
  readonly deleted: readonly string[];
  readonly confirmed: readonly string[];
  readonly invites: readonly InviteStatement[];
}

/** Bounds that only a mistake passes: a machine has a handful of technicians. */
const NAMES_MAX = 100;
const INVITES_MAX = 50;

const names = z.array(z.string().trim().min(1).max(80)).max(NAMES_MAX).default([]);

const invite = z
  .object({
    hash: z.string().regex(/^[0-9a-f]{64}$/, 'is no SHA-256 in hex'),
    name: z.string().regex(/^[\p{L}\p{N}][\p{L}\p{N} .'_-]{0,39}$/u, 'is no name'),
    permissions: z.array(z.string().max(40)).min(1).max(20),
    expires_at: z.int().nonnegative().nullable().default(null),
  })
  .transform(
    ({ expires_at: expiresAtSec, ...rest }): InviteStatement => ({ ...rest, expiresAtSec }),
  );

const schema = z
  .object({
    schema_version: schemaVersion,
    revoked: names,
    deleted: names,
    confirmed: names,
    invites: z.array(invite).max(INVITES_MAX).default([]),
  })
  .transform(({ revoked, deleted, confirmed, invites }): TechniciansDocument => {
    return { type: 'technicians', revoked, deleted, confirmed, invites };
  });

/** See `TechniciansDocument`. */
export const technicians: IncomingType<TechniciansDocument> = {
  name: 'bitspire-technicians',
  read: (value) => readBy(schema, value),
};
