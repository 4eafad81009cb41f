/**
 * The server's end of kind 21000: who is heard, how fresh a request must be, and the envelope.
 * What the public pages leave open (which key correlates an answer) is a switch here, so that a
 * client must work with either. Source: bitspire-wire.md 2.
 */
import { z } from 'zod';
import type { CancelTimer, Clock, Random } from '#protocol/base/clock.ts';
import { messageOf } from '#protocol/base/errors.ts';
import type { Log } from '#protocol/base/log.ts';
import { kinds, type SignedEvent } from '../../event.ts';
import type { Relays, Unsubscribe } from '../../relay/relay.ts';
import type { NostrCrypto } from '../../signer/nostr-crypto.ts';
import { tagValue } from '../relay-rules.ts';

/** How the server answers. All may be set while it runs. */
export interface TransportSwitches {
  /** The answer repeats the request's `request_id`, `requestId` or `id`. */
  echoId: boolean;
  /** The answer carries an `e` tag with the request's event id. */
  eTag: boolean;
  /** Hears nothing: as if the server were down. */
  silent: boolean;
  /** Answers come this much later, ms. The work is done at once. */
  answerDelayMs: number;
  /** So many answers are lost after the work was done; counts down. */
  dropAnswers: number;
  /** Every answer is sent twice, as two events. */
  answerTwice: boolean;
  /** Words with which a call is refused before anything is done; undefined lets it pass. */
  refuse: (rpcName: string) => string | undefined;
  /** Most calls a minute and sender; undefined for none. The server's plan says 30. */
  rateLimitPerMinute: number | undefined;
  /** What the server's clock is ahead, ms: for its windows and the time of its answers. */
  clockSkewMs: number;
}

/** A call that passed every check. */
export interface ReceivedCall {
  readonly rpcName: string;
  readonly body: Record<string, unknown>;
  /** As the caller said; undefined when it did not. */
  readonly walletId: string | undefined;
  /** Proven by the signature. */
  readonly sender: string;
  readonly eventId: string;
}

/** What a call comes to. `undefined` from the handler means: no such method, so no answer. */
export type CallResult = { readonly data: unknown } | { readonly error: string } | undefined;

/** What the transport needs. */
export interface TransportOptions {
  readonly relays: Relays;
  readonly clock: Clock;
  readonly random: Random;
  readonly crypto: NostrCrypto;
  readonly log: Log;
  readonly secretKey: Uint8Array;
  readonly handle: (call: ReceivedCall) => CallResult;
}

/** Source: `nostr_transport_max_age_seconds`. */
export const AGE_MAX_SEC = 300;
/** Source: `nostr_transport_future_skew_seconds`. */
export const FUTURE_MAX_SEC = 60;
/** Answers longer than this are split. Source: Lightning.Pub's limit, in characters. */
export const ANSWER_CHARACTERS_MAX = 40_000;
/**
 * Characters of one part. Less than the limit because a part is quoted once more in its shard, and
 * more than 40,960 bytes do not fit the event that common relays take (nostr.md 0.8).
 */
const PART_CHARACTERS = 30_000;
/** Event ids remembered. Older ones need no memory: their age alone refuses them. */
const SEEN_IDS_MAX = 1_000;
const SHARDS_ID_BYTES = 16;
const MINUTE_MS = 60_000;

const envelopeSchema = z.object({
  rpc_name: z.string(),
  body: z.record(z.string(), z.unknown()).default({}),
  wallet_id: z.string().nullish(),
  request_id: z.unknown().optional(),
  requestId: z.unknown().optional(),
  id: z.unknown().optional(),
});

type Envelope = z.infer<typeof envelopeSchema>;

