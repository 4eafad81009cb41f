import { describe, expect, test } from 'vitest';
import { silentLog } from '#protocol/base/log.ts';
import { kinds, type SignedEvent } from '#protocol/event.ts';
import type { PublishResult } from '#protocol/relay/relay.ts';
import type { PreparedCall, RpcAnswer } from '#protocol/rpc/rpc.ts';
import { NostrRpcClient, PUBLISH_AGE_MAX_SEC } from '#protocol/rpc/rpc-client.ts';
import { SignerError } from '#protocol/signer/signer.ts';
import { logLines } from '#test/support/log-lines.ts';
import { seededRandom } from '#test/support/seeded-random.ts';
import { crypto, keyOf, makeRig, type Rig, serverKey, serverPubkey } from './rig.ts';

/** A money call that is watched and sent; `answers` fills as they come. */
async function openCall({ client, clock, server }: Rig) {
  const call = await client.prepare('create_withdraw', { principal_sats: 1_000 }, 'w1');
  const answers: RpcAnswer[] = [];
  const off = client.watch(call, (answer) => answers.push(answer));
  const publishing = client.publish(call);
  await clock.advance(100);
  const request = server.requests.at(-1);
  if (!request) throw new Error('the request did not arrive');
  return { call, answers, off, request, publishing };
}

const link = { lnurl: 'LNURL1ABC' };
const ok: RpcAnswer = { kind: 'ok', data: link };

describe('requests', () => {
  test('are encrypted to the server, signed by us, and expire', async () => {
    const rig = makeRig();
    const { call, request, publishing } = await openCall(rig);
    expect(request.event).toEqual(call.event);
    expect(request.event.pubkey).toBe(rig.signer.pubkey);
    expect(request.event.kind).toBe(kinds.rpc);
    expect(request.event.tags).toEqual([
      ['p', serverPubkey],
      ['expiration', String(request.event.created_at + 300)],
    ]);
    expect(request.envelope).toMatchObject({
      rpc_name: 'create_withdraw',
      body: { principal_sats: 1_000 },
      wallet_id: 'w1',
      request_id: call.requestId,
    });
    expect(call.requestId).toMatch(/^[0-9a-f]{32}$/);
    expect((await publishing)[0]?.outcome).toBe('accepted');
  });

  test('are only prepared by `prepare`: nothing is sent', async () => {
    const { client, clock, server } = makeRig();
    await client.prepare('create_withdraw', {});
    await clock.advance(60_000);
    expect(server.requests).toEqual([]);
  });
});

