/**
 * A whole machine whose dispenser sees its exit, keeps no last result, and measures notes: what the
 * agent asks such a unit for, and what it concludes.
 */
import { afterEach, expect, test } from 'vitest';
import { classify, type DispenseEvidence } from '#agent/cash-out/classify.ts';
import { F56Device } from '#hal/simulator/f56/device.ts';
import { Id003Device } from '#hal/simulator/id003/device.ts';
import { position } from '#protocol/base/ids.ts';
import { minorUnits } from '#protocol/base/money.ts';
import { type MachineOptions, WholeMachine } from '#test/support/whole-machine.ts';

const CASSETTES = {
  '1': { denomination: 20, count: 60 },
  '2': { denomination: 20, count: 60 },
  '3': { denomination: 50, count: 60 },
};

let machine: WholeMachine;
const running: WholeMachine[] = [];
afterEach(async () => {
  for (const one of running.splice(0)) await one.stop();
});

async function inService(options: MachineOptions = {}): Promise<void> {
  const cassettes = options.cassettes ?? CASSETTES;
  machine = await WholeMachine.inService({
    cassettes,
    devices: {
      validator: { protocol: 'id003', make: (clock) => new Id003Device({ clock, options: {} }) },
      dispenser: {
        protocol: 'f56',
        make: (clock) => new F56Device({ clock, options: { cassettes } }),
      },
    },
    ...options,
  });
  running.push(machine);
}

const take = () => machine.dispenser.control({ do: 'take' });
const fault = (name: string, value: number) =>
  machine.dispenser.control({ do: 'fault', name, value });
const lying = () =>
  Object.values(machine.dispenser.truth().customer).reduce((sum, count) => sum + count, 0);

async function paid(amountMinor: number): Promise<void> {
  machine.keeper.pay(await machine.sell(amountMinor));
}

test('the notes are waited for, and the next customer after them', async () => {
  await inService();
  await paid(7000);
  await machine.untilCashOut(({ phase }) => phase === 'presenting', 'the notes lie there');
  await machine.clock.advance(20_000);
  expect(machine.cashOut.phase).toBe('presenting');
  take();
  expect(await machine.leave()).toBe('dispensed');
  expect(machine.differences()).toEqual([]);
  expect(machine.dispenser.violations()).toEqual([]);
});

test('notes that nobody takes close the slot until somebody does', async () => {
  await inService();
  await paid(7000);
  expect(await machine.leave()).toBe('presentedNotTaken');
  await machine.clock.advance(60_000);
  expect(machine.view.cashOut.open).toBe(false);
  expect(machine.view.cashIn.open).toBe(true);
  take();
  await machine.until(({ cashOut }) => cashOut.open, 'the slot is free');
  expect(machine.differences()).toEqual([]);
});

test('a second command is sent only when the notes of the first are taken', async () => {
  await inService({
    cassettes: { '1': { denomination: 5, count: 60 }, '2': { denomination: 100, count: 1 } },
  });
  // Forty notes are two commands.
  await paid(29_500);
  await machine.until(() => lying() === 20, 'the first twenty');
  await machine.clock.advance(10_000);
  expect(lying()).toBe(20);
  take();
  await machine.until(() => lying() === 40, 'the other twenty');
  take();
  expect(await machine.leave()).toBe('dispensed');
  expect(machine.differences()).toEqual([]);
});

test('a shortfall is proven while the counted notes still lie there', async () => {
  await inService();
  fault('pickUpFailure', 1);
  await paid(4000);
  await machine.until(() => lying() === 1, 'one of two');
  await machine.clock.advance(5000);
  take();
  expect(await machine.leave()).toBe('remainder');
  const settled = machine.running.store.journal
    .read({})
    .filter(({ kind }) => kind === 'dispense.settled');
  expect(settled[0]?.body).toMatchObject({ class: 'partial' });
  expect(machine.running.store.obligations.list({ open: true })).toMatchObject([
    { kind: 'remainder', amountMinor: 2000 },
  ]);
  await machine.until(({ cashOut }) => cashOut.open, 'initialised again');
  expect(machine.differences()).toEqual([]);
});

test('other notes in a bay are told to the unit before they are offered', async () => {
  await inService({ config: { cassettes: { changedDenomination: 'apply' } } });
  const initialised = () => machine.kinds().filter((kind) => kind === 'initialise.settled').length;
  const before = initialised();
  machine.dispenser.control({ do: 'cassette', position: 3, denomination: 100 });
  const cassettes = { ...CASSETTES, '3': { denomination: 100, count: 60 } };
  await machine.clock.resolve(machine.keeper.publishCassettes(cassettes));
  await machine.clock.advance(30_000);
  // Dollar notes are all of one size, so nothing was to be told.
  expect(initialised()).toBe(before);
  machine.running.store.commit(() => {
    const unit = machine.running.store.cashUnits.get(position(3));
    if (unit) machine.running.store.cashUnits.put({ ...unit, value: minorUnits(300) });
  });
  await machine.until(({ cashOut }) => !cashOut.open, 'a note of three dollars is in no table');
  expect(JSON.stringify(machine.view)).toContain('USD 3 notes of bay 3');
});

test.each<[string, Partial<DispenseEvidence>, string]>([
  ['notes lie there, and it sees its exit', { sensesExit: true }, 'partial'],
  ['notes lie there, and it does not', {}, 'unknown'],
])('%s', (_, more, expected) => {
  const units = [{ position: position(1), presented: 1, rejected: 0 }];
  const error = { code: '1600', text: 'not picked', countsTrusted: true };
  const evidence: DispenseEvidence = {
    asked: [{ position: position(1), count: 2 }],
    outcome: { kind: 'answered', units, error, evidence: 'answer' },
    status: {
      device: 'fault',
      path: 'clear',
      exit: 'notes',
      rejectTray: 'unknown',
      units: [],
      fault: undefined,
    },
    baseline: { lastResultHex: undefined, sequenceNumber: undefined },
    last: undefined,
    sequenceNumber: undefined,
    ...more,
  };
  expect(classify(evidence).class).toBe(expected);
  const none = [{ position: position(1), presented: 0, rejected: 0 }];
  const nothing = { kind: 'answered', units: none, error, evidence: 'answer' } as const;
  expect(classify({ ...evidence, outcome: nothing }).class).toBe('unknown');
});
