/** The happy path once over a real serial port: a pty with the simulated unit behind it. */
import { expect, test } from 'vitest';
import { F56Dispenser } from '#hal/f56/driver.ts';
import { SystemPort } from '#hal/serial-port.ts';
import { F56Device } from '#hal/simulator/f56/device.ts';
import { openPty } from '#hal/simulator/pty.ts';
import { systemClock as clock } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import { asked, CASSETTES, held } from './rig.ts';

test('a unit behind a pty is opened, initialised and hands out notes that are taken', async () => {
  const timings = { initialiseMs: 50, startMs: 20, noteMs: 10 };
  const device = new F56Device({ clock, options: { cassettes: CASSETTES, timings } });
  const pty = await openPty();
  pty.onData((bytes) => device.receive(bytes));
  device.connect((bytes) => pty.write(bytes));
  const port = new SystemPort({ path: pty.path, clock });
  const dispenser = new F56Dispenser({ port, clock, log: silentLog, options: { model: 'f56' } });
  try {
    dispenser.setNotes(held({ 1: 20, 2: 50 }));
    expect(await dispenser.open()).toMatchObject({ protocol: 'f56', model: 'f56' });
    expect((await dispenser.initialise()).kind).toBe('answered');
    expect((await dispenser.status()).device).toBe('ready');
    // Twenty of them: both counts have a digit with a set parity bit, and one without.
    const outcome = await dispenser.dispense(asked({ 1: 12, 2: 8 }));
    expect(outcome).toMatchObject({
      kind: 'answered',
      units: [{ presented: 12 }, { presented: 8 }, {}, {}],
      error: undefined,
    });
    expect((await dispenser.status()).exit).toBe('notes');
    device.control({ do: 'take' });
    expect(await dispenser.waitTaken(5000)).toBe('taken');
    expect(device.violations()).toEqual([]);
    expect(device.truth().customer).toEqual({ 20: 12, 50: 8 });
  } finally {
    await dispenser.close();
    device.stop();
    pty.close();
  }
}, 20_000);
