import { encrypt as encryptNip04 } from 'nostr-tools/nip04';
import type { Clock, Random } from '#protocol/base/clock.ts';
import { type EventTemplate, kinds, type SignedEvent } from '#protocol/event.ts';
import type { Relays } from '#protocol/relay/relay.ts';
import { createNostrCrypto, type NostrCrypto } from '#protocol/signer/nostr-crypto.ts';

/** A request as it arrived, decrypted. */
export interface HeardRequest {
  readonly id: string;
  readonly method: string;
  readonly params: readonly string[];
  readonly client: string;
  readonly eventId: string;
  readonly atMs: number;
}

/** What goes into a reply; `id` when it is not the request's. */
export interface ReplyBody {
  readonly id?: string;
  readonly result?: unknown;
  readonly error?: unknown;
}

/** Does with a request whatever a test wants. */
export type Behaviour = (request: HeardRequest, bunker: HostileBunker) => void | Promise<void>;

/** Answers as an honest bunker would. */
export const honest: Behaviour = (request, bunker) => bunker.reply(request, bunker.work(request));
/** Never answers. */
export const silent: Behaviour = () => undefined;
/** Answers with an error. */
export const refusing =
  (error: string): Behaviour =>
  (request, bunker) =>
    bunker.reply(request, { result: 'error', error });

/** A NIP-46 bunker that does what its script says: real events, really signed and encrypted. */
export class HostileBunker {
  readonly pubkey: string;
  readonly heard: HeardRequest[] = [];
  readonly clock: Clock;
  /** What it does with a request; `script` goes first, one behaviour per request. */
  behaviour: Behaviour = honest;
  readonly script: Behaviour[] = [];
  /** Changes what it is asked to sign. */
  alter: (template: EventTemplate) => EventTemplate = (template) => template;
  readonly #relays: Relays;
  readonly #key: Uint8Array;
  readonly #crypto: NostrCrypto;

  constructor(options: {
    relays: Relays;
    clock: Clock;
    random: Random;
    key: Uint8Array;
    crypto?: NostrCrypto;
  }) {
    this.#relays = options.relays;
    this.clock = options.clock;
    this.#key = options.key;
    this.#crypto = options.crypto ?? createNostrCrypto(options.random);
    this.pubkey = this.#crypto.publicKeyOf(options.key);
    this.#relays.subscribe(
      { kinds: [kinds.remoteSigning], '#p': [this.pubkey] },
      { event: (event) => void this.#hear(event) },
    );
  }

  /** Methods heard so far, in order. */
  get methods(): string[] {
    return this.heard.map(({ method }) => method);
  }

  /** The honest result of a request. */
  work({ method, params }: HeardRequest): ReplyBody {
    const [first = '', second = ''] = params;
    switch (method) {
      case 'connect':
        return { result: 'ack' };
      case 'get_public_key':
        return { result: this.pubkey };
      case 'ping':
        return { result: 'pong' };
      case 'nip44_encrypt':
        return { result: this.#crypto.encrypt(this.#key, first, second) };
      case 'nip44_decrypt':
        return { result: this.#crypto.decrypt(this.#key, first, second) };
      case 'sign_event':
        return { result: JSON.stringify(this.sign(this.alter(JSON.parse(first)))) };
      default:
        return { result: null };
    }
  }

  sign(template: EventTemplate): SignedEvent {
    return this.#crypto.sign(this.#key, template);
  }

  /** Sends a reply. `as`: another key. `nip04`: in the old encryption. `raw`: this very content. */
  async reply(
    request: HeardRequest,
    body: ReplyBody,
    how: { as?: Uint8Array; nip04?: boolean; raw?: string } = {},
  ): Promise<void> {
    const key = how.as ?? this.#key;
    const text = JSON.stringify({ id: request.id, ...body });
    const content =
      how.raw ??
      (how.nip04
        ? await encryptNip04(key, request.client, text)
        : this.#crypto.encrypt(key, request.client, text));
    const event = this.#crypto.sign(key, {
      kind: kinds.remoteSigning,
      created_at: Math.floor(this.clock.now() / 1000),
      tags: [['p', request.client]],
      content,
    });
    await this.#relays.publish(event);
  }

  async #hear(event: SignedEvent): Promise<void> {
    const text = this.#crypto.decrypt(this.#key, event.pubkey, event.content);
    const { id, method, params } = JSON.parse(text);
    const request: HeardRequest = {
      ...{ id, method, params, client: event.pubkey },
      ...{ eventId: event.id, atMs: this.clock.monotonic() },
    };
    this.heard.push(request);
    await (this.script.shift() ?? this.behaviour)(request, this);
  }
}
