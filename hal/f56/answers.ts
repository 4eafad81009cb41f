/** The unit's words in the words of the service. */
import { type Position, position } from '#protocol/base/ids.ts';
import type {
  CashDispenserCapabilities,
  CashDispenserStatus,
  DispenseOutcome,
  UnitCount,
  UnitResult,
} from '../cash-dispenser.ts';
import { BAYS, type BayCounts, decodeBillCount, errorCodeOf, type F56Status } from './commands.ts';
import {
  cassetteOf,
  dispenseError,
  errorWord,
  f56Error,
  isRefusal,
  rejectBoxOf,
} from './errors.ts';
import type { F56Reply } from './link.ts';

/** Whether notes stand inside where no sensor of ours looks; concluded, not sensed. */
export type PathState = CashDispenserStatus['path'];

/** What the driver knows beside the unit's answer. */
export interface Knowledge {
  readonly positions: readonly Position[];
  readonly isInitialised: boolean;
  readonly path: PathState;
  /** Error of the last command that moved notes, until one goes well. */
  readonly lastError: number | undefined;
  /** Why it cannot be initialised, in words; undefined when it can. */
  readonly notesFault: string | undefined;
}

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
function unitResults(
  positions: readonly Position[],
  bays: readonly BayCounts[],
): readonly UnitResult[] {
  return bays.flatMap(({ presented, rejected }, bay) => {
    const at = position(bay + 1);
    if (!positions.includes(at) && presented + rejected === 0) return [];
    return [{ position: at, presented, rejected }];
  });
}

/**
 * What BILL COUNT has done, in the unit's own words. A response without ACK before it is no proof
 * that it answers this very command.
 */
export function countOutcome(reply: F56Reply, positions: readonly Position[]): DispenseOutcome {
  const { kind, evidence } = reply;
  if (kind === 'refused' || kind === 'unsent') return { kind: 'notExecuted', evidence };
  if (kind !== 'answered' || !reply.isAcknowledged) return { kind: 'unknown', evidence };
  const code = errorCodeOf(reply.data);
  const bays = decodeBillCount(reply.data);
  const isNothing = bays?.every((bay) => bay.presented + bay.rejected === 0) ?? true;
  if (code !== undefined && isRefusal(code) && isNothing) return { kind: 'notExecuted', evidence };
  if (!bays) return { kind: 'unknown', evidence: `${evidence} (no counts)` };
  return {
    kind: 'answered',
    units: unitResults(positions, bays),
    error: dispenseError(code),
    evidence,
  };
}

/** What keeps the unit from service until a person has been there; undefined for nothing. */
function faultOf(
  { errorCode, hasNotesAtExit }: F56Status,
  { isInitialised, notesFault }: Knowledge,
): CashDispenserStatus['fault'] {
  if (errorCode !== undefined && f56Error(errorCode).cure === 'person') return wordError(errorCode);
  // Nobody knows where INITIALISE takes them, and a customer may be about to.
  if (hasNotesAtExit && !isInitialised) {
    return { code: 'exit', text: 'notes lie at the exit and have to be taken first' };
  }
  return notesFault === undefined ? undefined : { code: 'notes', text: notesFault };
}

/** The condition of a unit that answers. */
export function wordStatus(status: F56Status, knowledge: Knowledge): CashDispenserStatus {
  const { positions, isInitialised, path, lastError } = knowledge;
  const fault = faultOf(status, knowledge);
  const error = status.errorCode ?? lastError;
  const isReady = isInitialised && status.errorCode === undefined;
  const leavesNotes = error !== undefined && f56Error(error).leavesNotes;
  return {
    device: fault ? 'fault' : isReady ? 'ready' : 'attention',
    path: leavesNotes ? 'notes' : path,
    exit: status.hasNotesAtExit ? 'notes' : 'clear',
    rejectTray: rejectBoxOf(error),
    units: positions.map((at) => {
      const cassette = error === undefined ? undefined : cassetteOf(error);
      return { position: at, status: cassette?.bay === at ? cassette.status : 'unknown' };
    }),
    fault: fault ?? (error === undefined ? undefined : wordError(error)),
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

function wordError(code: number): { readonly code: string; readonly text: string } {
  return { code: errorWord(code), text: f56Error(code).text };
}
