/** Branded ids. They are made before an act and written before its first byte moves. */
import { type Random, randomBelow } from './clock.ts';

declare const brand: unique symbol;
type Id<Name extends string> = string & { readonly [brand]: Name };

/** One customer transaction, cash-in or cash-out. */
export type TransactionId = Id<'transaction'>;
/** One intent: an act on money journaled before it is done. */
export type IntentId = Id<'intent'>;
/** One obligation: something the machine or the operator owes, or does not know. */
export type ObligationId = Id<'obligation'>;
/** One note from escrow on. */
export type NoteId = Id<'note'>;
/** What a person reads to the operator: eight characters that cannot be misread, as `K7Q4-9XMB`. */
export type Reference = Id<'reference'>;
/** A bay's fixed place in the dispenser, 1 is the top one. */
export type Position = number & { readonly [brand]: 'position' };

/** Crockford's base 32: no I, L, O, U, so that a reference survives a telephone call. */
const READABLE = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const POSITION_MAX = 16;

function hexId(random: Random): string {
  return Buffer.from(random.bytes(16)).toString('hex');
}

/** A new 128-bit transaction id in hex. */
export const newTransactionId = (random: Random): TransactionId => hexId(random) as TransactionId;
/** A new 128-bit intent id in hex. */
export const newIntentId = (random: Random): IntentId => hexId(random) as IntentId;
/** A new 128-bit obligation id in hex. */
export const newObligationId = (random: Random): ObligationId => hexId(random) as ObligationId;
/** A new 128-bit note id in hex. */
export const newNoteId = (random: Random): NoteId => hexId(random) as NoteId;

/** A new reference of 40 random bits. */
export function newReference(random: Random): Reference {
  const characters = Array.from({ length: 8 }, () => READABLE[randomBelow(random, 32)]).join('');
  return `${characters.slice(0, 4)}-${characters.slice(4)}` as Reference;
}

/** A bay's position. @throws RangeError outside 1 to 16. */
export function position(value: number): Position {
  if (!Number.isInteger(value) || value < 1 || value > POSITION_MAX) {
    throw new RangeError(`position must be 1 to ${POSITION_MAX}, got ${value}`);
  }
  return value as Position;
}
