import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { verifyEvent } from 'nostr-tools/pure';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock as clock, systemRandom as random } from '#protocol/base/clock.ts';
import { silentLog as log } from '#protocol/base/log.ts';
import { Secret } from '#protocol/base/secret.ts';
import { kinds } from '#protocol/event.ts';
import { openBunkerSigner } from '#protocol/pairing/open-signer.ts';
import { type MakeRelays, pair } from '#protocol/pairing/pair.ts';
import { bunkerRelaysOf, type Pairing } from '#protocol/pairing/pairing.ts';
import { PairingFile } from '#protocol/pairing/pairing-file.ts';
import { formatSeed, parseSeed } from '#protocol/pairing/seed.ts';
import { RelayPool } from '#protocol/relay/pool.ts';
import { authenticateWithKey } from '#protocol/signer/authenticate.ts';
import { createNostrCrypto } from '#protocol/signer/nostr-crypto.ts';
import { startBunker } from '#protocol/simulator/bunker.ts';
import { type SimulatedBunker, spirePolicy } from '#protocol/simulator/bunker-policy.ts';
import { type SimulatedRelay, startRelay } from '#protocol/simulator/relay.ts';

const crypto = createNostrCrypto(random);
const key = () => random.bytes(32);
let relay: SimulatedRelay;
let bunker: SimulatedBunker;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'spire-real-bunker-'));
  relay = await startRelay({ clock, log });
  bunker = await startBunker({ relayUrls: [relay.url], clock, random, log, secretKey: key() });
  // What no rule grants is silence, and would cost every pairing here 3 s.
  bunker.policy.rules = [...spirePolicy, { method: 'switch_relays' }];
});
afterAll(async () => {
  await bunker.stop();
  await relay.stop();
  rmSync(folder, { recursive: true });
});

const makeRelays: MakeRelays = (urls, auth) => new RelayPool({ urls, auth, clock, random, log });

/** A seed as the wallet makes it, with a fresh token. */
function seedText(token = bunker.policy.mintToken()): string {
  return formatSeed({
    ...{ spirePubkey: bunker.pubkey, bunkerPubkey: bunker.pubkey },
    ...{ bunkerRelays: [relay.url], relays: [relay.url], secret: new Secret(token) },
  });
}

const pairWith = (seed: string, name: string): Promise<Pairing> =>
  pair({
    seed: parseSeed(seed, { allowPrivateRelays: true }),
    operatorPubkey: crypto.publicKeyOf(key()),
    transportPubkey: crypto.publicKeyOf(key()),
    walletId: 'wallet',
    allowPrivateRelays: true,
    file: new PairingFile({ path: join(folder, `${name}.json`), random, log }),
    ...{ makeRelays, clock, random, log },
  });

/** A signer in service, and its end. */
function serve(pairing: Pairing) {
  const auth = authenticateWithKey({ key: pairing.clientKey, clock, crypto });
  const relays = makeRelays(bunkerRelaysOf(pairing), auth);
  const signer = openBunkerSigner(pairing, { relays, clock, random, log });
  const end = async () => {
    await signer.close();
    await relays.close();
  };
  return { signer, relays, end };
}

const template = () => ({
  kind: kinds.rpc,
  created_at: Math.floor(clock.now() / 1000),
  tags: [['p', bunker.pubkey]],
  content: 'hello',
});

describe('NDK’s bunker on a real relay', () => {
  test('pairs, signs, encrypts, decrypts, and knows us after a restart', async () => {
    const seed = seedText();
    const pairing = await pairWith(seed, 'whole');
    expect(pairing).toMatchObject({ state: 'bound', spirePubkey: bunker.pubkey });
    const { signer, end } = serve(pairing);
    const event = await signer.sign(template());
    expect(verifyEvent({ ...event })).toBe(true);
    expect(event.pubkey).toBe(bunker.pubkey);
    const peer = key();
    const payload = await signer.encrypt(crypto.publicKeyOf(peer), 'to you');
    expect(crypto.decrypt(peer, bunker.pubkey, payload)).toBe('to you');
    const answer = crypto.encrypt(peer, bunker.pubkey, 'to me');
    expect(await signer.decrypt(crypto.publicKeyOf(peer), answer)).toBe('to me');
    await bunker.restart();
    expect(await signer.probe()).toMatchObject({ kind: 'ok' });
    await end();
    const again = serve(pairing);
    expect(await again.signer.probe()).toMatchObject({ kind: 'ok' });
    await again.end();
  });

  test('the largest texts pass there and back', async () => {
    const { signer, end } = serve(await pairWith(seedText(), 'large'));
    const text = 'x'.repeat(24_576);
    const payload = await signer.encrypt(bunker.pubkey, text);
    expect(await signer.decrypt(bunker.pubkey, payload)).toBe(text);
    const signed = await signer.sign({ ...template(), content: payload });
    expect(signed.content).toBe(payload);
    await end();
  });

  test('the same seed again connects no more; another machine is refused', async () => {
    const seed = seedText();
    const first = await pairWith(seed, 'first');
    const again = await pairWith(seed, 'first');
    expect(Buffer.from(again.clientKey.reveal()).equals(first.clientKey.reveal())).toBe(true);
    bunker.policy.switches.ungranted = 'refuse';
    await expect(pairWith(seed, 'second')).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringContaining('has been used already'),
    });
    await expect(pairWith(seedText('never-minted'), 'third')).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringContaining('Token not found'),
    });
    bunker.policy.switches.ungranted = 'silent';
  });

  test('what NDK adds to an event is seen', async () => {
    const { signer, end } = serve(await pairWith(seedText(), 'altered'));
    const document = { ...template(), kind: kinds.document, tags: [] };
    await expect(signer.sign(document)).rejects.toMatchObject({
      code: 'fraudAttempt',
      message: expect.stringContaining('the tags differ'),
    });
    expect(await signer.sign({ ...document, tags: [['d', 'x']] })).toMatchObject({
      tags: [['d', 'x']],
    });
    await end();
  });

  test('a revoked key is Pairing Required; an auth challenge tells its address', async () => {
    const pairing = await pairWith(seedText(), 'revoked');
    const { signer, end } = serve(pairing);
    const url = 'https://bunker.example/allow';
    bunker.policy.switches.authUrl = url;
    expect(await signer.probe()).toEqual({ kind: 'authUrl', url });
    bunker.policy.switches.authUrl = undefined;
    await end();
    const after = serve(pairing);
    bunker.policy.revoke(crypto.publicKeyOf(pairing.clientKey.reveal()));
    expect(await after.signer.probe()).toEqual({
      kind: 'refused',
      reason: 'Pairing Required: Not authorized',
    });
    await after.end();
  });

  test('on a relay that asks for authentication the client key answers', async () => {
    const closed = await startRelay({ clock, log });
    const { relays, end } = serve({
      ...(await pairWith(seedText(), 'auth')),
      bunkerRelays: [closed.url],
    });
    closed.switches.requireAuth = true;
    const results = await relays.publish(
      crypto.sign(key(), { ...template(), kind: kinds.remoteSigning }),
      5_000,
    );
    expect(results).toMatchObject([{ outcome: 'accepted' }]);
    await end();
    await closed.stop();
  });
});
