import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { smallGet } from '#protocol/small-get.ts';

const HOW = { accept: 'application/json', limitMs: 10_000, bytesMax: 8 };

async function serve(answer: (response: ServerResponse, request: IncomingMessage) => void) {
  const server = createServer((request, response) => answer(response, request));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

describe('a small GET', () => {
  test('gives status and text, and tells of the head before the body is there', async () => {
    const heard: unknown[] = [];
    let finish: () => void = () => undefined;
    const url = await serve((response, { headers }) => {
      heard.push(headers.accept);
      response.writeHead(418, { age: '7' }).write('häl');
      finish = () => response.end('f');
    });
    const onHead = ({ age }: IncomingHttpHeaders) => {
      heard.push(age);
      finish();
    };
    const answer = await smallGet(url, { ...HOW, onHead });
    expect(answer).toEqual({ status: 418, text: 'hälf' });
    expect(heard).toEqual(['application/json', '7']);
  });

  test('ends for a redirect, for a byte too many, and where nobody listens', async () => {
    const elsewhere = await serve((response) => response.writeHead(302, { location: '/' }).end());
    await expect(smallGet(elsewhere, HOW)).rejects.toThrow('sends elsewhere (302)');
    const full = await serve((response) => response.end('12345678'));
    expect((await smallGet(full, HOW)).text).toBe('12345678');
    const long = await serve((response) => response.end('123456789'));
    await expect(smallGet(long, HOW)).rejects.toThrow('above 8 bytes');
    await expect(smallGet('http://127.0.0.1:9/', HOW)).rejects.toThrow('ECONNREFUSED');
    await expect(smallGet('nowhere', HOW)).rejects.toThrow();
  });

  test('ends in time, also in the middle of an answer', async () => {
    const silent = await serve(() => undefined);
    await expect(smallGet(silent, { ...HOW, limitMs: 20 })).rejects.toThrow();
    const half = await serve((response) => void response.writeHead(200).write('1'));
    await expect(smallGet(half, { ...HOW, limitMs: 100 })).rejects.toThrow();
  });
});
