/**
 * The words of LCDM-1000 and LCDM-2000 (ID 50). Counts travel as two ASCII digits.
 * Source: Puloon LCDM-1000T interface specification 3.3, and public drivers of the LCDM-2000;
 * cash-hardware.md 7.2.
 */
import type { LcdmCommand, LcdmDialect } from '../dialect.ts';
import type { Id50Model } from '../models.ts';
import { ID50 } from '../wire.ts';

/** Most notes that one command may ask of a bay, rejected ones not counted. */
export const NOTES_MAX = 60;
/** The digit 0, and the error, status and skipped byte for nothing. */
export const ZERO = 0x30;
/** Highest count that two digits can say. */
const COUNT_MAX = 99;
/**
 * An error alone; a dispense that could not begin may be answered so. Source: one Python
 * driver.
 */
const ERROR_BYTES = 1;

/** The commands by name. */
export const commands = {
  /** Takes notes off the path to the reject tray; also what initialises the unit. */
  purge: { code: 0x44, requestBytes: 0, responseBytes: [ERROR_BYTES], moves: true },
  upperDispense: { code: 0x45, requestBytes: 2, responseBytes: [ERROR_BYTES, 8], moves: true },
  status: { code: 0x46, requestBytes: 0, responseBytes: [4], moves: false },
  romVersion: { code: 0x47, requestBytes: 0, responseBytes: [8], moves: false },
  lowerDispense: { code: 0x55, requestBytes: 2, responseBytes: [ERROR_BYTES, 8], moves: true },
  /**
   * Known, and never sent: public sources disagree whether its response says the counts of both
   * bays by sensor or by bay.
   */
  bothDispense: { code: 0x56, requestBytes: 4, responseBytes: [ERROR_BYTES, 15], moves: true },
  /** One note to the reject tray. */
  upperTestDispense: { code: 0x76, requestBytes: 0, responseBytes: [ERROR_BYTES, 8], moves: true },
  lowerTestDispense: { code: 0x77, requestBytes: 0, responseBytes: [ERROR_BYTES, 8], moves: true },
} as const satisfies Record<string, LcdmCommand>;

/** A command by name. */
export type CommandName = keyof typeof commands;

/** ID 50 on the line. */
export const id50Dialect: LcdmDialect = {
  id: ID50,
  commands,
  status: commands.status,
  hasEnd: false,
};

/** A count as two digits. @throws RangeError for more than 99. */
export function encodeCount(count: number): readonly number[] {
  if (!Number.isInteger(count) || count < 0 || count > COUNT_MAX) {
    throw new RangeError(`${count} does not fit two digits`);
  }
  return [ZERO + Math.floor(count / 10), ZERO + (count % 10)];
}

/** The count in two digits; undefined when they are none. */
export function decodeCount(
  tens: number | undefined,
  ones: number | undefined,
): number | undefined {
  const digits = [tens, ones].map((byte) => (byte ?? 0) - ZERO);
  const [high = -1, low = -1] = digits;
  return digits.every((digit) => digit >= 0 && digit <= 9) ? high * 10 + low : undefined;
}

/** The result of a command that dispenses from one bay. */
export interface Id50Result {
  readonly error: number;
  /** Notes that were picked; undefined with the rest where the response is an error alone. */
  readonly counts:
    | { readonly picked: number; readonly presented: number; readonly rejected: number }
    | undefined;
}

/**
 * The response to a dispense of one bay: CHK count, EXIT count, error, cassette status, reject
 * count; or an error alone. Undefined when a count is none.
 */
export function decodeResult(body: Uint8Array): Id50Result | undefined {
  if (body.length === ERROR_BYTES) return { error: body[0] ?? 0, counts: undefined };
  const picked = decodeCount(body[0], body[1]);
  const presented = decodeCount(body[2], body[3]);
  const error = body[4];
  const rejected = decodeCount(body[6], body[7]);
  if (picked === undefined || presented === undefined || rejected === undefined) return undefined;
  return error === undefined ? undefined : { error, counts: { picked, presented, rejected } };
}

/** STATUS in words. A sensor is named when a note stands before it. */
export interface Id50Status {
  readonly error: number;
  readonly sensors: {
    readonly check: boolean;
    readonly diverter: boolean;
    readonly eject: boolean;
    readonly exit: boolean;
  };
  readonly isRejectTrayOut: boolean;
  /** Top first. */
  readonly bays: readonly { readonly isNearEnd: boolean; readonly isRemoved: boolean }[];
}

/** Places of bits in the first sensor byte, which all models share. */
export const SENSOR0 = {
  check1: 0,
  check2: 1,
  diverter1: 2,
  diverter2: 3,
  eject: 4,
  exit: 5,
  nearEndUpper: 6,
} as const;
/** Bit 7 of the first sensor byte is always set, and so it is no control character. */
export const SENSOR0_BASE = 0x80;

/**
 * STATUS: 30, error, two sensor bytes. A set bit is a note before a sensor, a cassette or tray that
 * is out, a bay near its end. Source: a public C++ driver, which is alone in saying what is set.
 */
export function decodeStatus({ sensors, positions }: Id50Model, body: Uint8Array): Id50Status {
  const [, error = ZERO, first = 0, second = 0] = body;
  const isSet = (byte: number, place: number | undefined) =>
    place !== undefined && ((byte >> place) & 1) === 1;
  const { check3, check4, nearEndLower, rejectTray, cassettes } = sensors;
  return {
    error,
    sensors: {
      check:
        isSet(first, SENSOR0.check1) ||
        isSet(first, SENSOR0.check2) ||
        isSet(second, check3) ||
        isSet(second, check4),
      diverter: isSet(first, SENSOR0.diverter1) || isSet(first, SENSOR0.diverter2),
      eject: isSet(first, SENSOR0.eject),
      exit: isSet(first, SENSOR0.exit),
    },
    isRejectTrayOut: isSet(second, rejectTray),
    bays: positions.map((_, bay) => ({
      isNearEnd: bay === 0 ? isSet(first, SENSOR0.nearEndUpper) : isSet(second, nearEndLower),
      isRemoved: isSet(second, cassettes[bay]),
    })),
  };
}

/** Check values of known programs. Source: cash-hardware.md 7.2. */
export const ROM_CHECKS = { O16T: 'AD2C', O30T: '8013', T20T: '5624', T30T: 'B56D' } as const;

/** ROM VERSION: a name of four characters, O for one bay and T for two, and four check digits. */
export function decodeRomVersion(
  body: Uint8Array,
): { readonly letter: string; readonly name: string; readonly check: string } | undefined {
  const text = Buffer.from(body).toString('latin1');
  const [, name, letter, check] = /^(([A-Z])[0-9]{2}T)([0-9A-F]{4})$/.exec(text) ?? [];
  if (name === undefined || letter === undefined || check === undefined) return undefined;
  return { letter, name, check };
}
