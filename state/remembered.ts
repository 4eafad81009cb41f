/** Answers that are kept while they hold, so that nothing is read twice while a note waits. */
import type { Store } from './store.ts';

/**
 * A question about the state. Its last answer is kept until anything at all is written or rolled
 * back, which only `Connection` does and tells by its `version`: no answer is ever out of date. It
 * must depend on nothing but the state and the key, and its answer must not be changed.
 */
export function remembered<Answer, Key extends readonly string[]>(
  ask: (store: Store, ...key: Key) => Answer,
): (store: Store, ...key: Key) => Answer {
  const kept = new WeakMap<Store, { version: number; key: Key; answer: Answer }>();
  return (store, ...key) => {
    const version = store.version();
    const last = kept.get(store);
    if (last?.version === version && last.key.every((part, at) => part === key[at])) {
      return last.answer;
    }
    const answer = ask(store, ...key);
    kept.set(store, { version, key, answer });
    return answer;
  };
}
