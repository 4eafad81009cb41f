/** `spire operator set`: through the agent, or on the files of one that is stopped. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { run } from '#agent/cli/program.ts';
import { systemClock, systemRandom } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import { Secret } from '#protocol/base/secret.ts';
import type { Pairing } from '#protocol/pairing/pairing.ts';
import { PairingFile } from '#protocol/pairing/pairing-file.ts';
import { npubOf } from '#protocol/pairing/public-key.ts';
import { createNostrCrypto } from '#protocol/signer/nostr-crypto.ts';
import { openDatabase } from '#state/database.ts';
import { openStore } from '#state/store.ts';
import { newFolder, startHarness } from '#test/agent/api/harness.ts';
import { KEY } from '#test/state/fixtures.ts';
import { inProcess } from './process.ts';

const common = { clock: systemClock, random: systemRandom, log: silentLog };
const crypto = createNostrCrypto(systemRandom);
const newKey = () => crypto.publicKeyOf(systemRandom.bytes(32));
const sealingKey = new Secret(new Uint8Array(32).fill(0x5e));

const told = ['--by', 'Ana', '--reason', 'the key moved'];
const setWords = (key: string, ...more: string[]) => ['operator', 'set', key, ...told, ...more];

describe.concurrent('with the agent', () => {
  test('it is told, by whichever form of the key', async () => {
    await using harness = await startHarness();
    const { service, socketPath } = harness;
    const operator = newKey();
    const more = ['--yes', '--json', '--socket', socketPath];
    const { code, out } = await inProcess(setWords(npubOf(operator), ...more));
    expect([code, JSON.parse(out)]).toEqual([0, { outcome: 'set', operatorPubkey: operator }]);
    expect(service.operators).toEqual([{ operator, by: 'Ana', reason: 'the key moved' }]);
    const again = await inProcess(setWords(operator, '--yes', '--socket', socketPath));
    expect(again.out).toContain('Nothing was changed');
  });

  test('nobody is asked where there is nobody, and a no changes nothing', async () => {
    await using harness = await startHarness();
    const { service, socketPath } = harness;
    const silent = await inProcess(setWords(newKey(), '--socket', socketPath));
    expect([silent.code, silent.err]).toEqual([2, expect.stringContaining('--yes')]);
    const asked: string[] = [];
    for (const [answer, expected] of [
      [false, 77],
      [true, 0],
    ] as const) {
      const [out, err] = [new PassThrough(), new PassThrough()];
      const written = text(err);
      const confirm = async (question: string) => {
        asked.push(question);
        return answer;
      };
      const words = setWords(newKey(), '--socket', socketPath);
      expect(await run(words, { out, err, onStop: () => undefined, confirm })).toBe(expected);
      err.end();
      if (!answer) expect(await written).toContain('Nothing was changed.');
      expect(service.operators).toHaveLength(answer ? 1 : 0);
    }
    expect(asked[0]).toContain('sets fees and counts');
  });

  test('what is no key is refused before anything is asked', async () => {
    const { code, err } = await inProcess(setWords('npub1nonsense', '--yes'));
    expect([code, err]).toEqual([78, expect.stringContaining('no public key')]);
  });
});

/** A stopped machine that is paired, and its words. */
function stopped(options: { sealed?: true; started?: true } = {}) {
  const state = join(newFolder(), 'state');
  mkdirSync(state);
  const path = join(state, 'pairing.json');
  const key = options.sealed ? sealingKey : undefined;
  const file = new PairingFile({ path, sealingKey: key, ...common });
  const before = newKey();
  const pairing: Pairing = {
    version: 1,
    state: 'bound',
    clientKey: new Secret(Buffer.from(systemRandom.bytes(32))),
    bunkerPubkey: newKey(),
    bunkerRelays: ['wss://relay.example'],
    fallbackBunkerRelays: [],
    spirePubkey: newKey(),
    operatorPubkey: before,
    transportPubkey: newKey(),
    walletId: 'wallet-1',
    rpcRelays: ['wss://relay.example'],
    documentRelays: ['wss://relay.example'],
    token: { secretHash: '00'.repeat(32), state: 'spent' },
  };
  file.save(pairing);
  const database = join(state, 'state.sqlite');
  const books = () => openStore({ ...common, path: database, sealingKey: KEY, bootId: 'boot' });
  if (options.started) books().close();
  const set = (operator: string, ...more: string[]) =>
    inProcess(
      setWords(operator, '--yes', '--state', state, '--socket', join(state, 'no.sock'), ...more),
    );
  return { state, path, file, pairing, before, database, books, set };
}

describe.concurrent('without the agent', () => {
  test('the pairing is changed, and the books say so', async () => {
    const { file, pairing, before, books, set } = stopped({ started: true });
    const operator = newKey();
    expect((await set(operator)).code).toBe(0);
    expect({ ...file.load(), clientKey: 0 }).toEqual({
      ...pairing,
      operatorPubkey: operator,
      clientKey: 0,
    });
    const store = books();
    expect(store.journal.read({ kind: 'operator.changed' }).map(({ body }) => body)).toEqual([
      { from: before, to: operator, by: 'Ana', reason: 'the key moved' },
    ]);
    store.close();
  });

  test('a machine that was never started gets no books from it', async () => {
    const { state, file, set } = stopped();
    const operator = newKey();
    expect((await set(operator)).code).toBe(0);
    expect(file.load()?.operatorPubkey).toBe(operator);
    expect(() => readFileSync(join(state, 'state.sqlite'))).toThrow('ENOENT');
  });

  test('75 while the state is held, 69 without a pairing, and nothing is touched', async () => {
    const { path, database, set } = stopped({ started: true });
    const text = readFileSync(path, 'utf8');
    const held = openDatabase(database);
    const { code, err } = await set(newKey());
    expect([code, err]).toEqual([75, expect.stringContaining('The agent is running')]);
    held.close();
    expect(readFileSync(path, 'utf8')).toBe(text);
    writeFileSync(database, 'no database');
    expect((await set(newKey())).code).toBe(1);
    expect(readFileSync(path, 'utf8')).toBe(text);
    const words = ['--state', newFolder(), '--socket', join(newFolder(), 'no.sock')];
    expect((await inProcess(setWords(newKey(), '--yes', ...words))).code).toBe(69);
  });

  test('a sealed pairing wants its key, and stays sealed', async () => {
    const { path, file, set } = stopped({ sealed: true, started: true });
    const operator = newKey();
    const refused = await set(operator);
    expect([refused.code, refused.err]).toEqual([78, expect.stringContaining('is sealed')]);
    const keyFile = join(newFolder(), 'key');
    writeFileSync(keyFile, '5e'.repeat(32));
    expect((await set(operator, '--sealing-key-file', keyFile)).code).toBe(0);
    expect(file.load()?.operatorPubkey).toBe(operator);
    expect(Object.keys(JSON.parse(readFileSync(path, 'utf8')) as object)).toEqual(['sealed']);
  });
});
