/** Faults and timings of a simulated SSP validator. Source: cash-hardware.md 13. */

/** How long things take, in milliseconds. */
export interface SspTimings {
  readonly replyMs: number;
  /** From power until it answers. */
  readonly startMs: number;
  /** From there until it is ready to be enabled. */
  readonly initialiseMs: number;
  readonly readMs: number;
  /** From the accepting POLL until the note is past recovery. */
  readonly creditMs: number;
  /** From there until it lies in the cash box. */
  readonly stackMs: number;
  readonly rejectMs: number;
  /** It disables itself, and gives back a note in escrow, when nothing was heard for so long. */
  readonly silenceMs: number;
}

/** Like a common model's. */
export const SSP_TIMINGS: SspTimings = {
  replyMs: 10,
  startMs: 1000,
  initialiseMs: 1500,
  readMs: 800,
  creditMs: 300,
  stackMs: 500,
  rejectMs: 600,
  silenceMs: 10_000,
};

/** The faults it can be given. */
export const sspFaults = {
  deaf: 'does not hear commands; value: only this command code',
  loseReply: 'carries commands out and loses the reply; value: only this command code',
  late: 'answers late; value: by so many ms, 700 when left out',
  badChecksum: 'answers with a wrong checksum',
  noise: 'answers with noise before the frame',
  duplicateReply: 'answers twice',
  refuse: 'answers F5 and does nothing; value: only this command code, HOLD only if named',
  unknownEvent: 'ends the answer to a poll with an event that no table has; value: its code',
  keysLost: 'forgets the keys now, and answers FA until they are agreed again',
  countSkip: 'the packet count is out of step now',
  slaveReset: 'starts again now, as after a power cut',
  reject: 'rejects the next note; value: the reason code, 2 when left out',
  jamAcceptor: 'the next note jams where hands may reach it, until taken and reset',
  jamStacker: 'the next note jams on its way to the cash box, until taken and reset',
  fraud: 'the next note is pulled back while it is stacked',
  stackerFull: 'the cash box is full after the next note, until emptied and reset',
  pathOpen: 'the note path is open from now on, until lifted with times 0',
  escrowLost: 'the next note is given back by itself; value: after so many ms in escrow',
  powerCutAtAccept: 'the power goes just when the accepting POLL has been heard',
  powerCutBeforeCredit: 'the power goes while the note is past recovery, before its credit',
  powerCutAfterCredit: 'the power goes after the credit was said',
} as const satisfies Record<string, string>;

/** A fault by name. */
export type SspFaultName = keyof typeof sspFaults;
