/** Whole cash-ins on virtual time: real agent, drivers, bunker client and database. */
import { afterEach, expect, test } from 'vitest';
import { createNostrCrypto } from '#protocol/signer/nostr-crypto.ts';
import { type MachineOptions, WholeMachine } from '#test/support/whole-machine.ts';

let machine: WholeMachine;
const begin = async (options?: MachineOptions): Promise<WholeMachine> => {
  machine = await WholeMachine.inService(options);
  return machine;
};
afterEach(async () => {
  expect(machine.validator.violations()).toEqual([]);
  expect(machine.dispenser.violations()).toEqual([]);
  await machine.stop();
});

test('notes become a link, and the link is followed until it is claimed', async () => {
  await begin({ makeCrypto: createNostrCrypto });
  const lnurl = await machine.deposit(20, 50, 5);
  expect(machine.cashIn).toMatchObject({ notes: 3, fiatMinor: 7_500, principalSats: 77_225 });
  // 3 % and 5 % of 77,225, each rounded by itself.
  expect(machine.cashIn.feeSats).toBe(2_317 + 3_861);
  expect(machine.keeper.claim(lnurl)).toEqual({ ok: true, sats: 77_225 - 2_317 - 3_861 });
  expect(await machine.leave()).toBe('claimed');
  expect(machine.differences()).toEqual([]);
  expect(machine.running.store.intents.listOpen()).toEqual([]);
});

test('each act on a note is on disk before it is done, in this order', async () => {
  await begin();
  await machine.deposit(20);
  const kinds = machine.kinds();
  const order = ['cashIn.opened', 'deposit.intended', 'note.deposited', 'withdraw.intended'];
  expect(order.map((kind) => kinds.indexOf(kind))).toEqual(
    order.map((kind) => kinds.indexOf(kind)).toSorted((a, b) => a - b),
  );
  expect(kinds).toContain('withdraw.sent');
  expect(kinds.indexOf('withdraw.sent')).toBeLessThan(kinds.indexOf('withdraw.answered'));
});

test('a note over the cap comes back with the reason and never reaches the cash box', async () => {
  await begin({ config: { limits: { max_cash_in_sats: 60_000 } } });
  await machine.act({ do: 'startCashIn' });
  await machine.untilCashIn(({ terms }) => terms !== null, 'terms');
  expect(machine.cashIn.terms?.capSats).toBe(60_000);
  await machine.insert(50);
  await machine.untilCashIn(({ notes }) => notes === 1, 'the first note');
  // $50 are 51,485 sats: only $5 and $1 still fit, so the validator itself refuses a $20.
  await machine.untilCashIn(
    ({ terms }) => terms?.acceptedMinor.join() === '100,500',
    'only small notes fit',
  );
  await machine.insert(20);
  await machine.untilCashIn(({ notice }) => notice !== null, 'the note came back');
  expect(machine.cashIn.notice?.code).toBe('refused.inhibited');
  expect(machine.validator.truth().cashbox).toMatchObject({ '50': 1 });
  expect(machine.validator.truth().cashbox).not.toHaveProperty('20');
});

test('cap 0 closes cash-in and leaves cash-out open', async () => {
  await begin({ config: { limits: { max_cash_in_sats: 0 } } });
  expect(machine.view.cashIn).toMatchObject({ open: false, reasons: [{ code: 'capIsZero' }] });
  expect(await machine.act({ do: 'startCashIn' })).toMatchObject({ ok: false, code: 'closed' });
  expect(machine.view.cashOut.open).toBe(true);
});

test("the operator's document can close cash-in, and open it again", async () => {
  await begin();
  await machine.clock.resolve(machine.keeper.publishLimits(0));
  await machine.until(({ cashIn }) => !cashIn.open, 'closed by the document');
  await machine.clock.advance(2_000);
  await machine.clock.resolve(machine.keeper.publishLimits(null));
  await machine.until(({ cashIn }) => cashIn.open, 'open again');
});

test('an empty wallet closes cash-in before the first note', async () => {
  await begin({ fundSats: 0 });
  expect(machine.view.cashIn).toMatchObject({ open: false, reasons: [{ code: 'walletEmpty' }] });
});

test('a wallet that holds little takes little', async () => {
  await begin({ fundSats: 10_000 });
  await machine.act({ do: 'startCashIn' });
  await machine.untilCashIn(({ terms }) => terms !== null, 'terms');
  expect(machine.cashIn.terms?.acceptedMinor).toEqual([100, 500]);
});

