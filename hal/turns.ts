/** Exchanges with a device, one after the other. */
import assert from 'node:assert/strict';

/** Exchanges that may wait their turn: the poll and a few of the driver's; more is a bug. */
export const WAITING_MAX = 8;

/** One line's turns. */
export class Turns {
  #waiting = 0;
  #last: Promise<unknown> = Promise.resolve();

  /** Nobody has the line, and nobody waits for it. */
  get areFree(): boolean {
    return this.#waiting === 0;
  }

  /** Does it after all those before. One that fails would be a bug, and does not stop the next. */
  take<Reply>(task: () => Promise<Reply>): Promise<Reply> {
    assert(this.#waiting < WAITING_MAX, 'too many exchanges wait for the line');
    this.#waiting++;
    const turn = this.#last.then(task).finally(() => {
      this.#waiting--;
    });
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}
