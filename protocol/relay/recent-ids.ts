/** Ids of events already reported; the longest unseen one is forgotten when it is full. */
export class RecentIds {
  readonly #max: number;
  readonly #ids = new Set<string>();

  constructor(max: number) {
    this.#max = max;
  }

  /** How many it holds; never more than its bound. */
  get size(): number {
    return this.#ids.size;
  }

  /** True when the id was added and not yet forgotten; asking keeps it longer. */
  has(id: string): boolean {
    if (!this.#ids.delete(id)) return false;
    this.#ids.add(id);
    return true;
  }

  /** Remembers the id of an event whose signature is verified, never an unproven one. */
  add(id: string): void {
    this.#ids.delete(id);
    this.#ids.add(id);
    if (this.#ids.size <= this.#max) return;
    for (const oldest of this.#ids) {
      this.#ids.delete(oldest);
      return;
    }
  }
}
