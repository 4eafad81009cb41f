/** The decision about the note in escrow, from the driver's point of view: it always ends. */
import type { CancelTimer, Clock } from '#protocol/base/clock.ts';
import type { DepositOutcome, ReturnOutcome } from './cash-acceptor.ts';

/** How depositing or giving back ends; both have the same ends. */
export type NoteOutcome = DepositOutcome & ReturnOutcome;

/** How long a decision may take, and who is told when it takes longer. */
export interface DecisionBounds {
  /** Until `late`: what plainly did not begin may be undone. */
  readonly limitMs: number;
  /** From there until `gaveUp`: whoever waits is told `unknown`. */
  readonly lastMs: number;
  readonly onBound: (input: { readonly kind: 'late' | 'gaveUp'; readonly reason: string }) => void;
}

/** One decision at a time. The dialogue says when it has ended, and how. */
export class Decision {
  readonly #clock: Clock;
  #end: ((outcome: NoteOutcome) => void) | undefined;
  #cancelBound: CancelTimer = () => undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Begins one; the promise is kept by `end`. */
  begin({ limitMs, lastMs, onBound }: DecisionBounds): Promise<NoteOutcome> {
    const { promise, resolve } = Promise.withResolvers<NoteOutcome>();
    this.#end = resolve;
    this.#cancelBound = this.#clock.after(limitMs, () => {
      const giveUp = () => onBound({ kind: 'gaveUp', reason: 'no end in time' });
      // Before it is told: being late may be the end.
      this.#cancelBound = this.#clock.after(lastMs, giveUp);
      onBound({ kind: 'late', reason: `no end within ${limitMs} ms` });
    });
    return promise;
  }

  /** It has ended; without one under way nobody is told. */
  end(outcome: NoteOutcome): void {
    this.#cancelBound();
    this.#end?.(outcome);
  }
}
