import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { systemClock } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import {
  fetchInformation,
  type RelayInformation,
  readInformation,
  shortcomingsOf,
} from '#protocol/relay/information.ts';
import { startRelay } from '#protocol/simulator/relay.ts';
import { openLink } from './simulated-relay.ts';
import { signed } from './stub-relay.ts';

async function serve(answer: (response: ServerResponse) => void): Promise<string> {
  const server = createServer((_request, response) => answer(response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('what a relay says of itself', () => {
  test('is read from a real one', async () => {
    const relay = await startRelay({ clock: systemClock, log: silentLog });
    onTestFinished(() => relay.stop());
    expect(await fetchInformation(relay.url)).toMatchObject({
      ...{ messageBytesMax: 131_072, requiresAuth: false, futureMaxSec: 900 },
    });
  });

  const LIMITS = {
    max_message_length: 65_536,
    max_content_length: 60_000,
    max_subscriptions: 20,
    max_subid_length: 12,
    created_at_lower_limit: 94_608_000,
    created_at_upper_limit: 3,
    min_pow_difficulty: 8,
    auth_required: true,
    payment_required: true,
    restricted_writes: true,
    max_filters: 10,
    max_limit: 500,
  };
  const READ = {
    messageBytesMax: 65_536,
    contentCharsMax: 60_000,
    subscriptionsMax: 20,
    requestIdCharsMax: 12,
    pastMaxSec: 94_608_000,
    futureMaxSec: 3,
    workBits: 8,
    requiresAuth: true,
    requiresPayment: true,
    restrictsWrites: true,
  };
  const NOTHING = Object.fromEntries(Object.keys(READ).map((name) => [name, undefined]));

  test.each([
    [{}, undefined],
    [{ limitation: {} }, NOTHING],
    [{ limitation: LIMITS }, READ],
    // What makes no sense is not said, and hides nothing of the rest.
    [{ limitation: { ...LIMITS, max_message_length: 0 } }, { ...READ, messageBytesMax: undefined }],
    [{ limitation: { max_message_length: '65536', auth_required: 'no' } }, NOTHING],
    [{ limitation: { max_subscriptions: -1, max_subid_length: 1e99 } }, NOTHING],
    [{ limitation: { created_at_lower_limit: 0, created_at_upper_limit: 0.5 } }, NOTHING],
    [{ limitation: [] }, undefined],
    ['relay', undefined],
  ])('%j is %j', (value, information) => {
    expect(readInformation(value)).toEqual(information);
  });

  test('is held against what we need', () => {
    expect(shortcomingsOf(NOTHING, 64)).toEqual([]);
    expect(shortcomingsOf({ ...READ, contentCharsMax: 1_000 }, 21)).toEqual([
      { code: 'payment' },
      { code: 'restrictedWrites' },
      { code: 'work', bits: 8 },
      { code: 'subscriptions', max: 20, needed: 21 },
      { code: 'content', max: 1_000, needed: 54_704 },
      { code: 'future', maxSec: 3, neededSec: 5 },
    ]);
    expect(shortcomingsOf({ messageBytesMax: 16_384, pastMaxSec: 30 }, 1)).toEqual([
      { code: 'message', max: 16_384, needed: 55_300 },
      { code: 'past', maxSec: 30, neededSec: 60 },
    ]);
  });

  test('is nothing when it is endless, no JSON, elsewhere, or nobody is there', async () => {
    const endless = await serve((response) => {
      const more = () => response.write('x'.repeat(10_000), () => setImmediate(more));
      more();
    });
    const page = await serve((response) => response.end('<html>'));
    const elsewhere = await serve((response) => response.writeHead(302, { location: '/' }).end());
    for (const url of [endless, page, elsewhere, 'ws://127.0.0.1:9']) {
      expect(await fetchInformation(url)).toBeUndefined();
    }
  });
});

test('a frame that the relay does not take is not sent, and the next one is', async () => {
  const fetchTwoKib = async () => ({ messageBytesMax: 2_048 });
  const { relay, link, clock } = await openLink({ fetchInformation: fetchTwoKib });
  await clock.advance(1);
  const long = await clock.resolve(link.publish(signed({ content: 'x'.repeat(2_048) })));
  expect(long).toMatchObject([
    { outcome: 'refused', reason: expect.stringMatching(/^not sent: \d+ bytes/) },
  ]);
  const results = await clock.resolve(link.publish(signed({ content: 'short' })));
  expect(results).toMatchObject([{ outcome: 'accepted' }]);
  expect(relay.socket.sent.filter(([type]) => type === 'EVENT')).toHaveLength(1);
});

test('an event with more content than it takes is not sent', async () => {
  const fetchFour = async () => ({ contentCharsMax: 4 });
  const { relay, link, clock } = await openLink({ fetchInformation: fetchFour });
  await clock.advance(1);
  expect(await clock.resolve(link.publish(signed({ content: 'short' })))).toMatchObject([
    { outcome: 'refused', reason: 'not sent: 5 characters of content, it takes 4' },
  ]);
  // Four characters, of two UTF-16 units each.
  expect(await clock.resolve(link.publish(signed({ content: '🎉🎉🎉🎉' })))).toMatchObject([
    { outcome: 'accepted' },
  ]);
  expect(relay.socket.sent.filter(([type]) => type === 'EVENT')).toHaveLength(1);
});

test('names of subscriptions are as short as it wants, also of those asked before it was known', async () => {
  const asked = Promise.withResolvers<RelayInformation>();
  const { relay, link, clock } = await openLink({ fetchInformation: () => asked.promise });
  const names = () => relay.socket.ofType('REQ').map(([, name]) => String(name));
  link.subscribe({ kinds: [1] }, { event: () => undefined });
  await clock.advance(1);
  expect(names().map(({ length }) => length)).toEqual([16]);
  expect(link.status()[0]?.shortcomings).toBeUndefined();
  asked.resolve({ requestIdCharsMax: 6, subscriptionsMax: 1, requiresPayment: true });
  await clock.advance(1);
  expect(names().map(({ length }) => length)).toEqual([16, 6]);
  expect(relay.socket.ofType('CLOSE')).toEqual([['CLOSE', names()[0]]]);
  expect(link.ready()).toBe(true);
  expect(link.status()[0]?.shortcomings).toEqual([{ code: 'payment' }]);
  link.subscribe({ kinds: [2] }, { event: () => undefined });
  expect(names().at(-1)).toHaveLength(6);
  expect(link.status()[0]?.shortcomings).toContainEqual({
    ...{ code: 'subscriptions', max: 1, needed: 2 },
  });
});
