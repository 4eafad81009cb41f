/** Corners of the exchange: bays nobody ever named, devices and disks that act up in the middle. */
import { createHash } from 'node:crypto';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import { bookOut } from '#agent/cash-out/dispense-batch.ts';
import { faceOf } from '#agent/exchange/faces.ts';
import { runTest } from '#agent/exchange/test-dispense.ts';
import { doubtRemovedBay } from '#agent/exchange/unattended.ts';
import { verifyRecords } from '#agent/exchange/verify-record.ts';
import { F56Device } from '#hal/simulator/f56/device.ts';
import { Id003Device } from '#hal/simulator/id003/device.ts';
import type { Clock } from '#protocol/base/clock.ts';
import { DeviceError } from '#protocol/base/errors.ts';
import { position } from '#protocol/base/ids.ts';
import { minorUnits } from '#protocol/base/money.ts';
import { createNostrCrypto } from '#protocol/signer/nostr-crypto.ts';
import { canonicalJson, type JsonObject } from '#state/json.ts';
import { diskError } from '#test/support/life.ts';
import { testParts } from '#test/support/parts.ts';
import { seededRandom } from '#test/support/seeded-random.ts';
import { type Plan, Visit } from './visit-rig.ts';

describe('on a whole machine', () => {
  let visit: Visit;
  afterEach(async () => {
    await visit.machine.stop();
  });

  test('a bay that no document ever named is filled all the same', async () => {
    const cassettes = { '1': { denomination: 20, count: 10 }, '2': { denomination: 50, count: 5 } };
    visit = await Visit.begin({ cassettes });
    visit.machine.dispenser.control({ do: 'cassette', position: 4, denomination: 50, count: 25 });
    const plan: Plan = { bays: { 3: { load: 5 }, 4: { load: 25 } } };
    await visit.open();
    visit.answer({ kind: 'bay', choice: 'leave' });
    visit.answer({ kind: 'bay', choice: 'leave' });
    expect(visit.view.asks).toEqual({
      ...{ kind: 'bay', position: 3, denomination: null, parked: false, accuracy: 'unknown' },
      ...{ choices: ['leave', 'count'], swapped: false },
    });
    visit.answer({ kind: 'bay', choice: 'count' });
    // Nothing is known that could be counted: it asks what is put in.
    expect(visit.view.asks).toMatchObject({ kind: 'denomination', position: 3, current: null });
    expect(visit.accuracy()[3]).toBeUndefined();
    visit.answer({ kind: 'denomination', denomination: 20 });
    visit.answer({ kind: 'load', count: 5 });
    expect(visit.accuracy()[3]).toBe('unknown');
    // Taken back, the row that the answer made says that nobody knows.
    visit.undo();
    visit.undo();
    visit.undo();
    visit.answer({ kind: 'bay', choice: 'leave' });
    await visit.walkTo('denomination', plan);
    visit.answer({ kind: 'denomination', denomination: 50 });
    await visit.walk({ ...plan, tests: 'run' });
    visit.close();
    expect(visit.accuracy()).toMatchObject({ 1: 'set', 2: 'set', 3: 'unknown', 4: 'accurate' });
    expect(visit.counts()).toContain('bay:4 50: 24');
    expect(visit.counts().some((line) => line.startsWith('bay:3'))).toBe(false);
    expect(visit.store.verify().ledger).toBe('ok');
  });

  test('a unit that measures notes is told on the spot of what a parked bay holds now', async () => {
    const cassettes = { '1': { denomination: 20, count: 9 }, '2': { denomination: 50, count: 9 } };
    const dispenser = (clock: Clock) => new F56Device({ clock, options: { cassettes } });
    const validator = (clock: Clock) => new Id003Device({ clock, options: {} });
    visit = await Visit.begin({
      cassettes,
      devices: {
        validator: { protocol: 'id003', make: validator },
        dispenser: { protocol: 'f56', model: 'f56', make: dispenser },
      },
    });
    const { clock, keeper } = visit.machine;
    await clock.advance(2_000);
    const changed = { '2': { denomination: 20, count: 5 } };
    await clock.resolve(keeper.publishCassettes(changed));
    await clock.until(() => visit.store.cashUnits.list()[1]?.parked === true, 60_000);
    await visit.open();
    visit.fill(2, 20, 15);
    await visit.walk({ bays: { 2: { out: 9, load: 15 } }, tests: 'run' });
    expect(visit.view.bays[1]).toMatchObject({ test: 'exact', testNotes: 1 });
    visit.close();
    expect(visit.counts()).toContain('bay:2 20: 14');
  });

  test('one that never was in the books and is abandoned stays out of them', async () => {
    const cassettes = { '1': { denomination: 20, count: 10 } };
    visit = await Visit.begin({ cassettes });
    await visit.open();
    visit.answer({ kind: 'bay', choice: 'leave' });
    visit.answer({ kind: 'bay', choice: 'count' });
    visit.abandon();
    expect(visit.accuracy()).toEqual({ 1: 'set' });
  });

  test('abandoned while a test is on its way: nobody is served before it is over', async () => {
    visit = await Visit.begin();
    const { machine } = visit;
    await visit.open();
    await visit.walkTo('test', { bays: { 1: { out: 10, load: 10 } } });
    visit.answer({ kind: 'test', choice: 'run' });
    const intents = () => visit.store.intents.listOpen('testDispense').length;
    await machine.clock.until(() => intents() === 1, 10_000);
    visit.abandon();
    const reasons = () => machine.view.cashOut.reasons.map(({ code }) => code);
    expect(reasons()).toContain('exchangeActive');
    await machine.clock.until(() => intents() === 0, 60_000);
    await machine.until((view) => view.cashOut.open, 'open again');
    expect(reasons()).toEqual([]);
    expect(visit.counts()).toContain('reject 20: 1');
    expect(visit.accuracy()[1]).toBe('unknown');
    expect(visit.store.verify().ledger).toBe('ok');
  });

  test('a disk that does not take the intent: no note moves, and the test is over', async () => {
    const disk: { isFull: boolean } = { isFull: false };
    const before = () => {
      if (disk.isFull) throw diskError('SQLITE_FULL');
    };
    visit = await Visit.begin({ commitPlan: { before } });
    await visit.open();
    await visit.walkTo('test', { bays: { 1: { out: 10, load: 10 } } });
    visit.answer({ kind: 'test', choice: 'run' });
    disk.isFull = true;
    await visit.machine.clock.advance(5_000);
    expect(visit.view.state).toBe('testing');
    disk.isFull = false;
    const { asks } = await visit.asking();
    expect(asks).toMatchObject({ kind: 'test', last: 'none' });
    expect(visit.machine.dispenser.truth().reject).toEqual({});
    expect(visit.store.journal.read({ kind: 'testDispense.intended' })).toEqual([]);
  });

  test('notes that the unit has drawn meanwhile do not upset what is taken back', async () => {
    visit = await Visit.begin();
    await visit.open();
    await visit.walkTo('box', { bays: { 4: { out: 4, load: 6 } } });
    const { store, machine } = visit;
    // As an initialisation books what it has moved of a bay.
    const parts = { store, config: machine.config, clock: machine.clock };
    const [, , , unit] = store.cashUnits.list();
    if (!unit) throw new Error('there is no fourth bay');
    store.commit(() => bookOut(parts, undefined, unit.position, 'reject', 2));
    expect(visit.counts()).toContain('bay:4 100: 4');
    visit.undo();
    expect(visit.view.asks).toMatchObject({ kind: 'load', position: 4 });
    expect(visit.counts().some((line) => line.startsWith('bay:4'))).toBe(false);
    visit.answer({ kind: 'load', count: 9 });
    expect(visit.counts()).toContain('bay:4 100: 9');
    expect(store.verify().ledger).toBe('ok');
  });
});

