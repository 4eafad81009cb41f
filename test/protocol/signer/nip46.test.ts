import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Secret } from '#protocol/base/secret.ts';
import { kinds, type SignedEvent } from '#protocol/event.ts';
import {
  ATTEMPT_MS,
  AUTH_URL_MS,
  Nip46Client,
  OUTSTANDING_MAX,
  REQUEST_BYTES_MAX,
  WAITING_MAX,
} from '#protocol/signer/nip46.ts';
import { peerWords, readReply } from '#protocol/signer/nip46-reply.ts';
import { bunkerRig } from '#test/support/bunker-rig.ts';
import { honest, refusing, silent } from '#test/support/hostile-bunker.ts';

/** Everything that the relay sees of kind 24133. */
function tapped(rig: ReturnType<typeof bunkerRig>): SignedEvent[] {
  const seen: SignedEvent[] = [];
  rig.network
    .client()
    .subscribe({ kinds: [kinds.remoteSigning] }, { event: (event) => void seen.push(event) });
  return seen;
}

describe('requests', () => {
  test('a result comes back; the request is NIP-44 and has a 128-bit id', async () => {
    const rig = bunkerRig();
    const seen = tapped(rig);
    expect(await rig.clock.resolve(rig.client.ping())).toEqual({ kind: 'result', result: 'pong' });
    expect(rig.bunker.heard).toHaveLength(1);
    expect(rig.bunker.heard[0]).toMatchObject({ method: 'ping', client: rig.client.clientPubkey });
    expect(rig.bunker.heard[0]?.id).toMatch(/^[0-9a-f]{32}$/);
    const [request] = seen;
    expect(request?.tags).toEqual([['p', rig.bunker.pubkey]]);
    expect(request?.content).not.toContain('?iv=');
    expect(Buffer.from(request?.content ?? '', 'base64')[0]).toBe(2);
  });

  test('ids never repeat', async () => {
    const rig = bunkerRig();
    for (let i = 0; i < 20; i++) await rig.clock.resolve(rig.client.ping());
    expect(new Set(rig.bunker.heard.map(({ id }) => id)).size).toBe(20);
  });

  test('a lost request is sent once more, as a new event with the same id', async () => {
    const rig = bunkerRig();
    rig.bunker.script.push(silent);
    const outcome = await rig.clock.resolve(rig.client.ping());
    expect(outcome).toEqual({ kind: 'result', result: 'pong' });
    const [one, two, ...more] = rig.bunker.heard;
    expect(more).toEqual([]);
    expect(two?.id).toBe(one?.id);
    expect(two?.eventId).not.toBe(one?.eventId);
    expect((two?.atMs ?? 0) - (one?.atMs ?? 0)).toBe(ATTEMPT_MS);
  });

  test('a dead bunker is asked twice, and the request ends after 30 s', async () => {
    const rig = bunkerRig();
    rig.bunker.behaviour = silent;
    const outcome = await rig.clock.resolve(rig.client.ping());
    expect(outcome).toEqual({ kind: 'silent', reason: 'no answer in 30 s' });
    expect(rig.clock.monotonic()).toBe(2 * ATTEMPT_MS);
    expect(rig.bunker.heard).toHaveLength(2);
    expect(rig.clock.pending).toBe(0);
  });

  test('an answer after 10 s still counts, and the request is not repeated', async () => {
    const rig = bunkerRig();
    rig.bunker.behaviour = (request, bunker) => {
      rig.clock.after(10_000, () => void honest(request, bunker));
    };
    expect(await rig.clock.resolve(rig.client.ping())).toEqual({ kind: 'result', result: 'pong' });
    expect(rig.bunker.heard).toHaveLength(1);
  });

  test('an answer to the first attempt that comes after the second was sent counts', async () => {
    const rig = bunkerRig();
    rig.bunker.script.push((request, bunker) => {
      rig.clock.after(20_000, () => void honest(request, bunker));
    }, silent);
    expect(await rig.clock.resolve(rig.client.ping())).toEqual({ kind: 'result', result: 'pong' });
    expect(rig.clock.monotonic()).toBe(20_040);
  });

  test('connect is sent once only', async () => {
    const rig = bunkerRig();
    rig.bunker.behaviour = silent;
    const outcome = await rig.clock.resolve(rig.client.connect(new Secret('token')));
    expect(outcome).toEqual({ kind: 'silent', reason: 'no answer in 15 s' });
    expect(rig.bunker.heard).toHaveLength(1);
    expect(rig.bunker.heard[0]?.params).toEqual([rig.bunker.pubkey, 'token']);
  });

  test('silence names what the relays said', async () => {
    const rig = bunkerRig();
    rig.relays.partition();
    const outcome = await rig.clock.resolve(rig.client.ping());
    expect(outcome.kind).toBe('silent');
    expect(outcome).toMatchObject({ reason: expect.stringContaining('no link') });
  });

  test('one that is too long is refused before anything is sent', async () => {
    const rig = bunkerRig();
    const seen = tapped(rig);
    const long = 'x'.repeat(REQUEST_BYTES_MAX);
    await expect(rig.client.nip44Encrypt(rig.bunker.pubkey, long)).rejects.toMatchObject({
      code: 'invalidData',
    });
    await rig.clock.advance(60_000);
    expect(seen).toEqual([]);
  });

  test('the longest request and its reply fit an event of 65,536 bytes', async () => {
    const rig = bunkerRig();
    const seen = tapped(rig);
    const template = { kind: kinds.document, created_at: 1_800_000_000, tags: [['d', 'x']] };
    const room = REQUEST_BYTES_MAX - 200;
    const outcome = await rig.clock.resolve(
      rig.client.signEvent({ ...template, content: 'x'.repeat(room) }),
    );
    expect(outcome.kind).toBe('result');
    await rig.clock.advance(100);
    expect(seen).toHaveLength(2);
    for (const event of seen) {
      expect(Buffer.byteLength(JSON.stringify(event))).toBeLessThan(65_536);
      expect(event.content.length).toBeGreaterThan(50_000);
    }
  });
});

