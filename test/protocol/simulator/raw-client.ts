/** Clients of nostr-tools and a bare WebSocket, so that our own do not test the peers. */
import * as nip44 from 'nostr-tools/nip44';
import { finalizeEvent, generateSecretKey, getPublicKey, verifyEvent } from 'nostr-tools/pure';
import { WebSocket } from 'ws';
import type { EventTemplate, Filter, SignedEvent } from '#protocol/event.ts';
import type { PublishResult, Relays, SubscriptionListener } from '#protocol/relay/relay.ts';

/** What a raw client and a client of the memory network have in common. */
export type Peer = Pick<Relays, 'subscribe' | 'publish' | 'close'>;

/** A WebSocket to a relay with no more than REQ, EVENT and CLOSE. */
export class RawSocket implements Peer {
  readonly socket: WebSocket;
  readonly frames: unknown[][] = [];
  readonly #listeners = new Map<string, SubscriptionListener>();
  readonly #oks = new Map<string, (result: PublishResult) => void>();
  readonly #url: string;
  #last = 0;

  static async open(url: string): Promise<RawSocket> {
    const client = new RawSocket(url);
    await new Promise((resolve, reject) => {
      client.socket.once('open', resolve);
      client.socket.once('error', reject);
    });
    return client;
  }

  constructor(url: string) {
    this.#url = url;
    this.socket = new WebSocket(url);
    this.socket.on('message', (data) => this.#take(JSON.parse(String(data))));
  }

  send(message: unknown): void {
    this.socket.send(JSON.stringify(message));
  }

  subscribe(filter: Filter | (() => Filter), listener: SubscriptionListener): () => void {
    const id = `s${++this.#last}`;
    this.#listeners.set(id, listener);
    this.send(['REQ', id, typeof filter === 'function' ? filter() : filter]);
    return () => {
      this.#listeners.delete(id);
      this.send(['CLOSE', id]);
    };
  }

  publish(event: SignedEvent): Promise<readonly PublishResult[]> {
    return new Promise((resolve) => {
      this.#oks.set(event.id, (result) => resolve([result]));
      this.send(['EVENT', event]);
    });
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      if (this.socket.readyState === WebSocket.CLOSED) {
        resolve();
        return;
      }
      this.socket.once('close', () => resolve());
      this.socket.terminate();
    });
  }

  #take(frame: unknown[]): void {
    this.frames.push(frame);
    const [type, id, value, words] = frame;
    if (type === 'EVENT') this.#listeners.get(String(id))?.event(value as SignedEvent, true);
    if (type === 'EOSE') this.#listeners.get(String(id))?.endOfStored?.(this.#url);
    if (type === 'OK') {
      const outcome = value === true ? 'accepted' : 'refused';
      this.#oks.get(String(id))?.({ url: this.#url, outcome, reason: String(words) });
    }
  }
}

/** Resolves with what is stored for a filter. */
export function stored(peer: Peer, filter: Filter): Promise<SignedEvent[]> {
  return new Promise((resolve) => {
    const events: SignedEvent[] = [];
    const off = peer.subscribe(filter, {
      event: (event) => events.push(event),
      endOfStored: () => {
        off();
        resolve(events);
      },
    });
  });
}

/** Resolves when a subscription is live. */
export function listen(
  peer: Peer,
  filter: Filter,
  event: (event: SignedEvent) => void,
): Promise<() => void> {
  return new Promise((resolve) => {
    const off = peer.subscribe(filter, { event, endOfStored: () => resolve(off) });
  });
}

/** An identity with nostr-tools' own signing and encryption. */
export class RawIdentity {
  readonly secretKey: Uint8Array;
  readonly pubkey: string;

  constructor(secretKey: Uint8Array = generateSecretKey()) {
    this.secretKey = secretKey;
    this.pubkey = getPublicKey(secretKey);
  }

  sign(template: EventTemplate): SignedEvent {
    // The round trip drops the mark by which nostr-tools remembers that it made the event itself.
    return JSON.parse(JSON.stringify(finalizeEvent({ ...template }, this.secretKey)));
  }

  encrypt(to: string, plaintext: string): string {
    return nip44.encrypt(plaintext, nip44.getConversationKey(this.secretKey, to));
  }

  decrypt(from: string, payload: string): string {
    return nip44.decrypt(payload, nip44.getConversationKey(this.secretKey, from));
  }
}

/** A reply of a bunker. */
export interface BunkerReply {
  readonly id: string;
  readonly result: string;
  readonly error?: string;
}

/** Speaks NIP-46 to a bunker, with no timeout and no retry. */
export class RawBunkerClient {
  readonly identity: RawIdentity;
  readonly replies: BunkerReply[] = [];
  readonly #peer: Peer;
  readonly #bunker: string;
  readonly #nowSec: () => number;
  readonly #waiting = new Map<string, (reply: BunkerReply) => void>();
  #last = 0;

