import { describe, expect, test } from 'vitest';
import { silentLog } from '#protocol/base/log.ts';
import { beaconDocument } from '#protocol/documents/beacon.ts';
import { cassettesStateDocument } from '#protocol/documents/cassettes-state.ts';
import { DocumentPublisher } from '#protocol/documents/publisher.ts';
import { kinds } from '#protocol/event.ts';
import { verifySignature } from '#protocol/relay/verify.ts';
import { SignerError } from '#protocol/signer/signer.ts';
import { MemoryNetwork } from '#protocol/simulator/memory-network.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { crypto, keyOf, makeSigner, operatorKey, operatorPubkey } from '../rpc/rig.ts';

function makeRig() {
  const clock = new VirtualClock();
  const network = new MemoryNetwork({ clock, verify: verifySignature });
  const line = network.client();
  const signer = makeSigner(clock);
  const last = new Map<string, number>();
  const publisher = new DocumentPublisher({
    relays: line,
    signer,
    operatorPubkey,
    clock,
    log: silentLog,
    clocks: {
      last: (dTag) => last.get(dTag),
      advance: (dTag, createdAt) => {
        expect(createdAt).toBeGreaterThan(last.get(dTag) ?? 0);
        last.set(dTag, createdAt);
      },
    },
  });
  const dTag = `bitspire-cassettes-state:${signer.pubkey}`;
  return { clock, network, line, signer, last, publisher, dTag };
}

const state = (count: number) => cassettesStateDocument([{ position: 1, denomination: 20, count }]);

const countOf = (content: string, pubkey: string) => {
  const text = crypto.decrypt(operatorKey, pubkey, content);
  const { positions } = JSON.parse(text) as { positions: { '1': { count: number } } };
  return positions['1'].count;
};

describe('a document', () => {
  test('for the operator is encrypted, addressed, stored and read back', async () => {
    const { clock, network, publisher, signer, dTag, last } = makeRig();
    const sent = await clock.resolve(publisher.publish(state(7)));
    expect(sent).toMatchObject({ kind: 'sent', landed: true });
    const [event] = network.stored({ kinds: [kinds.document] });
    if (!event) throw new Error('nothing is stored');
    expect(event.tags).toEqual([
      ['d', dTag],
      ['p', operatorPubkey],
    ]);
    expect(event.pubkey).toBe(signer.pubkey);
    expect(countOf(event.content, signer.pubkey)).toBe(7);
    expect(last.get(dTag)).toBe(event.created_at);
    await clock.advance(100);
    expect(clock.pending).toBe(0);
  });

  test('for everyone is plain and addressed to nobody', async () => {
    const { clock, network, publisher, signer } = makeRig();
    const beacon = { cashIn: true, cashOut: true, cashLevel: null, fiat: 'USD', model: 'm' };
    await clock.resolve(publisher.publish(beaconDocument(beacon)));
    const [event] = network.stored({ kinds: [kinds.document] });
    expect(event?.tags).toEqual([['d', `bitspire-beacon:${signer.pubkey}`]]);
    expect(JSON.parse(event?.content ?? '')).toMatchObject({ cash_in: true, fiat: 'USD' });
  });
});

