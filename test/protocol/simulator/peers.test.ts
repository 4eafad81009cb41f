/** One contract for both kinds of peers: NDK and @nostr-relay on real time, and ours on `Clock`. */
import { verifyEvent } from 'nostr-tools/pure';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock, systemRandom } from '#protocol/base/clock.ts';
import { createLog } from '#protocol/base/log.ts';
import type { EventTemplate, SignedEvent } from '#protocol/event.ts';
import { RelayPool } from '#protocol/relay/pool.ts';
import type { Relays } from '#protocol/relay/relay.ts';
import { createNostrCrypto, newSecretKey } from '#protocol/signer/nostr-crypto.ts';
import { startBunker } from '#protocol/simulator/bunker.ts';
import type { SimulatedBunker } from '#protocol/simulator/bunker-policy.ts';
import { createInvoiceMaker } from '#protocol/simulator/keeper/bolt11.ts';
import { startKeeper } from '#protocol/simulator/keeper.ts';
import { startMemoryBunker } from '#protocol/simulator/memory-bunker.ts';
import { MemoryNetwork } from '#protocol/simulator/memory-network.ts';
import { startRelay } from '#protocol/simulator/relay.ts';
import {
  listen,
  type Peer,
  RawBunkerClient,
  RawIdentity,
  RawSocket,
  RawWalletClient,
  stored,
} from './raw-client.ts';

/** One kind of relay and bunker. */
interface Peers {
  connect(): Promise<Peer>;
  relays(): Relays;
  bunker(secretKey: Uint8Array): Promise<SimulatedBunker>;
}

type Stop = () => Promise<void> | void;

const stops: Stop[] = [];
const clock = systemClock;
const random = systemRandom;
/** Hears the lines of the peers' logs, so that a test can wait for what leaves no other trace. */
let onLogLine: (line: string) => void = () => undefined;
const log = createLog('debug', {
  write: (line: string) => {
    onLogLine(line);
  },
});
const logged = (text: string): Promise<void> =>
  new Promise((resolve) => {
    onLogLine = (line) => {
      if (line.includes(text)) resolve();
    };
  });
const crypto = createNostrCrypto(random);
const nowSec = () => Math.floor(clock.now() / 1000);

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function loopbackPeers(): Promise<Peers> {
  const relay = await startRelay({ clock, log });
  stops.push(() => relay.stop());
  return {
    connect: async () => {
      const socket = await RawSocket.open(relay.url);
      stops.push(() => socket.close());
      return socket;
    },
    relays: () => {
      const pool = new RelayPool({ clock, random, log, urls: [relay.url] });
      stops.push(() => pool.close());
      return pool;
    },
    bunker: async (secretKey) => {
      const bunker = await startBunker({ clock, random, log, secretKey, relayUrls: [relay.url] });
      stops.push(() => bunker.stop());
      return bunker;
    },
  };
}

async function memoryPeers(): Promise<Peers> {
  const network = new MemoryNetwork({ clock, verify: crypto.verify });
  const relays = () => {
    const client = network.client({ latencyMs: () => 1 });
    stops.push(() => client.close());
    return client;
  };
  return {
    connect: async () => relays(),
    relays,
    bunker: async (secretKey) => {
      const bunker = startMemoryBunker({ clock, random, log, crypto, secretKey, relays: relays() });
      stops.push(() => bunker.stop());
      return bunker;
    },
  };
}

const template = (kind: number, more: Partial<EventTemplate> = {}): EventTemplate => ({
  kind,
  created_at: nowSec(),
  tags: [],
  content: 'hello',
  ...more,
});

