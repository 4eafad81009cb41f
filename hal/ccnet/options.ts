/** What is configured of a CCNET validator, and what it is when it is not. */
import type { CcnetModelName } from './models.ts';

/** What is configured. Times in milliseconds, each with a default. */
export interface CcnetOptions {
  /** The family that must be there; any when left out. */
  readonly model?: CcnetModelName;
  /** ISO 4217; no other currency is ever enabled. */
  readonly currency: string;
  readonly pollMs?: number;
  readonly replyTimeoutMs?: number;
  readonly depositTimeoutMs?: number;
  readonly returnTimeoutMs?: number;
}

/** What is not configured. */
export const CCNET_DEFAULTS = {
  /** Source: cash-hardware.md 3.5: 100 to 200 ms. */
  pollMs: 100,
  /** The device answers within 10 ms; the bill table takes 131 ms on the line, and a poll 6. */
  replyTimeoutMs: 300,
  /** A note is stacked within seconds; the device's own escrow time-out (10 s) may come first. */
  depositTimeoutMs: 15_000,
  /** The device says RETURNING until a hand has taken the note. */
  returnTimeoutMs: 60_000,
} as const satisfies Omit<CcnetOptions, 'model' | 'currency'>;
