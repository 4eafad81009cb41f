/** One command against the simulated unit: its evidence, the books, and what is owed after it. */
import { expect, test } from 'vitest';
import { createActor, toPromise } from 'xstate';
import { cashOutActors } from '#agent/cash-out/actors.ts';
import { classify } from '#agent/cash-out/classify.ts';
import {
  bookOut,
  dispenseBatch,
  doubtBay,
  recoverDispense,
} from '#agent/cash-out/dispense-batch.ts';
import { Payments } from '#agent/cash-out/payments.ts';
import { missingOf, saleOf } from '#agent/cash-out/sale.ts';
import { applyCassettes } from '#agent/documents/apply-cassettes.ts';
import type { BatchOutcome, Plan } from '#agent/machines/cash-out.ts';
import type { Parts } from '#agent/parts.ts';
import { commands } from '#hal/lcdm/id30/commands.ts';
import { DeviceError } from '#protocol/base/errors.ts';
import { position } from '#protocol/base/ids.ts';
import { minorUnits } from '#protocol/base/money.ts';
import { bayAccount } from '#state/note-ledger.ts';
import { diskFailure, failingDisk } from '#test/support/failing-disk.ts';
import {
  dispensesOnWire,
  expectBooksTrue,
  type MachineParts,
  machineParts,
  owed,
  paid,
  withDispenser,
} from './rig.ts';

const DISPENSE = commands.dispense.code;
/** Two bays, a sequence number, twenty notes at a time. */
const LAMASSU = {
  model: 'lcdm-4000-lamassu',
  cassettes: { '1': { denomination: 20, count: 30 }, '2': { denomination: 50, count: 30 } },
} as const;

const fault = (parts: MachineParts, name: string, more: { times?: number; value?: number } = {}) =>
  parts.dispenserDevice.control({ do: 'fault', name, ...more });
const send = (parts: MachineParts, plan: Plan): Promise<BatchOutcome> =>
  parts.clock.resolve(dispenseBatch(parts, plan));
const accuracies = ({ store }: Parts) => store.cashUnits.list().map(({ accuracy }) => accuracy);
const dispensed = ({ store }: Parts, plan: Plan) =>
  store.intents.forTransaction(plan.transactionId).filter(({ kind }) => kind === 'dispense');
const kinds = ({ store }: Parts) => store.journal.read().map(({ kind }) => kind);

test('exact: counts become movements, the intent is settled, nothing is owed', async () => {
  const parts = await machineParts();
  const plan = await paid(parts, 7_000);
  expect(await send(parts, plan)).toMatchObject({ kind: 'exact' });
  expect(dispensesOnWire(parts)).toBe(1);
  expect(dispensed(parts, plan)).toMatchObject([{ state: 'settled', outcome: 'exact' }]);
  expect(owed(parts)).toEqual([]);
  expect(accuracies(parts)).toEqual(['set', 'set', 'set', 'set']);
  expect(missingOf(parts, saleOf(parts, plan.transactionId))).toBe(0);
  expectBooksTrue(parts);
  // A number that was used is never used again, whatever asks.
  await expect(send(parts, plan)).rejects.toThrow(/exists/);
  expect(dispensesOnWire(parts)).toBe(1);
});

test('more notes than one command takes go in several, each under its number', async () => {
  const cassettes = { '1': { denomination: 20, count: 60 } };
  const parts = await machineParts({
    device: { model: 'lcdm-4000-lamassu', cassettes },
    config: { limits: { max_cash_in_sats: null, cashOutNotesMax: 60 } },
  });
  const plan = await paid(parts, 90_000);
  for (let at = 0; at < plan.batches.length; at++) {
    const next = { ...plan, batches: plan.batches.slice(at), ordinal: at + 1 };
    expect(await send(parts, next)).toMatchObject({ kind: 'exact' });
  }
  expect(dispensed(parts, plan).map(({ ordinal, outcome }) => [ordinal, outcome])).toEqual([
    [1, 'exact'],
    [2, 'exact'],
    [3, 'exact'],
  ]);
  expect(parts.dispenserDevice.truth().customer).toEqual({ '20': 45 });
  expectBooksTrue(parts);
});

