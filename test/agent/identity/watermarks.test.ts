/** From which document on the operator is obeyed. */
import { expect, test } from 'vitest';
import { noteOperator, watermarksAfter } from '#agent/identity/operator.ts';
import { newStore } from '#test/state/fixtures.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

test('every document counts while no other operator was ever written down', () => {
  const store = newStore();
  expect(watermarksAfter(store)).toBe(0);
  noteOperator(store, new VirtualClock(), 'ab'.repeat(32));
  expect(watermarksAfter(store)).toBe(0);
});
