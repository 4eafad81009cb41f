/**
 * The clock of the computer is wrong, or is set, while the operator counts: counts are as of the
 * operator's time, and what moved before them is never taken off them (design 10).
 */
import { afterEach, expect, test } from 'vitest';
import { bayAccount } from '#state/note-ledger.ts';
import { WholeMachine } from '#test/support/whole-machine.ts';

let machine: WholeMachine;
afterEach(async () => {
  await machine.stop();
});

const SECOND_MS = 1_000;
const HOUR_MS = 3_600 * SECOND_MS;

const booked = () =>
  machine.running.store.cashUnits.list().map(({ position, value }) => {
    return [String(position), machine.running.store.ledger.count(bayAccount(position), value)];
  });

const inBays = () =>
  Object.entries(machine.dispenser.truth().units).map(([bay, { count }]) => [bay, count]);

async function dispense(): Promise<void> {
  machine.keeper.pay(await machine.sell(8_000));
  const settled = () => machine.kinds().filter((kind) => kind === 'dispense.settled').length;
  const before = settled();
  await machine.clock.until(() => settled() > before, 120_000);
}

/** Somebody fills the first bay, counts all of them, and says so. */
async function fillAndCount(): Promise<void> {
  const { clock, dispenser, keeper } = machine;
  dispenser.control({ do: 'cassette', position: 1, denomination: 20, count: 77 });
  await clock.advance(10 * SECOND_MS);
  const applied = () => machine.kinds().filter((kind) => kind === 'document.applied').length;
  const before = applied();
  await clock.resolve(keeper.publishCassettes({ ...dispenser.truth().units }));
  await clock.until(() => applied() > before, 120_000);
}

test.each([
  ['six hours back', -6 * HOUR_MS],
  ['a day forth', 24 * HOUR_MS],
  ['to the beginning of 1970', -Date.UTC(2026, 10, 21)],
])('notes went out, and then the clock was set %s', async (_, skewMs) => {
  machine = await WholeMachine.inService();
  await dispense();
  await machine.clock.advance(HOUR_MS);
  machine.skewMs = skewMs;
  await fillAndCount();
  expect(booked()).toEqual(inBays());
  machine.skewMs = 0;
  await machine.until(({ cashOut }) => cashOut.open, 'open with the right time');
  await dispense();
  expect(booked()).toEqual(inBays());
});

test.each([
  ['fast', 45 * SECOND_MS],
  ['slow', -45 * SECOND_MS],
])(
  'notes went out by a clock that was %s, which is set right before the count',
  async (_, skewMs) => {
    machine = await WholeMachine.inService();
    machine.skewMs = skewMs;
    await dispense();
    machine.skewMs = 0;
    await fillAndCount();
    expect(booked()).toEqual(inBays());
  },
);

test('notes go out after the count, by a clock that was set back in between', async () => {
  machine = await WholeMachine.inService();
  await fillAndCount();
  await machine.clock.advance(10 * SECOND_MS);
  const bolt11 = await machine.sell(8_000);
  const { keeper, dispenser, clock } = machine;
  dispenser.control({ do: 'cassette', position: 1, denomination: 20, count: 60 });
  await clock.resolve(keeper.publishCassettes({ ...dispenser.truth().units }));
  await clock.advance(10 * SECOND_MS);
  machine.skewMs = -40 * SECOND_MS;
  keeper.pay(bolt11);
  // The count waits for the end of the sale, and its notes are taken off it.
  const applied = () => machine.kinds().filter((kind) => kind === 'document.applied').length;
  const before = applied();
  await clock.until(() => applied() > before, 120_000);
  expect(machine.kinds()).toContain('dispense.settled');
  expect(booked()).toEqual(inBays());
});
