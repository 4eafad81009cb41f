/**
 * The disk does not take the end of an act: the device is asked again, and nothing is owed
 * twice.
 */
import { expect, onTestFinished, test } from 'vitest';
import { Id003Device } from '#hal/simulator/id003/device.ts';
import { LcdmDevice } from '#hal/simulator/lcdm/device.ts';
import type { Clock } from '#protocol/base/clock.ts';
import { StoreError } from '#protocol/base/errors.ts';
import { diskError } from '#test/support/life.ts';
import { isUp, type MachineOptions, WholeMachine } from '#test/support/whole-machine.ts';

/** Full for so many writes, after so many more that it takes. */
const disk: { isFull: boolean; times: number; before: number } = {
  isFull: false,
  times: 0,
  before: -1,
};
let machine: WholeMachine;

async function begin(options: MachineOptions = {}): Promise<void> {
  Object.assign(disk, { isFull: false, before: -1 });
  const before = () => {
    if (disk.before >= 0 && disk.before-- === 0) disk.isFull = true;
    if (!disk.isFull) return;
    disk.times -= 1;
    if (disk.times === 0) disk.isFull = false;
    throw diskError('SQLITE_FULL');
  };
  machine = await WholeMachine.inService({ ...options, commitPlan: { before } });
  onTestFinished(() => machine.stop());
  // What is told to the operator after a start is written by then, and takes no failure.
  await machine.clock.advance(30_000);
}

const codes = (direction: 'cashIn' | 'cashOut') =>
  machine.view[direction].reasons.map(({ code }) => code);
const openActs = () =>
  machine.running.store.intents.listOpen().filter(({ device }) => device !== undefined);
const owed = () => machine.running.store.obligations.list({ open: true });

/** Fills the disk as soon as the act is written down, for so many writes at most. */
async function fillDuring(kind: string, times: number): Promise<void> {
  await machine.clock.until(() => openActs().some((intent) => intent.kind === kind), 60_000);
  Object.assign(disk, { isFull: true, times });
  await machine.until(({ session }) => session === null || session.outcome !== null, 'the end');
  expect(openActs()).toHaveLength(1);
  expect(machine.kinds().filter((one) => one.endsWith('.ended'))).toEqual([]);
}

/** The one write of the evidence, or all writes for as long as the session lasts. */
const WRITES = [
  ['one write', 1],
  ['every write', Number.POSITIVE_INFINITY],
] as const;

test.each(WRITES)(
  'notes went out, %s failed: asked, booked once, nothing is owed',
  async (_, times) => {
    await begin();
    const bolt11 = await machine.sell(4_000);
    machine.keeper.pay(bolt11);
    await fillDuring('dispense', times);
    expect(codes('cashOut')).toContain('openIntent');
    // Only a later write proves that there is room again; until then nothing is begun.
    expect(codes('cashIn')).toEqual(['disk']);
    await machine.act({ do: 'dismiss' });
    await machine.clock.advance(25_000);
    disk.isFull = false;
    await machine.until(({ cashOut }) => cashOut.open, 'the dispenser was asked');
    expect(machine.kinds().filter((kind) => kind === 'dispense.intended')).toHaveLength(1);
    expect(owed()).toEqual([]);
    expect(machine.differences()).toEqual([]);
    expect(machine.running.store.transactions.recent(1)).toMatchObject([{ outcome: 'dispensed' }]);
  },
);

test('a disk that is full before a note: the note comes back, and nothing is taken', async () => {
  await begin();
  await machine.act({ do: 'startCashIn' });
  await machine.insert(20);
  await machine.untilCashIn(({ notes }) => notes === 1, 'the first note');
  Object.assign(disk, { isFull: true, times: Number.POSITIVE_INFINITY });
  await machine.insert(50);
  await machine.until(({ session }) => session === null || session.outcome !== null, 'the end');
  for (const direction of ['cashIn', 'cashOut'] as const) {
    expect(codes(direction)).toEqual(['disk']);
    expect(machine.view[direction].reasons[0]?.text).toMatch(/disk of the machine is full/);
  }
  await machine.clock.advance(60_000);
  expect(machine.validator.truth()).toMatchObject({ cashbox: { '20': 1 }, path: {} });
  expect(machine.running.service.status().machine.cashOut.reasons).toMatchObject([
    { code: 'disk' },
  ]);
  // Nobody can begin anything, whatever the screen does.
  await machine.act({ do: 'dismiss' });
  expect(await machine.act({ do: 'startCashOut' })).toMatchObject({ ok: false, code: 'closed' });
  disk.isFull = false;
  await machine.until(({ cashIn, cashOut }) => cashIn.open && cashOut.open, 'room again');
  expect(machine.kinds()).toContain('disk.works');
  await machine.clock.until(() => machine.keeper.books().withdrawLinks.length > 0, 300_000);
  expect(machine.differences()).toEqual([]);
});

