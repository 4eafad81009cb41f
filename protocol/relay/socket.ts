/** A WebSocket as a link sees it, and the real one: `ws`, hardened against what relays do. */
import { WebSocket } from 'ws';
import { messageOf, RelayError } from '../base/errors.ts';
import type { Unsubscribe } from './relay.ts';

/** News from a socket. After `closed` nothing more comes. */
export type SocketEvent =
  /** The upgrade is done. `dateUnixMs`: the server's Date header, if it sent one. */
  | { readonly kind: 'open'; readonly dateUnixMs: number | undefined }
  | { readonly kind: 'message'; readonly text: string }
  | { readonly kind: 'pong' }
  /** It ended, or never opened. `status`: HTTP status of a refused upgrade. */
  | {
      readonly kind: 'closed';
      readonly reason: string;
      readonly status?: number | undefined;
      readonly retryAfterMs?: number | undefined;
    };

/** One connection to one relay. It connects by itself; `open` comes after `subscribe` is called. */
export interface Socket {
  subscribe(listener: (event: SocketEvent) => void): Unsubscribe;
  /** Sends a text frame; after the end it does nothing. */
  send(text: string): void;
  /** Asks for a `pong`; after the end it does nothing. */
  ping(): void;
  /** Bytes handed over that the network has not taken yet. */
  unsentBytes(): number;
  /** Ends it without a farewell. `closed` comes at once or soon, unless it has come already. */
  terminate(): void;
}

/** Opens a socket. @throws RelayError `invalidData` for a URL that no socket can be opened to. */
export type OpenSocket = (url: string) => Socket;

/** Bounds of a real socket. */
export interface WebSocketLimits {
  readonly connectMs: number;
  readonly frameBytesMax: number;
}

/** How much later than the link's own the time-out of `ws` is, ms: it sees silence, no dribble. */
const HANDSHAKE_MARGIN_MS = 1_000;
/** How long a relay that says goodbye may keep the line, ms; `ws` alone would wait 30 s. */
const FAREWELL_MS = 2_000;
/** A frame may come in pieces; 16,384, the default of `ws`, is for what we do not do. */
const FRAGMENTS_MAX = 1_024;

/** Opens a real socket to a ws: or wss: URL. @throws RelayError `invalidData` for another one. */
export function openWebSocket(url: string, limits: WebSocketLimits): Socket {
  // `ws` itself would also take http: and ws+unix:, the latter a way to sockets of this computer.
  if (!/^wss?:\/\//i.test(url)) throw new RelayError('invalidData', 'relay URL is not ws: or wss:');
  // Apart from the call, as the types of `ws` do not know the last two yet (ws 8.23, doc/ws.md).
  const options = {
    handshakeTimeout: limits.connectMs + HANDSHAKE_MARGIN_MS,
    maxPayload: limits.frameBytesMax,
    perMessageDeflate: false,
    followRedirects: false,
    maxFragments: FRAGMENTS_MAX,
    closeTimeout: FAREWELL_MS,
  };
  try {
    return new HardenedSocket(new WebSocket(url, options));
  } catch (cause) {
    throw new RelayError('invalidData', `relay URL: ${messageOf(cause)}`, { cause });
  }
}

class HardenedSocket implements Socket {
  readonly #socket: WebSocket;
  readonly #listeners = new Set<(event: SocketEvent) => void>();
  #dateUnixMs: number | undefined;
  #error: string | undefined;
  #status: number | undefined;
  #retryAfterMs: number | undefined;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    // For ever: an `error` without a listener ends the process (nostr-tools issue 557).
    socket.on('error', (error) => {
      this.#error ??= error.message;
    });
    socket.on('upgrade', (response) => {
      this.#dateUnixMs = dateOf(response.headers.date);
    });
    socket.on('unexpected-response', (_request, response) => {
      this.#status = response.statusCode;
      this.#error = `HTTP ${response.statusCode} ${response.statusMessage ?? ''}`.trim();
      this.#retryAfterMs = retryAfterOf(response.headers['retry-after'], response.headers.date);
      socket.terminate();
    });
    socket.on('open', () => this.#tell({ kind: 'open', dateUnixMs: this.#dateUnixMs }));
    socket.on('pong', () => this.#tell({ kind: 'pong' }));
    socket.on('message', (data, isBinary) => {
      // Nostr speaks in text frames only.
      if (!isBinary && Buffer.isBuffer(data))
        this.#tell({ kind: 'message', text: data.toString() });
    });
    socket.on('close', (code, reason) => {
      const words = this.#error ?? `closed by the relay: ${code} ${reason.toString()}`.trim();
      this.#tell({
        kind: 'closed',
        reason: words,
        status: this.#status,
        retryAfterMs: this.#retryAfterMs,
      });
    });
  }

  subscribe(listener: (event: SocketEvent) => void): Unsubscribe {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  send(text: string): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(text);
  }

  ping(): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.ping();
  }

  unsentBytes(): number {
    return this.#socket.bufferedAmount;
  }

  terminate(): void {
    this.#socket.terminate();
  }

  #tell(event: SocketEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }
}

function dateOf(header: string | undefined): number | undefined {
  const unixMs = header === undefined ? Number.NaN : Date.parse(header);
  return Number.isNaN(unixMs) ? undefined : unixMs;
}

/**
 * Retry-After as ms from now: seconds, or a date, which is compared with the server's own Date.
 * Source: RFC 9110, 10.2.3.
 */
export function retryAfterOf(header: string | undefined, date?: string): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header.trim())) return Number(header) * 1_000;
  const untilUnixMs = dateOf(header);
  const nowUnixMs = dateOf(date);
  if (untilUnixMs === undefined || nowUnixMs === undefined) return undefined;
  return Math.max(0, untilUnixMs - nowUnixMs);
}
