import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { systemClock } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import { fetchInformation, readInformation } from '#protocol/relay/information.ts';
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
    expect(await fetchInformation(relay.url)).toEqual({ messageBytesMax: 131_072 });
  });

  test.each([
    [{}, undefined],
    [{ limitation: {} }, { messageBytesMax: undefined }],
    [{ limitation: { max_message_length: 65_536 } }, { messageBytesMax: 65_536 }],
    [{ limitation: { max_message_length: 0 } }, undefined],
    [{ limitation: { max_message_length: '65536' } }, undefined],
    ['relay', undefined],
  ])('%j is %j', (value, information) => {
    expect(readInformation(value)).toEqual(information);
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
