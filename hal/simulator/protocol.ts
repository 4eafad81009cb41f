/** What a protocol tells of its simulated devices, for the table in `models.ts`. */
import type { Clock, Random } from '#protocol/base/clock.ts';
import type { SimulatedDevice } from './device.ts';

/** A cassette of a simulated dispenser. */
export interface SimulatedCassette {
  /** Face value of its notes, as 20. */
  readonly denomination: number;
  readonly count: number;
}

/** What is in a simulated device. Each kind takes of it what concerns it. */
export interface SimulatedContents {
  /** ISO 4217; the notes that a validator knows. */
  readonly currency: string;
  /** Cassettes of a dispenser, by position. */
  readonly cassettes: Readonly<Record<string, SimulatedCassette>>;
  /** What a device draws its secrets from; the system, where none is given. */
  readonly random?: Random;
}

/** One protocol's devices. */
export interface SimulatedProtocol {
  /** What it drives, for the help. */
  readonly summary: string;
  /** Its models; the first one is taken when none is named. */
  readonly models: readonly string[];
  /** Faults and what they do. */
  readonly faults: Readonly<Record<string, string>>;
  /** Makes a device. @throws SimulatorError for contents that it cannot have. */
  readonly make: (model: string, clock: Clock, contents: SimulatedContents) => SimulatedDevice;
}