  static async open(
    peer: Peer,
    bunker: string,
    nowSec: () => number,
    identity = new RawIdentity(),
  ): Promise<RawBunkerClient> {
    const client = new RawBunkerClient(peer, bunker, nowSec, identity);
    const filter = { kinds: [24133], authors: [bunker], '#p': [client.identity.pubkey] };
    await listen(peer, filter, (event) => client.#take(event));
    return client;
  }

  private constructor(peer: Peer, bunker: string, nowSec: () => number, identity: RawIdentity) {
    this.#peer = peer;
    this.identity = identity;
    this.#bunker = bunker;
    this.#nowSec = nowSec;
  }

  /** Resolves with the first reply; never when the bunker is silent. */
  request(method: string, params: readonly string[] = []): Promise<BunkerReply> {
    const id = `${method}-${++this.#last}`;
    const plaintext = JSON.stringify({ id, method, params });
    const event = this.identity.sign({
      kind: 24133,
      created_at: this.#nowSec(),
      tags: [['p', this.#bunker]],
      content: this.identity.encrypt(this.#bunker, plaintext),
    });
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      void this.#peer.publish(event);
    });
  }

  sign(template: EventTemplate): Promise<BunkerReply> {
    return this.request('sign_event', [JSON.stringify(template)]);
  }

  #take(event: SignedEvent): void {
    if (!verifyEvent(event)) throw new Error('the bunker answered with a wrong signature');
    const reply: BunkerReply = JSON.parse(this.identity.decrypt(this.#bunker, event.content));
    this.replies.push(reply);
    this.#waiting.get(reply.id)?.(reply);
  }
}

/** An answer of the wallet, with the event that carried it. */
export interface RawAnswer {
  readonly body: Record<string, unknown>;
  readonly event: SignedEvent;
}

/** Calls the wallet over kind 21000 as the public pages describe it. */
export class RawWalletClient {
  readonly identity: RawIdentity;
  readonly answers: RawAnswer[] = [];
  readonly plaintexts: string[] = [];
  readonly #peer: Peer;
  readonly #transport: string;
  readonly #nowSec: () => number;
  readonly #waiting: ((answer: RawAnswer) => void)[] = [];
  readonly #parts = new Map<number, string>();

  static async open(
    peer: Peer,
    transport: string,
    nowSec: () => number,
    identity = new RawIdentity(),
  ): Promise<RawWalletClient> {
    const client = new RawWalletClient(peer, transport, nowSec, identity);
    const filter = { kinds: [21000], authors: [transport], '#p': [identity.pubkey] };
    await listen(peer, filter, (event) => client.#take(event));
    return client;
  }

  private constructor(peer: Peer, transport: string, nowSec: () => number, identity: RawIdentity) {
    this.#peer = peer;
    this.#transport = transport;
    this.#nowSec = nowSec;
    this.identity = identity;
  }

  /** A signed request; `ageSec` makes it old, or of the future when negative. */
  event(envelope: Record<string, unknown>, ageSec = 0, expiresInSec?: number): SignedEvent {
    const createdAt = this.#nowSec() - ageSec;
    const tags = [['p', this.#transport]];
    if (expiresInSec !== undefined)
      tags.push(['expiration', String(this.#nowSec() + expiresInSec)]);
    return this.identity.sign({
      kind: 21000,
      created_at: createdAt,
      tags,
      content: this.identity.encrypt(this.#transport, JSON.stringify(envelope)),
    });
  }

  publish(event: SignedEvent): Promise<readonly PublishResult[]> {
    return this.#peer.publish(event);
  }

  /** The next answer, whatever it belongs to. */
  next(): Promise<RawAnswer> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Sends a call and takes the next answer for its own. */
  call(rpcName: string, body: unknown = {}, more: Record<string, unknown> = {}) {
    const answer = this.next();
    void this.publish(this.event({ rpc_name: rpcName, body, request_id: rpcName, ...more }));
    return answer;
  }

  #take(event: SignedEvent): void {
    if (!verifyEvent(event)) throw new Error('the wallet answered with a wrong signature');
    const plaintext = this.identity.decrypt(this.#transport, event.content);
    this.plaintexts.push(plaintext);
    const body: Record<string, unknown> = JSON.parse(plaintext);
    if (typeof body.part === 'string') {
      this.#parts.set(Number(body.index), body.part);
      if (this.#parts.size < Number(body.totalShards)) return;
      const parts = [...this.#parts].sort(([a], [b]) => a - b).map(([, part]) => part);
      this.#parts.clear();
      this.#answer({ body: JSON.parse(parts.join('')), event });
      return;
    }
    this.#answer({ body, event });
  }

  #answer(answer: RawAnswer): void {
    this.answers.push(answer);
    this.#waiting.shift()?.(answer);
  }
}
