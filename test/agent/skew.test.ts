/**
 * An update of one side does not wait for the other: a newer agent with an older wallet and older
 * documents, and an agent beside which wallet and documents become newer, serve across the change.
 */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type MachineOptions, WholeMachine } from '#test/support/whole-machine.ts';

let machine: WholeMachine;
const come = async (options: MachineOptions = {}) => {
  machine = await WholeMachine.inService(options);
};
beforeEach(() => come());
afterEach(() => machine.stop());

/** The program ends in order and starts again, as an update does. */
async function restart(): Promise<void> {
  await machine.clock.resolve(machine.running.stop());
  machine.start();
  await machine.until((view) => view.cashIn.open && view.cashOut.open, 'in service again');
}

/** Notes in and a link, claimed; sats in and notes, taken. */
async function serve(): Promise<void> {
  const lnurl = await machine.deposit(20);
  machine.keeper.claim(lnurl);
  await machine.until(({ session }) => session?.outcome !== null, 'claimed');
  expect(await machine.leave()).toBe('claimed');
  machine.keeper.pay(await machine.sell(2_000));
  await machine.until(({ session }) => session?.outcome !== null, 'handed out');
  expect(await machine.leave()).toBe('dispensed');
}

/** Documents of the operator: why the newest was refused, null when it is in force. */
const documents = () =>
  machine.running.service.documents().map(({ type, refused }) => [type, refused]);

/** What the newest release of the operator's side may write one day. */
async function publishNewer(): Promise<void> {
  const { clock, keeper } = machine;
  await clock.advance(2_000);
  const fees = { cash_in_fee_fraction: 0.02, cash_out_fee_fraction: 0.02 };
  await clock.resolve(
    keeper.publishDocument('bitspire-fees', { ...fees, schema_version: 2, tiers: [] }),
  );
  const limits = { schema_version: 1, max_cash_in_sats: 900_000, max_cash_out_sats: 1 };
  await clock.resolve(keeper.publishDocument('bitspire-limits', limits));
  await clock.advance(5_000);
}

test('documents newer than the agent: what it knows is taken, the rest is refused', async () => {
  await serve();
  await publishNewer();
  expect(documents()).toContainEqual([
    'bitspire-fees',
    expect.stringContaining('schema_version 2'),
  ]);
  expect(documents()).toContainEqual(['bitspire-limits', null]);
  await serve();
  await restart();
  await serve();
});

test('a wallet that is older than the agent, and becomes newer, and the reverse', async () => {
  const { switches } = machine.keeper;
  for (const names of [false, true, false]) {
    switches.nameWallet = names;
    await restart();
    await serve();
  }
});

test('the old shape of the cassettes is refused, and the last good one serves on', async () => {
  const { clock, keeper } = machine;
  await clock.advance(2_000);
  await clock.resolve(keeper.publishOldCassettes({ 20: { position: 1, count: 500 } }));
  await clock.advance(5_000);
  expect(documents()).toContainEqual(['bitspire-cassettes', expect.stringContaining('positions')]);
  await restart();
  await serve();
});
