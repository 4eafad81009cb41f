/**
 * Faults that the machine cannot mend where they appear. Facts of the world (a note returned, a
 * payment refused, an unknown outcome) are values, not errors; bugs are failed assertions.
 */

/** Completion codes; XFS4IoT's words where they fit. */
export type AtmErrorCode =
  | 'timeOut'
  | 'deviceNotReady'
  | 'hardwareError'
  | 'sequenceError'
  | 'canceled'
  | 'fraudAttempt'
  | 'invalidData'
  | 'unsupportedCommand'
  | 'notFound'
  | 'exists'
  | 'locked'
  | 'corrupt'
  | 'tooNew'
  | 'unreachable'
  | 'refused'
  | 'usage';

/** A fault with a code that callers may tell apart; the code ends the message. */
export class AtmError extends Error {
  override readonly name: string = 'AtmError';
  readonly code: AtmErrorCode;
  constructor(code: AtmErrorCode, message: string, options?: ErrorOptions) {
    super(`${message} (${code})`, options);
    this.code = code;
  }
}

/** One chunk on a serial port, as the flight recorder keeps it. */
export interface RecordedChunk {
  readonly direction: 'in' | 'out';
  readonly monotonicMs: number;
  readonly hex: string;
}

/** A device fault; carries the last chunks on its port. */
export class DeviceError extends AtmError {
  override readonly name = 'DeviceError';
  readonly recording: readonly RecordedChunk[];
  constructor(
    code: AtmErrorCode,
    message: string,
    options?: ErrorOptions & { recording?: readonly RecordedChunk[] },
  ) {
    super(code, message, options);
    this.recording = options?.recording ?? [];
  }
}

/** A database or file fault: the machine must stop taking money. */
export class StoreError extends AtmError {
  override readonly name = 'StoreError';
}

/** A relay, bunker or wallet fault. */
export class RelayError extends AtmError {
  override readonly name = 'RelayError';
}

/** A configuration, seed or pairing that cannot be used; says what is wrong. */
export class ConfigError extends AtmError {
  override readonly name = 'ConfigError';
}

/** The system's own code of a fault, such as `ENOENT`; undefined for what is no fault of its. */
export function systemCode(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

/** The text of anything thrown, for a log line or a screen. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Ends the program by an error that nobody catches, in a moment: a bug is served to no customer,
 * and systemd starts the program again. Whoever calls it comes to an end first.
 */
export function endProgram(error: unknown): void {
  setImmediate(() => {
    throw error;
  });
}
