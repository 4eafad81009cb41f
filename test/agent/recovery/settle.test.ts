/** What a settlement by hand ends, and what it leaves alone. Whole machines: cash-in/-out tests. */
import { expect, test } from 'vitest';
import { settleByHand } from '#agent/recovery/settle.ts';
import type { TransactionId } from '#protocol/base/ids.ts';
import type { ObligationKind } from '#state/obligations.ts';
import { CashInRig } from '#test/support/cash-in-rig.ts';
import { deposit, type Opened, open } from '../cash-in/sessions.ts';

const BY = { by: 'Ana', reason: 'counted' };

function owe(rig: CashInRig, kind: ObligationKind, transactionId?: TransactionId) {
  const { store } = rig;
  const reference = store.transactions.recent(1)[0]?.reference;
  if (reference === undefined) throw new Error('no transaction');
  const of = transactionId === undefined ? {} : { transactionId };
  return store.commit(() =>
    store.obligations.insert({ ...of, reference, kind, currency: 'USD', body: {} }),
  );
}
const codeOf = (rig: CashInRig, { transactionId }: Opened) =>
  rig.store.secrets.get(transactionId, 'claimCode');
const outcomeOf = (rig: CashInRig, { transactionId }: Opened) =>
  rig.store.transactions.get(transactionId)?.outcome;

/** A session with a note of 100 dollars in it, and a link when it is wanted. */
async function session(link: boolean): Promise<{ rig: CashInRig; one: Opened }> {
  const rig = await new CashInRig().ready();
  const one = await open(rig);
  await deposit(rig, one);
  if (link) await rig.run(rig.withdraws.issue(one.transactionId));
  return { rig, one };
}

test('a doubt without a deposit: the session is over and its code is void', async () => {
  const rig = await new CashInRig().ready();
  const one = await open(rig);
  const doubt = owe(rig, 'noteUnknown', one.transactionId);
  expect(settleByHand(rig.parts, { ...BY, obligationId: doubt.id })).toBe('settled');
  expect([codeOf(rig, one), outcomeOf(rig, one)]).toEqual([undefined, 'settled']);
});

test.each([
  ['a doubt beside what was deposited', false, 'noteUnknown'],
  ['what a link has less than was promised, while the link is open', true, 'withdrawRefused'],
  ['a link too many', true, 'surplusLink'],
] as const)('the code stays good for the rest: %s', async (_, link, kind) => {
  const { rig, one } = await session(link);
  const { id } = owe(rig, kind, one.transactionId);
  expect(settleByHand(rig.parts, { ...BY, obligationId: id })).toBe('settled');
  expect(codeOf(rig, one)).toBeDefined();
  expect(outcomeOf(rig, one)).toBeUndefined();
  expect(rig.store.secrets.get(one.transactionId, 'lnurl') !== undefined).toBe(link);
});

test('of two debts under one code the last one voids it', async () => {
  const { rig, one } = await session(false);
  const [doubt, refused] = [
    owe(rig, 'noteUnknown', one.transactionId),
    owe(rig, 'withdrawRefused', one.transactionId),
  ];
  settleByHand(rig.parts, { ...BY, obligationId: doubt.id });
  expect(codeOf(rig, one)).toBeDefined();
  settleByHand(rig.parts, { ...BY, obligationId: refused.id });
  expect([codeOf(rig, one), outcomeOf(rig, one)]).toEqual([undefined, 'settled']);
  expect(rig.store.journal.read({ kind: 'obligation.settled' })).toHaveLength(2);
});

test('a note that is still on its way keeps its session open', async () => {
  const rig = await new CashInRig().ready();
  const one = await open(rig);
  const { transactionId } = one;
  rig.store.commit(() =>
    rig.store.intents.open({ kind: 'deposit', device: 'acceptor', transactionId, body: {} }),
  );
  const { id } = owe(rig, 'noteUnknown', transactionId);
  expect(settleByHand(rig.parts, { ...BY, obligationId: id })).toBe('settled');
  expect(codeOf(rig, one)).toBeDefined();
});

test('what belongs to no session, and what is over already', async () => {
  const { rig, one } = await session(false);
  const stray = owe(rig, 'creditWithoutIntent');
  expect(settleByHand(rig.parts, { ...BY, obligationId: stray.id })).toBe('settled');
  expect(codeOf(rig, one)).toBeDefined();
  const over = { state: 'claimed', outcome: 'claimed', endedAtUnixMs: rig.clock.now() };
  rig.store.commit(() => rig.store.transactions.update(one.transactionId, over));
  const surplus = owe(rig, 'surplusLink', one.transactionId);
  expect(settleByHand(rig.parts, { ...BY, obligationId: surplus.id })).toBe('settled');
  expect([codeOf(rig, one), outcomeOf(rig, one)]).toEqual([undefined, 'claimed']);
});
