/**
 * A disk that is read-only, fails, or has damaged what was on it: the machine takes no money any
 * more, says why, and serves again once the disk works, or a good backup is in its place. A full
 * disk has a file of its own.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { expect, onTestFinished, test } from 'vitest';
import { restore } from '#agent/cli/offline.ts';
import type { ObligationId } from '#protocol/base/ids.ts';
import { WholeMachine } from '#test/support/whole-machine.ts';

/** As SQLite says it. Source: https://www.sqlite.org/rescode.html. */
const FAULTS = {
  readOnly: ['attempt to write a readonly database', 'SQLITE_READONLY'],
  failed: ['disk I/O error', 'SQLITE_IOERR_FSYNC'],
  damaged: ['database disk image is malformed', 'SQLITE_CORRUPT'],
} as const;
const sqliteError = (name: keyof typeof FAULTS): Error => {
  const [words, code] = FAULTS[name];
  return new Sqlite.SqliteError(words, code);
};

let fault: keyof typeof FAULTS | undefined;
let machine: WholeMachine;

async function begin(): Promise<void> {
  fault = undefined;
  const before = () => {
    if (fault) throw sqliteError(fault);
  };
  machine = await WholeMachine.inService({ commitPlan: { before } });
  onTestFinished(() => machine.stop());
  // What is told to the operator after a start is written by then.
  await machine.clock.advance(30_000);
}

/** Ends the program as a service manager does, and starts it again. */
async function restart(): Promise<void> {
  await machine.clock.resolve(machine.running.stop());
  machine.agent = undefined;
  machine.start();
  await machine.until(({ state }) => state === 'idle' || state === 'outOfService', 'recovered');
}

const reasons = () => {
  const { cashIn, cashOut } = machine.view;
  return [cashIn, cashOut].map(({ open, reasons: all }) => [open, ...all.map(({ code }) => code)]);
};
const CLOSED = [
  [false, 'disk'],
  [false, 'disk'],
];
const openActs = () =>
  machine.running.store.intents.listOpen().filter(({ device }) => device !== undefined);
const isOver = ({ session }: WholeMachine['view']) => session === null || session.outcome !== null;
const owed = () => machine.running.service.obligations();

test.each([
  ['readOnly', /takes no writing/, true],
  ['failed', /has to be restarted/, false],
  ['damaged', /backup has to be restored/, false],
] as const)('%s before a note: it comes back, and nothing is begun', async (kind, words, heals) => {
  await begin();
  await machine.act({ do: 'startCashIn' });
  await machine.insert(20);
  await machine.untilCashIn(({ notes }) => notes === 1, 'the first note');
  fault = kind;
  await machine.insert(50);
  await machine.until(isOver, 'the end');
  expect(reasons()).toEqual(CLOSED);
  expect(machine.view.cashIn.reasons[0]?.text).toMatch(words);
  expect(machine.running.service.status().machine.cashIn.reasons[0]?.text).toMatch(words);
  await machine.clock.advance(60_000);
  expect(machine.validator.truth()).toMatchObject({ cashbox: { '20': 1 }, path: {} });
  await machine.act({ do: 'dismiss' });
  for (const command of ['startCashIn', 'startCashOut'] as const) {
    expect(await machine.act({ do: command })).toMatchObject({ ok: false, code: 'closed' });
  }
  fault = undefined;
  await machine.clock.advance(60_000);
  // What an I/O error or a damaged page has left nobody knows before a restart has looked.
  expect(reasons()).toEqual(heals ? [[true], [true]] : CLOSED);
  if (!heals) await restart();
  await machine.until(({ cashIn, cashOut }) => cashIn.open && cashOut.open, 'open again');
  await machine.clock.until(() => machine.keeper.books().withdrawLinks.length > 0, 300_000);
  expect(machine.keeper.books().withdrawLinks).toHaveLength(1);
  expect(machine.differences()).toEqual([]);
});

test.each(['readOnly', 'failed'] as const)(
  '%s while a note moves: no success is said, and it is booked once',
  async (kind) => {
    await begin();
    await machine.act({ do: 'startCashIn' });
    await machine.insert(50);
    await machine.clock.until(() => openActs().length > 0, 60_000);
    fault = kind;
    await machine.until(isOver, 'the end');
    expect(machine.view.session?.outcome?.code).not.toBe('claimed');
    expect(machine.keeper.books().withdrawLinks).toEqual([]);
    expect(machine.view.cashIn.open).toBe(false);
    fault = undefined;
    await machine.act({ do: 'dismiss' });
    await restart();
    await machine.until(() => openActs().length === 0, 'asked');
    await machine.clock.advance(60_000);
    // Either the validator proves it, or it is said that nobody knows.
    const links = machine.keeper.books().withdrawLinks;
    const doubts = owed().filter(({ kind: name }) => name === 'noteUnknown');
    expect(links.length + doubts.length).toBe(1);
  },
);

