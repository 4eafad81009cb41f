/** The faults that a simulated EBDS validator can be given. Source: cash-hardware.md 13. */

/** Each strikes so many times; most take a value. */
export const ebdsFaults = {
  deaf: 'does not hear commands; value: only this message type (1 omnibus, 6, 7)',
  loseReply: 'carries commands out and loses the reply; value: only this message type',
  late: 'answers late; value: by so many ms, 400 when left out',
  badChecksum: 'answers with a wrong check',
  noise: 'answers with noise before the frame',
  duplicateReply: 'answers twice',
  wrongAck: 'answers with the other ACK bit',
  parity: 'the parity of 7E1 comes as data, in the eighth bit of each byte',
  invalid: 'says "invalid command" and does nothing; value: only this message type',
  reject: 'rejects the next note',
  jamAcceptor: 'the next note jams before escrow, until taken',
  jamStacker: 'the next note jams on its way to the cash box, until taken',
  stackerFull: 'the cash box is full after the next credit, until emptied',
  cheat: 'the next note is pulled back while it is stacked',
  failure: 'fails now, until a soft reset',
  stall: 'is stalled now, until a soft reset',
  transportOpen: 'the note path is opened now, until this fault is lifted with 0 times',
  pause: 'a second note blocks the slot now, until taken; value: or for so many ms',
  notTaken: 'the next note that is given back stays in the slot, until taken',
  escrowTimeout:
    'the next note is given back by itself; value: after so many ms, 10000 if left out',
  otherNote: 'the next credit names another note than escrow did; value: which, 1 when left out',
  noValue: 'the next credit names no note',
  blankStacked: 'says "stacked" of no note now, as some units do when the cash box is put back',
  powerCutAtStack: 'the power goes just when the stack bit has been heard',
  powerCutBeforeCredit: 'the power goes while the note is past escrow, before its credit',
  powerCutAfterCredit: 'the power goes after the credit was said, before the next command',
} as const satisfies Record<string, string>;

/** A fault by name. */
export type EbdsFaultName = keyof typeof ebdsFaults;
