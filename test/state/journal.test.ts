import { AssertionError } from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { systemRandom } from '#protocol/base/clock.ts';
import { newTransactionId } from '#protocol/base/ids.ts';
import type { JournalEntry } from '#state/journal.ts';
import type { Store } from '#state/store.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { codeOf, newFolder, newStore } from './fixtures.ts';

const transactionId = newTransactionId(systemRandom);

function append(store: Store, count: number): void {
  for (let index = 1; index <= count; index++) {
    const owner = index % 2 === 0 ? transactionId : undefined;
    store.commit(() => {
      store.journal.append(index % 3 === 0 ? 'escrowed' : 'deposited', { index }, owner);
    });
  }
}

describe('Journal', () => {
  it('starts empty, and each entry follows the one before', async () => {
    const clock = new VirtualClock();
    const store = newStore({ clock });
    expect(store.journal.head()).toEqual({ seq: 0, hash: '0'.repeat(64), epoch: 1 });
    await clock.advance(1500.7);
    const entry = store.commit(() => store.journal.append('started', { b: 2, a: [1, null] }));
    expect(entry).toEqual({
      seq: 1,
      epoch: 1,
      bootId: 'boot-1',
      atUnixMs: clock.now(),
      monotonicMs: 1500,
      kind: 'started',
      body: { a: [1, null], b: 2 },
      previousHash: '0'.repeat(64),
      hash: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    const next = store.commit(() => store.journal.append('stopped', {}, transactionId));
    expect(next).toMatchObject({ seq: 2, previousHash: entry.hash, transactionId });
    expect(store.journal.head()).toEqual({ seq: 2, hash: next.hash, epoch: 1 });
    expect(store.journal.count()).toBe(2);
    expect(store.journal.read()).toEqual([entry, next]);
  });

  it('reads pages by transaction, kind and place', () => {
    const store = newStore();
    append(store, 12);
    const seqs = (entries: JournalEntry[]) => entries.map(({ seq }) => seq);
    const { journal } = store;
    expect(seqs(journal.read({ afterSeq: 9 }))).toEqual([10, 11, 12]);
    expect(seqs(journal.read({ afterSeq: 2, limit: 3 }))).toEqual([3, 4, 5]);
    expect(seqs(journal.read({ transactionId }))).toEqual([2, 4, 6, 8, 10, 12]);
    expect(seqs(journal.read({ kind: 'escrowed' }))).toEqual([3, 6, 9, 12]);
    expect(seqs(journal.read({ kind: 'escrowed', transactionId }))).toEqual([6, 12]);
    expect(seqs(journal.read({ kind: 'unheard of' }))).toEqual([]);
    expect(seqs(journal.read({ limit: -1 }))).toEqual([]);
  });

  it('bounds a page', () => {
    const store = newStore();
    store.commit(() => {
      for (let index = 0; index < 10_050; index++) store.journal.append('ticked', { index });
    });
    expect(store.journal.read()).toHaveLength(1_000);
    expect(store.journal.read({ limit: 1e9 })).toHaveLength(10_000);
    expect(store.journal.verify()).toEqual({ chain: 'ok', entries: 10_050 });
    expect(store.journal.verifyTail(2_500)).toEqual({ chain: 'ok', entries: 2_500 });
    expect(store.journal.verifyTail(1e9)).toEqual({ chain: 'ok', entries: 10_050 });
  });

  it('is written only inside a commit, with plain names and bounded bodies', () => {
    const store = newStore();
    expect(codeOf(() => store.journal.append('started', {}))).toBeInstanceOf(AssertionError);
    const refused = (kind: string, text = '') =>
      codeOf(() => store.commit(() => store.journal.append(kind, { text })));
    expect(refused('')).toBe('invalidData');
    expect(refused('zero\0')).toBe('invalidData');
    expect(refused('café')).toBe('invalidData');
    expect(refused('large', 'x'.repeat(70_000))).toBe('invalidData');
    expect(store.journal.count()).toBe(0);
  });

  it('is append-only, whoever writes', () => {
    const path = join(newFolder(), 'state.sqlite');
    const store = newStore({ path });
    append(store, 3);
    store.close();
    const raw = new Sqlite(path);
    expect(() => raw.exec("UPDATE journal SET kind = 'x' WHERE seq = 2")).toThrow(/append-only/);
    expect(() => raw.exec('DELETE FROM journal WHERE seq = 3')).toThrow(/append-only/);
    const copy = 'SELECT 7, epoch, boot_id, at_unix_ms, monotonic_ms, kind, transaction_id, body,';
    expect(() =>
      raw.exec(`INSERT INTO journal ${copy} previous_hash, hash FROM journal WHERE seq = 3`),
    ).toThrow(/no gaps/);
    raw.close();
  });

  it('tells listeners what is committed, in order, and never what was rolled back', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(4), fc.boolean()), { maxLength: 12 }), (commits) => {
        const store = newStore();
        const told: number[] = [];
        store.journal.subscribe((entry) => {
          // What is told is already there for everyone to read.
          expect(store.journal.head().seq).toBeGreaterThanOrEqual(entry.seq);
          told.push(entry.seq);
        });
        for (const [entries, fails] of commits) {
          const before = told.length;
          const outcome = codeOf(() =>
            store.commit(() => {
              for (let index = 0; index < entries; index++) store.journal.append('ticked', {});
              expect(told).toHaveLength(before);
              if (fails) throw new Error('given up');
            }),
          );
          expect(outcome instanceof Error).toBe(fails);
        }
        const all = store.journal.read().map(({ seq }) => seq);
        expect(told).toEqual(all);
        store.close();
      }),
      { numRuns: 25 },
    );
  });

  it('tells a listener that commits itself in order, and nobody after unsubscribing', () => {
    const store = newStore();
    const told: string[] = [];
    const end = store.journal.subscribe(({ kind }) => {
      if (kind === 'first') store.commit(() => store.journal.append('second', {}));
      told.push(`a ${kind}`);
    });
    store.journal.subscribe(({ kind }) => told.push(`b ${kind}`));
    store.commit(() => store.journal.append('first', {}));
    expect(told).toEqual(['a first', 'b first', 'a second', 'b second']);
    end();
    store.commit(() => store.journal.append('third', {}));
    expect(told.slice(4)).toEqual(['b third']);
  });

  it('dies of a listener that throws, after the commit has stood', async () => {
    const path = join(newFolder(), 'state.sqlite');
    const child = spawn(process.execPath, [
      join(import.meta.dirname, 'child.ts'),
      'throwInListener',
      path,
    ]);
    let output = '';
    child.stdout.on('data', (data) => {
      output += data;
    });
    const [code] = await once(child, 'exit');
    expect({ code, output }).toEqual({ code: 1, output: '1\n' });
    expect(newStore({ path }).verify()).toMatchObject({ chain: 'ok', entries: 1 });
  });
});

