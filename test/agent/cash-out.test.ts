/** Whole cash-outs on virtual time, with everything that can go wrong on the way of a note. */
import { afterEach, expect, test } from 'vitest';
import { createNostrCrypto } from '#protocol/signer/nostr-crypto.ts';
import { type MachineOptions, WholeMachine } from '#test/support/whole-machine.ts';

let machine: WholeMachine;
const begin = async (options?: MachineOptions): Promise<WholeMachine> => {
  machine = await WholeMachine.inService(options);
  return machine;
};
afterEach(async () => {
  await machine.stop();
});

const fault = (name: string, more: { times?: number; value?: number } = {}) =>
  machine.dispenser.control({ do: 'fault', name, ...more });
const obligations = () => machine.running.service.obligations();
/** Commands that moved notes, as the journal has them: one intent each. */
const commands = () => machine.kinds().filter((kind) => kind === 'dispense.intended').length;

/** A sale that is paid, up to its last screen. */
async function sale(amountMinor: number): Promise<string> {
  const bolt11 = await machine.sell(amountMinor);
  expect(machine.keeper.pay(bolt11)).toMatchObject({ ok: true });
  await machine.until(({ session }) => session?.outcome !== null, 'the end');
  const code = machine.cashOut.outcome?.code ?? '';
  return code;
}

test('an invoice that is paid is handed out, and all books agree', async () => {
  await begin({ makeCrypto: createNostrCrypto });
  const bolt11 = await machine.sell(7_000);
  expect(machine.cashOut).toMatchObject({ fiatMinor: 7_000, principalSats: 72_079 });
  // 3 % and 5 % of 72,079, each rounded by itself; the customer pays them on top.
  expect(machine.cashOut.wireSats).toBe(72_079 + 2_162 + 3_604);
  expect(machine.keeper.pay(bolt11)).toEqual({ ok: true, sats: 77_845 });
  await machine.untilCashOut(({ outcome }) => outcome !== null, 'the end');
  expect(machine.cashOut).toMatchObject({
    outcome: { code: 'dispensed' },
    dispensed: { '1': 1, '3': 1 },
    dispensedMinor: 7_000,
  });
  expect(machine.differences()).toEqual([]);
  await machine.leave();
  expect(machine.running.store.intents.listOpen()).toEqual([]);
  expect(machine.running.store.transactions.listOpen()).toEqual([]);
});

test('two bays with one denomination are two bays, and empty evenly', async () => {
  await begin();
  expect(await sale(4_000)).toBe('dispensed');
  expect(machine.cashOut.dispensed).toEqual({ '1': 1, '2': 1 });
  await machine.leave();
  const units = machine.running.service.status().cashUnits;
  expect(units.filter(({ denomination }) => denomination === 20)).toMatchObject([
    { position: 1, count: 9 },
    { position: 2, count: 9 },
  ]);
});

test('an amount that is not offered is refused', async () => {
  await begin();
  await machine.act({ do: 'startCashOut' });
  await machine.untilCashOut(({ phase }) => phase === 'choosing', 'amounts');
  const result = await machine.act({ do: 'chooseAmount', amountMinor: 1_234 });
  expect(result).toMatchObject({ ok: false, code: 'usage' });
  await machine.act({ do: 'cancel' });
  expect(await machine.leave()).toBe('cancelled');
});

test('a customer who does not choose has left', async () => {
  await begin();
  await machine.act({ do: 'startCashOut' });
  await machine.until(({ session }) => session?.outcome?.code === 'cancelled', 'choosing time');
});

test('a bay that cannot pick is left out, and the rest comes from its twin', async () => {
  await begin();
  fault('pickUpFailure', { value: 1 });
  expect(await sale(8_000)).toBe('dispensed');
  expect(machine.cashOut.dispensedMinor).toBe(8_000);
  expect(commands()).toBe(2);
  expect(machine.differences()).toEqual([]);
  const units = machine.running.service.status().cashUnits;
  expect(units.some(({ accuracy }) => accuracy === 'inaccurate')).toBe(true);
});

test('what no bay can make is proven missing, held by the code, and redeemed by it', async () => {
  await begin();
  fault('pickUpFailure', { value: 0, times: 4 });
  expect(await sale(7_000)).toBe('remainder');
  const code = machine.cashOut.claimCode ?? '';
  expect(machine.cashOut.remainderMinor).toBeGreaterThan(0);
  expect(machine.differences()).toEqual([]);
  await machine.leave();
  expect(obligations()).toMatchObject([{ kind: 'remainder', state: 'open' }]);
  expect(code.split(' ')).toHaveLength(5);
});

