/** What a test must not leave behind in this process, counted. */
import { expect } from 'vitest';
import { heapUsed } from '#test/support/heap.ts';
import { quiet } from './flowing-clock.ts';

/** Sockets and servers of TCP that are open in this process. */
const sockets = (): number =>
  process.getActiveResourcesInfo().filter((name) => name.startsWith('TCP')).length;

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
  }
}

/** Bytes that the heap has grown by when the work is done and all garbage is gone. */
export async function heapGrowth(work: () => Promise<void>): Promise<number> {
  const before = heapUsed();
  await work();
  await quiet();
  return heapUsed() - before;
}