describe('answers', () => {
  test('by the echoed id alone, and by the e tag alone', async () => {
    const rig = makeRig();
    const { answers, request } = await openCall(rig);
    rig.server.ok(request, link);
    await rig.clock.advance(100);
    expect(answers).toEqual([ok]);
    const tags = [['e', request.event.id]];
    rig.server.send(request.event, JSON.stringify({ status: 'ERROR', error: 'no' }), { tags });
    await rig.clock.advance(100);
    expect(answers).toEqual([ok, { kind: 'refused', error: 'no' }]);
  });

  test('by the e tag although some other id is echoed, and the other way round', async () => {
    const rig = makeRig();
    const { answers, request } = await openCall(rig);
    const own = JSON.stringify({ status: 'OK', data: link, id: 'a number of its own' });
    rig.server.send(request.event, own, { tags: [['e', request.event.id]] });
    rig.server.ok(request, link, { tags: [['e', 'ff'.repeat(32)]] });
    await rig.clock.advance(100);
    expect(answers).toEqual([ok, ok]);
  });

  test('from another key do not count, whatever they echo', async () => {
    const rig = makeRig();
    const { answers, request } = await openCall(rig);
    const tags = [['e', request.event.id]];
    rig.server.ok(request, { lnurl: 'LNURL1THIEF' }, { key: keyOf('thief'), tags });
    await rig.clock.advance(100);
    expect(answers).toEqual([]);
  });

  test('of another key do not count though a relay sends them, and none counts twice', async () => {
    const rig = makeRig();
    const delivered: ((event: SignedEvent) => void)[] = [];
    const client = new NostrRpcClient({
      relays: {
        subscribe: (_filter, listener) => {
          delivered.push((event) => listener.event(event, true));
          return () => undefined;
        },
        publish: async () => [],
        ready: () => true,
        status: () => [],
        onStatus: () => () => undefined,
        close: async () => undefined,
      },
      signer: rig.signer,
      transportPubkey: serverPubkey,
      clock: rig.clock,
      random: seededRandom('unasked'),
      log: silentLog,
    });
    const call = await client.prepare('create_withdraw', {});
    const answers: RpcAnswer[] = [];
    client.watch(call, (answer) => answers.push(answer));
    // The server's own ciphertext, which anyone may put into an event of his own.
    const text = JSON.stringify({ status: 'OK', data: link, id: call.requestId });
    const content = crypto.encrypt(serverKey, rig.signer.pubkey, text);
    const deliver = async (key: Uint8Array, recipient: string) => {
      const tags = [
        ['p', recipient],
        ['e', call.event.id],
      ];
      const event = crypto.sign(key, { kind: kinds.rpc, created_at: 1, tags, content });
      for (const tell of delivered) tell(event);
      for (const tell of delivered) tell(event);
      await rig.clock.advance(100);
    };
    await deliver(keyOf('thief'), rig.signer.pubkey);
    await deliver(serverKey, 'ee'.repeat(32));
    expect(answers).toEqual([]);
    await deliver(serverKey, rig.signer.pubkey);
    expect(answers).toEqual([ok]);
  });

  test('are each reported, so that a surplus link is seen; each event once', async () => {
    const rig = makeRig();
    const { answers, request } = await openCall(rig);
    rig.line.faults.duplicate = () => true;
    rig.server.ok(request, link);
    rig.server.ok(request, { lnurl: 'LNURL1SECOND' });
    await rig.clock.advance(100);
    expect(answers).toEqual([ok, { kind: 'ok', data: { lnurl: 'LNURL1SECOND' } }]);
  });

  test('come as late as they like while the call is open, and not after it', async () => {
    const rig = makeRig();
    const { answers, request, off } = await openCall(rig);
    await rig.clock.advance(3 * 3_600_000);
    rig.server.ok(request, link);
    await rig.clock.advance(100);
    expect(answers).toEqual([ok]);
    off();
    rig.server.ok(request, link);
    await rig.clock.advance(100);
    expect(answers).toHaveLength(1);
  });

  test('reach a call that was prepared before a restart', async () => {
    const rig = makeRig();
    const { call, request } = await openCall(rig);
    await rig.client.close();
    const restarted = new NostrRpcClient({
      relays: rig.network.client(),
      signer: rig.signer,
      transportPubkey: serverPubkey,
      clock: rig.clock,
      random: seededRandom('restarted'),
      log: silentLog,
    });
    const answers: RpcAnswer[] = [];
    const kept = JSON.parse(JSON.stringify(call)) as PreparedCall;
    restarted.watch(kept, (answer) => answers.push(answer));
    await rig.clock.advance(100);
    rig.server.ok(request, link);
    await rig.clock.advance(100);
    expect(answers).toEqual([ok]);
  });

  test('that name two open calls, or none, are dropped and logged', async () => {
    const { log, lines } = logLines();
    const rig = makeRig();
    const { call, request, answers } = await openCall(rig);
    const client = new NostrRpcClient({
      relays: rig.network.client(),
      signer: rig.signer,
      transportPubkey: serverPubkey,
      clock: rig.clock,
      random: seededRandom('logged'),
      log,
    });
    const other = await client.prepare('get_wallet', {});
    client.watch(call, (answer) => answers.push(answer));
    client.watch(other, (answer) => answers.push(answer));
    await rig.clock.advance(100);
    const echo = JSON.stringify({ status: 'OK', data: link, id: other.requestId });
    await rig.client.close();
    rig.server.send(request.event, echo, { tags: [['e', call.event.id]] });
    rig.server.send(request.event, JSON.stringify({ status: 'OK', data: link }));
    rig.server.send(request.event, 'no JSON');
    await rig.clock.advance(100);
    expect(answers).toEqual([]);
    const messages = lines.map((line) => (JSON.parse(line) as { msg: string }).msg);
    expect(messages).toEqual([
      'an answer that names several calls is dropped',
      'an answer that names no call',
      'an answer could not be read',
    ]);
    expect(lines.join('')).not.toContain(link.lnurl);
  });

  test('in parts, out of order, named by any part', async () => {
    const rig = makeRig();
    const { answers, request } = await openCall(rig);
    const text = JSON.stringify({ status: 'OK', data: { ...link, fill: 'x'.repeat(90_000) } });
    const parts = [0, 1, 2].map((index) => ({
      part: text.slice(index * 35_000, (index + 1) * 35_000),
      index,
      totalShards: 3,
      shardsId: 'aa',
    }));
    for (const index of [2, 0, 1]) {
      const tags = index === 0 ? [['e', request.event.id]] : [];
      rig.server.send(request.event, JSON.stringify(parts[index]), { tags });
    }
    await rig.clock.advance(100);
    expect(answers).toHaveLength(1);
    expect(answers[0]).toMatchObject({ kind: 'ok', data: link });
  });

  test('that do not decrypt are logged, not thrown', async () => {
    const rig = makeRig();
    const { answers, request } = await openCall(rig);
    const decrypt = rig.signer.decrypt.bind(rig.signer);
    rig.signer.decrypt = (peer) => decrypt(peer, 'garbage');
    rig.server.ok(request, link);
    await rig.clock.advance(100);
    expect(answers).toEqual([]);
    rig.signer.decrypt = decrypt;
    rig.server.ok(request, link);
    await rig.clock.advance(100);
    expect(answers).toEqual([ok]);
  });

  test('wait for a signer that is away for two minutes', async () => {
    const rig = makeRig();
    const { answers, request, off } = await openCall(rig);
    const decrypt = rig.signer.decrypt.bind(rig.signer);
    let tries = 0;
    const silent = () => {
      tries++;
      const reason = 'no answer';
      return Promise.reject(new SignerError({ kind: 'silent', reason }, 'nip44_decrypt'));
    };
    rig.signer.decrypt = silent;
    rig.server.ok(request, link);
    await rig.clock.advance(120_000);
    expect(answers).toEqual([]);
    rig.signer.decrypt = decrypt;
    await rig.clock.advance(60_000);
    expect(answers).toEqual([ok]);
    // Once nothing is open any more, the signer is left alone.
    rig.signer.decrypt = silent;
    tries = 0;
    rig.server.ok(request, link);
    await rig.clock.advance(100);
    off();
    await rig.clock.advance(600_000);
    expect(tries).toBe(1);
    expect(rig.clock.pending).toBe(0);
  });
});

