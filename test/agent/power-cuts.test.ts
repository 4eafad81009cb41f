/** The power is cut in the middle of both flows; afterwards the machine knows, or says what not. */
import { afterEach, expect, test } from 'vitest';
import { bayAccount } from '#state/note-ledger.ts';
import { WholeMachine } from '#test/support/whole-machine.ts';

let machine: WholeMachine;
afterEach(async () => {
  await machine.stop();
});

const obligations = () => machine.running.service.obligations();

const twenties = (notes: object): number => Number(Object.entries(notes)[0]?.[1] ?? 0);

/** Cuts once the journal has an entry of this kind, `afterMs` later. */
async function cutAfter(kind: string, afterMs: number): Promise<void> {
  await machine.clock.until(() => machine.kinds().includes(kind), 120_000);
  await machine.clock.advance(afterMs);
  machine.cutPower();
  await machine.clock.advance(5_000);
  await machine.powerOn();
  const isOpen = () =>
    machine.running.store.intents.listOpen().some(({ device }) => device !== undefined);
  await machine.clock.until(() => !isOpen(), 120_000);
}

/** What customers hold, owe and are owed, in minor units, against what the devices did. */
function assertNothingLost(): void {
  const { store } = machine.running;
  expect(store.verify().problems).toEqual([]);
  expect(store.intents.listOpen().filter(({ device }) => device !== undefined)).toEqual([]);
  const inBox = machine.validator.truth().cashbox;
  const booked = store.ledger
    .balance('cashbox')
    .reduce((sum, { value, count }) => sum + value * count, 0);
  const truth = Object.entries(inBox).reduce((sum, [v, n]) => sum + Number(v) * 100 * n, 0);
  const inDoubt = obligations()
    .filter(({ kind }) => kind === 'noteUnknown')
    .reduce((sum, { amountMinor }) => sum + (amountMinor ?? 0), 0);
  // A note in the box is booked, or an obligation says that it may be there.
  expect(truth - booked).toBeLessThanOrEqual(inDoubt);
  expect(booked).toBeLessThanOrEqual(truth);
}

/**
 * To the cent: what is booked as handed out, and the rest of the price owed; or all of the price in
 * doubt, once, since what a cut unit says of its last notes proves none of them.
 */
function assertCovered(priceMinor: number, bookedMinor: number): void {
  const inDoubt = obligations().some(({ kind }) => kind === 'dispenseUnknown');
  const owed = obligations().reduce((sum, { amountMinor }) => sum + (amountMinor ?? 0), 0);
  expect(owed).toBe(inDoubt ? priceMinor : priceMinor - bookedMinor);
}

for (const afterMs of [0, 60, 150, 400, 700, 900]) {
  test(`a note on its way, cut ${afterMs} ms after its intent`, async () => {
    machine = await WholeMachine.inService();
    await machine.act({ do: 'startCashIn' });
    await machine.insert(20);
    await cutAfter('deposit.intended', afterMs);
    assertNothingLost();
    const { store } = machine.running;
    const deposited = machine.kinds().filter((kind) => kind === 'note.deposited').length;
    const known = machine.kinds().some((kind) => /note\.(returned|unknown|deposited)/.test(kind));
    expect(known).toBe(true);
    if (deposited > 0) {
      await machine.clock.until(() => machine.kinds().includes('withdraw.answered'), 300_000);
      expect(machine.keeper.books().withdrawLinks.length).toBeGreaterThan(0);
    } else {
      expect(store.transactions.listOpen().length).toBe(obligations().length);
    }
  });
}

test('a session in which nothing was put in yet ends by itself', async () => {
  machine = await WholeMachine.inService();
  await machine.act({ do: 'startCashIn' });
  await cutAfter('cashIn.opened', 100);
  expect(machine.running.store.transactions.listOpen()).toEqual([]);
});

test('a link that was asked for is taken after the start, and shown by its code', async () => {
  machine = await WholeMachine.inService();
  await machine.act({ do: 'startCashIn' });
  await machine.insert(20);
  await machine.untilCashIn(({ notes }) => notes === 1, 'the note is in');
  const code = machine.cashIn.claimCode ?? '';
  await machine.act({ do: 'finish' });
  await cutAfter('withdraw.sent', 0);
  await machine.clock.until(() => machine.kinds().includes('withdraw.answered'), 600_000);
  expect(machine.kinds().filter((kind) => kind === 'withdraw.answered')).toHaveLength(1);
  expect(await machine.act({ do: 'redeem', code })).toMatchObject({ ok: true });
  await machine.untilCashIn(({ lnurl }) => lnurl !== null, 'the link');
  machine.keeper.claim(machine.cashIn.lnurl ?? '');
  expect(await machine.leave()).toBe('claimed');
});

