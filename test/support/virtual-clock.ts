import type { CancelTimer, Clock } from '#protocol/base/clock.ts';

interface Timer {
  readonly dueMs: number;
  readonly order: number;
  readonly task: () => void;
  isCancelled: boolean;
}

/** Steps that are queued for one turn of the event loop: between turns the system is asked. */
const STEPS_PER_TURN = 8;

/**
 * Takes steps until one is false. Between two of them all runs that is ready: promises, and what
 * they start.
 */
function takeSteps(step: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    let isOver = false;
    const take = () => {
      if (isOver) return;
      try {
        if (step()) return;
        isOver = true;
        resolve();
      } catch (error) {
        isOver = true;
        reject(error);
      }
    };
    const turn = () => {
      for (let steps = 0; steps < STEPS_PER_TURN; steps++) setImmediate(take);
      setImmediate(() => {
        if (!isOver) turn();
      });
    };
    turn();
  });
}

/** Most timers that one `advance` may fire; reaching it means that something spins. */
const STEPS_MAX = 5_000_000;

/** Timers in the order in which they fall due: a binary heap. */
class TimerHeap {
  readonly #timers: Timer[] = [];

  first(): Timer | undefined {
    return this.#timers[0];
  }

  add(timer: Timer): void {
    const timers = this.#timers;
    let at = timers.length;
    timers.push(timer);
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = timers[above];
      if (!parent || !isBefore(timer, parent)) break;
      timers[at] = parent;
      at = above;
    }
    timers[at] = timer;
  }

  removeFirst(): void {
    const timers = this.#timers;
    const last = timers.pop();
    if (!last || timers.length === 0) return;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      let child = timers[below];
      const other = timers[below + 1];
      if (child && other && isBefore(other, child)) {
        below += 1;
        child = other;
      }
      if (!child || !isBefore(child, last)) break;
      timers[at] = child;
      at = below;
    }
    timers[at] = last;
  }
}

function isBefore(one: Timer, other: Timer): boolean {
  return one.dueMs < other.dueMs || (one.dueMs === other.dueMs && one.order < other.order);
}

/** Whoever moves the clock: up to a time, or until something is so. */
interface Mover {
  readonly endMs: number;
  readonly done: () => boolean;
  readonly resolve: (isDone: boolean) => void;
  readonly reject: (error: unknown) => void;
}

/** A clock that moves only when a test moves it, one timer at a time. */
export class VirtualClock implements Clock {
  #monotonicMs = 0;
  #wallOffsetMs: number;
  #order = 0;
  #pending = 0;
  #fired = 0;
  readonly #timers = new TimerHeap();
  #movers: Mover[] = [];
  readonly #takeSteps: (step: () => boolean) => Promise<void>;

  /** `settled` is awaited between timers: where real bytes are under way, until they have come. */
  constructor(startUnixMs = Date.UTC(2026, 10, 21, 12, 0, 0), settled?: () => Promise<void>) {
    this.#wallOffsetMs = startUnixMs;
    const whenSettled = async (step: () => boolean) => {
      do await settled?.();
      while (step());
    };
    this.#takeSteps = settled ? whenSettled : takeSteps;
  }

  now(): number {
    return this.#wallOffsetMs + Math.floor(this.#monotonicMs);
  }

  monotonic(): number {
    return this.#monotonicMs;
  }

  after(delayMs: number, task: () => void): CancelTimer {
    const dueMs = this.#monotonicMs + Math.max(0, delayMs);
    const timer: Timer = { dueMs, order: this.#order++, task, isCancelled: false };
    this.#timers.add(timer);
    this.#pending += 1;
    return () => {
      if (timer.isCancelled) return;
      timer.isCancelled = true;
      this.#pending -= 1;
    };
  }

  /** Timers that wait; a leak shows here. */
  get pending(): number {
    return this.#pending;
  }

  /** Timers that fired since the clock was made: the steps of a run. */
  get fired(): number {
    return this.#fired;
  }

  /** Makes the wall clock jump; monotonic time does not. */
  jumpWall(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  /** Moves time on, firing every timer that falls due in order. */
  async advance(byMs: number): Promise<void> {
    let steps = 0;
    await this.#move(byMs, () => {
      if (steps++ >= STEPS_MAX) throw new Error('the virtual clock never comes to rest');
      return false;
    });
  }

  /** Moves time on until `done`, at most `limitMs`. @throws Error when it never is. */
  async until(done: () => boolean, limitMs = 600_000): Promise<void> {
    if (await this.reach(done, limitMs)) return;
    throw new Error(`not reached within ${limitMs} virtual ms`);
  }

  /** Moves time on until `done`; after `limitMs` it is false, and time stands there. */
  reach(done: () => boolean, limitMs: number): Promise<boolean> {
    return this.#move(limitMs, done);
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

  /** Several may move it at once: whoever is at his end goes on before time does. */
  #move(byMs: number, done: () => boolean): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#movers.push({ endMs: this.#monotonicMs + byMs, done, resolve, reject });
      if (this.#movers.length > 1) return;
      this.#takeSteps(() => this.#stepForAll()).catch((error: unknown) => {
        for (const mover of this.#movers.splice(0)) mover.reject(error);
      });
    });
  }

  /** One step, or the end for some of them; false when nobody moves it any more. */
  #stepForAll(): boolean {
    let over: Mover[] = [];
    let endMs = Number.POSITIVE_INFINITY;
    for (const mover of this.#movers) {
      if (mover.done()) over.push(mover);
      endMs = Math.min(endMs, mover.endMs);
    }
    const isDone = over.length > 0;
    if (!isDone && this.#step(endMs)) return true;
    if (!isDone) {
      this.#monotonicMs = Math.max(this.#monotonicMs, endMs);
      over = this.#movers.filter((mover) => mover.endMs === endMs);
    }
    this.#movers = this.#movers.filter((mover) => !over.includes(mover));
    for (const { resolve } of over) resolve(isDone);
    return this.#movers.length > 0;
  }

  #step(endMs: number): boolean {
    let next = this.#timers.first();
    while (next?.isCancelled) {
      this.#timers.removeFirst();
      next = this.#timers.first();
    }
    if (!next || next.dueMs > endMs) return false;
    this.#timers.removeFirst();
    next.isCancelled = true;
    this.#pending -= 1;
    this.#fired += 1;
    this.#monotonicMs = Math.max(this.#monotonicMs, next.dueMs);
    next.task();
    return true;
  }
}
