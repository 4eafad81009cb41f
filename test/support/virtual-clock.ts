import type { CancelTimer, Clock } from '#protocol/base/clock.ts';

interface Timer {
  readonly dueMs: number;
  readonly order: number;
  readonly task: () => void;
}

/** Lets everything that is ready run: promises, and what they start. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Most timers that one `advance` may fire; reaching it means that something spins. */
const STEPS_MAX = 5_000_000;

/** A clock that moves only when a test moves it, one timer at a time. */
export class VirtualClock implements Clock {
  #monotonicMs = 0;
  #wallOffsetMs: number;
  #order = 0;
  #timers: Timer[] = [];

  constructor(startUnixMs = Date.UTC(2026, 10, 21, 12, 0, 0)) {
    this.#wallOffsetMs = startUnixMs;
  }

  now(): number {
    return this.#wallOffsetMs + Math.floor(this.#monotonicMs);
  }

  monotonic(): number {
    return this.#monotonicMs;
  }

  after(delayMs: number, task: () => void): CancelTimer {
    const timer = { dueMs: this.#monotonicMs + Math.max(0, delayMs), order: this.#order++, task };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Timers that wait; a leak shows here. */
  get pending(): number {
    return this.#timers.length;
  }

  /** Makes the wall clock jump; monotonic time does not. */
  jumpWall(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  /** Moves time on, firing every timer that falls due in order. */
  async advance(byMs: number): Promise<void> {
    const endMs = this.#monotonicMs + byMs;
    await settle();
    for (let steps = 0; this.#step(endMs); steps++) {
      if (steps >= STEPS_MAX) throw new Error('the virtual clock never comes to rest');
      await settle();
    }
    this.#monotonicMs = endMs;
  }

  /** Moves time on until `done`, at most `limitMs`. @throws Error when it never is. */
  async until(done: () => boolean, limitMs = 600_000): Promise<void> {
    const endMs = this.#monotonicMs + limitMs;
    await settle();
    while (!done()) {
      if (!this.#step(endMs)) throw new Error(`not reached within ${limitMs} virtual ms`);
      await settle();
    }
  }

  /** Moves time on until a promise settles, at most `limitMs`. */
  async resolve<T>(promise: Promise<T>, limitMs = 600_000): Promise<T> {
    let settled = false;
    const mark = () => {
      settled = true;
    };
    promise.then(mark, mark);
    await this.until(() => settled, limitMs);
    return promise;
  }

  #step(endMs: number): boolean {
    let next: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.dueMs > endMs) continue;
      if (!next || timer.dueMs < next.dueMs) next = timer;
      else if (timer.dueMs === next.dueMs && timer.order < next.order) next = timer;
    }
    if (!next) return false;
    this.#timers = this.#timers.filter((other) => other !== next);
    this.#monotonicMs = Math.max(this.#monotonicMs, next.dueMs);
    next.task();
    return true;
  }
}