test('the books put right in an exchange that is given up: no note came in, when older counts arrive', async () => {
  const visit = await Visit.begin();
  onTestFinished(() => visit.machine.stop());
  await visit.open();
  const { store, machine } = visit;
  await machine.clock.advance(2_000);
  const stated = { '4': { denomination: 100, count: 20 } };
  await machine.clock.resolve(machine.keeper.publishCassettes(stated));
  await machine.clock.advance(2_000);
  await visit.walkTo('box', { bays: { 4: { out: 4, load: 6 } } });
  const parts = { store, config: machine.config, clock: machine.clock };
  const [, , , unit] = store.cashUnits.list();
  if (!unit) throw new Error('there is no fourth bay');
  store.commit(() => bookOut(parts, undefined, unit.position, 'reject', 2));
  visit.undo();
  visit.abandon();
  await machine.clock.advance(1);
  // Twenty less the four that were counted out and the two that were rejected.
  expect(visit.counts()).toContain('bay:4 100: 14');
});

test('a bay that is unknown already does not come into doubt again', async () => {
  const parts = await testParts();
  const { store } = parts;
  const [unit] = store.cashUnits.list();
  if (!unit) throw new Error('there is no bay');
  doubtRemovedBay(parts, { ...unit, accuracy: 'unknown' });
  expect(store.journal.read({ kind: 'cassette.removed' })).toEqual([]);
});

