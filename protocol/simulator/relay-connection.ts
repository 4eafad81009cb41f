/** One client of the loopback relay: what the package lacks, and the switches' misbehaviour. */
import type { NostrRelay } from '@nostr-relay/core';
import type { Validator } from '@nostr-relay/validator';
import { matchFilters } from 'nostr-tools/filter';
import type { RawData, WebSocket } from 'ws';
import { messageOf } from '#protocol/base/errors.ts';
import type { Log } from '#protocol/base/log.ts';
import type { Filter, SignedEvent } from '../event.ts';
import type { RelaySwitches } from './relay.ts';

/** What a connection needs of its relay. */
export interface ConnectionOptions {
  readonly socket: WebSocket;
  readonly relay: NostrRelay;
  readonly validator: Validator;
  readonly switches: RelaySwitches;
  readonly ephemerals: KeptEphemerals;
  readonly log: Log;
}

/** Most ephemeral events kept; strfry keeps them all, and no run of ours needs more. */
const EPHEMERALS_MAX = 1000;

/** Ephemeral events that a relay keeps although NIP-01 does not ask it to. */
export class KeptEphemerals {
  readonly #now: () => number;
  #kept: { readonly event: SignedEvent; readonly atUnixMs: number }[] = [];

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Keeps one. */
  keep(event: SignedEvent): void {
    this.#kept.push({ event, atUnixMs: this.#now() });
    if (this.#kept.length > EPHEMERALS_MAX) this.#kept.shift();
  }

  /** Those not older than `lifetimeSec` that fit; none for a `limit: 0`, which asks for no past. */
  matching(filters: readonly Filter[], lifetimeSec: number): SignedEvent[] {
    const sinceUnixMs = this.#now() - lifetimeSec * 1000;
    this.#kept = this.#kept.filter(({ atUnixMs }) => atUnixMs > sinceUnixMs);
    const asking = filters.filter((filter) => filter.limit !== 0);
    return this.#kept.map(({ event }) => event).filter((event) => matchFilters(asking, event));
  }
}

/** Stands between one socket and the package, which takes it for the socket. */
export class RelayConnection {
  readonly #socket: WebSocket;
  readonly #relay: NostrRelay;
  readonly #validator: Validator;
  readonly #switches: RelaySwitches;
  readonly #ephemerals: KeptEphemerals;
  readonly #log: Log;
  readonly #filters = new Map<string, Filter[]>();
  readonly #withheld = new Set<string>();
  #challenge = '';
  #frames: Promise<void> = Promise.resolve();

  constructor(options: ConnectionOptions) {
    this.#socket = options.socket;
    this.#relay = options.relay;
    this.#validator = options.validator;
    this.#switches = options.switches;
    this.#ephemerals = options.ephemerals;
    this.#log = options.log;
    this.#socket.on('error', (error) => this.#log.debug({ err: error }, 'relay socket error'));
    this.#socket.on('ping', (data) => {
      if (!this.#switches.frozen) this.#socket.pong(data);
    });
    this.#socket.on('message', (data) => {
      if (this.#switches.frozen) return;
      // One frame after the other: the package alone would let an EVENT overtake the REQ before it.
      this.#frames = this.#frames.then(() => this.#take(data));
    });
    this.#relay.handleConnection(this);
  }

  /** What the package reads before it sends. */
  get readyState(): WebSocket['readyState'] {
    return this.#socket.readyState;
  }

  /** Takes a message of the package on its way out; live filters are applied again here. */
  send(data: string): void {
    if (this.#switches.frozen) return;
    const message: unknown = JSON.parse(data);
    if (!Array.isArray(message)) return;
    const [type, first, second] = message;
    if (type === 'AUTH') {
      this.#challenge = String(first);
      if (!this.#switches.requireAuth) return;
    }
    if (type === 'OK' && this.#withheld.delete(String(first))) return;
    if (type === 'EVENT' && !this.#fits(String(first), second)) return;
    if (type === 'EOSE') this.#sendKept(String(first));
    this.#socket.send(data);
  }

  /** Forgets the connection. */
  end(): void {
    this.#relay.handleDisconnect(this);
  }

  #fits(subscriptionId: string, event: SignedEvent): boolean {
    if (this.#switches.overDeliver) return true;
    return matchFilters(this.#filters.get(subscriptionId) ?? [], event);
  }

  #sendKept(subscriptionId: string): void {
    const filters = this.#filters.get(subscriptionId) ?? [];
    for (const event of this.#ephemerals.matching(filters, this.#switches.keepEphemeralsSec)) {
      this.#say(['EVENT', subscriptionId, event]);
    }
  }

  #say(message: readonly unknown[]): void {
    this.#socket.send(JSON.stringify(message));
  }

  async #take(data: RawData): Promise<void> {
    try {
      const message = await this.#validator.validateIncomingMessage(textOf(data));
      if (message[0] === 'REQ') {
        const [, subscriptionId, ...filters] = message;
        if (this.#mustAuthenticate(['CLOSED', subscriptionId])) return;
        this.#filters.set(
          subscriptionId,
          filters.map((filter) => ({ ...filter })),
        );
      }
      if (message[0] === 'EVENT') {
        const event = message[1];
        if (this.#mustAuthenticate(['OK', event.id, false])) return;
        if (this.#switches.withholdOk(event)) this.#withheld.add(event.id);
      }
      if (message[0] === 'CLOSE') this.#filters.delete(message[1]);
      await this.#relay.handleMessage(this, message);
    } catch (error) {
      // As the package's own server does: what is no message gets a NOTICE, and no OK.
      this.#log.debug({ err: error }, 'relay refused a frame');
      this.#say(['NOTICE', messageOf(error)]);
    }
  }

  /** Refuses with NIP-42's word when authentication is asked for and did not happen. */
  #mustAuthenticate(answer: readonly unknown[]): boolean {
    if (!this.#switches.requireAuth || this.#relay.isAuthorized(this)) return false;
    this.#say([...answer, 'auth-required: this relay serves only who has authenticated']);
    this.#say(['AUTH', this.#challenge]);
    return true;
  }
}

function textOf(data: RawData): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString();
  return Buffer.from(data as ArrayBuffer).toString();
}
