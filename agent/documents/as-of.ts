/** The moment that a document is about, held against what is written down here (design 10). */

/** When a document was written, and what is known of the time; Unix ms. */
export interface AsOf {
  /** The event's `created_at`. */
  readonly asOfUnixMs: number;
  readonly nowUnixMs: number;
  /** When it became known what the time is; undefined while nobody knows. */
  readonly timeKnownSinceUnixMs: number | undefined;
}

/** What lies further ahead was written by a clock that was wrong, ms: the noise is far below it. */
const AHEAD_MS = 60_000;

/**
 * Whether something was written down after the document. What lies ahead was written before the
 * time was known, so that it is as old as that at least.
 */
export function isWrittenAfter(
  { asOfUnixMs, nowUnixMs, timeKnownSinceUnixMs }: AsOf,
  writtenUnixMs: number,
): boolean {
  const isAhead = writtenUnixMs > nowUnixMs + AHEAD_MS;
  return (isAhead ? (timeKnownSinceUnixMs ?? writtenUnixMs) : writtenUnixMs) > asOfUnixMs;
}
