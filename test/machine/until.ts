/** Waiting on real time. */
import { sleep, systemClock } from '#protocol/base/clock.ts';
import { SLOWNESS } from './debian.ts';

/** Everything comes within seconds; two cores may be shared by many. */
export const COMES_LIMIT_MS = 90_000 * SLOWNESS;
const POLL_MS = 100;

/** Waits until it is so. @throws Error with what never came. */
export async function until(
  what: string,
  found: () => boolean | Promise<boolean>,
  limitMs = COMES_LIMIT_MS,
): Promise<void> {
  const deadlineMs = systemClock.monotonic() + limitMs;
  while (!(await found())) {
    if (systemClock.monotonic() > deadlineMs) throw new Error(`never: ${what}`);
    await sleep(systemClock, POLL_MS);
  }
}
