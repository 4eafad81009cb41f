import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type Admission,
  CALLS_PER_MINUTE,
  type CallPriority,
  PublishRate,
  READS_PER_MINUTE,
  WAITING_MAX,
} from '#protocol/rpc/publish-rate.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

const never = () => new AbortController().signal;

test('no minute ever sees more than ten calls, or more than eight reads', async () => {
  const call = fc.record({
    waitMs: fc.integer({ min: 0, max: 20_000 }),
    priority: fc.constantFrom<CallPriority>('money', 'read'),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(call, { maxLength: 60 }), async (calls) => {
      const clock = new VirtualClock();
      const rate = new PublishRate(clock);
      const granted: { atMs: number; priority: CallPriority }[] = [];
      let refused = 0;
      for (const { waitMs, priority } of calls) {
        await clock.advance(waitMs);
        void rate.take(priority, never()).then((admission) => {
          if (admission === 'granted') granted.push({ atMs: clock.monotonic(), priority });
          else refused++;
        });
      }
      await clock.advance(600_000);
      expect(granted.length + refused).toBe(calls.length);
      expect(clock.pending).toBe(0);
      for (const { atMs } of granted) {
        const inMinute = granted.filter(
          (other) => other.atMs >= atMs && other.atMs < atMs + 60_000,
        );
        expect(inMinute.length).toBeLessThanOrEqual(CALLS_PER_MINUTE);
        const reads = inMinute.filter(({ priority }) => priority === 'read');
        expect(reads.length).toBeLessThanOrEqual(READS_PER_MINUTE);
      }
    }),
    { numRuns: 30 },
  );
});

test('money finds a place although reads took all of theirs, and goes before them', async () => {
  const clock = new VirtualClock();
  const rate = new PublishRate(clock);
  const order: string[] = [];
  const take = (name: string, priority: CallPriority) =>
    void rate.take(priority, never()).then(() => order.push(name));
  for (let count = 0; count < 12; count++) take('read', 'read');
  take('money', 'money');
  await clock.advance(0);
  expect(order).toEqual([...Array(READS_PER_MINUTE).fill('read'), 'money']);
  take('money', 'money');
  take('late money', 'money');
  await clock.advance(59_999);
  expect(order.length).toBe(CALLS_PER_MINUTE);
  await clock.advance(1);
  expect(order[CALLS_PER_MINUTE]).toBe('late money');
});

test('what is too much, given up or closed is refused at once', async () => {
  const clock = new VirtualClock();
  const rate = new PublishRate(clock);
  const admissions: Admission[] = [];
  const givenUp = new AbortController();
  const keep = (admission: Admission) => admissions.push(admission);
  for (let count = 0; count < CALLS_PER_MINUTE; count++) await rate.take('money', never());
  void rate.take('money', givenUp.signal).then(keep);
  for (let count = 1; count < WAITING_MAX; count++) void rate.take('money', never()).then(keep);
  void rate.take('money', never()).then(keep);
  await clock.advance(0);
  expect(admissions).toEqual(['refused']);
  givenUp.abort();
  await clock.advance(0);
  expect(admissions).toEqual(['refused', 'refused']);
  rate.close();
  await clock.advance(0);
  expect(admissions).toEqual(Array(WAITING_MAX + 1).fill('refused'));
  expect(clock.pending).toBe(0);
});
