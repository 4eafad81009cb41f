/** Counts that may be asked, and a unit's condition, in the words of the service. */
import type { Position } from '#protocol/base/ids.ts';
import type {
  CashDispenserCapabilities,
  CashDispenserStatus,
  DispenseOutcome,
  UnitCount,
} from '../cash-dispenser.ts';
import type { LcdmReply } from './link.ts';
import type { LcdmAnswer, UnitStatus } from './unit.ts';

/** Most bays that any unit has. */
export const BAYS_MAX = 4;

/** Notes by bay, top first; words when they cannot be asked for. */
export function countsByBay(
  units: readonly UnitCount[],
  { positions, batchMax }: CashDispenserCapabilities,
): readonly number[] | string {
  const counts = Array.from({ length: BAYS_MAX }, () => 0);
  const seen = new Set<Position>();
  for (const { position: at, count } of units) {
    if (!positions.includes(at)) return `there is no bay ${at}`;
    if (seen.has(at)) return `bay ${at} is named twice`;
    if (!Number.isInteger(count) || count < 0) return `${count} notes cannot be asked of a bay`;
    seen.add(at);
    counts[at - 1] = count;
  }
  const sum = counts.reduce((total, count) => total + count, 0);
  if (sum < 1 || sum > batchMax) return `one command moves 1 to ${batchMax} notes, not ${sum}`;
  return counts;
}

/**
 * The answer to a command that moves notes, or what its absence means. A response without ACK
 * before it is no proof that it answers this very command.
 */
export function movedOr(
  reply: LcdmReply,
): LcdmAnswer | Extract<DispenseOutcome, { readonly kind: 'notExecuted' | 'unknown' }> {
  const { kind, evidence } = reply;
  if (kind === 'refused' || kind === 'unsent') return { kind: 'notExecuted', evidence };
  if (kind !== 'answered') return { kind: 'unknown', evidence };
  if (!reply.isAcknowledged) return { kind: 'unknown', evidence: `${evidence} (without ACK)` };
  return reply;
}

/** What is wrong with a unit that answers; undefined for nothing that needs doing. */
export function faultOf({ error }: UnitStatus): CashDispenserStatus['fault'] {
  if (!error || error.cure === 'nothing') return undefined;
  return { code: error.code, text: error.text };
}

/** A sensor anywhere on the way is covered. */
export function hasNotesInside({ hasNotesOnPath, hasNotesAtExit }: UnitStatus): boolean {
  return hasNotesOnPath || hasNotesAtExit;
}

/** The condition in one word. */
export function deviceOf(
  status: UnitStatus,
  isInitialised: boolean,
): CashDispenserStatus['device'] {
  if (status.error?.cure === 'person') return 'fault';
  return isInitialised && !faultOf(status) && !hasNotesInside(status) ? 'ready' : 'attention';
}

/** The condition of a unit that answers. */
export function wordStatus(status: UnitStatus, isInitialised: boolean): CashDispenserStatus {
  return {
    device: deviceOf(status, isInitialised),
    path: status.hasNotesOnPath ? 'notes' : 'clear',
    exit: status.hasNotesAtExit ? 'notes' : 'clear',
    rejectTray: status.rejectTray,
    units: status.bays,
    fault: faultOf(status),
  };
}

/** The condition of a unit that does not. */
export function offlineStatus(positions: readonly Position[]): CashDispenserStatus {
  return {
    device: 'offline',
    path: 'unknown',
    exit: 'unknown',
    rejectTray: 'unknown',
    units: positions.map((at) => ({ position: at, status: 'unknown' })),
    fault: undefined,
  };
}
