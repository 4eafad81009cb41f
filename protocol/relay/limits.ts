/** The bounds of a relay link, in one place: what waits, queues and sizes may come to. */

/** Defaults; each may be set otherwise through a link's `limits`. */
export const defaultLimits = {
  /** Longest wait for TCP, TLS and upgrade together, ms. One across the world needs 1 to 2 s. */
  connectMs: 10_000,
  /** Period of our own ping, ms; the pong must be there before the next one (nostr.md 6). */
  pingMs: 20_000,
  /** First and longest reconnect wait, ms. Instant retries got whole address ranges banned. */
  backOffFirstMs: 1_000,
  backOffMaxMs: 300_000,
  /** Time a connection or a REQ must hold before its back-off starts anew, ms. */
  stableMs: 60_000,
  /** Reconnect wait after `rate-limited:` or HTTP 429 without Retry-After, ms. */
  rateLimitedMs: 60_000,
  /** Reconnect wait after `blocked:` or too many offences, ms. */
  blockedMs: 300_000,
  /** Longest pause a relay may ask for with Retry-After, ms; an hour, as we need it back. */
  retryAfterMaxMs: 3_600_000,
  /** A link lost within this time after such words was dropped because of them, ms. */
  blameMs: 10_000,
  /** First and longest pause in publishing after `rate-limited:`, ms. */
  coolDownFirstMs: 2_000,
  coolDownMaxMs: 30_000,
  /** Longest wait for EOSE before events are published all the same, ms. Half of `publishMs`. */
  storedMs: 5_000,
  /** Longest wait for a publish as a whole, ms, when the caller names none. */
  publishMs: 10_000,
  /** Longest wait for the signature of an AUTH, ms: a bunker's 15 s, twice, and a margin. */
  authSignMs: 35_000,
  /** Longest wait for the challenge, and for the OK to an AUTH, ms. */
  authAnswerMs: 10_000,
  /** Subscriptions on one link. strfry grants 200, older relays 20. */
  subscriptionsMax: 64,
  /** Events that may wait for their OK on one link. */
  publishesMax: 128,
  /** Ids remembered per subscription, about 120 bytes each. */
  idsMax: 2_048,
  /** Longest frame that is parsed, characters: strfry's 128 KiB. Longer ones are let go. */
  frameCharsMax: 131_072,
  /** Longest frame that is received at all, bytes. Above it the socket ends. */
  frameBytesMax: 1_048_576,
  /** Most bytes that may wait to be sent: every event that may wait, each as long as a frame. */
  unsentBytesMax: 16_777_216,
  /** Forged events and garbage frames of one connection, each of which costs us time. */
  offencesMax: 50,
  /** Lines about what a relay says on one connection; the rest is logged as `debug`. */
  reportsMax: 20,
} as const;

/** The bounds of one link. */
export type LinkLimits = { readonly [name in keyof typeof defaultLimits]: number };
