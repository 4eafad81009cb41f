/** `bitspire-obligations`: what is owed or not known, so that the operator sees it from afar. */
import type { Reference } from '#protocol/base/ids.ts';
import type { MinorUnits, Sats } from '#protocol/base/money.ts';
import type { OutgoingDocument } from './document.ts';

/** First part of the d tag. */
export const OBLIGATIONS_NAME = 'bitspire-obligations';

/** One open obligation. Amounts as far as they are known. */
export interface ObligationStatement {
  readonly reference: Reference;
  /** Its class, as `surplusLink`. */
  readonly class: string;
  readonly amountSats: Sats | null;
  readonly amountMinor: MinorUnits | null;
  /** When it was opened, Unix ms: its age, whenever the document is read. */
  readonly openedAtUnixMs: number;
}

/** Obligations listed, about 140 characters each, so that the whole stays below 24 KiB. */
const LISTED_MAX = 100;

/** For the operator: the oldest first, and how many there are in all. */
export function obligationsDocument(
  currency: string,
  open: readonly ObligationStatement[],
): OutgoingDocument {
  const oldestFirst = open.toSorted((a, b) => a.openedAtUnixMs - b.openedAtUnixMs);
  const obligations = oldestFirst.slice(0, LISTED_MAX).map((obligation) => ({
    reference: obligation.reference,
    class: obligation.class,
    amount_sats: obligation.amountSats,
    amount_minor: obligation.amountMinor,
    opened_at: Math.floor(obligation.openedAtUnixMs / 1000),
  }));
  const text = JSON.stringify({ schema_version: 1, currency, total: open.length, obligations });
  return { name: OBLIGATIONS_NAME, audience: 'operator', text };
}
