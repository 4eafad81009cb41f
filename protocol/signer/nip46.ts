/**
 * The client side of NIP-46: requests to a remote signer and what comes of them. It decides
 * nothing:
 * every end of a request is a value, only `close` makes one fail. Encryption is NIP-44 both ways.
 */
import type { CancelTimer, Clock, Random } from '../base/clock.ts';
import { messageOf, RelayError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Secret } from '../base/secret.ts';
import { type EventTemplate, kinds, type SignedEvent } from '../event.ts';
import { RecentIds } from '../relay/recent-ids.ts';
import type { PublishResult, Relays, Unsubscribe } from '../relay/relay.ts';
import {
  type Nip46Answer,
  type Nip46Fault,
  type Nip46Result,
  peerWords,
  readReply,
} from './nip46-reply.ts';
import type { NostrCrypto } from './nostr-crypto.ts';

/**
 * Longest wait for an answer to one attempt, ms. Source: nsecbunkerd takes 10 s to refuse what no
 * rule grants (nostr.md 3.1), so that 10 s could not tell "refused" from "dead".
 */
export const ATTEMPT_MS = 15_000;
/** Attempts per request, all with one id. The second is for a bunker that was just starting. */
const ATTEMPTS = 2;
/**
 * Requests under way. Source: more than 8 at a time gain nothing (nostr.md 8: 22/s at 8, 45 at 32).
 */
export const OUTSTANDING_MAX = 8;
/** Requests that may wait for their turn; a machine has about five at its busiest. */
export const WAITING_MAX = 64;
/** Longest wait for a turn, ms: as long as an attempt, so that a request ends within 45 s. */
const TURN_MS = ATTEMPT_MS;
/** How long a request stays open for a person who was sent an address, ms. */
export const AUTH_URL_MS = 600_000;
/** Requests that may wait for a person; each of them wants the same thing. */
const AUTHORIZING_MAX = 8;
/**
 * Longest request, bytes of plaintext. A NIP-44 payload of more than 40,960 bytes does not fit a
 * relay's 65,536 bytes of event (nostr.md 5.4); 512 are left for what a signature adds in the
 * reply.
 */
export const REQUEST_BYTES_MAX = 40_960 - 512;
/** Longest reply that is decrypted, characters. Source: strfry takes 65,536 bytes of event. */
const REPLY_CHARACTERS_MAX = 65_536;
const ID_BYTES = 16;
/** Ids of settled requests, by which a second reply is known for what it is. */
const SETTLED_IDS_MAX = 256;

/** An end without a result. `silent`: no answer in time, or no turn. */
export type Nip46Failure = Nip46Fault | { readonly kind: 'silent'; readonly reason: string };
/** What became of a request. */
export type Nip46Outcome = Nip46Result | Nip46Failure;

/** What a client is made of. The relays are the bunker's; they stay open when the client closes. */
export interface Nip46ClientOptions {
  readonly relays: Relays;
  /** Our transport key, 32 bytes: the bunker knows us by it. */
  readonly clientKey: Secret<Uint8Array>;
  /** The bunker's transport key, hex. */
  readonly bunkerPubkey: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly crypto: NostrCrypto;
}

/** How a request is made. */
export interface RequestOptions {
  /** Once only, without the second attempt. */
  readonly once?: boolean;
  /** Longest wait for an answer to one attempt, ms, when it is not `ATTEMPT_MS`. */
  readonly attemptMs?: number;
  /** Goes before the others that wait. */
  readonly isUrgent?: boolean;
  /** The bunker wants a person to open this address; the request stays open for 10 min. */
  readonly onAuthUrl?: (url: string) => void;
}

interface Call {
  readonly id: string;
  readonly method: string;
  readonly plaintext: string;
  readonly options: RequestOptions;
  readonly resolve: (outcome: Nip46Outcome) => void;
  readonly reject: (error: Error) => void;
  phase: 'waiting' | 'sent' | 'authorizing';
  attempts: number;
  /** What the relays said to the last attempt, when none of them took it. */
  relayWords: string | undefined;
  authUrl: string;
  cancelTimer: CancelTimer;
}

/** Talks to one remote signer with one client key. */
export class Nip46Client {
  /** Our transport key, hex. */
  readonly clientPubkey: string;
  readonly #options: Nip46ClientOptions;
  readonly #log: Log;
  readonly #calls = new Map<string, Call>();
  readonly #settledIds = new RecentIds(SETTLED_IDS_MAX);
  readonly #unsubscribe: Unsubscribe;
  #waiting: Call[] = [];
  #isClosed: boolean = false;

