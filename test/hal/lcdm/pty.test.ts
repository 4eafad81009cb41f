/** One happy path of each ID over a real pty, by the port that the machine uses. */
import { expect, test } from 'vitest';
import { LcdmDispenser } from '#hal/lcdm/driver.ts';
import type { LcdmModelName } from '#hal/lcdm/models.ts';
import { SystemPort } from '#hal/serial-port.ts';
import { LcdmDevice } from '#hal/simulator/lcdm/device.ts';
import { openPty } from '#hal/simulator/pty.ts';
import { systemClock } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import { asked, CASSETTES } from './rig.ts';

const MODELS: readonly LcdmModelName[] = ['lcdm-4000-lamassu', 'lcdm-2000'];

test.concurrent.each(MODELS)('%s hands out over a pty', async (model) => {
  const clock = systemClock;
  const pty = await openPty();
  // Motors as on a desk: what is tried here is the port, and the times are tried elsewhere.
  const timings = { startMs: 10, noteMs: 5 };
  const device = new LcdmDevice({ clock, options: { model, cassettes: CASSETTES, timings } });
  pty.onData((bytes) => device.receive(bytes));
  device.connect((bytes) => pty.write(bytes));
  const port = new SystemPort({ path: pty.path, clock });
  const dispenser = new LcdmDispenser({ port, clock, log: silentLog, options: { model } });
  try {
    expect(await dispenser.open()).toMatchObject({ model });
    expect(await dispenser.initialise()).toMatchObject({ kind: 'answered', error: undefined });
    expect(await dispenser.dispense(asked({ 1: 3, 2: 2 }))).toMatchObject({
      kind: 'answered',
      error: undefined,
      units: [{ presented: 3 }, { presented: 2 }],
    });
    expect(device.truth().customer).toEqual({ 20: 3, 50: 2 });
    expect(device.violations()).toEqual([]);
  } finally {
    await dispenser.close();
    device.stop();
    pty.close();
  }
});
