/** What hands do inside the machine, and the notes that no device shows because hands have them. */
import type { DeviceTruth, Notes } from '#hal/simulator/device.ts';
import type { WholeMachine } from '#test/support/whole-machine.ts';
import type { Plan } from './plan.ts';

/** Notes by face value. */
type Tally = Map<number, number>;

/** What an operator's document says of the bays. */
export type BayContents = Record<string, { denomination: number; count: number }>;

/** Whoever looks after one machine. */
export class Hands {
  readonly #machine: WholeMachine;
  readonly #plan: Plan;
  /** Taken from the cash box, and off the validator's path. */
  readonly #collected: Tally = new Map();
  readonly #taken: Tally = new Map();
  /** Worth of each cassette when it was last seen: one that is out keeps what it holds. */
  readonly #bays = new Map<string, number>();
  #dispenserMinor: number;
  #refills = 0;

  constructor(machine: WholeMachine, plan: Plan) {
    this.#machine = machine;
    this.#plan = plan;
    this.#dispenserMinor = this.#seenMinor();
  }

  /** Notes of a face value that were taken from the cash box. */
  collected(value: number): number {
    return this.#collected.get(value) ?? 0;
  }

  /** Notes of a face value that were taken off the validator's path: from jams. */
  taken(value: number): number {
    return this.#taken.get(value) ?? 0;
  }

  /** Worth of the notes that the dispenser lost, minor units. */
  lostMinor(): number {
    return this.#dispenserMinor - this.#seenMinor();
  }

  /** Remembers what is in cassettes that may be taken out now. */
  look(): void {
    this.#seenMinor();
  }

  /** Mends by `mend`, which may take notes off the validator's path. */
  clearJams(mend: () => void): void {
    const { validator } = this.#machine;
    const before = validator.truth().customer;
    mend();
    addNotes(this.#taken, validator.truth().customer, before);
  }

  /** Takes everything out of the cash box. */
  emptyBox(): void {
    const { validator } = this.#machine;
    const box: Notes = validator.truth().cashbox;
    validator.control({ do: 'cashbox', present: false, empty: true });
    addNotes(this.#collected, box);
    validator.control({ do: 'cashbox', present: true });
  }

  /** Fills the bays, and gives what is in them now. */
  fillBays(): BayContents {
    const before = this.#seenMinor();
    const contents: BayContents = {};
    // Never the same counts twice: a document that says what the last one said moves nothing.
    this.#refills += 1;
    for (const [position, { denomination, count: least }] of Object.entries(this.#plan.cassettes)) {
      const count = least + this.#refills;
      this.#machine.dispenser.control({ do: 'cassette', position: Number(position), count });
      contents[position] = { denomination, count };
    }
    this.#dispenserMinor += this.#seenMinor() - before;
    return contents;
  }

  #seenMinor(): number {
    const { units, reject, path, customer }: DeviceTruth = this.#machine.dispenser.truth();
    for (const [position, { denomination, count }] of Object.entries(units)) {
      this.#bays.set(position, denomination * 100 * count);
    }
    const bays = [...this.#bays.values()].reduce((sum, bay) => sum + bay, 0);
    return bays + worth(reject) + worth(path) + worth(customer);
  }
}

/** Worth of notes, minor units of a currency with two digits. */
export function worth(notes: Notes): number {
  let sum = 0;
  for (const [value, count] of Object.entries(notes)) sum += Number(value) * 100 * count;
  return sum;
}

/** Adds notes to a tally, less those that were there before. */
function addNotes(tally: Tally, notes: Notes, before: Notes = {}): void {
  for (const [value, count] of Object.entries(notes)) {
    const came = count - (before[Number(value)] ?? 0);
    tally.set(Number(value), (tally.get(Number(value)) ?? 0) + came);
  }
}