test('the intent is on disk before the first byte of the command', async () => {
  const parts = await machineParts();
  const plan = await paid(parts, 2_000);
  const seen: unknown[] = [];
  parts.dispenserPort.onWrite = (hex) => {
    if (hex.startsWith(`043002${DISPENSE.toString(16)}`)) seen.push(...dispensed(parts, plan));
  };
  await send(parts, plan);
  const baseline = { lastResultHex: expect.any(String) };
  expect(seen).toMatchObject([{ state: 'open', device: 'dispenser', ordinal: 1, body: baseline }]);
  expect(kinds(parts).slice(-2)).toEqual(['dispense.intended', 'dispense.settled']);
});

test('a disk that fails under the intent lets no byte of the command out', async () => {
  let brokenFrom = Number.POSITIVE_INFINITY;
  let commits = 0;
  const beforeCommit = (commit: number) => {
    commits = commit;
    if (commit >= brokenFrom) throw diskFailure();
  };
  const parts = await machineParts({ store: { openDatabase: failingDisk({ beforeCommit }) } });
  const plan = await paid(parts, 2_000);
  brokenFrom = commits + 1;
  await expect(send(parts, plan)).rejects.toThrow();
  expect(dispensesOnWire(parts)).toBe(0);
  expect(parts.dispenserDevice.truth().customer).toEqual({});
});

test('a pick failure: the rest comes from the twin, under the next number', async () => {
  const parts = await machineParts();
  const plan = await paid(parts, 8_000);
  fault(parts, 'pickUpFailure', { value: 1 });
  const first = await send(parts, plan);
  if (first.kind !== 'short') throw new Error(first.kind);
  expect(first.next.ordinal).toBe(2);
  expectBooksTrue(parts);
  expect(accuracies(parts).filter((accuracy) => accuracy === 'inaccurate')).toHaveLength(1);
  expect(await send(parts, first.next)).toMatchObject({ kind: 'exact' });
  expect(parts.dispenserDevice.truth().customer).toEqual({ '20': 4 });
  expect(owed(parts)).toEqual([]);
  expectBooksTrue(parts);
});

test('what no other bay can make is owed as a remainder, once', async () => {
  const cassettes = { '1': { denomination: 20, count: 5 } };
  const parts = await machineParts({ device: { cassettes } });
  const plan = await paid(parts, 8_000);
  fault(parts, 'pickUpFailure', { value: 1 });
  expect(await send(parts, plan)).toMatchObject({ kind: 'remainder', remainderMinor: 6_000 });
  expect(owed(parts)).toEqual([{ kind: 'remainder', amountMinor: 6_000, state: 'open' }]);
  expect(missingOf(parts, saleOf(parts, plan.transactionId))).toBe(0);
  expectBooksTrue(parts);
});

test('notes that were rejected are booked to the tray', async () => {
  const parts = await machineParts();
  const plan = await paid(parts, 5_000);
  fault(parts, 'reject', { times: 2 });
  expect(await send(parts, plan)).toMatchObject({ kind: 'exact' });
  expect(parts.store.ledger.count('reject', minorUnits(5_000))).toBe(2);
  expectBooksTrue(parts);
});

test('an error after the eject sensor proves no count, and its bay is left out', async () => {
  const parts = await machineParts();
  const plan = await paid(parts, 5_000);
  fault(parts, 'countMismatch', { value: 0 });
  expect(await send(parts, plan)).toMatchObject({ kind: 'unknown' });
  expect(owed(parts)).toMatchObject([{ kind: 'dispenseUnknown' }]);
  expect(accuracies(parts)[2]).toBe('inaccurate');
  expect(dispensesOnWire(parts)).toBe(1);
});

for (const device of [{}, LAMASSU]) {
  test(`a lost answer is read from the last status (${Object.keys(device).length})`, async () => {
    const parts = await machineParts({ device });
    const plan = await paid(parts, 7_000);
    fault(parts, 'loseResponse', { value: DISPENSE });
    expect(await send(parts, plan)).toMatchObject({ kind: 'exact' });
    expect(dispensesOnWire(parts)).toBe(1);
    expect(owed(parts)).toEqual([]);
    expectBooksTrue(parts);
  });
}

