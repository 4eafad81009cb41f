/** What a test must not leave behind in this process, counted. */
import { expect } from 'vitest';
import { heapUsed } from '#test/support/heap.ts';
import { quiet } from './flowing-clock.ts';

/**
 * Most that the heap may be larger after one row than after the one before, bytes. A row leaves a
 * few hundred thousand with its test runner; what it would leave of a flood or a hang is far more.
 */
const GROWTH_MAX = 4_000_000;

/** Sockets and servers of TCP that are open in this process. */
const sockets = (): number =>
  process.getActiveResourcesInfo().filter((name) => name.startsWith('TCP')).length;

/** The heap after the last row of this process; none before the first, which warms it up. */
let heapBefore: number | undefined;

/** Counts from its making on: sockets and heap of this process, rejections that nobody handled. */
export class Leaks {
  readonly #rejections: unknown[] = [];
  readonly #socketsBefore: number;
  readonly #hear = (reason: unknown) => void this.#rejections.push(reason);

  constructor() {
    this.#socketsBefore = sockets();
    process.on('unhandledRejection', this.#hear);
  }

  /** Everything is as it was. @throws an assertion's error when it is not */
  async check(): Promise<void> {
    await quiet();
    process.off('unhandledRejection', this.#hear);
    expect(this.#rejections).toEqual([]);
    expect(sockets()).toBe(this.#socketsBefore);
    const heap = heapUsed();
    expect(heap - (heapBefore ?? heap)).toBeLessThan(GROWTH_MAX);
    heapBefore = heap;
  }
}

/** Bytes that the heap has grown by when the work is done and all garbage is gone. */
export async function heapGrowth(work: () => Promise<void>): Promise<number> {
  const before = heapUsed();
  await work();
  await quiet();
  return heapUsed() - before;
}