test("the wallet's refusal teaches the cap, and the code holds what was put in", async () => {
  await begin({ maxCashInSats: 10_000 });
  await machine.act({ do: 'startCashIn' });
  await machine.insert(20);
  await machine.untilCashIn(({ notes }) => notes === 1, 'the note is in');
  const code = machine.cashIn.claimCode;
  await machine.act({ do: 'finish' });
  expect(await machine.leave()).toBe('owed');
  expect(machine.running.service.obligations()).toMatchObject([{ kind: 'withdrawRefused' }]);
  await machine.act({ do: 'startCashIn' });
  await machine.untilCashIn(({ terms }) => terms !== null, 'terms');
  expect(machine.cashIn.terms?.capSats).toBe(10_000);
  await machine.act({ do: 'cancel' });
  await machine.leave();
  // The operator raises the cap, and the code brings the sats.
  machine.keeper.setMaxCashInSats(null);
  expect(await machine.act({ do: 'redeem', code: code ?? '' })).toMatchObject({ ok: true });
  await machine.untilCashIn(({ lnurl }) => lnurl !== null, 'the link');
  expect(machine.running.service.obligations()).toEqual([]);
});

test('nobody puts anything in: nothing is kept', async () => {
  await begin();
  await machine.act({ do: 'startCashIn' });
  await machine.untilCashIn(({ phase }) => phase === 'inserting', 'the slot is open');
  await machine.until(({ session }) => session?.outcome?.code === 'cancelled', 'idle time');
  await machine.until(({ session }) => session === null, 'the next customer');
  expect(machine.running.store.transactions.listOpen()).toEqual([]);
});

test('a customer who walks away gets what was deposited by the code', async () => {
  await begin();
  await machine.act({ do: 'startCashIn' });
  await machine.insert(20);
  await machine.untilCashIn(({ claimCode }) => claimCode !== null, 'the code');
  const code = machine.cashIn.claimCode ?? '';
  await machine.untilCashIn(({ lnurl }) => lnurl !== null, 'the idle time issues');
  const lnurl = machine.cashIn.lnurl;
  expect(await machine.leave()).toBe('unclaimed');
  const typed = code.toUpperCase().replaceAll(' ', '-');
  expect(await machine.act({ do: 'redeem', code: typed })).toMatchObject({ ok: true });
  await machine.untilCashIn((view) => view.lnurl !== null, 'the same link');
  expect(machine.cashIn.lnurl).toBe(lnurl);
  machine.keeper.claim(lnurl ?? '');
  expect(await machine.leave()).toBe('claimed');
  expect(await machine.act({ do: 'redeem', code })).toMatchObject({ ok: false, code: 'closed' });
});

test('wrong codes are counted and shut the door for a while', async () => {
  await begin();
  for (let wrong = 0; wrong < 5; wrong++) {
    const result = await machine.act({ do: 'redeem', code: 'zoo zoo zoo zoo zoo' });
    expect(result).toMatchObject({ ok: false, code: 'notFound' });
  }
  const shut = await machine.act({ do: 'redeem', code: 'zoo zoo zoo zoo zoo' });
  expect(shut).toMatchObject({ ok: false, code: 'tooManyTries' });
  await machine.clock.advance(601_000);
  const later = await machine.act({ do: 'redeem', code: 'zoo zoo zoo zoo zoo' });
  expect(later).toMatchObject({ ok: false, code: 'notFound' });
});

test('words that are none of the list are a typing error, and no guess', async () => {
  await begin();
  for (let typed = 0; typed < 10; typed++) {
    const result = await machine.act({ do: 'redeem', code: 'zoo zoo zoo zoo zooo' });
    expect(result).toMatchObject({
      ok: false,
      code: 'notFound',
      reason: expect.stringContaining('spelling'),
    });
  }
  expect(machine.running.store.wrongTries.countSince('claim', 0)).toBe(0);
});

test('a deposit that was paid out by hand brings no link any more', async () => {
  await begin({ maxCashInSats: 10_000 });
  await machine.act({ do: 'startCashIn' });
  await machine.insert(20);
  await machine.untilCashIn(({ notes }) => notes === 1, 'the note is in');
  const code = machine.cashIn.claimCode ?? '';
  await machine.act({ do: 'finish' });
  expect(await machine.leave()).toBe('owed');
  const { service, store } = machine.running;
  const [owed] = store.obligations.list();
  if (!owed) throw new Error('nothing is owed');
  const settlement = { obligationId: owed.id, by: 'Ana', reason: 'paid from another wallet' };
  expect(service.settle(settlement)).toBe('settled');
  machine.keeper.setMaxCashInSats(null);
  expect(await machine.act({ do: 'redeem', code })).toMatchObject({ ok: false, code: 'closed' });
  expect(machine.keeper.books().withdrawLinks).toEqual([]);
  expect(store.transactions.listOpen()).toEqual([]);
  await machine.clock.advance(600_000);
  expect(machine.keeper.books().withdrawLinks).toEqual([]);
});

