import { describe, expect, it } from 'vitest';
import { systemRandom } from '#protocol/base/clock.ts';
import { RelayError } from '#protocol/base/errors.ts';
import { RelayLink } from '#protocol/relay/link.ts';
import type { RelayStatus } from '#protocol/relay/relay.ts';
import { SimulatedRelay } from './simulated-relay.ts';

const openLink = async (relay = new SimulatedRelay()) => {
  const link = new RelayLink(relay.parts);
  const states: RelayStatus['state'][] = [];
  link.onStatus(({ state }) => states.push(state));
  await relay.clock.advance(10);
  return { relay, link, states };
};

describe('a connection', () => {
  it('tells how it is, and why it is not open', async () => {
    const { relay, link, states } = await openLink();
    expect(link.status()).toEqual([
      { url: 'wss://relay.example', state: 'open', reason: undefined, clockOffsetMs: undefined },
    ]);
    relay.socket.end('closed by the relay: 1001 going away');
    expect(link.status()[0]).toMatchObject({
      state: 'waiting',
      reason: 'closed by the relay: 1001 going away',
    });
    await relay.clock.advance(200);
    expect(states).toEqual(['open', 'waiting', 'connecting', 'open']);
    await link.close();
    expect(link.status()[0]).toMatchObject({ state: 'closed' });
  });

  it('learns what the clock of the relay is ahead from its Date header', async () => {
    const relay = new SimulatedRelay();
    const link = new RelayLink(relay.parts);
    relay.socket.open(relay.clock.now() + 45_000);
    expect(link.status()[0]?.clockOffsetMs).toBe(45_500);
    relay.socket.end('gone');
    expect(link.status()[0]?.clockOffsetMs).toBe(45_500);
    await link.close();
  });

  it('gives an attempt up that takes too long', async () => {
    const { relay, link } = await openLink();
    relay.upgrade = 'hangs';
    relay.socket.end('gone');
    await relay.clock.advance(100);
    await relay.clock.advance(9_999);
    expect(link.status()[0]?.state).toBe('connecting');
    await relay.clock.advance(1);
    expect(link.status()[0]).toMatchObject({
      state: 'waiting',
      reason: 'no connection within 10000 ms',
    });
    expect(relay.socket.hasEnded).toBe(true);
    await link.close();
  });

  it('pings every 20 s and ends a line that missed one pong', async () => {
    const { relay, link } = await openLink();
    const first = relay.socket;
    await relay.clock.advance(60_000);
    expect(first.pings).toBe(3);
    first.answersPing = false;
    await relay.clock.advance(39_999);
    expect(first.hasEnded).toBe(false);
    await relay.clock.advance(1);
    expect(first.hasEnded).toBe(true);
    await relay.clock.advance(200);
    expect(relay.sockets).toHaveLength(2);
    expect(link.status()[0]?.state).toBe('open');
    await link.close();
  });

  it('waits ever longer for a relay that is down, at most 5 min, and never in step', async () => {
    const relay = new SimulatedRelay();
    relay.random = systemRandom;
    relay.upgrade = 'fails';
    const link = new RelayLink(relay.parts);
    await relay.clock.advance(6 * 3_600_000);
    const gaps = relay.sockets.slice(1).map((socket, at) => {
      return socket.openedAtMs - (relay.sockets[at]?.openedAtMs ?? 0) - 10;
    });
    gaps.forEach((gapMs, at) => {
      expect(gapMs).toBeLessThanOrEqual(Math.min(300_000, 1_000 * 2 ** at));
      expect(gapMs).toBeGreaterThanOrEqual(100);
    });
    // Six hours at a mean of 150 s are about 150 attempts; without back-off they were thousands.
    expect(gaps.length).toBeGreaterThan(90);
    expect(gaps.length).toBeLessThan(260);
    expect(new Set(gaps).size).toBeGreaterThan(gaps.length * 0.9);
    await link.close();
  });

  it('forgets its failures only after a stable minute', async () => {
    const ceiling = async (uptimeMs: number) => {
      const relay = new SimulatedRelay();
      relay.random = systemRandom;
      relay.upgrade = 'fails';
      const link = new RelayLink(relay.parts);
      await relay.clock.advance(3_600_000);
      relay.upgrade = 'opens';
      await relay.clock.until(() => link.ready());
      await relay.clock.advance(uptimeMs);
      const lostAtMs = relay.clock.monotonic();
      const count = relay.sockets.length;
      relay.socket.end('gone');
      await relay.clock.until(() => relay.sockets.length > count);
      await link.close();
      return relay.socket.openedAtMs - lostAtMs;
    };
    const many = (uptimeMs: number) =>
      Promise.all(Array.from({ length: 12 }, () => ceiling(uptimeMs)));
    expect(Math.max(...(await many(61_000)))).toBeLessThanOrEqual(1_000);
    expect(Math.max(...(await many(50_000)))).toBeGreaterThan(1_000);
  });

  it('stays away as Retry-After asks, up to an hour, and a minute after a bare 429', async () => {
    const pauses = async (more: { status?: number; retryAfterMs?: number }) => {
      const { relay, link } = await openLink();
      relay.socket.end('HTTP', more);
      const lostAtMs = relay.clock.monotonic();
      await relay.clock.until(() => relay.sockets.length > 1, 10_000_000);
      await link.close();
      return relay.socket.openedAtMs - lostAtMs;
    };
    expect(await pauses({ status: 429 })).toBe(60_000);
    expect(await pauses({ status: 429, retryAfterMs: 7_000 })).toBe(7_000);
    expect(await pauses({ status: 503, retryAfterMs: 120_000 })).toBe(120_000);
    expect(await pauses({ status: 503, retryAfterMs: 86_400_000 })).toBe(3_600_000);
    expect(await pauses({ status: 500 })).toBe(100);
  });

  it.each([
    ['OK', ['OK', 'ab', false, 'blocked: you are banned'], 300_000],
    ['NOTICE', ['NOTICE', 'rate-limited: too many connections'], 60_000],
    ['harmless words', ['NOTICE', 'welcome'], 100],
  ])('stays away for longer when it is cut off after %s', async (_what, message, pauseMs) => {
    const { relay, link } = await openLink();
    relay.socket.say(...message);
    await relay.clock.advance(9_000);
    relay.socket.end('closed by the relay: 1008');
    const lostAtMs = relay.clock.monotonic();
    await relay.clock.until(() => relay.sockets.length > 1);
    expect(relay.socket.openedAtMs - lostAtMs).toBe(pauseMs);
    await link.close();
  });

  it('does not blame a cut on words of long ago', async () => {
    const { relay, link } = await openLink();
    relay.socket.say('OK', 'ab', false, 'blocked: this kind');
    await relay.clock.advance(11_000);
    relay.socket.end('closed by the relay: 1006');
    await relay.clock.advance(200);
    expect(relay.sockets).toHaveLength(2);
    await link.close();
  });

  it('gives a relay up that does not read', async () => {
    const { relay, link } = await openLink();
    relay.socket.unsent = 16_777_217;
    link.subscribe({ kinds: [1] }, { event: () => undefined });
    expect(link.status()[0]).toMatchObject({
      state: 'waiting',
      reason: 'does not read: 16777217 bytes are waiting',
    });
    await link.close();
  });

  it('says so when its URL cannot be opened, and does not throw', async () => {
    const relay = new SimulatedRelay();
    const link = new RelayLink({
      ...relay.parts,
      openSocket: () => {
        throw new RelayError('invalidData', 'relay URL is not ws: or wss:');
      },
    });
    expect(link.status()[0]).toMatchObject({ state: 'waiting' });
    expect(link.status()[0]?.reason).toContain('not ws: or wss:');
    await link.close();
  });

  it('leaves no timer and no socket behind, whenever it is closed', async () => {
    for (const aheadMs of [0, 5, 10, 15_000, 25_000]) {
      const relay = new SimulatedRelay();
      const link = new RelayLink(relay.parts);
      link.subscribe({ kinds: [1] }, { event: () => undefined });
      await relay.clock.advance(aheadMs);
      if (aheadMs === 25_000) relay.socket.end('gone');
      await link.close();
      await link.close();
      await relay.clock.advance(10);
      expect(relay.clock.pending).toBe(0);
      expect(relay.sockets.filter((socket) => !socket.hasEnded)).toEqual([]);
      await relay.clock.advance(3_600_000);
      expect(relay.sockets).toHaveLength(1);
    }
  });
});
