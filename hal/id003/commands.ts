/**
 * Every word of ID-003, one table each way; the types are inferred from the tables. A code may mean
 * a command one way and a state the other way (40 to 44): direction decides.
 * Source: JCM ID-003 protocol; cash-hardware.md 2.2 to 2.4.
 */
import type { RefuseReason } from '../cash-acceptor.ts';
import type { Id003Frame } from './wire.ts';

interface CommandDefinition {
  readonly code: number;
  /** Bytes of data. */
  readonly body: number;
  /** `echo`: the same frame comes back. `data`: the same code with data. */
  readonly reply: 'status' | 'ack' | 'echo' | 'data' | 'none';
  /** It may move a note: it is sent once. */
  readonly moves: boolean;
}

/** Host to device. */
export const commands = {
  statusRequest: { code: 0x11, body: 0, reply: 'status', moves: false },
  reset: { code: 0x40, body: 0, reply: 'ack', moves: true },
  stack1: { code: 0x41, body: 0, reply: 'ack', moves: true },
  stack2: { code: 0x42, body: 0, reply: 'ack', moves: true },
  return: { code: 0x43, body: 0, reply: 'ack', moves: true },
  hold: { code: 0x44, body: 0, reply: 'ack', moves: false },
  wait: { code: 0x45, body: 0, reply: 'ack', moves: false },
  stack3: { code: 0x49, body: 0, reply: 'ack', moves: true },
  ack: { code: 0x50, body: 0, reply: 'none', moves: false },
  getDenominations: { code: 0x80, body: 0, reply: 'data', moves: false },
  getSecurity: { code: 0x81, body: 0, reply: 'data', moves: false },
  getCommunicationMode: { code: 0x82, body: 0, reply: 'data', moves: false },
  getInhibit: { code: 0x83, body: 0, reply: 'data', moves: false },
  getDirection: { code: 0x84, body: 0, reply: 'data', moves: false },
  getOptionalFunction: { code: 0x85, body: 0, reply: 'data', moves: false },
  getBarcodeFunction: { code: 0x86, body: 0, reply: 'data', moves: false },
  getBarcodeInhibit: { code: 0x87, body: 0, reply: 'data', moves: false },
  version: { code: 0x88, body: 0, reply: 'data', moves: false },
  bootVersion: { code: 0x89, body: 0, reply: 'data', moves: false },
  currencyTable: { code: 0x8a, body: 0, reply: 'data', moves: false },
  setDenominations: { code: 0xc0, body: 2, reply: 'echo', moves: false },
  setSecurity: { code: 0xc1, body: 2, reply: 'echo', moves: false },
  setCommunicationMode: { code: 0xc2, body: 1, reply: 'echo', moves: false },
  setInhibit: { code: 0xc3, body: 1, reply: 'echo', moves: false },
  setDirection: { code: 0xc4, body: 1, reply: 'echo', moves: false },
  setOptionalFunction: { code: 0xc5, body: 2, reply: 'echo', moves: false },
  setBarcodeFunction: { code: 0xc6, body: 2, reply: 'echo', moves: false },
  setBarcodeInhibit: { code: 0xc7, body: 1, reply: 'echo', moves: false },
} as const satisfies Record<string, CommandDefinition>;

/** A command by name. */
export type CommandName = keyof typeof commands;

interface StatusDefinition {
  readonly code: number;
  readonly text: string;
  /** It carries one byte that says which note, reason or failure. */
  readonly detail: boolean;
}

/** Device to host: the states, in answer to a status request. */
export const statuses = {
  idling: { code: 0x11, text: 'idling', detail: false },
  accepting: { code: 0x12, text: 'accepting', detail: false },
  /** Detail: the escrow code of the currency table; 6F is a bar code and has more bytes. */
  escrow: { code: 0x13, text: 'escrow', detail: true },
  stacking: { code: 0x14, text: 'stacking', detail: false },
  vendValid: { code: 0x15, text: 'vend valid', detail: false },
  stacked: { code: 0x16, text: 'stacked', detail: false },
  rejecting: { code: 0x17, text: 'rejecting', detail: true },
  returning: { code: 0x18, text: 'returning', detail: false },
  holding: { code: 0x19, text: 'holding', detail: false },
  disabled: { code: 0x1a, text: 'disabled', detail: false },
  initialising: { code: 0x1b, text: 'initialising', detail: false },
  powerUp: { code: 0x40, text: 'power up', detail: false },
  powerUpInAcceptor: { code: 0x41, text: 'power up, note in acceptor', detail: false },
  powerUpInStacker: { code: 0x42, text: 'power up, note in stacker', detail: false },
  stackerFull: { code: 0x43, text: 'cash box full', detail: false },
  stackerOpen: { code: 0x44, text: 'cash box removed', detail: false },
  jamInAcceptor: { code: 0x45, text: 'jam in the acceptor', detail: false },
  jamInStacker: { code: 0x46, text: 'jam in the stacker', detail: false },
  pause: { code: 0x47, text: 'a second note must be taken back', detail: false },
  cheated: { code: 0x48, text: 'cheat sensed', detail: false },
  failure: { code: 0x49, text: 'failure', detail: true },
} as const satisfies Record<string, StatusDefinition>;