for (const afterMs of [0, 100, 400, 700, 1_000, 1_500, 2_500]) {
  test(`notes on their way out, cut ${afterMs} ms after the intent`, async () => {
    machine = await WholeMachine.inService();
    const bolt11 = await machine.sell(8_000);
    machine.keeper.pay(bolt11);
    await cutAfter('dispense.intended', afterMs);
    assertNothingLost();
    expect(machine.kinds().filter((kind) => kind === 'dispense.intended')).toHaveLength(1);
    const { customer, reject } = machine.dispenser.truth();
    const handedOut = twenties(customer) * 2_000;
    const { store } = machine.running;
    const booked = store.ledger.count('customer', 2_000 as never) * 2_000;
    expect(booked).toBeLessThanOrEqual(handedOut);
    assertCovered(8_000, booked);
    expect(store.ledger.count('reject', 2_000 as never)).toBeLessThanOrEqual(twenties(reject));
  });
}

for (const isSilent of [false, true]) {
  const when = isSilent ? 'before the dispenser answers' : 'while it starts';
  test(`counted by the operator after a cut dispense: ${when} the document comes, and the notes are not taken off twice`, async () => {
    machine = await WholeMachine.inService();
    machine.keeper.pay(await machine.sell(8_000));
    await machine.clock.until(() => machine.kinds().includes('dispense.intended'), 120_000);
    await machine.clock.advance(700);
    machine.die('kill');
    machine.bury();
    await machine.clock.advance(3_600_000);
    const { units } = machine.dispenser.truth();
    const counted = { ...units };
    await machine.clock.resolve(machine.keeper.publishCassettes(counted));
    machine.dispenserCable[isSilent ? 'unplug' : 'plug']();
    machine.start();
    await machine.clock.advance(60_000);
    machine.dispenserCable.plug();
    await machine.until(({ cashOut }) => cashOut.open, 'open');
    const applied = () => machine.kinds().filter((kind) => kind === 'document.applied').length;
    await machine.clock.until(() => applied() === 3, 120_000);
    expect(machine.kinds().filter((kind) => kind === 'dispense.settled')).toHaveLength(1);
    const { store } = machine.running;
    const booked = store.cashUnits.list().map(({ position: bay, value }) => {
      return [String(bay), store.ledger.count(bayAccount(bay), value)];
    });
    const there = Object.entries(counted).map(([bay, { count }]) => [bay, count]);
    expect(booked).toEqual(there);
    expect(twenties(machine.dispenser.truth().customer)).toBe(4);
    expect(obligations()).toEqual([]);
  });
}

test('an invoice that was on the screen is asked for after the start', async () => {
  machine = await WholeMachine.inService();
  const bolt11 = await machine.sell(7_000);
  const code = machine.cashOut.claimCode ?? '';
  machine.cutPower();
  machine.keeper.pay(bolt11);
  await machine.powerOn();
  await machine.clock.until(() => obligations().length > 0, 300_000);
  expect(obligations()).toMatchObject([{ kind: 'latePayment', amountMinor: 7_000 }]);
  expect(await machine.act({ do: 'redeem', code })).toMatchObject({ ok: true });
  await machine.untilCashOut(({ outcome }) => outcome !== null, 'redeemed');
  expect(machine.cashOut.dispensedMinor).toBe(7_000);
});

