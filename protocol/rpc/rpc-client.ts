/** Kind 21000 calls over relays. What is proven here: who answered, to which open call, once. */
import type { Clock, Random } from '#protocol/base/clock.ts';
import { RelayError } from '#protocol/base/errors.ts';
import type { Log } from '#protocol/base/log.ts';
import { type Filter, kinds, type SignedEvent } from '../event.ts';
import { RecentIds } from '../relay/recent-ids.ts';
import type { PublishResult, Relays, Unsubscribe } from '../relay/relay.ts';
import type { Signer } from '../signer/signer.ts';
import { namedRequests, readMessage, requestEnvelope, requestTags } from './dialect.ts';
import { decryptPatiently } from './patient-decryption.ts';
import { type CallPriority, PublishRate } from './publish-rate.ts';
import type { PreparedCall, RpcAnswer, RpcClient, RpcOutcome } from './rpc.ts';
import { ShardBuffer } from './shards.ts';

/** What a client needs. */
export interface NostrRpcClientOptions {
  readonly relays: Relays;
  readonly signer: Signer;
  /** The wallet server's pinned key, hex: the only one whose answers count. */
  readonly transportPubkey: string;
  /** Corrected: its `now` dates our calls. */
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Takes the wallet's own time at that moment, Unix ms, from an answer that came soon. */
  readonly heardTime?: (unixMs: number) => void;
}

/** Longest wait of `ask`, ms, beside the signer's own bound. Source: the contract in rpc.ts. */
export const ASK_LIMIT_MS = 15_000;
/** How far before the oldest open call answers are asked for, s; 60 is too tight (nostr.md 6). */
export const SINCE_MARGIN_SEC = 120;
/**
 * Oldest event that is still published, s. Relays refuse ephemeral events at 60 s (strfry), and one
 * that waited for its turn until then must not be said to be sent.
 */
export const PUBLISH_AGE_MAX_SEC = 50;
/** Calls open at a time; every deposit whose link is not settled is one. */
const OPEN_CALLS_MAX = 1_000;
/** Answer events remembered, so that one that comes again is not reported again. */
const SEEN_IDS_MAX = 1_024;
/** Answers being decrypted at a time; what is more comes from a server gone mad. */
const DECRYPTIONS_MAX = 64;
/**
 * Waits before an answer is decrypted again while the signer is silent, ms. The server answers one
 * event once, so an answer not read is an answer lost; a restarting bunker is away for 1 to 3 min.
 */
const DECRYPTION_DELAYS_MS = [2_000, 5_000, 10_000, 20_000, 40_000, 60_000, 60_000, 60_000];
/** Longest time from publishing to an answer whose date still tells the time, ms. */
const TIME_DELAY_MAX_MS = 10_000;
const REQUEST_ID_BYTES = 16;

type AnswerListener = (answer: RpcAnswer) => void;

interface OpenCall {
  readonly call: PreparedCall;
  readonly listeners: Set<{ readonly tell: AnswerListener }>;
  /** When it was first published by this process, monotonic ms. */
  publishedAtMs: number | undefined;
}

/** When an answer arrived, before anything slow was done with it. */
interface Arrival {
  readonly event: SignedEvent;
  readonly monotonicMs: number;
}

/** The client of one wallet server. See `RpcClient` for what its methods promise. */
export class NostrRpcClient implements RpcClient {
  readonly #options: NostrRpcClientOptions;
  readonly #rate: PublishRate;
  readonly #shards: ShardBuffer;
  readonly #seen = new RecentIds(SEEN_IDS_MAX);
  /** By the id of the request's event. */
  readonly #open = new Map<string, OpenCall>();
  readonly #closed = new AbortController();
  #unsubscribe: Unsubscribe = () => undefined;
  #askedSinceSec = 0;
  #decrypting = 0;

  /** Subscribes at once, so that the first answer finds a live subscription. */
  constructor(options: NostrRpcClientOptions) {
    this.#options = options;
    this.#rate = new PublishRate(options.clock);
    this.#shards = new ShardBuffer(options.clock);
    this.#subscribe();
  }

  async prepare(rpcName: string, body: unknown, walletId?: string): Promise<PreparedCall> {
    const { signer, random, transportPubkey } = this.#options;
    const requestId = Buffer.from(random.bytes(REQUEST_ID_BYTES)).toString('hex');
    const plaintext = requestEnvelope({ rpcName, body, walletId, requestId });
    const content = await signer.encrypt(transportPubkey, plaintext);
    const createdAtSec = this.#nowSec();
    const event = await signer.sign({
      kind: kinds.rpc,
      created_at: createdAtSec,
      tags: requestTags(transportPubkey, createdAtSec),
      content,
    });
    return { rpcName, requestId, event };
  }