test('the same notes twice: a last status equal to the one before proves nothing', async () => {
  const parts = await machineParts();
  const { dispenser } = parts;
  const plan = await paid(parts, 5_000);
  expect(await send(parts, plan)).toMatchObject({ kind: 'exact' });
  const again = await paid(parts, 5_000);
  fault(parts, 'loseResponse', { value: DISPENSE });
  expect(await send(parts, again)).toMatchObject({ kind: 'unknown' });
  expect(dispenser.capabilities.sequenceNumber).toBe(false);
  expect(owed(parts)).toEqual([{ kind: 'dispenseUnknown', amountMinor: 5_000, state: 'open' }]);
});

test('with a sequence number the same notes twice are told apart', async () => {
  const parts = await machineParts({ device: LAMASSU });
  expect(await send(parts, await paid(parts, 5_000))).toMatchObject({ kind: 'exact' });
  const again = await paid(parts, 5_000);
  fault(parts, 'loseResponse', { value: DISPENSE });
  expect(await send(parts, again)).toMatchObject({ kind: 'exact' });
  expect(parts.dispenserDevice.truth().customer).toEqual({ '50': 2 });
  expectBooksTrue(parts);
});

test('a command that never arrived is proven by the number, and owed', async () => {
  const parts = await machineParts({ device: LAMASSU });
  const plan = await paid(parts, 5_000);
  fault(parts, 'silence', { value: DISPENSE, times: 100 });
  expect(await send(parts, plan)).toMatchObject({ kind: 'remainder', remainderMinor: 5_000 });
  expect(owed(parts)).toMatchObject([{ kind: 'remainder', amountMinor: 5_000 }]);
  expect(accuracies(parts)).toEqual(['set', 'set']);
  expectBooksTrue(parts);
});

test('a memory that is lost leaves it unknown, and nothing is ever sent again', async () => {
  const parts = await machineParts({ device: { memory: 'lost' } });
  const plan = await paid(parts, 4_000);
  fault(parts, 'powerCutBeforeResponse');
  const outcome = await send(parts, plan);
  const { reference } = saleOf(parts, plan.transactionId);
  expect(outcome).toMatchObject({ kind: 'unknown', notice: { code: 'dispenseUnknown' } });
  expect(outcome.kind === 'unknown' && outcome.notice.text).toContain(reference);
  expect(owed(parts)).toEqual([{ kind: 'dispenseUnknown', amountMinor: 4_000, state: 'open' }]);
  expect(accuracies(parts)).toEqual(['inaccurate', 'inaccurate', 'set', 'set']);
  parts.dispenserDevice.control({ do: 'power', on: true });
  await parts.clock.advance(60_000);
  expect(dispensesOnWire(parts)).toBe(1);
  // A second command under the same number would be refused by the books themselves.
  await expect(send(parts, plan)).rejects.toThrow(/exists/);
  expect(dispensesOnWire(parts)).toBe(1);
});

test('a unit that is silent before the command gets none', async () => {
  const parts = await machineParts();
  const plan = await paid(parts, 4_000);
  fault(parts, 'silence', { times: 1_000 });
  expect(await send(parts, plan)).toMatchObject({ kind: 'remainder', remainderMinor: 4_000 });
  expect(dispensed(parts, plan)).toEqual([]);
  expect(dispensesOnWire(parts)).toBe(0);
  expectBooksTrue(parts);
});

test('a driver that gives up is unknown, and settled; another fault is a fault', async () => {
  const parts = await machineParts();
  const busy = new DeviceError('sequenceError', 'another command runs');
  const plan = await paid(parts, 4_000);
  const refusing = withDispenser(parts, { dispense: () => Promise.reject(busy) });
  expect(await send(refusing, plan)).toMatchObject({ kind: 'unknown' });
  expect(dispensed(parts, plan)).toMatchObject([{ state: 'settled', outcome: 'unknown' }]);
  const bug = new Error('a bug');
  const next = { ...plan, ordinal: 2 };
  const buggy = { baseline: () => Promise.reject(bug) };
  await expect(send(withDispenser(parts, buggy), next)).rejects.toBe(bug);
  const worse = { dispense: () => Promise.reject(bug) };
  await expect(send(withDispenser(parts, worse), next)).rejects.toBe(bug);
  expect(dispensesOnWire(parts)).toBe(0);
});

