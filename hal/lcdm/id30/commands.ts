/**
 * The words of the LCDM-4000 family (ID 30). Numbers travel as value + 20 hex.
 * Source: Puloon LCDM-4000 interface specification; cash-hardware.md 7.1.
 */
import type { LcdmCommand, LcdmDialect } from '../dialect.ts';
import { type Id30Model, LONG_STATUS_BODY_BYTES, STATUS_BODY_BYTES } from '../models.ts';
import { ID30 } from '../wire.ts';

/** Bays in every message, whether fitted or not. */
export const BAYS = 4;
/** What a number has added on the line. */
export const OFFSET = 0x20;
/** Most notes in one command, with the rejected ones. Source: cash-hardware.md 7.1. */
export const NOTES_MAX = 100;
/** Sequence numbers start again after this one: the highest that fits a byte without being FF. */
const SEQUENCE_MAX = 0xfe - OFFSET;
const DISPENSE_RESERVED_BYTES = 9;
const SEQUENCE_RESERVED_BYTES = 4;
const BAY_COUNT_BYTES = 3;
const BAY_STATUS_BYTES = 4;
/** The device measures lengths in slits. Source: Lamassu's driver; cash-hardware.md 7.1. */
const SLIT_MM = 0.785;

/** The commands by name. DISPENSE and TEST DISPENSE are as documented; see `Id30Model`. */
export const commands = {
  reset: { code: 0x44, requestBytes: 0, responseBytes: [1], moves: true },
  status: {
    code: 0x50,
    requestBytes: 0,
    responseBytes: [STATUS_BODY_BYTES, LONG_STATUS_BODY_BYTES],
    moves: false,
  },
  purge: { code: 0x51, requestBytes: 0, responseBytes: [14], moves: true },
  dispense: { code: 0x52, requestBytes: 15, responseBytes: [23], moves: true },
  testDispense: { code: 0x53, requestBytes: 15, responseBytes: [23], moves: true },
  lastStatus: { code: 0x55, requestBytes: 0, responseBytes: [15], moves: false },
  /** Moves five notes to the reject tray. */
  sensorDiagnostics: { code: 0x58, requestBytes: 1, responseBytes: [5], moves: true },
  setOpacities: { code: 0x5a, requestBytes: 8, responseBytes: [1], moves: false },
  getOpacities: { code: 0x5b, requestBytes: 0, responseBytes: [9], moves: false },
  setOrder: { code: 0x5c, requestBytes: 4, responseBytes: [1], moves: false },
  getOrder: { code: 0x5d, requestBytes: 0, responseBytes: [5], moves: false },
  setLengths: { code: 0x5e, requestBytes: 8, responseBytes: [1], moves: false },
  getLengths: { code: 0x5f, requestBytes: 0, responseBytes: [9], moves: false },
  getSequence: { code: 0x67, requestBytes: 0, responseBytes: [2], moves: false },
} as const satisfies Record<string, LcdmCommand>;

/** A command by name. */
export type CommandName = keyof typeof commands;

const commandNames = Object.keys(commands).filter((name): name is CommandName => name in commands);
const nameByCode = new Map<number, CommandName>(
  commandNames.map((name) => [commands[name].code, name]),
);

/** The name of a code; undefined for none of ours. */
export function commandOfCode(code: number): CommandName | undefined {
  return nameByCode.get(code);
}

/** ID 30 on the line. */
export const id30Dialect: LcdmDialect = {
  id: ID30,
  commands,
  status: commands.status,
  hasEnd: true,
};

/** Bytes that a model's DISPENSE and TEST DISPENSE have in their body. */
export function dispenseBytes(model: Id30Model): number {
  return model.dispenseForm === 'sequence'
    ? model.positions.length + SEQUENCE_RESERVED_BYTES + 1
    : BAYS + 2 + DISPENSE_RESERVED_BYTES;
}

/**
 * The body of DISPENSE or TEST DISPENSE: notes by bay, top first, without a time-out. The sequence
 * number is the one after the last; the documented form has none.
 */
export function encodeDispense(
  model: Id30Model,
  counts: readonly number[],
  sequence: number,
): readonly number[] {
  const number = (bay: number) => (counts[bay] ?? 0) + OFFSET;
  const blanks = (count: number) => Array.from({ length: count }, () => OFFSET);
  if (model.dispenseForm === 'sequence') {
    const asked = model.positions.map((_, bay) => number(bay));
    return [...asked, ...blanks(SEQUENCE_RESERVED_BYTES), sequence + OFFSET];
  }
  const asked = Array.from({ length: BAYS }, (_, bay) => number(bay));
  return [...asked, ...blanks(2 + DISPENSE_RESERVED_BYTES)];
}

/** The number that the next command must carry. How real units wrap is not documented. */
export function sequenceAfter(sequence: number): number {
  return sequence >= SEQUENCE_MAX ? 0 : sequence + 1;
}

/** What one bay did. */
export interface BayCounts {
  readonly presented: number;
  readonly rejected: number;
}

/** The result of a command that moves notes. */
export interface Id30Result {
  readonly error: number;
  /** Four, top first. */
  readonly bays: readonly BayCounts[];
}

