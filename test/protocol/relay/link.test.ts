import { describe, expect, it } from 'vitest';
import type { SignedEvent } from '#protocol/event.ts';
import { honest, openLink as open, type SimulatedSocket } from './simulated-relay.ts';
import { forged, listen, signed } from './stub-relay.ts';

describe('subscriptions', () => {
  it('are asked before anything is published, and the event waits for EOSE', async () => {
    const { relay, link, clock } = await open();
    relay.answer = () => undefined;
    link.subscribe({ kinds: [24_133] }, listen());
    const event = signed();
    const result = link.publish(event);
    await clock.advance(1_000);
    expect(relay.socket.sent.map(([type]) => type)).toEqual(['REQ']);
    expect(link.ready()).toBe(false);
    relay.socket.say('EOSE', relay.socket.sent[0]?.[1]);
    expect(link.ready()).toBe(true);
    expect(relay.socket.sent[1]).toEqual(['EVENT', event]);
    relay.socket.say('OK', event.id, true, 'welcome');
    expect(await result).toEqual([
      { url: 'wss://relay.example', outcome: 'accepted', reason: 'welcome' },
    ]);
  });

  it('hold an event back only until a bound, and only those made before it', async () => {
    const { relay, link, clock } = await open();
    relay.answer = () => undefined;
    link.subscribe({ kinds: [1] }, listen());
    const result = link.publish(signed());
    await clock.advance(4_000);
    link.subscribe({ kinds: [2] }, listen());
    await clock.advance(999);
    expect(relay.socket.ofType('EVENT')).toHaveLength(0);
    await clock.advance(1);
    expect(relay.socket.ofType('EVENT')).toHaveLength(1);
    expect(link.ready()).toBe(false);
    await clock.advance(5_000);
    expect(await result).toMatchObject([
      { outcome: 'silent', reason: 'no answer within 10000 ms' },
    ]);
  });

  it('are asked again on a new connection, as they are then, with no since made up', async () => {
    const { relay, link, clock } = await open();
    const heard = listen();
    const author = signed().pubkey;
    let since = 100;
    link.subscribe({ kinds: [30_078], authors: [author] }, heard);
    link.subscribe(() => ({ kinds: [21_000], since }), listen());
    const first = relay.socket;
    first.say('EVENT', first.sent[0]?.[1], signed({ created_at: 4_102_444_800 }));
    expect((await heard.events.next()).event.created_at).toBe(4_102_444_800);
    since = 200;
    first.end('gone');
    await clock.advance(200);
    const asked = (socket: SimulatedSocket) => socket.ofType('REQ').map(([, , filter]) => filter);
    expect(asked(first)).toEqual([
      { kinds: [30_078], authors: [author] },
      { kinds: [21_000], since: 100 },
    ]);
    expect(asked(relay.socket)).toEqual([
      { kinds: [30_078], authors: [author] },
      { kinds: [21_000], since: 200 },
    ]);
    expect(await heard.ends.next()).toBe('wss://relay.example');
    expect(await heard.ends.next()).toBe('wss://relay.example');
  });

  it('have short random ids, new for every REQ', async () => {
    const { relay, link } = await open();
    for (let round = 0; round < 20; round++) link.subscribe({ kinds: [round] }, listen());
    const ids = relay.socket.ofType('REQ').map(([, id]) => id);
    expect(new Set(ids).size).toBe(20);
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{16}$/);
  });

  it('are bounded in number', async () => {
    const { link } = await open({}, { subscriptionsMax: 2 });
    link.subscribe({ kinds: [1] }, listen());
    const off = link.subscribe({ kinds: [2] }, listen());
    expect(() => link.subscribe({ kinds: [3] }, listen())).toThrow('over 2 subscriptions');
    off();
    expect(() => link.subscribe({ kinds: [3] }, listen())).not.toThrow();
  });

  it('end with CLOSE, once, and hear nothing more', async () => {
    const { relay, link } = await open();
    const heard = listen();
    const off = link.subscribe({ kinds: [30_078] }, heard);
    const id = relay.socket.sent[0]?.[1];
    off();
    off();
    relay.socket.say('EVENT', id, signed());
    expect(relay.socket.ofType('CLOSE')).toEqual([['CLOSE', id]]);
    expect(heard.events.rest).toEqual([]);
  });

  it('tell events as live only after EOSE, each id once', async () => {
    const { relay, link } = await open();
    relay.answer = () => undefined;
    const heard = listen();
    link.subscribe({ kinds: [30_078] }, heard);
    const id = relay.socket.sent[0]?.[1];
    const [stored, late] = [signed(), signed({ content: 'late' })];
    relay.socket.say('EVENT', id, stored);
    relay.socket.say('EOSE', id);
    relay.socket.say('EVENT', id, stored);
    relay.socket.say('EVENT', id, late);
    expect(heard.events.rest).toEqual([
      { event: stored, live: false },
      { event: late, live: true },
    ]);
  });

  it('check what is cheap before the signature', async () => {
    let verified = 0;
    const { relay, link } = await open({
      verify: () => {
        verified += 1;
        return true;
      },
    });
    const heard = listen();
    const event = signed({ tags: [['p', 'cd'.repeat(32)]] });
    const filter = { kinds: [30_078], authors: [event.pubkey], '#p': ['cd'.repeat(32)] };
    link.subscribe(filter, heard);
    // Whoever changes the filter afterwards does not change what was asked.
    filter.kinds.push(1);
    const id = relay.socket.sent[0]?.[1];
    for (const other of [{ kind: 1 }, { pubkey: 'ab'.repeat(32) }, { tags: [] }]) {
      relay.socket.say('EVENT', id, { ...event, ...other });
    }
    relay.socket.say('EVENT', 'no such id', event);
    expect(verified).toBe(0);
    relay.socket.say('EVENT', id, event);
    relay.socket.say('EVENT', id, event);
    expect(verified).toBe(1);
    expect(heard.events.rest).toHaveLength(1);
  });

  it('remember a bounded number of ids', async () => {
    const { relay, link } = await open({}, { idsMax: 2 });
    const heard = listen();
    link.subscribe({ kinds: [30_078] }, heard);
    const id = relay.socket.sent[0]?.[1];
    const events = ['a', 'b', 'c'].map((content) => signed({ content }));
    for (const event of events) relay.socket.say('EVENT', id, event);
    relay.socket.say('EVENT', id, events[2]);
    expect(heard.events.rest).toHaveLength(3);
    relay.socket.say('EVENT', id, events[0]);
    expect(heard.events.rest).toHaveLength(4);
  });

  it('that are CLOSED are asked again after a back-off, later after a reproach', async () => {
    const { relay, link, clock } = await open();
    relay.answer = () => undefined;
    link.subscribe({ kinds: [1] }, listen());
    const close = (words: string) => {
      const requests = relay.socket.ofType('REQ');
      relay.socket.say('CLOSED', requests.at(-1)?.[1], words);
      return requests.length;
    };
    for (const [words, waitMs] of [
      ['error: try later', 100],
      ['rate-limited: too many', 60_000],
      ['blocked: no', 300_000],
      ['', 100],
    ] as const) {
      const asked = close(words);
      await clock.advance(waitMs - 1);
      expect(relay.socket.ofType('REQ')).toHaveLength(asked);
      await clock.advance(1);
      expect(relay.socket.ofType('REQ')).toHaveLength(asked + 1);
    }
    expect(relay.socket.ofType('CLOSE')).toEqual([]);
  });
});

