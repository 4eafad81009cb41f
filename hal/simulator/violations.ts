/** What a host did that its protocol forbids, in words. */

/** A host that does wrong does it for ever; the first ones tell what. */
const VIOLATIONS_MAX = 1_000;

/** The list that a simulated device keeps. */
export class Violations {
  readonly #words: string[] = [];

  /** Notes one. */
  add(words: string): void {
    if (this.#words.length < VIOLATIONS_MAX) this.#words.push(words);
  }

  /** All so far, oldest first, at most 1,000. */
  list(): readonly string[] {
    return this.#words;
  }
}