for (const [kind, afterMs] of [
  ['claim.redeeming', 0],
  ['dispense.intended', 0],
  ['dispense.intended', 700],
  ['dispense.intended', 2_500],
] as const) {
  test(`a claim that is redeemed, cut ${afterMs} ms after ${kind}`, async () => {
    machine = await WholeMachine.inService();
    const bolt11 = await machine.sell(8_000);
    const code = machine.cashOut.claimCode ?? '';
    await machine.act({ do: 'cancel' });
    await machine.leave();
    machine.keeper.pay(bolt11);
    await machine.clock.until(() => obligations().length > 0, 120_000);
    await machine.act({ do: 'redeem', code });
    await cutAfter(kind, afterMs);
    assertNothingLost();
    const { store } = machine.running;
    expect(store.intents.listOpen('claim')).toEqual([]);
    expect(store.obligations.list().filter(({ state }) => state === 'redeeming')).toEqual([]);
    const booked = store.ledger.count('customer', 2_000 as never) * 2_000;
    assertCovered(8_000, booked);
    expect(booked).toBeLessThanOrEqual(twenties(machine.dispenser.truth().customer) * 2_000);
    if (kind !== 'claim.redeeming') return;
    // No command left: the code is good for all of it, as before.
    expect(booked).toBe(0);
    await machine.until(({ cashOut }) => cashOut.open, 'open');
    expect(await machine.act({ do: 'redeem', code })).toMatchObject({ ok: true });
    await machine.untilCashOut(({ outcome }) => outcome !== null, 'redeemed');
    expect(machine.cashOut.dispensedMinor).toBe(8_000);
    expect(obligations()).toEqual([]);
  });
}

test('a sale that was reserved and never invoiced ends, and its notes are free', async () => {
  machine = await WholeMachine.inService();
  machine.keeper.switches.silent = true;
  await machine.act({ do: 'startCashOut' });
  await machine.untilCashOut(({ phase }) => phase === 'choosing', 'amounts');
  await machine.act({ do: 'chooseAmount', amountMinor: 7_000 });
  await cutAfter('cashOut.reserved', 100);
  machine.keeper.switches.silent = false;
  expect(machine.running.store.transactions.listOpen()).toEqual([]);
  expect(machine.running.store.intents.listOpen()).toEqual([]);
});

test('wrong codes are counted on disk: a start forgets none of them', async () => {
  machine = await WholeMachine.inService();
  const guess = () => machine.act({ do: 'redeem', code: 'zoo zoo zoo zoo zoo' });
  for (let wrong = 0; wrong < 5; wrong++) {
    expect(await guess()).toMatchObject({ code: 'notFound' });
  }
  machine.cutPower();
  await machine.powerOn();
  expect(await guess()).toMatchObject({ code: 'tooManyTries' });
});

/** A payout is cut, and its intent is as only another version of the program could have written it. */
async function cutUnreadable(): Promise<string> {
  machine = await WholeMachine.inService();
  machine.keeper.pay(await machine.sell(8_000));
  await machine.clock.until(() => machine.kinds().includes('dispense.intended'), 120_000);
  const { store } = machine.running;
  const [act] = store.intents.listOpen('dispense');
  if (!act) throw new Error('no act');
  store.commit(() => store.intents.replaceBody(act.id, { units: 'unreadable' }));
  machine.die('kill');
  machine.bury();
  return act.id;
}

const textsOf = ({ reasons }: { readonly reasons: readonly { readonly text: string }[] }) =>
  reasons.map(({ text }) => text).join();

test('a start that cannot settle what was left open says so, serves nobody, and leaves it as it is', async () => {
  const id = await cutUnreadable();
  await machine.powerOn();
  await machine.clock.advance(60_000);
  expect(machine.view.state).toBe('outOfService');
  for (const direction of [machine.view.cashIn, machine.view.cashOut]) {
    const found = [direction.open, textsOf(direction)];
    expect(found).toEqual([false, expect.stringContaining('The machine could not start')]);
  }
  for (const command of ['startCashIn', 'startCashOut'] as const) {
    expect(await machine.act({ do: command })).toMatchObject({ ok: false });
  }
  expect(machine.running.store.intents.listOpen('dispense')).toMatchObject([{ id }]);
});

test('what was left open cannot be settled, and its device answers late: its direction says so and stays closed', async () => {
  const id = await cutUnreadable();
  machine.dispenserCable.unplug();
  machine.start();
  await machine.until(({ cashIn }) => cashIn.open, 'cash-in opens by itself');
  machine.dispenserCable.plug();
  await machine.until(({ cashOut }) => textsOf(cashOut).includes('could not be started'), 'said');
  await machine.clock.advance(60_000);
  expect(textsOf(machine.view.cashOut)).toContain('The dispenser could not be started');
  expect([machine.view.cashIn.open, machine.view.cashOut.open]).toEqual([true, false]);
  expect(machine.running.store.intents.listOpen('dispense')).toMatchObject([{ id }]);
});
