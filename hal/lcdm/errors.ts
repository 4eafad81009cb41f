/** What an error word means for notes and for service, whichever ID says it. */
import type { DispenseError } from '../cash-dispenser.ts';

/** One entry of an error table. */
export interface LcdmError {
  readonly text: string;
  /** The counts hold in spite of it: what was asked and not counted has not left the machine. */
  readonly countsTrusted: boolean;
  /** A note of a bay that was not asked has moved. */
  readonly otherBays?: 'doubtful';
  /**
   * What ends it: `nothing` needs doing for the next command, `initialise` tries what moves notes
   * off the path, `person` must open the machine.
   */
  readonly cure: 'nothing' | 'initialise' | 'person';
}

/** An error whose counts hold. */
export const trusted = (cure: LcdmError['cure'], text: string): LcdmError => ({
  text,
  countsTrusted: true,
  cure,
});

/** An error after which a note may be out and not counted. */
export const doubtful = (cure: LcdmError['cure'], text: string): LcdmError => ({
  text,
  countsTrusted: false,
  cure,
});

/** A note came of a bay that was not asked, and is counted as one of the bay that was. */
export const ofOtherBay = (text: string): LcdmError => ({
  ...doubtful('initialise', text),
  otherBays: 'doubtful',
});

/** What is assumed of a code that is in no list: another firmware's table. */
export const UNLISTED: LcdmError = doubtful('initialise', 'an error that is in no list');

/** The code as people read it in the manual: two hex digits. */
export function errorWord(code: number): string {
  return code.toString(16).toUpperCase().padStart(2, '0');
}

/** An error as the service says it. */
export function asDispenseError(code: number, { cure, ...said }: LcdmError): DispenseError {
  return { code: errorWord(code), ...said };
}
