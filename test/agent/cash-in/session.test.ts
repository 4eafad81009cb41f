import { describe, expect, test } from 'vitest';
import { createActor } from 'xstate';
import { cashInActors } from '#agent/cash-in/actors.ts';
import { fillExposure } from '#agent/cash-in/exposure.ts';
import { depositNote, returnNote } from '#agent/cash-in/note.ts';
import { arm, conclude, disarm, judge, quote } from '#agent/cash-in/session.ts';
import { FRESH_MS, learnCap, totalOf, transactionOf } from '#agent/cash-in/terms.ts';
import { hashClaimCode } from '#agent/claim-code.ts';
import { StoreError } from '#protocol/base/errors.ts';
import { newIntentId, type TransactionId } from '#protocol/base/ids.ts';
import { minorPerBtc, sats } from '#protocol/base/money.ts';
import { CashInRig, dollars, FEES, RATE } from '#test/support/cash-in-rig.ts';
import { withMethods } from '#test/support/with-methods.ts';
import { deposit, escrow, heard, open } from './sessions.ts';

const ALL = [1, 5, 10, 20, 50, 100].map(dollars);
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** So much longer than an hour or a day a note may count. */
const SPAN_MS = 300_000;
/** Principal of 100 dollars at the rig's rate. */
const HUNDRED = 82_386;

/** What a customer is told who may not start. */
async function closedWith(rig: CashInRig): Promise<string> {
  const outcome = await rig.run(quote(rig.parts));
  return outcome.kind === 'closed' ? outcome.notice.code : 'open';
}

describe('the opening', () => {
  test('fixes rate, fee and cap, and gives a code that is kept as a keyed hash only', async () => {
    const rig = await new CashInRig().ready();
    const { transactionId, terms } = await open(rig);
    expect(terms).toEqual({
      rate: RATE,
      rateSource: 'a test',
      feeFraction: 0.08,
      capSats: 10_000_000,
      accepted: ALL,
    });
    const transaction = transactionOf(rig.parts, transactionId);
    const code = rig.store.secrets.get(transactionId, 'claimCode')?.reveal() ?? '';
    expect(code.split(' ')).toHaveLength(5);
    expect(transaction.claimHash).toBe(hashClaimCode(rig.parts.claimKey, code));
    expect(transaction).toMatchObject({ state: 'accepting', principalSats: 0, kind: 'cashIn' });
    const written = JSON.stringify(rig.store.journal.read({ limit: 100 }));
    for (const word of code.split(' ')) expect(written).not.toContain(`${word} `);
    expect(totalOf(rig.parts, transaction)).toEqual({
      notes: 0,
      fiat: 0,
      principal: 0,
      fee: 0,
      net: 0,
    });
  });

  test('is refused without wallet, price or fees', async () => {
    const rig = await new CashInRig().ready();
    rig.rate = undefined;
    expect(await closedWith(rig)).toBe('noRate');
    rig.rate = RATE;
    rig.fees = undefined;
    expect(await closedWith(rig)).toBe('awaitingFees');
    rig.fees = { ...FEES, cashIn: { kind: 'total', total: 0.08 } };
    expect((await open(rig)).terms.feeFraction).toBe(0.08);
    await rig.clock.advance(61_000);
    rig.keeper.switches.silent = true;
    expect(await closedWith(rig)).toBe('wallet');
    expect(rig.store.transactions.recent(10)).toHaveLength(1);
  });

  test('proves the signer when its last signature is old, and only then', async () => {
    const rig = await new CashInRig().ready();
    await open(rig);
    expect(rig.signer.probes).toBe(0);
    rig.signer.mood = { kind: 'ok', atMonotonicMs: rig.clock.monotonic() };
    await rig.clock.advance(60_000);
    await open(rig);
    expect(rig.signer.probes).toBe(0);
    await rig.clock.advance(1);
    rig.signer.probed = { kind: 'ok', atMonotonicMs: rig.clock.monotonic() };
    await open(rig);
    expect(rig.signer.probes).toBe(1);
    rig.signer.mood = { kind: 'unknown' };
    rig.signer.probed = { kind: 'silent', reason: 'no answer' };
    expect(await closedWith(rig)).toBe('signerUnreachable');
    rig.signer.probed = { kind: 'refused', reason: 'no' };
    expect(await closedWith(rig)).toBe('signerUnreachable');
  });
});