describe('publishing', () => {
  it('keeps the words of a refusal', async () => {
    const { relay, link } = await open();
    relay.answer = ([, event], socket) => {
      socket.say('OK', (event as SignedEvent).id, false, 'invalid: ephemeral event expired');
    };
    expect(await link.publish(signed())).toMatchObject([
      { outcome: 'refused', reason: 'invalid: ephemeral event expired' },
    ]);
  });

  it('takes no OK for an event that was not sent, or for another', async () => {
    const { relay, link, clock } = await open();
    relay.answer = () => undefined;
    link.subscribe({ kinds: [1] }, listen());
    const event = signed();
    const result = link.publish(event, 3_000);
    relay.socket.say('OK', event.id, true, '');
    relay.socket.say('OK', 'ab'.repeat(32), true, '');
    await clock.advance(3_000);
    expect(await result).toMatchObject([
      { outcome: 'silent', reason: 'subscriptions not live within 3000 ms' },
    ]);
  });

  it('gives each event its own answer', async () => {
    const { relay, link } = await open();
    relay.answer = () => undefined;
    const [one, other] = [signed({ content: 'one' }), signed({ content: 'other' })];
    const results = [link.publish(one), link.publish(other), link.publish(other)];
    relay.socket.say('OK', other.id, false, 'blocked: kind');
    relay.socket.say('OK', one.id, true, 'duplicate: we have it');
    expect((await Promise.all(results)).flat()).toMatchObject([
      { outcome: 'accepted', reason: 'duplicate: we have it' },
      { outcome: 'refused', reason: 'blocked: kind' },
      { outcome: 'refused', reason: 'blocked: kind' },
    ]);
  });

  it('repeats the notice that a relay gave instead of an OK', async () => {
    const { relay, link, clock } = await open();
    relay.answer = (_message, socket) => socket.say('NOTICE', 'content too long');
    const result = link.publish(signed());
    await clock.advance(10_000);
    expect(await result).toMatchObject([
      { outcome: 'silent', reason: 'no answer within 10000 ms; it noted: content too long' },
    ]);
  });

  it('sends an event again after a lost connection, and takes the OK to it', async () => {
    const { relay, link, clock } = await open();
    relay.answer = () => undefined;
    const event = signed();
    const result = link.publish(event);
    relay.socket.end('gone');
    relay.answer = honest;
    await clock.advance(200);
    expect(await result).toMatchObject([{ outcome: 'accepted' }]);
    expect(relay.sockets.map((socket) => socket.ofType('EVENT').length)).toEqual([1, 1]);
  });

  it('says at once when no link is to be had in time', async () => {
    const { relay, link, clock } = await open();
    relay.answer = () => undefined;
    const waiting = link.publish(signed());
    relay.socket.end('HTTP 429', { status: 429 });
    expect(await waiting).toMatchObject([{ outcome: 'silent', reason: 'no link: HTTP 429' }]);
    expect(await link.publish(signed())).toMatchObject([
      { outcome: 'silent', reason: 'no link (waiting): HTTP 429' },
    ]);
    const patient = link.publish(signed(), 70_000);
    relay.answer = honest;
    await clock.advance(61_000);
    expect(await patient).toMatchObject([{ outcome: 'accepted' }]);
  });

  it('pauses after rate-limited, longer each time, and tells who must wait too long', async () => {
    const { relay, link, clock } = await open();
    relay.answer = ([, event], socket) => {
      socket.say('OK', (event as SignedEvent).id, false, 'rate-limited: slow down');
    };
    expect(await link.publish(signed())).toMatchObject([
      { outcome: 'refused', reason: 'rate-limited: slow down' },
    ]);
    relay.answer = honest;
    expect(await link.publish(signed(), 1_000)).toMatchObject([
      { outcome: 'silent', reason: 'the relay wants a pause: rate-limited: slow down' },
    ]);
    const patient = link.publish(signed());
    await clock.advance(1_999);
    expect(relay.socket.ofType('EVENT')).toHaveLength(1);
    await clock.advance(1);
    expect(await patient).toMatchObject([{ outcome: 'accepted' }]);
  });

  it('bounds what waits', async () => {
    const { relay, link, clock } = await open({}, { publishesMax: 3 });
    relay.answer = () => undefined;
    const events = ['a', 'b', 'c', 'd'].map((content) => signed({ content }));
    const results = events.map((event) => link.publish(event, 1_000));
    expect(await results[3]).toMatchObject([
      { outcome: 'silent', reason: '3 events wait for this relay already' },
    ]);
    await clock.advance(1_000);
    expect(await results[0]).toMatchObject([{ outcome: 'silent' }]);
    expect(clock.pending).toBe(1); // The next ping.
  });

  it('settles at close, and from then on at once', async () => {
    const { relay, link } = await open();
    relay.answer = () => undefined;
    const result = link.publish(signed());
    await link.close();
    expect(await result).toMatchObject([{ outcome: 'silent', reason: 'closed by us' }]);
    expect(await link.publish(signed())).toMatchObject([{ outcome: 'silent' }]);
    link.subscribe({ kinds: [1] }, listen())();
    expect(relay.clock.pending).toBe(0);
  });
});

