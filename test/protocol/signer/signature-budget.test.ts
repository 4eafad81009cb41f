import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SignatureBudget, type SignatureUses } from '#protocol/signer/signature-budget.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

const HOUR_MS = 3_600_000;

function rig(caps = [{ count: 100, windowMs: HOUR_MS }], kept?: unknown) {
  const clock = new VirtualClock();
  const saved: SignatureUses[] = [];
  const keep = (uses: SignatureUses) => saved.push(uses);
  return { clock, saved, budget: new SignatureBudget({ clock, caps, keep, kept }) };
}

function take(budget: SignatureBudget, count: number, purpose: 'money' | 'other'): boolean[] {
  return Array.from({ length: count }, () => budget.take(purpose));
}

describe('a signature budget', () => {
  test('without caps gives whatever is asked', () => {
    const { budget, saved } = rig([]);
    expect(take(budget, 1_000, 'other').every(Boolean)).toBe(true);
    expect(budget.reserve(1_000_000)).toBe(true);
    expect(saved).toEqual([]);
  });

  test('keeps what is reserved from everything but money', () => {
    const { budget } = rig();
    expect(budget.reserve(40)).toBe(true);
    expect(take(budget, 61, 'other').lastIndexOf(true)).toBe(59);
    expect(take(budget, 41, 'money').lastIndexOf(true)).toBe(39);
  });

  test('frees what a session did not need, and the next reservation replaces the last', () => {
    const { budget } = rig();
    budget.reserve(60);
    expect(budget.reserve(100)).toBe(true);
    expect(budget.take('other')).toBe(false);
    budget.release();
    expect(budget.take('other')).toBe(true);
    expect(budget.reserve(100)).toBe(false);
    expect(budget.has(99)).toBe(true);
  });

  test('all caps bind together, and each refills as its window rolls', async () => {
    const { clock, budget } = rig([
      { count: 20, windowMs: HOUR_MS },
      { count: 30, windowMs: 24 * HOUR_MS },
    ]);
    expect(take(budget, 21, 'other').lastIndexOf(true)).toBe(19);
    await clock.advance(HOUR_MS + 60_000);
    expect(take(budget, 11, 'other').lastIndexOf(true)).toBe(9);
    await clock.advance(24 * HOUR_MS + 60_000);
    expect(budget.has(20)).toBe(true);
    expect(budget.has(21)).toBe(false);
  });

  test('never gives more than a cap in any window', async () => {
    const step = fc.record({ waitMs: fc.integer({ min: 0, max: HOUR_MS }), wants: fc.nat(30) });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const { clock, budget } = rig([{ count: 25, windowMs: HOUR_MS }]);
        const given: number[] = [];
        for (const { waitMs, wants } of steps) {
          await clock.advance(waitMs);
          for (const was of take(budget, wants, 'money')) if (was) given.push(clock.monotonic());
        }
        for (const from of given) {
          const within = given.filter((at) => at >= from && at < from + HOUR_MS);
          expect(within.length).toBeLessThanOrEqual(25);
        }
      }),
    );
  });

  test('goes on where it was after a restart, but for the last twenty', () => {
    const { budget, saved } = rig();
    take(budget, 30, 'money');
    expect(rig(undefined, saved.at(-1)).budget.has(81)).toBe(false);
    budget.reserve(10);
    const again = rig(undefined, saved.at(-1)).budget;
    expect(again.has(70)).toBe(true);
    expect(again.has(71)).toBe(false);
    expect(rig(undefined, 'damaged').budget.has(100)).toBe(true);
  });
});
