/**
 * The words of F53 and F56 that are known from a driver in the field, and what they answer.
 * Source: lamassu-machine 8.6 `lib/f56`; cash-hardware.md 6.2 to 6.4.
 */

/** Cassettes in every command, whether fitted or not. */
export const BAYS = 4;
/** Most notes that two digits can ask of one bay. */
export const BAY_NOTES_MAX = 99;
/** Field separator: the last byte of every command. */
export const FIELD_SEPARATOR = 0x1c;

/** One command. */
export interface F56Command {
  /** Its first two bytes. */
  readonly code: readonly [number, number];
  /** Bytes of parameters, said in the third byte; STATUS has none, and does not say so. */
  readonly parameterBytes: number;
  /** The same in the response, in its third byte; undefined where no document says it. */
  readonly responseBytes: number | undefined;
  /** A note may move by it. */
  readonly moves: boolean;
}

/** The commands by name. */
export const commands = {
  status: { code: [0x00, 0x01], parameterBytes: 0, responseBytes: undefined, moves: false },
  /** Takes what stands inside out of the way: where to, it does not say. */
  initialise: { code: [0x60, 0x02], parameterBytes: 13, responseBytes: 0x34, moves: true },
  /** Picks and delivers. */
  billCount: { code: [0x60, 0x03], parameterBytes: 21, responseBytes: 0x99, moves: true },
} as const satisfies Record<string, F56Command>;

/** A command by name. */
export type CommandName = keyof typeof commands;
const commandNames = Object.keys(commands).filter((name): name is CommandName => name in commands);

/** First byte of a response that reports an error, whatever the command. */
export const RESPONSE_ERROR = 0xf0;
/** First byte of one that does not, to INITIALISE and BILL COUNT. */
export const RESPONSE_NORMAL = 0xe0;
/** ODR of INITIALISE. Polymer notes are looked at otherwise. */
const ODR_PAPER = 0x00;
const ODR_POLYMER = 0x40;
/** ODR of BILL COUNT, as it is known from the field. */
const ODR_COUNT = 0xe4;
/** Rejected notes that one bay may have in one command, as in the field. */
export const REJECTS_MAX = 4;
/** Tries to pick a note, as in the field. */
const PICK_TRIES = 3;

const ERROR_AT = 3;
const SENSORS_AT = 0x0c;
const SENSORS_END = 0x12;
/** Register and bit that say: notes at the exit. */
export const EXIT_AT = 0x0e;
/** See `EXIT_AT`. */
export const EXIT_BIT = 0x10;
/** Where the counts stand in a response to BILL COUNT, two digits for each bay. */
export const DISPENSED_AT = 0x27;
/** See `DISPENSED_AT`. */
export const REJECTED_AT = 0x2f;

/** What the notes of one bay measure: lengths in mm, thickness in hundredths of a mm. */
export interface NoteSize {
  readonly lengthMaxMm: number;
  readonly lengthMinMm: number;
  readonly thickness: number;
  readonly isPolymer: boolean;
}

/** Data of STATUS. */
export function encodeStatus(): readonly number[] {
  return [...commands.status.code, FIELD_SEPARATOR];
}

/**
 * Data of INITIALISE. A bay without notes has no length; the thickness is said for all four, and
 * for such a bay it is that of the first that has notes, as in the field.
 */
export function encodeInitialise(sizes: readonly (NoteSize | undefined)[]): readonly number[] {
  const bays = Array.from({ length: BAYS }, (_, bay) => sizes[bay]);
  const known = bays.filter((size) => size !== undefined);
  const isPolymer = known.some((size) => size.isPolymer);
  const usual = known[0]?.thickness ?? 0;
  return [
    ...commands.initialise.code,
    commands.initialise.parameterBytes,
    isPolymer ? ODR_POLYMER : ODR_PAPER,
    ...bays.flatMap((size) => [size?.lengthMaxMm ?? 0, size?.lengthMinMm ?? 0]),
    ...bays.map((size) => size?.thickness ?? usual),
    FIELD_SEPARATOR,
  ];
}

/** Data of BILL COUNT: notes by bay, top first. @throws RangeError beyond two digits. */
export function encodeBillCount(counts: readonly number[]): readonly number[] {
  const bays = Array.from({ length: BAYS }, (_, bay) => counts[bay] ?? 0);
  return [
    ...commands.billCount.code,
    commands.billCount.parameterBytes,
    ODR_COUNT,
    ...bays.flatMap(encodeNumber),
    ...bays.flatMap(() => encodeNumber(REJECTS_MAX)),
    ...bays.map(() => PICK_TRIES),
    FIELD_SEPARATOR,
  ];
}

