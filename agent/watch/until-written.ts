/** News that comes once and has to be written down, also when the disk has no room just then. */
import { sleep } from '#protocol/base/clock.ts';
import type { Log } from '#protocol/base/log.ts';
import { diskFaultOf } from '#state/store-error.ts';
import type { Parts } from '../parts.ts';

/** Pace of trying again: that of whoever tries a full disk, `DiskWatch`. */
const RETRY_MS = 10_000;

/**
 * Does `task` now, and while the disk takes no writes again and again, until it is done or `signal`
 * ends it. Whatever else it throws is thrown, a disk that failed too: that asks for a restart.
 */
export function untilWritten(
  { clock, log }: Pick<Parts, 'clock' | 'log'>,
  signal: AbortSignal,
  task: () => void,
): void {
  if (isTaken(log, task)) return;
  const again = () => untilWritten({ clock, log }, signal, task);
  void sleep(clock, RETRY_MS, signal).then(again, () => undefined);
}

/** Does `task`; false while the disk takes no writes. Throws as `untilWritten` does. */
export function isTaken(log: Log, task: () => void): boolean {
  try {
    task();
    return true;
  } catch (err) {
    const fault = diskFaultOf(err);
    if (fault !== 'full' && fault !== 'readOnly') throw err;
    log.error({ err }, 'not written down yet');
    return false;
  }
}