describe('the subscription', () => {
  test('asks from 120 s before the oldest open call, by our clock alone', async () => {
    const rig = makeRig();
    const { call, request, off } = await openCall(rig);
    const sinces: (number | undefined)[] = [];
    const asked = rig.network.request.bind(rig.network);
    rig.network.request = (client, subscription, filter) => {
      if (filter.authors?.[0] === serverPubkey) sinces.push(filter.since);
      return asked(client, subscription, filter);
    };
    const reconnect = async () => {
      rig.line.partition();
      rig.line.heal();
      await rig.clock.advance(100);
    };
    // An answer dated far ahead moves nothing.
    rig.server.ok(request, link, { createdAtSec: call.event.created_at + 800 });
    await rig.clock.advance(600_000);
    await reconnect();
    off();
    await reconnect();
    const nowSec = Math.floor(rig.clock.now() / 1000);
    expect(sinces).toEqual([call.event.created_at - 120, nowSec - 120]);
  });

  test('is asked again for a call from before it', async () => {
    const rig = makeRig();
    const { call, off } = await openCall(rig);
    off();
    await rig.clock.advance(600_000);
    rig.line.partition();
    rig.line.heal();
    await rig.clock.advance(100);
    const sinces: (number | undefined)[] = [];
    const asked = rig.network.request.bind(rig.network);
    rig.network.request = (client, subscription, filter) => {
      sinces.push(filter.since);
      return asked(client, subscription, filter);
    };
    rig.client.watch(call, () => undefined);
    await rig.clock.advance(100);
    expect(sinces).toEqual([call.event.created_at - 120]);
  });
});

describe('publishing', () => {
  test('sends the very same event again', async () => {
    const rig = makeRig();
    const sent: string[] = [];
    const take = rig.network.take.bind(rig.network);
    rig.network.take = (event) => {
      sent.push(event.id);
      return take(event);
    };
    const { call } = await openCall(rig);
    void rig.client.publish(call);
    await rig.clock.advance(100);
    expect(sent).toEqual([call.event.id, call.event.id]);
  });

  test('never sends what has become too old, and says that it was not sent', async () => {
    const rig = makeRig();
    const call = await rig.client.prepare('create_withdraw', {});
    await rig.clock.advance((PUBLISH_AGE_MAX_SEC + 1) * 1000);
    const results = await rig.client.publish(call);
    expect(results).toEqual([
      { url: rig.network.url, outcome: 'silent', reason: 'not sent: 51 s old' },
    ]);
    expect(rig.server.requests).toEqual([]);
  });

  test('keeps to ten a minute, whatever is asked', async () => {
    const rig = makeRig();
    const calls = await Promise.all(Array.from({ length: 15 }, () => rig.client.prepare('x', {})));
    const results: PublishResult[] = [];
    for (const call of calls) {
      void rig.client.publish(call).then((each) => results.push(...each));
    }
    await rig.clock.advance(59_000);
    expect(rig.server.requests).toHaveLength(10);
    await rig.clock.advance(60_000);
    // The rest waited beyond what relays take.
    expect(rig.server.requests).toHaveLength(10);
    expect(results.filter(({ reason }) => reason.startsWith('not sent'))).toHaveLength(5);
  });
});

