/** The check of conservation itself: what it has to notice, it notices. */
import { afterEach, expect, test } from 'vitest';
import { describeTruth } from '#agent/demo/truth.ts';
import { WholeMachine } from '#test/support/whole-machine.ts';

let machine: WholeMachine;
afterEach(() => machine.stop());

test('notes without a link are sats that are promised and not made', async () => {
  machine = await WholeMachine.inService();
  expect(machine.differences()).toEqual([]);
  await machine.act({ do: 'startCashIn' });
  await machine.insert(20);
  await machine.untilCashIn(({ notes }) => notes === 1, 'the note is in');
  const promised = machine.cashIn.netSats;
  expect(promised).toBeGreaterThan(0);
  expect(machine.differences()).toEqual([`links: 0 sats made, ${promised} promised`]);
  await machine.act({ do: 'finish' });
  await machine.untilCashIn(({ lnurl }) => lnurl !== null, 'the link is there');
  expect(machine.differences()).toEqual([]);
});

test('a payment that nobody has noticed is sats without cash', async () => {
  machine = await WholeMachine.inService();
  const bolt11 = await machine.sell(70_00);
  for (const line of machine.lines) line.partition();
  machine.keeper.pay(bolt11);
  const { reference } = machine.cashOut;
  expect(machine.differences()).toEqual([
    `cash-out ${reference}: paid, not dispensed, and nobody owes it`,
  ]);
});

test('cash for an invoice that nobody has paid', async () => {
  machine = await WholeMachine.inService();
  await machine.sell(70_00);
  const { reference } = machine.cashOut;
  const { store } = machine.running;
  const [sale] = store.transactions.recent(1);
  if (!sale) throw new Error('no sale');
  store.commit(() => store.transactions.update(sale.id, { outcome: 'dispensed' }));
  expect(machine.differences()).toEqual([`cash-out ${reference}: dispensed and never paid`]);
});

test('a note that moves by itself is missed at both ends', async () => {
  machine = await WholeMachine.inService();
  const before = {
    units: { 1: { denomination: 20, count: 9 } },
    ...{ reject: {}, cashbox: { 20: 1 }, path: {}, customer: { 20: 2, 50: 0 } },
  };
  expect(describeTruth({ validator: before, dispenser: before })).toBe(
    'notes: cash box 1x$20 | validator - | bays 1: 9x$20 | reject - | inside - | handed out 2x$20',
  );
  machine.dispenser.control({ do: 'cassette', position: 1, count: 9 });
  expect(machine.differences()).toEqual(['bay 1: the ledger has 10, in truth 9']);
});
