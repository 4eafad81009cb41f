/** What an anchor under our identity means. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { judgeAnchor } from '#agent/identity/anchor.ts';

const own = {
  instanceId: 'aa'.repeat(16),
  epoch: 3,
  seq: 100,
  hashAt: (seq: number) => (seq <= 100 ? `hash ${seq}` : undefined),
};
const mine = { instanceId: own.instanceId, epoch: 3, seq: 100, hash: 'hash 100' };

test('what was said before on the same chain is never a fault, what is ahead always is', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 6 }), (seq, epoch) => {
      const verdict = judgeAnchor({ ...mine, seq, epoch, hash: `hash ${seq}` }, own);
      const isAhead = epoch > 3 || (epoch === 3 && seq > 100);
      expect(verdict).toBe(isAhead ? 'rolledBack' : undefined);
    }),
  );
});

test('another instance is a twin whatever it says, and so is another end of the same chain', () => {
  for (const change of [{ instanceId: 'bb'.repeat(16) }, { hash: 'other' }, { seq: 50 }]) {
    expect(judgeAnchor({ ...mine, ...change }, own)).toBe('twin');
  }
  const history = { ...mine, instanceId: 'bb'.repeat(16), epoch: 1, seq: 1 };
  expect(judgeAnchor(history, own)).toBe('twin');
  expect(judgeAnchor({ ...mine, epoch: 2, hash: 'from before the restore' }, own)).toBeUndefined();
});
