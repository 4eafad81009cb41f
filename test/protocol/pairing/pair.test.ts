import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { kinds } from '#protocol/event.ts';
import { openBunkerSigner } from '#protocol/pairing/open-signer.ts';
import { bunkerRelaysOf, type Pairing } from '#protocol/pairing/pairing.ts';
import { npubOf } from '#protocol/pairing/public-key.ts';
import { cheapCrypto } from '#test/support/cheap-crypto.ts';
import { crashingSteps } from '#test/support/crashing-steps.ts';
import { honest, refusing, silent } from '#test/support/hostile-bunker.ts';
import { pairingRig } from './rig.ts';

let rig: ReturnType<typeof pairingRig>;
beforeEach(() => {
  rig = pairingRig();
});
afterEach(() => rig.end());

const goodSeed = () => rig.seedFor(rig.bunker.pubkey, rig.bunker.policy.mintToken());
const hostileSeed = () => rig.seedFor(rig.hostile.pubkey, 'token');
const files = () => readdirSync(rig.folder).toSorted();
const hexOf = (pairing: Pairing | undefined) =>
  pairing && Buffer.from(pairing.clientKey.reveal()).toString('hex');
const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => new Error('it was paired'),
    (error: unknown) => error,
  );

/** Pairs with an old bunker first, so that there is something to lose. */
async function pairedBefore(): Promise<Pairing> {
  const old = await rig.run(goodSeed());
  rig.read.length = 0;
  rig.progress.length = 0;
  return old;
}

describe('a pairing', () => {
  test('connects once, proves identity and signature, and is sealed on the disk', async () => {
    const seed = goodSeed();
    const pairing = await rig.run(seed);
    expect(rig.methods()).toEqual(['connect', 'get_public_key', 'sign_event', 'switch_relays']);
    expect(rig.progress.map(({ kind }) => kind)).toEqual(['connecting', 'redeemed', 'paired']);
    expect(files()).toEqual(['pairing.json']);
    const loaded = rig.file().load();
    expect(loaded).toMatchObject({
      state: 'bound',
      spirePubkey: rig.bunker.pubkey,
      bunkerPubkey: rig.bunker.pubkey,
      operatorPubkey: rig.arguments.operatorPubkey,
      transportPubkey: rig.arguments.transportPubkey,
      walletId: 'wallet-1',
      bunkerRelays: [rig.network.url],
      rpcRelays: [rig.network.url],
      documentRelays: [rig.network.url],
      token: { state: 'spent' },
    });
    expect(hexOf(loaded)).toBe(hexOf(pairing));
    const secrets = [hexOf(pairing) ?? '', seed.secret.reveal()];
    const disk = readFileSync(join(rig.folder, 'pairing.json'), 'utf8');
    for (const secret of secrets) {
      expect(disk).not.toContain(secret);
      expect(rig.lines.join()).not.toContain(secret);
      expect(JSON.stringify(rig.progress)).not.toContain(secret);
    }
  });

  test('key and token state are on the disk before the bunker hears of them', async () => {
    const atEach = new Map<string, Pairing | undefined>();
    rig.hostile.behaviour = (request, bunker) => {
      const next = rig.file().load('next');
      if (!atEach.has(request.method)) atEach.set(request.method, next);
      const key = next?.clientKey.reveal();
      if (request.method !== 'switch_relays') {
        expect(key && rig.crypto.publicKeyOf(key)).toBe(request.client);
        expect(rig.file().load()).toBeUndefined();
      }
      return honest(request, bunker);
    };
    await rig.run(hostileSeed());
    expect(atEach.get('connect')?.token.state).toBe('sent');
    expect(atEach.get('get_public_key')?.token.state).toBe('spent');
    expect(atEach.get('sign_event')?.state).toBe('binding');
  });

  test('takes npubs, and refuses what is no key, the own key, or no wallet id', async () => {
    const seed = goodSeed();
    const { operatorPubkey } = rig.arguments;
    rig.arguments.operatorPubkey = npubOf(operatorPubkey);
    expect(await rig.run(seed)).toMatchObject({ operatorPubkey });
    for (const wrong of ['npub1', '', rig.bunker.pubkey]) {
      rig.arguments.operatorPubkey = wrong;
      expect(await failure(rig.run(seed))).toMatchObject({ code: 'invalidData' });
    }
    rig.arguments.operatorPubkey = operatorPubkey;
    for (const walletId of ['', 'a b', 'x'.repeat(200)]) {
      expect(await failure(rig.run(seed, { walletId }))).toMatchObject({ code: 'invalidData' });
    }
    expect(files()).toEqual(['pairing.json']);
  });

  test('the secret itself is an acknowledgement; something else is none', async () => {
    rig.hostile.script.push((request) => rig.hostile.reply(request, { result: 'token' }));
    expect(await rig.run(hostileSeed())).toMatchObject({ state: 'bound' });
    rig.hostile.behaviour = (request) => rig.hostile.reply(request, { result: 'welcome' });
    const error = await failure(rig.run(rig.seedFor(rig.hostile.pubkey, 'token2')));
    expect(error).toMatchObject({ name: 'RelayError', code: 'timeOut' });
    expect(String(error)).toContain('neither "ack" nor the secret');
  });

  test('an auth_url is shown and waited for', async () => {
    const url = 'https://bunker.example/allow';
    rig.hostile.script.push(async (request, bunker) => {
      await bunker.reply(request, { result: 'auth_url', error: url });
      rig.clock.after(300_000, () => void honest(request, bunker));
    });
    expect(await rig.run(hostileSeed())).toMatchObject({ state: 'bound' });
    expect(rig.progress).toContainEqual({ kind: 'authUrl', url });
  });
});

