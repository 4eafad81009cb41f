import { expect, test } from 'vitest';
import { VirtualClock } from './virtual-clock.ts';

test('timers fire in order, and what they start runs before the next one', async () => {
  const clock = new VirtualClock();
  const fired: string[] = [];
  clock.after(20, () => fired.push('later'));
  clock.after(10, () => void Promise.resolve().then(() => fired.push('started')));
  clock.after(10, () => fired.push('same time'));
  const cancel = clock.after(15, () => fired.push('cancelled'));
  cancel();
  await clock.advance(30);
  expect(fired).toEqual(['started', 'same time', 'later']);
  expect([clock.monotonic(), clock.pending, clock.fired]).toEqual([30, 0, 3]);
});

test('two may move it: the one at his end goes on before time does', async () => {
  const clock = new VirtualClock();
  const every = () => {
    clock.after(1, every);
  };
  every();
  const long = clock.advance(1_000);
  const seenMs: number[] = [];
  for (const byMs of [100, 50, 7]) {
    await clock.advance(byMs);
    seenMs.push(clock.monotonic());
  }
  await clock.until(() => clock.monotonic() >= 300);
  seenMs.push(clock.monotonic());
  await long;
  expect(seenMs).toEqual([100, 150, 157, 300]);
  expect(clock.monotonic()).toBe(1_000);
});

test('a limit is kept, and an error in a timer is told to whoever moves it', async () => {
  const clock = new VirtualClock();
  expect(await clock.reach(() => false, 50)).toBe(false);
  expect(clock.monotonic()).toBe(50);
  await expect(clock.until(() => false, 10)).rejects.toThrow('within 10 virtual ms');
  clock.after(5, () => {
    throw new Error('a bug');
  });
  await expect(clock.advance(10)).rejects.toThrow('a bug');
  await clock.advance(10);
  expect(clock.monotonic()).toBe(75);
});
