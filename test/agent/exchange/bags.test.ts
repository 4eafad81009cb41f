/** Boxes and cassettes that leave as they are: counted at the depot, or carried away by nobody. */
import { afterEach, expect, test } from 'vitest';
import { OWNER, Visit, whyOf } from './visit-rig.ts';

let visit: Visit;
afterEach(async () => {
  await visit.machine.stop();
});

/** A customer puts a note in, and goes with the sats. */
async function deposit(...notes: readonly number[]): Promise<void> {
  const { machine } = visit;
  await machine.deposit(...notes);
  machine.keeper.claim(machine.cashIn.lnurl ?? '');
  await machine.leave();
}

const bagLines = () => visit.counts().filter((line) => line.startsWith('bag'));

test('swapped by seal: the bag is counted later, once, and is over or short by itself', async () => {
  visit = await Visit.begin();
  await deposit(20, 20, 50);
  await visit.open();
  visit.answer({ kind: 'bay', choice: 'seal' });
  visit.answer({ kind: 'seal', seal: 'C/17' });
  visit.undo();
  expect([bagLines(), visit.service.bags(OWNER)]).toEqual([[], []]);
  await visit.walk({ bays: { 1: 'seal' }, boxes: 'seal' });
  // Until it is closed an answer may be taken back, and with it what is in a bag.
  const count = { seal: 'S-1', counts: [], reason: null, note: '' };
  expect(await whyOf(() => visit.service.countBag(visit.who, count))).toBe('exchangeOpen');
  visit.close();
  expect(bagLines()).toEqual(['bag:S-1 20: 10', 'bag:S-2 20: 2', 'bag:S-2 50: 1']);
  expect(visit.service.bags(OWNER)).toMatchObject([
    { seal: 'S-1', denominations: [20] },
    { seal: 'S-2', denominations: [20, 50] },
    { seal: 'S-3', denominations: [] },
  ]);
  const found = { seal: 'S-2', counts: [{ denomination: 20, count: 3 }], note: '' };
  const say = (reason: 'taken' | 'other' | null) => () => {
    return visit.service.countBag(OWNER, { ...found, reason });
  };
  expect(await whyOf(say(null))).toBe('reasonNeeded');
  expect(await whyOf(say('other'))).toBe('noteNeeded');
  const { differences, record } = say('taken')();
  expect(differences).toEqual([
    { denomination: 20, difference: 1 },
    { denomination: 50, difference: -1 },
  ]);
  expect([record.number, record.kind]).toEqual([2, 'bag']);
  expect(record.body).toMatchObject({ seal: 'S-2', by: 'owner', reason: 'taken' });
  expect(await whyOf(say('taken'))).toBe('noBag');
  // What is right needs no reason, and may be counted by who may collect.
  const right = { seal: 'S-1', counts: [{ denomination: 20, count: 10 }], reason: null, note: '' };
  expect(visit.service.countBag(visit.who, right).differences).toEqual([]);
  expect(bagLines()).toEqual([]);
  await visit.join('Eva', ['exchange', 'counts']);
  expect(await whyOf(() => visit.service.countBag(visit.who, right))).toBe('permission');
  expect(await whyOf(() => visit.service.bags(visit.who))).toBe('permission');
  expect(visit.store.verify().ledger).toBe('ok');
  expect(visit.store.cashCounts.since(0)).toHaveLength(3);
});

test('cash box and reject tray counted: over and short each with its reason', async () => {
  visit = await Visit.begin();
  await deposit(20, 100);
  await visit.open();
  const plan = { boxes: 'count', cashBox: { 20: 1, 50: 1 }, reject: { 20: 2 } } as const;
  const { boxes } = await visit.walk(plan);
  expect(boxes).toMatchObject([
    {
      place: 'cashbox',
      differences: [
        { denomination: 50, difference: 1 },
        { denomination: 100, difference: -1 },
      ],
    },
    { place: 'reject', differences: [{ denomination: 20, difference: 2 }] },
  ]);
  visit.close();
  expect(visit.store.ledger.balance('cashbox')).toEqual([]);
  expect(visit.store.ledger.balance('reject')).toEqual([]);
  expect(visit.store.verify().ledger).toBe('ok');
});

test('a cash box that is pulled while nobody is signed in becomes a bag of its own', async () => {
  visit = await Visit.begin();
  const { machine } = visit;
  const pull = async () => {
    machine.validator.control({ do: 'cashbox', present: false, empty: true });
    await machine.until((view) => !view.cashIn.open, 'closed');
    await machine.clock.advance(30_000);
    machine.validator.control({ do: 'cashbox', present: true });
    await machine.until((view) => view.cashIn.open, 'open again');
  };
  await deposit(20, 50);
  await pull();
  // An empty one makes no bag.
  await pull();
  await deposit(20);
  await pull();
  expect(bagLines()).toEqual([
    'bag:unattended-1 20: 1',
    'bag:unattended-1 50: 1',
    'bag:unattended-2 20: 1',
  ]);
  expect(visit.store.journal.read({ kind: 'cashBox.removed' })).toMatchObject([
    { body: { seal: 'unattended-1', notes: 2 } },
    { body: { seal: 'unattended-2', notes: 1 } },
  ]);
  expect(visit.service.bags(OWNER).map(({ seal }) => seal)).toEqual([
    'unattended-1',
    'unattended-2',
  ]);
  const found = { seal: 'unattended-1', counts: [], reason: 'taken', note: '' } as const;
  expect(visit.service.countBag(OWNER, found).differences).toHaveLength(2);
  expect(machine.view.cashOut.open).toBe(true);
});

test('pulled by a technician it is asked about, and is no bag of nobody', async () => {
  visit = await Visit.begin();
  await deposit(20);
  await visit.open();
  visit.machine.validator.control({ do: 'cashbox', present: false, empty: true });
  await visit.machine.clock.advance(30_000);
  expect(bagLines()).toEqual([]);
  await visit.walk({ boxes: 'count', cashBox: { 20: 1 } });
  visit.machine.validator.control({ do: 'cashbox', present: true });
  visit.close();
  expect(visit.store.ledger.balance('cashbox')).toEqual([]);
  await visit.machine.until((view) => view.cashIn.open, 'open again');
});
