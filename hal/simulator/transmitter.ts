/** The sending side of a simulated device that answers after a while. */
import type { CancelTimer, Clock } from '#protocol/base/clock.ts';

/** Sends in order: what is said later never overtakes what was said before. */
export class Transmitter {
  readonly #clock: Clock;
  readonly #timers = new Set<CancelTimer>();
  #send: (bytes: Uint8Array) => void = () => undefined;
  #answerDueMs = 0;
  /** When the last answer has left. */
  #freeMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Where bytes go from now on. */
  connect(send: (bytes: Uint8Array) => void): void {
    this.#send = send;
  }

  /** Whether an answer is on its way, for which the host has to wait. */
  get isAnswering(): boolean {
    return this.#clock.monotonic() < this.#answerDueMs;
  }

  /** An answer will leave within so much time, or gets lost: the host has to wait for it. */
  expect(answerMs: number): void {
    this.#answerDueMs = this.#clock.monotonic() + answerMs;
  }

  /** Sends chunks one after the other in `delayMs`, or when what was said before has left. */
  transmit(chunks: readonly Uint8Array[], delayMs: number): void {
    const nowMs = this.#clock.monotonic();
    this.#freeMs = Math.max(this.#freeMs, nowMs + delayMs);
    this.after(this.#freeMs - nowMs, () => {
      this.#answerDueMs = 0;
      for (const chunk of chunks) this.#send(chunk);
    });
  }

  /** Sends at once, past everything that waits. */
  say(bytes: Uint8Array): void {
    this.#send(bytes);
  }

  /** Does something later, unless the device loses its power before. */
  after(delayMs: number, task: () => void): void {
    const cancel = this.#clock.after(delayMs, () => {
      this.#timers.delete(cancel);
      task();
    });
    this.#timers.add(cancel);
  }

  /** Whatever waits is lost, as by a loss of power. */
  forget(): void {
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
    this.#answerDueMs = 0;
    this.#freeMs = 0;
  }
}
