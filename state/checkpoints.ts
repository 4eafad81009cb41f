/** When the write-ahead log goes into the file: between the commits, never inside one. */
import type { CancelTimer, Clock } from '#protocol/base/clock.ts';

/** Commits after which the log is brought in: nearly a thousand pages, 3.6 a commit (measured). */
export const CHECKPOINT_COMMITS = 250;
/**
 * How long after such a commit, ms. SQLite itself would do it inside the commit, with two more
 * fsyncs, and a deposit command waits for a commit; by then it has left.
 */
export const CHECKPOINT_PAUSE_MS = 100;

/** Counts the commits and brings the log in when it is time. */
export class Checkpoints {
  readonly #clock: Clock;
  readonly #bringIn: () => void;
  #commits = 0;
  #cancel: CancelTimer = () => undefined;

  constructor(clock: Clock, bringIn: () => void) {
    this.#clock = clock;
    this.#bringIn = bringIn;
  }

  /** A commit is on the disk. */
  committed(): void {
    this.#commits++;
    if (this.#commits < CHECKPOINT_COMMITS) return;
    this.#commits = 0;
    this.#cancel();
    this.#cancel = this.#clock.after(CHECKPOINT_PAUSE_MS, this.#bringIn);
  }

  /** The file is being closed, which brings in what is left. */
  close(): void {
    this.#cancel();
  }
}