describe('bounds', () => {
  test('at most 8 are under way; the others wait for their turn and then end', async () => {
    const rig = bunkerRig();
    rig.bunker.behaviour = silent;
    const asked = Array.from({ length: 10 }, () => rig.client.ping());
    await rig.clock.advance(1_000);
    expect(rig.bunker.heard).toHaveLength(OUTSTANDING_MAX);
    const outcomes = await rig.clock.resolve(Promise.all(asked));
    expect(rig.clock.monotonic()).toBe(2 * ATTEMPT_MS);
    expect(outcomes.slice(8)).toEqual([
      { kind: 'silent', reason: 'other requests are still unanswered' },
      { kind: 'silent', reason: 'other requests are still unanswered' },
    ]);
  });

  test('an answer gives the next one its turn, and an urgent one goes first', async () => {
    const rig = bunkerRig();
    const asked = [
      ...Array.from({ length: 9 }, () => rig.client.ping()),
      rig.client.switchRelays({ isUrgent: true }),
    ];
    await rig.clock.resolve(Promise.all(asked));
    expect(rig.bunker.methods.slice(7, 10)).toEqual(['ping', 'switch_relays', 'ping']);
  });

  test('beyond the queue nothing is taken', async () => {
    const rig = bunkerRig();
    rig.bunker.behaviour = silent;
    const asked = Array.from({ length: OUTSTANDING_MAX + WAITING_MAX }, () => rig.client.ping());
    expect(await rig.client.ping()).toMatchObject({ kind: 'silent' });
    await rig.clock.resolve(Promise.all(asked));
    expect(rig.clock.pending).toBe(0);
  });

  test('close settles everything and leaves no timer', async () => {
    const rig = bunkerRig();
    rig.bunker.behaviour = (request, bunker) =>
      request.method === 'ping'
        ? undefined
        : bunker.reply(request, { result: 'auth_url', error: 'https://bunker.example/a' });
    const asked = [
      ...Array.from({ length: 12 }, () => rig.client.ping()),
      rig.client.getPublicKey({ isUrgent: true }),
    ];
    const ends = Promise.allSettled(asked);
    await rig.clock.advance(5_000);
    rig.client.close();
    for (const end of await ends) {
      expect(end).toMatchObject({ status: 'rejected', reason: { code: 'canceled' } });
    }
    await expect(rig.client.ping()).rejects.toMatchObject({ code: 'canceled' });
    await rig.clock.advance(20_000);
    expect(rig.clock.pending).toBe(0);
  });
});

