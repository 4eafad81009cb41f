/** What a test must not leave behind in this process, counted. */
import { afterAll, expect } from 'vitest';
import { heapUsed } from '#test/support/heap.ts';
import { quiet } from './flowing-clock.ts';

/** Rows from one weighing of the heap to the next: all its garbage goes first, which takes long. */
const WEIGHED_EVERY = 8;
/**
 * Most that the heap may be larger than at the weighing before, bytes. The test runner keeps half a
 * million of each row; what is left of a flood, or of a machine that lives on, is more.
 */
const GROWTH_MAX = 8_000_000;

/** Sockets and servers of TCP that are open in this process. */
const sockets = (): number =>
  process.getActiveResourcesInfo().filter((name) => name.startsWith('TCP')).length;

let rows = 0;
/** At the last weighing; none before the first row is over, which warms this process up. */
let heapBefore: number | undefined;

function weigh(): void {
  const heap = heapUsed();
  expect(heap - (heapBefore ?? heap)).toBeLessThan(GROWTH_MAX);
  heapBefore = heap;
}

afterAll(weigh);

/** Counts from its making on: sockets of this process, and rejections that nobody handled. */
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
    if (rows++ % WEIGHED_EVERY === 0) weigh();
  }
}

/** Bytes that the heap has grown by when the work is done and all garbage is gone. */
export async function heapGrowth(work: () => Promise<void>): Promise<number> {
  const before = heapUsed();
  await work();
  await quiet();
  return heapUsed() - before;
}
