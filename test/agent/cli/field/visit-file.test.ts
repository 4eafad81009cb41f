/** A visit from a file: what it says is done, and what it does not say ends it with the reason. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { newFolder } from '#test/agent/api/harness.ts';
import { OpenMachine, PIN } from './open-machine.ts';

let open: OpenMachine;
beforeEach(async () => {
  open = await OpenMachine.inService();
  await open.join('Ana');
});
afterEach(() => open[Symbol.asyncDispose]());

const refill = { do: 'count', out: 10, load: 100 } as const;

function visit(file: object | string, ...words: string[]) {
  const path = join(newFolder(), 'visit.json');
  writeFileSync(path, typeof file === 'string' ? file : JSON.stringify(file));
  return open.run('service', '--json-file', path, ...words);
}
const ana = { name: 'Ana', pin: PIN };

test('all that a file can say, up to the record', async () => {
  open.fill(1, 20, 100);
  const bays = {
    1: refill,
    2: { do: 'count', out: 9, load: 0, reason: { reason: 'taken', note: 'seen' } },
    3: { do: 'seal', seal: 'C-3', load: 10, test: 'skip' },
  };
  const cashbox = { do: 'count', counts: { 20: 1 }, reason: { reason: 'unexplained' } };
  const done = await visit({ ...ana, bays, boxes: { cashbox, reject: { do: 'seal', seal: 'R' } } });
  expect([done.code, done.err]).toEqual([0, '']);
  expect(done.out).toMatch(/^Bay 1 +10 x 20 +0 +100 x 20 +\$2,000\.00 +good$/m);
  expect(done.out).toMatch(/^Bay 2 +9 x 20 +-1 +0 x 20 +\$0\.00$/m);
  expect(done.out).toMatch(/^Bay 3 +seal C-3 +10 x 50 +\$500\.00 +none$/m);
  expect(done.out).toMatch(/^Bay 4 +left as it is$/m);
  expect(done.out).toMatch(/^Cash box +1 x 20; over\/short: \+1$/m);
  expect(done.out).toMatch(/^Reject tray +seal R$/m);
  expect(done.out).toMatch(/^spire-record:1:[0-9a-f]{64}$/m);
});

test('what is missing is named, the exchange stays open, and a fuller file goes on', async () => {
  const first = await visit({ ...ana, bays: { 1: { ...refill, out: 7 } } });
  expect(first.code).toBe(2);
  expect(first.err).toMatch(/does not say bays\.1\.reason\. Exchange \S+ stays open/);
  const reason = { reason: 'other' };
  const second = await visit({ ...ana, bays: { 1: { ...refill, out: 7, reason } } });
  expect(second.code).toBe(2);
  expect(second.err).toMatch(/bays\.1\.reason: Say in your own words .* stays open/);
  const third = await visit({
    ...ana,
    bays: { 1: { ...refill, out: 7, reason: { ...reason, note: 'torn' }, test: 'skip' } },
  });
  expect(third.code).toBe(0);
});

test.each([
  ['bays.1.out', { bays: { 1: { do: 'count', load: 1 } } }],
  ['boxes.cashbox.reason', { boxes: { cashbox: { do: 'count', counts: { 20: 3 } } } }],
  ['boxes.reject.reason', { boxes: { reject: { do: 'count', counts: { 50: 3 } } } }],
])('a file without %s says so', async (what, file) => {
  const ended = await visit({ ...ana, ...file });
  expect([ended.code, ended.err]).toEqual([2, expect.stringContaining(`not say ${what}.`)]);
});

test('a note that the dispenser cannot hold, and a seal twice, are refused with the reason', async () => {
  const twice = { ...ana, bays: { 1: { do: 'seal', seal: 'S', load: 0 } }, boxes: {} };
  const ended = await visit({ ...twice, boxes: { cashbox: { do: 'seal', seal: 'S' } } });
  expect(ended.code).toBe(2);
  expect(ended.err).toMatch(/boxes\.cashbox\.seal: Seal S is on another bag\. Exchange/);
});

test('a test note that did not come is looked at by a person', async () => {
  // The bay is said to be full and is empty.
  open.fill(1, 20, 0);
  const ended = await visit({ ...ana, bays: { 1: { ...refill } } });
  expect([ended.code, ended.err]).toEqual([2, expect.stringContaining('not say bays.1.test.')]);
  const skipped = await visit({ ...ana, bays: { 1: { ...refill, test: 'skip' } } });
  expect(skipped.code).toBe(0);
});

test('a file may give the exchange up, as JSON', async () => {
  const ended = await visit({ ...ana, end: { abandon: 'rain' } }, '--json');
  const { exchange, record } = JSON.parse(ended.out);
  expect([ended.code, exchange.state, record.number]).toEqual([0, 'abandoned', 1]);
});

test('what cannot be used as a file, and who may not', async () => {
  const odd = await visit({ ...ana, bays: { 1: { do: 'dance' } } }, '--language', 'es');
  expect([odd.code, odd.err]).toEqual([2, expect.stringContaining('No se puede usar')]);
  expect((await visit('{')).code).toBe(2);
  const absent = await open.run('service', '--json-file', '/nowhere');
  expect([absent.code, absent.err]).toEqual([2, expect.stringContaining('ENOENT')]);
  const wrong = await visit({ ...ana, pin: '111222' });
  expect([wrong.code, wrong.err]).toEqual([77, expect.stringContaining('4 tries are left')]);
  await open.join('Luis', ['counts']);
  const may = await visit({ ...ana, name: 'Luis' });
  expect([may.code, may.err]).toEqual([77, expect.stringContaining('no permission for this')]);
});

test('nobody to ask, and no agent', async () => {
  const nobody = await open.run('service');
  expect([nobody.code, nobody.err]).toEqual([2, expect.stringContaining('--json-file')]);
  await open.cutPower();
  const away = await open.run('service');
  expect([away.code, away.err]).toEqual([69, expect.stringContaining('The agent is not running.')]);
  const away2 = await open.run('service', '--language', 'es');
  expect(away2.err).toContain('El agente no está corriendo.');
  await open.powerOn();
});

test('bags that were counted at the depot, each with its record, and no exchange for it', async () => {
  const seals = { cashbox: { do: 'seal', seal: 'B-17' }, reject: { do: 'seal', seal: 'B-18' } };
  await visit({
    ...ana,
    bays: { 3: { do: 'seal', seal: 'C-3', load: 0, test: 'skip' } },
    boxes: seals,
  });
  expect(open.store.exchanges.open()).toBeUndefined();
  const right = { 'C-3': { counts: { 50: 10 } } };
  const short = { 'B-17': { counts: { 20: 1 } } };
  // One that is over without a reason ends it; what came before is counted, and said to be.
  const first = await visit({ ...ana, bags: { ...right, ...short } });
  expect(first.code).toBe(2);
  expect(first.out).toMatch(/^Bag C-3: all is there\. Record 2\.\nspire-record:2:[0-9a-f]{64}\n$/);
  expect(first.err).toContain(
    'bags.B-17: It is over or short: a reason is needed. It is not counted',
  );
  const reason = { reason: 'unexplained' };
  const again = await visit({ ...ana, bags: { 'B-17': { ...short['B-17'], reason } } }, '--json');
  expect([again.code, JSON.parse(again.out)]).toMatchObject([
    0,
    [{ seal: 'B-17', differences: [{ denomination: 20, difference: 1 }], record: { number: 3 } }],
  ]);
  const twice = await visit({ ...ana, bags: right }, '--language', 'es');
  expect([twice.code, twice.out.trim()]).toEqual([1, '']);
  expect(twice.err).toContain('No queda contada');
  expect((await visit({ ...ana, bags: {} })).err).toContain('at bags');
  expect(open.store.exchanges.open()).toBeUndefined();
  expect(open.store.visitRecords.list(0, 9)).toHaveLength(3);
});

test('a file that is run again after its visit was closed shows its record, and counts nothing', async () => {
  const file = { ...ana, record: 1, bays: { 1: { ...refill, test: 'skip' } } };
  const done = await visit(file);
  const [record = ''] = /^spire-record:1:.*$/m.exec(done.out) ?? [];
  const counts = open.counts();
  // The answer to the close was lost: the person runs it again.
  const again = await visit(file);
  expect([again.code, again.err]).toEqual([0, '']);
  expect(again.out).toBe(`This was done already. Record 1 of this machine:\n${record}\n`);
  expect(JSON.parse((await visit(file, '--json')).out)).toMatchObject({ record: { number: 1 } });
  expect([open.counts(), open.store.visitRecords.head().number]).toEqual([counts, 1]);
  const ahead = await visit({ ...file, record: 3 });
  expect([ahead.code, ahead.err]).toEqual([2, expect.stringContaining('cannot be the next one')]);
  expect(open.store.exchanges.open()).toBeUndefined();
  const next = await visit({
    ...file,
    record: 2,
    bays: { 1: { ...refill, out: 100, test: 'skip' } },
  });
  expect([next.code, next.out]).toEqual([0, expect.stringMatching(/^spire-record:2:/m)]);
});
