/** Where the configuration says so, a device that was away waits for a person. */
import { afterEach, describe, expect, test } from 'vitest';
import { simulatedProtocols } from '#hal/simulator/models.ts';
import { cheapCrypto } from '#test/support/cheap-crypto.ts';
import { type MachineOptions, WholeMachine } from '#test/support/whole-machine.ts';

let machine: WholeMachine;
afterEach(() => machine.stop());

const told = { by: 'Ana', reason: 'I cleaned it' };

async function started(replugNeedsPerson: boolean, options: MachineOptions = {}): Promise<void> {
  machine = await WholeMachine.inService({
    makeCrypto: cheapCrypto,
    config: { replugNeedsPerson },
    ...options,
  });
}

const codes = (direction: 'cashIn' | 'cashOut') =>
  machine.view[direction].reasons.map(({ code }) => code);
const entries = (kind: string) =>
  machine.running.store.journal.read({ kind }).map(({ body }) => body);

/** Pulls a cable for so long that it is noticed, and puts it in again. */
async function replug(device: 'validator' | 'dispenser'): Promise<void> {
  const cable = device === 'validator' ? machine.validatorCable : machine.dispenserCable;
  const direction = device === 'validator' ? 'cashIn' : 'cashOut';
  cable.unplug();
  await machine.until((view) => !view[direction].open, 'the pulled plug is noticed');
  cable.plug();
  await machine.clock.advance(30_000);
}

describe.each([
  ['validator', 'cashIn', 'cashOut'],
  ['dispenser', 'cashOut', 'cashIn'],
] as const)('the %s', (device, direction, other) => {
  test('comes back by itself where nothing else is configured', async () => {
    await started(false);
    await replug(device);
    expect(codes(direction)).toEqual([]);
    expect(entries('device.replugged')).toEqual([]);
  });

  test('waits for a person, over a restart too; the other direction serves', async () => {
    await started(true);
    await replug(device);
    expect([codes(direction), codes(other)]).toEqual([['replugged'], []]);
    await machine.clock.resolve(machine.running.stop());
    machine.start();
    await machine.until((view) => view[other].open, 'in service again');
    expect(codes(direction)).toEqual(['replugged']);
    expect(entries('device.replugged')).toHaveLength(1);

    expect(machine.running.service.acceptDevice(device, told)).toBe('accepted');
    expect(codes(direction)).toEqual([]);
    expect(entries('device.accepted')).toMatchObject([{ why: 'unplugged', ...told }]);
    expect(machine.running.service.acceptDevice(device, told)).toBe('nothingFound');
  });

  test('is not accepted while it is away', async () => {
    await started(true);
    (device === 'validator' ? machine.validatorCable : machine.dispenserCable).unplug();
    await machine.until((view) => !view[direction].open, 'the pulled plug is noticed');
    await machine.clock.advance(20_000);
    expect(machine.running.service.acceptDevice(device, told)).toBe('notThere');
    expect(codes(direction)).toContain('replugged');
  });
});

test('a quick replug of the dispenser, between two polls, is noticed', async () => {
  await started(true);
  machine.dispenserCable.unplug();
  await machine.clock.advance(100);
  machine.dispenserCable.plug();
  await machine.clock.advance(30_000);
  expect(codes('cashOut')).toEqual(['replugged']);
});

test('another device than last time, put in while the machine was off, waits too', async () => {
  await started(true);
  const { store } = machine.running;
  const known = store.facts.get('device.dispenser');
  expect(known?.value).toMatchObject({ protocol: 'lcdm' });
  store.commit(() => {
    const value = { protocol: 'lcdm', model: 'lcdm-4000', firmware: 'older', serialNumber: null };
    store.facts.put('device.dispenser', value, 1);
  });
  await machine.clock.resolve(machine.running.stop());
  machine.start();
  await machine.until((view) => view.cashIn.open, 'in service again');
  expect(codes('cashOut')).toEqual(['replugged']);
  expect(machine.view.cashOut.reasons[0]?.text).toContain('is another one than before');
});

test('a cut of the power of the whole machine is no replug', async () => {
  await started(true);
  machine.cutPower();
  await machine.clock.advance(60_000);
  await machine.powerOn();
  await machine.until((view) => view.cashIn.open && view.cashOut.open, 'in service again');
  expect(entries('device.replugged')).toEqual([]);
});

describe('starting and initialising is no replug', () => {
  const validators = ['id003', 'ssp', 'ccnet', 'ebds'].filter((name) => simulatedProtocols[name]);
  test.each(validators)('of %s', async (protocol) => {
    const cassettes = {
      '1': { denomination: 20, count: 10 },
      '2': { denomination: 20, count: 10 },
      '3': { denomination: 50, count: 10 },
    };
    const make = (name: string): NonNullable<MachineOptions['devices']>['validator'] => ({
      protocol: name,
      make: (clock) => {
        const simulated = simulatedProtocols[name];
        if (!simulated) throw new Error(`no simulator of ${name}`);
        return simulated.make(simulated.models[0] ?? '', clock, { currency: 'USD', cassettes });
      },
    });
    await started(true, {
      cassettes,
      devices: { validator: make(protocol), dispenser: make('f56') },
    });
    await machine.clock.advance(60_000);
    expect([codes('cashIn'), codes('cashOut')]).toEqual([[], []]);
  });
});