describe('ask', () => {
  test('resolves with the first answer', async () => {
    const rig = makeRig();
    rig.server.onRequest = (request) => rig.server.ok(request, { balance: 1 });
    const outcome = await rig.clock.resolve(rig.client.ask('get_wallet', {}, 'w1'));
    expect(outcome).toEqual({ kind: 'ok', data: { balance: 1 } });
    await rig.clock.advance(60_000);
    expect(rig.server.requests).toHaveLength(1);
    expect(rig.clock.pending).toBe(0);
  });

  test('tries once more with a new event, then it is unanswered', async () => {
    const rig = makeRig();
    const startMs = rig.clock.monotonic();
    const outcome = await rig.clock.resolve(rig.client.ask('get_wallet', {}));
    expect(outcome).toEqual({ kind: 'unanswered' });
    expect(rig.clock.monotonic() - startMs).toBe(15_000);
    expect(rig.server.requests).toHaveLength(2);
    expect(new Set(rig.server.requests.map(({ event }) => event.id)).size).toBe(2);
  });

  test('does not queue a second event behind a first that still waits', async () => {
    const rig = makeRig();
    for (let count = 0; count < 8; count++) void rig.client.ask('get_wallet', {});
    const startMs = rig.clock.monotonic();
    let signatures = 0;
    const sign = rig.signer.sign.bind(rig.signer);
    rig.signer.sign = (template) => {
      signatures++;
      return sign(template);
    };
    await rig.clock.advance(100);
    expect(rig.server.requests).toHaveLength(8);
    signatures = 0;
    expect(await rig.clock.resolve(rig.client.ask('late', {}))).toEqual({ kind: 'unanswered' });
    expect(rig.clock.monotonic() - startMs).toBeLessThan(15_200);
    // Its own one, and the second try of each of the eight; all of them without a turn.
    expect(signatures).toBe(1 + 8);
    expect(rig.server.requests).toHaveLength(8);
  });

  test('takes the answer to its first event after the second was sent', async () => {
    const rig = makeRig();
    const asking = rig.client.ask('get_wallet', {});
    await rig.clock.advance(9_000);
    const [first] = rig.server.requests;
    if (!first) throw new Error('nothing was asked');
    rig.server.ok(first, 'late');
    expect(await rig.clock.resolve(asking)).toEqual({ kind: 'ok', data: 'late' });
  });

  test('lets a signer that does not sign speak for itself', async () => {
    const rig = makeRig();
    rig.signer.sign = () =>
      Promise.reject(new SignerError({ kind: 'silent', reason: 'no answer' }, 'sign_event'));
    await expect(rig.client.ask('get_wallet', {})).rejects.toThrow('no answer');
    await rig.clock.advance(100);
    expect(rig.clock.pending).toBe(0);
  });

  test('ends as unanswered when the client is closed', async () => {
    const rig = makeRig();
    const asking = rig.client.ask('get_wallet', {});
    await rig.clock.advance(1_000);
    await rig.client.close();
    expect(await asking).toEqual({ kind: 'unanswered' });
    expect(await rig.client.ask('get_wallet', {})).toEqual({ kind: 'unanswered' });
    await rig.clock.advance(100);
    expect(rig.clock.pending).toBe(0);
  });
});

describe('the time of the server', () => {
  const offsetAfter = async (skewSec: number, delayMs: number) => {
    const rig = makeRig();
    const { request } = await openCall(rig);
    await rig.clock.advance(delayMs);
    const createdAtSec = Math.floor(rig.clock.now() / 1000) + skewSec;
    rig.server.ok(request, link, { createdAtSec });
    await rig.clock.advance(100);
    const [heard] = rig.heardTimes;
    return heard && heard.unixMs - heard.atUnixMs;
  };

  test('comes from an answer that came soon, and from no other', async () => {
    expect(await offsetAfter(90, 0)).toBeCloseTo(90_000, -3);
    expect(await offsetAfter(-45, 5_000)).toBeCloseTo(-45_000, -3);
    expect(await offsetAfter(90, 30_000)).toBeUndefined();
  });
});
