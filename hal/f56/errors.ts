/**
 * The unit's error words: two bytes, kind and detail. The kinds come from one secondary list only,
 * attributed to Fujitsu's error code list K3KD03234-0001; that counts stand in an error's response
 * is known from the field (lamassu-machine PR 353). Source: cash-hardware.md 6.5.
 */
import type { DispenseError } from '../cash-dispenser.ts';
import { BAYS } from './commands.ts';

/** What an error means for notes and for service. */
export interface F56Error {
  readonly text: string;
  /**
   * The counts hold in spite of it: the unit stopped before a note left its cassette, so what was
   * asked and not counted has not left the machine, and nothing stands inside.
   */
  readonly countsTrusted: boolean;
  /** A note of a cassette that was not asked has moved. */
  readonly otherBays?: 'doubtful';
  /** Notes stand inside for certain. */
  readonly leavesNotes: boolean;
  /** What ends it: every error needs INITIALISE, and some a person first. */
  readonly cure: 'initialise' | 'person';
}

const stopped = (cure: F56Error['cure'], text: string): F56Error => ({
  text,
  countsTrusted: true,
  leavesNotes: false,
  cure,
});
const doubtful = (cure: F56Error['cure'], text: string): F56Error => ({
  text,
  countsTrusted: false,
  leavesNotes: false,
  cure,
});
const stuck = (text: string): F56Error => ({
  text,
  countsTrusted: false,
  leavesNotes: true,
  cure: 'initialise',
});

const REJECT_BOX_MISSING = 0xb0;
const REJECT_BOX_FULL = 0xb5;

/** What may be wrong with a cassette, added to 10 hex times its place. */
const cassetteErrors: readonly [number, (bay: number) => F56Error][] = [
  [0x0, (bay) => stopped('initialise', `no cassette in bay ${bay}`)],
  [0x1, (bay) => stopped('initialise', `bay ${bay} is empty or low`)],
  [0x2, (bay) => doubtful('initialise', `the notes of bay ${bay} are not as they should be`)],
  [0x4, (bay) => doubtful('initialise', `the notes of bay ${bay} are not as they should be`)],
  [0x6, (bay) => stopped('initialise', `a note of bay ${bay} could not be picked up`)],
  [0x8, (bay) => stopped('initialise', `a note of bay ${bay} could not be picked up`)],
];