describe('the cap', () => {
  test.each([
    ['null is none: the wallet alone limits', null, undefined, 10_000_000, ALL],
    ['the configured one', 20_000, undefined, 20_000, ALL.slice(0, 4)],
    ['the operator’s', null, 5_000, 5_000, ALL.slice(0, 2)],
    ['the least of both', 20_000, 5_000, 5_000, ALL.slice(0, 2)],
    ['an operator who says none lifts no configured one', 20_000, null, 20_000, ALL.slice(0, 4)],
  ])('%s', async (_name, max, operator, capSats, accepted) => {
    const rig = await new CashInRig({ limits: { max_cash_in_sats: max } }).ready();
    rig.operatorCap = operator;
    const { terms } = await open(rig);
    expect(terms).toMatchObject({ capSats, accepted });
  });

  test.each([
    ['zero configured', { max_cash_in_sats: 0 }, undefined, 'limit'],
    ['zero in the document', {}, 0, 'limit'],
    ['less than the least note', { max_cash_in_sats: 800 }, undefined, 'limit'],
    ['no exposure left', { exposurePerHourSats: 0 }, undefined, 'limit'],
    ['a reserve above the balance', { walletReserveSats: 20_000_000 }, undefined, 'limit'],
  ])('closes before the first note: %s', async (_name, limits, operator, code) => {
    const rig = await new CashInRig({ limits }).ready();
    rig.operatorCap = operator;
    expect(await closedWith(rig)).toBe(code);
    expect(rig.store.transactions.recent(10)).toEqual([]);
  });

  test('an empty wallet closes before the first note', async () => {
    const rig = await new CashInRig({ fundSats: 0 }).ready();
    const outcome = await rig.run(quote(rig.parts));
    expect(outcome).toMatchObject({ kind: 'closed', notice: { code: 'limit' } });
    expect(JSON.stringify(outcome)).toContain('wallet behind this machine is empty');
  });

  test('that a refusal taught holds for a day', async () => {
    const rig = await new CashInRig().ready();
    learnCap(rig.parts, sats(5_000));
    expect((await open(rig)).terms.capSats).toBe(5_000);
    rig.clock.jumpWall(DAY_MS - 1_000);
    expect((await open(rig)).terms.capSats).toBe(5_000);
    rig.clock.jumpWall(2_000);
    expect((await open(rig)).terms.capSats).toBe(10_000_000);
    rig.store.commit(() => rig.store.facts.put('learnedCap', 'nonsense', rig.clock.now()));
    expect((await open(rig)).terms.capSats).toBe(10_000_000);
  });

  test('leaves what unclaimed links may still take, and the reserve', async () => {
    const rig = await new CashInRig({ limits: { walletReserveSats: 1_000_000 } }).ready();
    const { transactionId } = await open(rig);
    const unclaimed = (body: { netSats?: number }) =>
      rig.store.commit(() =>
        rig.store.intents.open({
          id: newIntentId(rig.parts.random),
          kind: 'withdraw',
          transactionId,
          body,
        }),
      );
    unclaimed({ netSats: 3_000_000 });
    unclaimed({});
    expect((await open(rig)).terms.capSats).toBe(6_000_000);
  });

  test.each([
    ['hour', { exposurePerHourSats: 100_000 }, HOUR_MS],
    ['day', { exposurePerDaySats: 100_000 }, DAY_MS],
  ])('the budget of the %s counts what was taken in it', async (_name, limits, periodMs) => {
    const rig = await new CashInRig({ limits }).ready();
    const first = await open(rig);
    expect(first.terms.capSats).toBe(100_000);
    await deposit(rig, first);
    // What this session has taken is its own; the next one has the rest.
    const armed = await rig.run(arm(rig.parts, first.transactionId));
    expect(armed).toMatchObject({ terms: { capSats: 100_000, accepted: ALL.slice(0, 4) } });
    expect((await open(rig)).terms.capSats).toBe(100_000 - HUNDRED);
    rig.clock.jumpWall(periodMs - 60_000);
    // On disk: a start forgets nothing of it.
    rig.restart();
    await rig.ready();
    expect((await open(rig)).terms.capSats).toBe(100_000 - HUNDRED);
    rig.clock.jumpWall(60_000 + SPAN_MS);
    expect((await open(rig)).terms.capSats).toBe(100_000);
  });

  test('a session that goes on for hours does not outgrow the budget of an hour', async () => {
    const rig = await new CashInRig({ limits: { exposurePerHourSats: 100_000 } }).ready();
    const session = await open(rig);
    rig.clock.jumpWall(2 * HOUR_MS);
    await deposit(rig, session);
    const input = { ...session, value: dollars(100) };
    expect(await rig.run(judge(rig.parts, input))).toMatchObject({ kind: 'refused' });
    expect((await open(rig)).terms.capSats).toBe(100_000 - HUNDRED);
  });

  test('a note that a wrong clock put in the future is forgotten with those of today', async () => {
    const rig = await new CashInRig({ limits: { exposurePerDaySats: 200_000 } }).ready();
    rig.clock.jumpWall(400 * DAY_MS);
    await deposit(rig, await open(rig));
    rig.clock.jumpWall(-400 * DAY_MS);
    expect((await open(rig)).terms.capSats).toBe(200_000 - HUNDRED);
    await rig.clock.advance(1_000);
    await deposit(rig, await open(rig));
    expect((await open(rig)).terms.capSats).toBe(200_000 - 2 * HUNDRED);
    rig.clock.jumpWall(DAY_MS + SPAN_MS);
    expect((await open(rig)).terms.capSats).toBe(200_000);
  });
});

