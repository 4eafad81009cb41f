/** What an EBDS status says of the device's condition, in the words of the service interface. */
import type { DeviceError } from '#protocol/base/errors.ts';
import type { CashAcceptorStatus, CashBoxStatus, PowerUpEvidence } from '../cash-acceptor.ts';
import {
  type EbdsStatus,
  type FlagName,
  flagCode,
  flags,
  has,
  isOutOfService,
} from './commands.ts';
import { isBlank } from './models.ts';

/** What only a person can mend, worst first. */
const NEEDS_PERSON: readonly FlagName[] = [
  'failure',
  'jammed',
  'stalled',
  'stackerFull',
  'transportOpen',
  'calibrating',
  'flashDownload',
  'paused',
];

/** After these the device has to be made ready again. A second note at the slot is taken back. */
const NEEDS_INITIALISE: readonly FlagName[] = [
  'powerUp',
  ...NEEDS_PERSON.filter((name) => name !== 'paused'),
];

/** After these nobody can tell where a note inside went; nor, for a deposit, after power-up. */
const TROUBLE: readonly FlagName[] = ['cheated', 'jammed', 'failure', 'stalled', 'transportOpen'];

/** What may come to an end by starting the device again. */
const MENDED_BY_RESET: readonly FlagName[] = ['failure', 'jammed', 'stalled'];

/** Where a note was left, and `returned` when it came back; a credit is not judged here. */
export type NoteInside = Exclude<PowerUpEvidence, 'creditPending'> | 'returned';

/**
 * Where the note inside is, after one more status; rest says nothing of a note that was seen. A
 * credit is not judged here: it is pending until it is told, and nothing is inside any more. A note
 * that is found on its way in or out is that of our last deposit only when the device was `watched`
 * since it came, or since it was powered up, which shuts the slot: one that is left alone while
 * switched on draws in further notes and gives them back by itself.
 * Source: cash-hardware.md 4.2: under power-up policy B a note in escrow is held, and the device is
 * out of service; one past escrow is stacked, and its value reported.
 */
export function insideAfter(
  before: NoteInside,
  status: EbdsStatus,
  { watched }: { readonly watched: boolean },
): NoteInside {
  if (has(status, 'stacked')) return isBlank(status) ? 'unknown' : 'none';
  const isOurs = watched || isKnown(before);
  if (has(status, 'returned') || has(status, 'rejected')) return isOurs ? 'returned' : 'unknown';
  // No note is stacked but by our command: it can be no other than that of our last deposit.
  if (has(status, 'stacking')) return 'noteInStacker';
  if (isInAcceptor(status)) return isOurs ? 'noteInAcceptor' : 'unknown';
  if (hasTrouble(status)) return 'unknown';
  // Under policy B the note is held, as it was said; of nothing said, nothing is known.
  const isHeld = isOutOfService(status) && !has(status, 'powerUp');
  return isHeld && before === 'none' ? 'unknown' : before;
}

/** Whether the device must be made ready before it is used. */
export function needsInitialise(status: EbdsStatus): boolean {
  if (isBoxOut(status) || isOutOfService(status)) return true;
  return NEEDS_INITIALISE.some((name) => has(status, name));
}

/** Whether a person must help. */
export function needsPerson(status: EbdsStatus): boolean {
  if (isBoxOut(status) || NEEDS_PERSON.some((name) => has(status, name))) return true;
  return isOutOfService(status) && !has(status, 'powerUp');
}

/** Whether something in the device is broken or stuck, so that the last bytes are worth keeping. */
export function isBroken(status: EbdsStatus): boolean {
  return MENDED_BY_RESET.some((name) => has(status, name));
}

/** Whether a reset could help: it is broken, or out of service for no reason that it gives. */
export function isMendedByReset(status: EbdsStatus): boolean {
  if (isBoxOut(status) || has(status, 'stackerFull')) return false;
  return isBroken(status) || (isOutOfService(status) && needsPerson(status));
}

/** Whether the whereabouts of a note inside cannot be told any more. */
export function disturbsNote(status: EbdsStatus): boolean {
  return hasTrouble(status) || has(status, 'powerUp');
}

/** Whether a note is moving, or being started with: it comes to its end by itself. */
export function isMoving(status: EbdsStatus): boolean {
  return has(status, 'powerUp') || has(status, 'stacking') || isInAcceptor(status);
}

/** Whether nothing is inside, nothing is wrong, and settings may be sent. */
export function isIdle(status: EbdsStatus | undefined): boolean {
  if (!status || !has(status, 'idling') || needsPerson(status)) return false;
  return !isMoving(status);
}

/** The device's word for what is wrong; undefined while nothing is. */
export function faultOf(status: EbdsStatus): CashAcceptorStatus['fault'] {
  const name = [...NEEDS_PERSON, 'cheated' as const].find((candidate) => has(status, candidate));
  if (name) return { code: flagCode(name), text: flags[name].text };
  if (isBoxOut(status)) return { code: flagCode('cassetteAttached'), text: 'cash box out' };
  if (!needsPerson(status)) return undefined;
  return { code: 'd0', text: 'out of service; a note may be held inside' };
}

/** The condition in the words of the service interface. `other`: another device is in its place. */
export function conditionOf(known: {
  /** Undefined while it is out of touch. */
  readonly last: EbdsStatus | undefined;
  readonly cashBox: CashBoxStatus;
  readonly inside: NoteInside;
  readonly isCreditPending: boolean;
  readonly isReady: boolean;
  readonly other: DeviceError | undefined;
}): CashAcceptorStatus {
  const { last, cashBox, inside, isCreditPending, isReady, other } = known;
  const where = inside === 'returned' ? 'noteInAcceptor' : inside;
  const powerUp = isCreditPending ? 'creditPending' : where;
  if (!last) {
    const fault = other && { code: 'other', text: other.message };
    return { device: 'offline', cashBox, powerUp, fault };
  }
  const ready = isReady ? 'ready' : 'attention';
  return { device: needsPerson(last) ? 'fault' : ready, cashBox, powerUp, fault: faultOf(last) };
}

/** The cash box, as this status tells. */
export function cashBoxOf(status: EbdsStatus): CashBoxStatus {
  if (isBoxOut(status)) return 'missing';
  return has(status, 'stackerFull') ? 'full' : 'ok';
}

/** Seen since it came: what is said of a note on its way is said of this one. */
function isKnown(inside: NoteInside): boolean {
  return inside !== 'none' && inside !== 'unknown';
}

function isInAcceptor(status: EbdsStatus): boolean {
  return has(status, 'accepting') || has(status, 'escrowed') || has(status, 'returning');
}

function hasTrouble(status: EbdsStatus): boolean {
  return isBoxOut(status) || TROUBLE.some((name) => has(status, name));
}

function isBoxOut(status: EbdsStatus): boolean {
  return !has(status, 'cassetteAttached');
}
