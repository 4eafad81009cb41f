/**
 * Every word of CCNET between a controller and a bill validator, one table each way; the types are
 * inferred from the tables. A code may mean a command one way and a state the other way: direction
 * decides. Source: CashCode NET, bill validator; cash-hardware.md 3.3, 3.4.
 */
import type { RefuseReason } from '../cash-acceptor.ts';

interface CommandDefinition {
  readonly code: number;
  /** Bytes of data behind the code. */
  readonly body: number;
  /**
   * `ack`: the device says ACK. `state`: one or two bytes that are acknowledged. A number: so many
   * bytes that are acknowledged.
   */
  readonly reply: 'ack' | 'state' | 'none' | number;
  /** It may move a note: it is sent once. */
  readonly moves: boolean;
}

/** Controller to validator. */
export const commands = {
  ack: { code: 0x00, body: 0, reply: 'none', moves: false },
  nak: { code: 0xff, body: 0, reply: 'none', moves: false },
  reset: { code: 0x30, body: 0, reply: 'ack', moves: true },
  /** Three bytes of enabled types, three of types under high security. */
  getStatus: { code: 0x31, body: 0, reply: 6, moves: false },
  setSecurity: { code: 0x32, body: 3, reply: 'ack', moves: false },
  poll: { code: 0x33, body: 0, reply: 'state', moves: false },
  /** Three bytes of types to accept, three of types to stop in escrow. */
  enableBillTypes: { code: 0x34, body: 6, reply: 'ack', moves: false },
  stack: { code: 0x35, body: 0, reply: 'ack', moves: true },
  return: { code: 0x36, body: 0, reply: 'ack', moves: true },
  /** 15 bytes of part number, 12 of serial number, 7 of asset number. */
  identification: { code: 0x37, body: 0, reply: 34, moves: false },
  hold: { code: 0x38, body: 0, reply: 'ack', moves: false },
  setBarcodeParameters: { code: 0x39, body: 2, reply: 'ack', moves: false },
  /** Its answer is as long as the bar code. */
  extractBarcodeData: { code: 0x3a, body: 0, reply: 'state', moves: false },
  /** 24 times value, three letters of country, exponent. */
  getBillTable: { code: 0x41, body: 0, reply: 120, moves: false },
  download: { code: 0x50, body: 0, reply: 'ack', moves: false },
  crc32OfTheCode: { code: 0x51, body: 0, reply: 4, moves: false },
  /** Its form differs between models. */
  requestStatistics: { code: 0x60, body: 0, reply: 'state', moves: false },
  diagnostics: { code: 0xf0, body: 1, reply: 'state', moves: false },
} as const satisfies Record<string, CommandDefinition>;

/** A command by name. */
export type CommandName = keyof typeof commands;

/** Commands of bill-to-bill units only: known, and never sent. */
export const billToBillCommands: Readonly<Record<number, string>> = {
  59: 'recycling cassette status',
  60: 'dispense',
  61: 'unload',
  62: 'escrow cassette status',
  63: 'escrow cassette unload',
  64: 'set recycling cassette type',
};

interface StatusDefinition {
  readonly code: number;
  readonly text: string;
  /** It carries one byte that says which note, reason, failure or time. */
  readonly detail: boolean;
}

/** Validator to controller: the states, in answer to POLL. */
export const statuses = {
  powerUp: { code: 0x10, text: 'power up', detail: false },
  powerUpInValidator: { code: 0x11, text: 'power up, note in validator', detail: false },
  powerUpInStacker: { code: 0x12, text: 'power up, note in stacker', detail: false },
  initialising: { code: 0x13, text: 'initialising', detail: false },
  idling: { code: 0x14, text: 'idling', detail: false },
  accepting: { code: 0x15, text: 'accepting', detail: false },
  stacking: { code: 0x17, text: 'stacking', detail: false },
  returning: { code: 0x18, text: 'returning', detail: false },
  disabled: { code: 0x19, text: 'disabled', detail: false },
  holding: { code: 0x1a, text: 'holding', detail: false },
  /** Detail: for so many times 100 ms. */
  busy: { code: 0x1b, text: 'busy', detail: true },
  rejecting: { code: 0x1c, text: 'rejecting', detail: true },
  cassetteFull: { code: 0x41, text: 'cash box full', detail: false },
  cassetteRemoved: { code: 0x42, text: 'cash box removed', detail: false },
  jamInValidator: { code: 0x43, text: 'jam in the validator', detail: false },
  jamInCassette: { code: 0x44, text: 'jam at the cash box', detail: false },
  cheated: { code: 0x45, text: 'cheat sensed', detail: false },
  pause: { code: 0x46, text: 'a second note must be taken back', detail: false },
  failure: { code: 0x47, text: 'failure', detail: true },
  /** Detail: the note's type, its line in the bill table. So have the next two. */
  escrow: { code: 0x80, text: 'escrow', detail: true },
  billStacked: { code: 0x81, text: 'note stacked', detail: true },
  billReturned: { code: 0x82, text: 'note returned', detail: true },
} as const satisfies Record<string, StatusDefinition>;

/** A state by name. */
export type StatusName = keyof typeof statuses;

