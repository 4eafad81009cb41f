import { expect, test } from 'vitest';
import { Line } from '#hal/line.ts';
import { Presence, type PresenceOptions } from '#hal/presence.ts';
import { Cable } from '#hal/simulator/cable.ts';
import { Id003Device } from '#hal/simulator/id003/device.ts';
import { MemoryPort } from '#hal/simulator/memory-port.ts';
import { DeviceError } from '#protocol/base/errors.ts';
import { silentLog } from '#protocol/base/log.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

function make(options: Partial<PresenceOptions> = {}) {
  const clock = new VirtualClock();
  const cable = new Cable({ clock, device: new Id003Device({ clock }) });
  const port = new MemoryPort({ path: 'memory', clock, cable });
  const settings = { baudRate: 9600, dataBits: 8, parity: 'even', stopBits: 1 } as const;
  const ignore = () => undefined;
  const line = new Line({ port, settings, onData: ignore, onDown: ignore, onLost: ignore });
  const away: string[] = [];
  const onAway = (reason: string) => away.push(reason);
  const parts = { name: 'test', port, clock, log: silentLog, line, onAway };
  const presence = new Presence({ ...parts, ...options });
  return { clock, cable, presence, away };
}

/** How long a wait takes, virtual ms. */
async function lasts(clock: VirtualClock, wait: Promise<void>): Promise<number> {
  const startedMs = clock.monotonic();
  await clock.resolve(wait);
  return clock.monotonic() - startedMs;
}

test('is in touch once identified, and tells once that it is away', async () => {
  const { clock, presence, away } = make();
  expect(presence.isLost).toBe(true);
  await clock.resolve(presence.open(async () => presence.found()));
  expect(presence.isOnline).toBe(true);
  presence.goAway('silent', 'no answer');
  presence.goAway('lost', 'unplugged');
  expect(away).toEqual(['no answer']);
  expect(presence.isLost).toBe(true);
});

test('an identification that fails closes the port, and says why', async () => {
  const { clock, presence } = make();
  const nobody = new Error('nobody there');
  const fail = () => Promise.reject(nobody);
  await expect(clock.resolve(presence.open(fail))).rejects.toBe(nobody);
  expect(presence.isClosed).toBe(true);
});

test('whoever opens is told that it was closed meanwhile, and nothing is found any more', async () => {
  const { clock, presence } = make();
  const identify = async () => {
    await presence.close();
    presence.found();
  };
  await expect(clock.resolve(presence.open(identify))).rejects.toMatchObject({ code: 'canceled' });
  presence.goAway('silent', 'late news');
  expect(presence.isClosed).toBe(true);
});

test('a lost port is tried again until it is there, and then the device', async () => {
  const { clock, cable, presence } = make();
  const find = () => clock.resolve(presence.findAgain(async () => presence.found()));
  await clock.resolve(presence.open(async () => presence.found()));
  cable.unplug();
  presence.goAway('lost', 'unplugged');
  expect(await find()).toBeUndefined();
  expect(presence.isLost).toBe(true);
  cable.plug();
  const silent = new DeviceError('timeOut', 'no answer');
  const nobody = presence.findAgain(() => Promise.reject(silent));
  expect(await clock.resolve(nobody)).toBe(silent);
  expect(presence.isSilent).toBe(true);
  expect(await find()).toBeUndefined();
  expect(presence.isOnline).toBe(true);
});

test('the port of a device that stays silent is opened anew, and only then', async () => {
  const { clock, presence } = make({ reopenAfter: 3 });
  await clock.resolve(presence.open(async () => presence.found()));
  presence.goAway('silent', 'no answer');
  const fail = (code: 'timeOut' | 'unsupportedCommand') =>
    clock.resolve(presence.findAgain(() => Promise.reject(new DeviceError(code, 'test'))));
  await fail('timeOut');
  await fail('unsupportedCommand');
  await fail('timeOut');
  expect(presence.isSilent).toBe(true);
  await fail('timeOut');
  expect(presence.isLost).toBe(true);
  const find = () => clock.resolve(presence.findAgain(async () => presence.found()));
  await find();
  presence.goAway('silent', 'no answer');
  for (const _time of [1, 2]) await fail('timeOut');
  await find();
  presence.goAway('silent', 'no answer');
  // It is counted from the last time that it was there.
  await fail('timeOut');
  expect(presence.isSilent).toBe(true);
});

test('a port that is opened anew is let go of first', async () => {
  const { clock, cable, presence, away } = make();
  await clock.resolve(presence.open(async () => presence.found()));
  await clock.resolve(presence.openAnew());
  expect(away).toEqual(['the port is opened anew']);
  expect(presence.isLost).toBe(true);
  cable.unplug();
  cable.plug();
  await clock.resolve(presence.findAgain(async () => presence.found()));
  expect(presence.isOnline).toBe(true);
});

test('the next question is due by the last one, but never at once behind an answer', async () => {
  const { clock, presence } = make();
  await clock.resolve(presence.open(async () => presence.found()));
  const askedMs = clock.monotonic();
  await clock.advance(30);
  expect(await lasts(clock, presence.untilDue(100, askedMs))).toBe(70);
  await clock.advance(500);
  expect(await lasts(clock, presence.untilDue(100, askedMs))).toBe(10);
  expect(await lasts(clock, presence.untilDue(0, askedMs))).toBe(0);
});

test('a wait is ended by news and by closing, and none begins afterwards', async () => {
  const { clock, presence } = make();
  await clock.resolve(presence.open(async () => presence.found()));
  const first = presence.pause(1_000);
  presence.wake();
  expect(await lasts(clock, first)).toBe(0);
  const second = presence.pause(1_000);
  await clock.resolve(presence.close());
  expect(await lasts(clock, second)).toBe(0);
  expect(await lasts(clock, presence.pause(1_000))).toBe(0);
});
