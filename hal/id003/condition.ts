/** What an ID-003 state says of the device's condition, in the words of the service interface. */
import type { CashAcceptorStatus, CashBoxStatus, PowerUpEvidence } from '../cash-acceptor.ts';
import type { StateWords } from '../reset.ts';
import { describeStatus, type Id003Status, statusCode } from './commands.ts';

/**
 * Where a note was when the device said this, before it was reset.
 * Source: cash-hardware.md 2.5: 41, before the stacker, RESET gives it back; 42, past escrow, RESET
 * puts it in the cash box.
 */
export function powerUpEvidence(status: Id003Status): PowerUpEvidence {
  switch (status.name) {
    case 'idling':
    case 'disabled':
    case 'initialising':
    case 'powerUp':
    // STACKED is only said after the credit was acknowledged, and so is on disk.
    case 'stacked':
      return 'none';
    case 'powerUpInAcceptor':
    case 'accepting':
    case 'escrow':
    case 'holding':
    case 'rejecting':
    case 'returning':
      return 'noteInAcceptor';
    case 'powerUpInStacker':
    case 'stacking':
      return 'noteInStacker';
    case 'vendValid':
      return 'creditPending';
    case 'stackerFull':
    case 'stackerOpen':
    case 'jamInAcceptor':
    case 'jamInStacker':
    case 'pause':
    case 'cheated':
    case 'failure':
      return 'unknown';
  }
}

/** Whether the device must be reset before it works again. */
export function needsReset(status: Id003Status): boolean {
  switch (status.name) {
    case 'powerUp':
    case 'powerUpInAcceptor':
    case 'powerUpInStacker':
    // Unasked: it has lost its settings.
    case 'initialising':
    case 'stackerFull':
    case 'stackerOpen':
    case 'jamInAcceptor':
    case 'jamInStacker':
    case 'cheated':
    case 'failure':
      return true;
    default:
      return false;
  }
}

/** Whether a person must help, and not a RESET alone. */
export function needsPerson(status: Id003Status): boolean {
  switch (status.name) {
    case 'stackerFull':
    case 'stackerOpen':
    case 'jamInAcceptor':
    case 'jamInStacker':
    case 'pause':
    case 'failure':
      return true;
    default:
      return false;
  }
}

/** Whether something in the device is broken or stuck, so that the last bytes are worth keeping. */
export function isBroken(status: Id003Status): boolean {
  return ['jamInAcceptor', 'jamInStacker', 'failure'].includes(status.name);
}

/** Whether nothing is inside and settings may be sent. */
export function isIdle(status: Id003Status | undefined): boolean {
  return status?.name === 'idling' || status?.name === 'disabled';
}

/** The cash box, as far as this state tells; else what was known. */
export function cashBoxOf(status: Id003Status, known: CashBoxStatus): CashBoxStatus {
  switch (status.name) {
    case 'stackerFull':
      return 'full';
    case 'stackerOpen':
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
export function faultOf(status: Id003Status): CashAcceptorStatus['fault'] {
  if (!needsPerson(status) && status.name !== 'cheated') return undefined;
  return { code: statusCode(status), text: describeStatus(status) };
}

/** What a reset is followed by. */
export const stateWords: StateWords<Id003Status> = {
  describe: describeStatus,
  isIdle,
  needsReset,
  needsPerson,
  isInitialising: ({ name }) => name === 'initialising',
  isStacking: ({ name }) => ['stacking', 'vendValid', 'stacked'].includes(name),
  configuresEarly: true,
};