/**
 * The counts in the response to DISPENSE, TEST DISPENSE or PURGE: ERR MISS 4 x {EXIT REJECT TYPE}.
 * Undefined when a number is none, or more than one command can move.
 */
export function decodeResult(body: Uint8Array): Id30Result | undefined {
  const error = decodeNumber(body[0]);
  const bays: BayCounts[] = [];
  for (let bay = 0; bay < BAYS; bay++) {
    const at = 2 + bay * BAY_COUNT_BYTES;
    const presented = decodeNumber(body[at]);
    const rejected = decodeNumber(body[at + 1]);
    if (presented === undefined || rejected === undefined) return undefined;
    if (presented > NOTES_MAX || rejected > NOTES_MAX) return undefined;
    bays.push({ presented, rejected });
  }
  return error === undefined ? undefined : { error, bays };
}

/** LAST STATUS: the code of the last PURGE, DISPENSE or TEST DISPENSE in front of its result. */
export function decodeLastStatus(
  body: Uint8Array,
): { readonly command: CommandName | undefined; readonly result: Id30Result } | undefined {
  const result = decodeResult(body.subarray(1));
  return result && { command: nameByCode.get(body[0] ?? 0), result };
}

/**
 * LAST STATUS without the TYPE of each bay, as hex: two of them differ only when a command ran in
 * between. TYPE is that of the cassette that is there now, and changes when one is put in.
 */
export function memoryOfLast(body: Uint8Array): string {
  const memory = Buffer.from(body);
  for (let bay = 0; bay < BAYS; bay++) {
    const type = 1 + 2 + bay * BAY_COUNT_BYTES + 2;
    if (type < memory.length) memory[type] = OFFSET;
  }
  return memory.toString('hex');
}

/** One bay in STATUS. */
export interface BayStatus {
  readonly isNearEnd: boolean;
  /** `other`: a cassette that is coded for another place. */
  readonly cassette: 'present' | 'removed' | 'other';
  /** TYPE less that of an empty bay: the number that the cassette is coded with; 0 for none. */
  readonly code: number;
}

/** STATUS in words. A sensor is named when something stands before it. */
export interface Id30Status {
  readonly error: number;
  readonly sensors: {
    readonly diverterLeft: boolean;
    readonly diverterRight: boolean;
    readonly eject: boolean;
    readonly exit: boolean;
    readonly reject: boolean;
  };
  readonly bays: readonly BayStatus[];
}

/** Bit of STAT that says near end. */
export const STAT_NEAR_END = 0x08;
/** TYPE of a bay without a cassette; one more for each place is a cassette. */
export const TYPE_REMOVED = 0x30;

/** STATUS: ERR DISP 4 x {STAT TYPE OPAC LENG}. */
export function decodeStatus(body: Uint8Array): Id30Status | undefined {
  const error = decodeNumber(body[0]);
  const disp = body[1];
  if (error === undefined || disp === undefined) return undefined;
  const bit = (place: number) => ((disp >> place) & 1) === 1;
  return {
    error,
    sensors: {
      diverterLeft: bit(0),
      diverterRight: bit(1),
      eject: bit(2),
      exit: bit(3),
      reject: bit(4),
    },
    bays: Array.from({ length: BAYS }, (_, bay) => {
      const [stat = 0, type = TYPE_REMOVED] = body.subarray(2 + bay * BAY_STATUS_BYTES);
      const present = type === TYPE_REMOVED + bay + 1 ? 'present' : 'other';
      return {
        isNearEnd: (stat & STAT_NEAR_END) !== 0,
        cassette: type === TYPE_REMOVED ? 'removed' : present,
        code: type - TYPE_REMOVED,
      };
    }),
  };
}

/** GET SEQUENCE NUMBER: ERR and the number of the last command that dispensed. */
export function decodeSequence(body: Uint8Array): number | undefined {
  return body[0] === OFFSET ? decodeNumber(body[1]) : undefined;
}

/** A note's length as the device counts it. @throws RangeError when it does not fit a byte. */
export function slitsOfLength(lengthMm: number): number {
  const slits = Math.floor(lengthMm / SLIT_MM);
  if (!(slits >= 1 && slits <= 0xff)) throw new RangeError(`no length of a note: ${lengthMm} mm`);
  return slits;
}

/** Values of the bays as two digits each, 30 to 3F. */
export function encodeNibbles(values: readonly number[]): readonly number[] {
  return values.flatMap((value) => [0x30 + (value >> 4), 0x30 + (value & 0x0f)]);
}

/** The values behind two digits each; undefined when a byte is no digit. */
export function decodeNibbles(bytes: Uint8Array): readonly number[] | undefined {
  if (bytes.length % 2 !== 0 || bytes.some((byte) => byte >> 4 !== 3)) return undefined;
  return Array.from(
    { length: bytes.length / 2 },
    (_, at) => (((bytes[at * 2] ?? 0) & 0x0f) << 4) | ((bytes[at * 2 + 1] ?? 0) & 0x0f),
  );
}

function decodeNumber(byte: number | undefined): number | undefined {
  return byte === undefined || byte < OFFSET ? undefined : byte - OFFSET;
}