test('a full disk is tried again without a customer, and opens by itself', async () => {
  await begin();
  Object.assign(disk, { isFull: true, times: Number.POSITIVE_INFINITY });
  const { store } = machine.running;
  expect(() => store.commit(() => store.journal.append('probe', {}))).toThrow(/disk is full/);
  expect([codes('cashIn'), codes('cashOut')]).toEqual([['disk'], ['disk']]);
  await machine.clock.advance(30_000);
  expect([codes('cashIn'), codes('cashOut')]).toEqual([['disk'], ['disk']]);
  disk.isFull = false;
  await machine.clock.advance(10_000);
  expect([codes('cashIn'), codes('cashOut')]).toEqual([[], []]);
});

test('the same with a unit that forgets: in doubt, once', async () => {
  await begin({ dispenser: { memory: 'lost' } });
  const bolt11 = await machine.sell(4_000);
  machine.dispenser.control({ do: 'fault', name: 'powerCutBeforeResponse' });
  machine.keeper.pay(bolt11);
  await fillDuring('dispense', Number.POSITIVE_INFINITY);
  machine.dispenser.control({ do: 'power', on: true });
  await machine.act({ do: 'dismiss' });
  disk.isFull = false;
  await machine.until(({ cashOut }) => cashOut.open, 'the dispenser was asked');
  expect(owed()).toMatchObject([{ kind: 'dispenseUnknown', amountMinor: 4_000 }]);
  machine.cutPower();
  await machine.powerOn();
  await machine.clock.advance(60_000);
  expect(owed()).toHaveLength(1);
});

test('a claim whose notes went out and were not written down is redeemed, once', async () => {
  await begin();
  const bolt11 = await machine.sell(4_000);
  const code = machine.cashOut.claimCode ?? '';
  await machine.act({ do: 'cancel' });
  await machine.leave();
  machine.keeper.pay(bolt11);
  await machine.clock.until(() => owed().length > 0, 120_000);
  await machine.act({ do: 'redeem', code });
  await machine.clock.until(() => openActs().length > 0, 60_000);
  disk.isFull = true;
  await machine.until(({ session }) => session?.outcome !== null, 'the end');
  await machine.act({ do: 'dismiss' });
  disk.isFull = false;
  await machine.until(({ cashOut }) => cashOut.open && openActs().length === 0, 'asked');
  expect(machine.running.store.obligations.list()).toMatchObject([{ state: 'redeemed' }]);
  expect(machine.dispenser.truth().customer).toEqual({ '20': 2 });
  expect(await machine.act({ do: 'redeem', code })).toMatchObject({ ok: false });
});

test.each(WRITES)(
  'a note went in, %s failed: written later, and all of it is one link',
  async (_, times) => {
    await begin();
    await machine.act({ do: 'startCashIn' });
    await machine.insert(20);
    await machine.untilCashIn(({ notes }) => notes === 1, 'the first note');
    const code = machine.cashIn.claimCode ?? '';
    await machine.insert(50);
    await fillDuring('deposit', times);
    await machine.act({ do: 'dismiss' });
    disk.isFull = false;
    await machine.until(({ cashIn }) => cashIn.open && openActs().length === 0, 'asked');
    const { store } = machine.running;
    const [sale] = store.transactions.recent(1);
    // The validator has said it, once, and that is not forgotten.
    expect([sale?.fiatMinor, owed()]).toEqual([7_000, []]);
    expect(machine.validator.truth().cashbox).toEqual({ '20': 1, '50': 1 });
    await machine.clock.until(() => machine.keeper.books().withdrawLinks.length > 0, 300_000);
    await machine.act({ do: 'redeem', code });
    await machine.untilCashIn(({ lnurl }) => lnurl !== null, 'the link');
    expect(machine.keeper.claim(machine.cashIn.lnurl ?? '')).toEqual({
      ok: true,
      sats: sale?.wireSats,
    });
    expect(machine.keeper.books().withdrawLinks).toHaveLength(1);
    expect(machine.differences()).toEqual([]);
  },
);

test('a disk that is full when a start asks what became of a payout: asked again, once', async () => {
  await begin();
  const bolt11 = await machine.sell(4_000);
  machine.keeper.pay(bolt11);
  await machine.clock.until(() => openActs().length > 0, 60_000);
  machine.cutPower();
  machine.plugIn();
  machine.dispenserCable.unplug();
  machine.start();
  await machine.until(isUp, 'up without its dispenser');
  machine.running.store.journal.subscribe(({ kind }) => {
    if (kind === 'dispenser.opened') Object.assign(disk, { isFull: true, times: 3 });
  });
  machine.dispenserCable.plug();
  await machine.until(() => codes('cashOut').includes('disk'), 'the disk is full');
  await machine.until(({ cashOut }) => cashOut.open, 'the dispenser was asked again');
  expect(openActs()).toEqual([]);
  expect(machine.kinds().filter((kind) => kind === 'dispense.settled')).toHaveLength(1);
  expect(machine.differences()).toEqual([]);
});

