/** XState's timers on the clock of the program: a test moves both at once. */
import type { CancelTimer, Clock } from '#protocol/base/clock.ts';

/** What `createActor` takes as its `clock`. */
export function machineClock(clock: Clock) {
  const timers = new Map<number, CancelTimer>();
  let last = 0;
  return {
    setTimeout: (task: (...args: unknown[]) => void, delayMs: number): number => {
      const id = ++last;
      const fire = () => {
        timers.delete(id);
        task();
      };
      timers.set(id, clock.after(delayMs, fire));
      return id;
    },
    clearTimeout: (id: number): void => {
      timers.get(id)?.();
      timers.delete(id);
    },
  };
}
