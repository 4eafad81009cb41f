/** How many frames of a device a driver's parser reads in a second. */
import { fuzzTargets } from '#test/fuzz/targets.ts';
import { nowMs } from './stopwatch.ts';

const FRAMES = 200_000;

/** Frames a second through the parser and the code that turns them into words of money. */
export function framesPerSecond(protocol: string): number | undefined {
  const target = fuzzTargets.find((one) => one.protocol === protocol);
  if (!target) return undefined;
  const subject = target.subject();
  const start = nowMs();
  for (let parsed = 0; parsed < FRAMES; ) {
    for (const frame of target.frames) {
      subject.push(frame);
      parsed += 1;
    }
  }
  return Math.round((FRAMES * 1_000) / (nowMs() - start));
}
