/** The decision about the note in escrow, from the driver's point of view: it always ends. */
import type { CancelTimer, Clock } from '#protocol/base/clock.ts';
import type { DepositOutcome, ReturnOutcome } from './cash-acceptor.ts';

/** How depositing or giving back ends; both have the same ends. */
export type NoteOutcome = DepositOutcome & ReturnOutcome;

/** What a dialogue is told of a decision. */
export type DecisionInput =
  | { readonly kind: 'deposit' | 'return' }
  /** The first bound has passed: a deposit that plainly did not begin may be undone. */
  | { readonly kind: 'late'; readonly reason: string }
  /** The last bound has passed, or the device is out of touch: who waits is told `unknown`. */
  | { readonly kind: 'gaveUp'; readonly reason: string };

/** How long a decision may take, and the dialogue that ends it. */
export interface DecisionParts {
  readonly clock: Clock;
  /** From `deposit` until `late`. */
  readonly depositTimeoutMs: number;
  /** From `return` until `late`, and from there until `gaveUp`. */
  readonly returnTimeoutMs: number;
  readonly step: (input: DecisionInput) => void;
}

/** One decision at a time. The dialogue says when it has ended, and how. */
export class Decision {
  readonly #parts: DecisionParts;
  #end: ((outcome: NoteOutcome) => void) | undefined;
  #cancelBound: CancelTimer = () => undefined;

  constructor(parts: DecisionParts) {
    this.#parts = parts;
  }

  /** Tells the dialogue, and of time that passes; the promise is kept by `end`. */
  make(kind: 'deposit' | 'return'): Promise<NoteOutcome> {
    const { clock, depositTimeoutMs, returnTimeoutMs, step } = this.#parts;
    const { promise, resolve } = Promise.withResolvers<NoteOutcome>();
    this.#end = resolve;
    const limitMs = kind === 'deposit' ? depositTimeoutMs : returnTimeoutMs;
    this.#cancelBound = clock.after(limitMs, () => {
      const giveUp = () => step({ kind: 'gaveUp', reason: 'no end in time' });
      // Before it is told: being late may be the end.
      this.#cancelBound = clock.after(returnTimeoutMs, giveUp);
      step({ kind: 'late', reason: `no end within ${limitMs} ms` });
    });
    step({ kind });
    return promise;
  }

  /** It has ended; without one under way nobody is told. */
  end(outcome: NoteOutcome): void {
    this.#cancelBound();
    this.#end?.(outcome);
  }
}