  /** See `RpcClient`. @throws RelayError `locked` above 1,000 open calls. */
  watch(call: PreparedCall, listener: AnswerListener): Unsubscribe {
    const { id, created_at: createdAtSec } = call.event;
    if (!this.#open.has(id) && this.#open.size >= OPEN_CALLS_MAX) {
      throw new RelayError('locked', `over ${OPEN_CALLS_MAX} calls are open`);
    }
    const open = this.#open.get(id) ?? { call, listeners: new Set(), publishedAtMs: undefined };
    const watcher = { tell: listener };
    open.listeners.add(watcher);
    this.#open.set(id, open);
    // Relays that keep ephemeral events have answers from before: they are asked for once more.
    if (createdAtSec - SINCE_MARGIN_SEC < this.#askedSinceSec) this.#subscribe();
    return () => {
      open.listeners.delete(watcher);
      if (open.listeners.size === 0 && this.#open.get(id) === open) this.#open.delete(id);
    };
  }

  /**
   * See `RpcClient`. Waits for its turn (10 a minute); an event that is older than 50 s by then, or
   * that finds too many waiting, is not sent and its results say so as `silent`, "not sent: ...".
   */
  publish(call: PreparedCall): Promise<readonly PublishResult[]> {
    return this.#publish(call, 'money', this.#closed.signal);
  }

  async ask(
    rpcName: string,
    body: unknown,
    walletId?: string,
    limitMs: number = ASK_LIMIT_MS,
  ): Promise<RpcOutcome> {
    const { clock } = this.#options;
    const { promise, resolve, reject } = Promise.withResolvers<RpcOutcome>();
    const over = new AbortController();
    const watches: Unsubscribe[] = [];
    const send = (call: PreparedCall) => {
      if (over.signal.aborted) return;
      watches.push(this.watch(call, resolve));
      void this.#publish(call, 'read', over.signal);
    };
    const first = await this.prepare(rpcName, body, walletId);
    send(first);
    const again = async () => {
      // One that still waits for its turn needs no second one behind it.
      if (this.#open.get(first.event.id)?.publishedAtMs === undefined) return;
      // A new event, because the server drops one that it has seen.
      send(await this.prepare(rpcName, body, walletId));
    };
    const cancelAgain = clock.after(limitMs / 2, () => void again().catch(reject));
    const giveUp = () => resolve({ kind: 'unanswered' });
    const cancelEnd = clock.after(limitMs, giveUp);
    this.#closed.signal.addEventListener('abort', giveUp, { once: true });
    if (this.#closed.signal.aborted) giveUp();
    try {
      return await promise;
    } finally {
      over.abort();
      cancelAgain();
      cancelEnd();
      this.#closed.signal.removeEventListener('abort', giveUp);
      for (const off of watches) off();
    }
  }

  async close(): Promise<void> {
    this.#closed.abort();
    this.#unsubscribe();
    this.#rate.close();
    this.#open.clear();
  }

  async #publish(
    call: PreparedCall,
    priority: CallPriority,
    signal: AbortSignal,
  ): Promise<readonly PublishResult[]> {
    if (this.#closed.signal.aborted) return this.#notSent('closed');
    if ((await this.#rate.take(priority, signal)) === 'refused') {
      return this.#notSent('too many calls wait, or it was given up');
    }
    const ageSec = this.#options.clock.now() / 1000 - call.event.created_at;
    if (ageSec > PUBLISH_AGE_MAX_SEC) return this.#notSent(`${Math.floor(ageSec)} s old`);
    const open = this.#open.get(call.event.id);
    if (open) open.publishedAtMs ??= this.#options.clock.monotonic();
    return this.#options.relays.publish(call.event);
  }

  #nowSec(): number {
    return Math.floor(this.#options.clock.now() / 1000);
  }

  #notSent(why: string): readonly PublishResult[] {
    const reason = `not sent: ${why}`;
    return this.#options.relays.status().map(({ url }) => ({ url, outcome: 'silent', reason }));
  }

  /** Asks for the answers to everything open; the subscription before it goes only then. */
  #subscribe(): void {
    if (this.#closed.signal.aborted) return;
    const before = this.#unsubscribe;
    this.#askedSinceSec = this.#sinceSec();
    this.#unsubscribe = this.#options.relays.subscribe(() => this.#filter(), {
      event: (event) => this.#take(event),
    });
    before();
  }

  #filter(): Filter {
    const { signer, transportPubkey } = this.#options;
    const since = this.#sinceSec();
    this.#askedSinceSec = Math.max(this.#askedSinceSec, since);
    return { kinds: [kinds.rpc], authors: [transportPubkey], '#p': [signer.pubkey], since };
  }

  /** From our own clock and our own requests, never from what relays sent. */
  #sinceSec(): number {
    let oldestSec = this.#nowSec();
    for (const { call } of this.#open.values()) {
      oldestSec = Math.min(oldestSec, call.event.created_at);
    }
    return oldestSec - SINCE_MARGIN_SEC;
  }

