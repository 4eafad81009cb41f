/** How much an unknown closes, for how long, and who opens it again (design 5), over restarts. */
import { expect, onTestFinished, test } from 'vitest';
import { closedBy, tellQuarantine } from '#agent/recovery/quarantine.ts';
import { settleByHand } from '#agent/recovery/settle.ts';
import { newReference, type ObligationId } from '#protocol/base/ids.ts';
import { testParts } from '#test/support/parts.ts';
import { type MachineOptions, WholeMachine } from '#test/support/whole-machine.ts';

let machine: WholeMachine;
async function begin(options?: MachineOptions): Promise<void> {
  machine = await WholeMachine.inService(options);
  onTestFinished(() => machine.stop());
}

const DAY_MS = 86_400_000;
const codes = (direction: 'cashIn' | 'cashOut') =>
  machine.view[direction].reasons.map(({ code }) => code);
const open = () => machine.running.service.obligations();

function settle(kind: string): void {
  const found = open().filter((one) => one.kind === kind);
  expect(found.length).toBeGreaterThan(0);
  for (const { id } of found) {
    const settlement = { obligationId: id as ObligationId, by: 'Ana', reason: 'counted' };
    const { running } = machine;
    expect(running.service.settle(settlement)).toBe('settled');
  }
}

/** A sale whose notes the unit hands out, and of which it then knows nothing. */
async function unknownSale(amountMinor: number): Promise<void> {
  const bolt11 = await machine.sell(amountMinor);
  machine.dispenser.control({ do: 'fault', name: 'powerCutBeforeResponse' });
  machine.keeper.pay(bolt11);
  await machine.untilCashOut(({ outcome }) => outcome?.code === 'needsOperator', 'a doubt');
  machine.dispenser.control({ do: 'power', on: true });
  await machine.leave();
}

/** A note that the validator takes, and of which it then knows nothing. */
async function unknownNote(denomination: number): Promise<void> {
  await machine.act({ do: 'startCashIn' });
  await machine.untilCashIn(({ phase }) => phase === 'inserting', 'the slot is open');
  machine.validator.control({ do: 'fault', name: 'powerCutAtStack' });
  await machine.insert(denomination);
  await machine.untilCashIn(({ outcome }) => outcome !== null, 'a doubt');
  machine.validator.control({ do: 'power', on: true });
  await machine.leave();
}

async function cutAndBack(): Promise<void> {
  machine.cutPower();
  await machine.clock.advance(5_000);
  await machine.powerOn();
}

test('one doubt about notes out: open again when the sensors are clear, without its bays', async () => {
  await begin({ dispenser: { memory: 'lost' } });
  await unknownSale(4_000);
  await machine.until(({ cashOut }) => cashOut.open, 'the sensors are clear');
  expect(machine.view.cashIn.open).toBe(true);
  await cutAndBack();
  await machine.until(({ cashOut }) => cashOut.open, 'open after a start');
  const units = machine.running.service.status().cashUnits;
  const out = units
    .filter(({ accuracy }) => accuracy === 'inaccurate')
    .map((unit) => unit.position);
  expect(out).toEqual([1, 2]);
});

test('a second doubt within a day closes cash-out until it is settled, over restarts', async () => {
  await begin({ dispenser: { memory: 'lost' } });
  await unknownSale(4_000);
  await machine.until(({ cashOut }) => cashOut.open, 'open after the first');
  await unknownSale(5_000);
  expect(codes('cashOut')).toContain('unsettled');
  expect(machine.view.cashIn.open).toBe(true);
  expect(await machine.act({ do: 'startCashOut' })).toMatchObject({ ok: false, code: 'closed' });
  await machine.clock.advance(60_000);
  await cutAndBack();
  await machine.until(({ cashIn }) => cashIn.open, 'in service');
  expect(codes('cashOut')).toContain('unsettled');
  settle('dispenseUnknown');
  expect(codes('cashOut')).not.toContain('unsettled');
  await machine.until(({ cashOut }) => cashOut.open, 'settled');
});

test('a doubt about a note: open again when the validator is ready; the second one closes', async () => {
  await begin();
  await unknownNote(20);
  expect(open()).toMatchObject([{ kind: 'noteUnknown' }]);
  await machine.until(({ cashIn }) => cashIn.open, 'the validator is ready and empty');
  await unknownNote(20);
  await machine.clock.advance(60_000);
  expect(codes('cashIn')).toEqual(['unsettled']);
  expect(machine.view.cashOut.open).toBe(true);
  await cutAndBack();
  await machine.clock.advance(60_000);
  expect(codes('cashIn')).toEqual(['unsettled']);
  settle('noteUnknown');
  expect(codes('cashIn')).toEqual([]);
});

test('starts with nothing on its way count for nothing', async () => {
  await begin();
  for (let cut = 0; cut < 4; cut++) await cutAndBack();
  await machine.until(({ cashIn, cashOut }) => cashIn.open && cashOut.open, 'open');
  expect(machine.kinds()).not.toContain('restart.inFlight');
});

test('what nobody knows, what is settled already, and what is being redeemed is not settled', async () => {
  await begin({ dispenser: { memory: 'lost' } });
  await unknownSale(4_000);
  const { store } = machine.running;
  const [found] = store.obligations.list();
  if (!found) throw new Error('nothing is owed');
  const by = { by: 'Ana', reason: 'counted' };
  const { service } = machine.running;
  const never = '0'.repeat(32) as ObligationId;
  expect(service.settle({ ...by, obligationId: never })).toBe('notFound');
  store.commit(() => store.obligations.setState(found.id, 'open', 'redeeming'));
  expect(service.settle({ ...by, obligationId: found.id })).toBe('busy');
  store.commit(() => store.obligations.setState(found.id, 'redeeming', 'open'));
  expect(service.settle({ ...by, obligationId: found.id })).toBe('settled');
  expect(service.settle({ ...by, obligationId: found.id })).toBe('alreadySettled');
  expect(store.journal.read({ kind: 'obligation.settled' })).toMatchObject([{ body: by }]);
});

test.each([
  ['within a day', DAY_MS - 60_000, 'cashOut', ['unsettled']],
  ['more than a day apart', DAY_MS + 60_000, 'cashOut', []],
  ['from a clock that was put back', -60_000, 'cashOut', ['unsettled']],
  ['of the other direction', 60_000, 'cashIn', []],
] as const)('two doubts %s', async (_, apartMs, second, expected) => {
  const parts = await testParts();
  const { store, board, clock, random } = parts;
  const doubt = (direction: 'cashIn' | 'cashOut') =>
    store.commit(() =>
      store.obligations.insert({
        reference: newReference(random),
        kind: direction === 'cashIn' ? 'noteUnknown' : 'dispenseUnknown',
        currency: 'USD',
        body: {},
      }),
    );
  doubt('cashOut');
  tellQuarantine(parts);
  expect(board.list('cashOut')).toEqual([]);
  clock.jumpWall(apartMs);
  doubt(second);
  clock.jumpWall(10 * DAY_MS);
  tellQuarantine(parts);
  expect(board.list('cashOut').map(({ code }) => code)).toEqual(expected);
  expect(board.list('cashIn')).toEqual([]);
  // The one that closes it is named, and settling that one is enough.
  const id = closedBy(parts, 'cashOut')?.id;
  if (id) settleByHand(parts, { obligationId: id, by: 'Ana', reason: 'counted' });
  expect(board.list('cashOut')).toEqual([]);
});
