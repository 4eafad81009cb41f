/** One round of the health watch: what is said of a clock and of a signer, as they stand. */
import { expect, test } from 'vitest';
import type { Parts } from '#agent/parts.ts';
import { HealthWatch } from '#agent/watch/health-watch.ts';
import type { ClockVerdict } from '#protocol/corrected-clock.ts';
import { testParts } from '#test/support/parts.ts';

test.each<[ClockVerdict, RegExp | undefined]>([
  [{ kind: 'doubted', words: 'created_at too early' }, /a relay says "created_at too early"/],
  [{ kind: 'wrong', offsetMs: -70_000 }, /is 70 s fast/],
  [{ kind: 'off', offsetMs: 40_000 }, undefined],
])('a clock of which is known: %o', async (verdict, words) => {
  const parts = await testParts();
  const none = () => () => undefined;
  const watch = new HealthWatch(parts, { onSigner: none, onClock: none, clock: () => verdict });
  await watch.round();
  const clock = parts.board.list('cashIn').find(({ code }) => code === 'clock');
  if (words === undefined) expect(clock).toBeUndefined();
  else expect(clock?.text).toMatch(words);
});

test('a signer of which nothing is known does not sign', async () => {
  const parts = await testParts();
  const health = () => ({ kind: 'unknown' }) as const;
  const signer = { ...parts.signer, pubkey: '', health, probe: async () => health() };
  const none = () => () => undefined;
  const news = { onSigner: none, onClock: none, clock: () => ({ kind: 'unknown' }) as const };
  await new HealthWatch({ ...parts, signer } as Parts, news).round();
  expect(parts.board.list('cashOut')).toContainEqual(
    expect.objectContaining({ code: 'signerUnreachable', text: 'Signer Unreachable' }),
  );
});