test('a note of part of a unit is named by its minor value', () => {
  expect([faceOf(minorUnits(2_000), 'USD'), faceOf(minorUnits(25), 'USD')]).toEqual([20, 25]);
});

describe('records that somebody signed to look as if', () => {
  const crypto = createNostrCrypto(seededRandom('forger'));
  const key = seededRandom('key').bytes(32);
  const spire = crypto.publicKeyOf(key);
  const zeros = '0'.repeat(64);

  const signed = (fields: JsonObject) => {
    const body: JsonObject = { number: 1, previousHash: zeros, spire, ...fields };
    const hash = createHash('sha256').update(canonicalJson(body)).digest('hex');
    const event = crypto.sign(key, {
      ...{ kind: 30_078, created_at: 1, content: 'x' },
      tags: [['x', hash]],
    });
    return { hash, body, event };
  };
  const codeOf = (...records: readonly unknown[]) => {
    const verdict = verifyRecords(JSON.stringify(records));
    return verdict.outcome === 'ok' ? 'ok' : [verdict.number, verdict.code];
  };

  test('the first is linked to nothing, and no other one is', () => {
    expect(codeOf(signed({}))).toBe('ok');
    expect(codeOf(signed({ previousHash: '1'.repeat(64) }))).toEqual([1, 'outOfOrder']);
    expect(codeOf(signed({ number: 2 }))).toEqual([2, 'outOfOrder']);
  });

  test('each carries the hash of the one before', () => {
    const first = signed({});
    const second = signed({ number: 2, previousHash: first.hash });
    expect(codeOf(first, second)).toBe('ok');
    expect(codeOf(first, signed({ number: 2, previousHash: '2'.repeat(64) }))).toEqual([
      ...[2, 'outOfOrder'],
    ]);
    // Two hashes in one event are a choice, and so none.
    const { event, ...rest } = second;
    const tags = [...event.tags, ['x', first.hash]];
    const both = crypto.sign(key, { kind: 30_078, created_at: 1, content: 'x', tags });
    expect(codeOf(first, { ...rest, event: both })).toEqual([2, 'tampered']);
  });
});

test('a driver that gives up in the middle of a test leaves the note in doubt', async () => {
  const parts = await testParts();
  const { dispenser: real, store } = parts;
  const dispenser = new Proxy(real, {
    get: (target, key) => {
      if (key === 'testDispense')
        return () => Promise.reject(new DeviceError('timeOut', 'no answer'));
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const asked = {
    exchange: 'ab'.repeat(16),
    step: 1,
    position: position(1),
    to: 'reject',
  } as const;
  await parts.clock.resolve(runTest({ ...parts, dispenser }, asked));
  expect(store.journal.read({ kind: 'testDispense.settled' })).toMatchObject([
    { body: { reference: '', class: 'unknown' } },
  ]);
  expect(store.intents.listOpen()).toEqual([]);
});