/** See the head of the file. */
export class Transport {
  readonly switches: TransportSwitches = {
    echoId: true,
    eTag: true,
    silent: false,
    answerDelayMs: 0,
    dropAnswers: 0,
    answerTwice: false,
    refuse: () => undefined,
    rateLimitPerMinute: undefined,
    clockSkewMs: 0,
  };
  readonly pubkey: string;
  /** Resolves when the relay has said that the subscription is live. */
  readonly listening: Promise<void>;
  readonly #options: TransportOptions;
  readonly #seen = new Set<string>();
  readonly #calls = new Map<string, number[]>();
  readonly #delayed = new Set<CancelTimer>();
  readonly #tellLive: () => void;
  #unsubscribe: Unsubscribe;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.pubkey = options.crypto.publicKeyOf(options.secretKey);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.listening = promise;
    this.#tellLive = resolve;
    this.#unsubscribe = this.#subscribe();
  }

  /** Forgets which events it has seen and loses the answers that were still to be sent. */
  restart(): void {
    this.stop();
    this.#seen.clear();
    this.#unsubscribe = this.#subscribe();
  }

  /** Hears and sends no more. */
  stop(): void {
    this.#unsubscribe();
    for (const cancel of this.#delayed) cancel();
    this.#delayed.clear();
  }

  #subscribe(): Unsubscribe {
    return this.#options.relays.subscribe(
      { kinds: [kinds.rpc], '#p': [this.pubkey] },
      { event: (event) => this.#take(event), endOfStored: () => this.#tellLive() },
    );
  }

  #nowSec(): number {
    return (this.#options.clock.now() + this.switches.clockSkewMs) / 1000;
  }

  /** Why an event is dropped without an answer; undefined when it is not. */
  #staleness(event: SignedEvent): string | undefined {
    const ageSec = this.#nowSec() - event.created_at;
    if (ageSec > AGE_MAX_SEC) return 'too old';
    if (-ageSec > FUTURE_MAX_SEC) return 'too far in the future';
    const expiration = Number(tagValue(event, 'expiration'));
    if (Number.isFinite(expiration) && expiration < this.#nowSec()) return 'expired';
    return undefined;
  }

  #take(event: SignedEvent): void {
    const { log } = this.#options;
    if (this.switches.silent) return;
    const stale = this.#staleness(event);
    if (stale !== undefined || this.#seen.has(event.id)) {
      log.debug({ eventId: event.id, reason: stale ?? 'repeated' }, 'keeper drops a request');
      return;
    }
    this.#remember(event.id);
    const envelope = this.#open(event);
    if (!envelope) return;
    const call: ReceivedCall = {
      rpcName: envelope.rpc_name,
      body: envelope.body,
      walletId: envelope.wallet_id ?? undefined,
      sender: event.pubkey,
      eventId: event.id,
    };
    const refusal = this.#rateLimited(call.sender) ?? this.switches.refuse(call.rpcName);
    const result = refusal === undefined ? this.#options.handle(call) : { error: refusal };
    log.debug({ rpcName: call.rpcName, error: result && 'error' in result }, 'keeper took a call');
    if (result) this.#answer(event, envelope, result);
  }

  #remember(eventId: string): void {
    this.#seen.add(eventId);
    if (this.#seen.size <= SEEN_IDS_MAX) return;
    for (const oldest of this.#seen) {
      this.#seen.delete(oldest);
      break;
    }
  }

  #rateLimited(sender: string): string | undefined {
    const limit = this.switches.rateLimitPerMinute;
    if (limit === undefined) return undefined;
    const nowMs = this.#options.clock.monotonic();
    const recent = (this.#calls.get(sender) ?? []).filter((atMs) => nowMs - atMs < MINUTE_MS);
    const limited = recent.length >= limit;
    this.#calls.set(sender, limited ? recent : [...recent, nowMs]);
    return limited ? 'rate_limited' : undefined;
  }

  #open(event: SignedEvent): Envelope | undefined {
    const { crypto, secretKey, log } = this.#options;
    try {
      const plaintext = crypto.decrypt(secretKey, event.pubkey, event.content);
      return envelopeSchema.parse(JSON.parse(plaintext));
    } catch (error) {
      log.debug({ reason: messageOf(error) }, 'keeper could not read a request');
      return undefined;
    }
  }

  #answer(request: SignedEvent, envelope: Envelope, result: NonNullable<CallResult>): void {
    if (this.switches.dropAnswers > 0) {
      this.switches.dropAnswers--;
      return;
    }
    const { request_id, requestId, id } = envelope;
    // JSON leaves out what is undefined, so that only the keys the caller used come back.
    const echo = this.switches.echoId ? { request_id, requestId, id } : {};
    const status = 'data' in result ? 'OK' : 'ERROR';
    const plaintexts = this.#shards(JSON.stringify({ status, ...result, ...echo }));
    const send = () => {
      for (let times = this.switches.answerTwice ? 2 : 1; times > 0; times--) {
        for (const plaintext of plaintexts) this.#send(request, plaintext);
      }
    };
    if (this.switches.answerDelayMs === 0) {
      send();
      return;
    }
    const cancel = this.#options.clock.after(this.switches.answerDelayMs, () => {
      this.#delayed.delete(cancel);
      send();
    });
    this.#delayed.add(cancel);
  }

  /** Source: Lightning.Pub's wrapper, which LNbits' clients reassemble (bitspire-wire.md 2.3). */
  #shards(plaintext: string): string[] {
    if (plaintext.length <= ANSWER_CHARACTERS_MAX) return [plaintext];
    const totalShards = Math.ceil(plaintext.length / PART_CHARACTERS);
    const shardsId = Buffer.from(this.#options.random.bytes(SHARDS_ID_BYTES)).toString('hex');
    return Array.from({ length: totalShards }, (_, index) => {
      const part = plaintext.slice(index * PART_CHARACTERS, (index + 1) * PART_CHARACTERS);
      return JSON.stringify({ part, index, totalShards, shardsId });
    });
  }

  #send(request: SignedEvent, plaintext: string): void {
    const { crypto, secretKey, relays } = this.#options;
    const tags = [['p', request.pubkey]];
    if (this.switches.eTag) tags.push(['e', request.id]);
    const event = crypto.sign(secretKey, {
      kind: kinds.rpc,
      created_at: Math.floor(this.#nowSec()),
      tags,
      content: crypto.encrypt(secretKey, request.pubkey, plaintext),
    });
    void relays.publish(event);
  }
}
