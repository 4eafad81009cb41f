/** How many frames of a device a driver's parser reads in a second, and how many its line brings. */

import type { LineSettings } from '#hal/port.ts';
import { byteTimeMs } from '#hal/simulator/cable.ts';
import { fuzzTargets } from '#test/fuzz/targets.ts';
import { nowMs } from './stopwatch.ts';

const FRAMES = 200_000;

/** Frames a second. */
export interface FrameRates {
  /** Through the parser and the code that turns them into words of money. */
  readonly parsedPerSecond: number;
  /** The same frames, one behind the other, at the device's speed. */
  readonly linePerSecond: number;
}

/** Parses good frames of a protocol. @throws RangeError for one that is not fuzzed. */
export function frameRates(protocol: string, line: LineSettings): FrameRates {
  const target = fuzzTargets.find((one) => one.protocol === protocol);
  if (!target) throw new RangeError(`no frames of ${protocol} are known`);
  const { frames } = target;
  const subject = target.subject();
  const start = nowMs();
  for (let parsed = 0; parsed < FRAMES; parsed += frames.length) {
    for (const frame of frames) subject.push(frame);
  }
  const parsedPerSecond = Math.round((FRAMES * 1_000) / (nowMs() - start));
  const bytes = frames.reduce((sum, frame) => sum + frame.length, 0);
  return {
    parsedPerSecond,
    linePerSecond: (frames.length * 1_000) / (bytes * byteTimeMs(line)),
  };
}
