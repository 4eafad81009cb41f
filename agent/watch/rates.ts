/**
 * The price of a bitcoin in the machine's currency, and whether it may be traded at (design
 * 6.1).
 */
import type { Clock } from '#protocol/base/clock.ts';
import type { Log } from '#protocol/base/log.ts';
import { type MinorPerBtc, minorPerBtc } from '#protocol/base/money.ts';
import type { Config } from '../config.ts';
import { type FetchJson, makeFetchJson } from '../fetch-json.ts';
import { formatMoney } from '../format.ts';
import type { Rate, Rates } from '../parts.ts';
import { askLnbits, askPublic, type PriceReading } from './rate-sources.ts';
import type { ReasonBoard } from './reasons.ts';

/** What `openRates` needs. */
export interface RatesOptions {
  readonly rate: Config['rate'];
  /** ISO 4217 code. */
  readonly currency: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly board: ReasonBoard;
  /** How servers are asked; over HTTPS when left out. */
  readonly fetchJson?: FetchJson;
}

/** A move above this opens no session until it has held (design 6.1), per cent. */
const JUMP_PERCENT = 10;
/** How long a jump must hold, ms: a wrong source or a thin market is mended or over by then. */
const JUMP_HOLD_MS = 600_000;

/** Opens the configured source. Nothing is asked before the first `fresh`. */
export function openRates(options: RatesOptions): Rates {
  const { rate, clock } = options;
  if (rate.kind === 'fixed') {
    const latest = (): Rate => ({
      minorPerBtc: minorPerBtc(rate.minorPerBtc),
      source: 'fixed by configuration',
      atMonotonicMs: clock.monotonic(),
    });
    return { latest, fresh: async () => latest() };
  }
  const ask = options.fetchJson ?? makeFetchJson();
  const { currency } = options;
  return new AskedRates(
    options,
    rate.kind === 'lnbits'
      ? () => askLnbits(rate.url, currency, ask)
      : () => askPublic(currency, ask),
  );
}

/** A price that moved too far, and since when it has been seen there. */
interface Jump {
  readonly minorPerBtc: MinorPerBtc;
  readonly sinceMonotonicMs: number;
}

/**
 * Rates from a source that has to be asked. A price more than 10 % off the last good one is not
 * taken: `noRate` stands on the board while it lasts. It is taken when it has been seen for ten
 * minutes, each time within 10 % of where it jumped to; a price back near the old one is taken at
 * once. The first price after a start has nothing to be compared with.
 */
class AskedRates implements Rates {
  readonly #options: RatesOptions;
  readonly #read: () => Promise<PriceReading>;
  #latest: Rate | undefined;
  #jump: Jump | undefined;
  /** False after an asking that gave no rate: then the last one is no answer, however young. */
  #isGood: boolean = false;
  #asking: Promise<Rate | undefined> | undefined;

  constructor(options: RatesOptions, read: () => Promise<PriceReading>) {
    this.#options = options;
    this.#read = read;
  }

  latest(): Rate | undefined {
    return this.#latest;
  }

  async fresh(maxAgeMs: number): Promise<Rate | undefined> {
    const latest = this.#latest;
    const { clock } = this.#options;
    if (latest && this.#isGood && clock.monotonic() - latest.atMonotonicMs <= maxAgeMs) {
      return latest;
    }
    // One request at a time: whoever asks meanwhile takes its answer.
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #ask(): Promise<Rate | undefined> {
    const { clock, board, log } = this.#options;
    // The age counts from before the question, so that it is never told too young.
    const atMonotonicMs = clock.monotonic();
    const reading = await this.#read();
    const why = reading.kind === 'none' ? reading.why : this.#whyNot(reading.minorPerBtc);
    this.#isGood = why === undefined;
    if (reading.kind === 'none' || why !== undefined) {
      log.warn({ reason: why }, 'no rate');
      board.setBoth('noRate', `There is no reliable bitcoin price: ${why}.`);
      return undefined;
    }
    this.#jump = undefined;
    this.#latest = { minorPerBtc: reading.minorPerBtc, source: reading.source, atMonotonicMs };
    board.setBoth('noRate', undefined);
    return this.#latest;
  }

  /** Why a price may not be traded at yet; undefined when it may. */
  #whyNot(price: MinorPerBtc): string | undefined {
    const { clock, currency } = this.#options;
    const last = this.#latest?.minorPerBtc;
    if (last === undefined || isNear(price, last)) return undefined;
    if (!this.#jump || !isNear(price, this.#jump.minorPerBtc)) {
      this.#jump = { minorPerBtc: price, sinceMonotonicMs: clock.monotonic() };
    }
    if (clock.monotonic() - this.#jump.sinceMonotonicMs >= JUMP_HOLD_MS) return undefined;
    const [from, to] = [last, price].map((minor) => formatMoney(minor, currency));
    return `it jumped from ${from} to ${to} and must hold for ${JUMP_HOLD_MS / 60_000} minutes`;
  }
}

/** True within 10 % of what it is compared with. */
function isNear(price: MinorPerBtc, other: MinorPerBtc): boolean {
  return Math.abs(price - other) * 100 <= other * JUMP_PERCENT;
}
