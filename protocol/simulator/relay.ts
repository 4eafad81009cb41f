/**
 * A real relay on loopback: @nostr-relay/core over `ws`, with the events in SQLite. Two things that
 * the package leaves out are added here: live events are held against `#tag` filters too, and AUTH
 * (NIP-42) can be asked for every kind. Its switches make it misbehave as relays in the field do.
 */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { NostrRelay } from '@nostr-relay/core';
import { EventRepositorySqlite } from '@nostr-relay/event-repository-sqlite';
import { Validator } from '@nostr-relay/validator';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Clock } from '#protocol/base/clock.ts';
import type { Log } from '#protocol/base/log.ts';
import type { SignedEvent } from '../event.ts';
import { KeptEphemerals, RelayConnection } from './relay-connection.ts';
import { isEphemeral, type RelayRules, refusalByTime, usualRelayRules } from './relay-rules.ts';

/** How a relay may misbehave. All may be set while it runs. */
export interface RelaySwitches {
  /** Live events go out although a `#tag` filter excludes them, as the bare package does. */
  overDeliver: boolean;
  /** REQ and EVENT are answered `auth-required:` until the connection has authenticated. */
  requireAuth: boolean;
  /** Reads nothing, sends nothing and answers no ping: a half-open connection. */
  frozen: boolean;
  /** Events that are acknowledged with OK and then go nowhere. */
  swallow: (event: SignedEvent) => boolean;
  /** Events whose OK is never sent. */
  withholdOk: (event: SignedEvent) => boolean;
  /**
   * Seconds for which ephemeral events are kept and given to a later REQ; 0 is what NIP-01 says.
   * Source: strfry gives them for 300 s to a filter without `limit: 0` or `since`.
   */
  keepEphemeralsSec: number;
  /** What the relay's own clock is ahead, ms: its Date header and its time rules use it. */
  clockOffsetMs: number;
}

/** What `startRelay` needs. */
export interface RelayOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** 0, the default, takes a free one. */
  readonly port?: number;
  readonly host?: string;
  /** SQLite file of the stored events; in memory when left out. */
  readonly file?: string;
  readonly rules?: Partial<RelayRules>;
}

/** A running relay. */
export interface SimulatedRelay {
  readonly url: string;
  readonly port: number;
  readonly switches: RelaySwitches;
  readonly rules: RelayRules;
  /** Connections that are open. */
  connectionCount(): number;
  /** Cuts every connection and listens no more; what is stored stays. */
  suspend(): Promise<void>;
  /** Listens again on the same port. @throws Error when another process took it. */
  resume(): Promise<void>;
  /** Ends it, and the stored events with it unless they are in a file. */
  stop(): Promise<void>;
}

/** Largest frame taken. Source: strfry's `maxWebsocketPayloadSize`, 131,072 bytes. */
const FRAME_BYTES_MAX = 131_072;
/** Largest content taken; the signed event then fits strfry's 65,536 bytes. */
const CONTENT_CHARACTERS_MAX = 65_000;

const quietSwitches = (): RelaySwitches => ({
  overDeliver: false,
  requireAuth: false,
  frozen: false,
  swallow: () => false,
  withholdOk: () => false,
  keepEphemeralsSec: 0,
  clockOffsetMs: 0,
});

/** Starts a relay; resolves when it listens. @throws Error when the port is taken. */
export async function startRelay(options: RelayOptions): Promise<SimulatedRelay> {
  const relay = new LoopbackRelay(options);
  await relay.open();
  return relay;
}

class LoopbackRelay implements SimulatedRelay {
  readonly switches = quietSwitches();
  readonly rules: RelayRules;
  readonly #host: string;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #repository: EventRepositorySqlite;
  readonly #relay: NostrRelay;
  readonly #validator = new Validator({ maxContentLength: CONTENT_CHARACTERS_MAX });
  readonly #connections = new Set<RelayConnection>();
  readonly #ephemerals = new KeptEphemerals(() => this.#now());
  #port: number;
  #close: (() => Promise<void>) | undefined;

