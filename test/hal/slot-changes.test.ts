import { expect, test } from 'vitest';
import { NextNews } from '#hal/news.ts';
import { SlotChanges } from '#hal/slot-changes.ts';
import { DeviceError } from '#protocol/base/errors.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

function make() {
  const clock = new VirtualClock();
  const news = new NextNews<true>(clock);
  const device = { isInService: true, isAtRest: false };
  const changes = new SlotChanges({
    clock,
    isInService: () => device.isInService,
    isAtRest: () => device.isAtRest,
    nextNews: (limitMs) => news.within(limitMs),
    error: (code, reason) => new DeviceError(code, reason),
  });
  return { clock, news, device, changes };
}

test('a change waits until nothing is inside', async () => {
  const { clock, news, device, changes } = make();
  const began = changes.begin();
  await clock.advance(5000);
  device.isAtRest = true;
  news.tell(true);
  const change = await clock.resolve(began);
  expect(change).toBe(changes.last);
  expect(clock.monotonic()).toBe(5000);
});

test('a note that stays ends it in time', async () => {
  const { clock, changes } = make();
  await expect(clock.resolve(changes.begin())).rejects.toMatchObject({ code: 'timeOut' });
  expect(clock.monotonic()).toBe(20_000);
});

test('the next one ends it, and so does closing', async () => {
  const { clock, news, changes } = make();
  const first = expect(changes.begin()).rejects.toMatchObject({ code: 'canceled' });
  const second = expect(changes.begin()).rejects.toMatchObject({ code: 'canceled' });
  await clock.advance(10);
  news.tell(true);
  await first;
  changes.cancel();
  news.tell(true);
  await second;
  expect(() => changes.requireLast(2)).toThrow('other values were set since');
});

test('out of service nothing is changed', async () => {
  const { clock, news, device, changes } = make();
  const gone = expect(changes.begin()).rejects.toMatchObject({ code: 'deviceNotReady' });
  await clock.advance(10);
  device.isInService = false;
  news.tell(true);
  await gone;
  await expect(changes.begin()).rejects.toMatchObject({ code: 'deviceNotReady' });
});