describe('the same seed again', () => {
  test('after success: the same client key, no connect, and new arguments', async () => {
    const seed = goodSeed();
    const first = await rig.run(seed);
    const second = await rig.run(seed, { walletId: 'wallet-2' });
    expect(hexOf(second)).toBe(hexOf(first));
    expect(second.walletId).toBe('wallet-2');
    expect(rig.methods().filter((method) => method === 'connect')).toHaveLength(1);
    expect(rig.file().load()?.walletId).toBe('wallet-2');
  });

  test('after a silent bunker: the same client key', async () => {
    const seed = goodSeed();
    rig.bunker.policy.switches.silent = true;
    const error = await failure(rig.run(seed));
    expect(error).toMatchObject({ name: 'RelayError', code: 'timeOut' });
    expect(String(error)).toContain('Signer Unreachable');
    expect(rig.progress.filter(({ kind }) => kind === 'connecting')).toHaveLength(3);
    expect(files()).toEqual(['pairing.new.json']);
    const key = hexOf(rig.file().load('next'));
    rig.bunker.policy.switches.silent = false;
    expect(hexOf(await rig.run(seed))).toBe(key);
    expect(files()).toEqual(['pairing.json']);
  });

  test('a lost acknowledgement: a signature tells, and connect is not repeated', async () => {
    let lost = 0;
    rig.faults.drop = (event, direction) =>
      direction === 'down' && event.kind === kinds.remoteSigning && lost++ === 0;
    expect(await rig.run(goodSeed())).toMatchObject({ token: { state: 'spent' } });
    expect(rig.methods()).toEqual([
      ...['connect', 'sign_event', 'get_public_key', 'sign_event', 'switch_relays'],
    ]);
  });

  test('a connect that was lost is tried again after a signature told so', async () => {
    let lost = 0;
    rig.faults.drop = (event, direction) =>
      direction === 'up' && event.kind === kinds.remoteSigning && lost++ === 0;
    expect(await rig.run(goodSeed())).toMatchObject({ token: { state: 'spent' } });
    expect(rig.methods().slice(0, 2)).toEqual(['sign_event', 'connect']);
    expect(rig.methods().filter((method) => method === 'connect')).toHaveLength(1);
  });

  test('ack and probe lost: "already redeemed" is ours, as a signature tells', async () => {
    let lost = 0;
    rig.faults.drop = (event, direction) =>
      direction === 'down' && event.kind === kinds.remoteSigning && lost++ < 2;
    expect(await rig.run(goodSeed())).toMatchObject({ state: 'bound' });
    expect(rig.methods().slice(0, 3)).toEqual(['connect', 'sign_event', 'connect']);
  });
});