  constructor(options: Nip46ClientOptions) {
    this.#options = options;
    this.#log = options.log;
    this.clientPubkey = options.crypto.publicKeyOf(options.clientKey.reveal());
    // Neither `since` nor `limit`: replies that came during an outage are wanted, where a relay
    // keeps
    // them, and a wrong clock must not make us deaf. What is old names no request that is open.
    this.#unsubscribe = options.relays.subscribe(
      {
        kinds: [kinds.remoteSigning],
        authors: [options.bunkerPubkey],
        '#p': [this.clientPubkey],
      },
      { event: (event) => this.#take(event) },
    );
  }

  /** Redeems a token. Once only: whoever asks must find out before it is tried again. */
  connect(secret: Secret<string>, options: RequestOptions = {}): Promise<Nip46Outcome> {
    const params = [this.#options.bunkerPubkey, secret.reveal()];
    return this.request('connect', params, { ...options, once: true });
  }

  /** Asks for the identity that the bunker signs as. It proves no authorization. */
  getPublicKey(options?: RequestOptions): Promise<Nip46Outcome> {
    return this.request('get_public_key', [], options);
  }

  /** Asks for a sign of life; the result is `pong`. */
  ping(options?: RequestOptions): Promise<Nip46Outcome> {
    return this.request('ping', [], options);
  }

  /** Asks for a signature; the result is the event as JSON, which is still to be compared. */
  signEvent(template: EventTemplate, options?: RequestOptions): Promise<Nip46Outcome> {
    const { kind, content, tags, created_at } = template;
    return this.request(
      'sign_event',
      [JSON.stringify({ kind, content, tags, created_at })],
      options,
    );
  }

  /** Asks for a text encrypted to a peer (hex). */
  nip44Encrypt(peer: string, plaintext: string, options?: RequestOptions): Promise<Nip46Outcome> {
    return this.request('nip44_encrypt', [peer, plaintext], options);
  }

  /** Asks for the text of what a peer (hex) sent. */
  nip44Decrypt(peer: string, payload: string, options?: RequestOptions): Promise<Nip46Outcome> {
    return this.request('nip44_decrypt', [peer, payload], options);
  }

  /**
   * Asks once for the relays that the bunker wants to be met on: JSON; null, so `faulty`, for no
   * wish. One that knows no such wish is silent.
   */
  switchRelays(options: RequestOptions = {}): Promise<Nip46Outcome> {
    return this.request('switch_relays', [], { ...options, once: true });
  }

  /**
   * Sends a request and waits for its end, at most 45 s, or 10 min when the bunker wants a person.
   * @throws RelayError `invalidData` when it is too long, before anything is sent; `canceled` when
   * the client is closed.
   */
  async request(
    method: string,
    params: readonly string[],
    options: RequestOptions = {},
  ): Promise<Nip46Outcome> {
    if (this.#isClosed) throw canceled(method);
    const id = Buffer.from(this.#options.random.bytes(ID_BYTES)).toString('hex');
    const plaintext = JSON.stringify({ id, method, params });
    const sizeBytes = Buffer.byteLength(plaintext);
    if (sizeBytes > REQUEST_BYTES_MAX) {
      throw new RelayError(
        'invalidData',
        `${method}: ${sizeBytes} bytes are more than the ${REQUEST_BYTES_MAX} that relays carry`,
      );
    }
    if (this.#waiting.length >= WAITING_MAX) {
      return { kind: 'silent', reason: `${WAITING_MAX} other requests wait already` };
    }
    return new Promise((resolve, reject) => {
      const call: Call = {
        ...{ id, method, plaintext, options, resolve, reject },
        ...{ phase: 'waiting', attempts: 0, relayWords: undefined, authUrl: '' },
        cancelTimer: () => undefined,
      };
      this.#calls.set(id, call);
      if (options.isUrgent) this.#waiting.unshift(call);
      else this.#waiting.push(call);
      call.cancelTimer = this.#options.clock.after(TURN_MS, () => {
        this.#settle(call, { kind: 'silent', reason: 'other requests are still unanswered' });
      });
      this.#startNext();
    });
  }

  /** Ends it: every request that is open is rejected with code `canceled`. */
  close(): void {
    this.#isClosed = true;
    this.#unsubscribe();
    const open = [...this.#calls.values()];
    this.#calls.clear();
    this.#waiting = [];
    for (const call of open) {
      call.cancelTimer();
      call.reject(canceled(call.method));
    }
  }

  #inPhase(phase: Call['phase']): number {
    let count = 0;
    for (const call of this.#calls.values()) if (call.phase === phase) count += 1;
    return count;
  }

  #startNext(): void {
    while (this.#inPhase('sent') < OUTSTANDING_MAX) {
      const call = this.#waiting.shift();
      if (!call) return;
      call.phase = 'sent';
      this.#attempt(call);
    }
  }

  #attempt(call: Call): void {
    const { clock } = this.#options;
    const attemptMs = call.options.attemptMs ?? ATTEMPT_MS;
    call.attempts += 1;
    call.cancelTimer();
    call.cancelTimer = clock.after(attemptMs, () => {
      if (call.attempts < ATTEMPTS && !call.options.once) return this.#attempt(call);
      const reason = `no answer in ${(call.attempts * attemptMs) / 1000} s`;
      const relays =
        call.relayWords === undefined ? '' : `, and no relay took it (${call.relayWords})`;
      this.#settle(call, { kind: 'silent', reason: `${reason}${relays}` });
    });
    void this.#publish(call, attemptMs);
  }

