/**
 * Every word of SSP, one table each way; the types are inferred from the tables.
 * Source: ITL SSP manual GA138 (NV9USB edition 2.2.2, and 2.2); cash-hardware.md 5.2 to 5.4.
 */
import type { RefuseReason } from '../cash-acceptor.ts';

interface CommandDefinition {
  readonly code: number;
  /** It may move a note: it leaves once, and only the very same frame may follow it. */
  readonly moves: boolean;
  /** Devices that can encrypt take it encrypted only. */
  readonly encrypted: boolean;
}

/** Host to device. POLL moves: it accepts a note whose value was reported before. */
export const commands = {
  reset: { code: 0x01, moves: true, encrypted: false },
  setInhibits: { code: 0x02, moves: false, encrypted: false },
  bezelOn: { code: 0x03, moves: false, encrypted: false },
  bezelOff: { code: 0x04, moves: false, encrypted: false },
  setupRequest: { code: 0x05, moves: false, encrypted: false },
  hostProtocolVersion: { code: 0x06, moves: false, encrypted: false },
  poll: { code: 0x07, moves: true, encrypted: false },
  reject: { code: 0x08, moves: true, encrypted: false },
  disable: { code: 0x09, moves: false, encrypted: false },
  enable: { code: 0x0a, moves: false, encrypted: false },
  getSerialNumber: { code: 0x0c, moves: false, encrypted: false },
  unitData: { code: 0x0d, moves: false, encrypted: false },
  channelValues: { code: 0x0e, moves: false, encrypted: false },
  channelSecurity: { code: 0x0f, moves: false, encrypted: false },
  sync: { code: 0x11, moves: false, encrypted: false },
  lastRejectCode: { code: 0x17, moves: false, encrypted: false },
  hold: { code: 0x18, moves: false, encrypted: false },
  getFirmwareVersion: { code: 0x20, moves: false, encrypted: false },
  getDatasetVersion: { code: 0x21, moves: false, encrypted: false },
  getAllLevels: { code: 0x22, moves: false, encrypted: false },
  setRefillMode: { code: 0x30, moves: false, encrypted: false },
  payoutAmount: { code: 0x33, moves: true, encrypted: true },
  haltPayout: { code: 0x38, moves: true, encrypted: true },
  setRoute: { code: 0x3b, moves: false, encrypted: false },
  getRoute: { code: 0x3c, moves: false, encrypted: true },
  floatAmount: { code: 0x3d, moves: true, encrypted: true },
  getMinimumPayout: { code: 0x3e, moves: false, encrypted: false },
  emptyAll: { code: 0x3f, moves: true, encrypted: true },
  payoutNote: { code: 0x42, moves: true, encrypted: true },
  stackNote: { code: 0x43, moves: true, encrypted: true },
  floatByDenomination: { code: 0x44, moves: true, encrypted: true },
  payoutByDenomination: { code: 0x46, moves: true, encrypted: true },
  setGenerator: { code: 0x4a, moves: false, encrypted: false },
  setModulus: { code: 0x4b, moves: false, encrypted: false },
  requestKeyExchange: { code: 0x4c, moves: false, encrypted: false },
  setBaudRate: { code: 0x4d, moves: false, encrypted: false },
  getBuildRevision: { code: 0x4f, moves: false, encrypted: false },
  smartEmpty: { code: 0x52, moves: true, encrypted: true },
  cashboxPayoutData: { code: 0x53, moves: false, encrypted: false },
  configureBezel: { code: 0x54, moves: false, encrypted: false },
  pollWithAck: { code: 0x56, moves: true, encrypted: true },
  eventAck: { code: 0x57, moves: false, encrypted: true },
  getCounters: { code: 0x58, moves: false, encrypted: false },
  resetCounters: { code: 0x59, moves: false, encrypted: false },
  disablePayout: { code: 0x5b, moves: false, encrypted: false },
  enablePayout: { code: 0x5c, moves: false, encrypted: false },
  setFixedKey: { code: 0x60, moves: false, encrypted: true },
  resetFixedKey: { code: 0x61, moves: false, encrypted: false },
} as const satisfies Record<string, CommandDefinition>;

/** A command by name. */
export type CommandName = keyof typeof commands;

/** First byte of every answer. */
export const replies = {
  ok: 0xf0,
  commandNotKnown: 0xf2,
  wrongParameterCount: 0xf3,
  parameterOutOfRange: 0xf4,
  cannotBeProcessed: 0xf5,
  softwareError: 0xf6,
  fail: 0xf8,
  keyNotSet: 0xfa,
} as const;

/** What follows the code of an event; amounts are of units that pay out. */
type EventBody = 'none' | 'channel' | 'amounts' | 'amountPairs' | 'amountsAndError' | 'held';

interface EventDefinition {
  readonly code: number;
  readonly text: string;
  readonly body: EventBody;
  /** Under POLL WITH ACK it is repeated until EVENT ACK. */
  readonly ack: boolean;
}

