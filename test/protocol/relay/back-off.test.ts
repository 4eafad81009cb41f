import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { systemRandom } from '#protocol/base/clock.ts';
import { BackOff, withJitter } from '#protocol/relay/back-off.ts';
import { RecentIds } from '#protocol/relay/recent-ids.ts';

const options = { random: systemRandom, firstMs: 1_000, maxMs: 300_000, stableMs: 60_000 };

describe('the back-off', () => {
  it('doubles its ceiling up to the longest wait and never hammers', () => {
    const backOff = new BackOff(options);
    for (let failure = 0; failure < 2_000; failure++) {
      const waitMs = backOff.next(0);
      expect(waitMs).toBeGreaterThanOrEqual(100);
      expect(waitMs).toBeLessThanOrEqual(Math.min(300_000, 1_000 * 2 ** failure));
    }
  });

  it('spreads the waits over the whole range', () => {
    const waits = Array.from({ length: 400 }, () => {
      const backOff = new BackOff(options);
      for (let failure = 0; failure < 9; failure++) backOff.next(0);
      return backOff.next(0);
    });
    expect(Math.min(...waits)).toBeLessThan(30_000);
    expect(Math.max(...waits)).toBeGreaterThan(270_000);
  });

  it('starts anew only after a stable time', () => {
    const wait = (heldMs: number) => {
      const waits = Array.from({ length: 200 }, () => {
        const backOff = new BackOff(options);
        for (let failure = 0; failure < 9; failure++) backOff.next(0);
        return backOff.next(heldMs);
      });
      return Math.max(...waits);
    };
    expect(wait(60_000)).toBeLessThanOrEqual(1_000);
    expect(wait(59_999)).toBeGreaterThan(100_000);
  });

  it('makes a pause longer by at most a quarter, never shorter', () => {
    fc.assert(
      fc.property(fc.nat(10_000_000), (pauseMs) => {
        const waitMs = withJitter(systemRandom, pauseMs);
        expect(waitMs).toBeGreaterThanOrEqual(pauseMs);
        expect(waitMs).toBeLessThanOrEqual(pauseMs * 1.25 + 1);
      }),
    );
  });
});

describe('recent ids', () => {
  it('are the last ones asked for or added, as a plain list says', () => {
    const act = fc.record({ add: fc.boolean(), id: fc.nat(12).map(String) });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), fc.array(act), (max, acts) => {
        const recent = new RecentIds(max);
        let list: string[] = [];
        for (const { add, id } of acts) {
          const isHeld = list.includes(id);
          if (add) recent.add(id);
          else expect(recent.has(id)).toBe(isHeld);
          if (add || isHeld) list = [...list.filter((one) => one !== id), id].slice(-max);
          expect(recent.size).toBe(list.length);
        }
      }),
    );
  });
});
