import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock, systemRandom } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import type { SignedEvent } from '#protocol/event.ts';
import { startBunker } from '#protocol/simulator/bunker.ts';
import { type SimulatedRelay, startRelay } from '#protocol/simulator/relay.ts';
import { listen, RawBunkerClient, RawIdentity, RawSocket, stored } from './raw-client.ts';

const stops: (() => Promise<void>)[] = [];
const nowSec = () => Math.floor(systemClock.now() / 1000);

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function start(options: { file?: string; port?: number } = {}): Promise<SimulatedRelay> {
  const relay = await startRelay({ clock: systemClock, log: silentLog, ...options });
  stops.push(() => relay.stop());
  return relay;
}

async function connect(relay: SimulatedRelay): Promise<RawSocket> {
  const socket = await RawSocket.open(relay.url);
  stops.push(() => socket.close());
  return socket;
}

const alice = new RawIdentity();

function make(kind: number, tags: string[][] = [], content = ''): SignedEvent {
  return alice.sign({ kind, created_at: nowSec(), tags, content });
}

/** Answers the challenge that the relay has sent (NIP-42). */
function authenticate(socket: RawSocket, relay: SimulatedRelay): void {
  const [[, challenge] = []] = socket.frames.filter(([type]) => type === 'AUTH');
  const tags = [
    ['relay', relay.url],
    ['challenge', String(challenge)],
  ];
  socket.send(['AUTH', make(22242, tags)]);
}