/** Device to host: what has happened, in answer to a poll, several in one. */
export const events = {
  slaveReset: { code: 0xf1, text: 'slave reset', body: 'none', ack: false },
  /** Channel 0: being read. Above 0: in escrow, and the next POLL accepts it. */
  read: { code: 0xef, text: 'read', body: 'channel', ack: false },
  credit: { code: 0xee, text: 'note credit', body: 'channel', ack: true },
  rejecting: { code: 0xed, text: 'rejecting', body: 'none', ack: false },
  rejected: { code: 0xec, text: 'rejected', body: 'none', ack: false },
  stacked: { code: 0xeb, text: 'stacked', body: 'none', ack: false },
  safeJam: { code: 0xea, text: 'safe jam', body: 'none', ack: false },
  unsafeJam: { code: 0xe9, text: 'unsafe jam', body: 'none', ack: false },
  disabled: { code: 0xe8, text: 'disabled', body: 'none', ack: false },
  stackerFull: { code: 0xe7, text: 'cash box full', body: 'none', ack: false },
  fraudAttempt: { code: 0xe6, text: 'fraud attempt', body: 'channel', ack: true },
  barCodeValidated: { code: 0xe5, text: 'bar code validated', body: 'none', ack: false },
  cashboxReplaced: { code: 0xe4, text: 'cash box replaced', body: 'none', ack: false },
  cashboxRemoved: { code: 0xe3, text: 'cash box removed', body: 'none', ack: false },
  clearedToCashbox: {
    code: 0xe2,
    text: 'note cleared to cash box at power-up',
    body: 'channel',
    ack: true,
  },
  clearedFromFront: {
    code: 0xe1,
    text: 'note cleared from front at power-up',
    body: 'channel',
    ack: true,
  },
  notePathOpen: { code: 0xe0, text: 'note path open', body: 'none', ack: false },
  stacking: { code: 0xcc, text: 'stacking', body: 'none', ack: false },
  initialising: { code: 0xb6, text: 'initialising', body: 'none', ack: false },
  channelDisable: { code: 0xb5, text: 'all channels disabled', body: 'none', ack: false },
  coinCredit: { code: 0xdf, text: 'coin credit', body: 'amounts', ack: true },
  cashboxPaid: { code: 0xde, text: 'cash box paid', body: 'amounts', ack: true },
  incompleteFloat: { code: 0xdd, text: 'incomplete float', body: 'amountPairs', ack: true },
  incompletePayout: { code: 0xdc, text: 'incomplete payout', body: 'amountPairs', ack: true },
  stored: { code: 0xdb, text: 'stored in payout', body: 'none', ack: true },
  dispensing: { code: 0xda, text: 'dispensing', body: 'amounts', ack: false },
  timeOut: { code: 0xd9, text: 'time-out', body: 'amounts', ack: true },
  floated: { code: 0xd8, text: 'floated', body: 'amounts', ack: true },
  floating: { code: 0xd7, text: 'floating', body: 'amounts', ack: false },
  halted: { code: 0xd6, text: 'halted', body: 'amounts', ack: true },
  jammed: { code: 0xd5, text: 'payout jammed', body: 'amounts', ack: true },
  dispensed: { code: 0xd2, text: 'dispensed', body: 'amounts', ack: true },
  barCodeAcknowledged: { code: 0xd1, text: 'bar code stacked', body: 'none', ack: true },
  deviceFull: { code: 0xcf, text: 'payout full', body: 'none', ack: false },
  heldInBezel: { code: 0xce, text: 'note held in bezel', body: 'held', ack: false },
  dispensedAtPowerUp: { code: 0xcd, text: 'dispensed at power-up', body: 'amounts', ack: true },
  storedAtPowerUp: { code: 0xcb, text: 'stored at power-up', body: 'amounts', ack: true },
  stackedAtPowerUp: { code: 0xca, text: 'stacked at power-up', body: 'amounts', ack: true },
  transferred: { code: 0xc9, text: 'moved from payout to cash box', body: 'amounts', ack: true },
  payoutOutOfService: { code: 0xc6, text: 'payout out of service', body: 'none', ack: false },
  emptied: { code: 0xc3, text: 'emptied', body: 'none', ack: true },
  emptying: { code: 0xc2, text: 'emptying', body: 'none', ack: false },
  smartEmptied: { code: 0xb4, text: 'smart emptied', body: 'amounts', ack: true },
  smartEmptying: { code: 0xb3, text: 'smart emptying', body: 'amounts', ack: false },
  payoutError: { code: 0xb1, text: 'error in payout', body: 'amountsAndError', ack: true },
  jamRecovery: { code: 0xb0, text: 'recovering from a jam', body: 'none', ack: false },
} as const satisfies Record<string, EventDefinition>;

/** An event by name. */
export type EventName = keyof typeof events;

/** An event as the device said it. */
export interface SspEvent {
  readonly name: EventName;
  /** Of a note; 0 where the device does not know. Undefined for events without one. */
  readonly channel: number | undefined;
}

/** What a poll was answered with. */
export interface PollAnswer {
  readonly events: readonly SspEvent[];
  /**
   * From here on it could not be read: the length of an unknown event is unknown too. A note may
   * have come to escrow in it, so that nothing may be polled until that was asked.
   */
  readonly unreadable: Uint8Array | undefined;
}

