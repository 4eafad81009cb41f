/** Faults, errors and times of a simulated F53 or F56. Source: cash-hardware.md 6.5 and 13. */

/** How long things take, in milliseconds. */
export interface F56DeviceTimings {
  /** ACK to ENQ and to a command. */
  readonly acknowledgeMs: number;
  /** From ACK until the answer to a question. */
  readonly answerMs: number;
  /** Motors up to speed. */
  readonly startMs: number;
  /** One note from its cassette to where it ends. */
  readonly noteMs: number;
  /** Tries of a pick-up that fails. */
  readonly pickFailureMs: number;
  readonly initialiseMs: number;
  /** After the power came. */
  readonly bootMs: number;
  /** One step of the line: "5 s per step". */
  readonly stepMs: number;
}

/** The usual times. */
export const F56_DEVICE_TIMINGS: F56DeviceTimings = {
  acknowledgeMs: 10,
  answerMs: 30,
  startMs: 300,
  noteMs: 150,
  pickFailureMs: 1000,
  initialiseMs: 3000,
  bootMs: 2500,
  stepMs: 5000,
};

/**
 * The faults it can be given. Those of the line strike commands that move notes, or the command
 * whose second byte (1 STATUS, 2 INITIALISE, 3 BILL COUNT) is the value; those marked * last until
 * they are lifted with 0 times.
 */
export const f56Faults = {
  silence: 'does not hear ENQ',
  refuseBid: 'answers ENQ with NAK',
  lateBid: 'its ACK to ENQ is late; value: by so many ms, 1000 when left out',
  collision: 'bids itself when it hears ENQ, then gives way; value 1: insists, until heard out',
  nak: 'answers a command with NAK and does nothing; value: this command',
  loseAck: 'carries the command out, and its ACK is lost; value: this command',
  lateAck: 'its ACK to a command is late; value: by so many ms, 1000 when left out',
  loseResponse: 'carries the command out, and every response is lost; value: this command',
  lateResponse: 'its response is late; value: by so many ms, 5000 when left out',
  badCrc: 'says a response with a wrong CRC; value: this command',
  noise: 'says bytes that mean nothing before a response; value: this command',
  loseHostAck: 'does not hear the ACK of its response, and says it again; value: this command',
  pickUpFailure: 'error n6; value: after so many notes',
  jamOnPath: 'error 78, a note is stuck until taken; value: after so many notes',
  jamBeforeReject: 'error 7A, a note is stuck until taken; value: after so many notes',
  jamAtExit: 'error 7C, a note is stuck until taken; value: after so many notes',
  countMismatch: 'error 88, a note is delivered and not counted; value: after so many notes',
  wrongCassette: 'error 85, a note of another bay comes; value: of this bay',
  error: 'stops before the first note; value: with this error of two bytes',
  reject: 'a note is rejected as too thick, and another is picked; too many are error 84',
  tooLong: 'a note is rejected as too long, and another is picked; too many are error 80',
  tooShort: 'a note is rejected as too short, and another is picked; too many are error 82',
  loseNote: 'a note vanishes and is counted as delivered: it is nowhere',
  keepsNotes: 'the next error keeps the counted notes inside until INITIALISE',
  initialiseEjects: 'INITIALISE takes notes from the path to the exit, not to the reject box',
  initialiseError: 'INITIALISE ends with an error; value: this one of two bytes',
  exitStops: 'a BILL COUNT while notes lie at the exit is error 7C',
  exitStuck: '* the exit sensor says notes, whether there are or not',
  exitBlind: '* the exit sensor sees no notes',
  statusError: '* STATUS reports an error; value: this one of two bytes',
  rejectBoxMissing: '* error B0',
  rejectBoxFull: '* error B5',
  powerCutAfterNote: 'the power goes after so many notes of a command; value: 0 when left out',
  powerCutBeforeResponse: 'the power goes when all notes have gone, before the response',
} as const satisfies Record<string, string>;

/** A fault by name. */
export type F56FaultName = keyof typeof f56Faults;

/** Those that last. */
export const standingFaults: readonly F56FaultName[] = [
  'exitStuck',
  'exitBlind',
  'statusError',
  'rejectBoxMissing',
  'rejectBoxFull',
];

/** Errors as the unit says them, kind and detail. Those of a cassette are made by `ofBay`. */
export const ERROR = {
  down: 0x0100,
  noCassette: 0x0000,
  empty: 0x0100,
  pickUp: 0x0600,
  notesOnPath: 0x7000,
  jamOnPath: 0x7801,
  jamBeforeReject: 0x7a00,
  jamAtExit: 0x7c01,
  notesAtExit: 0x7c80,
  tooLong: 0x8000,
  tooShort: 0x8200,
  tooThick: 0x8400,
  wrongCassette: 0x8500,
  countMismatch: 0x8800,
  rejectBoxMissing: 0xb000,
  rejectBoxFull: 0xb500,
  notInitialised: 0xe100,
  noLengths: 0xe400,
  lengths: 0xe800,
  parameter: 0xea00,
  noSeparator: 0xec00,
  format: 0xee00,
} as const;

/** A cassette's error; bays from 0. */
export function ofBay(bay: number, error: number): number {
  return ((bay + 1) << 12) | error;
}
