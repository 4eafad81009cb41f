/** A clock of hurried motors, so that a measurement does not wait for them. */
import type { Clock } from '#protocol/base/clock.ts';

/** Its time runs so many times as fast as that of `clock`. */
export function quickClock(clock: Clock, times: number): Clock {
  return {
    now: () => clock.now(),
    monotonic: () => clock.monotonic() * times,
    after: (delayMs, task) => clock.after(delayMs / times, task),
  };
}