test('a unit that answers STATUS and then no question leaves it unknown', async () => {
  const parts = await machineParts();
  const plan = await paid(parts, 4_000);
  fault(parts, 'loseResponse', { value: DISPENSE });
  const silent = new DeviceError('timeOut', 'no answer');
  const mute = withDispenser(parts, { lastResult: () => Promise.reject(silent) });
  expect(await send(mute, plan)).toMatchObject({ kind: 'unknown' });
  const bug = new Error('a bug');
  const buggy = withDispenser(parts, { lastResult: () => Promise.reject(bug) });
  fault(parts, 'loseResponse', { value: DISPENSE });
  await expect(send(buggy, await paid(parts, 5_000))).rejects.toBe(bug);
});

test('a bay that the answer does not name has moved nothing, and only the first short one is out', async () => {
  const parts = await machineParts();
  const plan = await paid(parts, 7_000);
  const [asked = []] = plan.batches;
  expect(asked.map((unit) => unit.position)).toEqual([1, 3]);
  const empty = { code: '11', text: 'a bay is empty', countsTrusted: true };
  const units = [{ position: position(1), presented: 0, rejected: 1 }];
  const answer = { kind: 'answered', units, error: empty, evidence: 'bay 1 is empty' } as const;
  const outcome = await send(withDispenser(parts, { dispense: async () => answer }), plan);
  // The twin has the 20, bay 3 was never reached.
  expect(outcome).toMatchObject({ kind: 'short', next: { ordinal: 2 } });
  expect(accuracies(parts)).toEqual(['inaccurate', 'set', 'set', 'set']);
  expect(parts.store.ledger.count('reject', minorUnits(2_000))).toBe(1);
});

test('a note of a bay that was not asked puts every bay in doubt', async () => {
  const parts = await machineParts();
  const plan = await paid(parts, 2_000);
  fault(parts, 'wrongCassette', { value: 4 });
  expect(await send(parts, plan)).toMatchObject({ kind: 'unknown' });
  expect(accuracies(parts)).toEqual(Array(4).fill('inaccurate'));
});

test('a bay that nobody knows is nobody’s to doubt', async () => {
  const parts = await machineParts();
  parts.store.commit(() => doubtBay(parts, position(9)));
  expect(accuracies(parts)).toEqual(['set', 'set', 'set', 'set']);
});

test('a unit without any memory', async () => {
  const parts = await machineParts();
  const plan = await paid(parts, 4_000);
  const capabilities = { ...parts.dispenser.capabilities, lastResult: false };
  const baseline = async () => ({ lastResultHex: undefined, sequenceNumber: undefined });
  fault(parts, 'loseResponse', { value: DISPENSE });
  const outcome = await send(withDispenser(parts, { capabilities, baseline }), plan);
  expect(outcome).toMatchObject({ kind: 'unknown' });
  const cut = withDispenser(await machineParts(), { capabilities, baseline });
  const other = await paid(cut, 4_000);
  await cutOff(cut, other, { sent: true });
  const [open] = cut.store.intents.listOpen('dispense');
  if (open) await cut.clock.resolve(recoverDispense(cut, open));
  expect(owed(cut)).toMatchObject([{ kind: 'dispenseUnknown', amountMinor: 4_000 }]);
});

test('two commands of one sale; the second in doubt owes only what it moved', async () => {
  const parts = await machineParts({ device: LAMASSU });
  const plan = await paid(parts, 150_000);
  expect(plan.batches.length).toBe(2);
  expect(await send(parts, plan)).toMatchObject({ kind: 'exact' });
  const second = { ...plan, batches: plan.batches.slice(1), ordinal: 2 };
  fault(parts, 'error', { value: 0x04 });
  expect(await send(parts, second)).toMatchObject({ kind: 'unknown' });
  expect(owed(parts)).toEqual([{ kind: 'dispenseUnknown', amountMinor: 50_000, state: 'open' }]);
  expect(missingOf(parts, saleOf(parts, plan.transactionId))).toBe(0);
});

test('a note more than the books had is first put right, by name', async () => {
  const booked = { '1': { denomination: 20, count: 2 } };
  const device = { cassettes: { '1': { denomination: 20, count: 10 } } };
  const parts = await machineParts({ device, booked });
  const plan = await paid(parts, 4_000);
  fault(parts, 'reject', { times: 1 });
  await send(parts, plan);
  const causes = parts.store.ledger
    .movements({ transactionId: plan.transactionId })
    .map(({ from, to, count, cause }) => `${from} > ${to} ${count} ${cause}`);
  expect(causes).toEqual([
    'bay:1 > customer 2 dispense',
    'unaccounted > bay:1 1 bookShort',
    'bay:1 > reject 1 dispense',
  ]);
  expect(parts.store.verify().problems).toEqual([]);
});