test('a disk that fails while notes come out: nothing is sent again', async () => {
  await begin();
  const bolt11 = await machine.sell(4_000);
  machine.keeper.pay(bolt11);
  await machine.clock.until(() => openActs().length > 0, 60_000);
  fault = 'failed';
  await machine.until(isOver, 'the end');
  expect(machine.view.session?.outcome?.code).not.toBe('dispensed');
  expect(machine.view.cashOut.open).toBe(false);
  fault = undefined;
  await machine.act({ do: 'dismiss' });
  await restart();
  await machine.until(({ cashOut }) => cashOut.open, 'the dispenser was asked');
  expect(machine.dispenser.truth().customer).toEqual({ '20': 2 });
  expect(machine.kinds().filter((one) => one === 'dispense.intended')).toHaveLength(1);
  expect([owed(), machine.differences()]).toEqual([[], []]);
});

/** Overwrites the first page of a table of a state that nobody holds. */
function damage(table: string): void {
  const path = join(machine.config.paths.state, 'state.sqlite');
  const raw = new Sqlite(path);
  const root = raw.prepare('SELECT rootpage FROM sqlite_schema WHERE name = ?').pluck();
  const page = Number(root.get(table));
  const size = Number(raw.pragma('page_size', { simple: true }));
  raw.close();
  const bytes = readFileSync(path);
  bytes.fill(0xa5, (page - 1) * size, page * size);
  writeFileSync(path, bytes);
}

test.each(['note_balance', 'journal', 'intent', 'obligation'])(
  'a damaged page of %s: no start, no money, and a good backup brings it back',
  async (table) => {
    await begin();
    await machine.deposit(20);
    await machine.act({ do: 'dismiss' });
    await machine.leave();
    const { path } = await machine.running.service.backup();
    await machine.clock.resolve(machine.running.stop());
    machine.agent = undefined;
    damage(table);
    expect(() => machine.start()).toThrow(/damaged; restore a backup/);
    // Its process would have ended, and let go of the files.
    machine.bury();
    await machine.clock.advance(60_000);
    // Nobody opens the slot, and the note is refused by the device itself.
    expect(() => machine.validator.control({ do: 'insert', denomination: 20 })).toThrow();

    restore(path, machine.config.paths.state);
    machine.start();
    await machine.until(({ state }) => state === 'outOfService', 'recovered');
    expect(machine.view.cashIn.reasons.map(({ code }) => code)).toContain('unsettled');
    const by = { by: 'Ana', reason: 'counted after the restore' };
    for (const { id } of owed()) {
      machine.running.service.settle({ ...by, obligationId: id as ObligationId });
    }
    await machine.until(({ cashIn }) => cashIn.open, 'open again');
    await machine.clock.advance(60_000);
    expect(machine.running.store.verify()).toMatchObject({ problems: [] });
  },
);

test('a half-written log: what was told is there, what was not is asked again', async () => {
  fault = undefined;
  const disk: { tearsNext: boolean } = { tearsNext: false };
  const after = () => {
    if (!disk.tearsNext) return;
    disk.tearsNext = false;
    machine.die('powerCut', 0.5);
    throw sqliteError('failed');
  };
  machine = await WholeMachine.inService({ commitPlan: { after } });
  onTestFinished(() => machine.stop());
  await machine.act({ do: 'startCashIn' });
  await machine.insert(20);
  await machine.untilCashIn(({ notes }) => notes === 1, 'the first note');
  await machine.insert(50);
  await machine.clock.until(() => openActs().length > 0, 60_000);
  const told = machine.running.store.journal.head();
  disk.tearsNext = true;
  await machine.clock.until(() => machine.life.isDead, 60_000);
  machine.bury();
  await machine.powerOn();
  const { store } = machine.running;
  expect(store.verify()).toMatchObject({ problems: [] });
  expect(store.journal.read({ afterSeq: told.seq - 1, limit: 1 })[0]?.hash).toBe(told.hash);
  await machine.until(() => openActs().length === 0, 'asked');
  // The validator has forgotten the note: the code holds what it is worth, and nobody mints it.
  expect(owed()).toMatchObject([{ kind: 'noteUnknown', amountMinor: 5_000 }]);
  await machine.clock.until(() => machine.keeper.books().withdrawLinks.length > 0, 300_000);
  expect(machine.keeper.books().withdrawLinks).toHaveLength(1);
  expect(store.transactions.recent(1)).toMatchObject([{ fiatMinor: 2_000 }]);
});
