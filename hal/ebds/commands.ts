/**
 * Every word of EBDS, one table each way; the types are inferred from the tables. The omnibus
 * command sets everything and asks everything at once; what did not fit into it became the
 * auxiliary and extended commands.
 * Source: EBDS; cash-hardware.md 4.2 to 4.5.
 */
import type { EbdsFrame } from './wire.ts';

/** Message types, in the control byte. */
export const messageTypes = {
  omnibusCommand: 1,
  omnibusReply: 2,
  bookmark: 3,
  calibrate: 4,
  flashDownload: 5,
  auxiliary: 6,
  extended: 7,
} as const;

/** Bits of the omnibus command's second byte: how the device works, and what to do with a note. */
export const modeBits = {
  specialInterrupt: 0x01,
  highSecurity: 0x02,
  /** Both bits of the orientation: any way up and any way round. */
  fourWay: 0x0c,
  escrow: 0x10,
  stack: 0x20,
  return: 0x40,
} as const;

/** Bits of the omnibus command's third byte. */
export const configurationBits = {
  noPush: 0x01,
  barcode: 0x02,
  /**
   * Power-up policy B: a note in escrow is held, one past escrow is stacked and reported with its
   * value. A, 00, and C, 10, stack it and report no value.
   */
  powerUpPolicyB: 0x04,
  powerUpPolicyC: 0x08,
  extendedNotes: 0x10,
  extendedCoupons: 0x20,
} as const;

interface AuxiliaryDefinition {
  readonly code: number;
  /** Bytes of data in the answer. */
  readonly replyBytes: number;
}

/** Auxiliary commands: `00 00 code`. On Pyramid's devices these codes mean other things. */
export const auxiliaryCommands = {
  softwareCrc: { code: 0x00, replyBytes: 6 },
  cashInCassette: { code: 0x01, replyBytes: 6 },
  resets: { code: 0x02, replyBytes: 6 },
  clearCashCounter: { code: 0x03, replyBytes: 6 },
  type: { code: 0x04, replyBytes: 20 },
  serialNumber: { code: 0x05, replyBytes: 20 },
  bootPartNumber: { code: 0x06, replyBytes: 9 },
  applicationPartNumber: { code: 0x07, replyBytes: 9 },
  variantName: { code: 0x08, replyBytes: 32 },
  variantPartNumber: { code: 0x09, replyBytes: 9 },
  auditLifeTime: { code: 0x0a, replyBytes: 48 },
  auditQuality: { code: 0x0b, replyBytes: 56 },
  auditPerformance: { code: 0x0c, replyBytes: 72 },
  capabilities: { code: 0x0d, replyBytes: 6 },
  applicationId: { code: 0x0e, replyBytes: 9 },
  variantId: { code: 0x0f, replyBytes: 9 },
} as const satisfies Record<string, AuxiliaryDefinition>;

/** An auxiliary command by name. */
export type AuxiliaryName = keyof typeof auxiliaryCommands;

/** All three bytes of the auxiliary command that starts the device again. */
export const SOFT_RESET = 0x7f;

/** Extended commands, by the first byte of their data. */
export const extendedCommands = {
  barcode: 0x01,
  noteSpecification: 0x02,
  noteInhibits: 0x03,
  escrowTimeout: 0x04,
  valueTable: 0x06,
  noteRetrieved: 0x0b,
  advancedBookmark: 0x0d,
  clearAudit: 0x1d,
} as const;

/** Sent unasked, as one bare byte, in special interrupt mode when the state has changed. */
export const ENQUIRY = 0x05;

interface CommandDefinition {
  readonly type: number;
  /** It may move a note: it is sent once. */
  readonly moves: boolean;
}

/** What the driver sends. */
export const commands = {
  poll: { type: messageTypes.omnibusCommand, moves: false },
  stack: { type: messageTypes.omnibusCommand, moves: true },
  return: { type: messageTypes.omnibusCommand, moves: true },
  softReset: { type: messageTypes.auxiliary, moves: true },
  auxiliary: { type: messageTypes.auxiliary, moves: false },
  noteSpecification: { type: messageTypes.extended, moves: false },
  noteInhibits: { type: messageTypes.extended, moves: false },
} as const satisfies Record<string, CommandDefinition>;

