/** `bitspire-cassettes-state`: what is in the bays by our books. Source: bitspire-wire.md 3.2. */
import { type BillsOfBay, byPosition } from '../rpc/dialect.ts';
import type { OutgoingDocument } from './document.ts';

/** First part of the d tag. */
export const CASSETTES_STATE_NAME = 'bitspire-cassettes-state';

/** For the operator, in the shape of `bitspire-cassettes`; due after every change of counts. */
export function cassettesStateDocument(bays: readonly BillsOfBay[]): OutgoingDocument {
  const text = JSON.stringify({ positions: byPosition(bays) });
  return { name: CASSETTES_STATE_NAME, audience: 'operator', text };
}
