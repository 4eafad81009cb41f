/** A NIP-46 bunker on `Clock` and the memory network; its policy is the real bunker's. */
import { z } from 'zod';
import type { Clock, Random } from '#protocol/base/clock.ts';
import { messageOf } from '#protocol/base/errors.ts';
import type { Log } from '#protocol/base/log.ts';
import { type EventTemplate, kinds, type SignedEvent } from '../event.ts';
import type { Relays, Unsubscribe } from '../relay/relay.ts';
import type { NostrCrypto } from '../signer/nostr-crypto.ts';
import { BunkerPolicy, type BunkerState, type SimulatedBunker } from './bunker-policy.ts';
import { isAddressable, tagValue } from './relay-rules.ts';

/** What `startMemoryBunker` needs. */
export interface MemoryBunkerOptions {
  readonly relays: Relays;
  readonly clock: Clock;
  readonly random: Random;
  readonly crypto: NostrCrypto;
  readonly log: Log;
  /** The machine's identity key, 32 bytes. */
  readonly secretKey: Uint8Array;
  /** Bindings of an earlier run. */
  readonly state?: BunkerState | undefined;
}

const requestSchema = z.object({
  id: z.string(),
  method: z.string(),
  params: z.array(z.string()).default([]),
});

const templateSchema = z.object({
  kind: z.number().int(),
  content: z.string(),
  tags: z.array(z.array(z.string())).default([]),
  created_at: z.number().int().optional(),
});

type Request = z.infer<typeof requestSchema>;
/** What goes back; undefined: nothing. */
type Reply = { readonly result: string; readonly error?: string } | undefined;

const REFUSED: Reply = { result: 'error', error: 'Not authorized' };
/** Methods that NDK's backend has; any other is refused at once, whoever asks. */
const METHODS = new Set([
  'connect',
  'ping',
  'get_public_key',
  'switch_relays',
  'sign_event',
  'nip04_encrypt',
  'nip04_decrypt',
  'nip44_encrypt',
  'nip44_decrypt',
]);
const D_TAG_BYTES = 8;

/** Starts a bunker; its subscription is under way when this returns. */
export function startMemoryBunker(options: MemoryBunkerOptions): SimulatedBunker {
  return new MemoryBunker(options);
}

class MemoryBunker implements SimulatedBunker {
  readonly pubkey: string;
  readonly policy: BunkerPolicy;
  readonly #options: MemoryBunkerOptions;
  #unsubscribe: Unsubscribe;

  constructor(options: MemoryBunkerOptions) {
    this.#options = options;
    this.pubkey = options.crypto.publicKeyOf(options.secretKey);
    this.policy = new BunkerPolicy(options);
    this.#unsubscribe = this.#subscribe();
  }

  async restart(): Promise<void> {
    this.#unsubscribe();
    this.#unsubscribe = this.#subscribe();
  }

  async stop(): Promise<void> {
    this.#unsubscribe();
    this.policy.close();
  }

  #subscribe(): Unsubscribe {
    return this.#options.relays.subscribe(
      { kinds: [kinds.remoteSigning], '#p': [this.pubkey] },
      { event: (event) => void this.#take(event) },
    );
  }

  async #take(event: SignedEvent): Promise<void> {
    const { crypto, secretKey, log } = this.#options;
    if (this.policy.switches.silent) {
      log.debug('bunker is silent');
      return;
    }
    let request: Request;
    try {
      const plaintext = crypto.decrypt(secretKey, event.pubkey, event.content);
      request = requestSchema.parse(JSON.parse(plaintext));
    } catch (error) {
      log.debug({ reason: messageOf(error) }, 'bunker could not read a request');
      return;
    }
    await this.policy.delay();
    const reply = this.#answer(event.pubkey, request);
    if (reply) await this.#send(event.pubkey, { id: request.id, ...reply });
  }

  #answer(client: string, request: Request): Reply {
    if (!METHODS.has(request.method)) return REFUSED;
    // Answered to anyone, as NDK does: it proves reachability and no authorization.
    if (request.method === 'get_public_key') return { result: this.pubkey };
    try {
      if (request.method === 'connect' && request.params[1]) {
        this.policy.redeem(client, request.params[1]);
      }
      const template = request.method === 'sign_event' ? this.#template(request) : undefined;
      const { method } = request;
      const verdict = this.policy.decide(
        template ? { client, method, eventKind: template.kind } : { client, method },
      );
      switch (verdict.kind) {
        case 'allow':
          return { result: this.#perform(request, template) };
        case 'refuse':
          return { result: 'error', error: verdict.error };
        case 'authUrl':
          return { result: 'auth_url', error: verdict.url };
        case 'silent':
          return undefined;
      }
    } catch (error) {
      return { result: 'error', error: messageOf(error) };
    }
  }

  #template(request: Request): EventTemplate {
    const asked = templateSchema.parse(JSON.parse(request.params[0] ?? ''));
    const nowSec = Math.floor(this.#options.clock.now() / 1000);
    const template = { ...asked, created_at: asked.created_at ?? nowSec };
    // NDK adds a random `d` tag to an addressable event without one; clients must notice.
    if (isAddressable(template.kind) && tagValue(template, 'd') === undefined) {
      const value = Buffer.from(this.#options.random.bytes(D_TAG_BYTES)).toString('hex');
      return { ...template, tags: [...template.tags, ['d', value]] };
    }
    return template;
  }

  #perform({ method, params }: Request, template: EventTemplate | undefined): string {
    const { crypto, secretKey } = this.#options;
    const [peer = '', text = ''] = params;
    switch (method) {
      case 'connect':
        return 'ack';
      case 'ping':
        return 'pong';
      case 'switch_relays':
        return JSON.stringify(this.#options.relays.status().map(({ url }) => url));
      case 'nip44_encrypt':
        return crypto.encrypt(secretKey, peer, text);
      case 'nip44_decrypt':
        return crypto.decrypt(secretKey, peer, text);
      default:
        if (!template) throw new Error(`${method} is not implemented`);
        return JSON.stringify(crypto.sign(secretKey, template));
    }
  }

  async #send(client: string, response: Record<string, string>): Promise<void> {
    const { crypto, secretKey, clock, relays } = this.#options;
    const event = crypto.sign(secretKey, {
      kind: kinds.remoteSigning,
      created_at: Math.floor(clock.now() / 1000),
      tags: [['p', client]],
      content: crypto.encrypt(secretKey, client, JSON.stringify(response)),
    });
    await relays.publish(event);
  }
}