/** Errors by kind, the first byte; the second is a detail that they share. */
export const f56Errors: ReadonlyMap<number, F56Error> = new Map([
  [0x01, doubtful('person', 'system down')],
  [0x02, doubtful('person', 'system down')],
  [0x04, doubtful('person', 'system down')],
  ...Array.from({ length: BAYS }, (_, bay) => bay + 1).flatMap((bay) =>
    cassetteErrors.map(([kind, make]) => [(bay << 4) | kind, make(bay)] as const),
  ),
  [0x50, doubtful('initialise', 'the pool is not at its lower end')],
  [0x51, doubtful('initialise', 'the pool is not at its upper end')],
  [0x52, doubtful('initialise', 'no note in the pool')],
  [0x70, stuck('notes remain on the path')],
  [0x76, doubtful('initialise', 'a note was pulled out at the front')],
  [0x77, doubtful('initialise', 'a note was pulled out at the rear')],
  [0x78, stuck('jam on the path')],
  [0x7a, stuck('jam on the way to the reject box')],
  [0x7b, stuck('jam before the reject box')],
  [0x7c, stuck('jam at the exit')],
  [0x7d, stuck('jam between exit and pool')],
  [0x80, doubtful('initialise', 'notes too long')],
  [0x82, doubtful('initialise', 'notes too short')],
  [0x83, doubtful('initialise', 'notes too short')],
  [0x84, doubtful('initialise', 'notes too thick: two at once')],
  [
    0x85,
    { ...doubtful('initialise', 'a note came from the wrong cassette'), otherBays: 'doubtful' },
  ],
  [0x86, doubtful('initialise', 'notes too close to each other')],
  [0x88, doubtful('initialise', 'count mismatch')],
  [0x89, doubtful('person', 'the thickness sensor is out of order')],
  [0xa0, doubtful('initialise', 'the front shutter does not open')],
  [0xa1, doubtful('initialise', 'the front shutter does not open')],
  [0xa2, doubtful('initialise', 'the front shutter does not close')],
  [0xa4, doubtful('initialise', 'no note at the front exit')],
  [0xa7, doubtful('initialise', 'the front shutter is open')],
  [0xa9, doubtful('initialise', 'the rear shutter does not open')],
  [0xaa, doubtful('initialise', 'the rear shutter does not close')],
  [0xac, doubtful('initialise', 'no note at the rear exit')],
  [0xaf, doubtful('initialise', 'the rear shutter is open')],
  [REJECT_BOX_MISSING, stopped('person', 'no reject box')],
  [REJECT_BOX_FULL, doubtful('person', 'the reject box is full')],
  [0xb8, doubtful('person', 'no front capture box is fitted')],
  [0xb9, doubtful('person', 'no front capture box')],
  [0xba, doubtful('person', 'the front capture box is full')],
  [0xbc, doubtful('person', 'no rear capture box is fitted')],
  [0xbd, doubtful('person', 'no rear capture box')],
  [0xbe, doubtful('person', 'the rear capture box is full')],
  [0xc0, doubtful('person', 'a download is under way')],
  [0xc1, doubtful('person', 'a download has failed')],
  [0xe1, stopped('initialise', 'the unit was not initialised')],
  [0xe4, stopped('initialise', 'no lengths were given for a bay')],
  [0xe5, stopped('initialise', 'the command is out of its order')],
  [0xe6, stopped('initialise', 'a currency code that is none')],
  [0xe8, stopped('initialise', 'lengths or thickness that cannot be')],
  [0xea, stopped('initialise', 'a parameter that cannot be')],
  [0xec, stopped('initialise', 'the command does not end as it must')],
  [0xee, stopped('initialise', 'the command has a wrong form')],
  [0xef, doubtful('person', 'the pool is not in its place')],
  [0xf1, doubtful('person', 'too much current')],
  [0xf6, doubtful('person', 'the log has a wrong checksum')],
  [0xf8, doubtful('person', 'a sensor is dirty or out of order')],
  [0xfc, doubtful('initialise', 'no data of the last count is kept')],
  [0xfd, doubtful('initialise', 'the power went during a count')],
]);

/** What is assumed of a kind that is in no list. */
const UNKNOWN: F56Error = doubtful('initialise', 'an error that is in no list');

/** The meaning of a code, of which the high byte is the kind. */
export function f56Error(code: number): F56Error {
  return f56Errors.get(code >> 8) ?? UNKNOWN;
}

/** The code as people read it in the manual: four hex digits. */
export function errorWord(code: number): string {
  return code.toString(16).toUpperCase().padStart(4, '0');
}

/** An error as the service says it; undefined for none. */
export function dispenseError(code: number | undefined): DispenseError | undefined {
  if (code === undefined) return undefined;
  const { leavesNotes, cure, ...said } = f56Error(code);
  return { code: errorWord(code), ...said };
}

/** The unit says that the command was none, and so did nothing. */
export function isRefusal(code: number): boolean {
  const kind = code >> 8;
  return kind >= 0xe1 && kind <= 0xee && f56Errors.has(kind);
}

/** The bay that an error is about, from 1, and what it says of its cassette; undefined for none. */
export function cassetteOf(
  code: number,
): { readonly bay: number; readonly status: 'missing' | 'low' | 'unknown' } | undefined {
  const bay = code >> 12;
  if (bay < 1 || bay > BAYS) return undefined;
  const kind = (code >> 8) & 0x0f;
  return { bay, status: kind === 0 ? 'missing' : kind === 1 ? 'low' : 'unknown' };
}

/** What an error says of the reject box. */
export function rejectBoxOf(code: number | undefined): 'missing' | 'full' | 'unknown' {
  if (code === undefined) return 'unknown';
  if (code >> 8 === REJECT_BOX_MISSING) return 'missing';
  return code >> 8 === REJECT_BOX_FULL ? 'full' : 'unknown';
}