test('a link that comes after its deposit was paid out by hand is the operator’s, not shown', async () => {
  await begin();
  machine.keeper.switches.dropAnswers = 3;
  await machine.act({ do: 'startCashIn' });
  await machine.insert(20);
  await machine.untilCashIn(({ notes }) => notes === 1, 'the note is in');
  const code = machine.cashIn.claimCode ?? '';
  await machine.act({ do: 'finish' });
  await machine.leave();
  const { service, store } = machine.running;
  const owed = () => store.obligations.list({ open: true });
  await machine.clock.until(() => owed().length > 0, 900_000);
  const [unanswered] = owed();
  if (!unanswered) throw new Error('nothing is owed');
  expect(unanswered.kind).toBe('withdrawUnanswered');
  const settlement = { obligationId: unanswered.id, by: 'Ana', reason: 'paid by hand' };
  expect(service.settle(settlement)).toBe('settled');
  expect(store.intents.listOpen('withdraw')).toEqual([]);
  expect(await machine.act({ do: 'redeem', code })).toMatchObject({ ok: false, code: 'closed' });
});

test('a lost answer is asked for again; only one link is ever shown', async () => {
  await begin();
  machine.keeper.switches.dropAnswers = 1;
  await machine.act({ do: 'startCashIn' });
  await machine.insert(20);
  await machine.untilCashIn(({ notes }) => notes === 1, 'the note is in');
  await machine.act({ do: 'finish' });
  expect(await machine.leave()).toBe('owed');
  const { store } = machine.running;
  await machine.clock.until(() => machine.kinds().includes('withdraw.answered'), 900_000);
  const sent = store.journal.read({ kind: 'withdraw.sent' });
  expect(sent.map(({ body }) => body.attempt)).toEqual([1, 2]);
  expect(machine.keeper.books().withdrawLinks).toHaveLength(2);
  expect(store.journal.read({ kind: 'withdraw.answered' })).toHaveLength(1);
});

test('two answers: the first link is shown, the other is owed to the operator', async () => {
  await begin();
  machine.keeper.switches.dropAnswers = 3;
  await machine.act({ do: 'startCashIn' });
  await machine.insert(20);
  await machine.untilCashIn(({ notes }) => notes === 1, 'the note is in');
  await machine.act({ do: 'finish' });
  await machine.leave();
  await machine.clock.until(
    () => machine.running.service.obligations().some(({ kind }) => kind === 'withdrawUnanswered'),
    900_000,
  );
  expect(machine.kinds().filter((kind) => kind === 'withdraw.sent')).toHaveLength(3);
});

test('no wallet answers: no session takes a note', async () => {
  await begin();
  machine.keeper.switches.silent = true;
  await machine.clock.advance(400_000);
  expect(machine.view.cashIn.open).toBe(false);
  expect(machine.view.cashIn.reasons.map(({ code }) => code)).toContain('walletUnreachable');
  machine.keeper.switches.silent = false;
  await machine.until(({ cashIn }) => cashIn.open, 'the wallet is back');
});

test('a dead signer closes both directions and says so; it comes back by itself', async () => {
  await begin();
  machine.bunker.policy.switches.silent = true;
  await machine.until(({ cashIn }) => !cashIn.open, 'closed');
  expect(machine.view.cashOut.reasons.map(({ code }) => code)).toContain('signerUnreachable');
  machine.bunker.policy.switches.silent = false;
  await machine.until(({ cashIn, cashOut }) => cashIn.open && cashOut.open, 'back');
});

test('pulling the cable in the middle of a session: what was put in is issued', async () => {
  await begin();
  await machine.act({ do: 'startCashIn' });
  await machine.insert(20);
  await machine.untilCashIn(({ notes }) => notes === 1, 'the note is in');
  machine.validatorCable.unplug();
  await machine.untilCashIn(({ lnurl }) => lnurl !== null, 'the link');
  expect(machine.view.cashIn.reasons.map(({ code }) => code)).toContain('validator');
  machine.validatorCable.plug();
  await machine.until(({ cashIn }) => cashIn.open, 'the validator is back');
});

test('the cash box is taken out, and put back', async () => {
  await begin();
  machine.validator.control({ do: 'cashbox', present: false });
  await machine.until(({ cashIn }) => !cashIn.open, 'closed');
  expect(machine.view.cashIn.reasons.map(({ code }) => code)).toContain('cashBox');
  machine.validator.control({ do: 'cashbox', present: true });
  await machine.until(({ cashIn }) => cashIn.open, 'open');
});
