/** Secrets, outbox, documents, facts, wrong tries: what the rows hold and what they refuse. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { systemRandom } from '#protocol/base/clock.ts';
import { newTransactionId } from '#protocol/base/ids.ts';
import { Secret } from '#protocol/base/secret.ts';
import { type Database, openDatabase } from '#state/database.ts';
import type { DocumentRow } from '#state/documents.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { codeOf, insertedTransaction, newFolder, newStore, newTransaction } from './fixtures.ts';

describe('Secrets', () => {
  const LINK = 'LNURL1DP68GURN8GHJ7MRWW4EXCTN5D9SXG';

  it('come back, and only the first of a kind is kept', () => {
    const store = newStore();
    const { id: transactionId } = insertedTransaction(store);
    const put = (kind: string, text: string) =>
      codeOf(() =>
        store.commit(() => store.secrets.put({ transactionId, kind, value: new Secret(text) })),
      );
    expect(put('lnurl', LINK)).toEqual({ returned: undefined });
    expect(put('lnurl', 'LNURL1SECOND')).toBe('exists');
    expect(put('claimCode', 'five random words for you')).toEqual({ returned: undefined });
    expect(store.secrets.get(transactionId, 'lnurl')?.reveal()).toBe(LINK);
    expect(store.secrets.get(transactionId, 'preimage')).toBeUndefined();
    store.commit(() => store.secrets.erase(transactionId, 'lnurl'));
    expect(store.secrets.get(transactionId, 'lnurl')).toBeUndefined();
    expect(put('lnurl', 'LNURL1SECOND')).toBe('exists');
    store.commit(() => store.secrets.erase(newTransactionId(systemRandom), 'lnurl'));
  });

  it('are never in the files in clear, and not even sealed once erased', () => {
    const path = join(newFolder(), 'state.sqlite');
    const opened: Database[] = [];
    const open = (name: string) => {
      const database = openDatabase(name);
      opened.push(database);
      return database;
    };
    const store = newStore({ path, openDatabase: open });
    const { id: transactionId } = insertedTransaction(store);
    const value = new Secret(LINK);
    store.commit(() => store.secrets.put({ transactionId, kind: 'lnurl', value }));
    const sealed = opened[0]?.prepare('SELECT sealed FROM secret').pluck().get();
    if (!Buffer.isBuffer(sealed)) throw new Error('nothing was sealed');
    const files = () => [readFileSync(path), readFileSync(`${path}-wal`)];
    // The search itself works: the sealed bytes are found where the clear ones are not.
    expect(files().some((bytes) => bytes.includes(sealed))).toBe(true);
    expect(files().some((bytes) => bytes.includes(LINK))).toBe(false);
    store.commit(() => store.secrets.erase(transactionId, 'lnurl'));
    store.close();
    const left = readFileSync(path);
    expect(left.includes(sealed.subarray(0, 16))).toBe(false);
    expect(left.includes(sealed.subarray(-16))).toBe(false);
  });

  it('open in their own row and under their own key alone', () => {
    const path = join(newFolder(), 'state.sqlite');
    const store = newStore({ path });
    const first = insertedTransaction(store);
    const second = insertedTransaction(store);
    const value = new Secret(LINK);
    store.commit(() => store.secrets.put({ transactionId: first.id, kind: 'lnurl', value }));
    store.close();
    const raw = openDatabase(path);
    raw.prepare('INSERT INTO secret SELECT ?, kind, sealed FROM secret').run(second.id);
    raw.close();
    const moved = newStore({ path });
    expect(codeOf(() => moved.secrets.get(second.id, 'lnurl'))).toBe('corrupt');
    expect(moved.secrets.get(first.id, 'lnurl')?.reveal()).toBe(LINK);
    moved.close();
    const stranger = newStore({ path, sealingKey: new Secret(new Uint8Array(32)) });
    expect(codeOf(() => stranger.secrets.get(first.id, 'lnurl'))).toBe('corrupt');
  });

  it('belong to a transaction', () => {
    const store = newStore();
    const { id: transactionId } = newTransaction();
    const value = new Secret(LINK);
    const put = () =>
      store.commit(() => store.secrets.put({ transactionId, kind: 'lnurl', value }));
    expect(codeOf(put)).toBe('notFound');
  });
});

describe('Outbox', () => {
  it('keeps the newest content of each type until that very version is done', async () => {
    const clock = new VirtualClock();
    const start = clock.now();
    const store = newStore({ clock });
    const put = (type: string, content: string) =>
      store.commit(() => store.outbox.put(type, content));
    const done = (type: string, version: number) =>
      store.commit(() => store.outbox.done(type, version));
    put('counts', 'one');
    await clock.advance(1_000);
    put('anchor', 'head');
    put('counts', 'two');
    expect(store.outbox.pending()).toEqual([
      { type: 'counts', content: 'two', version: 2, sinceUnixMs: start },
      { type: 'anchor', content: 'head', version: 1, sinceUnixMs: start + 1_000 },
    ]);
    // The first version was on its way when the second came.
    done('counts', 1);
    expect(store.outbox.pending()).toHaveLength(2);
    done('counts', 2);
    done('anchor', 1);
    expect(store.outbox.pending()).toEqual([]);
    await clock.advance(1_000);
    put('counts', 'three');
    expect(store.outbox.pending()).toEqual([
      { type: 'counts', content: 'three', version: 3, sinceUnixMs: start + 2_000 },
    ]);
  });

  it('moves the clock of what was published only on', () => {
    const store = newStore();
    expect(store.outbox.lastCreatedAt('anchor')).toBeUndefined();
    for (const createdAt of [100, 200, 150]) {
      store.commit(() => store.outbox.advance('anchor', createdAt));
    }
    expect(store.outbox.lastCreatedAt('anchor')).toBe(200);
    expect(store.outbox.lastCreatedAt('counts')).toBeUndefined();
  });
});

describe('Documents', () => {
  const received = (fields: Partial<DocumentRow> = {}): DocumentRow => ({
    type: 'bitspire-fees',
    author: 'a'.repeat(64),
    eventId: '1'.repeat(64),
    createdAt: 100,
    receivedAtUnixMs: 100_500,
    state: 'applied',
    content: '{"schema_version":1}',
    ...fields,
  });

  it('keep the last good one in force beside the one refused', () => {
    const store = newStore();
    const record = (document: DocumentRow) => store.commit(() => store.documents.record(document));
    const first = received();
    const second = received({ eventId: '2'.repeat(64), createdAt: 200 });
    const refused = received({ state: 'refused', reason: 'unknown schema', createdAt: 300 });
    for (const document of [first, second, refused]) record(document);
    const { documents } = store;
    expect(documents.applied('bitspire-fees')).toEqual(second);
    expect(documents.lastRefused('bitspire-fees')).toEqual(refused);
    expect(documents.watermark('bitspire-fees', first.author)).toEqual({
      createdAt: 200,
      eventId: second.eventId,
    });
    expect(documents.list()).toEqual([second, refused]);
    expect(documents.applied('bitspire-cassettes')).toBeUndefined();
    expect(documents.lastRefused('bitspire-cassettes')).toBeUndefined();
    expect(codeOf(() => record(received({ state: 'refused' })))).toBe('invalidData');
  });

  it('start from a clean watermark under a new author, whose applied one is in force', () => {
    const store = newStore();
    const old = received({ createdAt: 900 });
    const author = 'b'.repeat(64);
    store.commit(() => store.documents.record(old));
    expect(store.documents.watermark('bitspire-fees', author)).toBeUndefined();
    expect(store.documents.applied('bitspire-fees')).toEqual(old);
    const fresh = received({ author, createdAt: 500 });
    store.commit(() => store.documents.record(fresh));
    expect(store.documents.applied('bitspire-fees')).toEqual(fresh);
    expect(store.documents.list()).toEqual([old, fresh]);
  });
});

describe('Facts', () => {
  it('are learned, learned anew, and forgotten', () => {
    const store = newStore();
    expect(store.facts.get('cap')).toBeUndefined();
    store.commit(() => store.facts.put('cap', { sats: 5_000, words: ['a', null, true] }, 1_000));
    expect(store.facts.get('cap')).toEqual({
      value: { sats: 5_000, words: ['a', null, true] },
      atUnixMs: 1_000,
    });
    store.commit(() => store.facts.put('cap', null, 2_000));
    expect(store.facts.get('cap')).toEqual({ value: null, atUnixMs: 2_000 });
    store.commit(() => store.facts.remove('cap'));
    expect(store.facts.get('cap')).toBeUndefined();
  });
});

describe('WrongTries', () => {
  it('are counted per scope and pruned by number, not by a clock that may be wrong', () => {
    const opened: Database[] = [];
    const store = newStore({
      openDatabase: (path) => {
        const database = openDatabase(path);
        opened.push(database);
        return database;
      },
    });
    const add = (scope: string, atUnixMs: number) =>
      store.commit(() => store.wrongTries.add(scope, atUnixMs));
    for (let index = 1; index <= 130; index++) add('codes', index);
    add('anna', 5);
    expect(store.wrongTries.countSince('codes', 0)).toBe(100);
    expect(store.wrongTries.countSince('codes', 126)).toBe(5);
    expect(store.wrongTries.countSince('anna', 0)).toBe(1);
    expect(store.wrongTries.countSince('anna', 6)).toBe(0);
    // The wall clock jumps a year ahead and back: the tries before are still there.
    add('codes', 365 * 86_400_000);
    expect(store.wrongTries.countSince('codes', 0)).toBe(100);
    expect(opened[0]?.prepare('SELECT count(*) FROM wrong_try').pluck().get()).toBe(101);
  });
});
