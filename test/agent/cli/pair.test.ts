/** `spire pair` as a real process against a real relay and a real bunker on loopback. */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock, systemRandom } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import { Secret } from '#protocol/base/secret.ts';
import { PairingFile } from '#protocol/pairing/pairing-file.ts';
import { npubOf } from '#protocol/pairing/public-key.ts';
import { startWorld, type World } from '#protocol/simulator/world.ts';
import { openDatabase } from '#state/database.ts';
import { newFolder } from '#test/agent/api/harness.ts';
import { inProcess, spire } from './process.ts';

const common = { clock: systemClock, random: systemRandom, log: silentLog };
let world: World;
beforeAll(async () => {
  world = await startWorld(common);
});
afterAll(() => world.stop());

const keys = () => [
  ...['--operator', npubOf(world.operatorPubkey)],
  ...['--transport', npubOf(world.transportPubkey)],
  ...['--wallet', world.walletId],
];
const pairWords = (seed: string, state: string, ...more: string[]) => [
  ...['pair', seed, ...keys(), '--state', state, ...more],
];
const loadPairing = (state: string) =>
  new PairingFile({ path: join(state, 'pairing.json'), ...common }).load();

describe.concurrent('spire pair', () => {
  test('binds the machine, with progress aside and the result as JSON', async () => {
    const state = newFolder();
    const more = ['--allow-private-relays', '--json'];
    const { code, out, err } = await spire(pairWords(world.mintSeed(), state, ...more));
    expect([code, err]).toEqual([0, expect.stringContaining('the bunker signs as this machine')]);
    expect(err).toContain(`relay ${world.relay.url}: open`);
    expect(JSON.parse(out)).toEqual({
      spireNpub: npubOf(world.spirePubkey),
      spirePubkey: world.spirePubkey,
      operatorPubkey: world.operatorPubkey,
      transportPubkey: world.transportPubkey,
      walletId: world.walletId,
      relays: [world.relay.url],
    });
    expect(loadPairing(state)).toMatchObject({ state: 'bound', spirePubkey: world.spirePubkey });
    expect(statSync(join(state, 'pairing.json')).mode & 0o777).toBe(0o600);
    // No database is made, which would belong to whoever pairs and not to the service.
    expect(readdirSync(state)).toEqual(['pairing.json']);
  });

  test('takes the seed from standard input, and says nothing secret', async () => {
    const state = newFolder();
    const seed = world.mintSeed();
    const words = pairWords('-', state, '--allow-private-relays');
    const { code, out, err } = await spire(words, { input: `${seed}\n` });
    expect([code, out]).toEqual([0, `Paired as ${npubOf(world.spirePubkey)}.\n`]);
    const pairing = loadPairing(state);
    const key = Buffer.from(pairing?.clientKey.reveal() ?? []).toString('hex');
    expect(key).toHaveLength(64);
    expect(out + err).not.toContain(key);
    expect(out + err).not.toContain(seed.slice(20));
  });

  test('75 while the service holds the state, and nothing is touched', async () => {
    const state = newFolder();
    const held = openDatabase(join(state, 'state.sqlite'));
    const seed = world.mintSeed();
    const refused = await inProcess(pairWords(seed, state, '--allow-private-relays'));
    expect([refused.code, refused.out]).toEqual([75, '']);
    expect(refused.err).toContain('The agent is running');
    expect(existsSync(join(state, 'pairing.json'))).toBe(false);
    held.close();
    const before = readFileSync(join(state, 'state.sqlite'));
    expect((await inProcess(pairWords(seed, state, '--allow-private-relays'))).code).toBe(0);
    expect(readFileSync(join(state, 'state.sqlite')).equals(before)).toBe(true);
  });

  test('a new pairing is written sealed, and a sealed one can be paired again', async () => {
    const state = newFolder();
    const keyFile = join(newFolder(), 'key');
    writeFileSync(keyFile, `${'5e'.repeat(32)}\n`);
    const more = ['--allow-private-relays', '--sealing-key-file', keyFile];
    const first = await inProcess(pairWords(world.mintSeed(), state, ...more));
    expect(first.code).toBe(0);
    const path = join(state, 'pairing.json');
    const sealedText = readFileSync(path, 'utf8');
    expect(Object.keys(JSON.parse(sealedText) as object)).toEqual(['sealed']);
    const sealingKey = new Secret(new Uint8Array(32).fill(0x5e));
    const before = new PairingFile({ path, sealingKey, ...common }).load();
    expect(before).toMatchObject({ state: 'bound', spirePubkey: world.spirePubkey });

    // Without the key nothing is touched, and the seed is not spent.
    const seed = world.mintSeed();
    const refused = await inProcess(pairWords(seed, state, '--allow-private-relays'));
    expect(refused.code).toBe(78);
    expect(refused.err).toContain('--sealing-key-file');
    expect(readFileSync(path, 'utf8')).toBe(sealedText);

    const again = await inProcess(pairWords(seed, state, ...more));
    expect(again.code).toBe(0);
    const after = new PairingFile({ path, sealingKey, ...common }).load();
    expect(after?.token.secretHash).not.toBe(before?.token.secretHash);
    expect(readdirSync(state)).toEqual(['pairing.json']);
    const key = Buffer.from(after?.clientKey.reveal() ?? []).toString('hex');
    for (const text of [again.out, again.err, refused.err, readFileSync(path, 'utf8')]) {
      expect(text).not.toContain(key);
      expect(text).not.toContain('5e'.repeat(32));
    }
  });

  test('78 for a seed, a key, a relay or a folder that cannot be used', async () => {
    const state = newFolder();
    const wrong = [
      pairWords('spire-seed:v1:AAAA', state, '--allow-private-relays'),
      pairWords(world.mintSeed(), state),
      pairWords(world.mintSeed(), join(state, 'none'), '--allow-private-relays'),
      [...pairWords(world.mintSeed(), state, '--allow-private-relays'), '--operator', 'npub1x'],
    ];
    for (const words of wrong) {
      const { code, out, err } = await inProcess(words);
      expect([code, out]).toEqual([78, '']);
      expect(err).toMatch(/^spire: /);
      expect(err).not.toContain('    at ');
    }
    expect(readdirSync(state)).toEqual([]);
  });
});