  #take(event: SignedEvent): void {
    const { clock, signer, transportPubkey, log } = this.#options;
    const isForUs = event.tags.some(([name, value]) => name === 'p' && value === signer.pubkey);
    if (event.kind !== kinds.rpc || event.pubkey !== transportPubkey || !isForUs) return;
    // With nothing open there is nothing to answer, and each decryption costs the signer.
    if (this.#open.size === 0 || this.#seen.has(event.id)) return;
    if (this.#decrypting >= DECRYPTIONS_MAX) {
      log.warn({ eventId: event.id }, 'too many answers at once, this one is dropped');
      return;
    }
    this.#seen.add(event.id);
    const arrival = { event, monotonicMs: clock.monotonic() };
    void this.#decrypt(arrival);
  }

  async #decrypt(arrival: Arrival): Promise<void> {
    const { signer, clock, transportPubkey, log } = this.#options;
    const { event } = arrival;
    this.#decrypting++;
    const decryption = await decryptPatiently({
      signer,
      clock,
      peer: transportPubkey,
      ciphertext: event.content,
      delaysMs: DECRYPTION_DELAYS_MS,
      isWanted: () => this.#open.size > 0,
      signal: this.#closed.signal,
    });
    this.#decrypting--;
    if (decryption.kind === 'text') this.#read(arrival, decryption.text);
    else log.warn({ eventId: event.id, reason: decryption.reason }, 'an answer was not decrypted');
  }

  #read(arrival: Arrival, plaintext: string): void {
    const { log } = this.#options;
    const { event } = arrival;
    let named = namedRequests(event);
    let message = readMessage(plaintext);
    if (message.kind === 'shard') {
      const outcome = this.#shards.add(event.pubkey, message.shard, named);
      if (outcome.kind === 'waiting') return;
      if (outcome.kind === 'dropped') {
        log.warn({ eventId: event.id, reason: outcome.reason }, 'a part of an answer was dropped');
        return;
      }
      named = outcome.eventIds;
      message = readMessage(outcome.text, true);
    }
    if (message.kind !== 'answer') {
      const reason = message.kind === 'unreadable' ? message.reason : 'a shard in a shard';
      log.warn({ eventId: event.id, reason }, 'an answer could not be read');
      return;
    }
    this.#deliver(arrival, message.answer, [...named], message.ids);
  }

  #deliver(
    arrival: Arrival,
    answer: RpcAnswer,
    named: readonly string[],
    echoed: readonly string[],
  ): void {
    const { log } = this.#options;
    const eventId = arrival.event.id;
    const calls = [...this.#open.values()].filter(
      ({ call }) => named.includes(call.event.id) || echoed.includes(call.requestId),
    );
    const [open] = calls;
    if (!open) {
      const canBeCorrelated = named.length + echoed.length > 0;
      // Without any id the server speaks another dialect, and nobody would find out why.
      if (canBeCorrelated) log.debug({ eventId }, 'an answer to no open call');
      else log.warn({ eventId }, 'an answer that names no call');
      return;
    }
    if (calls.length > 1) {
      log.warn({ eventId }, 'an answer that names several calls is dropped');
      return;
    }
    this.#noteClock(arrival, open);
    for (const { tell } of [...open.listeners]) tell(answer);
  }

  /** Only from an answer that came soon after its call: a relay may hold back an old one. */
  #noteClock({ event, monotonicMs }: Arrival, { publishedAtMs }: OpenCall): void {
    if (publishedAtMs === undefined || monotonicMs - publishedAtMs > TIME_DELAY_MAX_MS) return;
    const { heardTime, clock } = this.#options;
    // Half a second, because `created_at` is cut off to whole ones; and what was spent since then.
    heardTime?.(event.created_at * 1000 + 500 + clock.monotonic() - monotonicMs);
  }
}
