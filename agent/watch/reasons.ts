/**
 * Why a direction of the machine is closed. Each finding has one owner, which sets and lifts
 * it.
 */

/** The two directions, withdrawn separately (design 5). */
export type Direction = 'cashIn' | 'cashOut';

/** A finding that closes a direction; the key names its owner, so that two never overwrite. */
export type ReasonCode =
  | 'starting'
  | 'signerUnreachable'
  | 'pairingRequired'
  | 'signatures'
  | 'walletUnreachable'
  | 'walletMismatch'
  | 'walletEmpty'
  | 'awaitingFees'
  | 'noRate'
  | 'capIsZero'
  | 'exposure'
  | 'validator'
  | 'cashBox'
  | 'dispenser'
  | 'replugged'
  | 'noNotes'
  | 'currencyMismatch'
  | 'openIntent'
  | 'noteUnknown'
  | 'unsettled'
  | 'clock'
  | 'disk'
  | 'twin'
  | 'rolledBack'
  | 'exchangeActive'
  | 'updating'
  | 'stopping';

/** One finding with its sentence for people. */
export interface Reason {
  readonly code: ReasonCode;
  readonly text: string;
}

/** Holds all findings and tells when the set changes. */
export class ReasonBoard {
  readonly #reasons: Record<Direction, Map<ReasonCode, string>> = {
    cashIn: new Map(),
    cashOut: new Map(),
  };
  readonly #listeners = new Set<() => void>();

  /** Closes a direction for a reason, or opens it of that reason when `text` is undefined. */
  set(direction: Direction, code: ReasonCode, text: string | undefined): void {
    const reasons = this.#reasons[direction];
    if (reasons.get(code) === text) return;
    if (text === undefined) reasons.delete(code);
    else reasons.set(code, text);
    for (const listener of this.#listeners) listener();
  }

  /** The same for both directions. */
  setBoth(code: ReasonCode, text: string | undefined): void {
    this.set('cashIn', code, text);
    this.set('cashOut', code, text);
  }

  /** Why a direction is closed; empty when it is open. */
  list(direction: Direction): readonly Reason[] {
    return [...this.#reasons[direction]].map(([code, text]) => ({ code, text }));
  }

  /** Whether a direction is closed for this, whatever else closes it. */
  has(direction: Direction, code: ReasonCode): boolean {
    return this.#reasons[direction].has(code);
  }

  /** True when nothing closes the direction. */
  open(direction: Direction): boolean {
    return this.#reasons[direction].size === 0;
  }

  /** Calls back after each change; returns how to stop. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
