/**
 * The error words of ID 30. A code is what the device says less 20 hex.
 * Source: the list of the Puloon document as public Python and C# drivers give it; 29 is in one C#
 * driver only; 51 and 58 are reported from Lamassu's machines (lamassu-machine PR 116 and PR 130).
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

/** No error. */
export const NO_ERROR = 0x00;
const BAD_COMMAND = 0x30;
const BAD_PARAMETER = 0x31;
/** No reject tray. */
export const NO_REJECT_TRAY = 0x26;

/**
 * The errors by code. Counts are trusted where the mechanism has stopped before the eject sensor or
 * has not begun. From there to the exit a note may be in the customer's hand and not in the count.
 */
export const id30Errors: ReadonlyMap<number, LcdmError> = new Map([
  [0x01, trusted('nothing', 'a note could not be picked up')],
  [0x02, trusted('initialise', 'jam between the check sensor and the diverter')],
  [0x03, trusted('initialise', 'jam between the diverter and the eject sensor')],
  [0x04, doubtful('initialise', 'jam between the eject sensor and the exit')],
  [0x05, doubtful('initialise', 'a note stays in the exit')],
  [0x06, doubtful('initialise', 'a note that was suspect has been ejected')],
  [0x07, doubtful('initialise', 'count mismatch at the eject sensor')],
  [0x08, doubtful('initialise', 'a note that should be rejected has passed the eject sensor')],
  [0x09, doubtful('initialise', 'a note too long at the eject sensor')],
  [0x0a, doubtful('initialise', 'a note too long at the exit sensor')],
  [0x0b, trusted('initialise', 'notes on the path before the start')],
  [0x0c, trusted('nothing', 'too many notes in one command')],
  [0x0d, trusted('nothing', 'too many notes rejected in one command')],
  [0x0e, doubtful('person', 'purge ended abnormally')],
  [0x20, trusted('person', 'sensor trouble or foreign matter before the start')],
  [0x21, trusted('person', 'sensor trouble or foreign matter before the start')],
  [0x22, trusted('person', 'solenoid trouble before the start')],
  [0x23, trusted('person', 'motor or slit sensor trouble before the start')],
  [0x24, trusted('nothing', 'no cassette in a bay that was asked for notes')],
  [0x25, trusted('nothing', 'a bay that was asked for notes is near its end')],
  [NO_REJECT_TRAY, trusted('person', 'no reject tray')],
  [0x29, doubtful('initialise', 'more notes dispensed than were asked for')],
  [BAD_COMMAND, trusted('nothing', 'command not known')],
  [BAD_PARAMETER, trusted('nothing', 'parameter not known')],
  [0x32, doubtful('person', 'program not verified')],
  [0x33, doubtful('person', 'program could not be written')],
  [0x34, doubtful('person', 'program verification failed')],
  [0x35, doubtful('person', 'settings memory could not be written')],
  [0x36, doubtful('person', 'settings memory has a wrong checksum')],
  [0x40, ofOtherBay('a note of the first bay came while another was asked')],
  [0x41, ofOtherBay('a note of the second bay came while another was asked')],
  [0x42, ofOtherBay('a note of the third bay came while another was asked')],
  [0x43, ofOtherBay('a note of the fourth bay came while another was asked')],
  [0x51, trusted('nothing', 'pick-up error of another firmware')],
  [0x58, trusted('nothing', 'nothing dispensed, of another firmware')],
]);

/** The meaning of a code. */
export function id30Error(code: number): LcdmError {
  return id30Errors.get(code) ?? UNLISTED;
}

/** An error as the service says it; undefined for none. */
export function dispenseError(code: number): DispenseError | undefined {
  return code === NO_ERROR ? undefined : asDispenseError(code, id30Error(code));
}

/** The device says that it did not understand the command, and so did nothing. */
export function isRefusal(code: number): boolean {
  return code === BAD_COMMAND || code === BAD_PARAMETER;
}