/** A number as two ASCII digits with even parity in bit 7. @throws RangeError beyond 0 to 99. */
export function encodeNumber(value: number): readonly [number, number] {
  if (!Number.isInteger(value) || value < 0 || value > BAY_NOTES_MAX) {
    throw new RangeError(`two digits hold 0 to ${BAY_NOTES_MAX}, not ${value}`);
  }
  return [encodeDigit(Math.floor(value / 10)), encodeDigit(value % 10)];
}

/**
 * The number behind two digits; undefined when they are none. Bit 7 is not looked at: the CRC has
 * vouched for it, and drivers in the field do not look either.
 */
export function decodeNumber(
  tens: number | undefined,
  ones: number | undefined,
): number | undefined {
  const [high, low] = [decodeDigit(tens), decodeDigit(ones)];
  return high === undefined || low === undefined ? undefined : high * 10 + low;
}

function encodeDigit(digit: number): number {
  const ascii = 0x30 + digit;
  const isOdd = [...ascii.toString(2)].filter((bit) => bit === '1').length % 2 === 1;
  return isOdd ? ascii | 0x80 : ascii;
}

function decodeDigit(byte: number | undefined): number | undefined {
  const digit = ((byte ?? 0) & 0x7f) - 0x30;
  return digit >= 0 && digit <= 9 ? digit : undefined;
}

/** The command that a frame's data is; undefined for none of ours. */
export function commandOf(data: Uint8Array): CommandName | undefined {
  return commandNames.find((name) => {
    const [first, second] = commands[name].code;
    return data[0] === first && data[1] === second;
  });
}

/**
 * The command that a response answers. For STATUS no document says how its response begins, so that
 * is all which is no response to another command.
 */
export function answeredCommand(data: Uint8Array): CommandName {
  const isKnown = data[0] === RESPONSE_ERROR || data[0] === RESPONSE_NORMAL;
  if (isKnown && data[1] === commands.initialise.code[1]) return 'initialise';
  if (isKnown && data[1] === commands.billCount.code[1]) return 'billCount';
  return 'status';
}

/** The error that a response reports, kind in the high byte; undefined for none. */
export function errorCodeOf(data: Uint8Array): number | undefined {
  if (data[0] !== RESPONSE_ERROR) return undefined;
  return ((data[ERROR_AT] ?? 0) << 8) | (data[ERROR_AT + 1] ?? 0);
}

/** What one bay did. */
export interface BayCounts {
  readonly presented: number;
  readonly rejected: number;
}

/**
 * The counts in a response to BILL COUNT, four, top first; they are there in an error as well.
 * Undefined when the response is not as long as they need, or a digit is none.
 */
export function decodeBillCount(data: Uint8Array): readonly BayCounts[] | undefined {
  if (data[2] !== commands.billCount.responseBytes) return undefined;
  const bays: BayCounts[] = [];
  for (let bay = 0; bay < BAYS; bay++) {
    const at = 2 * bay;
    const presented = decodeNumber(data[DISPENSED_AT + at], data[DISPENSED_AT + at + 1]);
    const rejected = decodeNumber(data[REJECTED_AT + at], data[REJECTED_AT + at + 1]);
    if (presented === undefined || rejected === undefined) return undefined;
    bays.push({ presented, rejected });
  }
  return bays;
}

/** STATUS in words. */
export interface F56Status {
  readonly errorCode: number | undefined;
  readonly hasNotesAtExit: boolean;
  /** All sensor registers: most of their bits are not known to us, and a technician may know. */
  readonly sensorsHex: string;
}

/** Reads a response to STATUS; undefined when it does not reach to the sensors. */
export function decodeStatus(data: Uint8Array): F56Status | undefined {
  const exit = data[EXIT_AT];
  if (exit === undefined || data.length < SENSORS_END) return undefined;
  return {
    errorCode: errorCodeOf(data),
    hasNotesAtExit: (exit & EXIT_BIT) !== 0,
    sensorsHex: Buffer.from(data.subarray(SENSORS_AT, SENSORS_END)).toString('hex'),
  };
}
