/** Where every note physically is: the truth that journals are compared with. */
import { type Notes, SimulatorError } from './device.ts';

/** Notes by place and face value. Every move is checked: a note is never made up on the way. */
export class NotePlaces<Place extends string> {
  readonly #places = new Map<Place, Map<number, number>>();

  /** Brings notes from outside, as a hand does; a negative count takes them away. */
  put(place: Place, denomination: number, count = 1): void {
    const notes = this.#places.get(place) ?? new Map<number, number>();
    const left = (notes.get(denomination) ?? 0) + count;
    if (left < 0) throw new Error(`there are not ${-count} notes of ${denomination} in ${place}`);
    if (left === 0) notes.delete(denomination);
    else notes.set(denomination, left);
    this.#places.set(place, notes);
  }

  /** Moves notes from one place to another. */
  move(from: Place, to: Place, denomination: number, count = 1): void {
    this.put(from, denomination, -count);
    this.put(to, denomination, count);
  }

  /** What lies in a place. */
  in(place: Place): Notes {
    return Object.fromEntries(this.#places.get(place) ?? []);
  }

  /** Empties a place and gives what lay there. */
  takeAll(place: Place): Notes {
    const notes = this.in(place);
    this.#places.delete(place);
    return notes;
  }
}

/**
 * Face values that are in circulation, for currencies that simulated validators can be made
 * for.
 */
const DENOMINATIONS: Readonly<Record<string, readonly number[]>> = {
  USD: [1, 2, 5, 10, 20, 50, 100],
  EUR: [5, 10, 20, 50, 100, 200, 500],
  CAD: [5, 10, 20, 50, 100],
  CHF: [10, 20, 50, 100, 200, 1000],
};

/** Face values of a currency's notes. @throws SimulatorError `usage` for one that is not known. */
export function denominationsOf(currency: string): readonly number[] {
  const known = Object.hasOwn(DENOMINATIONS, currency) ? DENOMINATIONS[currency] : undefined;
  if (known) return known;
  const names = Object.keys(DENOMINATIONS).join(', ');
  throw new SimulatorError('usage', `the validator knows the notes of ${names}`);
}
