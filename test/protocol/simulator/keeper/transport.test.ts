import { describe, expect, it } from 'vitest';
import type { Relays } from '#protocol/relay/relay.ts';
import { KeeperWorld } from '../keeper-world.ts';
import { RawIdentity } from '../raw-client.ts';

const getWallet = { rpc_name: 'get_wallet', body: {} };

/** Publishes a request and tells how many answers came within a minute. */
async function answersTo(
  world: KeeperWorld,
  make: (
    client: Awaited<ReturnType<KeeperWorld['client']>>,
  ) => Parameters<typeof client.publish>[0],
): Promise<number> {
  const client = await world.client();
  const before = client.answers.length;
  void client.publish(make(client));
  await world.clock.advance(60_000);
  return client.answers.length - before;
}

/** Relays that tell every event twice, as several relays without a common memory do. */
function repeating(relays: Relays): Relays {
  return {
    subscribe: (filter, listener) =>
      relays.subscribe(filter, {
        ...listener,
        event: (event, live) => {
          listener.event(event, live);
          listener.event(event, live);
        },
      }),
    publish: (event, limitMs) => relays.publish(event, limitMs),
    ready: () => relays.ready(),
    status: () => relays.status(),
    onStatus: (listener) => relays.onStatus(listener),
    close: () => relays.close(),
  };
}

