import { expect, test } from 'vitest';
import { makeAcceptor, makeDispenser } from '#agent/devices.ts';
import { F56Dispenser } from '#hal/f56/driver.ts';
import { Id003Acceptor } from '#hal/id003/driver.ts';
import { LcdmDispenser } from '#hal/lcdm/driver.ts';
import { lcdmModels } from '#hal/lcdm/models.ts';
import { Cable } from '#hal/simulator/cable.ts';
import { Id003Device } from '#hal/simulator/id003/device.ts';
import { MemoryPort } from '#hal/simulator/memory-port.ts';
import { systemRandom } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

const clock = new VirtualClock();
const cable = new Cable({ clock, device: new Id003Device({ clock }) });
const port = new MemoryPort({ path: 'memory', clock, cable });
const common = { port, clock, random: systemRandom, log: silentLog, model: undefined };

test('a validator is made by its protocol', () => {
  const acceptor = makeAcceptor({ ...common, protocol: 'id003', currency: 'USD' });
  expect(acceptor).toBeInstanceOf(Id003Acceptor);
});

test('a validator that cannot be asked for its values is made with them, or not at all', () => {
  const sio = { ...common, protocol: 'sio', currency: 'USD' };
  expect(makeAcceptor({ ...sio, channels: [5, 10, 0] }).values()).toEqual([500, 1000]);
  expect(() => makeAcceptor(sio)).toThrow('channels');
});

test('a dispenser is made by protocol and model, the LCDM-4000 when none is named', () => {
  const positions = (model: string | undefined) =>
    makeDispenser({ ...common, protocol: 'lcdm', model }).capabilities.positions;
  expect(makeDispenser({ ...common, protocol: 'lcdm' })).toBeInstanceOf(LcdmDispenser);
  expect(positions(undefined)).toEqual(positions('lcdm-4000'));
  const f56 = makeDispenser({ ...common, protocol: 'f56' });
  expect(f56).toBeInstanceOf(F56Dispenser);
  expect(f56.capabilities.positions).toHaveLength(4);
  for (const model of Object.keys(lcdmModels)) expect(positions(model).length).toBeGreaterThan(0);
});

test.each([
  [
    'a validator’s protocol',
    () => makeAcceptor({ ...common, protocol: 'abacus', currency: 'USD' }),
    /abacus; .*\bid003\b/,
  ],
  ['a dispenser’s protocol', () => makeDispenser({ ...common, protocol: 'hcm2' }), 'hcm2; f56'],
  [
    'a model',
    () => makeDispenser({ ...common, protocol: 'lcdm', model: 'toString' }),
    'toString; it has lcdm-',
  ],
])('%s that is not known is named beside those that are', (_what, make, words) => {
  expect(make).toThrow(expect.objectContaining({ code: 'unsupportedCommand' }));
  expect(make).toThrow(words);
});