describe('before each note', () => {
  test('the slot takes only what still fits', async () => {
    const rig = await new CashInRig({ limits: { max_cash_in_sats: 100_000 } }).ready();
    const session = await open(rig);
    await rig.run(arm(rig.parts, session.transactionId));
    // $1 to $20 are open, $50 and $100 are not, after a hundred.
    await deposit(rig, session);
    await rig.clock.advance(1_000);
    const armed = await rig.run(arm(rig.parts, session.transactionId));
    expect(armed).toMatchObject({ kind: 'armed', terms: { accepted: ALL.slice(0, 4) } });
    expect(rig.port.sent.findLast((hex) => hex.startsWith('fc07c0'))?.slice(6, 10)).toBe('e2ff');
    await heard(rig, 'note.refused', () => rig.insert(50));
    await rig.clock.advance(1_000);
    await heard(rig, 'note.escrowed', () => rig.insert(20));
  });

  test('a customer is told when nothing fits any more', async () => {
    const rig = await new CashInRig({ limits: { max_cash_in_sats: HUNDRED } }).ready();
    const session = await open(rig);
    await deposit(rig, session);
    await rig.clock.advance(1_000);
    expect(await rig.run(arm(rig.parts, session.transactionId))).toMatchObject({
      kind: 'armed',
      notice: { code: 'capReached' },
      terms: { accepted: [] },
    });
    expect(() => rig.insert(1)).toThrow('disabled');
  });

  test('a renewed rate counts for notes to come only', async () => {
    const rig = await new CashInRig().ready();
    const session = await open(rig);
    await deposit(rig, session);
    await rig.clock.advance(1_000);
    rig.rate = RATE * 2;
    const armed = await rig.run(arm(rig.parts, session.transactionId));
    expect(armed).toMatchObject({ kind: 'armed', terms: { rate: RATE * 2 }, notice: null });
    expect(transactionOf(rig.parts, session.transactionId).principalSats).toBe(HUNDRED);
    if (armed.kind !== 'armed') throw new Error('not armed');
    await deposit(rig, { ...session, terms: armed.terms });
    expect(transactionOf(rig.parts, session.transactionId).principalSats).toBe(HUNDRED + 41_193);
  });

  test.each([
    ['no price', (rig: CashInRig) => Object.assign(rig, { rate: undefined })],
    ['no fees', (rig: CashInRig) => Object.assign(rig, { fees: undefined })],
    ['a validator that is away', (rig: CashInRig) => rig.cable.unplug()],
    ['a cash box that is out', (rig: CashInRig) => box(rig, false)],
    ['a slot that does not obey', (rig: CashInRig) => rig.fault('invalidCommand', 0xc3, 100)],
    [
      'no wallet',
      async (rig: CashInRig) => {
        rig.keeper.switches.silent = true;
        await rig.clock.advance(61_000);
      },
    ],
  ])('%s ends the taking of notes, in words', async (_name, trouble) => {
    const rig = await new CashInRig().ready();
    const { transactionId } = await open(rig);
    await trouble(rig);
    await rig.clock.advance(500);
    const outcome = await rig.run(arm(rig.parts, transactionId));
    expect(outcome).toMatchObject({ kind: 'failed', notice: { code: 'interrupted' } });
  });

  test('a bug is no trouble of the slot', async () => {
    const rig = await new CashInRig().ready();
    const { transactionId } = await open(rig);
    const acceptor = withMethods(rig.acceptor, {
      accept: () => Promise.reject(new Error('a bug')),
      returnNote: () => Promise.reject(new Error('a bug')),
      subscribe: () => () => undefined,
    });
    const parts = { ...rig.parts, acceptor };
    await expect(rig.run(arm(parts, transactionId))).rejects.toThrow('a bug');
    await expect(rig.run(disarm(parts))).rejects.toThrow('a bug');
  });

  test('a session that is not there is a bug', async () => {
    const rig = new CashInRig();
    await expect(arm(rig.parts, 'nobody' as TransactionId)).rejects.toThrow('no transaction');
  });
});

