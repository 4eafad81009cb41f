/** The faults that a simulated SIO validator can be given. Source: cash-hardware.md 5.8 and 13. */
export const sioFaults = {
  deaf: 'does not hear commands; value: only this code',
  loseEcho: 'carries a command out and loses its echo; value: only this code',
  late: 'echoes late; value: by so many ms, 300 when left out',
  duplicateEcho: 'echoes twice',
  flipEcho: 'the lowest bit of an echo is flipped on the line; value: only the echo of this code',
  mishear: 'the lowest bit of a command is flipped on the line; value: only this code',
  commandError: 'answers 255 and does nothing; value: only this code',
  glitch: 'a byte that nobody said is on the line now; value: this byte, 1 when left out',
  forgetMode: 'has forgotten escrow mode now, as after a very short loss of power',
  loseBusy: 'its next BUSY (120) is lost',
  loseNotBusy: 'its next NOT BUSY (121) is lost',
  loseValue: 'the channel of its next note is lost',
  reject: 'rejects the next note; value: 20, or 50 for a fraud',
  abort: 'gives the next note in escrow back by itself (70); value: after so many ms',
  strimming: 'the next note is pulled back while it is stacked (40)',
  jam: 'the next note jams on its way to the cash box (60), until taken',
  stackerFull: 'the cash box is full after the next note (60), until emptied',
  takenToClearJam: 'the next note is taken to clear a jam (80), without its value',
  slow: 'the mechanism runs slow at the next note (30)',
  powerCutAtAccept: 'the power goes just when ACCEPT has been heard',
  powerCutInStacker: 'the power goes when the next note is past the point of no return',
} as const satisfies Record<string, string>;

/** A fault by name. */
export type SioFaultName = keyof typeof sioFaults;
