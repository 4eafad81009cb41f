/** Switches for a simulated device's faults: each strikes so many times, some with a value. */
import { SimulatorError } from './device.ts';

/** Largest number of strikes; in practice for good. */
const TIMES_MAX = 1_000_000_000;

/** The faults of one device, by name. */
export class FaultSwitches<Name extends string> {
  readonly #names: readonly Name[];
  readonly #set = new Map<Name, { times: number; readonly value: number | undefined }>();

  constructor(descriptions: Readonly<Record<Name, string>>) {
    this.#names = Object.keys(descriptions).filter((name): name is Name => name in descriptions);
  }

  /** Sets a fault, or lifts it with 0 times. @throws SimulatorError `notFound`, `usage` */
  set(name: string, times = 1, value?: number): Name {
    const known = this.#names.find((candidate) => candidate === name);
    if (known === undefined) throw new SimulatorError('notFound', `there is no fault ${name}`);
    if (!Number.isInteger(times) || times < 0 || times > TIMES_MAX) {
      throw new SimulatorError('usage', `times must be 0 to ${TIMES_MAX}, got ${times}`);
    }
    this.#set.set(known, { times, value });
    return known;
  }

  /** Whether the fault strikes now; it is used up by one if it does. */
  strikes(name: Name, when: (value: number | undefined) => boolean = () => true): boolean {
    return this.strike(name, when) !== undefined;
  }

  /** The same, with the fault's value. */
  strike(
    name: Name,
    when: (value: number | undefined) => boolean = () => true,
  ): { readonly value: number | undefined } | undefined {
    const fault = this.#set.get(name);
    if (!fault || fault.times === 0 || !when(fault.value)) return undefined;
    fault.times--;
    return { value: fault.value };
  }
}