describe('a seed that cannot be used', () => {
  test('spent by another: said so, not sent again, and the old pairing stays', async () => {
    const old = await pairedBefore();
    const seed = goodSeed();
    rig.bunker.policy.redeem('another client', seed.secret.reveal());
    rig.bunker.policy.switches.ungranted = 'refuse';
    const error = await failure(rig.run(seed));
    expect(error).toMatchObject({ name: 'ConfigError', code: 'refused' });
    expect(String(error)).toContain('has been used already');
    expect(await failure(rig.run(seed))).toMatchObject({ name: 'ConfigError', code: 'refused' });
    expect(rig.methods().filter((method) => method === 'connect')).toHaveLength(1);
    expect(hexOf(rig.file().load())).toBe(hexOf(old));
  });

  test.each(['Token not found', 'Token expired', 'Not authorized'])(
    'refused with "%s": the words, and what to do',
    async (words) => {
      rig.hostile.behaviour = refusing(words);
      const error = await failure(rig.run(hostileSeed()));
      expect(error).toMatchObject({ name: 'ConfigError', code: 'refused' });
      expect(String(error)).toContain(`Pairing Required: it does not accept the seed: ${words}`);
      expect(String(error)).toContain('make a new seed');
      expect(rig.hostile.methods).toEqual(['connect', 'sign_event']);
    },
  );

  test('foreign: the bunker signs as another, and nothing is kept', async () => {
    const old = await pairedBefore();
    const other = rig.crypto.publicKeyOf(rig.random.bytes(32));
    const seed = rig.seedFor(rig.hostile.pubkey, 'token', { spirePubkey: other });
    const error = await failure(rig.run(seed));
    expect(error).toMatchObject({ name: 'ConfigError', code: 'refused' });
    expect(String(error)).toContain(`signs as ${rig.hostile.pubkey}`);
    expect(String(error)).toContain(`the seed is for ${other}`);
    expect(files()).toEqual(['pairing.json']);
    expect(hexOf(rig.file().load())).toBe(hexOf(old));
  });

  test.each<[string, () => void, object]>([
    [
      'alters what it signs',
      () => {
        rig.hostile.alter = (template) => ({ ...template, tags: [] });
      },
      { name: 'ConfigError', code: 'fraudAttempt' },
    ],
    [
      'refuses to sign',
      () => {
        rig.hostile.behaviour = (request, bunker) =>
          (request.method === 'sign_event' ? refusing('Not authorized') : honest)(request, bunker);
      },
      { name: 'ConfigError', code: 'refused' },
    ],
    [
      'does not sign',
      () => {
        rig.hostile.behaviour = (request, bunker) =>
          (request.method === 'sign_event' ? silent : honest)(request, bunker);
      },
      { name: 'RelayError', code: 'timeOut' },
    ],
    [
      'does not say who it is',
      () => {
        rig.hostile.behaviour = (request, bunker) =>
          request.method === 'get_public_key'
            ? bunker.reply(request, { result: null })
            : honest(request, bunker);
      },
      { name: 'RelayError', code: 'timeOut' },
    ],
  ])('a bunker that acknowledges and then %s', async (_name, prepare, expected) => {
    const old = await pairedBefore();
    prepare();
    expect(await failure(rig.run(hostileSeed()))).toMatchObject(expected);
    expect(hexOf(rig.file().load())).toBe(hexOf(old));
    // The token is spent: when the bunker mends its ways, the same seed works without a connect.
    rig.hostile.behaviour = honest;
    rig.hostile.alter = (template) => template;
    expect(await rig.run(hostileSeed())).toMatchObject({ spirePubkey: rig.hostile.pubkey });
    expect(rig.hostile.methods.filter((method) => method === 'connect')).toHaveLength(1);
  });

  test('no relay at all', async () => {
    rig.faults.drop = () => true;
    expect(await failure(rig.run(goodSeed()))).toMatchObject({ code: 'timeOut' });
    expect(rig.clock.monotonic()).toBeLessThan(100_000);
  });
});

describe('files that are in the way', () => {
  test('a damaged pairing is left aside', async () => {
    for (const name of ['pairing.json', 'pairing.new.json']) {
      writeFileSync(join(rig.folder, name), 'damaged');
    }
    expect(await rig.run(goodSeed())).toMatchObject({ state: 'bound' });
    expect(files()).toEqual(['pairing.json']);
  });
});

