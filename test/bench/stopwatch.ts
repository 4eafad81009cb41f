/** Times of one run, and what they are beside. */
import { closeSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '#protocol/base/clock.ts';

/** Middle and tail of many times, in milliseconds. */
export interface Quantiles {
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Milliseconds from an arbitrary start, with fractions. */
export const nowMs = (): number => systemClock.monotonic();

/** Middle and tail. @throws RangeError for no times at all */
export function quantiles(times: readonly number[]): Quantiles {
  const sorted = [...times].sort((one, other) => one - other);
  const at = (share: number): number => {
    const found = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
    if (found === undefined) throw new RangeError('nothing was measured');
    return found;
  };
  return { count: sorted.length, p50Ms: at(0.5), p99Ms: at(0.99) };
}

/** What one commit of the agent writes at least: a page of the write-ahead log. */
const PAGE_BYTES = 4096;

/** A file of its own on the same disk, to see what an fsync costs there at this moment. */
export class BareFsync {
  readonly #path: string;
  readonly #file: number;
  readonly #page = Buffer.alloc(PAGE_BYTES, 1);

  constructor(folder: string) {
    this.#path = join(folder, 'bare-fsync');
    this.#file = openSync(this.#path, 'w');
  }

  /** Appends a page, brings it to the disk, and tells how long that took. */
  measure(): number {
    const start = nowMs();
    writeSync(this.#file, this.#page);
    fsyncSync(this.#file);
    return nowMs() - start;
  }

  close(): void {
    closeSync(this.#file);
    rmSync(this.#path);
  }
}
