import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decode } from 'nostr-tools/nip19';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock, systemRandom } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import { startWorld, type World } from '#protocol/simulator/world.ts';
import { loadWorld } from '#protocol/simulator/world-state.ts';
import { RawBunkerClient, RawSocket } from './raw-client.ts';

const stops: (() => Promise<void> | void)[] = [];
const nowSec = () => Math.floor(systemClock.now() / 1000);

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function start(folder?: string): Promise<World> {
  const options = { clock: systemClock, random: systemRandom, log: silentLog };
  const world = await startWorld(folder === undefined ? options : { ...options, folder });
  stops.push(() => world.stop());
  return world;
}

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'world-'));
  stops.push(() => rmSync(folder, { recursive: true }));
  return folder;
}

function readSeed(seed: string) {
  expect(seed).toMatch(/^spire-seed:v1:[A-Za-z0-9_-]+$/);
  const text = Buffer.from(seed.slice('spire-seed:v1:'.length), 'base64url').toString();
  const read: Record<string, unknown> = JSON.parse(text);
  const keys = ['bunker_url', 'relays', 'spire_npub', 'spire_pubkey'];
  expect(new Set(Object.keys(read))).toEqual(new Set(keys));
  return { ...read, bunker: new URL(String(read.bunker_url)) };
}

async function socketTo(world: World): Promise<RawSocket> {
  const socket = await RawSocket.open(world.relay.url);
  stops.push(() => socket.close());
  return socket;
}

/** Pairs by the seed alone, as a machine does. */
async function pair(world: World, seed: string): Promise<RawBunkerClient> {
  const { bunker } = readSeed(seed);
  const socket = await socketTo(world);
  const client = await RawBunkerClient.open(socket, bunker.host, nowSec);
  const secret = String(bunker.searchParams.get('secret'));
  expect(await client.request('connect', [bunker.host, secret])).toMatchObject({ result: 'ack' });
  return client;
}

const sign = (client: RawBunkerClient) =>
  client.sign({ kind: 21000, created_at: nowSec(), tags: [], content: '' });

describe('the world on loopback', () => {
  it('pairs by its seed, and serves a whole cash-in signed by the bunker', async () => {
    const world = await start();
    world.keeper.fund(1_000_000);
    const seed = readSeed(world.seed);
    expect(seed).toMatchObject({ spire_pubkey: world.spirePubkey, relays: [world.relay.url] });
    expect(decode(String(Object(seed).spire_npub))).toEqual({
      type: 'npub',
      data: world.spirePubkey,
    });
    const client = await pair(world, world.seed);
    const call = { rpc_name: 'create_withdraw', body: { principal_sats: 82_386 } };
    const { result: content } = await client.request('nip44_encrypt', [
      world.transportPubkey,
      JSON.stringify(call),
    ]);
    const template = {
      kind: 21000,
      created_at: nowSec(),
      tags: [['p', world.transportPubkey]],
      content,
    };
    const signed = JSON.parse((await client.sign(template)).result);
    const socket = await socketTo(world);
    const answered = Promise.withResolvers<string>();
    socket.subscribe(
      { kinds: [21000], authors: [world.transportPubkey], '#p': [world.spirePubkey] },
      { event: (event) => answered.resolve(event.content) },
    );
    await socket.publish(signed);
    const opened = await client.request('nip44_decrypt', [
      world.transportPubkey,
      await answered.promise,
    ]);
    const { data } = JSON.parse(opened.result);
    expect(data.lnurl_url.startsWith(world.lnurlBase)).toBe(true);
    const offer = await (await fetch(data.lnurl_url)).json();
    expect(offer).toMatchObject({ tag: 'withdrawRequest', maxWithdrawable: 75_795_000 });
  });

  it('goes on where it was: ports, keys, bindings, books and documents', async () => {
    const folder = newFolder();
    const first = await start(folder);
    expect(first.isNew).toBe(true);
    first.keeper.fund(5_000);
    await first.keeper.publishFees();
    const client = await pair(first, first.seed);
    await first.stop();
    const second = await start(folder);
    expect(second.isNew).toBe(false);
    for (const key of ['seed', 'spirePubkey', 'operatorPubkey', 'transportPubkey'] as const) {
      expect(second[key]).toBe(first[key]);
    }
    expect([second.walletId, second.relay.url, second.lnurlBase]).toEqual([
      first.walletId,
      first.relay.url,
      first.lnurlBase,
    ]);
    expect(second.keeper.books().balanceSats).toBe(5_000);
    expect(second.bunker.policy.clients()).toEqual([client.identity.pubkey]);
    const socket = await socketTo(second);
    const documents = Promise.withResolvers<string>();
    socket.subscribe({ kinds: [30078] }, { event: ({ pubkey }) => documents.resolve(pubkey) });
    expect(await documents.promise).toBe(first.operatorPubkey);
  });

  it('keeps every change at once, so that a cut loses nothing', async () => {
    const folder = newFolder();
    const world = await start(folder);
    world.keeper.fund(7_000);
    const client = await pair(world, world.mintSeed());
    world.keeper.rotateOperatorKey();
    const kept = loadWorld(folder);
    expect(kept?.keeper).toEqual(world.keeper.state);
    expect(kept?.keeper.wallet.entries).toMatchObject([{ cause: 'funded', sats: 7_000 }]);
    expect(kept?.bunker.tokens.map(({ redeemedBy }) => redeemedBy)).toEqual([
      undefined,
      client.identity.pubkey,
    ]);
    expect(statSync(join(folder, 'world.json')).mode & 0o777).toBe(0o600);
  });

  it('mints a fresh seed for a machine that lost its pairing', async () => {
    const world = await start();
    await pair(world, world.seed);
    const again = await pair(world, world.mintSeed());
    expect((await sign(again)).error).toBeUndefined();
  });

  it('says what is wrong with a folder that holds no world, and stops what it began', async () => {
    const folder = newFolder();
    writeFileSync(join(folder, 'world.json'), '{"version":2}');
    await expect(start(folder)).rejects.toMatchObject({ code: 'corrupt' });
    expect(readFileSync(join(folder, 'world.json'), 'utf8')).toBe('{"version":2}');
  });

  it('stops the relay when a later peer cannot start', async () => {
    const folder = newFolder();
    const first = await start(folder);
    const other = await start();
    await first.stop();
    const file = join(folder, 'world.json');
    const kept = JSON.parse(readFileSync(file, 'utf8'));
    const taken = Number(new URL(other.lnurlBase).port);
    writeFileSync(file, JSON.stringify({ ...kept, lnurlPort: taken }));
    await expect(start(folder)).rejects.toThrow(/EADDRINUSE/);
    await expect(RawSocket.open(`ws://127.0.0.1:${kept.relayPort}`)).rejects.toThrow();
  });

  it('survives a relay outage once the bunker is started again', async () => {
    const world = await start();
    const client = await pair(world, world.seed);
    await world.relay.suspend();
    await world.relay.resume();
    await world.bunker.restart();
    const socket = await socketTo(world);
    const again = await RawBunkerClient.open(socket, world.spirePubkey, nowSec, client.identity);
    expect((await sign(again)).error).toBeUndefined();
  });
});
