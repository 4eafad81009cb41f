/** What a link keeps of the events that it was ever told: received, verified, handed on. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { systemClock, systemRandom } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import { RelayPool } from '#protocol/relay/pool.ts';
import { heapUsed } from '#test/support/heap.ts';
import { nowMs } from './stopwatch.ts';

/** The memory of this process before and after, bytes. */
export interface EventMemory {
  readonly events: number;
  readonly eventsPerSecond: number;
  /** In use when the garbage is gone: with an idle link, and after the last event. */
  readonly heapBefore: number;
  readonly heapAfter: number;
  readonly residentBefore: number;
  readonly residentAfter: number;
}

async function startSource(count: number) {
  const path = join(import.meta.dirname, 'event-source.ts');
  const child = spawn(process.execPath, [path, `${count}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout });
  const [url]: unknown[] = await once(lines, 'line');
  if (typeof url !== 'string') throw new Error('the source of events did not start');
  return { url, stop: () => child.kill() };
}

/** Receives so many different events, as fast as they are verified. */
export async function eventMemory(count: number): Promise<EventMemory> {
  const source = await startSource(count);
  const common = { clock: systemClock, random: systemRandom, log: silentLog };
  const pool = new RelayPool({ ...common, urls: [source.url] });
  try {
    const opened = Promise.withResolvers<void>();
    pool.onStatus(({ state }) => state === 'open' && opened.resolve());
    if (!pool.ready()) await opened.promise;
    const before = { heap: heapUsed(), resident: process.memoryUsage.rss() };
    const { promise, resolve } = Promise.withResolvers<void>();
    let events = 0;
    const start = nowMs();
    const off = pool.subscribe(
      { kinds: [21_000] },
      {
        event: () => {
          events += 1;
        },
        endOfStored: () => resolve(),
      },
    );
    await promise;
    const tookMs = nowMs() - start;
    if (events !== count) throw new Error(`${events} of ${count} events were told`);
    const after = { heap: heapUsed(), resident: process.memoryUsage.rss() };
    off();
    return {
      ...{ events, eventsPerSecond: (events * 1000) / tookMs },
      ...{ heapBefore: before.heap, heapAfter: after.heap },
      ...{ residentBefore: before.resident, residentAfter: after.resident },
    };
  } finally {
    await pool.close();
    source.stop();
  }
}
