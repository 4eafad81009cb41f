/** RESET, and what became of a note that was inside. Source: cash-hardware.md 3.5. */
import type { Clock } from '#protocol/base/clock.ts';
import type { InitialiseOutcome, PowerUpEvidence } from '../cash-acceptor.ts';
import { type CcnetStatus, describeStatus } from './commands.ts';
import { isIdle, needsPerson, needsReset } from './condition.ts';

/** Longest initialisation: up to 40 s, while a note may be stacked or given back. */
const INITIALISE_LIMIT_MS = 60_000;
/** A RESET without effect after that long was lost. Source: implementations wait 3 s after it. */
const RESET_EFFECT_LIMIT_MS = 3_000;
/** A device may be out of touch that long while it starts again; at most 5 s by the book. */
const SILENCE_LIMIT_MS = 10_000;

/** What initialising needs of the driver. */
export interface InitialiseDevice {
  readonly clock: Clock;
  /** Sends RESET once; whether it was acknowledged. */
  reset(): Promise<boolean>;
  /** The next state heard; undefined when there was none in time, or the device went offline. */
  nextStatus(limitMs: number): Promise<CcnetStatus | undefined>;
  /** Switches all types of notes off; whether that was confirmed. */
  disable(): Promise<boolean>;
  /** Takes a credit that nobody has been told of; it must be told now. */
  takePendingCredit(): boolean;
  /** Whether the credit of the note inside was told before. */
  isCreditKnown(): boolean;
  isClosed(): boolean;
}

type Ended = Pick<InitialiseOutcome, 'device' | 'note'> | undefined;

/** One initialisation under way. */
interface Progress {
  readonly before: PowerUpEvidence;
  readonly isAcknowledged: boolean;
  readonly trail: string[];
  readonly startedMs: number;
  heardMs: number;
  hasBegun: boolean;
  hasStacked: boolean;
}

/** Resets the device and follows it until it can work, or cannot, or a credit is reported. */
export async function initialiseDevice(
  device: InitialiseDevice,
  before: PowerUpEvidence,
): Promise<InitialiseOutcome> {
  const startedMs = device.clock.monotonic();
  const isAcknowledged = await device.reset();
  const progress: Progress = {
    before,
    isAcknowledged,
    trail: [isAcknowledged ? 'RESET acknowledged' : 'RESET not acknowledged'],
    startedMs,
    heardMs: device.clock.monotonic(),
    hasBegun: false,
    hasStacked: false,
  };
  for (;;) {
    const leftMs = startedMs + INITIALISE_LIMIT_MS - device.clock.monotonic();
    const waitMs = Math.min(leftMs, SILENCE_LIMIT_MS);
    const status = waitMs > 0 ? await device.nextStatus(waitMs) : undefined;
    const ended = status
      ? await onStatus(device, progress, status)
      : onSilence(device, progress, leftMs);
    if (ended) return { ...ended, evidence: progress.trail.join(', ') };
  }
}

function onSilence(device: InitialiseDevice, progress: Progress, leftMs: number): Ended {
  const silentMs = device.clock.monotonic() - progress.heardMs;
  if (!device.isClosed() && leftMs > 0 && silentMs < SILENCE_LIMIT_MS) return undefined;
  progress.trail.push('then silence');
  return { device: 'offline', note: progress.before === 'none' ? 'none' : 'unknown' };
}

async function onStatus(
  device: InitialiseDevice,
  progress: Progress,
  status: CcnetStatus,
): Promise<Ended> {
  progress.heardMs = device.clock.monotonic();
  const words = describeStatus(status);
  if (progress.trail.at(-1) !== words) progress.trail.push(words);
  if (device.takePendingCredit()) return { device: 'attention', note: 'deposited' };
  const hasWaited = progress.heardMs - progress.startedMs >= RESET_EFFECT_LIMIT_MS;
  if (status.name === 'initialising') progress.hasBegun = true;
  if (status.name === 'stacking' || status.name === 'billStacked') progress.hasStacked = true;
  const isTooLate = progress.heardMs - progress.startedMs >= INITIALISE_LIMIT_MS;
  const unknown = progress.before === 'none' ? 'none' : 'unknown';
  if (isTooLate) return { device: needsPerson(status) ? 'fault' : 'attention', note: unknown };
  if (isIdle(status) && (progress.hasBegun || (progress.isAcknowledged && hasWaited))) {
    const isDisabled = await device.disable();
    return { device: isDisabled ? 'ready' : 'attention', note: noteAfter(device, progress) };
  }
  if (status.name !== 'initialising' && (needsReset(status) || isIdle(status))) {
    if (needsPerson(status) && progress.hasBegun) return { device: 'fault', note: unknown };
    if (hasWaited) return { device: needsPerson(status) ? 'fault' : 'attention', note: unknown };
  }
  return undefined;
}

/** What is proven of the note now that nothing is inside any more. */
function noteAfter(device: InitialiseDevice, progress: Progress): InitialiseOutcome['note'] {
  const { before, hasStacked } = progress;
  if (before === 'none') return 'none';
  if (before === 'noteInAcceptor') return hasStacked ? 'unknown' : 'returned';
  // Its credit was told, by this same run of the program, before the device went down with it.
  return before !== 'unknown' && device.isCreditKnown() ? 'none' : 'unknown';
}
