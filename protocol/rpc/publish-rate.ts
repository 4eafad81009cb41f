/** The bound on published calls: at most 10 in any minute, two of which are kept for money. */
import type { CancelTimer, Clock } from '#protocol/base/clock.ts';

/** Source: design 9; the server's plan is 30 a minute (bitspire-wire.md 2.4). */
export const CALLS_PER_MINUTE = 10;
/** Of those, what reads may take, so that a withdraw never waits behind polling. */
export const READS_PER_MINUTE = 8;
/** Calls of each kind that may wait; a minute lets 10 go, so more would wait for nothing. */
export const WAITING_MAX = 16;
const MINUTE_MS = 60_000;

/** Money goes before reads. */
export type CallPriority = 'money' | 'read';

/** `refused`: too many wait, or it was given up. */
export type Admission = 'granted' | 'refused';

interface Waiting {
  readonly settle: (admission: Admission) => void;
}

/** Lets calls go one by one. */
export class PublishRate {
  readonly #clock: Clock;
  readonly #waiting: Record<CallPriority, Waiting[]> = { money: [], read: [] };
  #sent: { readonly atMs: number; readonly priority: CallPriority }[] = [];
  #cancelTimer: CancelTimer = () => undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves when a call may be published; the signal gives it up. Never rejects. */
  take(priority: CallPriority, signal: AbortSignal): Promise<Admission> {
    const queue = this.#waiting[priority];
    if (signal.aborted || queue.length >= WAITING_MAX) return Promise.resolve('refused');
    return new Promise((resolve) => {
      const giveUp = () => {
        queue.splice(queue.indexOf(waiting), 1);
        resolve('refused');
        this.#admit();
      };
      const waiting: Waiting = {
        settle: (admission) => {
          signal.removeEventListener('abort', giveUp);
          resolve(admission);
        },
      };
      signal.addEventListener('abort', giveUp, { once: true });
      queue.push(waiting);
      this.#admit();
    });
  }

  /** Gives up all that wait. */
  close(): void {
    this.#cancelTimer();
    for (const queue of Object.values(this.#waiting)) {
      for (const waiting of queue.splice(0)) waiting.settle('refused');
    }
  }

  #admit(): void {
    this.#cancelTimer();
    const nowMs = this.#clock.monotonic();
    this.#sent = this.#sent.filter(({ atMs }) => nowMs - atMs < MINUTE_MS);
    for (const priority of ['money', 'read'] as const) {
      const queue = this.#waiting[priority];
      while (queue.length > 0) {
        const freeAtMs = this.#freeAtMs(priority);
        if (freeAtMs !== undefined) {
          this.#cancelTimer = this.#clock.after(freeAtMs - nowMs, () => this.#admit());
          // Reads wait wherever money does.
          return;
        }
        this.#sent.push({ atMs: nowMs, priority });
        queue.shift()?.settle('granted');
      }
    }
  }

  /** When the next call of this kind may go; undefined: now. */
  #freeAtMs(priority: CallPriority): number | undefined {
    const reads = this.#sent.filter((sent) => sent.priority === 'read');
    const readsAreFull = priority === 'read' && reads.length >= READS_PER_MINUTE;
    const full = readsAreFull ? reads : this.#sent;
    const oldest = full[0];
    if (!oldest || (!readsAreFull && full.length < CALLS_PER_MINUTE)) return undefined;
    return oldest.atMs + MINUTE_MS;
  }
}
