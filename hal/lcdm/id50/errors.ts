/**
 * The error words of ID 50, as they stand on the line.
 * Source: Puloon LCDM-1000T interface specification 3.3; public drivers of the LCDM-2000;
 * cash-hardware.md 7.2.
 */
import type { DispenseError } from '../../cash-dispenser.ts';
import {
  asDispenseError,
  doubtful,
  type LcdmError,
  ofOtherBay,
  trusted,
  UNLISTED,
} from '../errors.ts';

/** Codes that are no error: all went out, or the unit stopped as it should. */
const GOOD: readonly number[] = [0x30, 0x31];
const BAD_COMMAND = 0x37;
const BAD_REQUEST = 0x3b;
/** No reject tray. */
export const NO_REJECT_TRAY = 0x3f;

/**
 * The errors by code. EXIT counts what has been delivered. It is trusted where the mechanism has
 * stopped before the eject sensor or has not begun; from there to the exit a note may be in the
 * customer's hand and not in the count.
 */
export const id50Errors: ReadonlyMap<number, LcdmError> = new Map([
  [0x32, trusted('nothing', 'a note could not be picked up')],
  [0x33, trusted('initialise', 'jam at check sensor 1 or 2')],
  [0x34, doubtful('initialise', 'more notes than were asked for')],
  [0x35, doubtful('initialise', 'jam at the exit or eject sensor')],
  [0x36, trusted('initialise', 'jam at the diverter')],
  [BAD_COMMAND, trusted('nothing', 'command not known')],
  [0x38, trusted('nothing', 'the upper cassette has run out')],
  [0x3a, doubtful('initialise', 'count mismatch between check sensors 3, 4 and diverter')],
  [BAD_REQUEST, trusted('nothing', 'a number of notes that cannot be asked for')],
  [0x3c, doubtful('initialise', 'count mismatch between diverter and eject sensor')],
  [0x3d, doubtful('initialise', 'count mismatch between eject sensor and exit')],
  [NO_REJECT_TRAY, trusted('person', 'no reject tray')],
  [0x40, trusted('nothing', 'the lower cassette has run out')],
  [0x41, doubtful('person', 'the motor has stopped')],
  [0x42, trusted('initialise', 'jam at the diverter')],
  [0x43, trusted('initialise', 'a note has not come from the diverter to the eject sensor')],
  [0x44, trusted('nothing', 'too many notes rejected in one command')],
  [0x45, trusted('nothing', 'the upper cassette is not recognised')],
  [0x46, trusted('nothing', 'the lower cassette is not recognised')],
  [0x47, doubtful('initialise', 'the dispense took too long')],
  [0x48, doubtful('initialise', 'jam at the eject sensor')],
  [0x49, doubtful('person', 'diverter solenoid or its sensor')],
  [0x4a, doubtful('person', 'sensor of the diverter solenoid')],
  [0x4b, doubtful('initialise', 'the quantities differ')],
  [0x4c, trusted('initialise', 'jam at check sensor 3 or 4')],
  [0x4e, doubtful('person', 'purge ended abnormally, jam at the diverter')],
  [0x4f, ofOtherBay('a note of the other cassette came')],
  [0x50, trusted('initialise', 'a note has not come from the check sensors to the diverter')],
]);

/** The meaning of a code; undefined for no error. */
export function id50Error(code: number): LcdmError | undefined {
  return GOOD.includes(code) ? undefined : (id50Errors.get(code) ?? UNLISTED);
}

/** An error as the service says it; undefined for none. */
export function dispenseError(code: number): DispenseError | undefined {
  const error = id50Error(code);
  return error && asDispenseError(code, error);
}

/** The device says that it did not understand the command, and so did nothing. */
export function isRefusal(code: number): boolean {
  return code === BAD_COMMAND || code === BAD_REQUEST;
}
