/** Changes of what the slot takes: the last one counts, and each waits for the note inside. */
import type { Clock } from '#protocol/base/clock.ts';
import type { AtmErrorCode, DeviceError } from '#protocol/base/errors.ts';

/** Longest wait for the note that is inside, until other values can be set. */
const REST_LIMIT_MS = 20_000;

/** What it needs of the driver. */
export interface SlotChangesParts {
  readonly clock: Clock;
  readonly isInService: () => boolean;
  /** Nothing is inside, and settings may be sent. */
  readonly isAtRest: () => boolean;
  /** Waits for the next news of the device, at most so long. */
  readonly nextNews: (limitMs: number) => Promise<unknown>;
  readonly error: (code: AtmErrorCode, reason: string) => DeviceError;
}

/** The changes of one driver. Each has a number, by which it can be told that it is over. */
export class SlotChanges {
  readonly #parts: SlotChangesParts;
  #last = 0;

  constructor(parts: SlotChangesParts) {
    this.#parts = parts;
  }

  /** The number of the last one. */
  get last(): number {
    return this.#last;
  }

  /** Whoever is changing it is told that this is over. */
  cancel(): void {
    this.#last++;
  }

  /**
   * Begins one, ends the one before, and waits until nothing is inside: what a device does with a
   * note when its settings change is not defined.
   * @throws DeviceError `deviceNotReady`, `timeOut`, `canceled`
   */
  async begin(): Promise<number> {
    const { clock, isInService, isAtRest, nextNews, error } = this.#parts;
    const change = ++this.#last;
    const deadlineMs = clock.monotonic() + REST_LIMIT_MS;
    for (;;) {
      if (!isInService()) throw error('deviceNotReady', 'the validator is not in service');
      if (isAtRest()) return change;
      const leftMs = deadlineMs - clock.monotonic();
      if (leftMs <= 0) throw error('timeOut', 'the validator does not become idle');
      await nextNews(leftMs);
      this.requireLast(change);
    }
  }

  /** @throws DeviceError `canceled` when another one has begun. */
  requireLast(change: number): void {
    if (change === this.#last) return;
    throw this.#parts.error('canceled', 'other values were set since');
  }
}