describe.each([
  { kind: 'loopback', start: loopbackPeers },
  { kind: 'memory', start: memoryPeers },
])('a relay of kind $kind', ({ start }) => {
  it('forwards a live event to whom its tag names and to nobody else', async () => {
    const peers = await start();
    const [sender, receiver] = [await peers.connect(), await peers.connect()];
    const alice = new RawIdentity();
    const mine: string[] = [];
    const others: string[] = [];
    const both = Promise.withResolvers<void>();
    await listen(receiver, { kinds: [21000], '#p': [alice.pubkey] }, ({ content }) => {
      mine.push(content);
      if (content === 'last') both.resolve();
    });
    const other = 'ab'.repeat(32);
    await listen(receiver, { '#p': [other] }, ({ content }) => others.push(content));
    for (const content of ['first', 'last']) {
      const event = alice.sign(template(21000, { content, tags: [['p', alice.pubkey]] }));
      expect(await sender.publish(event)).toMatchObject([{ outcome: 'accepted' }]);
    }
    await both.promise;
    expect(mine).toEqual(['first', 'last']);
    expect(others).toEqual([]);
  });

  it('keeps no ephemeral event', async () => {
    const peers = await start();
    const peer = await peers.connect();
    const alice = new RawIdentity();
    await peer.publish(alice.sign(template(21000)));
    expect(await stored(peer, { authors: [alice.pubkey] })).toEqual([]);
  });

  it('keeps one document per author and d tag: the newest, then the lowest id', async () => {
    const peers = await start();
    const peer = await peers.connect();
    const alice = new RawIdentity();
    const at = nowSec();
    const make = (content: string, created_at: number) =>
      alice.sign(template(30078, { content, created_at, tags: [['d', 'x']] }));
    const twins = [make('a', at), make('b', at)].sort((a, b) => (a.id < b.id ? -1 : 1));
    const [low, high] = twins;
    const older = make('c', at - 5);
    for (const order of [
      [older, high, low],
      [low, high, older],
    ]) {
      for (const event of order) if (event) await peer.publish(event);
      const heads = await stored(peer, { kinds: [30078], authors: [alice.pubkey] });
      expect(heads.map(({ id }) => id)).toEqual([low?.id]);
    }
    expect(await peer.publish(older)).toMatchObject([
      { outcome: 'accepted', reason: expect.stringMatching(/^duplicate:/) },
    ]);
  });

  it.each([
    ['a broken signature', {}, { sig: '00'.repeat(64) }],
    ['altered content', {}, { content: 'altered' }],
    ['a document an hour ahead', { created_at: nowSec() + 3600 }, {}],
    ['an event past its expiration', { tags: [['expiration', String(nowSec() - 5)]] }, {}],
    ['an ephemeral event 90 s old', { kind: 21000, created_at: nowSec() - 90 }, {}],
  ])('refuses %s', async (_name, more, damage) => {
    const peers = await start();
    const peer = await peers.connect();
    const event = { ...new RawIdentity().sign(template(30078, more)), ...damage };
    expect(await peer.publish(event)).toMatchObject([{ outcome: 'refused' }]);
    expect(await stored(peer, { authors: [event.pubkey] })).toEqual([]);
  });

  it('takes a document of any age', async () => {
    const peers = await start();
    const peer = await peers.connect();
    const event = new RawIdentity().sign(template(30078, { created_at: 1_700_000_000 }));
    expect(await peer.publish(event)).toMatchObject([{ outcome: 'accepted' }]);
    expect(await stored(peer, { ids: [event.id] })).toEqual([event]);
  });
});

