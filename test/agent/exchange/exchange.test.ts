/** The exchange on a whole machine: what is asked, what is booked, what is left when it ends. */
import { afterEach, expect, test } from 'vitest';
import { Visit } from './visit-rig.ts';

let visit: Visit | undefined;
afterEach(async () => {
  await visit?.machine.stop();
  visit = undefined;
});

test('a whole exchange: two bays counted and filled, tested, closed, and back in service', async () => {
  visit = await Visit.begin();
  const { machine } = visit;
  await visit.open();
  expect(machine.view.cashOut.reasons.map(({ code }) => code)).toContain('exchangeActive');
  visit.fill(1, 20, 100);
  visit.fill(3, 50, 40);
  const plan = { bays: { 1: { out: 10, load: 100 }, 3: { out: 9, load: 40 } } } as const;
  const summary = await visit.walk({ ...plan, tests: 'run' });
  expect(summary.asks).toEqual({ kind: 'close' });
  expect(summary.bays.map(({ test: result, testNotes }) => [result, testNotes])).toEqual([
    ['exact', 1],
    [null, 0],
    ['exact', 1],
    [null, 0],
  ]);
  const { record, exchange } = visit.close();
  expect([exchange.state, record.number, record.signature]).toEqual(['closed', 1, 'queued']);
  expect(visit.accuracy()).toEqual({ 1: 'accurate', 2: 'set', 3: 'accurate', 4: 'set' });
  expect(visit.counts()).toEqual([
    'bay:1 20: 99',
    'bay:2 20: 10',
    'bay:3 50: 39',
    'bay:4 100: 4',
    'reject 20: 1',
    'reject 50: 1',
    'technician 20: -90',
    'technician 50: -31',
    'unaccounted 20: -20',
    'unaccounted 50: -9',
    'unaccounted 100: -4',
  ]);
  await machine.until((view) => view.state === 'idle' && view.cashOut.open, 'in service again');
  expect(machine.differences()).toEqual([]);
});