test('more than the book has: the book is put right first', async () => {
  const parts = await machineParts({ booked: { '3': { denomination: 50, count: 1 } } });
  const { store } = parts;
  store.commit(() => bookOut(parts, undefined, position(3), 'reject', 3));
  expect(store.ledger.balance('bay:3')).toEqual([]);
  expect(store.ledger.count('unaccounted', minorUnits(5_000))).toBe(-2);
  expect(store.ledger.count('reject', minorUnits(5_000))).toBe(3);
  store.commit(() => bookOut(parts, undefined, position(9), 'reject', 3));
  store.commit(() => bookOut(parts, undefined, position(3), 'reject', 0));
  expect(store.ledger.count('reject', minorUnits(5_000))).toBe(3);
});

test('more than the book has, of notes that the operator’s document tells of later', async () => {
  const parts = await machineParts({ booked: { '3': { denomination: 50, count: 1 } } });
  const { store, clock, config } = parts;
  await clock.advance(10_000);
  // Six were filled in, of which the machine has not heard; two come out and one is rejected.
  const asOfUnixMs = clock.now();
  await clock.advance(10_000);
  store.commit(() => {
    bookOut(parts, undefined, position(3), 'customer', 2);
    bookOut(parts, undefined, position(3), 'reject', 1);
  });
  const bays = [{ position: position(3), denomination: 50, count: 6 }];
  const document = { type: 'cassettes', bays } as const;
  const now = { nowUnixMs: clock.now(), timeKnownSinceUnixMs: 0 };
  const statement = { document, asOfUnixMs, ...now };
  store.commit(() => applyCassettes(store, statement, config));
  expect(store.ledger.balance('bay:3')).toMatchObject([{ value: 5_000, count: 3 }]);
  expect(store.verify().problems).toEqual([]);
});

/** Cuts the program off in the middle of a command: the intent stays open, the unit goes on. */
async function cutOff(parts: MachineParts, plan: Plan, options: { sent: boolean }): Promise<void> {
  const hung = withDispenser(parts, {
    dispense: (units) => {
      if (options.sent) void parts.dispenser.dispense(units);
      return new Promise(() => undefined);
    },
  });
  void dispenseBatch(hung, plan);
  await parts.clock.until(() => dispensed(parts, plan).length > 0);
  await parts.clock.advance(60_000);
}

test('recovery settles a command by the last status, once', async () => {
  const parts = await machineParts();
  const plan = await paid(parts, 7_000);
  await cutOff(parts, plan, { sent: true });
  const [intent] = parts.store.intents.listOpen('dispense');
  if (!intent) throw new Error('no intent');
  await parts.clock.resolve(recoverDispense(parts, intent));
  expect(dispensed(parts, plan)).toMatchObject([{ state: 'settled', outcome: 'exact' }]);
  expectBooksTrue(parts);
  const before = kinds(parts).length;
  await expect(parts.clock.resolve(recoverDispense(parts, intent))).rejects.toThrow(/settled/);
  expect(kinds(parts)).toHaveLength(before);
  expectBooksTrue(parts);
  expect(owed(parts)).toEqual([]);
});

test('a command that is settled long after is dated by when it was: who counted since did so without its notes', async () => {
  const parts = await machineParts();
  const { store, clock, config } = parts;
  const plan = await paid(parts, 7_000);
  await clock.advance(60_000);
  const beforeUnixMs = clock.now() - 1;
  await cutOff(parts, plan, { sent: true });
  await clock.advance(3_600_000);
  const [intent] = store.intents.listOpen('dispense');
  if (!intent) throw new Error('no intent');
  await clock.resolve(recoverDispense(parts, intent));
  const inBays = () =>
    store.cashUnits.list().map((unit) => store.ledger.count(bayAccount(unit.position), unit.value));
  const moved = store.ledger.movements({ transactionId: plan.transactionId });
  expect(moved.length).toBeGreaterThan(0);
  const wrote = store.journal.read().findLast(({ kind }) => kind === 'dispense.settled');
  expect(wrote?.atUnixMs).toBeGreaterThan(beforeUnixMs + 3_600_000);
  // The operator counted while the machine was off: these notes had gone already.
  const counted = inBays();
  const state = (asOfUnixMs: number) => {
    const bays = store.cashUnits.list().map(({ position: bay, value }, at) => {
      return { position: bay, denomination: value / 100, count: counted[at] ?? 0 };
    });
    const document = { type: 'cassettes', bays } as const;
    const now = { nowUnixMs: clock.now(), timeKnownSinceUnixMs: 0 };
    const statement = { document, asOfUnixMs, ...now };
    return store.commit(() => applyCassettes(store, statement, config));
  };
  state(beforeUnixMs + 1_800_000);
  expect(inBays()).toEqual(counted);
  // A document from before the command knows nothing of its notes.
  state(beforeUnixMs);
  const total = (counts: number[]) => counts.reduce((sum, count) => sum + count, 0);
  expect(total(inBays())).toBe(total(counted) - 2);
});

