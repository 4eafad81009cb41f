/** The unit's words in the words of the service. */
import { type Position, position } from '#protocol/base/ids.ts';
import type {
  CashDispenserCapabilities,
  CashDispenserStatus,
  DispenseOutcome,
  UnitCount,
  UnitResult,
} from '../cash-dispenser.ts';
import {
  BAYS,
  type BayStatus,
  decodeResult,
  type LcdmResult,
  type LcdmStatus,
} from './commands.ts';
import { dispenseError, errorWord, isRefusal, lcdmError, NO_ERROR } from './errors.ts';
import type { LcdmReply } from './link.ts';

const NO_REJECT_TRAY = 0x26;

/** Notes by bay, top first; words when they cannot be asked for. */
export function countsByBay(
  units: readonly UnitCount[],
  { positions, batchMax }: CashDispenserCapabilities,
): readonly number[] | string {
  const counts = Array.from({ length: BAYS }, () => 0);
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

/** What each bay did: those that are fitted, and any other that the unit gives a count for. */
export function unitResults(
  positions: readonly Position[],
  result: LcdmResult,
): readonly UnitResult[] {
  return result.bays.flatMap(({ presented, rejected }, bay) => {
    const at = position(bay + 1);
    if (!positions.includes(at) && presented + rejected === 0) return [];
    return [{ position: at, presented, rejected }];
  });
}

/**
 * What a command that moves notes has done, in the device's own words. A response without ACK
 * before it is no proof that it answers this very command; `lastResult` may clear it up.
 */
export function moveOutcome(reply: LcdmReply, positions: readonly Position[]): DispenseOutcome {
  const { kind, evidence } = reply;
  if (kind === 'refused' || kind === 'unsent') return { kind: 'notExecuted', evidence };
  if (kind !== 'answered') return { kind: 'unknown', evidence };
  if (!reply.isAcknowledged) return { kind: 'unknown', evidence: `${evidence} (without ACK)` };
  const result = decodeResult(reply.frame.body);
  if (!result) return { kind: 'unknown', evidence: `${evidence} (counts that cannot be)` };
  const units = unitResults(positions, result);
  const isNothing = units.every((unit) => unit.presented + unit.rejected === 0);
  if (isRefusal(result.error) && isNothing) return { kind: 'notExecuted', evidence };
  return { kind: 'answered', units, error: dispenseError(result.error), evidence };
}

/** What is wrong with a unit that answers; undefined for nothing that needs doing. */
export function faultOf(status: LcdmStatus): CashDispenserStatus['fault'] {
  const { error } = status;
  if (error === NO_ERROR || lcdmError(error).cure === 'nothing') return undefined;
  return { code: errorWord(error), text: lcdmError(error).text };
}

/** Notes on the way inside: a sensor before the exit is covered. */
function hasNotesOnPath({ sensors }: LcdmStatus): boolean {
  return sensors.diverterLeft || sensors.diverterRight || sensors.eject || sensors.reject;
}

/** A sensor anywhere on the way is covered. */
export function hasNotesInside(status: LcdmStatus): boolean {
  return hasNotesOnPath(status) || status.sensors.exit;
}

/** The condition in one word. */
export function deviceOf(
  status: LcdmStatus,
  isInitialised: boolean,
): CashDispenserStatus['device'] {
  const fault = faultOf(status);
  if (fault && lcdmError(status.error).cure === 'person') return 'fault';
  return isInitialised && !fault && !hasNotesInside(status) ? 'ready' : 'attention';
}

/** The condition of a unit that answers. */
export function wordStatus(
  positions: readonly Position[],
  status: LcdmStatus,
  isInitialised: boolean,
): CashDispenserStatus {
  return {
    device: deviceOf(status, isInitialised),
    path: hasNotesOnPath(status) ? 'notes' : 'clear',
    exit: status.sensors.exit ? 'notes' : 'clear',
    rejectTray: status.error === NO_REJECT_TRAY ? 'missing' : 'unknown',
    units: positions.map((at) => ({ position: at, status: unitStatus(status.bays[at - 1]) })),
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

function unitStatus(bay: BayStatus | undefined): 'ok' | 'low' | 'missing' | 'unknown' {
  if (bay?.cassette === 'removed') return 'missing';
  // A cassette coded for another place may hold anything.
  if (bay?.cassette !== 'present') return 'unknown';
  return bay.isNearEnd ? 'low' : 'ok';
}
