import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { KEEP_ALIVE_MS, SLOW_READER_MS, STREAMS_MAX } from '#agent/api/events.ts';
import { type MachineView, machineView } from '#agent/api/schemas.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { call, type Harness, startHarness } from './harness.ts';
import { cashIn, idleView } from './views.ts';

/** A reader of the stream, by the raw text that came. */
interface Reader {
  readonly request: ClientRequest;
  readonly response: IncomingMessage;
  text(): string;
  /** Waits until as many machine views have come, and gives them. */
  views(count: number): Promise<MachineView[]>;
}

async function read(harness: Harness): Promise<Reader> {
  const sent = request({ socketPath: harness.socketPath, path: '/v1/events' });
  sent.on('error', () => undefined);
  sent.end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  response.on('error', () => undefined);
  let text = '';
  response.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  const views = () =>
    [...text.matchAll(/^event: machine\ndata: (.+)\n\n/gm)].map(([, data = '']) =>
      machineView.parse(JSON.parse(data)),
    );
  return {
    request: sent,
    response,
    text: () => text,
    views: async (count) => {
      while (views().length < count) await once(response, 'data');
      return views();
    },
  };
}

const leave = async (harness: Harness, reader: Reader) => {
  reader.request.destroy();
  while (harness.service.listeners.size > 0) await turn();
};
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('server-sent events', () => {
  test('the view now, then every change, then nothing is left behind', async () => {
    await using harness = await startHarness({ clock: new VirtualClock() });
    const reader = await read(harness);
    expect(reader.response.headers['content-type']).toBe('text/event-stream');
    expect(reader.response.headers['cache-control']).toBe('no-store');
    expect(await reader.views(1)).toEqual([idleView]);
    const next = cashIn({ fiatMinor: 2_000, notes: 1, notice: { code: 'x', text: 'a\nb\r\nc' } });
    harness.service.show(next);
    expect(await reader.views(2)).toEqual([idleView, next]);
    expect(harness.service.listeners.size).toBe(1);
    await leave(harness, reader);
  });

  test('the screen reads the same stream with its token', async () => {
    await using harness = await startHarness();
    const headers = { authorization: `Bearer ${harness.token}` };
    const sent = request({ port: harness.port, host: '127.0.0.1', path: '/v1/events', headers });
    sent.end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    expect(response.statusCode).toBe(200);
    expect(response.headers['x-spire-screen']).toMatch(/^[0-9a-f]{64}$/);
    const [chunk] = (await once(response, 'data')) as [Buffer];
    expect(chunk.toString()).toContain(JSON.stringify(idleView));
    sent.destroy();
  });

  test('a quiet machine shows that it lives', async () => {
    const clock = new VirtualClock();
    await using harness = await startHarness({ clock });
    const reader = await read(harness);
    await reader.views(1);
    for (let beats = 1; beats <= 3; beats++) {
      await clock.advance(KEEP_ALIVE_MS);
      while (reader.text().split(': alive').length <= beats) await once(reader.response, 'data');
    }
    await leave(harness, reader);
    expect(clock.pending).toBe(0);
  });

  test('the ninth reader is refused, and has room when one has left', async () => {
    await using harness = await startHarness();
    const { service, socketPath } = harness;
    const readers: Reader[] = [];
    for (let count = 0; count < STREAMS_MAX; count++) readers.push(await read(harness));
    const refused = await call({ socketPath, path: '/v1/events' });
    expect([refused.status, JSON.parse(refused.text).code]).toEqual([503, 'busy']);
    expect(service.listeners.size).toBe(STREAMS_MAX);
    readers[0]?.request.destroy();
    while (service.listeners.size === STREAMS_MAX) await turn();
    expect(await (await read(harness)).views(1)).toEqual([idleView]);
  });

  test('closing the agent ends every stream', async () => {
    const clock = new VirtualClock();
    const harness = await startHarness({ clock });
    const reader = await read(harness);
    await reader.views(1);
    const ended = new Promise((resolve) => reader.response.on('close', resolve));
    await harness.api.close();
    await ended;
    expect(harness.service.listeners.size).toBe(0);
    expect(clock.pending).toBe(0);
  });
});

describe('a reader that takes nothing', () => {
  const VIEWS = 4_000;
  const filler = 'x'.repeat(4_000);
  const numbered = (number: number) =>
    cashIn({ fiatMinor: number, notice: { code: 'filler', text: filler } });

  /** Opens a stream whose bytes are not read from the socket. */
  async function stuffed(harness: Harness): Promise<Socket> {
    const socket = connect(harness.socketPath);
    socket.write('GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n');
    while (harness.service.listeners.size === 0) await turn();
    for (let number = 1; number <= VIEWS; number++) {
      harness.service.show(numbered(number));
      await turn();
    }
    return socket;
  }

  test('is closed after its time and has kept nobody waiting', async () => {
    const clock = new VirtualClock();
    await using harness = await startHarness({ clock });
    const socket = await stuffed(harness);
    await clock.advance(SLOW_READER_MS - 1);
    expect(harness.service.listeners.size).toBe(1);
    await clock.advance(1);
    while (harness.service.listeners.size > 0) await turn();
    expect(clock.pending).toBe(0);
    socket.destroy();
  });

  test('that reads again skips to the newest view', async () => {
    const clock = new VirtualClock();
    await using harness = await startHarness({ clock });
    const socket = await stuffed(harness);
    let text = '';
    const last = `"fiatMinor":${VIEWS},`;
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    while (!text.includes(last)) await once(socket, 'data');
    const events = text.split('event: machine').length - 1;
    expect(events).toBeLessThan(VIEWS / 2);
    await clock.advance(SLOW_READER_MS);
    expect(harness.service.listeners.size).toBe(1);
    harness.service.show(numbered(VIEWS + 1));
    while (!text.includes(`"fiatMinor":${VIEWS + 1},`)) await once(socket, 'data');
    socket.destroy();
  });
});
