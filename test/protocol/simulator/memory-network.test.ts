import { afterEach, describe, expect, it } from 'vitest';
import { systemRandom } from '#protocol/base/clock.ts';
import type { SignedEvent } from '#protocol/event.ts';
import type { PublishResult } from '#protocol/relay/relay.ts';
import { createNostrCrypto } from '#protocol/signer/nostr-crypto.ts';
import { type MemoryClient, MemoryNetwork } from '#protocol/simulator/memory-network.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { RawIdentity } from './raw-client.ts';

const crypto = createNostrCrypto(systemRandom);
const alice = new RawIdentity();
const clients: MemoryClient[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
});

function setUp() {
  const clock = new VirtualClock();
  const network = new MemoryNetwork({ clock, verify: crypto.verify });
  const connect = () => {
    const client = network.client({ latencyMs: () => 10 });
    clients.push(client);
    return client;
  };
  const make = (content: string, kind = 21000): SignedEvent =>
    alice.sign({
      kind,
      created_at: Math.floor(clock.now() / 1000),
      tags: kind === 30078 ? [['d', content]] : [],
      content,
    });
  return { clock, network, connect, make };
}

function listen(client: MemoryClient, filter = { kinds: [21000, 30078] }) {
  const heard: { content: string; live: boolean }[] = [];
  let ends = 0;
  client.subscribe(filter, {
    event: ({ content }, live) => heard.push({ content, live }),
    endOfStored: () => ends++,
  });
  return { heard, ends: () => ends };
}

describe('the memory network', () => {
  it('takes its time both ways, and tells what was stored from what is live', async () => {
    const { clock, connect, make } = setUp();
    const [sender, receiver] = [connect(), connect()];
    const answered = sender.publish(make('stored', 30078));
    await clock.resolve(answered);
    expect(clock.monotonic()).toBe(20);
    const { heard, ends } = listen(receiver);
    expect(receiver.ready()).toBe(false);
    await clock.advance(20);
    expect(heard).toEqual([{ content: 'stored', live: false }]);
    expect(ends()).toBe(1);
    expect(receiver.ready()).toBe(true);
    void sender.publish(make('live'));
    await clock.advance(19);
    expect(heard).toHaveLength(1);
    await clock.advance(1);
    expect(heard[1]).toEqual({ content: 'live', live: true });
  });

  it('keeps the order of one line whatever its latency', async () => {
    const { clock, connect, make } = setUp();
    const client = connect();
    const { heard } = listen(client);
    await clock.advance(20);
    const latencies = [50, 1, 30, 2];
    client.faults.latencyMs = () => latencies.shift() ?? 1;
    for (const content of ['a', 'b', 'c']) void client.publish(make(content));
    await clock.advance(500);
    expect(heard.map(({ content }) => content)).toEqual(['a', 'b', 'c']);
  });

  it('has the REQ live before a later EVENT of the same client', async () => {
    const { clock, connect, make } = setUp();
    const client = connect();
    const { heard } = listen(client);
    void client.publish(make('mine'));
    await clock.advance(100);
    expect(heard).toEqual([{ content: 'mine', live: true }]);
  });

  it('loses, repeats and leaves unanswered as told', async () => {
    const { clock, connect, make } = setUp();
    const [sender, receiver] = [connect(), connect()];
    const { heard } = listen(receiver);
    await clock.advance(20);
    receiver.faults.drop = ({ content }, way) => way === 'down' && content === 'lost down';
    receiver.faults.duplicate = () => true;
    sender.faults.drop = ({ content }) => content === 'lost up';
    sender.faults.withholdOk = ({ content }) => content === 'no OK';
    const results = ['lost up', 'lost down', 'no OK', 'fine'].map((content) =>
      sender.publish(make(content), 1_000),
    );
    await clock.advance(2_000);
    const outcomes = (await Promise.all(results)).map(([result]) => result?.outcome);
    expect(outcomes).toEqual(['silent', 'accepted', 'silent', 'accepted']);
    expect(heard.map(({ content }) => content)).toEqual(['no OK', 'fine']);
  });

  it('loses what is under way at a partition, and asks everything again after it', async () => {
    const { clock, connect, make } = setUp();
    const [sender, receiver] = [connect(), connect()];
    let asked = 0;
    const heard: string[] = [];
    const statuses: string[] = [];
    receiver.onStatus(({ state }) => statuses.push(state));
    receiver.subscribe(
      () => {
        asked++;
        return { kinds: [21000, 30078] };
      },
      { event: ({ content }) => heard.push(content) },
    );
    await clock.advance(20);
    void sender.publish(make('before', 30078));
    await clock.advance(100);
    const cut = receiver.publish(make('under way'));
    receiver.partition();
    expect(await cut).toMatchObject([{ outcome: 'silent' }]);
    expect(await receiver.publish(make('without a line'))).toMatchObject([{ outcome: 'silent' }]);
    void sender.publish(make('missed'));
    void sender.publish(make('kept', 30078));
    await clock.advance(100);
    expect(heard).toEqual(['before']);
    receiver.heal();
    await clock.advance(100);
    expect(heard).toEqual(['before', 'kept']);
    expect(asked).toBe(2);
    expect(statuses).toEqual(['waiting', 'open']);
  });

  it('stops a subscription and leaves nothing behind when closed', async () => {
    const { clock, connect, make, network } = setUp();
    const [sender, receiver] = [connect(), connect()];
    const heard: string[] = [];
    const off = receiver.subscribe({}, { event: ({ content }) => heard.push(content) });
    await clock.advance(20);
    off();
    off();
    await clock.advance(20);
    void sender.publish(make('unheard'));
    await clock.advance(100);
    const waiting: Promise<readonly PublishResult[]> = sender.publish(make('cut off'));
    await sender.close();
    await receiver.close();
    expect(await waiting).toEqual([{ url: network.url, outcome: 'silent', reason: 'closed' }]);
    expect(sender.status()).toMatchObject([{ state: 'closed' }]);
    expect(heard).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it('applies limits to what is stored, newest first', async () => {
    const { clock, connect, make, network } = setUp();
    const client = connect();
    for (const content of ['old', 'new']) {
      void client.publish(make(content, 30078));
      await clock.advance(2_000);
    }
    const contents = (limit: number) =>
      network.stored({ kinds: [30078], limit }).map(({ content }) => content);
    expect(contents(1)).toEqual(['new']);
    expect(contents(0)).toEqual([]);
  });
});
