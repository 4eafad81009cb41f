/** The documents there are; a new type is a file of its own and a line here. */
import { type CassettesDocument, cassettes } from './cassettes.ts';
import { dTagOf, type IncomingType } from './document.ts';
import { type FeesDocument, fees } from './fees.ts';
import { type LimitsDocument, limits } from './limits.ts';
import { type TechniciansDocument, technicians } from './technicians.ts';

/** A document from the operator. */
export type IncomingDocument =
  | CassettesDocument
  | FeesDocument
  | LimitsDocument
  | TechniciansDocument;
/** Its type, which is also the key under which it is kept. */
export type IncomingTypeName = IncomingDocument['type'];

/** What the operator may send. */
export const incomingTypes: {
  readonly [name in IncomingTypeName]: IncomingType<IncomingDocument>;
} = { cassettes, fees, limits, technicians };

/** Names of the types, in the order in which they are asked for. */
export const incomingTypeNames: readonly IncomingTypeName[] = [
  'cassettes',
  'fees',
  'limits',
  'technicians',
];

/** The type that a d tag addressed to us names; undefined when it is none of ours. */
export function incomingTypeOf(
  dTag: string | undefined,
  spirePubkey: string,
): IncomingTypeName | undefined {
  return incomingTypeNames.find((type) => dTag === dTagOf(incomingTypes[type].name, spirePubkey));
}
