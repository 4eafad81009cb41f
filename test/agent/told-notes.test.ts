/** The device watch over a dispenser that measures notes, and so has to be told what bays hold. */
import { expect, test } from 'vitest';
import { DeviceWatch } from '#agent/watch/device-watch.ts';
import { F56Dispenser } from '#hal/f56/driver.ts';
import { Cable } from '#hal/simulator/cable.ts';
import { F56Device } from '#hal/simulator/f56/device.ts';
import { MemoryPort } from '#hal/simulator/memory-port.ts';
import { position } from '#protocol/base/ids.ts';
import { silentLog } from '#protocol/base/log.ts';
import { CashInRig, dollars } from '#test/support/cash-in-rig.ts';

/** A watch over an F56, by what the books say of its first bay. */
function watched(parked: boolean) {
  const rig = new CashInRig({});
  const { clock, store } = rig;
  const unit = { position: position(1), currency: 'USD', value: dollars(20), parked } as const;
  store.commit(() => {
    for (const other of store.cashUnits.list()) store.cashUnits.put({ ...other, parked: true });
    store.cashUnits.put({ ...unit, accuracy: 'set' });
  });
  const cassettes = { 1: { denomination: 20, count: 9 } };
  const device = new F56Device({ clock, options: { cassettes } });
  const port = new MemoryPort({ path: 'f56', clock, cable: new Cable({ clock, device }) });
  const dispenser = new F56Dispenser({ port, clock, log: silentLog, options: { model: 'f56' } });
  const session = {
    takesNotes: () => false,
    mindsEscrow: () => false,
    dispenses: () => false,
    isAttended: () => false,
    recover: async () => {},
  };
  const watch = new DeviceWatch({ ...rig.parts, dispenser }, session);
  const initialised = () => rig.journal().filter((kind) => kind === 'initialise.intended').length;
  return { rig, watch, initialised };
}

test('it is told at the start, and initialised once for it', async () => {
  const { rig, watch, initialised } = watched(false);
  await rig.run(watch.start());
  await rig.clock.advance(30_000);
  // One for the validator, one for the dispenser.
  expect(initialised()).toBe(2);
  expect(watch.dispenserStatus()?.device).toBe('ready');
  expect(rig.parts.board.list('cashOut')).toEqual([]);
  watch.close();
});

test('a check that its own news sets off is no second check', async () => {
  const { rig, watch, initialised } = watched(true);
  await rig.run(watch.start());
  await rig.clock.advance(30_000);
  expect(rig.parts.board.list('cashOut')[0]?.text).toContain('nobody has said what notes');
  expect(initialised()).toBe(1);
  rig.store.commit(() => {
    const unit = rig.store.cashUnits.get(position(1));
    if (unit) rig.store.cashUnits.put({ ...unit, parked: false });
  });
  // It is not told before the check: telling it makes it say at once that it wants attention.
  await rig.clock.advance(30_000);
  expect(watch.dispenserStatus()?.device).toBe('ready');
  expect(initialised()).toBe(2);
  watch.close();
});