describe("the wallet stand-in's transport", () => {
  it.each([
    { ageSec: 299, answers: 1 },
    { ageSec: 302, answers: 0 },
    { ageSec: -59, answers: 1 },
    { ageSec: -62, answers: 0 },
  ])('answers $answers times to a request $ageSec s old', async ({ ageSec, answers }) => {
    const world = new KeeperWorld();
    expect(await answersTo(world, (client) => client.event(getWallet, ageSec))).toBe(answers);
  });

  it('drops a request past its expiration, and takes one that is not', async () => {
    const world = new KeeperWorld();
    // The memory relay refuses what has expired when it comes, so the server's clock runs ahead.
    world.keeper.switches.clockSkewMs = 100_000;
    expect(await answersTo(world, (client) => client.event(getWallet, 0, 50))).toBe(0);
    expect(await answersTo(world, (client) => client.event(getWallet, 0, 300))).toBe(1);
  });

  it('drops a replay six minutes later', async () => {
    const world = new KeeperWorld();
    const client = await world.client();
    const event = client.event(getWallet);
    void client.publish(event);
    await world.clock.advance(360_000);
    world.keeper.restart();
    void client.publish(event);
    await world.clock.advance(60_000);
    expect(client.answers).toHaveLength(1);
  });

  it('takes an event once although its relays tell it twice, until a restart', async () => {
    const world = new KeeperWorld(undefined, repeating);
    world.keeper.fund(1_000_000);
    const client = await world.client();
    const event = client.event({ rpc_name: 'create_withdraw', body: { principal_sats: 1_000 } });
    const links = async () => {
      void client.publish(event);
      await world.clock.advance(1_000);
      return world.keeper.books().withdrawLinks.length;
    };
    expect([await links(), await links()]).toEqual([1, 1]);
    world.keeper.restart();
    await world.clock.advance(1_000);
    expect(await links()).toBe(2);
  });

  it.each([
    { echoId: true, eTag: true },
    { echoId: true, eTag: false },
    { echoId: false, eTag: true },
  ])('correlates as told: $echoId by id, $eTag by tag', async ({ echoId, eTag }) => {
    const world = new KeeperWorld();
    Object.assign(world.keeper.switches, { echoId, eTag });
    const client = await world.client();
    const request = client.event({ ...getWallet, request_id: 'r1', id: 'i1' });
    const next = client.next();
    void client.publish(request);
    const { body, event } = await world.clock.resolve(next);
    expect(body).toMatchObject(echoId ? { request_id: 'r1', id: 'i1' } : { status: 'OK' });
    expect('request_id' in body).toBe(echoId);
    expect(event.tags.filter(([name]) => name === 'e')).toEqual(eTag ? [['e', request.id]] : []);
  });

  it('gives no answer to a method that nobody registered, nor to what it cannot read', async () => {
    const world = new KeeperWorld();
    expect(await answersTo(world, (client) => client.event({ rpc_name: 'mint' }))).toBe(0);
    expect(await answersTo(world, (client) => client.event({ rpc_name: 'toString' }))).toBe(0);
    expect(await answersTo(world, (client) => client.event({ method: 'get_wallet' }))).toBe(0);
    expect(
      await answersTo(world, (client) => ({
        ...world.spire.sign({
          kind: 21000,
          created_at: world.nowSec(),
          tags: [['p', world.keeper.transportPubkey]],
          content: client.identity.encrypt(world.spire.pubkey, 'for somebody else'),
        }),
      })),
    ).toBe(0);
  });

  it('does the work and loses the answers it is told to lose', async () => {
    const world = new KeeperWorld();
    world.keeper.fund(1_000_000);
    world.keeper.switches.dropAnswers = 1;
    const client = await world.client();
    const make = () => client.event({ rpc_name: 'create_withdraw', body: { principal_sats: 100 } });
    void client.publish(make());
    await world.clock.advance(1_000);
    expect(client.answers).toHaveLength(0);
    expect(world.keeper.books().withdrawLinks).toHaveLength(1);
    void client.publish(client.event(getWallet));
    await world.clock.advance(1_000);
    expect(client.answers).toHaveLength(1);
  });

  it('answers twice, as two events', async () => {
    const world = new KeeperWorld();
    world.keeper.switches.answerTwice = true;
    const client = await world.client();
    void client.publish(client.event(getWallet));
    await world.clock.advance(1_000);
    expect(new Set(client.answers.map(({ event }) => event.id)).size).toBe(2);
    expect(client.answers[0]?.body).toEqual(client.answers[1]?.body);
  });

  it('answers late, and not at all when it restarts meanwhile', async () => {
    const world = new KeeperWorld();
    world.keeper.switches.answerDelayMs = 20_000;
    const client = await world.client();
    void client.publish(client.event(getWallet));
    await world.clock.advance(19_000);
    expect(client.answers).toHaveLength(0);
    await world.clock.advance(2_000);
    expect(client.answers).toHaveLength(1);
    void client.publish(client.event(getWallet, 1));
    await world.clock.advance(10_000);
    world.keeper.restart();
    await world.clock.advance(60_000);
    expect(client.answers).toHaveLength(1);
  });

  it('refuses in words before anything is done', async () => {
    const world = new KeeperWorld();
    world.keeper.fund(1_000_000);
    world.keeper.switches.refuse = (rpcName) =>
      rpcName === 'create_withdraw' ? 'The moon is full' : undefined;
    const client = await world.client();
    expect(await world.call(client, 'create_withdraw', { principal_sats: 100 })).toMatchObject({
      status: 'ERROR',
      error: 'The moon is full',
    });
    expect(world.keeper.books().withdrawLinks).toEqual([]);
    expect(await world.call(client, 'get_wallet')).toMatchObject({ status: 'OK' });
  });

  it('does nothing at all while silent', async () => {
    const world = new KeeperWorld();
    world.keeper.fund(1_000_000);
    world.keeper.switches.silent = true;
    const make = { rpc_name: 'create_withdraw', body: { principal_sats: 100 } };
    expect(await answersTo(world, (client) => client.event(make))).toBe(0);
    expect(world.keeper.books().withdrawLinks).toEqual([]);
  });

  it('limits calls a minute and sender when told to', async () => {
    const world = new KeeperWorld();
    world.keeper.switches.rateLimitPerMinute = 2;
    const client = await world.client();
    for (const status of ['OK', 'OK', 'ERROR']) {
      expect(await world.call(client, 'get_wallet')).toMatchObject({ status });
    }
    expect(await world.call(client, 'get_wallet')).toMatchObject({ error: 'rate_limited' });
    const other = await world.client(new RawIdentity());
    expect(await world.call(other, 'get_wallet')).toMatchObject({ status: 'OK' });
    await world.clock.advance(60_000);
    expect(await world.call(client, 'get_wallet')).toMatchObject({ status: 'OK' });
  });

  it('splits an answer above 40,000 characters into parts that common relays take', async () => {
    const world = new KeeperWorld();
    const client = await world.client();
    for (let count = 0; count < 40; count++) {
      const extra = { bills: { 20: count }, note: 'x'.repeat(500) };
      await world.data(client, 'create_invoice', { amount: 1_000 + count, extra });
    }
    const before = client.plaintexts.length;
    const answer = await world.call(client, 'list_payments');
    expect(answer.data).toHaveLength(40);
    const shards = client.plaintexts.slice(before).map((text) => JSON.parse(text));
    expect(shards.length).toBeGreaterThan(1);
    expect(new Set(shards.map(({ shardsId }) => shardsId)).size).toBe(1);
    for (const shard of shards) {
      expect(shard).toMatchObject({ totalShards: shards.length });
      expect(Buffer.byteLength(JSON.stringify(shard))).toBeLessThanOrEqual(40_960);
    }
  });

  it('leaves no timer and no subscription behind', async () => {
    const world = new KeeperWorld();
    world.keeper.switches.answerDelayMs = 5_000;
    const client = await world.client();
    void client.publish(client.event(getWallet));
    await world.clock.advance(1_000);
    world.keeper.stop();
    await world.clock.advance(10_000);
    expect(client.answers).toHaveLength(0);
    expect(world.clock.pending).toBe(0);
  });
});