/**
 * Where IDENTIFICATION, GET BILL TABLE and CRC32 are answered; elsewhere they are illegal. BILL
 * STACKED and BILL RETURNED are events on the way to a state of rest, and may hide such a one.
 * Source: CashCode NET, list of states of each command: power-up, initialise, failures, disabled.
 */
export const answeringStatuses: ReadonlySet<StatusName> = new Set<StatusName>([
  ...(['powerUp', 'powerUpInValidator', 'powerUpInStacker', 'initialising', 'disabled'] as const),
  ...(['cassetteFull', 'cassetteRemoved', 'jamInValidator', 'jamInCassette'] as const),
  ...(['cheated', 'pause', 'failure'] as const),
]);

/** Answers that are no state. */
export const replies = {
  acknowledge: 0x00,
  illegalCommand: 0x30,
  notUnderstood: 0xff,
} as const;

/** States of bill-to-bill units: known, so that they are told from noise, and not supported. */
export const billToBillStatuses: Readonly<Record<number, string>> = {
  29: 'dispensing',
  30: 'unloading',
  33: 'setting recycling cassette type',
  37: 'dispensed',
  38: 'unloaded',
  40: 'invalid number of notes',
  41: 'recycling cassette type set',
};

interface RejectDefinition {
  readonly text: string;
  readonly reason: RefuseReason;
}

/** Why the device rejects a note: the byte behind GENERIC REJECTING. */
export const rejectReasons: Readonly<Record<number, RejectDefinition>> = {
  96: { text: 'insertion', reason: 'insertion' },
  97: { text: 'dielectric or magnetic', reason: 'unrecognised' },
  98: { text: 'note remaining in the head', reason: 'conveying' },
  99: { text: 'multiple notes', reason: 'multiple' },
  100: { text: 'conveying', reason: 'conveying' },
  101: { text: 'identification', reason: 'unrecognised' },
  102: { text: 'verification', reason: 'unrecognised' },
  103: { text: 'optic', reason: 'unrecognised' },
  104: { text: 'inhibited', reason: 'inhibited' },
  105: { text: 'capacity', reason: 'unrecognised' },
  106: { text: 'operation', reason: 'hardware' },
  108: { text: 'length', reason: 'length' },
  109: { text: 'ultraviolet', reason: 'unrecognised' },
  146: { text: 'unrecognised bar code', reason: 'other' },
  147: { text: 'number of characters of the bar code', reason: 'other' },
  148: { text: 'start of the bar code', reason: 'other' },
  149: { text: 'end of the bar code', reason: 'other' },
};

/** What failed: the byte behind GENERIC FAILURE. */
export const failures: Readonly<Record<number, string>> = {
  34: 'recovery',
  35: 'calibration',
  48: 'boot',
  80: 'stack motor',
  81: 'transport motor speed',
  82: 'transport motor',
  83: 'aligning motor',
  84: 'initial cassette status',
  85: 'optic canal',
  86: 'magnetic canal',
  87: 'sensor board 1',
  88: 'sensor board 2',
  89: 'sensor board 3',
  95: 'capacitance canal',
  96: 'sensor board 4',
  244: 'stacker, unknown',
  254: 'cover open',
};

/** A state as the device said it. */
export interface CcnetStatus {
  readonly name: StatusName;
  /** Note type, reject reason, failure code or time. */
  readonly detail: number | undefined;
}

const STATUS_BY_CODE: ReadonlyMap<number, StatusName> = new Map(
  Object.entries(statuses).flatMap(([name, { code }]) =>
    isStatusName(name) ? [[code, name] as const] : [],
  ),
);

const COMMAND_BY_CODE: ReadonlyMap<number, CommandName> = new Map(
  Object.entries(commands).flatMap(([name, { code }]) =>
    isCommandName(name) ? [[code, name] as const] : [],
  ),
);

/** The state in an answer's body; undefined when it is none of a bill validator's. */
export function decodeStatus(body: Uint8Array): CcnetStatus | undefined {
  const name = STATUS_BY_CODE.get(body[0] ?? -1);
  if (name === undefined) return undefined;
  const bytes = statuses[name].detail ? 2 : 1;
  return body.length === bytes ? { name, detail: body[1] } : undefined;
}

/** The command in a body from the controller; undefined for an unknown code. */
export function decodeCommand(body: Uint8Array): CommandName | undefined {
  return COMMAND_BY_CODE.get(body[0] ?? -1);
}

/** The code as devices' manuals write it, as `1C`. */
export function hexCode(code: number): string {
  return code.toString(16).toUpperCase().padStart(2, '0');
}

/** A state's own code, as `1C:68`. */
export function statusCode(status: CcnetStatus): string {
  const code = hexCode(statuses[status.name].code);
  return status.detail === undefined ? code : `${code}:${hexCode(status.detail)}`;
}

/** A state in words, as `1C:68 rejecting: inhibited`. */
export function describeStatus(status: CcnetStatus): string {
  const words = `${statusCode(status)} ${statuses[status.name].text}`;
  const more =
    status.name === 'rejecting'
      ? rejectReasons[status.detail ?? 0]?.text
      : status.name === 'failure'
        ? failures[status.detail ?? 0]
        : undefined;
  return more === undefined ? words : `${words}: ${more}`;
}

function isStatusName(name: string): name is StatusName {
  return name in statuses;
}

function isCommandName(name: string): name is CommandName {
  return name in commands;
}
