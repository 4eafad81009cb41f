import { generateSecretKey, getPublicKey } from 'nostr-tools/pure';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import { RelayPool } from '#protocol/relay/pool.ts';
import { type SimulatedRelay, startRelay } from '#protocol/simulator/relay.ts';
import {
  CountingClock,
  forged,
  listen,
  operatorKey,
  reached,
  realParts,
  signed,
  startStub,
} from './stub-relay.ts';

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function relays(count: number): Promise<SimulatedRelay[]> {
  const started = await Promise.all(
    Array.from({ length: count }, () => startRelay({ clock: systemClock, log: silentLog })),
  );
  closing.push(...started.map((relay) => () => relay.stop()));
  return started;
}

function pool(urls: readonly string[], more: Partial<typeof realParts> = {}): RelayPool {
  const opened = new RelayPool({ ...realParts, ...more, urls });
  closing.push(() => opened.close());
  return opened;
}

const nowSec = () => Math.floor(systemClock.now() / 1_000);

describe('a pool over real relays', () => {
  it('publishes to each and reports an event of several once', async () => {
    const [first, second] = await relays(2);
    const urls = [first?.url ?? '', second?.url ?? ''];
    const [sender, receiver] = [pool(urls), pool(urls)];
    const heard = listen();
    const ephemeral = { kinds: [21_000], authors: [getPublicKey(operatorKey)] };
    receiver.subscribe(ephemeral, heard);
    expect(new Set([await heard.ends.next(), await heard.ends.next()])).toEqual(new Set(urls));
    expect(receiver.ready()).toBe(true);
    const events = ['a', 'b', 'c'].map((content) => {
      return signed({ kind: 21_000, created_at: nowSec(), content });
    });
    for (const event of events) {
      const results = await sender.publish(event);
      expect(results.map(({ outcome }) => outcome)).toEqual(['accepted', 'accepted']);
      expect(await heard.events.next()).toEqual({ event, live: true });
    }
    expect(heard.events.rest).toEqual([]);
  });

  it('gets what is stored, and the newest after an outage of all', async () => {
    const [relay] = await relays(1);
    if (!relay) throw new Error('no relay');
    const sender = pool([relay.url]);
    const reader = pool([relay.url]);
    const heard = listen();
    const tags = [['d', 'fees']];
    const before = signed({ tags, created_at: nowSec() - 10, content: 'before' });
    await sender.publish(before);
    reader.subscribe({ kinds: [30_078], '#d': ['fees'] }, heard);
    expect(await heard.events.next()).toEqual({ event: before, live: false });
    await relay.suspend();
    await reached(reader, ({ state }) => state !== 'open');
    expect(reader.ready()).toBe(false);
    await relay.resume();
    const after = signed({ tags, created_at: nowSec(), content: 'after' });
    await reached(sender, ({ state }) => state === 'open');
    expect(await sender.publish(after)).toMatchObject([{ outcome: 'accepted' }]);
    expect((await heard.events.next()).event).toEqual(after);
    expect(heard.events.rest).toEqual([]);
  });

  it('is not told what it did not ask for by a relay that over-delivers', async () => {
    const [relay] = await relays(1);
    if (!relay) throw new Error('no relay');
    relay.switches.overDeliver = true;
    const [sender, receiver] = [pool([relay.url]), pool([relay.url])];
    const heard = listen();
    const to = (peer: string) => {
      return signed({ kind: 21_000, created_at: nowSec(), tags: [['p', peer.repeat(64)]] });
    };
    receiver.subscribe({ kinds: [21_000], '#p': ['a'.repeat(64)] }, heard);
    await heard.ends.next();
    await sender.publish(to('b'));
    const ours = to('a');
    await sender.publish(ours);
    expect((await heard.events.next()).event).toEqual(ours);
    expect(heard.events.rest).toEqual([]);
  });

  it('authenticates to a relay that serves nobody else', async () => {
    const [relay] = await relays(1);
    if (!relay) throw new Error('no relay');
    relay.switches.requireAuth = true;
    const key = generateSecretKey();
    let signatures = 0;
    const auth = async (challenge: string, url: string) => {
      signatures += 1;
      const tags = [
        ['relay', url],
        ['challenge', challenge],
      ];
      return signed({ kind: 22_242, created_at: nowSec(), tags }, key);
    };
    const [sender, receiver] = [pool([relay.url], { auth }), pool([relay.url], { auth })];
    const heard = listen();
    receiver.subscribe({ kinds: [21_000] }, heard);
    await heard.ends.next();
    const event = signed({ kind: 21_000, created_at: nowSec() });
    expect(await sender.publish(event)).toMatchObject([{ outcome: 'accepted' }]);
    expect((await heard.events.next()).event).toEqual(event);
    expect(signatures).toBe(2);
    expect(await pool([relay.url]).publish(event)).toMatchObject([
      { outcome: 'refused', reason: expect.stringMatching(/^auth-required:/) },
    ]);
  });

  it('tells a refusal, a silence and an acceptance apart, each with its words', async () => {
    const [accepting, refusing] = await relays(2);
    if (!accepting || !refusing) throw new Error('no relays');
    refusing.rules.futureMaxSec = 0;
    const silent = await startStub();
    closing.push(() => silent.close());
    const urls = [accepting.url, refusing.url, silent.url, 'ws://127.0.0.1:1'];
    const event = signed({ created_at: nowSec() + 600 });
    const opened = pool(urls);
    for (const url of urls.slice(0, 3)) {
      await reached(opened, (status) => status.url === url && status.state === 'open');
    }
    expect(await opened.publish(event, 1_000)).toEqual([
      { url: urls[0], outcome: 'accepted', reason: '' },
      { url: urls[1], outcome: 'refused', reason: 'invalid: created_at is too far in the future' },
      { url: urls[2], outcome: 'silent', reason: 'no answer within 1000 ms' },
      { url: urls[3], outcome: 'silent', reason: expect.stringMatching(/^no link/) },
    ]);
  });
});

