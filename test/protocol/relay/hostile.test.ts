import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '#protocol/base/clock.ts';
import type { LinkLimits } from '#protocol/relay/limits.ts';
import { RelayLink } from '#protocol/relay/link.ts';
import { openWebSocket, retryAfterOf } from '#protocol/relay/socket.ts';
import {
  CountingClock,
  forged,
  Inbox,
  listen,
  reached,
  realParts,
  type Stub,
  type StubOptions,
  signed,
  startStub,
  startTcp,
} from './stub-relay.ts';

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

function connect(url: string, limits: Partial<LinkLimits> = {}): RelayLink {
  const link = new RelayLink({ ...realParts, url, limits: { ...realParts.limits, ...limits } });
  closing.push(() => link.close());
  return link;
}

async function stub(options: StubOptions = {}): Promise<Stub> {
  const started = await startStub(options);
  closing.push(() => started.close());
  return started;
}

/** Takes what the link sends until it is a REQ. */
async function nextRequest(relay: Stub) {
  for (;;) {
    const { message, line } = await relay.received.next();
    if (message[0] === 'REQ') return { id: message[1], filter: message[2], line };
  }
}

describe('over real sockets, a link', () => {
  it('gives up a server that takes the connection and never upgrades', async () => {
    const attempts = new Inbox<true>();
    const tcp = await startTcp(() => attempts.push(true));
    closing.push(() => tcp.close());
    const link = connect(tcp.url, { connectMs: 30 });
    await attempts.next();
    const { reason } = await reached(link, ({ state }) => state === 'waiting');
    expect(reason).toBe('no connection within 30 ms');
    await attempts.next();
    await attempts.next();
    await link.close();
  });

  it('gives up a server that dribbles its upgrade, byte by byte', async () => {
    const tcp = await startTcp((socket) => {
      const dribble = () => {
        if (!socket.destroyed) socket.write('H', () => setImmediate(dribble));
      };
      socket.write('HTTP/1.1 101 Switching Protocols\r\nX-Long: ', dribble);
    });
    closing.push(() => tcp.close());
    const link = connect(tcp.url, { connectMs: 50 });
    const { reason } = await reached(link, ({ state }) => state === 'waiting');
    expect(reason).toBe('no connection within 50 ms');
    await link.close();
  });

  it('survives what is no WebSocket at all', async () => {
    for (const answer of [
      'SSH-2.0-OpenSSH_9.6\r\n',
      'HTTP/1.1 101 Switching Protocols\r\n\r\n',
      '',
    ]) {
      const tcp = await startTcp((socket) => socket.end(answer));
      const link = connect(tcp.url);
      const { reason } = await reached(link, ({ state }) => state === 'waiting');
      expect(reason).not.toBe('');
      await link.close();
      await tcp.close();
    }
  });

  it('asks again with the same filter when it is dropped between REQ and EOSE', async () => {
    const relay = await stub();
    const link = connect(relay.url);
    const heard = listen();
    const event = signed();
    link.subscribe({ kinds: [30_078], limit: 5 }, heard);
    const first = await nextRequest(relay);
    first.line.say(['EVENT', first.id, event]);
    expect((await heard.events.next()).event).toEqual(event);
    first.line.socket.terminate();
    const second = await nextRequest(relay);
    expect(second.filter).toEqual({ kinds: [30_078], limit: 5 });
    second.line.say(['EVENT', second.id, event]);
    second.line.say(['EOSE', second.id]);
    expect(await heard.ends.next()).toBe(relay.url);
    expect(link.ready()).toBe(true);
    expect(heard.events.rest).toEqual([]);
  });

  it('delivers the real event although a forgery with its id came first', async () => {
    const relay = await stub();
    const heard = listen();
    connect(relay.url).subscribe({ kinds: [30_078] }, heard);
    const { id, line } = await nextRequest(relay);
    const event = signed({ content: 'real' });
    line.say(['EVENT', id, forged(event)]);
    line.say(['EVENT', id, { ...event, content: 'made up' }]);
    line.say(['EVENT', id, { ...event, id: '' }]);
    line.say(['EVENT', id, event]);
    expect((await heard.events.next()).event).toEqual(event);
    expect(heard.events.rest).toEqual([]);
  });

  it('is not led astray by an event of the year 2100', async () => {
    const relay = await stub();
    const heard = listen();
    connect(relay.url).subscribe({ kinds: [30_078] }, heard);
    const first = await nextRequest(relay);
    first.line.say(['EVENT', first.id, signed({ created_at: 4_102_444_800 })]);
    first.line.say(['EVENT', first.id, forged(signed({ created_at: 4_102_444_801 }))]);
    await heard.events.next();
    first.line.socket.terminate();
    const second = await nextRequest(relay);
    expect(second.filter).toEqual({ kinds: [30_078] });
    const present = signed({ content: 'present' });
    second.line.say(['EVENT', second.id, present]);
    expect((await heard.events.next()).event).toEqual(present);
  });

  it('notices a half-open line by the missing pong, and comes back', async () => {
    const relay = await stub({ autoPong: false });
    const link = connect(relay.url, { pingMs: 20 });
    const first = await relay.connections.next();
    const closed = new Promise((resolve) => first.socket.once('close', resolve));
    const { reason } = await reached(link, ({ state }) => state === 'waiting');
    expect(reason).toBe('no pong within 20 ms');
    await closed;
    await relay.connections.next();
  });

  it('ends a socket that sends a frame above the limit, and comes back', async () => {
    const relay = await stub();
    const link = connect(relay.url, { frameBytesMax: 10_000 });
    const first = await relay.connections.next();
    first.sayText('x'.repeat(10_001));
    const { reason } = await reached(link, ({ state }) => state === 'waiting');
    expect(reason).toBe('Max payload size exceeded');
    await relay.connections.next();
  });

  it('lets a long frame, a deep one and a binary one go, and hears the next', async () => {
    const relay = await stub();
    const heard = listen();
    connect(relay.url).subscribe({ kinds: [30_078] }, heard);
    const { id, line } = await nextRequest(relay);
    line.say(['EVENT', id, signed({ content: 'x'.repeat(140_000) })]);
    line.sayText(`["EVENT","${String(id)}",${'['.repeat(100_000)}`);
    line.socket.send(Buffer.from(JSON.stringify(['EVENT', id, signed({ content: 'binary' })])));
    line.say(['EVENT', id, signed({ content: 'short' })]);
    expect((await heard.events.next()).event.content).toBe('short');
  });

  it('outlives a flood of forged events, and leaves the relay alone', async () => {
    const relay = await stub();
    const link = connect(relay.url);
    link.subscribe({ kinds: [30_078] }, listen());
    const { id, line } = await nextRequest(relay);
    const bad = forged(signed());
    for (let round = 0; round < 50; round++) line.say(['EVENT', id, bad]);
    const { reason } = await reached(link, ({ state }) => state === 'waiting');
    expect(reason).toBe(`too many offences, the last: forged event ${bad.id}`);
  });

  it('keeps the words of a refused upgrade, and the pause they ask for', async () => {
    const head = 'HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n';
    const relay = await stub({ refuse: { head, times: 1 } });
    const link = connect(relay.url, { retryAfterMaxMs: 50 });
    const sinceMs = systemClock.monotonic();
    const { reason } = await reached(link, ({ state }) => state === 'waiting');
    expect(reason).toBe('HTTP 429 Too Many Requests');
    await reached(link, ({ state }) => state === 'open');
    expect(systemClock.monotonic() - sinceMs).toBeGreaterThanOrEqual(49);
  });

  it('reads the clock of the relay from the Date header', async () => {
    const date = new Date(systemClock.now() - 90_000).toUTCString();
    const relay = await stub({ headers: [`Date: ${date}`] });
    const { clockOffsetMs = 0 } = await reached(connect(relay.url), (one) => one.state === 'open');
    expect(Math.abs(clockOffsetMs + 90_000)).toBeLessThan(1_500);
  });

  it('takes no Date header, or a senseless one, for no knowledge', async () => {
    for (const headers of [[], ['Date: yesterday']]) {
      const relay = await stub({ headers });
      const status = await reached(connect(relay.url), ({ state }) => state === 'open');
      expect(status.clockOffsetMs).toBeUndefined();
    }
  });

  it('leaves no socket and no timer behind when it is closed', async () => {
    const clock = new CountingClock();
    const relay = await stub({ answer: ({ message, line }) => line.say(['EOSE', message[1]]) });
    const links = Array.from({ length: 5 }, () => {
      const link = new RelayLink({ ...realParts, clock, url: relay.url });
      link.subscribe({ kinds: [1] }, listen());
      return link;
    });
    await Promise.all(links.map((link) => reached(link, ({ state }) => state === 'open')));
    const ends = await Promise.all(links.map(() => relay.connections.next()));
    const gone = ends.map(({ socket }) => new Promise((resolve) => socket.once('close', resolve)));
    const waiting = links.map((link) => link.publish(signed()));
    expect(clock.pending).toBeGreaterThan(5);
    await Promise.all(links.map((link) => link.close()));
    expect(clock.pending).toBe(0);
    for (const results of await Promise.all(waiting)) {
      expect(results).toMatchObject([{ outcome: 'silent', reason: 'closed by us' }]);
    }
    await Promise.all(gone);
    expect(relay.open()).toBe(0);
  });

  it('leaves none behind either after a hundred reconnects', async () => {
    const relay = await stub({ greet: ({ socket }) => socket.terminate() });
    const clock = new CountingClock();
    const limits = { backOffFirstMs: 0, backOffMaxMs: 0 };
    const link = new RelayLink({ ...realParts, clock, url: relay.url, limits });
    for (let round = 0; round < 100; round++) await relay.connections.next();
    expect(relay.open()).toBeLessThan(5);
    expect(clock.pending).toBeLessThanOrEqual(1);
    await link.close();
    expect(clock.pending).toBe(0);
  });
});

describe('a socket', () => {
  it.each([
    'http://127.0.0.1:1',
    'ws+unix:///run/spire/agent.sock',
    'wss://',
    'ws://127.0.0.1:99999',
    'ws://127.0.0.1/#part',
    'relay.example',
  ])('is not opened to %s', (url) => {
    expect(() => openWebSocket(url, { connectMs: 1_000, frameBytesMax: 1_000 })).toThrow(
      /relay URL.*\(invalidData\)$/,
    );
  });

  it('reads Retry-After as seconds or as a date by the clock of the server', () => {
    expect(retryAfterOf(undefined)).toBeUndefined();
    expect(retryAfterOf('120')).toBe(120_000);
    expect(retryAfterOf('soon')).toBeUndefined();
    expect(retryAfterOf('-5')).toBeUndefined();
    const [date, later] = ['Sat, 21 Nov 2026 12:00:00 GMT', 'Sat, 21 Nov 2026 12:00:30 GMT'];
    expect(retryAfterOf(later, date)).toBe(30_000);
    expect(retryAfterOf(date, later)).toBe(0);
    expect(retryAfterOf(later)).toBeUndefined();
  });
});
