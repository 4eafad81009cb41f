/** What is shown of a machine's two devices: what they say, and what is not known. */
import { expect, onTestFinished, test } from 'vitest';
import { countersView, dispenserView, identityView } from '#agent/service/device-views.ts';
import { position } from '#protocol/base/ids.ts';
import { WholeMachine } from '#test/support/whole-machine.ts';

test('both devices as they answer, and a dispenser that does not answer any more', async () => {
  const machine = await WholeMachine.inService();
  onTestFinished(() => machine.stop());
  const views = () => machine.clock.resolve(machine.running.service.devices());
  expect(await views()).toMatchObject([
    {
      device: 'validator',
      identity: { protocol: 'id003', serialNumber: null },
      condition: { code: 'ready', text: '' },
      status: { cashBox: 'ok', notes: expect.arrayContaining([20, 50]) },
    },
    {
      device: 'dispenser',
      condition: { code: 'ready', text: '' },
      status: { path: 'clear', units: expect.arrayContaining([{ position: 1, status: 'ok' }]) },
      capabilities: { positions: expect.arrayContaining([1, 2]) },
      counters: null,
    },
  ]);
  machine.dispenserCable.unplug();
  await machine.clock.advance(20_000);
  const [, dispenser] = await views();
  // Who it was is known still; how it is, nobody can say.
  expect(dispenser).toMatchObject({
    identity: { protocol: 'lcdm' },
    condition: { code: 'offline' },
    status: { path: 'unknown', exit: 'unknown', rejectTray: 'unknown' },
  });
});

test('of a dispenser that gave no answer at all nothing is made up', () => {
  const proofs = { lastResult: true, sequenceNumber: true, rejectTrayTest: true, sensesExit: true };
  const capabilities = { ...proofs, positions: [position(1)], batchMax: 20 };
  expect(dispenserView({ capabilities }, undefined)).toEqual({
    condition: { code: 'offline', text: '' },
    status: { path: 'unknown', exit: 'unknown', rejectTray: 'unknown', units: [] },
    capabilities: { ...proofs, positions: [1], batchMax: 20 },
    counters: null,
  });
});

test('who never answered has no name, and what counts nothing has no counters', () => {
  expect([identityView(undefined), countersView(undefined)]).toEqual([null, null]);
  expect(countersView({ stacked: 12, rejected: 1 })).toEqual({ stacked: 12, rejected: 1 });
});
