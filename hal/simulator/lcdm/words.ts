/** What a simulated LCDM is made of beside the words of its ID. */
import type { LcdmDialect } from '../../lcdm/dialect.ts';
import type { LcdmFrame } from '../../lcdm/wire.ts';
import type { FaultSwitches } from '../faults.ts';
import type { LcdmDeviceLink } from './device-link.ts';
import type { LcdmFaultName } from './faults.ts';
import type { LcdmDeviceTimings, LcdmMechanism } from './mechanism.ts';

/** The parts that words use. */
export interface LcdmDeviceParts {
  readonly mechanism: LcdmMechanism;
  readonly link: LcdmDeviceLink;
  readonly switches: FaultSwitches<LcdmFaultName>;
  readonly timings: LcdmDeviceTimings;
  readonly onViolation: (words: string) => void;
  /** Starts anew, as after a power cut. */
  readonly boot: () => void;
}

/** One ID's words: what each command does, and what is said of it. */
export interface LcdmDeviceWords {
  readonly dialect: LcdmDialect;
  /** Whether this command gets ACK at all. */
  acknowledges(frame: LcdmFrame): boolean;
  /** Carries a command out; a response ends it. */
  onCommand(frame: LcdmFrame): void;
}