describe('its time', () => {
  test('never repeats, so that five in one second end with the last', async () => {
    const { clock, network, publisher, signer } = makeRig();
    const all = [1, 2, 3, 4, 5].map((count) => publisher.publish(state(count)));
    const sent = await clock.resolve(Promise.all(all));
    expect(sent.map((each) => each.kind === 'sent' && each.landed)).toEqual(Array(5).fill(true));
    const times = sent.map((each) => (each.kind === 'sent' ? each.event.created_at : 0));
    expect(new Set(times).size).toBe(5);
    const [event] = network.stored({ kinds: [kinds.document] });
    expect(countOf(event?.content ?? '', signer.pubkey)).toBe(5);
  });

  test('runs ahead of the clock by 5 s at most', async () => {
    const { clock, publisher, last, dTag } = makeRig();
    const nowSec = Math.floor(clock.now() / 1000);
    last.set(dTag, nowSec + 4);
    expect(await clock.resolve(publisher.publish(state(1)))).toMatchObject({ kind: 'sent' });
    expect(last.get(dTag)).toBe(nowSec + 5);
    const refused = await publisher.publish(state(2));
    expect(refused).toEqual({
      kind: 'notSent',
      reason: 'its time would be 6 s ahead, at most 5',
    });
    expect(last.get(dTag)).toBe(nowSec + 5);
    await clock.advance(1_000);
    expect(await clock.resolve(publisher.publish(state(3)))).toMatchObject({ landed: true });
  });

  test('is kept before the event leaves', async () => {
    const { clock, network, publisher, last, dTag } = makeRig();
    const kept: (number | undefined)[] = [];
    const take = network.take.bind(network);
    network.take = (event) => {
      kept.push(last.get(dTag));
      return take(event);
    };
    const sent = await clock.resolve(publisher.publish(state(1)));
    expect(kept).toEqual([sent.kind === 'sent' ? sent.event.created_at : 0]);
  });
});

describe('landed is false', () => {
  test('when a relay says OK and keeps a newer one of a twin', async () => {
    const { clock, network, publisher, signer, dTag } = makeRig();
    const twin = crypto.sign(keyOf('spire'), {
      kind: kinds.document,
      created_at: Math.floor(clock.now() / 1000) + 600,
      tags: [['d', dTag]],
      content: crypto.encrypt(keyOf('spire'), operatorPubkey, '{}'),
    });
    expect(twin.pubkey).toBe(signer.pubkey);
    network.take(twin);
    const sent = await clock.resolve(publisher.publish(state(1)));
    expect(sent).toMatchObject({
      kind: 'sent',
      landed: false,
      results: [{ outcome: 'accepted' }],
    });
  });

  test('until it is dated after what the relays keep from before its clock was lost', async () => {
    const { clock, last, publisher, dTag } = makeRig();
    last.set(dTag, Math.floor(clock.now() / 1000) + 2);
    expect(await clock.resolve(publisher.publish(state(1)))).toMatchObject({ landed: true });
    last.clear();
    expect(await clock.resolve(publisher.publish(state(2)))).toMatchObject({ landed: false });
    expect(await clock.resolve(publisher.publish(state(3)))).toMatchObject({ landed: true });
  });

  test('when no relay is there, and when the one there does not answer', async () => {
    const { clock, line, publisher } = makeRig();
    line.partition();
    const results = [{ outcome: 'silent' }];
    expect(await clock.resolve(publisher.publish(state(1)))).toMatchObject({
      landed: false,
      results,
    });
    line.heal();
    line.faults.drop = () => true;
    expect(await clock.resolve(publisher.publish(state(2)))).toMatchObject({ landed: false });
  });
});

test('an OK that got lost does not make it lost', async () => {
  const { clock, line, publisher } = makeRig();
  line.faults.withholdOk = () => true;
  expect(await clock.resolve(publisher.publish(state(1)))).toMatchObject({
    landed: true,
    results: [{ outcome: 'silent' }],
  });
});

test('a signer that does not sign speaks for itself, and the next document goes out', async () => {
  const { clock, publisher, signer, last } = makeRig();
  const sign = signer.sign.bind(signer);
  const silent = new SignerError({ kind: 'silent', reason: 'away' }, 'sign_event');
  signer.sign = () => Promise.reject(silent);
  await expect(publisher.publish(state(1))).rejects.toBe(silent);
  expect(last.size).toBe(0);
  signer.sign = sign;
  expect(await clock.resolve(publisher.publish(state(2)))).toMatchObject({ landed: true });
});

test('sixteen may wait, the next is not sent', async () => {
  const { clock, publisher } = makeRig();
  const all = Array.from({ length: 17 }, (_, count) => publisher.publish(state(count)));
  expect(await all[16]).toEqual({ kind: 'notSent', reason: 'too many documents wait' });
  await clock.resolve(Promise.all(all));
});