test('a lost answer is settled by the last status, and no command leaves twice', async () => {
  await begin();
  fault('loseResponse');
  expect(await sale(4_000)).toBe('dispensed');
  expect(commands()).toBe(1);
  expect(machine.differences()).toEqual([]);
});

test('a dispenser that is silent before the command gives a claim, and gets no command', async () => {
  await begin();
  const bolt11 = await machine.sell(4_000);
  fault('silence', { times: 1_000 });
  machine.keeper.pay(bolt11);
  await machine.untilCashOut(({ outcome }) => outcome !== null, 'the end');
  expect(machine.cashOut.outcome?.code).toBe('remainder');
  expect(commands()).toBe(0);
  expect(obligations()).toMatchObject([{ kind: 'remainder', amountMinor: 4_000 }]);
  expect(await machine.act({ do: 'cancel' })).toMatchObject({ ok: false });
});

test('an answer lost by a unit that lost its power is unknown, and never asked for again', async () => {
  await begin({ dispenser: { memory: 'lost' } });
  const bolt11 = await machine.sell(4_000);
  fault('powerCutBeforeResponse');
  machine.keeper.pay(bolt11);
  await machine.untilCashOut(({ outcome }) => outcome !== null, 'the end');
  expect(machine.cashOut.outcome?.code).toBe('needsOperator');
  expect(commands()).toBe(1);
  expect(obligations()).toMatchObject([{ kind: 'dispenseUnknown', amountMinor: 4_000 }]);
  const code = machine.cashOut.claimCode ?? '';
  machine.dispenser.control({ do: 'power', on: true });
  await machine.leave();
  await machine.until(({ cashOut }) => cashOut.open, 'the dispenser is back');
  // The bays touched are left out; nobody is paid from a doubt.
  expect(await machine.act({ do: 'redeem', code })).toMatchObject({ ok: false, code: 'closed' });
  const touched = machine.running.service.status().cashUnits;
  expect(touched.filter(({ accuracy }) => accuracy === 'inaccurate')).toHaveLength(2);
});

test('a payment after the cancelling is owed, and its code is good for the cash', async () => {
  await begin();
  const bolt11 = await machine.sell(7_000);
  const code = machine.cashOut.claimCode ?? '';
  await machine.act({ do: 'cancel' });
  expect(await machine.leave()).toBe('cancelled');
  machine.keeper.pay(bolt11);
  await machine.clock.until(() => obligations().length > 0, 120_000);
  expect(obligations()).toMatchObject([{ kind: 'latePayment', amountMinor: 7_000 }]);
  expect(machine.dispenser.truth().customer).toEqual({});
  expect(await machine.act({ do: 'redeem', code })).toMatchObject({ ok: true });
  await machine.untilCashOut(({ outcome }) => outcome !== null, 'redeemed');
  expect(machine.cashOut).toMatchObject({ dispensedMinor: 7_000, outcome: { code: 'dispensed' } });
  await machine.leave();
  expect(obligations()).toEqual([]);
  expect(await machine.act({ do: 'redeem', code })).toMatchObject({ ok: false });
  expect(machine.differences()).toEqual([]);
});

test('nobody pays: the invoice lapses and its notes are free again', async () => {
  await begin();
  await machine.sell(7_000);
  await machine.until(({ session }) => session?.outcome?.code === 'expired', 'expired');
  await machine.until(({ session }) => session === null, 'the next customer');
  await machine.clock.until(() => machine.kinds().includes('payment.lapsed'), 900_000);
  expect(machine.running.store.intents.listOpen()).toEqual([]);
});

test('a wallet that says it in words nobody knows ends no invoice, over a start as well', async () => {
  await begin();
  const bolt11 = await machine.sell(7_000);
  const { switches } = machine.keeper;
  switches.refuse = (name) => (name === 'get_payment' ? 'Internal server error.' : undefined);
  await machine.act({ do: 'cancel' });
  await machine.leave();
  await machine.clock.advance(900_000);
  // It was under way when the invoice ended.
  machine.keeper.pay(bolt11, { evenExpired: true });
  await machine.clock.advance(900_000);
  expect(machine.kinds()).not.toContain('payment.lapsed');
  machine.cutPower();
  await machine.powerOn();
  await machine.clock.advance(60_000);
  expect(machine.running.store.intents.listOpen('payment')).toHaveLength(1);
  switches.refuse = () => undefined;
  await machine.clock.until(() => obligations().length > 0, 700_000);
  expect(obligations()).toMatchObject([{ kind: 'latePayment', amountMinor: 7_000 }]);
});

