/**
 * RESET, and what became of a note that was inside: for devices that say one state at a time, and
 * when they are switched on where a note was. Source: cash-hardware.md 2.5, 3.5.
 */
import type { Clock } from '#protocol/base/clock.ts';
import type { InitialiseOutcome, PowerUpEvidence } from './cash-acceptor.ts';

/** Longest initialisation: up to 40 s, while a note may be stacked or given back. */
const INITIALISE_LIMIT_MS = 60_000;
/** A RESET without effect after that long was lost. Source: implementations wait 2 to 3 s. */
const RESET_EFFECT_LIMIT_MS = 3_000;
/** A device may be out of touch that long while it starts again; at most 5 s by CCNET's book. */
const SILENCE_LIMIT_MS = 10_000;

/** What the states of a protocol say. */
export interface StateWords<Status> {
  readonly describe: (status: Status) => string;
  readonly isIdle: (status: Status) => boolean;
  readonly needsReset: (status: Status) => boolean;
  readonly needsPerson: (status: Status) => boolean;
  readonly isInitialising: (status: Status) => boolean;
  /** A note is on its way to the cash box, or has come there. */
  readonly isStacking: (status: Status) => boolean;
  /** Settings are taken while it initialises, and kept. */
  readonly configuresEarly: boolean;
}

/** What a reset needs of the driver. */
export interface ResetDevice<Status> {
  readonly clock: Clock;
  readonly words: StateWords<Status>;
  /** Sends RESET once; whether it was acknowledged. */
  reset(): Promise<boolean>;
  /** The next state heard; undefined when there was none in time, or the device went offline. */
  nextStatus(limitMs: number): Promise<Status | undefined>;
  /** Sends the settings, by which no note is taken; whether all were confirmed. */
  configure(): Promise<boolean>;
  /** Takes a credit that nobody has been told of; it must be told now. */
  takePendingCredit(): boolean;
  /** Whether the credit of the note inside was told before. */
  isCreditKnown(): boolean;
  isClosed(): boolean;
}

type Ended = Pick<InitialiseOutcome, 'device' | 'note'> | undefined;

/** One reset under way. */
interface Progress {
  readonly before: PowerUpEvidence;
  readonly isAcknowledged: boolean;
  readonly trail: string[];
  readonly startedMs: number;
  heardMs: number;
  hasBegun: boolean;
  isConfigured: boolean;
  hasStacked: boolean;
}

/** Resets the device and follows it until it can work, or cannot, or a credit is reported. */
export async function resetDevice<Status>(
  device: ResetDevice<Status>,
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
    isConfigured: false,
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

function onSilence<Status>(device: ResetDevice<Status>, progress: Progress, leftMs: number): Ended {
  const silentMs = device.clock.monotonic() - progress.heardMs;
  if (!device.isClosed() && leftMs > 0 && silentMs < SILENCE_LIMIT_MS) return undefined;
  progress.trail.push('then silence');
  return { device: 'offline', note: progress.before === 'none' ? 'none' : 'unknown' };
}

async function onStatus<Status>(
  device: ResetDevice<Status>,
  progress: Progress,
  status: Status,
): Promise<Ended> {
  const { words } = device;
  progress.heardMs = device.clock.monotonic();
  const said = words.describe(status);
  if (progress.trail.at(-1) !== said) progress.trail.push(said);
  if (device.takePendingCredit()) return { device: 'attention', note: 'deposited' };
  const isInitialising = words.isInitialising(status);
  const isIdle = words.isIdle(status);
  if (isInitialising) progress.hasBegun = true;
  if (words.isStacking(status)) progress.hasStacked = true;
  const afterMs = progress.heardMs - progress.startedMs;
  const hasWaited = afterMs >= RESET_EFFECT_LIMIT_MS;
  const note = progress.before === 'none' ? 'none' : 'unknown';
  const unmended = { device: words.needsPerson(status) ? 'fault' : 'attention', note } as const;
  if (afterMs >= INITIALISE_LIMIT_MS) return unmended;
  if (isIdle && (progress.hasBegun || (progress.isAcknowledged && hasWaited))) {
    progress.isConfigured ||= await device.configure();
    const state = progress.isConfigured ? 'ready' : 'attention';
    return { device: state, note: noteAfter(device, progress) };
  }
  if (isInitialising) {
    if (words.configuresEarly) progress.isConfigured ||= await device.configure();
  } else if (words.needsReset(status) || isIdle) {
    const isBeyondReset = unmended.device === 'fault' && progress.hasBegun;
    if (isBeyondReset || hasWaited) return unmended;
  }
  return undefined;
}

/** What is proven of the note now that nothing is inside any more. */
function noteAfter<Status>(
  device: ResetDevice<Status>,
  { before, hasStacked }: Progress,
): InitialiseOutcome['note'] {
  if (before === 'none') return 'none';
  if (before === 'noteInAcceptor') return hasStacked ? 'unknown' : 'returned';
  // Its credit was told, by this same run of the program, before the device went down with it.
  return before !== 'unknown' && device.isCreditKnown() ? 'none' : 'unknown';
}
