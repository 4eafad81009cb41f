/**
 * Makes the device ready and says what became of a note that was inside: one in escrow is given
 * back, one past escrow is waited for, and a broken device is started again, once.
 * Source: cash-hardware.md 4.2, 4.5, 4.6.
 */
import type { Clock } from '#protocol/base/clock.ts';
import type { InitialiseOutcome } from '../cash-acceptor.ts';
import { describeStatus, type EbdsStatus, has } from './commands.ts';
import { isIdle, isMendedByReset, isMoving, type NoteInside, needsPerson } from './condition.ts';

/** Longest initialisation; a note may be stacked or given back meanwhile. */
const INITIALISE_LIMIT_MS = 60_000;
/** So long a device may take to come to rest by itself, before it is started again or given up. */
const SETTLE_LIMIT_MS = 5_000;
/** Longest start after a reset, with the second in which all is ignored. Source: 15 s. */
export const RESET_LIMIT_MS = 20_000;

/** What initialising needs of the driver. */
export interface InitialiseDevice {
  readonly clock: Clock;
  /** The next status heard; undefined when there was none in time, or the device went offline. */
  nextStatus(limitMs: number): Promise<EbdsStatus | undefined>;
  /** Sends the return bit, once, if a note is in escrow. */
  giveBack(): void;
  /** Sends the soft reset, once. */
  reset(): void;
  /** Sends the settings, with nothing enabled; whether the device has taken them. */
  configure(): Promise<boolean>;
  /** Takes a credit that nobody has been told of; it must be told now. */
  takePendingCredit(): boolean;
  /** Whether the credit of the note inside was told before. */
  isCreditKnown(): boolean;
  /** Where a note is after one more status, as the driver has followed it. */
  insideAfter(before: NoteInside, status: EbdsStatus): NoteInside;
  isClosed(): boolean;
}

type Ended = Pick<InitialiseOutcome, 'device' | 'note'> | undefined;

/** One initialisation under way. */
interface Progress {
  readonly device: InitialiseDevice;
  readonly trail: string[];
  readonly startedMs: number;
  inside: NoteInside;
  heardMs: number;
  resetMs: number | undefined;
  isGivenBack: boolean;
}

/** Follows the device until it can work, or cannot, or a credit is reported. */
export async function initialiseDevice(
  device: InitialiseDevice,
  first: EbdsStatus,
  inside: NoteInside,
): Promise<InitialiseOutcome> {
  const nowMs = device.clock.monotonic();
  const progress: Progress = {
    device,
    trail: [],
    startedMs: nowMs,
    inside,
    heardMs: nowMs,
    resetMs: undefined,
    isGivenBack: false,
  };
  let status: EbdsStatus | undefined = first;
  for (;;) {
    const ended = status ? await onStatus(progress, status) : onSilence(progress);
    if (ended) return { ...ended, evidence: progress.trail.join('; ') };
    const leftMs = progress.startedMs + INITIALISE_LIMIT_MS - device.clock.monotonic();
    status = leftMs > 0 ? await device.nextStatus(Math.min(leftMs, SETTLE_LIMIT_MS)) : undefined;
  }
}

function onSilence(progress: Progress): Ended {
  const { device, trail, startedMs, heardMs } = progress;
  const nowMs = device.clock.monotonic();
  const isInTime = nowMs - heardMs < RESET_LIMIT_MS && nowMs - startedMs < INITIALISE_LIMIT_MS;
  if (!device.isClosed() && isInTime) return undefined;
  trail.push('then silence');
  return { device: 'offline', note: noteSoFar(progress) };
}

async function onStatus(progress: Progress, status: EbdsStatus): Promise<Ended> {
  const { device, trail, startedMs } = progress;
  progress.heardMs = device.clock.monotonic();
  const words = describeStatus(status);
  if (trail.at(-1) !== words) trail.push(words);
  if (device.takePendingCredit()) return { device: 'attention', note: 'deposited' };
  progress.inside = device.insideAfter(progress.inside, status);
  if (isIdle(status)) {
    const isReady = await device.configure();
    if (!isReady) trail.push('settings not taken');
    return { device: isReady ? 'ready' : 'attention', note: noteAfter(progress) };
  }
  if (has(status, 'escrowed') && !progress.isGivenBack) {
    progress.isGivenBack = true;
    trail.push('asked back');
    device.giveBack();
  }
  if (progress.heardMs - startedMs >= INITIALISE_LIMIT_MS) return givenUp(progress, status);
  const restedMs = progress.heardMs - (progress.resetMs ?? startedMs);
  if (restedMs < settleMs(progress, status)) return undefined;
  if (progress.resetMs !== undefined || !isMendedByReset(status)) return givenUp(progress, status);
  progress.resetMs = progress.heardMs;
  trail.push('soft reset');
  device.reset();
  return undefined;
}

/** How long this status may last: what moves by itself comes to its end by itself. */
function settleMs({ resetMs }: Progress, status: EbdsStatus): number {
  if (isMoving(status)) return INITIALISE_LIMIT_MS;
  return resetMs === undefined ? SETTLE_LIMIT_MS : RESET_LIMIT_MS;
}

function givenUp(progress: Progress, status: EbdsStatus): Ended {
  const device = needsPerson(status) ? 'fault' : 'attention';
  return { device, note: noteSoFar(progress) };
}

/** What is proven of the note while the device is not at rest. */
function noteSoFar({ inside }: Progress): InitialiseOutcome['note'] {
  return inside === 'none' || inside === 'returned' ? inside : 'unknown';
}

/**
 * What is proven of the note now that nothing is inside any more. That it went back needs the
 * device's own word: a unit that does not keep to power-up policy B stacks it and says nothing.
 */
function noteAfter(progress: Progress): InitialiseOutcome['note'] {
  const { inside, device } = progress;
  // Its credit was told, by this same run of the program, before the device went down with it.
  if (inside === 'noteInStacker' && device.isCreditKnown()) return 'none';
  return noteSoFar(progress);
}
