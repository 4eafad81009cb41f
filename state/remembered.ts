/** Answers that are kept while they hold, so that nothing is read twice while a note waits. */
import type { Store } from './store.ts';

/** Answers that are kept at most: what one session asks for, and not what a walk over all does. */
const KEPT_MAX = 16;

/**
 * Answers of one version of the state. `Connection` changes its `version` with everything that is
 * written or rolled back, and nobody else writes: no answer is ever out of date. An answer must
 * depend on nothing but the state and its name, and must not be changed.
 */
export class KeptAnswers<Answer> {
  readonly #answers = new Map<string, { readonly answer: Answer }>();
  #version: number | undefined;

  /** The answer of this name, asked for where none is kept. */
  get(version: number, name: string, ask: () => Answer): Answer {
    if (this.#version !== version) this.#answers.clear();
    this.#version = version;
    const known = this.#answers.get(name);
    if (known) return known.answer;
    const answer = ask();
    if (this.#answers.size >= KEPT_MAX) this.#answers.clear();
    this.#answers.set(name, { answer });
    return answer;
  }
}

/** A question about the state, whose answers are kept as `KeptAnswers` says. */
export function remembered<Answer, Key extends readonly string[]>(
  ask: (store: Store, ...key: Key) => Answer,
): (store: Store, ...key: Key) => Answer {
  const kept = new WeakMap<Store, KeptAnswers<Answer>>();
  return (store, ...key) => {
    const answers = kept.get(store) ?? new KeptAnswers<Answer>();
    kept.set(store, answers);
    return answers.get(store.version(), JSON.stringify(key), () => ask(store, ...key));
  };
}