describe('switch_relays', () => {
  const switching = (result: unknown) => {
    rig.hostile.behaviour = (request, bunker) =>
      request.method === 'switch_relays'
        ? bunker.reply(request, { result })
        : honest(request, bunker);
  };

  test('the bunker’s wish is kept, with the old relays as fallback', async () => {
    const wanted = ['wss://new.example', 'wss://newer.example'];
    switching(JSON.stringify(wanted));
    await rig.run(hostileSeed());
    const pairing = rig.file().load();
    expect(pairing).toMatchObject({
      bunkerRelays: wanted,
      fallbackBunkerRelays: [rig.network.url],
      rpcRelays: [rig.network.url],
    });
    expect(pairing && bunkerRelaysOf(pairing)).toEqual([...wanted, rig.network.url]);
  });

  test.each([
    ['null', null],
    ['no JSON', 'nothing'],
    ['an empty list', '[]'],
    ['a private relay', '["ws://127.0.0.1"]'],
    ['no addresses', '[1,2]'],
    ['too many', JSON.stringify(Array(9).fill('wss://r.example'))],
    ['the same', '["wss://relay.memory.example"]'],
  ])('%s changes nothing', async (_name, result) => {
    switching(result);
    await rig.run(hostileSeed());
    expect(rig.file().load()).toMatchObject({
      bunkerRelays: [rig.network.url],
      fallbackBunkerRelays: [],
    });
  });

  test('silence costs 3 s and nothing else', async () => {
    rig.hostile.behaviour = (request, bunker) =>
      (request.method === 'switch_relays' ? silent : honest)(request, bunker);
    expect(await rig.run(hostileSeed())).toMatchObject({ state: 'bound' });
    expect(rig.clock.monotonic()).toBeLessThan(4_000);
  });
});

describe('cut anywhere', () => {
  beforeEach(() => {
    rig.end();
    rig = pairingRig(cheapCrypto);
  });

  test('at every step on the disk: old or new in force, and the seed works', async () => {
    const old = await pairedBefore();
    let cut = 0;
    for (let isCut = true; isCut; cut++) {
      rig.read.length = 0;
      rig.file().save(old);
      const seed = goodSeed();
      const crash = crashingSteps(cut);
      const first = await failure(rig.run(seed, { steps: crash.steps }));
      isCut = crash.wasCut();
      if (isCut) expect(String(first)).toContain('power cut');
      const current = rig.file().load();
      if (hexOf(current) !== hexOf(old)) {
        expect(current).toMatchObject({ state: 'bound', token: { state: 'spent' } });
      }
      const again = await rig.run(seed);
      expect(hexOf(rig.file().load())).toBe(hexOf(again));
      expect(again.state).toBe('bound');
      expect(files()).toEqual(['pairing.json']);
      // The bunker never heard the token twice, wherever it was cut.
      expect(rig.methods().filter((method) => method === 'connect')).toHaveLength(1);
    }
    expect(cut).toBeGreaterThan(30);
  });

  test('at every message: the seed still works with the same client key', async () => {
    for (let cut = 0; cut < 8; cut++) {
      const seed = goodSeed();
      let passed = 0;
      // From the cut on nothing passes, as when the plug is pulled.
      rig.faults.drop = (event) => event.kind === kinds.remoteSigning && passed++ >= cut;
      const first = await failure(rig.run(seed));
      const before = rig.file().load('next') ?? rig.file().load();
      rig.faults.drop = () => false;
      const again = await rig.run(seed);
      expect(hexOf(again)).toBe(hexOf(before));
      expect(again.state).toBe('bound');
      expect(first).toBeInstanceOf(Error);
    }
  });
});

describe('in service', () => {
  test('the signer of a pairing signs at once, and never connects', async () => {
    const pairing = await rig.run(goodSeed());
    rig.read.length = 0;
    const { clock, random, log, crypto, network } = rig;
    const relays = network.client();
    const signer = openBunkerSigner(pairing, { relays, clock, random, log, crypto });
    await clock.advance(5_000);
    expect(rig.methods()).toEqual([]);
    expect(await clock.resolve(signer.probe())).toMatchObject({ kind: 'ok' });
    expect(signer.pubkey).toBe(rig.bunker.pubkey);
    expect(rig.methods()).toEqual(['sign_event']);
    rig.bunker.policy.revoke(rig.crypto.publicKeyOf(pairing.clientKey.reveal()));
    await clock.advance(10_000);
    expect(await clock.resolve(signer.probe())).toEqual({
      kind: 'refused',
      reason: 'Pairing Required: Not authorized',
    });
    await clock.advance(3_600_000);
    expect(new Set(rig.methods())).toEqual(new Set(['sign_event']));
    await signer.close();
  });

  test('an unfinished pairing opens nothing', async () => {
    const pairing = await rig.run(goodSeed());
    const { clock, random, log, network } = rig;
    expect(() =>
      openBunkerSigner(
        { ...pairing, state: 'binding' },
        { relays: network.client(), clock, random, log },
      ),
    ).toThrow(/run `spire pair` again/);
  });
});