describe.each([
  { kind: 'loopback', start: loopbackPeers },
  { kind: 'memory', start: memoryPeers },
])('a bunker of kind $kind', ({ start }) => {
  const setUp = async () => {
    const peers = await start();
    const spire = new RawIdentity();
    const bunker = await peers.bunker(spire.secretKey);
    const open = async () => RawBunkerClient.open(await peers.connect(), bunker.pubkey, nowSec);
    const client = await open();
    const pair = () => client.request('connect', [bunker.pubkey, bunker.policy.mintToken()]);
    return { spire, bunker, open, client, pair };
  };

  it('answers get_public_key to anyone, with the identity it signs for', async () => {
    const { client, spire, bunker } = await setUp();
    expect(await client.request('get_public_key')).toMatchObject({ result: spire.pubkey });
    expect(bunker.pubkey).toBe(spire.pubkey);
  });

  it('takes a token once, and keeps the binding', async () => {
    const { client, bunker, open } = await setUp();
    const token = bunker.policy.mintToken();
    expect(await client.request('connect', [bunker.pubkey, token])).toMatchObject({
      result: 'ack',
    });
    const again = await client.request('connect', [bunker.pubkey, token]);
    expect(again.error).toBe('Token already redeemed');
    const thief = await open();
    const stolen = await thief.request('connect', [bunker.pubkey, token]);
    expect(stolen.error).toBe('Token already redeemed');
    const unknown = await thief.request('connect', [bunker.pubkey, 'guess']);
    expect(unknown.error).toBe('Token not found');
    expect((await client.request('connect', [bunker.pubkey])).result).toBe('ack');
    expect((await client.sign(template(21000))).error).toBeUndefined();
  });

  it('signs exactly what was asked for, as the machine', async () => {
    const { client, pair, spire } = await setUp();
    await pair();
    const asked = template(21000, { tags: [['p', spire.pubkey]], created_at: 1_700_000_000 });
    const signed: SignedEvent = JSON.parse((await client.sign(asked)).result);
    expect(signed).toMatchObject({ ...asked, pubkey: spire.pubkey });
    expect(verifyEvent(signed)).toBe(true);
  });

  it('adds a d tag to a document without one, as NDK does', async () => {
    const { client, pair } = await setUp();
    await pair();
    const signed: SignedEvent = JSON.parse((await client.sign(template(30078))).result);
    expect(signed.tags).toEqual([['d', expect.any(String)]]);
  });

  it('encrypts and decrypts for the machine', async () => {
    const { client, pair, spire } = await setUp();
    await pair();
    const peer = new RawIdentity();
    const sealed = await client.request('nip44_encrypt', [peer.pubkey, 'for the peer']);
    expect(peer.decrypt(spire.pubkey, sealed.result)).toBe('for the peer');
    const reply = peer.encrypt(spire.pubkey, 'for the machine');
    const opened = await client.request('nip44_decrypt', [peer.pubkey, reply]);
    expect(opened.result).toBe('for the machine');
  });

  it('never answers what was not granted, nor whom it does not know', async () => {
    const { client, pair, open } = await setUp();
    const stranger = await open();
    void stranger.sign(template(21000));
    await pair();
    void client.sign(template(1));
    void client.sign(template(30079));
    void client.request('ping');
    void client.request('nip04_encrypt', ['ab'.repeat(32), 'x']);
    expect((await client.sign(template(22242))).error).toBeUndefined();
    await stranger.request('get_public_key');
    expect(client.replies.map(({ id }) => id)).toEqual(['connect-1', 'sign_event-6']);
    expect(stranger.replies.map(({ id }) => id)).toEqual(['get_public_key-2']);
  });

  it('refuses at once what was not granted when it is set to', async () => {
    const { client, pair, bunker } = await setUp();
    bunker.policy.switches.ungranted = 'refuse';
    await pair();
    expect((await client.sign(template(1))).error).toBe('Not authorized');
  });

  it('refuses everything to a revoked client', async () => {
    const { client, pair, bunker } = await setUp();
    await pair();
    bunker.policy.revoke(client.identity.pubkey);
    expect(await client.sign(template(21000))).toMatchObject({ error: 'Not authorized' });
    const sealed = await client.request('nip44_encrypt', [bunker.pubkey, 'x']);
    expect(sealed.error).toBe('Not authorized');
  });

  it('refuses when the token behind the binding has lapsed or was revoked', async () => {
    const { client, bunker, open } = await setUp();
    const token = bunker.policy.mintToken();
    await client.request('connect', [bunker.pubkey, token]);
    bunker.policy.revokeToken(token);
    expect((await client.sign(template(21000))).error).toBe('Not authorized');
    const late = await open();
    const spent = await late.request('connect', [bunker.pubkey, bunker.policy.mintToken(-1)]);
    expect(spent.error).toBe('Token expired');
  });

  it('is silent when a cap is used up', async () => {
    const { client, pair, bunker } = await setUp();
    bunker.policy.cap({ method: 'sign_event', eventKind: 21000, maxUsageCount: 2 });
    await pair();
    await client.sign(template(21000));
    await client.sign(template(21000));
    void client.sign(template(21000));
    expect((await client.sign(template(30078))).error).toBeUndefined();
    expect(client.replies.map(({ id }) => id)).not.toContain('sign_event-4');
  });

  it('hears nothing while silent, and goes on afterwards', async () => {
    const { client, pair, bunker } = await setUp();
    await pair();
    bunker.policy.switches.silent = true;
    const dropped = logged('bunker is silent');
    void client.sign(template(21000));
    await dropped;
    bunker.policy.switches.silent = false;
    expect((await client.sign(template(21000))).error).toBeUndefined();
    expect(client.replies.map(({ id }) => id)).toEqual(['connect-1', 'sign_event-3']);
  });

  it('sends a person to a URL', async () => {
    const { client, pair, bunker } = await setUp();
    await pair();
    bunker.policy.switches.authUrl = 'https://bunker.example/allow';
    expect(await client.sign(template(21000))).toMatchObject({
      result: 'auth_url',
      error: 'https://bunker.example/allow',
    });
  });

  it('survives garbage from a stranger and knows its clients after a restart', async () => {
    const { client, pair, bunker, open } = await setUp();
    await pair();
    const stranger = await open();
    void stranger.request('sign_event', ['no JSON']);
    await bunker.restart();
    expect((await client.sign(template(21000))).error).toBeUndefined();
  });
});

describe.each([
  { kind: 'loopback', start: loopbackPeers },
  { kind: 'memory', start: memoryPeers },
])('the wallet stand-in over a relay of kind $kind', ({ start }) => {
  it('gives the golden figures for a withdraw: 82,386 less 2,472 and 4,119 is 75,795', async () => {
    const peers = await start();
    const spire = new RawIdentity();
    const keeper = startKeeper({
      relays: peers.relays(),
      clock,
      random,
      crypto,
      log,
      invoices: createInvoiceMaker(newSecretKey(random)),
      spirePubkey: spire.pubkey,
      keys: { transport: newSecretKey(random), operator: newSecretKey(random) },
      lnurlBase: 'https://wallet.example',
    });
    stops.push(() => keeper.stop());
    await keeper.listening;
    keeper.fund(1_000_000);
    const peer = await peers.connect();
    const client = await RawWalletClient.open(peer, keeper.transportPubkey, nowSec, spire);
    const { body, event } = await client.call('create_withdraw', { principal_sats: 82_386 });
    expect(body).toEqual({
      status: 'OK',
      request_id: 'create_withdraw',
      data: {
        lnurl: expect.stringMatching(/^LNURL1[02-9AC-HJ-NP-Z]+$/),
        lnurl_url: expect.stringMatching(/^https:\/\/wallet\.example\//),
      },
    });
    expect(event.tags).toContainEqual(['p', spire.pubkey]);
    expect(keeper.books().withdrawLinks).toMatchObject([
      { principalSats: 82_386, feeSats: 2_472 + 4_119, netSats: 75_795, state: 'open' },
    ]);
  });
});