test.each([
  ['once there is room', false],
  ['also by a machine that is closed by then', true],
])('a disk that is full when the link is asked for: asked for %s', async (_, isClosed) => {
  await begin();
  await machine.act({ do: 'startCashIn' });
  await machine.insert(20);
  await machine.untilCashIn(({ notes }) => notes === 1, 'the note');
  machine.running.store.journal.subscribe(({ kind }) => {
    if (kind === 'withdraw.intended') Object.assign(disk, { isFull: true, times: 5 });
  });
  await machine.act({ do: 'finish' });
  await machine.until(({ session }) => session === null || session.outcome !== null, 'the end');
  expect(machine.kinds()).not.toContain('withdraw.sent');
  // Its first write that is taken comes while the last screen is shown still.
  const { store } = machine.running;
  disk.isFull = false;
  store.commit(() => store.journal.append('probe', {}));
  if (isClosed)
    for (const cable of [machine.validatorCable, machine.dispenserCable]) cable.unplug();
  await machine.clock.advance(15_000);
  expect([machine.view.cashIn.open, machine.view.cashOut.open]).toEqual([!isClosed, !isClosed]);
  expect(machine.kinds()).not.toContain('withdraw.sent');
  await machine.act({ do: 'dismiss' });
  // Nobody comes back with the code.
  await machine.clock.until(() => machine.keeper.books().withdrawLinks.length > 0, 300_000);
  await machine.clock.advance(5_000);
  expect(machine.kinds().filter((kind) => kind.startsWith('withdraw.'))).toEqual([
    'withdraw.intended',
    'withdraw.sent',
    'withdraw.answered',
  ]);
  expect(machine.keeper.books().withdrawLinks).toHaveLength(1);
});

test('what a validator tells of a note at a start, once, is kept for when there is room', async () => {
  await begin();
  await machine.act({ do: 'startCashIn' });
  await machine.insert(20);
  await machine.clock.until(() => machine.validator.truth().cashbox['20'] === 1, 30_000);
  expect(openActs()).toMatchObject([{ kind: 'deposit' }]);
  machine.die('kill');
  machine.bury();
  machine.start();
  machine.running.store.journal.subscribe(({ kind }) => {
    if (kind === 'deposit.recovering') Object.assign(disk, { isFull: true, times: 2 });
  });
  await machine.until(() => codes('cashIn').includes('disk'), 'the disk is full');
  await machine.until(({ cashIn }) => cashIn.open && openActs().length === 0, 'written');
  expect(machine.running.store.transactions.recent(1)).toMatchObject([{ fiatMinor: 2_000 }]);
  expect(owed()).toEqual([]);
  expect(machine.kinds().filter((kind) => kind === 'deposit.recovering')).toHaveLength(1);
});

test('notes went out of a unit that remembers nothing: its one answer is not forgotten', async () => {
  const cassettes = { '1': { denomination: 20, count: 20 } };
  const unit = (clock: Clock) =>
    new LcdmDevice({ clock, options: { model: 'lcdm-2000', cassettes } });
  const validator = (clock: Clock) => new Id003Device({ clock, options: {} });
  const devices = {
    validator: { protocol: 'id003', make: validator },
    dispenser: { protocol: 'lcdm', model: 'lcdm-2000', make: unit },
  };
  await begin({ cassettes, devices });
  machine.keeper.pay(await machine.sell(4_000));
  await fillDuring('dispense', Number.POSITIVE_INFINITY);
  await machine.act({ do: 'dismiss' });
  disk.isFull = false;
  await machine.until(({ cashOut }) => cashOut.open, 'it is written');
  expect(owed()).toEqual([]);
  expect(machine.running.store.transactions.recent(1)).toMatchObject([{ outcome: 'dispensed' }]);
  expect(machine.differences()).toEqual([]);
});

test('a disk that is full at any write of a start: it opens by itself, and all is settled', async () => {
  await begin();
  await machine.act({ do: 'startCashIn' });
  const { length } = machine.kinds();
  await restart();
  const writes = machine.kinds().length - length;
  expect(writes).toBeGreaterThan(6);
  for (let before = 0; before < writes + 4; before++) {
    await machine.act({ do: 'startCashIn' });
    Object.assign(disk, { isFull: false, before, times: 3 });
    await restart();
    await machine.until(({ cashIn, cashOut }) => cashIn.open && cashOut.open, `open, ${before}`);
    expect(machine.running.store.transactions.listOpen()).toEqual([]);
    expect(openActs()).toEqual([]);
  }
});

/** Ends the program without a word, and starts it until its own first writes are taken. */
async function restart(): Promise<void> {
  machine.die('kill');
  machine.bury();
  for (;;) {
    try {
      machine.start();
      break;
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      machine.die('kill');
      machine.bury();
    }
  }
  await machine.until(isUp, 'up');
}
