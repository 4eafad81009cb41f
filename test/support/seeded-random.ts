import { hash } from 'node:crypto';
import type { Random } from '#protocol/base/clock.ts';

/** Random bytes that are the same for the same seed. */
export function seededRandom(seed: string): Random {
  let block = 0;
  return {
    bytes: (count) => {
      const bytes = new Uint8Array(count);
      for (let at = 0; at < count; at += 32) {
        const more = hash('sha256', `${seed}:${block++}`, 'buffer');
        bytes.set(more.subarray(0, Math.min(32, count - at)), at);
      }
      return bytes;
    },
  };
}
