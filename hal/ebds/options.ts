/** What is configured of an EBDS validator, and what it is when it is not. */
import type { EbdsModelName } from './models.ts';

/** What is configured. Times in milliseconds, each with a default. */
export interface EbdsOptions {
  /** The family that must be there; any that is known when left out. */
  readonly model?: EbdsModelName;
  /** ISO 4217; no other currency is ever enabled. */
  readonly currency: string;
  readonly pollMs?: number;
  readonly replyTimeoutMs?: number;
  readonly depositTimeoutMs?: number;
  readonly returnTimeoutMs?: number;
}

/** What is not configured. */
export const EBDS_DEFAULTS = {
  /** Source: cash-hardware.md 4.6: 100 to 200 ms. */
  pollMs: 100,
  /** The longest answer, an audit of 77 bytes, takes 80 ms on the line; that of a poll takes 11. */
  replyTimeoutMs: 250,
  /** A note is stacked within seconds. */
  depositTimeoutMs: 15_000,
  /** The device may say "returning" until a hand has taken the note. */
  returnTimeoutMs: 60_000,
} as const satisfies Omit<EbdsOptions, 'model' | 'currency'>;