function box(rig: CashInRig, present: boolean): void {
  rig.validator.control({ do: 'cashbox', present });
}

describe('at escrow', () => {
  test('a note over the cap goes back, with the highest that fits in words', async () => {
    const rig = await new CashInRig({ limits: { max_cash_in_sats: 20_000 } }).ready();
    const session = await open(rig);
    const input = { ...session, value: dollars(100) };
    // The slot was open for it by mistake; the check at escrow still holds.
    await escrow(rig, 100);
    const outcome = await rig.run(judge(rig.parts, input));
    expect(outcome).toMatchObject({ kind: 'refused', notice: { code: 'overCap' } });
    const words = outcome.kind === 'refused' ? outcome.notice.text : '';
    expect(words).toContain('$100.00 is more than');
    expect(words).toContain('highest note that fits is $20.00');
    expect(await rig.run(returnNote(rig.parts, input))).toEqual({ kind: 'returned' });
    expect(rig.validator.truth()).toMatchObject({ cashbox: {}, customer: { '100': 1 } });
  });

  test('a note that reaches the cap exactly fits; one sat less and it does not', async () => {
    const rig = await new CashInRig({ limits: { max_cash_in_sats: HUNDRED } }).ready();
    const session = await open(rig);
    const input = { ...session, value: dollars(100) };
    expect(await rig.run(judge(rig.parts, input))).toEqual({ kind: 'fits' });
    rig.operatorCap = HUNDRED - 1;
    expect(await rig.run(judge(rig.parts, input))).toMatchObject({ kind: 'refused' });
    rig.operatorCap = 0;
    const none = await rig.run(judge(rig.parts, input));
    expect(JSON.stringify(none)).toContain('No note fits any more.');
  });

  test('a note worth no sat goes back', async () => {
    const rig = await new CashInRig().ready();
    const session = await open(rig);
    const rate = minorPerBtc(2_000_000_000_000);
    const input = { ...session, value: dollars(1), terms: { ...session.terms, rate } };
    expect(await rig.run(judge(rig.parts, input))).toMatchObject({ kind: 'refused' });
  });

  test.each([
    ['cashBox', (rig: CashInRig) => box(rig, false)],
    [
      'wallet',
      async (rig: CashInRig) => {
        rig.keeper.switches.silent = true;
        await rig.clock.advance(61_000);
      },
    ],
  ])('trouble with the %s sends the note back', async (code, trouble) => {
    const rig = await new CashInRig().ready();
    const session = await open(rig);
    await trouble(rig);
    await rig.clock.advance(500);
    const outcome = await rig.run(judge(rig.parts, { ...session, value: dollars(20) }));
    expect(outcome).toMatchObject({ kind: 'refused', notice: { code } });
  });

  test.each([
    ['old when it is drawn in is renewed before it is in escrow', 56_000, 5_000_000],
    ['young enough is not asked for again', 50_000, 4_000_000],
  ])('a balance that is %s', async (_, ageMs, known) => {
    const rig = await new CashInRig({ fundSats: 4_000_000 }).ready();
    const input = await open(rig);
    const { acceptorNews } = cashInActors(rig.parts, rig.withdraws);
    const news = createActor(acceptorNews, { input }).start();
    await rig.clock.advance(ageMs);
    rig.keeper.fund(1_000_000);
    await escrow(rig, 20);
    expect(await rig.run(rig.parts.walletWatch.balance(FRESH_MS))).toBe(known);
    news.stop();
  });

  test('what a note is judged by is read while it is drawn in, and read again when it changed', async () => {
    const rig = await new CashInRig({ fundSats: 4_000_000 }).ready();
    const input = await open(rig);
    const asked: string[] = [];
    const { facts, intents, transactions } = rig.store;
    const note = <Answer>(what: string, answer: Answer): Answer => {
      asked.push(what);
      return answer;
    };
    const store = {
      ...rig.store,
      facts: { get: (key: string) => note('fact', facts.get(key)) },
      intents: { listOpen: (kind?: string) => note('intent', intents.listOpen(kind)) },
      transactions: { get: (id: TransactionId) => note('transaction', transactions.get(id)) },
    };
    const parts = { ...rig.parts, store: Object.assign(Object.create(rig.store), store) };
    const { acceptorNews } = cashInActors(parts, rig.withdraws);
    const news = createActor(acceptorNews, { input }).start();
    await escrow(rig, 100);
    expect(new Set(asked)).toEqual(new Set(['fact', 'intent', 'transaction']));
    asked.length = 0;
    const judged = () => rig.run(judge(parts, { ...input, value: dollars(100) }));
    expect(await judged()).toEqual({ kind: 'fits' });
    expect(asked).toEqual([]);
    learnCap(rig.parts, sats(HUNDRED - 1));
    expect(await judged()).toMatchObject({ kind: 'refused' });
    rig.store.commit(() => rig.store.facts.remove('learnedCap'));
    expect(await judged()).toEqual({ kind: 'fits' });
    rig.store.commit(() => fillExposure(rig.store, rig.clock.now()));
    expect(await judged()).toMatchObject({ kind: 'refused' });
    news.stop();
  });

  test('a balance that cannot be renewed for want of a disk ends nothing', async () => {
    const rig = await new CashInRig().ready();
    const input = await open(rig);
    const { clock } = rig;
    const balance = () => Promise.reject(new StoreError('hardwareError', 'the disk is full'));
    const parts = { ...rig.parts, walletWatch: { balance, named: () => true } };
    const { acceptorNews } = cashInActors(parts, rig.withdraws);
    const news = createActor(acceptorNews, { input }).start();
    const unheard: unknown[] = [];
    const hear = (err: unknown) => unheard.push(err);
    process.on('unhandledRejection', hear);
    await escrow(rig, 20);
    await clock.advance(500);
    process.off('unhandledRejection', hear);
    expect(unheard).toEqual([]);
    news.stop();
  });

  test('the budgets are asked again', async () => {
    const rig = await new CashInRig({ limits: { exposurePerHourSats: 100_000 } }).ready();
    const [one, two] = [await open(rig), await open(rig)];
    await deposit(rig, one);
    const input = { ...two, value: dollars(100) };
    expect(await rig.run(judge(rig.parts, input))).toMatchObject({ kind: 'refused' });
  });
});