describe('a relay that offends', () => {
  it('is left alone for five minutes once it has sent too much that is forged', async () => {
    const { relay, link, clock } = await open({}, { offencesMax: 10 });
    const heard = listen();
    link.subscribe({ kinds: [30_078] }, heard);
    const id = relay.socket.sent[0]?.[1];
    const real = signed();
    for (let round = 0; round < 9; round++) relay.socket.say('EVENT', id, forged(real));
    relay.socket.say('EVENT', id, real);
    expect(heard.events.rest).toHaveLength(1);
    relay.socket.tell({ kind: 'message', text: '{' });
    expect(link.status()[0]?.reason).toMatch(/^too many offences, the last: garbage/);
    await clock.advance(299_999);
    expect(relay.sockets).toHaveLength(1);
    await clock.advance(1);
    expect(relay.sockets).toHaveLength(2);
  });

  it('is borne while what it sends is only strange', async () => {
    const { relay, link } = await open({}, { offencesMax: 2 });
    for (let round = 0; round < 5; round++) {
      relay.socket.say('COUNT', 'a', { count: 1 });
      relay.socket.say('EVENT', 'a', { ...signed(), kind: -1 });
      relay.socket.say('OK');
      relay.socket.tell({ kind: 'message', text: 'x'.repeat(131_073) });
    }
    expect(link.status()[0]?.state).toBe('open');
  });
});
