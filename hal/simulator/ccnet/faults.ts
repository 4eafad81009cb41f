/** The faults that a simulated CCNET validator can be given. Source: cash-hardware.md 13. */

/** Each strikes so many times; most take a value. */
export const ccnetFaults = {
  deaf: 'does not hear commands; value: only this command code (0: ACK, 255: NAK)',
  loseReply: 'carries commands out and loses the reply; value: only this command code',
  late: 'answers late; value: by so many ms, 400 when left out',
  badChecksum: 'answers with a wrong checksum; NAK brings the answer again',
  noise: 'answers with noise before the frame',
  duplicateReply: 'answers twice',
  nak: 'answers NAK and does nothing; value: only this command code',
  illegal: 'answers ILLEGAL COMMAND and does nothing; value: only this command code',
  busy: 'is busy now and does nothing; value: for so many times 100 ms, 5 when left out',
  reject: 'rejects the next note; value: the reason code, 60 hex when left out',
  jamValidator: 'the next note jams in the validator, until taken and reset',
  jamCassette: 'the next note jams on its way to the cash box, until taken and reset',
  cassetteFull: 'the cash box is full after the next credit, until emptied and reset',
  cheat: 'the next note is pulled back while it is stacked',
  failure: 'fails now, until reset; value: the failure code, 50 hex when left out',
  pause: 'a second note blocks the slot now, until taken; value: or for so many ms',
  notTaken: 'the next note that is given back stays in the slot, until taken',
  escrowTimeout: 'the next note is given back by itself; value: after so many ms in escrow',
  otherType: 'the next credit names another type than escrow did; value: which, 0 when left out',
  powerCutAtStack: 'the power goes just when STACK has been heard',
  powerCutBeforeCredit: 'the power goes while the note is past escrow, before its credit',
  powerCutAfterCredit: 'the power goes after the credit was said, before its ACK',
} as const satisfies Record<string, string>;

/** A fault by name. */
export type CcnetFaultName = keyof typeof ccnetFaults;