describe('hostile answers', () => {
  test('two replies to one id: the first wins and the second is logged', async () => {
    const rig = bunkerRig();
    rig.bunker.behaviour = async (request, bunker) => {
      await bunker.reply(request, { result: 'error', error: 'Token already redeemed' });
      await bunker.reply(request, { result: 'error', error: 'Not authorized' });
    };
    const outcome = await rig.clock.resolve(rig.client.ping());
    expect(outcome).toEqual({ kind: 'error', error: 'Token already redeemed' });
    await rig.clock.advance(1_000);
    expect(rig.hasLine('reply came too late')).toBe(true);
  });

  test.each([
    ['empty', { result: '' }, 'the result is empty'],
    ['null', { result: null }, 'the result is empty'],
    ['missing', {}, 'the result is empty'],
    ['an object', { result: { a: 1 } }, 'the result is no text'],
    ['an auth challenge without an address', { result: 'auth_url' }, 'without a web address'],
    [
      'an auth challenge of another scheme',
      { result: 'auth_url', error: 'javascript:alert(1)' },
      'without a web address',
    ],
  ])('a result that is %s is a fault', async (_name, body, reason) => {
    const rig = bunkerRig();
    rig.bunker.behaviour = (request, bunker) => bunker.reply(request, body);
    const outcome = await rig.clock.resolve(rig.client.ping());
    expect(outcome).toMatchObject({ kind: 'faulty', reason: expect.stringContaining(reason) });
  });

  test('an empty error beside a result is a success', async () => {
    const rig = bunkerRig();
    rig.bunker.behaviour = (request, bunker) =>
      bunker.reply(request, { result: 'pong', error: '' });
    expect(await rig.clock.resolve(rig.client.ping())).toEqual({ kind: 'result', result: 'pong' });
  });

  test('a refusal keeps its words, without control characters and of bounded length', async () => {
    const rig = bunkerRig();
    rig.bunker.behaviour = refusing(`Not\n\u001b[31mauthorized${'!'.repeat(1_000)}`);
    const outcome = await rig.clock.resolve(rig.client.ping());
    expect(outcome).toMatchObject({
      kind: 'error',
      error: expect.stringMatching(/^Not \[31mauth/),
    });
    expect(outcome.kind === 'error' && outcome.error.length).toBe(300);
  });

  test.each([
    ['in NIP-04', 'reply does not decrypt'],
    ['in nonsense', 'reply does not decrypt'],
    ['to another id', 'reply to no request of ours'],
    ['from another key', ''],
    ['too long', 'reply is too long'],
    ['of no known shape', 'reply has no known shape'],
  ])('a reply %s is ignored, and an honest one after it counts', async (name, phrase) => {
    const rig = bunkerRig();
    rig.bunker.script.push(async (request, bunker) => {
      const body = bunker.work(request);
      if (name === 'in NIP-04') await bunker.reply(request, body, { nip04: true });
      if (name === 'in nonsense') await bunker.reply(request, body, { raw: 'nonsense' });
      if (name === 'to another id') await bunker.reply(request, { ...body, id: 'abcd' });
      if (name === 'from another key') {
        await bunker.reply(request, { result: 'forged' }, { as: rig.random.bytes(32) });
      }
      if (name === 'too long') await bunker.reply(request, body, { raw: 'A'.repeat(70_000) });
      if (name === 'of no known shape') {
        await bunker.reply(request, { id: '' });
      }
      rig.clock.after(2_000, () => void honest(request, bunker));
    });
    expect(await rig.clock.resolve(rig.client.ping())).toEqual({ kind: 'result', result: 'pong' });
    expect(rig.clock.monotonic()).toBeGreaterThan(2_000);
    if (phrase !== '') expect(rig.hasLine(phrase)).toBe(true);
  });

  test('over a relay that delivers anything, only the bunker speaks for the bunker', async () => {
    const rig = bunkerRig();
    // The subscription of a client, fed by hand with what a lying relay might send.
    let feed: (event: SignedEvent) => void = () => undefined;
    const lying = {
      ...{ ready: () => true, status: () => [], onStatus: () => () => undefined },
      subscribe: (
        _filter: unknown,
        listener: { event(event: SignedEvent, live: boolean): void },
      ) => {
        feed = (event) => listener.event(event, true);
        return () => undefined;
      },
      publish: async () => [],
      close: async () => undefined,
    };
    const { clock, random, log, crypto, clientKey, bunker } = rig;
    const client = new Nip46Client({
      ...{ clock, random, log, crypto, clientKey },
      ...{ relays: lying, bunkerPubkey: bunker.pubkey },
    });
    const stranger = random.bytes(32);
    const text = JSON.stringify({ id: 'x', result: 'forged' });
    const forged = crypto.sign(stranger, {
      ...{ kind: kinds.remoteSigning, created_at: 1, tags: [['p', client.clientPubkey]] },
      content: crypto.encrypt(stranger, client.clientPubkey, text),
    });
    feed(forged);
    feed(bunker.sign({ kind: kinds.remoteSigning, created_at: 1, tags: [], content: 'x' }));
    expect(rig.hasLine('reply does not decrypt')).toBe(false);
    expect(rig.lines.filter((line) => line.includes('event is no reply'))).toHaveLength(2);
    const end = await clock.resolve(client.ping());
    expect(end).toMatchObject({ reason: expect.stringContaining('there is none') });
  });
});

describe('auth_url', () => {
  test('the address is told, and the request stays open past the timeout', async () => {
    const rig = bunkerRig();
    const urls: string[] = [];
    rig.bunker.behaviour = async (request, bunker) => {
      await bunker.reply(request, { result: 'auth_url', error: 'https://bunker.example/allow' });
      rig.clock.after(120_000, () => void honest(request, bunker));
    };
    const asked = rig.client.ping({ onAuthUrl: (url) => void urls.push(url) });
    expect(await rig.clock.resolve(asked)).toEqual({ kind: 'result', result: 'pong' });
    expect(urls).toEqual(['https://bunker.example/allow']);
    expect(rig.bunker.heard).toHaveLength(1);
  });

  test('it ends after its bound, does not hold up others, and is bounded in number', async () => {
    const rig = bunkerRig();
    rig.bunker.behaviour = (request, bunker) =>
      request.method === 'ping'
        ? bunker.reply(request, { result: 'auth_url', error: 'https://bunker.example/allow' })
        : honest(request, bunker);
    const asked = Array.from({ length: 10 }, () => rig.client.ping());
    expect(await rig.clock.resolve(rig.client.getPublicKey())).toMatchObject({ kind: 'result' });
    const outcomes = await rig.clock.resolve(Promise.all(asked), AUTH_URL_MS + 60_000);
    expect(new Set(outcomes.map(({ kind }) => kind))).toEqual(new Set(['authUrl']));
    expect(rig.clock.monotonic()).toBeGreaterThan(AUTH_URL_MS);
    expect(rig.clock.pending).toBe(0);
  });
});

describe('readReply', () => {
  test('never throws and never invents a result', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        const reply = readReply(text);
        if (reply?.answer.kind === 'result') expect(reply.answer.result.length).toBeGreaterThan(0);
      }),
    );
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 128 }), fc.jsonValue(), (id, result) => {
        const answer = readReply(JSON.stringify({ id, result }))?.answer;
        const isText = typeof result === 'string' && result !== '' && result !== 'auth_url';
        expect(answer?.kind === 'result').toBe(isText);
      }),
    );
  });

  test('words are one short line', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 600 }), (words) => {
        expect(peerWords(words)).not.toMatch(/\p{Cc}/u);
        expect(peerWords(words).length).toBeLessThanOrEqual(300);
      }),
    );
  });
});
