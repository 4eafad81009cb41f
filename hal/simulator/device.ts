/**
 * What every simulated device is: bytes in, bytes out, hands that insert and take notes, and the
 * truth about where each note physically is. It follows the protocol and not our driver.
 */
import type { LineSettings } from '../port.ts';

/** Notes by face value: `{"20": 3}`. */
export type Notes = Readonly<Record<string, number>>;

/** Where every note physically is. */
export interface DeviceTruth {
  /** Bays of a dispenser, by position; empty for a validator. */
  readonly units: Readonly<
    Record<string, { readonly denomination: number; readonly count: number }>
  >;
  readonly reject: Notes;
  readonly cashbox: Notes;
  /** On the way inside: escrow, transport, stacker not yet stacked. */
  readonly path: Notes;
  /** Given (back) to the customer by this device, since it was made. */
  readonly customer: Notes;
}

/**
 * Thrown for a hand movement or a switch that makes no sense now; the control socket passes it
 * on.
 */
export class SimulatorError extends Error {
  override readonly name = 'SimulatorError';
  readonly code: 'usage' | 'sequenceError' | 'notFound';
  constructor(code: SimulatorError['code'], reason: string) {
    super(reason);
    this.code = code;
  }
}

/** What hands and scripts can do to a device. Faults are named by each device, once or for good. */
export type ControlCommand =
  | { readonly do: 'insert'; readonly denomination: number }
  | {
      readonly do: 'fault';
      readonly name: string;
      /** How often it strikes: a number, 0 to lift it; one when left out. */
      readonly times?: number;
      readonly value?: number;
    }
  | { readonly do: 'power'; readonly on: boolean }
  | {
      readonly do: 'cassette';
      readonly position: number;
      readonly denomination?: number;
      readonly count?: number;
      readonly present?: boolean;
      /** What is coded on the cassette: its bay's number unless told. */
      readonly code?: number;
    }
  | { readonly do: 'cashbox'; readonly present: boolean; readonly empty?: boolean }
  | { readonly do: 'take' }
  | { readonly do: 'state' };

/** A simulated validator or dispenser. */
export interface SimulatedDevice {
  readonly kind: 'acceptor' | 'dispenser';
  readonly protocol: string;
  /** The line it would be on, for pacing. */
  readonly line: LineSettings;
  /** Names and meanings of the faults that it can be given. */
  readonly faults: Readonly<Record<string, string>>;
  /** Bytes from the host, in any chunking. */
  receive(bytes: Uint8Array): void;
  /** Where its bytes go; one host at a time, the last one wins. */
  connect(send: (bytes: Uint8Array) => void): void;
  /** Carries out one command; the result is plain JSON. @throws SimulatorError */
  control(command: ControlCommand): unknown;
  /** Where every note is now. */
  truth(): DeviceTruth;
  /** Bytes or commands that were out of turn, in words; a test expects none. */
  violations(): readonly string[];
  /** Ends its timers. */
  stop(): void;
}
