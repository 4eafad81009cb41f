/** The record of a visit: signed through the bunker or queued for it, and proven without anything. */
import { afterEach, describe, expect, test } from 'vitest';
import type { RecordView } from '#agent/api/visit-schemas.ts';
import { verifyRecords } from '#agent/exchange/verify-record.ts';
import { createNostrCrypto } from '#protocol/signer/nostr-crypto.ts';
import { OWNER, type Plan, Visit } from './visit-rig.ts';

let visit: Visit;
afterEach(async () => {
  await visit.machine.stop();
});

const records = () => visit.service.records(OWNER, { after: 0, limit: 200 });
const isSigned = () => records().every(({ signature }) => signature === 'signed');

/** A whole exchange in which nothing else is of interest. */
async function exchange(plan: Plan = {}): Promise<void> {
  await visit.open();
  await visit.walk(plan);
  visit.close();
}

const lines = (list: readonly unknown[]) => list.map((one) => JSON.stringify(one)).join('\n');
const codeOf = (value: unknown, pubkey?: string) => {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const verdict = verifyRecords(text, { pubkey });
  return verdict.outcome === 'ok' ? 'ok' : [verdict.number, verdict.code];
};
const changed = (record: RecordView, body: object): RecordView => {
  return { ...record, body: { ...record.body, ...body } };
};

describe('signed by real keys', () => {
  test('each follows the one before; what was changed, moved or signed by another fails', async () => {
    visit = await Visit.begin({ makeCrypto: createNostrCrypto });
    const { machine } = visit;
    await exchange({ bays: { 1: { out: 9, load: 50 } } });
    await exchange();
    await exchange({ boxes: 'count' });
    await machine.clock.until(isSigned, 60_000);
    const list = records();
    const [first, second, third] = list;
    if (!first || !second || !third) throw new Error('three records were made');
    const { pubkey } = machine.bunker;
    const verdict = { outcome: 'ok', records: 3, pubkey, from: 1, to: 3 };
    expect(verifyRecords(JSON.stringify(list), { pubkey })).toEqual(verdict);
    expect(verifyRecords(lines(list))).toEqual(verdict);
    expect(codeOf(second)).toBe('ok');
    expect(codeOf([second, third])).toBe('ok');
    // Each with its reason, and by its number.
    expect(codeOf(changed(second, { currency: 'EUR' }))).toEqual([2, 'tampered']);
    expect(codeOf({ ...second, hash: first.hash })).toEqual([2, 'wrongHash']);
    expect(codeOf([first, third])).toEqual([3, 'outOfOrder']);
    expect(codeOf([second, first])).toEqual([1, 'outOfOrder']);
    expect(codeOf([first, first])).toEqual([1, 'outOfOrder']);
    expect(codeOf({ ...second, event: null })).toEqual([2, 'unsigned']);
    expect(codeOf({ ...second, event: first.event })).toEqual([2, 'tampered']);
    const event = { ...Object(second.event), content: 'other' };
    expect(codeOf({ ...second, event })).toEqual([2, 'badSignature']);
    expect(codeOf(list, 'ab'.repeat(32))).toEqual([1, 'wrongKey']);
    expect(codeOf(changed(second, { spire: 'ab'.repeat(32) }), pubkey)).toEqual([2, 'wrongKey']);
    expect(codeOf('{')).toEqual([null, 'malformed']);
    expect(codeOf('[]')).toEqual([null, 'malformed']);
    expect(codeOf('{"a":1}\n{')).toEqual([null, 'malformed']);
    expect(codeOf([{ ...second, body: {} }])).toEqual([null, 'malformed']);
  });

  test('signed as it should be, by a key that is not the machine: another one', async () => {
    visit = await Visit.begin({ makeCrypto: createNostrCrypto });
    await exchange();
    await visit.machine.clock.until(isSigned, 60_000);
    const [record] = records();
    const stranger = visit.machine.random.bytes(32);
    const { tags, content } = Object(record?.event);
    const { crypto, bunker } = visit.machine;
    const event = crypto.sign(stranger, { kind: 30_078, created_at: 1, tags, content });
    expect(codeOf({ ...record, event })).toEqual([1, 'wrongKey']);
    // A forger who also writes his own key into it is told by the machine's.
    const own = { ...record, event, body: { ...record?.body, spire: event.pubkey } };
    expect(codeOf(own)).toEqual([1, 'tampered']);
    expect(codeOf(own, bunker.pubkey)).toEqual([1, 'wrongKey']);
  });
});

test('one of a later record of a file whose first is linked to nothing is out of order', async () => {
  visit = await Visit.begin();
  await exchange();
  await visit.machine.clock.until(isSigned, 60_000);
  const [record] = records();
  // Hashes stand for signatures on this machine, so only what is told before them counts.
  expect(codeOf({ ...record, event: { ...Object(record?.event), sig: 'zz' } })).toEqual([
    null,
    'malformed',
  ]);
});

test('with the bunker silent it waits, over a power cut; then it is signed and published once', async () => {
  visit = await Visit.begin();
  const { machine } = visit;
  const { switches } = machine.bunker.policy;
  switches.silent = true;
  await exchange({ bays: { 2: { out: 10, load: 30 } } });
  await machine.clock.advance(60_000);
  expect(records()).toMatchObject([{ number: 1, signature: 'queued', event: null }]);
  machine.cutPower();
  await machine.clock.advance(5_000);
  machine.plugIn();
  machine.start();
  await machine.clock.advance(30_000);
  expect(records()).toMatchObject([{ number: 1, signature: 'queued' }]);
  switches.silent = false;
  await machine.clock.until(isSigned, 900_000);
  const [signed] = records();
  const published = machine.keeper.received('bitspire-record-1');
  expect(published?.content).toEqual(signed?.body);
  await machine.clock.advance(600_000);
  expect(records()).toEqual([signed]);
  const waiting = visit.store.outbox.pending().filter(({ type }) => type.includes('record'));
  expect(waiting).toEqual([]);
});

test('it is linked to the journal, and the journal to it; nothing in it is hidden from the hash', async () => {
  visit = await Visit.begin();
  await visit.open();
  const head = () => visit.store.journal.head();
  await visit.walk({ bays: { 1: { out: 8, load: 9 } } });
  const before = head();
  const { record } = visit.close();
  expect(record.body.journal).toEqual({ ...before });
  const [closed] = visit.store.journal.read({ kind: 'exchange.closed' });
  expect(closed?.body).toMatchObject({ record: 1, hash: record.hash });
  const [setUp] = visit.store.journal.read({ kind: 'exchange.setUp' });
  expect(setUp?.body.expectedHash).toBe(record.body.expectedHash);
  expect(record.body).toMatchObject({
    schema_version: 1,
    kind: 'exchange',
    outcome: 'closed',
    technicians: [{ name: 'Ana' }],
    bays: [
      {
        position: 1,
        before: { denomination: 20, accuracy: 'set', parked: false },
        expected: [{ denomination: 20, count: 10 }],
        counted: [{ denomination: 20, count: 8 }],
        overShort: [{ denomination: 20, count: -2 }],
        reason: 'miscountAtRefill',
        denomination: 20,
        count: 9,
        accuracy: 'accurate',
      },
      { position: 2, choice: 'leave', counted: null },
      { position: 3, choice: 'leave' },
      { position: 4, choice: 'leave' },
    ],
    moves: [
      { from: 'bay:1', to: 'unaccounted', denomination: 20, count: 2 },
      { from: 'bay:1', to: 'technician', denomination: 20, count: 8 },
      { from: 'technician', to: 'bay:1', denomination: 20, count: 9 },
    ],
  });
});
