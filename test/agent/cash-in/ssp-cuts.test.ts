/**
 * A whole machine with an SSP validator, cut while a note is on its way: what the device says at
 * power-up, and what it has counted since the intent, settles every note.
 */
import { afterEach, expect, test } from 'vitest';
import { LcdmDevice } from '#hal/simulator/lcdm/device.ts';
import { SspDevice } from '#hal/simulator/ssp/device.ts';
import { type MachineOptions, WholeMachine } from '#test/support/whole-machine.ts';

const CASSETTES = { '1': { denomination: 20, count: 60 } };

let machine: WholeMachine;
afterEach(async () => {
  await machine.stop();
});

type Devices = NonNullable<MachineOptions['devices']>;

const devices = (model: 'ssp' | 'essp'): Devices => ({
  validator: {
    protocol: 'ssp',
    model,
    make: (clock) => {
      const encryption = model === 'essp' ? 'required' : 'optional';
      return new SspDevice({ clock, options: { encryption } });
    },
  },
  dispenser: {
    protocol: 'lcdm',
    make: (clock) => new LcdmDevice({ clock, options: { cassettes: CASSETTES } }),
  },
});

const cents = (notes: object): number =>
  Object.entries(notes).reduce((sum, [face, count]) => sum + Number(face) * 100 * Number(count), 0);

const CASES = (['ssp', 'essp'] as const).flatMap((model) =>
  (['powerCut', 'kill'] as const).flatMap((death) =>
    [60, 320, 900].map((afterMs) => [model, death, afterMs] as const),
  ),
);

test.each(CASES)('%s: %s, %i ms after the intent', async (model, death, afterMs) => {
  await intendOneNote(model);
  await machine.clock.advance(afterMs);
  await dieAndRecover(death);
});

test('plain: the answer with the credit dies with the program, and the counters tell', async () => {
  await intendOneNote('ssp');
  await machine.clock.advance(250);
  machine.validator.control({ do: 'fault', name: 'loseReply', value: 0x07, times: 3 });
  await machine.clock.advance(1000);
  await dieAndRecover('kill');
  expect(machine.kinds()).toContain('note.deposited');
});

async function intendOneNote(model: 'ssp' | 'essp'): Promise<void> {
  machine = await WholeMachine.inService({ devices: devices(model), cassettes: CASSETTES });
  await machine.act({ do: 'startCashIn' });
  await machine.insert(20);
  await machine.clock.until(() => machine.kinds().includes('deposit.intended'), 120_000);
}

/** Afterwards every note is booked where it lies, and nothing is owed. */
async function dieAndRecover(death: 'powerCut' | 'kill'): Promise<void> {
  machine.die(death);
  machine.bury();
  await machine.clock.advance(5_000);
  await machine.powerOn();
  const { store } = machine.running;
  const isOpen = () => store.intents.listOpen().some(({ device }) => device === 'acceptor');
  await machine.clock.until(() => !isOpen(), 120_000);
  const booked = store.ledger
    .balance('cashbox')
    .reduce((sum, { value, count }) => sum + value * count, 0);
  expect(booked).toBe(cents(machine.validator.truth().cashbox));
  expect(machine.running.service.obligations()).toEqual([]);
  expect(store.verify().problems).toEqual([]);
  expect(machine.validator.violations()).toEqual([]);
}
