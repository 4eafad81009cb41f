/** How drivers tell what they hear. */
import { type Clock, withDeadline } from '#protocol/base/clock.ts';
import type { CashAcceptorEvent, CashAcceptorStatus } from './cash-acceptor.ts';
import type { Unsubscribe } from './port.ts';

/** News for whoever listens. */
export class News<Event> {
  readonly #listeners = new Set<(event: Event) => void>();

  /** Tells the listener of all news from now on. */
  subscribe(listener: (event: Event) => void): Unsubscribe {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  tell(event: Event): void {
    for (const listener of [...this.#listeners]) listener(event);
  }
}

/** News of an acceptor; its condition is told when it has changed. */
export class AcceptorNews extends News<CashAcceptorEvent> {
  #shown: CashAcceptorStatus;

  constructor(first: CashAcceptorStatus) {
    super();
    this.#shown = first;
  }

  /** The condition as it was told last. */
  get shown(): CashAcceptorStatus {
    return this.#shown;
  }

  /** Shows the condition of this moment. */
  show(next: CashAcceptorStatus): void {
    const isSame = JSON.stringify(next) === JSON.stringify(this.#shown);
    this.#shown = next;
    if (!isSame) this.tell({ kind: 'status.changed', status: next });
  }
}

/** News for whoever waits for the next one. */
export class NextNews<Value> {
  readonly #clock: Clock;
  readonly #waiting = new Set<(value: Value | undefined) => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The next one; undefined when none came in time, or when none will come. */
  async within(limitMs: number): Promise<Value | undefined> {
    const { promise, resolve } = Promise.withResolvers<Value | undefined>();
    this.#waiting.add(resolve);
    const value = await withDeadline(this.#clock, limitMs, promise);
    this.#waiting.delete(resolve);
    return typeof value === 'symbol' ? undefined : value;
  }

  /** Ends every wait; `undefined`: the device is away, or the driver is closed. */
  tell(value: Value | undefined): void {
    for (const resolve of [...this.#waiting]) resolve(value);
  }
}