/** A command by name. */
export type CommandName = keyof typeof commands;

interface FlagDefinition {
  /** Byte of the reply's data. */
  readonly byte: 0 | 1 | 2 | 3;
  readonly bit: number;
  readonly text: string;
}

/** Device to host: the bits of every omnibus reply. */
export const flags = {
  idling: { byte: 0, bit: 0, text: 'idling' },
  accepting: { byte: 0, bit: 1, text: 'accepting' },
  escrowed: { byte: 0, bit: 2, text: 'escrowed' },
  stacking: { byte: 0, bit: 3, text: 'stacking' },
  /** Said in one reply only: this is the credit. */
  stacked: { byte: 0, bit: 4, text: 'stacked' },
  returning: { byte: 0, bit: 5, text: 'returning' },
  /** Said in one reply only. */
  returned: { byte: 0, bit: 6, text: 'returned' },
  cheated: { byte: 1, bit: 0, text: 'cheat sensed' },
  /** Said in one reply only. */
  rejected: { byte: 1, bit: 1, text: 'rejected' },
  jammed: { byte: 1, bit: 2, text: 'jammed' },
  stackerFull: { byte: 1, bit: 3, text: 'cash box full' },
  /** Clear when the cash box is out. */
  cassetteAttached: { byte: 1, bit: 4, text: 'cash box in' },
  paused: { byte: 1, bit: 5, text: 'a second note must be taken back' },
  calibrating: { byte: 1, bit: 6, text: 'calibrating' },
  powerUp: { byte: 2, bit: 0, text: 'power up' },
  invalidCommand: { byte: 2, bit: 1, text: 'invalid command' },
  failure: { byte: 2, bit: 2, text: 'failure' },
  transportOpen: { byte: 2, bit: 6, text: 'note path open' },
  stalled: { byte: 3, bit: 0, text: 'stalled' },
  flashDownload: { byte: 3, bit: 1, text: 'waiting for a flash download' },
  preStack: { byte: 3, bit: 2, text: 'past the point of no return' },
  rawBarcode: { byte: 3, bit: 3, text: 'raw bar codes' },
  deviceCapabilities: { byte: 3, bit: 4, text: 'tells its capabilities' },
  disabled: { byte: 3, bit: 5, text: 'disabled' },
} as const satisfies Record<string, FlagDefinition>;

/** A bit of the reply by name. */
export type FlagName = keyof typeof flags;

/** Bytes of data in an omnibus reply. */
const STATUS_BYTES = 6;
/**
 * Bytes of a note specification: index, currency, value, sign, exponent, and what it looks
 * like.
 */
const NOTE_BYTES = 18;
/** Bits 3 to 5 of the third byte: the channel, 1 to 7, where notes are not extended. */
const CHANNEL_SHIFT = 3;
const CHANNEL_MASK = 0x07;

/** A note as an extended reply describes it. */
export interface ExtendedNote {
  /** Its line in the note table; 0 for a note that is in the device now. */
  readonly index: number;
  /** ISO 4217. */
  readonly currency: string;
  /** Three digits, to be multiplied by ten to the exponent. */
  readonly base: number;
  readonly exponent: number;
  /** 0 where the device does not classify; 4 is genuine, 1 to 3 are not. */
  readonly classification: number;
}

/** An omnibus reply, or the part of an extended one that is the same. */
export interface EbdsStatus {
  readonly bytes: Uint8Array;
  /** Which of 1 to 7 the note is; 0 when there is none, or it has no value. */
  readonly channel: number;
  /** It is a reply with room for a note: the note is described, or there is none. */
  readonly isExtended: boolean;
  /** What an extended reply says of the note; undefined in others, and where nothing is said. */
  readonly note: ExtendedNote | undefined;
  /** 0 is an acceptor, 1 a recycler. */
  readonly deviceType: number;
}

/** What a frame from the device says. */
export type EbdsReply =
  | { readonly kind: 'status'; readonly status: EbdsStatus }
  | { readonly kind: 'auxiliary'; readonly data: Uint8Array };