describe('the hash chain', () => {
  const columns = {
    seq: 'integer',
    epoch: 'integer',
    boot_id: 'text',
    at_unix_ms: 'integer',
    monotonic_ms: 'integer',
    kind: 'text',
    transaction_id: 'text',
    body: 'text',
    previous_hash: 'text',
    hash: 'text',
  };

  /** The path of a closed journal of ten entries. */
  function written(): string {
    const path = join(newFolder(), 'state.sqlite');
    const store = newStore({ path });
    append(store, 10);
    store.close();
    return path;
  }

  function rawEdit(path: string, edit: (raw: Sqlite.Database) => void): void {
    const raw = new Sqlite(path);
    raw.exec('DROP TRIGGER journal_no_update; DROP TRIGGER journal_no_delete');
    raw.pragma('ignore_check_constraints=ON');
    edit(raw);
    raw.close();
  }

  it('shows any changed character of any field of any entry', () => {
    const original = written();
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10 }),
        fc.constantFrom(...Object.entries(columns)),
        fc.nat(),
        fc.integer({ min: 1, max: 6 }),
        (seq, [column, type], place, flip) => {
          const path = join(newFolder(), 'state.sqlite');
          copyFileSync(original, path);
          rawEdit(path, (raw) => {
            const read = raw.prepare(`SELECT ${column} FROM journal WHERE seq = ?`).pluck();
            const before = read.get(seq);
            let after: unknown;
            if (type === 'integer') after = Number(before) + flip;
            else if (before === null) after = transactionId;
            else {
              const bytes = Buffer.from(String(before));
              const index = place % bytes.length;
              bytes.writeUInt8(bytes.readUInt8(index) ^ flip, index);
              after = bytes.toString();
            }
            // A place that is taken would not be a change but a refusal of SQLite.
            if (column === 'seq') after = 100 + seq;
            raw.prepare(`UPDATE journal SET ${column} = ? WHERE seq = ?`).run(after, seq);
          });
          const store = newStore({ path });
          const verdict = store.verify();
          expect(verdict.chain).toBe('broken');
          expect(verdict.problems.join()).toMatch(/\bjournal entry \d+ /);
          store.close();
        },
      ),
      { numRuns: 100 },
    );
  });

  it('shows a byte that flipped in the file itself', () => {
    const path = join(newFolder(), 'state.sqlite');
    const store = newStore({ path });
    store.commit(() => store.journal.append('deposited', { note: 'a rainbow note' }));
    store.close();
    const bytes = readFileSync(path);
    bytes.write('R', bytes.indexOf('rainbow'));
    writeFileSync(path, bytes);
    expect(newStore({ path }).verify()).toMatchObject({ chain: 'broken', integrity: 'ok' });
  });

  it('shows a missing entry, and a tail whose start is missing', () => {
    const path = written();
    rawEdit(path, (raw) => raw.exec('DELETE FROM journal WHERE seq = 6'));
    const { journal } = newStore({ path });
    const problem = 'journal entry 6 is missing';
    expect(journal.verify()).toEqual({ chain: 'broken', entries: 5, problem });
    expect(journal.verify(7)).toEqual({ chain: 'broken', entries: 0, problem });
    expect(journal.verifyTail(3)).toEqual({ chain: 'ok', entries: 3 });
    expect(journal.verify(12)).toMatchObject({ chain: 'broken', entries: 0 });
  });

  it('shows an epoch that goes back, even with a hash made to fit', () => {
    const path = written();
    const store = newStore({ path });
    const [entry] = store.journal.read({ afterSeq: 9 });
    store.close();
    rawEdit(path, (raw) => {
      // Forged as the program would write it: only the rule itself is broken.
      const fields = [10, 0, entry?.bootId, entry?.atUnixMs, entry?.monotonicMs, entry?.kind];
      const rest = [transactionId, JSON.stringify(entry?.body), entry?.previousHash];
      const text = JSON.stringify([...fields, ...rest]);
      const hash = createHash('sha256').update(text).digest('hex');
      raw.prepare('UPDATE journal SET epoch = 0, hash = ? WHERE seq = 10').run(hash);
    });
    const problem = 'journal entry 10 goes back an epoch';
    expect(newStore({ path }).journal.verify()).toMatchObject({ chain: 'broken', problem });
  });
});
