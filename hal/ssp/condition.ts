/** What a poll's events say of the device's condition, in the words of the service interface. */
import type { DeviceError } from '#protocol/base/errors.ts';
import type { CashAcceptorStatus, CashBoxStatus, PowerUpEvidence } from '../cash-acceptor.ts';
import type { SspEvent } from './commands.ts';
import { describeEvent, type EventName, events as eventTable, hexCode } from './commands.ts';

/** The condition, apart from the note inside. */
export interface SspCondition {
  readonly cashBox: CashBoxStatus;
  /** What a person must help with, as last said. */
  readonly trouble: Extract<EventName, 'safeJam' | 'unsafeJam' | 'notePathOpen'> | undefined;
  /** A jam has been: only a reset makes it work again. */
  readonly mustReset: boolean;
  /** It starts, and has not told yet where a note was that was inside. */
  readonly isStarting: boolean;
}

/** Nothing heard yet. */
export const unknownCondition: SspCondition = {
  cashBox: 'unknown',
  trouble: undefined,
  mustReset: false,
  isStarting: false,
};

/**
 * The condition after a poll. A jam, an open path and a missing cash box are said in every answer
 * while they last; a full cash box once. Source: GA138, column "repeat" of each event.
 */
export function conditionAfter(before: SspCondition, events: readonly SspEvent[]): SspCondition {
  const names = new Set(events.map(({ name }) => name));
  const isReset = names.has('slaveReset');
  const trouble = (['safeJam', 'unsafeJam', 'notePathOpen'] as const).find((name) =>
    names.has(name),
  );
  const isJam = trouble === 'safeJam' || trouble === 'unsafeJam';
  return {
    cashBox: cashBoxAfter(before.cashBox, names),
    trouble,
    mustReset: isJam || (before.mustReset && !isReset),
    isStarting: names.has('initialising') || (before.isStarting && !isReset),
  };
}

function cashBoxAfter(before: CashBoxStatus, names: ReadonlySet<EventName>): CashBoxStatus {
  if (names.has('cashboxRemoved')) return 'missing';
  if (names.has('stackerFull')) return 'full';
  if (names.has('cashboxReplaced') || names.has('slaveReset')) return 'ok';
  return before === 'full' ? 'full' : 'ok';
}

/** Events after which the device has lost its settings, or must be looked after before it works. */
const NEEDS_ATTENTION: ReadonlySet<EventName> = new Set([
  'slaveReset',
  'safeJam',
  'unsafeJam',
  'notePathOpen',
  'cashboxRemoved',
  'cashboxReplaced',
  'stackerFull',
  'initialising',
]);

/** Whether the device must be initialised before it works again. */
export function needsAttention(events: readonly SspEvent[]): boolean {
  return events.some(({ name }) => NEEDS_ATTENTION.has(name));
}

/** Whether a person must help. */
export function needsPerson({ trouble, cashBox }: SspCondition): boolean {
  return trouble !== undefined || cashBox === 'missing' || cashBox === 'full';
}

/** Whether something is stuck or open that was not before. */
export function isNewTrouble(before: SspCondition, now: SspCondition): boolean {
  return now.trouble !== undefined && now.trouble !== before.trouble;
}

/** The device's word for what is wrong; undefined while nothing is. */
export function faultOf({ trouble, cashBox }: SspCondition): CashAcceptorStatus['fault'] {
  const byBox = { missing: 'cashboxRemoved', full: 'stackerFull' } as const;
  const box = cashBox === 'missing' || cashBox === 'full' ? byBox[cashBox] : undefined;
  const name = trouble ?? box;
  if (name === undefined) return undefined;
  const code = hexCode(eventTable[name].code);
  return { code, text: describeEvent({ name, channel: undefined }) };
}

/**
 * Where a note was when the device said this, before it was initialised. A credit is not judged
 * here: it is pending until it is told.
 */
export function powerUpEvidence(isHeld: boolean, events: readonly SspEvent[]): PowerUpEvidence {
  const has = (name: EventName) => events.some((event) => event.name === name);
  if (isHeld || has('read') || has('rejecting') || has('clearedFromFront')) return 'noteInAcceptor';
  if (has('stacking')) return 'noteInStacker';
  if (has('safeJam') || has('unsafeJam')) return 'unknown';
  return 'none';
}

/** The condition in the words of the service interface. `other`: another device is in its place. */
export function statusOf(
  condition: SspCondition,
  known: {
    readonly isOnline: boolean;
    readonly isReady: boolean;
    readonly powerUp: PowerUpEvidence;
    readonly other: DeviceError | undefined;
  },
): CashAcceptorStatus {
  const { isOnline, isReady, powerUp, other } = known;
  const { cashBox } = condition;
  if (!isOnline) {
    const fault = other && { code: 'other', text: other.message };
    return { device: 'offline', cashBox, powerUp, fault };
  }
  const ready = isReady ? 'ready' : 'attention';
  // A credit that waits to be told comes first: until it is acknowledged the device tells no more.
  const mustTell = powerUp === 'creditPending';
  const device = needsPerson(condition) && !mustTell ? 'fault' : ready;
  return { device, cashBox, powerUp, fault: faultOf(condition) };
}
