/** What a person can do about a doubt, on whole machines, as the runbook has it. */
import { expect, onTestFinished, test } from 'vitest';
import type { ObligationId } from '#protocol/base/ids.ts';
import { type MachineOptions, WholeMachine } from '#test/support/whole-machine.ts';

let machine: WholeMachine;

async function begin(options?: MachineOptions): Promise<void> {
  machine = await WholeMachine.inService(options);
  onTestFinished(() => machine.stop());
}

/** A sale whose notes came out, and of which the unit then knows nothing. */
async function unknownSale(amountMinor: number): Promise<void> {
  const bolt11 = await machine.sell(amountMinor);
  machine.dispenser.control({ do: 'fault', name: 'powerCutBeforeResponse' });
  machine.keeper.pay(bolt11);
  await machine.untilCashOut(({ outcome }) => outcome?.code === 'needsOperator', 'a doubt');
  machine.dispenser.control({ do: 'power', on: true });
  await machine.leave();
  await machine.until(({ cashOut }) => cashOut.open, 'the sensors are clear');
}

const bays = () =>
  machine.running.service
    .status()
    .cashUnits.map(({ position, count, accuracy }) => [position, count, accuracy]);
const owed = () => machine.running.service.obligations();

function settleAll(): void {
  for (const { id } of owed()) {
    const settlement = { obligationId: id as ObligationId, by: 'Ana', reason: 'counted' };
    expect(machine.running.service.settle(settlement)).toBe('settled');
  }
}

test('a bay in doubt counts again when the operator states what is in it', async () => {
  await begin({
    dispenser: { memory: 'lost' },
    cassettes: { '1': { denomination: 20, count: 10 }, '2': { denomination: 50, count: 10 } },
  });
  const before = { '1': { denomination: 20, count: 10 }, '2': { denomination: 50, count: 10 } };
  await unknownSale(4_000);
  const inDoubt = bays().filter(([, , accuracy]) => accuracy === 'inaccurate');
  expect(inDoubt.map(([position]) => position)).toEqual([1]);
  await machine.clock.advance(60_000);
  // The same figures again are a republication: they count nothing anew.
  await machine.clock.resolve(machine.keeper.publishCassettes(before));
  await machine.clock.advance(60_000);
  expect(bays()[0]?.[2]).toBe('inaccurate');
  const counted = { ...before, '1': { denomination: 20, count: 8 } };
  await machine.clock.resolve(machine.keeper.publishCassettes(counted));
  await machine.clock.advance(60_000);
  expect(bays()).toEqual([
    [1, 8, 'set'],
    [2, 10, 'set'],
  ]);
  // The doubt itself is a person's to settle, and nothing was handed out on it.
  expect(owed()).toMatchObject([{ kind: 'dispenseUnknown' }]);
  expect(owed()[0]?.wayOut).toMatch(/settle it/);
  settleAll();
  machine.keeper.pay(await machine.sell(4_000));
  await machine.untilCashOut(({ outcome }) => outcome?.code === 'dispensed', 'handed out');
  expect(owed()).toEqual([]);
});

test('a doubtful payment is judged by a person, and then over for good', async () => {
  await begin();
  const bolt11 = await machine.sell(7_000);
  const code = machine.cashOut.claimCode ?? '';
  machine.keeper.switches.foreignPreimages = true;
  machine.keeper.pay(bolt11);
  await machine.untilCashOut(({ outcome }) => outcome !== null, 'held');
  await machine.leave();
  expect(owed()).toMatchObject([{ kind: 'doubtfulPayment', state: 'unknown' }]);
  expect(owed()[0]?.wayOut).toMatch(/by hand/);
  settleAll();
  expect(owed()).toEqual([]);
  expect(machine.running.store.transactions.listOpen()).toEqual([]);
  expect(await machine.act({ do: 'redeem', code })).toMatchObject({ ok: false });
  machine.cutPower();
  await machine.powerOn();
  await machine.until(({ cashOut }) => cashOut.open, 'serves as before');
  expect(owed()).toEqual([]);
  expect(machine.dispenser.truth().customer).toEqual({});
});

test('an act whose device is dead ends with another one of its model, as a doubt', async () => {
  await begin({ dispenser: { memory: 'lost' } });
  machine.keeper.pay(await machine.sell(4_000));
  const isOpen = () =>
    machine.running.store.intents.listOpen('dispense').some(({ device }) => device !== undefined);
  await machine.clock.until(isOpen, 60_000);
  machine.cutPower();
  machine.validatorCable.plug();
  machine.validator.control({ do: 'power', on: true });
  machine.start();
  await machine.clock.advance(600_000);
  const reasons = machine.view.cashOut.reasons.map(({ code }) => code);
  expect(reasons).toContain('openIntent');
  expect(machine.view.cashIn.open).toBe(true);
  machine.dispenserCable.plug();
  machine.dispenser.control({ do: 'power', on: true });
  await machine.until(({ cashOut }) => cashOut.open, 'the device was asked');
  expect(owed()).toMatchObject([{ kind: 'dispenseUnknown', amountMinor: 4_000 }]);
  settleAll();
  expect(machine.running.store.transactions.listOpen()).toEqual([]);
});