test('recovery of a command without a trace is a doubt, or proven by its number', async () => {
  const silent = await machineParts();
  const doubt = await paid(silent, 7_000);
  await cutOff(silent, doubt, { sent: false });
  const [open] = silent.store.intents.listOpen('dispense');
  if (open) await silent.clock.resolve(recoverDispense(silent, open));
  expect(owed(silent)).toEqual([{ kind: 'dispenseUnknown', amountMinor: 7_000, state: 'open' }]);
  expect(dispensesOnWire(silent)).toBe(0);

  const counting = await machineParts({ device: LAMASSU });
  const proof = await paid(counting, 7_000);
  await cutOff(counting, proof, { sent: false });
  const [other] = counting.store.intents.listOpen('dispense');
  if (other) await counting.clock.resolve(recoverDispense(counting, other));
  expect(dispensed(counting, proof)).toMatchObject([{ outcome: 'none' }]);
  expect(owed(counting)).toEqual([]);
  expect(missingOf(counting, saleOf(counting, proof.transactionId))).toBe(7_000);
});

test('an intent of no transaction is not a sale', async () => {
  const parts = await machineParts();
  const { store } = parts;
  const intent = store.commit(() => store.intents.open({ kind: 'dispense', body: {} }));
  await recoverDispense(parts, intent);
  expect(store.intents.get(intent.id)?.state).toBe('open');
});

test('a new memory under an old number, and stray rejects, prove nothing', () => {
  const asked = [{ position: position(1), count: 1 }];
  const clear = { path: 'clear', exit: 'clear', rejectTray: 'ok', units: [] } as const;
  const status = { ...clear, device: 'ready', fault: undefined } as const;
  const baseline = { lastResultHex: 'aa', sequenceNumber: 4 };
  const units = [{ position: position(1), presented: 1, rejected: 0 }];
  const outcome = { kind: 'unknown', evidence: 'silence' } as const;
  const last = { hex: 'bb', dispense: { units, error: undefined } };
  const common = { asked, status, baseline };
  expect(classify({ ...common, outcome, last, sequenceNumber: 4 }).class).toBe('unknown');
  expect(classify({ ...common, outcome, last, sequenceNumber: 5 }).class).toBe('exact');
  const stray = [...units, { position: position(2), presented: 0, rejected: 1 }];
  const answered = { kind: 'answered', units: stray, error: undefined, evidence: 'x' } as const;
  const silent = { last: undefined, sequenceNumber: undefined };
  expect(classify({ ...common, ...silent, outcome: answered }).class).toBe('unknown');
});

test.each([
  ['taken', 'taken', true],
  ['notSensed', 'taken', true],
  ['notTaken', 'notTaken', false],
  // A sensor that does not answer says nothing of notes: nobody is told that some were left.
  ['unknown', 'taken', true],
] as const)('notes in the slot: %s', async (said, kind, isOpen) => {
  const parts = await machineParts();
  const { transactionId } = await paid(parts, 2_000);
  const sensing = withDispenser(parts, { waitTaken: async () => said });
  const { present } = cashOutActors(sensing, new Payments(parts));
  const actor = createActor(present, { input: { transactionId } }).start();
  expect(await toPromise(actor)).toMatchObject({ kind });
  expect(parts.board.open('cashOut')).toBe(isOpen);
  const last = parts.store.journal.read({}).at(-1);
  expect(last).toMatchObject({ kind: 'notes.presented', body: { taken: said } });
});