/** A state by name. */
export type StatusName = keyof typeof statuses;

/** Answers that are no state. */
export const replies = {
  /** Sent unasked in interrupt mode when the state has changed. */
  enquiry: 0x05,
  acknowledge: 0x50,
  communicationError: 0x4a,
  invalidCommand: 0x4b,
} as const;

/** States of recyclers: known, so that they are told from noise, and not supported. */
export const recyclerStatuses: Readonly<Record<number, string>> = {
  32: 'paying',
  33: 'collecting',
  34: 'collected',
  35: 'pay valid',
  36: 'pay stay',
  37: 'return to box',
  38: 'return pay-out note',
  47: 'return error',
  76: 'recycler error',
};

/** First byte of the recyclers' extended frames, both ways. */
export const RECYCLER_EXTENDED = 0xf0;

interface RejectDefinition {
  readonly text: string;
  readonly reason: RefuseReason;
}

/** Why the device rejects a note: the byte after REJECTING. */
export const rejectReasons: Readonly<Record<number, RejectDefinition>> = {
  113: { text: 'insertion', reason: 'insertion' },
  114: { text: 'magnetic pattern', reason: 'unrecognised' },
  115: { text: 'note remaining in the head', reason: 'conveying' },
  116: { text: 'compensation', reason: 'hardware' },
  117: { text: 'conveying', reason: 'conveying' },
  118: { text: 'denomination assessing', reason: 'unrecognised' },
  119: { text: 'photo pattern 1', reason: 'unrecognised' },
  120: { text: 'photo level', reason: 'unrecognised' },
  121: { text: 'inhibited', reason: 'inhibited' },
  122: { text: 'unknown', reason: 'other' },
  123: { text: 'operation', reason: 'hardware' },
  124: { text: 'note remaining in the stacker', reason: 'conveying' },
  125: { text: 'length', reason: 'length' },
  126: { text: 'photo pattern 2', reason: 'unrecognised' },
  127: { text: 'true bill', reason: 'unrecognised' },
  152: { text: 'multiple notes', reason: 'multiple' },
  155: { text: 'ticket with the wrong side up', reason: 'insertion' },
};

/** What failed: the byte after FAILURE. */
export const failures: Readonly<Record<number, string>> = {
  162: 'stack motor',
  165: 'transport motor speed',
  166: 'transport motor',
  167: 'aligning motor',
  171: 'cash box not ready',
  172: 'optical sensor',
  173: 'magnetic sensor',
  175: 'head removed',
  176: 'boot ROM',
  177: 'external ROM',
  178: 'ROM',
  179: 'external ROM write',
};

/** A state as the device said it. */
export interface Id003Status {
  readonly name: StatusName;
  /** Escrow code, reject reason or failure code. */
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

/** The state in a frame from the device; undefined when it is none of a validator's. */
export function decodeStatus(frame: Id003Frame): Id003Status | undefined {
  const name = STATUS_BY_CODE.get(frame.code);
  if (name === undefined) return undefined;
  const detail = frame.data[0];
  if (statuses[name].detail) return detail === undefined ? undefined : { name, detail };
  return frame.data.length === 0 ? { name, detail: undefined } : undefined;
}

/** The command in a frame from the host; undefined for an unknown code. */
export function decodeCommand(frame: Id003Frame): CommandName | undefined {
  return COMMAND_BY_CODE.get(frame.code);
}

/** The code as devices' manuals write it, as `79`. */
export function hexCode(code: number): string {
  return code.toString(16).toUpperCase().padStart(2, '0');
}

/** A state's own code, as `17:79`. */
export function statusCode(status: Id003Status): string {
  const code = hexCode(statuses[status.name].code);
  return status.detail === undefined ? code : `${code}:${hexCode(status.detail)}`;
}

/** A state in words, as `17:79 rejecting: inhibited`. */
export function describeStatus(status: Id003Status): string {
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