  constructor(options: RelayOptions) {
    this.rules = { ...usualRelayRules, ...options.rules };
    this.#clock = options.clock;
    this.#log = options.log;
    this.#host = options.host ?? '127.0.0.1';
    this.#port = options.port ?? 0;
    this.#repository = new EventRepositorySqlite(options.file ?? ':memory:');
    this.#relay = new NostrRelay(this.#repository, {
      hostname: this.#host,
      logger: packageLogger(options.log),
      // The default answers a repeated REQ from a cache for 1 s, which hides what came meanwhile.
      filterResultCacheTtl: 0,
      // The default swallows an ephemeral event sent again for 10 min; most relays forward it.
      eventHandlingResultCacheTtl: 0,
    });
    this.#relay.register({
      beforeHandleEvent: (event) => {
        const message = refusalByTime(event, this.#now(), this.rules);
        return message === undefined ? { canHandle: true } : { canHandle: false, message };
      },
    });
    this.#relay.register({
      broadcast: (event, next) => {
        if (this.switches.swallow(event)) return Promise.resolve();
        if (isEphemeral(event.kind)) this.#ephemerals.keep(event);
        return next();
      },
    });
  }

  get url(): string {
    return `ws://${this.#host}:${this.#port}`;
  }

  get port(): number {
    return this.#port;
  }

  async open(): Promise<void> {
    await this.#repository.init();
    await this.resume();
  }

  connectionCount(): number {
    return this.#connections.size;
  }

  async resume(): Promise<void> {
    if (this.#close) return;
    const server = createServer((_request, response) => this.#answerHttp(response));
    const sockets = new WebSocketServer({
      server,
      maxPayload: FRAME_BYTES_MAX,
      perMessageDeflate: false,
      autoPong: false,
    });
    // Relays stand behind web servers, which date every answer; clients read their offset from it.
    sockets.on('headers', (headers) => {
      headers.push(`Date: ${new Date(this.#now()).toUTCString()}`);
    });
    sockets.on('connection', (socket) => this.#accept(socket));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      sockets.once('error', reject);
      server.listen(this.#port, this.#host, resolve);
    });
    this.#port = (server.address() as AddressInfo).port;
    this.#close = () =>
      new Promise((resolve, reject) => {
        for (const socket of sockets.clients) socket.terminate();
        sockets.close();
        server.closeAllConnections();
        server.close((error) => (error ? reject(error) : resolve()));
      });
    this.#log.debug({ port: this.#port }, 'relay listens');
  }

  async suspend(): Promise<void> {
    const close = this.#close;
    this.#close = undefined;
    await close?.();
    for (const connection of this.#connections) connection.end();
    this.#connections.clear();
  }

  async stop(): Promise<void> {
    await this.suspend();
    await this.#relay.destroy();
    await this.#repository.destroy();
  }

  #now(): number {
    return this.#clock.now() + this.switches.clockOffsetMs;
  }

  #accept(socket: WebSocket): void {
    const connection = new RelayConnection({
      socket,
      relay: this.#relay,
      validator: this.#validator,
      switches: this.switches,
      ephemerals: this.#ephemerals,
      log: this.#log,
    });
    this.#connections.add(connection);
    socket.on('close', () => {
      connection.end();
      this.#connections.delete(connection);
    });
  }

  /** The relay's description (NIP-11). */
  #answerHttp(response: ServerResponse): void {
    const limitation = {
      max_message_length: FRAME_BYTES_MAX,
      max_content_length: CONTENT_CHARACTERS_MAX,
      auth_required: this.switches.requireAuth,
      created_at_upper_limit: this.rules.futureMaxSec,
    };
    response.writeHead(200, {
      'content-type': 'application/nostr+json',
      date: new Date(this.#now()).toUTCString(),
    });
    response.end(
      JSON.stringify({ name: 'spire simulator', supported_nips: [1, 11, 40, 42], limitation }),
    );
  }
}

function packageLogger(log: Log) {
  return {
    setLogLevel: () => undefined,
    debug: (message: string) => log.debug(message),
    info: (message: string) => log.info(message),
    warn: (message: string) => log.warn(message),
    error: (message: string) => log.error(message),
  };
}
