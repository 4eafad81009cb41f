/** Commands at the customer's desk: which are refused, in which words, and that they change nothing. */
import { afterEach, expect, test } from 'vitest';
import type { CommandResult, CustomerCommand } from '#agent/api/schemas.ts';
import { WholeMachine } from '#test/support/whole-machine.ts';

let machine: WholeMachine;
afterEach(() => machine.stop());

const A = 'a'.repeat(32);
const B = 'b'.repeat(32);

/** The command as it stands, without the help of a screen. */
const give = (command: CustomerCommand): Promise<CommandResult> =>
  machine.running.service.command(command);
const refusal = (result: CommandResult) => (result.ok ? 'accepted' : result.code);

test('a command out of its place is refused and changes nothing', async () => {
  machine = await WholeMachine.inService();
  expect(await give({ do: 'startCashIn', session: A, step: 3 })).toEqual({
    ...{ ok: false, code: 'sequenceError', step: 0 },
    reason: 'a session opens at step 0',
  });
  expect(refusal(await give({ do: 'finish', session: A, step: 0 }))).toBe('notFound');
  expect(machine.view.session).toBeNull();

  expect(await give({ do: 'startCashIn', session: A, step: 0 })).toMatchObject({ ok: true });
  await machine.untilCashIn(({ phase }) => phase === 'inserting', 'the slot is open');
  expect(await give({ do: 'startCashOut', session: B, step: 0 })).toMatchObject({
    code: 'busy',
    reason: 'Another customer is being served.',
    key: 'refusal.anotherSession',
  });
  expect(refusal(await give({ do: 'cancel', session: B, step: 1 }))).toBe('notFound');
  expect(await give({ do: 'cancel', session: A, step: 7 })).toMatchObject({
    code: 'sequenceError',
    reason: 'the next step is 1',
  });
  expect(refusal(await give({ do: 'dismiss', session: A, step: 1 }))).toBe('sequenceError');
  const amount: CustomerCommand = { do: 'chooseAmount', session: A, step: 1, amountMinor: 20_00 };
  expect(refusal(await give(amount))).toBe('sequenceError');
  expect(refusal(await give({ ...amount, amountMinor: 21_00 }))).toBe('usage');
  expect(machine.cashIn).toMatchObject({ phase: 'inserting', step: 1 });

  expect(await give({ do: 'cancel', session: A, step: 1 })).toMatchObject({ ok: true, step: 2 });
  expect(await machine.leave()).toBe('cancelled');
});

test('a cash-out knows no "finish", and an amount only while it is offered', async () => {
  machine = await WholeMachine.inService();
  await give({ do: 'startCashOut', session: A, step: 0 });
  await machine.untilCashOut(({ phase }) => phase === 'choosing', 'amounts are offered');
  expect(refusal(await give({ do: 'finish', session: A, step: 1 }))).toBe('sequenceError');
  const odd = { do: 'chooseAmount', session: A, step: 1, amountMinor: 30_00 } as const;
  expect(await give(odd)).toMatchObject({
    code: 'usage',
    reason: 'This amount is not offered any more.',
  });
  expect(machine.cashOut.offeredMinor).toContain(70_00);
});

test('an accepted command that comes again is answered as it was, the oldest are forgotten', async () => {
  machine = await WholeMachine.inService();
  const start = { do: 'startCashIn', session: A, step: 0 } as const;
  const first = await give(start);
  expect(await give(start)).toBe(first);
  await machine.untilCashIn(({ phase }) => phase === 'inserting', 'the slot is open');
  await give({ do: 'cancel', session: A, step: 1 });
  await machine.leave();
  // A repeat opens nothing: the session it named is over.
  expect(await give(start)).toBe(first);
  expect(machine.view.session).toBeNull();

  for (let index = 0; index < 128; index += 1) {
    const session = index.toString(16).padStart(32, '0');
    await give({ do: 'startCashOut', session, step: 0 });
    await machine.untilCashOut(({ phase }) => phase === 'choosing', 'amounts are offered');
    await give({ do: 'cancel', session, step: 1 });
    await machine.until((view) => view.session?.outcome !== null, 'the end');
    await give({ do: 'dismiss', session, step: 2 });
    await machine.until((view) => view.session === null, 'idle');
  }
  expect(await give(start)).not.toBe(first);
});

test('before the machine is in service it says why, and has no fee and no rate to show', async () => {
  machine = new WholeMachine({ config: { limits: { max_cash_in_sats: 500_000 } } });
  await machine.pair();
  machine.start();
  expect(refusal(await give({ do: 'startCashIn', session: A, step: 0 }))).toBe('closed');
  expect(machine.view).toMatchObject({ state: 'recovering', cashIn: { feeFraction: null } });
  await machine.publish();
  await machine.until((view) => view.cashOut.open && view.cashIn.open, 'in service');
  await machine.act({ do: 'startCashIn' });
  await machine.untilCashIn(({ phase }) => phase === 'inserting', 'the slot is open');
  // 500,000 sats at $97,117.00 a bitcoin.
  expect(machine.cashIn.terms).toMatchObject({ capSats: 500_000, capMinor: 485_58 });
  await machine.act({ do: 'cancel' });
  expect(await machine.leave()).toBe('cancelled');
});

test('a code that owes nothing any more is told so with its reference', async () => {
  machine = await WholeMachine.inService();
  await machine.sell(70_00);
  const { claimCode, reference } = machine.cashOut;
  machine.keeper.pay(machine.cashOut.bolt11 ?? '');
  expect(await machine.leave()).toBe('dispensed');
  const again = { do: 'redeem', session: B, step: 0, code: claimCode ?? '' } as const;
  expect(await give(again)).toMatchObject({
    code: 'closed',
    reason: `Nothing is owed any more (reference ${reference}).`,
  });
  const misspelt = { ...again, code: 'no such five words here' };
  expect(refusal(await give(misspelt))).toBe('notFound');
});