test('a payment that does not prove itself holds the cash for the operator to judge', async () => {
  await begin();
  const bolt11 = await machine.sell(7_000);
  const code = machine.cashOut.claimCode ?? '';
  machine.keeper.switches.foreignPreimages = true;
  machine.keeper.pay(bolt11);
  await machine.untilCashOut(({ outcome }) => outcome !== null, 'held');
  expect(machine.cashOut).toMatchObject({ outcome: { code: 'needsOperator' }, claimCode: code });
  const held = { kind: 'doubtfulPayment', state: 'unknown', amountMinor: 7_000 };
  expect(obligations()).toMatchObject([held]);
  await machine.leave();
  machine.cutPower();
  await machine.powerOn();
  expect(obligations()).toMatchObject([held]);
  expect(await machine.act({ do: 'redeem', code })).toMatchObject({ ok: false, code: 'closed' });
  expect(commands()).toBe(0);
  expect(machine.view.cashOut.reasons.map(({ code: why }) => why)).not.toContain('unsettled');
});

test('the journal alone proves the figures of a sale', async () => {
  await begin();
  await machine.sell(7_000);
  const [entry] = machine.running.store.journal.read({ kind: 'cashOut.reserved' });
  expect(entry?.body).toMatchObject({
    amountMinor: 7_000,
    rateMinorPerBtc: 9_711_700,
    rateSource: 'fixed by configuration',
    principalSats: 72_079,
    fees: { kind: 'legs', platform: 0.03, operator: 0.05 },
    feeSats: 2_162 + 3_604,
    wireSats: 77_845,
  });
});

test('what was settled by hand is not redeemed as well: its code is void', async () => {
  await begin();
  const bolt11 = await machine.sell(7_000);
  const code = machine.cashOut.claimCode ?? '';
  await machine.act({ do: 'cancel' });
  await machine.leave();
  machine.keeper.pay(bolt11);
  await machine.clock.until(() => obligations().length > 0, 120_000);
  const { service, store } = machine.running;
  const [owed] = store.obligations.list();
  if (!owed) throw new Error('nothing is owed');
  const settlement = { obligationId: owed.id, by: 'Ana', reason: 'paid from the till' };
  expect(service.settle(settlement)).toBe('settled');
  expect(owed.transactionId && store.secrets.get(owed.transactionId, 'claimCode')).toBeUndefined();
  expect(await machine.act({ do: 'redeem', code })).toMatchObject({ ok: false, code: 'closed' });
  expect(machine.dispenser.truth().customer).toEqual({});
});

test('at most three unpaid invoices hold notes back at a time', async () => {
  await begin();
  for (let round = 0; round < 3; round++) {
    await machine.sell(2_000);
    await machine.act({ do: 'cancel' });
    await machine.leave();
  }
  await machine.sell(2_000);
  expect(machine.cashOut.outcome).toMatchObject({ code: 'failed' });
});

test('a wallet that is not the pinned one gets no payment', async () => {
  await begin();
  machine.keeper.switches.namePaymentWallet = true;
  machine.keeper.switches.refuse = (rpcName) =>
    rpcName === 'create_invoice' ? 'Wallet is locked.' : undefined;
  await machine.sell(2_000);
  expect(machine.cashOut).toMatchObject({ bolt11: null, outcome: { code: 'failed' } });
  expect(machine.cashOut.notice?.text).toContain('Wallet is locked.');
});

test('a wallet that names nobody gets no payment either', async () => {
  machine = await WholeMachine.inService();
  machine.keeper.switches.nameWallet = false;
  machine.keeper.switches.namePaymentWallet = false;
  await machine.clock.advance(400_000);
  await machine.sell(2_000);
  expect(machine.cashOut).toMatchObject({ bolt11: null, outcome: { code: 'failed' } });
});

test('a zero preimage counts as not given, as LNbits does inside one server', async () => {
  await begin();
  machine.keeper.switches.zeroPreimages = true;
  expect(await sale(2_000)).toBe('dispensed');
});

test('the dispenser is unplugged and comes back', async () => {
  await begin();
  machine.dispenserCable.unplug();
  await machine.until(({ cashOut }) => !cashOut.open, 'closed');
  expect(machine.view.cashOut.reasons.map(({ code }) => code)).toContain('dispenser');
  expect(machine.view.cashIn.open).toBe(true);
  machine.dispenserCable.plug();
  await machine.until(({ cashOut }) => cashOut.open, 'open again');
});

test('the old denomination-keyed document is refused with a reason', async () => {
  await begin();
  await machine.clock.advance(2_000);
  await machine.clock.resolve(
    machine.keeper.publishOldCassettes({ '20': { position: 1, count: 5 } }),
  );
  const refusal = () =>
    machine.running.service.documents().find(({ type }) => type === 'bitspire-cassettes')?.refused;
  await machine.clock.until(() => typeof refusal() === 'string', 60_000);
  expect(refusal()).toMatch(/position/);
});