describe('the loopback relay', () => {
  it('delivers against the tag filter when told to over-deliver', async () => {
    const relay = await start();
    relay.switches.overDeliver = true;
    const socket = await connect(relay);
    const heard = Promise.withResolvers<SignedEvent>();
    await listen(socket, { kinds: [21000], '#p': ['ab'.repeat(32)] }, heard.resolve);
    const event = make(21000, [['p', alice.pubkey]]);
    await socket.publish(event);
    expect(await heard.promise).toEqual(event);
  });

  it('forwards an ephemeral event that is sent again', async () => {
    const relay = await start();
    const socket = await connect(relay);
    const heard: string[] = [];
    const twice = Promise.withResolvers<void>();
    await listen(socket, { kinds: [21000] }, ({ id }) => {
      heard.push(id);
      if (heard.length === 2) twice.resolve();
    });
    const event = make(21000);
    await socket.publish(event);
    await socket.publish(event);
    await twice.promise;
    expect(heard).toEqual([event.id, event.id]);
  });

  it('asks for authentication for every kind when told to, and then serves', async () => {
    const relay = await start();
    relay.switches.requireAuth = true;
    const socket = await connect(relay);
    const event = make(21000);
    expect(await socket.publish(event)).toMatchObject([
      { outcome: 'refused', reason: expect.stringMatching(/^auth-required:/) },
    ]);
    socket.send(['REQ', 'x', { kinds: [21000] }]);
    authenticate(socket, relay);
    await listen(socket, { kinds: [1] }, () => undefined);
    expect(socket.frames).toContainEqual(['CLOSED', 'x', expect.stringMatching(/^auth-required:/)]);
    expect(await socket.publish(event)).toMatchObject([{ outcome: 'accepted' }]);
  });

  it('serves a bunker that proves its key, where that is asked for', async () => {
    const relay = await start();
    relay.switches.requireAuth = true;
    const bunker = await startBunker({
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
      secretKey: alice.secretKey,
      relayUrls: [relay.url],
    });
    stops.push(() => bunker.stop());
    const socket = await connect(relay);
    await socket.publish(make(1));
    authenticate(socket, relay);
    const client = await RawBunkerClient.open(socket, bunker.pubkey, nowSec);
    expect((await client.request('get_public_key')).result).toBe(alice.pubkey);
  });

  it('challenges nobody while no authentication is asked for', async () => {
    const relay = await start();
    const socket = await connect(relay);
    await socket.publish(make(21000));
    expect(socket.frames.map(([type]) => type)).toEqual(['OK']);
  });

  it('swallows events with an OK, and withholds an OK from what it forwards', async () => {
    const relay = await start();
    relay.switches.swallow = ({ content }) => content === 'swallowed';
    relay.switches.withholdOk = ({ content }) => content === 'withheld';
    const socket = await connect(relay);
    const heard: string[] = [];
    await listen(socket, { kinds: [21000] }, ({ content }) => heard.push(content));
    const [first] = await socket.publish(make(21000, [], 'swallowed'));
    const withheld = make(21000, [], 'withheld');
    void socket.publish(withheld);
    await socket.publish(make(21000, [], 'last'));
    expect(first?.outcome).toBe('accepted');
    expect(heard).toEqual(['withheld', 'last']);
    expect(socket.frames).not.toContainEqual(['OK', withheld.id, true, '']);
  });

  it('gives kept ephemerals to a later REQ as strfry does, but not to limit 0', async () => {
    const relay = await start();
    const socket = await connect(relay);
    const event = make(21000);
    relay.switches.keepEphemeralsSec = 300;
    await socket.publish(event);
    expect(await stored(socket, { kinds: [21000] })).toEqual([event]);
    expect(await stored(socket, { kinds: [21000], limit: 0 })).toEqual([]);
    relay.switches.clockOffsetMs = 301_000;
    expect(await stored(socket, { kinds: [21000] })).toEqual([]);
  });

  it('answers no frame and no ping while it is frozen', async () => {
    const relay = await start();
    const socket = await connect(relay);
    let pongs = 0;
    socket.socket.on('pong', () => pongs++);
    socket.socket.ping();
    await once(socket.socket, 'pong');
    relay.switches.frozen = true;
    socket.socket.ping();
    socket.send(['REQ', 'frozen', { kinds: [1] }]);
    const other = await connect(relay);
    relay.switches.frozen = false;
    await stored(other, { kinds: [1] });
    await stored(socket, { kinds: [1] });
    expect(socket.frames).not.toContainEqual(['EOSE', 'frozen']);
    expect(pongs).toBe(1);
  });

  it('dates its upgrade and its description by its own clock', async () => {
    const relay = await start();
    relay.switches.clockOffsetMs = 3_600_000;
    const socket = new RawSocket(relay.url);
    stops.push(() => socket.close());
    const [upgrade] = await once(socket.socket, 'upgrade');
    expect(Date.parse(upgrade.headers.date) - systemClock.now()).toBeGreaterThan(3_590_000);
    const response = await fetch(relay.url.replace('ws:', 'http:'));
    expect(await response.json()).toMatchObject({ supported_nips: [1, 11, 40, 42] });
    expect(Date.parse(response.headers.get('date') ?? '')).toBeGreaterThan(systemClock.now());
  });

  it('comes back on the same port with what it had stored', async () => {
    const relay = await start();
    const socket = await connect(relay);
    const event = make(30078, [['d', 'x']]);
    await socket.publish(event);
    const closed = once(socket.socket, 'close');
    await relay.suspend();
    await closed;
    await expect(RawSocket.open(relay.url)).rejects.toThrow(/ECONNREFUSED/);
    const { url } = relay;
    await relay.resume();
    expect(relay.url).toBe(url);
    expect(await stored(await connect(relay), { kinds: [30078] })).toEqual([event]);
    expect(relay.connectionCount()).toBe(1);
  });

  it('keeps its events in a file', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'relay-')), 'relay.sqlite');
    const first = await start({ file });
    const event = make(30078, [['d', 'x']]);
    await (await connect(first)).publish(event);
    const { port } = first;
    await first.stop();
    const second = await start({ file, port });
    expect(await stored(await connect(second), { kinds: [30078] })).toEqual([event]);
  });

  it('says so when its port is taken', async () => {
    const { port } = await start();
    await expect(startRelay({ clock: systemClock, log: silentLog, port })).rejects.toThrow(
      /EADDRINUSE/,
    );
  });
});