describe('a pool', () => {
  it('hears the honest relay although a hostile one forges the same id first', async () => {
    const [hostile, honest] = await Promise.all([startStub(), startStub()]);
    closing.push(
      () => hostile.close(),
      () => honest.close(),
    );
    const heard = listen();
    pool([hostile.url, honest.url]).subscribe({ kinds: [30_078] }, heard);
    const event = signed();
    const bad = await hostile.received.next();
    bad.line.say(['EVENT', bad.message[1], forged(event)]);
    bad.line.say(['EVENT', bad.message[1], signed({ content: 'marks that it was heard' })]);
    expect((await heard.events.next()).event.content).toBe('marks that it was heard');
    const good = await honest.received.next();
    good.line.say(['EVENT', good.message[1], event]);
    expect((await heard.events.next()).event).toEqual(event);
  });

  it('takes relays that mean the same once, and at most eight', async () => {
    const urls = Array.from({ length: 12 }, (_, at) => `ws://127.0.0.1:1/${at}`);
    const status = pool([...urls, 'WS://127.0.0.1:1/0', 'no URL']).status();
    expect(status.map(({ url }) => url)).toEqual(urls.slice(0, 8));
    const same = ['ws://127.0.0.1:1', 'ws://127.0.0.1:1/', 'WS://127.0.0.1:1'];
    expect(pool(same).status()).toHaveLength(1);
  });

  it('without relays is never ready and publishes to nobody', async () => {
    const none = pool([]);
    none.subscribe({ kinds: [1] }, listen())();
    expect(none.ready()).toBe(false);
    expect(await none.publish(signed())).toEqual([]);
    expect(none.status()).toEqual([]);
  });

  it('takes a subscription off everywhere, and itself off at close', async () => {
    const stubs = await Promise.all([startStub(), startStub()]);
    closing.push(...stubs.map((stub) => () => stub.close()));
    const clock = new CountingClock();
    const opened = pool(
      stubs.map(({ url }) => url),
      { clock },
    );
    const off = opened.subscribe({ kinds: [1] }, listen());
    const asked = await Promise.all(stubs.map(({ received }) => received.next()));
    off();
    off();
    const ended = await Promise.all(stubs.map(({ received }) => received.next()));
    expect(ended.map(({ message }) => message)).toEqual(
      asked.map(({ message }) => ['CLOSE', message[1]]),
    );
    await opened.close();
    expect(clock.pending).toBe(0);
  });
});