/** What a frame from the device says; undefined when a device does not say such a thing. */
export function decodeReply({ type, deviceType, data }: EbdsFrame): EbdsReply | undefined {
  switch (type) {
    case messageTypes.omnibusReply:
      return data.length === STATUS_BYTES ? statusOf(deviceType, data) : undefined;
    case messageTypes.auxiliary:
      return { kind: 'auxiliary', data };
    case messageTypes.extended:
      return decodeExtended(deviceType, data);
    default:
      return undefined;
  }
}

/** Whether a bit is set. */
export function has({ bytes }: EbdsStatus, name: FlagName): boolean {
  const { byte, bit } = flags[name];
  return (((bytes[byte] ?? 0) >> bit) & 1) === 1;
}

/** The model number: what tells one family from another. */
export function modelCode({ bytes }: EbdsStatus): number {
  return bytes[4] ?? 0;
}

/** The revision of its program, times ten. */
export function revision({ bytes }: EbdsStatus): number {
  return bytes[5] ?? 0;
}

/** All seven bits of the state are clear: it takes no notes, whatever is asked of it. */
export function isOutOfService({ bytes }: EbdsStatus): boolean {
  return bytes[0] === 0;
}

/** A bit's place as manuals write it, as `d1.2`. */
export function flagCode(name: FlagName): string {
  return `d${flags[name].byte}.${flags[name].bit}`;
}

/** A byte as manuals write it, as `0B`. */
export function hexCode(code: number): string {
  return code.toString(16).toUpperCase().padStart(2, '0');
}

/** Bits that are said of every state, or of none. */
const UNSAID: readonly FlagName[] = ['cassetteAttached', 'rawBarcode', 'deviceCapabilities'];

/** A status in words, with the bytes that say it, as `11 10 18 00 idling, stacked, channel 3`. */
export function describeStatus(state: EbdsStatus): string {
  const codes = [...state.bytes.subarray(0, 4)].map(hexCode).join(' ');
  const words: string[] = flagNames
    .filter((name) => has(state, name) && !UNSAID.includes(name))
    .map((name) => flags[name].text);
  if (isOutOfService(state)) words.push('out of service');
  if (!has(state, 'cassetteAttached')) words.push('cash box out');
  if (state.channel > 0) words.push(`channel ${state.channel}`);
  if (state.note) words.push(describeNote(state.note));
  return `${codes} ${words.join(', ')}`;
}

/** A note in words, as `USD 20E0`. */
export function describeNote({ currency, base, exponent }: ExtendedNote): string {
  return `${currency} ${base}E${exponent}`;
}

/** Every bit, in the order of the reply. */
export const flagNames: readonly FlagName[] = Object.keys(flags).filter(
  (name): name is FlagName => name in flags,
);

function decodeExtended(deviceType: number, data: Uint8Array): EbdsReply | undefined {
  const [subtype] = data;
  const bytes = data.subarray(1, 1 + STATUS_BYTES);
  const rest = data.subarray(1 + STATUS_BYTES);
  if (bytes.length < STATUS_BYTES) return undefined;
  if (subtype !== extendedCommands.noteSpecification) return statusOf(deviceType, bytes);
  if (rest.length !== NOTE_BYTES) return undefined;
  return statusOf(deviceType, bytes, { isExtended: true, note: decodeNote(rest) });
}

function statusOf(
  deviceType: number,
  bytes: Uint8Array,
  described: Pick<EbdsStatus, 'isExtended' | 'note'> = { isExtended: false, note: undefined },
): EbdsReply {
  const channel = ((bytes[2] ?? 0) >> CHANNEL_SHIFT) & CHANNEL_MASK;
  return { kind: 'status', status: { bytes, channel, deviceType, ...described } };
}

/** A note whose every field is what it must be; all zero is none. */
function decodeNote(bytes: Uint8Array): ExtendedNote | undefined {
  const text = Buffer.from(bytes).toString('latin1');
  const fields = /^([A-Z]{3})(\d{3})([+-])(\d{2})$/.exec(text.slice(1, 10));
  if (!fields) return undefined;
  const [, currency = '', base, sign, exponent] = fields;
  return {
    index: bytes[0] ?? 0,
    currency,
    base: Number(base),
    exponent: sign === '-' ? 0 - Number(exponent) : Number(exponent),
    classification: bytes[15] ?? 0,
  };
}
