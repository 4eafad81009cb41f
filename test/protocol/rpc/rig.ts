/** A client and a server that a test speaks for, over a relay in memory, on virtual time. */
import { createHash } from 'node:crypto';
import { silentLog } from '#protocol/base/log.ts';
import { Secret } from '#protocol/base/secret.ts';
import { kinds, type SignedEvent } from '#protocol/event.ts';
import { verifySignature } from '#protocol/relay/verify.ts';
import { NostrRpcClient } from '#protocol/rpc/rpc-client.ts';
import { createNostrCrypto } from '#protocol/signer/nostr-crypto.ts';
import { SelfKeySigner } from '#protocol/signer/self-key-signer.ts';
import { type MemoryClient, MemoryNetwork } from '#protocol/simulator/memory-network.ts';
import { seededRandom } from '#test/support/seeded-random.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

/** Real keys and signatures, with nonces that are the same in every run. */
export const crypto = createNostrCrypto(seededRandom('nonces'));

/** A 32-byte secret key of its own for every name. */
export function keyOf(name: string): Uint8Array {
  return new Uint8Array(createHash('sha256').update(name).digest());
}

export const serverKey = keyOf('server');
export const serverPubkey = crypto.publicKeyOf(serverKey);
export const operatorKey = keyOf('operator');
export const operatorPubkey = crypto.publicKeyOf(operatorKey);

/** A request as the server of a test sees it. */
export interface ReceivedRequest {
  readonly event: SignedEvent;
  readonly envelope: Record<string, unknown>;
}

/** How an answer is sent. */
export interface AnswerOptions {
  /** Whose key signs; the pinned server's when left out. */
  readonly key?: Uint8Array;
  readonly tags?: string[][];
  readonly createdAtSec?: number;
}

/** The server's end: keeps what was asked, says what a test tells it to. */
export class TestServer {
  readonly requests: ReceivedRequest[] = [];
  /** Called with every request. */
  onRequest: (request: ReceivedRequest) => void = () => undefined;
  readonly #clock: VirtualClock;
  readonly #relays: MemoryClient;

  constructor(clock: VirtualClock, relays: MemoryClient) {
    this.#clock = clock;
    this.#relays = relays;
    relays.subscribe(
      { kinds: [kinds.rpc], '#p': [serverPubkey] },
      {
        event: (event) => {
          const text = crypto.decrypt(serverKey, event.pubkey, event.content);
          const request = { event, envelope: JSON.parse(text) as Record<string, unknown> };
          this.requests.push(request);
          this.onRequest(request);
        },
      },
    );
  }

  /** Sends any plaintext to the sender of a request; by itself it names no request. */
  send(request: SignedEvent, plaintext: string, options: AnswerOptions = {}): SignedEvent {
    const key = options.key ?? serverKey;
    const event = crypto.sign(key, {
      kind: kinds.rpc,
      created_at: options.createdAtSec ?? Math.floor(this.#clock.now() / 1000),
      tags: [['p', request.pubkey], ...(options.tags ?? [])],
      content: crypto.encrypt(key, request.pubkey, plaintext),
    });
    void this.#relays.publish(event);
    return event;
  }

  /** An answer that echoes the request's id. */
  ok(request: ReceivedRequest, data: unknown, options: AnswerOptions = {}): SignedEvent {
    const { request_id } = request.envelope;
    return this.send(request.event, JSON.stringify({ status: 'OK', data, request_id }), options);
  }
}

/** Both ends and the clock. */
export interface Rig {
  readonly clock: VirtualClock;
  readonly network: MemoryNetwork;
  readonly line: MemoryClient;
  readonly signer: SelfKeySigner;
  readonly server: TestServer;
  readonly client: NostrRpcClient;
  /** What the client found the server's time to be, and when. */
  readonly heardTimes: { readonly unixMs: number; readonly atUnixMs: number }[];
}

/** Everything wired. */
export function makeRig(): Rig {
  const clock = new VirtualClock();
  const network = new MemoryNetwork({ clock, verify: verifySignature });
  const line = network.client();
  const signer = makeSigner(clock);
  const heardTimes: Rig['heardTimes'] = [];
  const client = new NostrRpcClient({
    relays: line,
    signer,
    transportPubkey: serverPubkey,
    clock,
    random: seededRandom('client'),
    log: silentLog,
    heardTime: (unixMs) => heardTimes.push({ unixMs, atUnixMs: clock.now() }),
  });
  const server = new TestServer(clock, network.client());
  return { clock, network, line, signer, server, client, heardTimes };
}

/** The machine's own key. */
export function makeSigner(clock: VirtualClock): SelfKeySigner {
  return new SelfKeySigner({ key: new Secret(keyOf('spire')), clock, crypto });
}
