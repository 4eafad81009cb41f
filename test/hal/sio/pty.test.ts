/** The happy path over a real pty, by the port that the machine uses. */
import { expect, test } from 'vitest';
import { SystemPort } from '#hal/serial-port.ts';
import { openPty } from '#hal/simulator/pty.ts';
import { SioDevice } from '#hal/simulator/sio/device.ts';
import { SioAcceptor } from '#hal/sio/driver.ts';
import { systemClock } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import { CHANNELS, dollars } from './bench.ts';

test('a note is deposited over a pty', async () => {
  const clock = systemClock;
  const pty = await openPty();
  // A fast mechanism: what is tried here is the port, and the times are tried elsewhere.
  const timings = { readMs: 20, stackMs: 20 };
  const device = new SioDevice({ clock, options: { channels: CHANNELS, timings } });
  pty.onData((bytes) => device.receive(bytes));
  device.connect((bytes) => pty.write(bytes));
  const acceptor = new SioAcceptor({
    port: new SystemPort({ path: pty.path, clock }),
    clock,
    log: silentLog,
    options: { model: 'nv10', currency: 'USD', channels: CHANNELS },
  });
  try {
    expect(await acceptor.open()).toMatchObject({ protocol: 'sio', model: 'nv10' });
    expect(await acceptor.initialise()).toMatchObject({ device: 'ready' });
    await acceptor.accept([dollars(20)]);
    const escrowed = new Promise<void>((resolve) => {
      acceptor.subscribe((event) => {
        if (event.kind === 'note.escrowed') resolve();
      });
    });
    device.control({ do: 'insert', denomination: 20 });
    await escrowed;
    expect(await acceptor.deposit()).toMatchObject({ kind: 'deposited', value: 2000 });
    expect(device.truth().cashbox).toEqual({ 20: 1 });
    expect(device.violations()).toEqual([]);
  } finally {
    await acceptor.close();
    device.stop();
    pty.close();
  }
});
