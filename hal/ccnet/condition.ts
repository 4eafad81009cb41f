/** What a CCNET state says of the device's condition, in the words of the service interface. */
import type { DeviceError } from '#protocol/base/errors.ts';
import type { CashAcceptorStatus, CashBoxStatus, PowerUpEvidence } from '../cash-acceptor.ts';
import type { StateWords } from '../reset.ts';
import { type CcnetStatus, describeStatus, statusCode } from './commands.ts';

/** Where a note was left; a credit is not judged here. */
export type NoteInside = Exclude<PowerUpEvidence, 'creditPending'>;

/**
 * Where the note inside is, after one more state; rest says nothing of a note that was seen. A
 * credit is not judged here: it is pending until it is told, and nothing is inside any more. A
 * note that is found on its way in or out is that of our last deposit only when it was `watched`
 * since it came: a device that is left alone while switched on draws in further notes and gives
 * them back by itself.
 * Source: cash-hardware.md 3.5: 11, RESET gives it back; 12, RESET puts it in the cash box.
 */
export function insideAfter(
  before: NoteInside,
  status: CcnetStatus,
  { watched }: { readonly watched: boolean },
): NoteInside {
  switch (status.name) {
    case 'idling':
    case 'disabled':
    case 'initialising':
    case 'powerUp':
    case 'busy':
      return before;
    case 'billStacked':
      return 'none';
    case 'powerUpInValidator':
      return 'noteInAcceptor';
    case 'accepting':
    case 'escrow':
    case 'holding':
    case 'rejecting':
    case 'returning':
    case 'billReturned':
      return watched ? 'noteInAcceptor' : 'unknown';
    case 'powerUpInStacker':
    case 'stacking':
      return 'noteInStacker';
    case 'cassetteFull':
    case 'cassetteRemoved':
    case 'jamInValidator':
    case 'jamInCassette':
    case 'cheated':
    case 'pause':
    case 'failure':
      return 'unknown';
  }
}

/** Whether the device must be reset before it works again. */
export function needsReset(status: CcnetStatus): boolean {
  switch (status.name) {
    case 'powerUp':
    case 'powerUpInValidator':
    case 'powerUpInStacker':
    // Unasked: it has lost its settings.
    case 'initialising':
    case 'cassetteFull':
    case 'cassetteRemoved':
    case 'jamInValidator':
    case 'jamInCassette':
    case 'cheated':
    case 'failure':
      return true;
    default:
      return false;
  }
}

/** Whether a person must help, and not a RESET alone. */
export function needsPerson(status: CcnetStatus): boolean {
  switch (status.name) {
    case 'cassetteFull':
    case 'cassetteRemoved':
    case 'jamInValidator':
    case 'jamInCassette':
    case 'pause':
    case 'failure':
      return true;
    default:
      return false;
  }
}

/** Whether something in the device is broken or stuck, so that the last bytes are worth keeping. */
export function isBroken(status: CcnetStatus): boolean {
  return ['jamInValidator', 'jamInCassette', 'failure'].includes(status.name);
}

/** Whether nothing is inside and settings may be sent. */
export function isIdle(status: CcnetStatus | undefined): boolean {
  return status?.name === 'idling' || status?.name === 'disabled';
}

/** The cash box, as far as this state tells; else what was known. */
export function cashBoxOf(status: CcnetStatus, known: CashBoxStatus): CashBoxStatus {
  switch (status.name) {
    case 'cassetteFull':
      return 'full';
    case 'cassetteRemoved':
      return 'missing';
    case 'idling':
    case 'disabled':
    case 'accepting':
    case 'escrow':
    case 'stacking':
      return 'ok';
    default:
      return known;
  }
}

/** The device's word for what is wrong; undefined while nothing is. */
export function faultOf(status: CcnetStatus): CashAcceptorStatus['fault'] {
  if (!needsPerson(status) && status.name !== 'cheated') return undefined;
  return { code: statusCode(status), text: describeStatus(status) };
}

/** The condition in the words of the service interface. `other`: another device is in its place. */
export function conditionOf(known: {
  /** Undefined while it is out of touch. */
  readonly last: CcnetStatus | undefined;
  readonly cashBox: CashBoxStatus;
  readonly powerUp: PowerUpEvidence;
  readonly isReady: boolean;
  readonly other: DeviceError | undefined;
}): CashAcceptorStatus {
  const { last, cashBox, powerUp, isReady, other } = known;
  if (!last) {
    const fault = other && { code: 'other', text: other.message };
    return { device: 'offline', cashBox, powerUp, fault };
  }
  const ready = isReady ? 'ready' : 'attention';
  return { device: needsPerson(last) ? 'fault' : ready, cashBox, powerUp, fault: faultOf(last) };
}

/** What a reset is followed by. */
export const stateWords: StateWords<CcnetStatus> = {
  describe: describeStatus,
  isIdle,
  needsReset,
  needsPerson,
  isInitialising: ({ name }) => name === 'initialising',
  isStacking: ({ name }) => ['stacking', 'billStacked'].includes(name),
  configuresEarly: false,
};
