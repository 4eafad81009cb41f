/**
 * Makes a validator ready, and tells what became of a note that was inside. A note in escrow is
 * given back by REJECT; RESET is sent only after a jam, for nothing else needs it.
 * Source: cash-hardware.md 5.5.
 */
import type { Clock } from '#protocol/base/clock.ts';
import type { InitialiseOutcome } from '../cash-acceptor.ts';
import { needsPerson, type SspCondition } from './condition.ts';
import type { NoteDialogue } from './inside.ts';

/** Longest initialisation; a note may be stacked or given back meanwhile, and the device reset. */
const INITIALISE_LIMIT_MS = 60_000;
/** A device may be out of touch that long while it starts again. */
const SILENCE_LIMIT_MS = 15_000;
/** A device that starts says so at the end; one whose word went to another host never does. */
const START_LIMIT_MS = 10_000;
/** A RESET without effect after that long was lost. */
const RESET_EFFECT_LIMIT_MS = 10_000;

/** What initialising needs of the driver. */
export interface InitialiseDevice {
  readonly clock: Clock;
  /** Gives a note that waits in escrow back, once. */
  release(): void;
  /** Sends RESET once; whether it was acknowledged. */
  reset(): Promise<boolean>;
  /** Waits for the next news; false when there was none in time, or the device is away. */
  nextNews(limitMs: number): Promise<boolean>;
  /** Nothing enabled, disabled; whether both were confirmed. */
  configure(): Promise<boolean>;
  /** Reads the counters, and what they prove of a note in doubt. */
  readCounters(isInDoubt: boolean): Promise<'deposited' | 'returned' | 'unknown'>;
  /** Takes a credit that nobody has been told of; it must be told now. */
  takePendingCredit(): boolean;
  condition(): SspCondition;
  dialogue(): NoteDialogue;
  /** Words of what was heard. */
  evidence(): string;
  isOnline(): boolean;
  isClosed(): boolean;
}

/** What was known when it began. */
export interface BeforeInitialise {
  /** A note was inside, or may have been. */
  readonly mayHaveNote: boolean;
}

type Ended = Pick<InitialiseOutcome, 'device' | 'note'> | undefined;

/** One initialisation under way. */
interface Progress {
  readonly before: BeforeInitialise;
  readonly startedMs: number;
  readonly trail: string[];
  heardMs: number;
  resetMs: number | undefined;
}

/** Follows the device until it can work, or cannot, or a credit is reported. */
export async function initialiseDevice(
  device: InitialiseDevice,
  before: BeforeInitialise,
): Promise<InitialiseOutcome> {
  const startedMs = device.clock.monotonic();
  const progress: Progress = {
    before,
    startedMs,
    trail: [],
    heardMs: startedMs,
    resetMs: undefined,
  };
  for (;;) {
    const ended = await advance(device, progress);
    if (ended) {
      const evidence = [...progress.trail, device.evidence()].filter((words) => words !== '');
      return { ...ended, evidence: evidence.join(', ') };
    }
    const leftMs = startedMs + INITIALISE_LIMIT_MS - device.clock.monotonic();
    const isHeard = await device.nextNews(Math.max(0, Math.min(leftMs, SILENCE_LIMIT_MS)));
    if (isHeard) progress.heardMs = device.clock.monotonic();
  }
}

async function advance(device: InitialiseDevice, progress: Progress): Promise<Ended> {
  const nowMs = device.clock.monotonic();
  const unknown = progress.before.mayHaveNote ? 'unknown' : 'none';
  if (device.takePendingCredit()) return { device: 'attention', note: 'deposited' };
  const isLate = nowMs - progress.startedMs >= INITIALISE_LIMIT_MS;
  if (!device.isOnline()) {
    const isSilent = nowMs - progress.heardMs >= SILENCE_LIMIT_MS;
    const isOver = isLate || isSilent || device.isClosed();
    return isOver ? { device: 'offline', note: unknown } : undefined;
  }
  if (isLate) {
    return { device: needsPerson(device.condition()) ? 'fault' : 'attention', note: unknown };
  }
  const { note: inside, busy } = device.dialogue();
  if (inside?.inEscrow) {
    device.release();
    return undefined;
  }
  const { mustReset, isStarting } = device.condition();
  if (mustReset) return resetOnce(device, progress, nowMs, unknown);
  const waitsForStart = isStarting && nowMs - progress.startedMs < START_LIMIT_MS;
  if (inside !== undefined || busy || waitsForStart) return undefined;
  if (needsPerson(device.condition())) return { device: 'fault', note: noteAfter(device, unknown) };
  if (!(await device.configure())) return { device: 'attention', note: noteAfter(device, unknown) };
  const note = noteAfter(device, unknown);
  const proof = await device.readCounters(note === 'unknown');
  if (device.takePendingCredit()) return { device: 'attention', note: 'deposited' };
  // A credit that is proven and not pending was told before.
  const proven = proof === 'deposited' ? 'none' : proof;
  return { device: 'ready', note: note === 'unknown' ? proven : note };
}

async function resetOnce(
  device: InitialiseDevice,
  progress: Progress,
  nowMs: number,
  unknown: 'unknown' | 'none',
): Promise<Ended> {
  if (progress.resetMs === undefined) {
    progress.resetMs = nowMs;
    const isAcknowledged = await device.reset();
    progress.trail.push(isAcknowledged ? 'RESET acknowledged' : 'RESET not acknowledged');
    return undefined;
  }
  if (nowMs - progress.resetMs < RESET_EFFECT_LIMIT_MS) return undefined;
  return { device: needsPerson(device.condition()) ? 'fault' : 'attention', note: unknown };
}

/** What is proven of the note now that nothing is inside any more. */
function noteAfter(
  device: InitialiseDevice,
  unknown: 'unknown' | 'none',
): InitialiseOutcome['note'] {
  const { ended } = device.dialogue();
  return ended === 'none' ? unknown : ended;
}