interface RejectDefinition {
  readonly text: string;
  readonly reason: RefuseReason;
}

/** Why the last note was rejected: the answer to LAST REJECT CODE. */
export const rejectCodes: Readonly<Record<number, RejectDefinition>> = {
  0: { text: 'accepted', reason: 'other' },
  1: { text: 'length', reason: 'length' },
  2: { text: 'average', reason: 'unrecognised' },
  3: { text: 'coastline', reason: 'unrecognised' },
  4: { text: 'graph', reason: 'unrecognised' },
  5: { text: 'buried', reason: 'unrecognised' },
  6: { text: 'channel inhibited', reason: 'inhibited' },
  7: { text: 'second note', reason: 'multiple' },
  8: { text: 'rejected by the host', reason: 'other' },
  9: { text: 'in more than one channel', reason: 'unrecognised' },
  10: { text: 'rear sensor', reason: 'hardware' },
  11: { text: 'too long', reason: 'length' },
  12: { text: 'disabled by the host', reason: 'inhibited' },
  13: { text: 'slow mechanism', reason: 'conveying' },
  14: { text: 'strim attempt', reason: 'other' },
  15: { text: 'fraud channel', reason: 'other' },
  16: { text: 'no note detected', reason: 'insertion' },
  17: { text: 'peak detect', reason: 'unrecognised' },
  18: { text: 'twisted', reason: 'insertion' },
  19: { text: 'escrow time-out', reason: 'other' },
  20: { text: 'bar code scan', reason: 'unrecognised' },
  21: { text: 'did not reach the path', reason: 'conveying' },
  22: { text: 'slot 1', reason: 'hardware' },
  23: { text: 'slot 2', reason: 'hardware' },
  24: { text: 'lens oversample', reason: 'conveying' },
  25: { text: 'width', reason: 'unrecognised' },
  26: { text: 'too short', reason: 'length' },
  27: { text: 'note paid out', reason: 'other' },
  28: { text: 'double note', reason: 'multiple' },
  29: { text: 'unable to stack', reason: 'conveying' },
  31: { text: 'credit card', reason: 'unrecognised' },
};

const EVENT_BY_CODE: ReadonlyMap<number, EventName> = new Map(
  Object.entries(events).flatMap(([name, { code }]) =>
    isEventName(name) ? [[code, name] as const] : [],
  ),
);

const COMMAND_BY_CODE: ReadonlyMap<number, CommandName> = new Map(
  Object.entries(commands).flatMap(([name, { code }]) =>
    isCommandName(name) ? [[code, name] as const] : [],
  ),
);

/** From this protocol version on amounts carry their currency. Source: cash-hardware.md 5.4. */
const PROTOCOL_WITH_CURRENCIES = 6;

/** The events in an answer to POLL; `data` begins with OK. Never throws. */
export function decodePoll(data: Uint8Array, protocolVersion: number): PollAnswer {
  const found: SspEvent[] = [];
  for (let at = 1; at < data.length; ) {
    const name = EVENT_BY_CODE.get(data[at] ?? 0);
    const length = name && bodyLength(events[name].body, data, at + 1, protocolVersion);
    if (name === undefined || length === undefined || at + 1 + length > data.length) {
      return { events: found, unreadable: data.slice(at) };
    }
    const channel = events[name].body === 'channel' ? data[at + 1] : undefined;
    found.push({ name, channel });
    at += 1 + length;
  }
  return { events: found, unreadable: undefined };
}

/** The command in a frame from the host; undefined for an unknown code. */
export function decodeCommand(code: number): CommandName | undefined {
  return COMMAND_BY_CODE.get(code);
}

/** The code as the manual writes it, as `EE`. */
export function hexCode(code: number): string {
  return code.toString(16).toUpperCase().padStart(2, '0');
}

/** An event in words, as `EE:03 note credit`. */
export function describeEvent({ name, channel }: SspEvent): string {
  const { code, text } = events[name];
  const detail = channel === undefined ? '' : `:${hexCode(channel)}`;
  return `${hexCode(code)}${detail} ${text}`;
}

function bodyLength(
  body: EventBody,
  data: Uint8Array,
  at: number,
  protocolVersion: number,
): number | undefined {
  const hasCurrencies = protocolVersion >= PROTOCOL_WITH_CURRENCIES;
  const count = data[at];
  switch (body) {
    case 'none':
      return 0;
    case 'channel':
      return 1;
    case 'held':
      return 7;
    case 'amounts':
      return hasCurrencies ? listLength(count, 7, 1) : 4;
    case 'amountPairs':
      return hasCurrencies ? listLength(count, 11, 1) : 8;
    case 'amountsAndError':
      return hasCurrencies ? listLength(count, 7, 2) : 5;
  }
}

function listLength(
  count: number | undefined,
  itemBytes: number,
  otherBytes: number,
): number | undefined {
  return count === undefined ? undefined : count * itemBytes + otherBytes;
}

function isEventName(name: string): name is EventName {
  return name in events;
}

function isCommandName(name: string): name is CommandName {
  return name in commands;
}
