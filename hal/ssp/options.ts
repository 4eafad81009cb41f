/** What is configured of an SSP validator, and what it is when it is not. */
import { DEFAULT_FIXED_KEY } from './encryption.ts';
import type { SspModelName } from './models.ts';

/** What is configured. Times in milliseconds, each with a default. */
export interface SspOptions {
  readonly model: SspModelName;
  /** ISO 4217; no other currency is ever enabled. */
  readonly currency: string;
  /** The half of the key that devices are delivered with, unless theirs was changed. */
  readonly fixedKey?: bigint;
  readonly pollMs?: number;
  readonly replyTimeoutMs?: number;
  readonly depositTimeoutMs?: number;
  readonly returnTimeoutMs?: number;
}

/** What is not configured. */
export const SSP_DEFAULTS = {
  fixedKey: DEFAULT_FIXED_KEY,
  /** Source: GA973, 200 to 1000 ms. */
  pollMs: 200,
  /** The host may wait 1 s (GA138); devices answer at once, and repeating is harmless. */
  replyTimeoutMs: 500,
  /** A note is stacked within seconds. */
  depositTimeoutMs: 15_000,
  returnTimeoutMs: 30_000,
} as const satisfies Omit<SspOptions, 'model' | 'currency'>;
