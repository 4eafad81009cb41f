import { describe, expect, it } from 'vitest';
import type { SignedEvent } from '#protocol/event.ts';
import { KeeperWorld } from '../keeper-world.ts';

/** The head of a document as the machine would read it. */
function head(world: KeeperWorld, name: string): { event: SignedEvent; content: unknown } {
  const [event, ...more] = world.network.stored({
    kinds: [30078],
    '#d': [`${name}:${world.spire.pubkey}`],
  });
  if (!event || more.length > 0) throw new Error(`expected one document ${name}`);
  return { event, content: JSON.parse(world.spire.decrypt(event.pubkey, event.content)) };
}

describe("the operator's documents", () => {
  it('publishes the fees in force, sums within 1e-6 of the parts', async () => {
    const world = new KeeperWorld();
    world.keeper.setFees({ operatorCashIn: 0.0333, operatorCashOut: 0.0777 });
    await world.clock.resolve(world.keeper.publishFees());
    const { event, content } = head(world, 'bitspire-fees');
    expect(content).toEqual({
      schema_version: 1,
      cash_in_fee_fraction: 0.0633,
      cash_out_fee_fraction: 0.1077,
      components: {
        super_cash_in: 0.03,
        super_cash_out: 0.03,
        operator_cash_in: 0.0333,
        operator_cash_out: 0.0777,
      },
    });
    expect(event.pubkey).toBe(world.keeper.operatorPubkey);
    expect(event.tags).toEqual([
      ['d', `bitspire-fees:${world.spire.pubkey}`],
      ['p', world.spire.pubkey],
    ]);
  });

  it('publishes cassettes by position, and in the old shape', async () => {
    const world = new KeeperWorld();
    const positions = { 1: { denomination: 20, count: 100 }, 2: { denomination: 20, count: 5 } };
    await world.clock.resolve(world.keeper.publishCassettes(positions));
    const first = head(world, 'bitspire-cassettes');
    expect(first.content).toEqual({ positions });
    const denominations = { 20: { position: 1, count: 100 } };
    await world.clock.resolve(world.keeper.publishOldCassettes(denominations));
    const second = head(world, 'bitspire-cassettes');
    expect(second.content).toEqual({ denominations });
    expect(second.event.created_at).toBeGreaterThan(first.event.created_at);
  });

  it.each([null, 0, 500_000])('publishes a limit of %s', async (limit) => {
    const world = new KeeperWorld();
    await world.clock.resolve(world.keeper.publishLimits(limit));
    expect(head(world, 'bitspire-limits').content).toEqual({
      schema_version: 1,
      max_cash_in_sats: limit,
    });
  });

  it('publishes at a time of choice', async () => {
    const world = new KeeperWorld();
    await world.clock.resolve(world.keeper.publishDocument('bitspire-fees', {}, 4_102_444_800));
    expect(head(world, 'bitspire-fees').event.created_at).toBe(4_102_444_800);
  });

  it('orphans its documents when its key rotates', async () => {
    const world = new KeeperWorld();
    const old = world.keeper.operatorPubkey;
    await world.clock.resolve(world.keeper.publishLimits(1));
    const changed = world.keeper.rotateOperatorKey();
    expect(changed).not.toBe(old);
    expect(world.keeper.operatorPubkey).toBe(changed);
    await world.clock.resolve(world.keeper.publishLimits(2));
    const authors = world.network.stored({ kinds: [30078] }).map(({ pubkey }) => pubkey);
    expect(new Set(authors)).toEqual(new Set([old, changed]));
    const again = new KeeperWorld(world.keeper.state);
    expect(world.keeper.state.operatorKey).toHaveLength(64);
    expect(again.keeper.walletId).toBe(world.keeper.walletId);
  });

  it('reads what the machine publishes: its cassettes encrypted, its beacon in clear', async () => {
    const world = new KeeperWorld();
    const publish = async (name: string, content: string, ageSec = 0) => {
      const event = world.spire.sign({
        kind: 30078,
        created_at: world.nowSec() - ageSec,
        tags: [['d', `${name}:${world.spire.pubkey}`]],
        content,
      });
      await world.clock.resolve(world.line.publish(event));
      await world.clock.advance(100);
    };
    const seal = (content: unknown) =>
      world.spire.encrypt(world.keeper.operatorPubkey, JSON.stringify(content));
    const positions = { positions: { 1: { denomination: 20, count: 99 } } };
    await publish('bitspire-cassettes-state', seal(positions));
    await publish('beacon', JSON.stringify({ cash_in: true }));
    await publish('garbage', 'neither');
    expect(world.keeper.received('bitspire-cassettes-state')?.content).toEqual(positions);
    expect(world.keeper.received('beacon')?.content).toEqual({ cash_in: true });
    expect(world.keeper.received('garbage')).toBeUndefined();
    await world.clock.advance(5_000);
    await publish('beacon', JSON.stringify({ cash_in: false }));
    expect(world.keeper.received('beacon')?.content).toEqual({ cash_in: false });
  });
});
