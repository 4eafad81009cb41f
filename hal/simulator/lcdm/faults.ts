/**
 * The faults that a simulated LCDM can be given. Those of the line strike commands that move notes,
 * or the command whose code is the value; those marked * last until they are lifted with 0 times.
 * Those marked with an ID do nothing to a unit with the other one. Where two errors are named, the
 * first is that of ID 30. Source: cash-hardware.md 7 and 13.
 */
export const lcdmFaults = {
  silence: 'does not hear any command; value: only this command code',
  nak: 'answers NAK and does nothing; value: this command code',
  loseAck: 'carries the command out, and its ACK is lost; value: this command code',
  lateAck: 'its ACK is late; value: by so many ms, 1000 when left out',
  loseResponse: 'carries the command out, and every response is lost; value: this command code',
  lateResponse: 'its response is late; value: by so many ms, 5000 when left out',
  badBcc: 'says a response with a wrong BCC; value: this command code',
  strayFf: 'says FF before any response; value: only this command code',
  loseHostAck: 'does not hear the ACK of its response; value: this command code',
  loseEot: 'ID 30: does not say EOT; value: this command code',
  resetResponses: 'ID 30: the next RESET is answered so often; value: 0, 1 or 2',
  acknowledgeReset: 'ID 30: the next RESET gets ACK, though this model answers none',
  pickUpFailure: 'error 01 or 32; value: after so many notes',
  jamBeforeDiverter: 'error 02 or 36, a note is stuck until taken; value: after so many notes',
  jamBeforeEject: 'error 03 or 43, a note is stuck until taken; value: after so many notes',
  jamBeforeExit: 'error 04 or 48, a note is stuck until taken; value: after so many notes',
  noteInExit: 'error 05 or 35, a note stays in the exit until taken; value: after so many notes',
  countMismatch: 'error 07 or 3D, a note is delivered and not counted; value: after so many notes',
  wrongCassette: 'error 40 to 43 or 4F, a note of another bay comes; value: of this bay',
  error: 'stops before the first note; value: with this error code, 51 or 47 when left out',
  errorAlone: 'ID 50: an error is answered without counts when no note was picked',
  reject: 'a note goes to the reject tray, and another is picked; more than ten are error 0D or 44',
  loseNote: 'a note vanishes and is counted as delivered: it is nowhere',
  rejectTrayMissing: '* error 26 or 3F',
  nearEnd: '* a bay says near end; value: this bay, all when left out',
  nearEndStops: '* ID 30: error 25 for a bay that is near its end',
  keepError: '* STATUS says the error of the last command',
  progress: 'ID 50: says 8D or 9C for a note that has passed; give it as many times as notes',
  countsByBay: 'ID 50: UPPER+LOWER says the counts by bay, as some sources have it',
  powerCutAfterNote: 'the power goes after so many notes of a command; value: 0 when left out',
  powerCutBeforeResponse: 'the power goes when all notes have gone, before the response',
} as const satisfies Record<string, string>;

/** A fault by name. */
export type LcdmFaultName = keyof typeof lcdmFaults;