  async #publish(call: Call, limitMs: number): Promise<void> {
    const { relays, crypto, clientKey, bunkerPubkey, clock } = this.#options;
    const key = clientKey.reveal();
    const event = crypto.sign(key, {
      kind: kinds.remoteSigning,
      created_at: Math.floor(clock.now() / 1000),
      tags: [['p', bunkerPubkey]],
      content: crypto.encrypt(key, bunkerPubkey, call.plaintext),
    });
    call.relayWords = wordsOfFailure(await relays.publish(event, limitMs));
    if (call.relayWords === undefined || !this.#calls.has(call.id)) return;
    this.#log.warn({ method: call.method, reason: call.relayWords }, 'no relay took the request');
  }

  /** A reply. Relays may send what was not asked for, and a bunker may send anything. */
  #take(event: SignedEvent): void {
    const { bunkerPubkey, crypto, clientKey } = this.#options;
    const isForUs = event.tags.some(([name, value]) => name === 'p' && value === this.clientPubkey);
    if (event.kind !== kinds.remoteSigning || event.pubkey !== bunkerPubkey || !isForUs) {
      this.#log.debug({ event: event.id, author: event.pubkey }, 'event is no reply, ignored');
      return;
    }
    if (event.content.length > REPLY_CHARACTERS_MAX) {
      this.#log.warn({ event: event.id }, 'reply is too long, ignored');
      return;
    }
    let plaintext: string;
    try {
      plaintext = crypto.decrypt(clientKey.reveal(), bunkerPubkey, event.content);
    } catch (error) {
      const isNip04 = event.content.includes('?iv=');
      this.#log.warn(
        { event: event.id, isNip04, reason: messageOf(error) },
        'reply does not decrypt',
      );
      return;
    }
    const reply = readReply(plaintext);
    if (!reply) {
      this.#log.warn({ event: event.id }, 'reply has no known shape, ignored');
      return;
    }
    this.#answer(reply.id, reply.answer);
  }

  #answer(id: string, answer: Nip46Answer): void {
    const call = this.#calls.get(id);
    if (!call || call.phase === 'waiting') {
      // Only the first counts: nsecbunkerd answers a repeated connect twice (nostr.md 1).
      if (this.#settledIds.has(id))
        this.#log.warn({ id, answer: answer.kind }, 'reply came too late');
      else this.#log.debug({ id, answer: answer.kind }, 'reply to no request of ours');
      return;
    }
    if (answer.kind === 'authUrl') this.#authorize(call, answer.url);
    else this.#settle(call, answer);
  }

  /** The bunker wants a person: the request stays open, and lets others pass. */
  #authorize(call: Call, url: string): void {
    const isFirst = call.phase !== 'authorizing';
    if (isFirst && this.#inPhase('authorizing') >= AUTHORIZING_MAX) {
      this.#settle(call, { kind: 'authUrl', url });
      return;
    }
    call.authUrl = url;
    if (isFirst) {
      call.phase = 'authorizing';
      call.cancelTimer();
      call.cancelTimer = this.#options.clock.after(AUTH_URL_MS, () => {
        this.#settle(call, { kind: 'authUrl', url: call.authUrl });
      });
    }
    this.#log.warn({ method: call.method, url }, 'the signer wants a person');
    call.options.onAuthUrl?.(url);
    this.#startNext();
  }

  #settle(call: Call, outcome: Nip46Outcome): void {
    call.cancelTimer();
    this.#calls.delete(call.id);
    this.#waiting = this.#waiting.filter((other) => other !== call);
    this.#settledIds.add(call.id);
    call.resolve(outcome);
    this.#startNext();
  }
}

const canceled = (method: string): RelayError =>
  new RelayError('canceled', `${method}: the signer's client is closed`);

/** What the relays said, when none of them took the event; else undefined. */
function wordsOfFailure(results: readonly PublishResult[]): string | undefined {
  if (results.some(({ outcome }) => outcome === 'accepted')) return undefined;
  if (results.length === 0) return 'there is none';
  return results.map(({ url, reason }) => peerWords(`${url}: ${reason}`)).join('; ');
}
