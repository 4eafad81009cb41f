/** Finds frames in bytes, in whatever chunks they come: the search that protocols share. */

/** Bytes that are no frame. */
export interface Discarded {
  readonly kind: 'discarded';
  readonly bytes: Uint8Array;
}

/**
 * What begins at a place: something whole, with where it ends; `none`; or `incomplete` while that
 * cannot be told.
 */
export type Found<Event> = { readonly event: Event; readonly end: number } | 'none' | 'incomplete';

/**
 * The search. It never throws and never stalls: what cannot be, or has a wrong check, costs one
 * byte, and the search goes on behind it. A length that is wrong but possible waits for the rest;
 * `flush` on silence ends that wait.
 */
export class Framer<Event> {
  readonly #find: (bytes: Uint8Array, at: number) => Found<Event>;
  #pending = new Uint8Array(0);

  /** `find` looks at one place of the bytes, keeps nothing and never throws. */
  constructor(find: (bytes: Uint8Array, at: number) => Found<Event>) {
    this.#find = find;
  }

  /** What is complete now, in order, and what was thrown away on the way. */
  push(chunk: Uint8Array): (Event | Discarded)[] {
    const bytes = new Uint8Array(this.#pending.length + chunk.length);
    bytes.set(this.#pending);
    bytes.set(chunk, this.#pending.length);
    const events: (Event | Discarded)[] = [];
    let at = 0;
    let keptFrom = 0;
    const discardUpTo = (end: number) => {
      if (end > keptFrom) events.push({ kind: 'discarded', bytes: bytes.slice(keptFrom, end) });
    };
    while (at < bytes.length) {
      const found = this.#find(bytes, at);
      if (found === 'incomplete') break;
      if (found === 'none') {
        at++;
        continue;
      }
      discardUpTo(at);
      events.push(found.event);
      at = found.end;
      keptFrom = at;
    }
    discardUpTo(at);
    this.#pending = bytes.slice(at);
    return events;
  }

  /** Whether something has begun and is not complete. */
  get isWaiting(): boolean {
    return this.#pending.length > 0;
  }

  /** Bytes of what is not complete yet. */
  get pendingBytes(): number {
    return this.#pending.length;
  }

  /** The line is silent, so what is unfinished is nothing; what is behind its start may be. */
  flush(): (Event | Discarded)[] {
    const events: (Event | Discarded)[] = [];
    while (this.isWaiting) {
      const pending = this.reset();
      events.push({ kind: 'discarded', bytes: pending.slice(0, 1) });
      events.push(...this.push(pending.slice(1)));
    }
    return events;
  }

  /** Forgets what is unfinished; gives what it was. */
  reset(): Uint8Array {
    const pending = this.#pending;
    this.#pending = new Uint8Array(0);
    return pending;
  }
}
