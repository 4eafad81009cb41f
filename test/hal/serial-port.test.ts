/** Real ports of this computer, by pseudo terminals; so they run on the computer's own clock. */
import { expect, test } from 'vitest';
import { ID003_LINE } from '#hal/id003/wire.ts';
import type { PortEvent } from '#hal/port.ts';
import { SystemPort } from '#hal/serial-port.ts';
import { openPty } from '#hal/simulator/pty.ts';
import { systemClock } from '#protocol/base/clock.ts';

const ALL_BYTES = Uint8Array.from({ length: 256 }, (_, byte) => byte);

const newPort = (path: string) => new SystemPort({ path, clock: systemClock });

test('carries every byte value both ways, and remembers them', async () => {
  const pty = await openPty();
  const port = newPort(pty.path);
  const atDevice: number[] = [];
  const atHost: number[] = [];
  const deviceHasAll = Promise.withResolvers<void>();
  const hostHasAll = Promise.withResolvers<void>();
  pty.onData((bytes) => {
    atDevice.push(...bytes);
    if (atDevice.length >= 256) deviceHasAll.resolve();
  });
  port.subscribe((event) => {
    if (event.kind === 'data') atHost.push(...event.bytes);
    if (atHost.length >= 256) hostHasAll.resolve();
  });
  await port.open(ID003_LINE);
  port.write(ALL_BYTES);
  pty.write(ALL_BYTES);
  await Promise.all([deviceHasAll.promise, hostHasAll.promise]);
  expect(atDevice).toEqual([...ALL_BYTES]);
  expect(atHost).toEqual([...ALL_BYTES]);
  const read = port.recording().filter(({ direction }) => direction === 'in');
  expect(read.map(({ hex }) => hex).join('')).toBe(Buffer.from(ALL_BYTES).toString('hex'));
  await port.close();
  pty.close();
});

test('is exclusive, and says what is missing', async () => {
  const pty = await openPty();
  const first = newPort(pty.path);
  await first.open(ID003_LINE);
  await expect(newPort(pty.path).open(ID003_LINE)).rejects.toMatchObject({ code: 'locked' });
  await expect(first.open(ID003_LINE)).rejects.toMatchObject({ code: 'locked' });
  await first.close();
  const second = newPort(pty.path);
  await second.open(ID003_LINE);
  await second.close();
  await expect(newPort('/dev/no-such-port').open(ID003_LINE)).rejects.toMatchObject({
    code: 'notFound',
  });
  pty.close();
});

test('notices a vanished port within 2 s, and tells it once; its own close is silent', async () => {
  const pty = await openPty();
  const port = newPort(pty.path);
  const events: PortEvent[] = [];
  const lost = Promise.withResolvers<void>();
  port.subscribe((event) => {
    events.push(event);
    lost.resolve();
  });
  await port.open(ID003_LINE);
  await port.close();
  await port.open(ID003_LINE);
  const startedMs = systemClock.monotonic();
  pty.close();
  await lost.promise;
  expect(systemClock.monotonic() - startedMs).toBeLessThan(2000);
  port.write(Uint8Array.of(1));
  await port.close();
  expect(events).toEqual([{ kind: 'lost', reason: expect.any(String) }]);
});
