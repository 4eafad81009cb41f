/** Relays that misbehave on purpose, and what tests of links have in common. */
import { createServer as createHttpServer } from 'node:http';
import { createServer, type Server, type Socket as TcpSocket } from 'node:net';
import { finalizeEvent, generateSecretKey } from 'nostr-tools/pure';
import { type WebSocket, WebSocketServer } from 'ws';
import { type Clock, systemClock, systemRandom } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import type { EventTemplate, SignedEvent } from '#protocol/event.ts';
import type { LinkOptions } from '#protocol/relay/link.ts';
import type { RelayStatus, Relays, SubscriptionListener } from '#protocol/relay/relay.ts';

/** One of a stream of things, awaited in order; a test waits on it instead of sleeping. */
export class Inbox<T> {
  readonly #items: T[] = [];
  readonly #waiting: ((item: T) => void)[] = [];

  push(item: T): void {
    const waiter = this.#waiting.shift();
    if (waiter) waiter(item);
    else this.#items.push(item);
  }

  next(): Promise<T> {
    const item = this.#items.shift();
    if (item !== undefined) return Promise.resolve(item);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** What came and was not taken yet. */
  get rest(): readonly T[] {
    return this.#items;
  }
}

/** Parts of a link on real time, quick enough for tests. */
export const realParts: LinkOptions = {
  clock: systemClock,
  random: systemRandom,
  log: silentLog,
  limits: { backOffFirstMs: 1, backOffMaxMs: 5 },
};

export const operatorKey = generateSecretKey();

/** A signed event as it is on the wire: plain JSON, nothing cached on it. */
export function signed(fields: Partial<EventTemplate> = {}, key = operatorKey): SignedEvent {
  const template = { kind: 30_078, created_at: 1_790_000_000, tags: [], content: '', ...fields };
  return JSON.parse(JSON.stringify(finalizeEvent(template, key))) as SignedEvent;
}

/** An event with another's id and signature: what a hostile relay can make up. */
export function forged(event: SignedEvent): SignedEvent {
  const last = event.sig.endsWith('0') ? '1' : '0';
  return { ...event, sig: event.sig.slice(0, -1) + last };
}

/** What a subscription was told. */
export interface Heard {
  readonly event: SignedEvent;
  readonly live: boolean;
}

/** A listener and what it heard. */
export function listen(): SubscriptionListener & {
  readonly events: Inbox<Heard>;
  readonly ends: Inbox<string>;
} {
  const events = new Inbox<Heard>();
  const ends = new Inbox<string>();
  return {
    events,
    ends,
    event: (event, live) => events.push({ event, live }),
    endOfStored: (url) => ends.push(url),
  };
}

/** Resolves at the first status that fits, the present one included. */
export function reached(
  relays: Relays,
  fits: (status: RelayStatus) => boolean,
): Promise<RelayStatus> {
  return new Promise((resolve) => {
    const off = relays.onStatus((status) => {
      if (!fits(status)) return;
      off();
      resolve(status);
    });
    const present = relays.status().find(fits);
    if (!present) return;
    off();
    resolve(present);
  });
}

/** A message of a client, and the line to answer on. */
export interface Received {
  readonly message: readonly [string, ...unknown[]];
  readonly line: Line;
}

/** One connection of a stub. */
export interface Line {
  say(message: readonly unknown[]): void;
  sayText(text: string): void;
  readonly socket: WebSocket;
}

/** A relay whose every word a test decides. */
export interface Stub extends Served {
  readonly received: Inbox<Received>;
  readonly connections: Inbox<Line>;
}

/** What a stub does by itself; without `answer` a test takes `received` and says what it wants. */
export interface StubOptions {
  readonly greet?: (line: Line) => void;
  readonly answer?: (received: Received) => void;
  readonly headers?: readonly string[];
  readonly autoPong?: boolean;
  /** Refuses the upgrade with this HTTP status line and headers, that many times. */
  readonly refuse?: { readonly head: string; readonly times: number };
}

/** Starts a stub on a free port. */
export async function startStub(options: StubOptions = {}): Promise<Stub> {
  const received = new Inbox<Received>();
  const connections = new Inbox<Line>();
  const sockets = new WebSocketServer({ noServer: true, autoPong: options.autoPong ?? true });
  sockets.on('headers', (headers) => headers.push(...(options.headers ?? [])));
  sockets.on('connection', (socket) => {
    const sayText = (text: string) => socket.send(text);
    const line: Line = { socket, sayText, say: (message) => sayText(JSON.stringify(message)) };
    socket.on('error', () => undefined);
    socket.on('message', (data) => {
      const one: Received = { message: JSON.parse(String(data)), line };
      received.push(one);
      options.answer?.(one);
    });
    connections.push(line);
    options.greet?.(line);
  });
  const http = createHttpServer();
  let refusals = 0;
  http.on('upgrade', (request, socket, head) => {
    if (options.refuse && refusals++ < options.refuse.times) socket.end(options.refuse.head);
    else sockets.handleUpgrade(request, socket, head, (one) => sockets.emit('connection', one));
  });
  return { received, connections, ...(await serve(http)) };
}

/** A TCP server that treats each connection as it is told. */
export function startTcp(accept: (socket: TcpSocket) => void): Promise<Served> {
  return serve(
    createServer((socket) => {
      socket.on('error', () => undefined);
      accept(socket);
    }),
  );
}

/** A server that listens on a free port of loopback. */
interface Served {
  readonly url: string;
  /** TCP connections that are open. */
  open(): number;
  close(): Promise<void>;
}

async function serve(server: Server): Promise<Served> {
  const open = new Set<TcpSocket>();
  server.on('connection', (socket: TcpSocket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    url: `ws://127.0.0.1:${address.port}`,
    open: () => open.size,
    close: () =>
      new Promise((resolve) => {
        for (const socket of open) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

/** A clock on real time that counts the timers that wait; a leak shows in it. */
export class CountingClock implements Clock {
  pending = 0;
  now(): number {
    return systemClock.now();
  }
  monotonic(): number {
    return systemClock.monotonic();
  }
  after(delayMs: number, task: () => void): () => void {
    this.pending += 1;
    let isOver = false;
    const end = () => {
      if (!isOver) this.pending -= 1;
      isOver = true;
    };
    const cancel = systemClock.after(delayMs, () => {
      end();
      task();
    });
    return () => {
      end();
      cancel();
    };
  }
}