describe('closing the slot', () => {
  test('gives back the note that waits', async () => {
    const rig = await new CashInRig().ready();
    await escrow(rig, 20);
    await rig.run(disarm(rig.parts), 10_000);
    expect(rig.validator.truth()).toMatchObject({ cashbox: {}, customer: { '20': 1 } });
    expect(() => rig.insert(1)).toThrow('disabled');
    expect(rig.journal()).toContain('note.givenBack');
  });

  test('gives back the note that comes meanwhile', async () => {
    const rig = await new CashInRig().ready();
    await rig.run(rig.acceptor.accept(ALL));
    await heard(rig, 'note.inserted', () => rig.insert(20));
    await rig.run(disarm(rig.parts), 10_000);
    expect(rig.validator.truth()).toMatchObject({ cashbox: {}, customer: { '20': 1 } });
    expect(() => rig.insert(1)).toThrow('disabled');
  });

  test('does not wait for a validator that is away', async () => {
    const rig = await new CashInRig().ready();
    rig.cable.unplug();
    await rig.clock.advance(1_000);
    await rig.run(disarm(rig.parts), 1_000);
    expect(rig.acceptor.status().device).toBe('offline');
  });
});

describe('the end', () => {
  test('without a note ends the transaction and its code', async () => {
    const rig = await new CashInRig().ready();
    const { transactionId } = await open(rig);
    await rig.run(conclude(rig.parts, { transactionId, end: 'cancelled' }));
    expect(transactionOf(rig.parts, transactionId)).toMatchObject({ outcome: 'cancelled' });
    expect(rig.store.secrets.get(transactionId, 'claimCode')).toBeUndefined();
    await rig.run(conclude(rig.parts, { transactionId, end: 'claimed' }));
    expect(transactionOf(rig.parts, transactionId)).toMatchObject({ outcome: 'cancelled' });
  });

  test.each(['unclaimed', 'owed', 'needsOperator'] as const)('%s keeps the code', async (end) => {
    const rig = await new CashInRig().ready();
    const session = await open(rig);
    await escrow(rig, 100);
    await rig.run(depositNote(rig.parts, { ...session, value: dollars(100) }));
    const { transactionId } = session;
    await rig.run(conclude(rig.parts, { transactionId, end }));
    const { state, endedAtUnixMs } = transactionOf(rig.parts, transactionId);
    expect([state, endedAtUnixMs]).toEqual([end, undefined]);
    expect(rig.store.secrets.get(transactionId, 'claimCode')).toBeDefined();
  });

  test('with nothing deposited and a note in doubt keeps the code', async () => {
    const rig = await new CashInRig().ready();
    const session = await open(rig);
    await escrow(rig, 100);
    rig.fault('powerCutAtStack');
    await rig.run(depositNote(rig.parts, { ...session, value: dollars(100) }));
    const { transactionId } = session;
    await rig.run(conclude(rig.parts, { transactionId, end: 'needsOperator' }));
    expect(transactionOf(rig.parts, transactionId).endedAtUnixMs).toBeUndefined();
    expect(rig.store.secrets.get(transactionId, 'claimCode')).toBeDefined();
  });

  test('broken off with nothing put in and nothing in doubt is an end', async () => {
    const rig = await new CashInRig().ready();
    const { transactionId } = await open(rig);
    await rig.run(conclude(rig.parts, { transactionId, end: 'needsOperator' }));
    expect(transactionOf(rig.parts, transactionId)).toMatchObject({ outcome: 'needsOperator' });
    expect(rig.store.transactions.listOpen()).toEqual([]);
  });

  test('claimed ends it', async () => {
    const rig = await new CashInRig().ready();
    const session = await open(rig);
    await deposit(rig, session);
    const { transactionId } = session;
    await rig.run(conclude(rig.parts, { transactionId, end: 'claimed' }));
    expect(transactionOf(rig.parts, transactionId)).toMatchObject({ outcome: 'claimed' });
    expect(rig.store.secrets.get(transactionId, 'claimCode')).toBeUndefined();
  });
});
