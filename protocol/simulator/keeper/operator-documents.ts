/** The operator's side of kind 30078: what is published to the machine and read from it. */

import type { Clock } from '#protocol/base/clock.ts';
import { messageOf } from '#protocol/base/errors.ts';
import type { Log } from '#protocol/base/log.ts';
import { kinds, type SignedEvent } from '../../event.ts';
import type { PublishResult, Relays, Unsubscribe } from '../../relay/relay.ts';
import type { NostrCrypto } from '../../signer/nostr-crypto.ts';
import { replaces, tagValue } from '../relay-rules.ts';

/** What the operator's side needs. */
export interface OperatorDocumentsOptions {
  readonly relays: Relays;
  readonly clock: Clock;
  readonly crypto: NostrCrypto;
  readonly log: Log;
  readonly secretKey: Uint8Array;
  readonly spirePubkey: string;
}

/** The newest document of a name that the machine has published. */
export interface ReceivedDocument {
  readonly event: SignedEvent;
  /** Parsed JSON, decrypted when it was encrypted to the operator. */
  readonly content: unknown;
}

/** Names remembered; a machine publishes a handful. */
const NAMES_MAX = 64;

/** See the head of the file. */
export class OperatorDocuments {
  readonly #options: OperatorDocumentsOptions;
  readonly #received = new Map<string, ReceivedDocument>();
  readonly #lastCreatedAt = new Map<string, number>();
  readonly #unsubscribe: Unsubscribe;
  #secretKey: Uint8Array;

  constructor(options: OperatorDocumentsOptions) {
    this.#options = options;
    this.#secretKey = options.secretKey;
    this.#unsubscribe = options.relays.subscribe(
      { kinds: [kinds.document], authors: [options.spirePubkey] },
      { event: (event) => this.#take(event) },
    );
  }

  /** The key that signs them, hex. */
  get pubkey(): string {
    return this.#options.crypto.publicKeyOf(this.#secretKey);
  }

  get secretKey(): Uint8Array {
    return this.#secretKey;
  }

  /** Another operator key from now on; every document signed by the old one is orphaned. */
  rotate(secretKey: Uint8Array): void {
    this.#secretKey = secretKey;
    this.#received.clear();
    this.#lastCreatedAt.clear();
  }

  /** The newest document the machine has published under a name without its `:<hex>`. */
  received(name: string): ReceivedDocument | undefined {
    return this.#received.get(name);
  }

  /**
   * Publishes JSON to the machine as `d = <name>:<machine's hex>`. `createdAtSec` is now, but later
   * than the last of its name, since of two in one second the relay keeps the one of lower id.
   */
  publish(
    name: string,
    content: unknown,
    createdAtSec?: number,
  ): Promise<readonly PublishResult[]> {
    const { crypto, spirePubkey, relays, clock } = this.#options;
    const nowSec = Math.floor(clock.now() / 1000);
    const lastSec = this.#lastCreatedAt.get(name) ?? 0;
    const atSec = createdAtSec ?? Math.max(nowSec, lastSec + 1);
    this.#lastCreatedAt.set(name, atSec);
    const event = crypto.sign(this.#secretKey, {
      kind: kinds.document,
      created_at: atSec,
      tags: [
        ['d', `${name}:${spirePubkey}`],
        ['p', spirePubkey],
      ],
      content: crypto.encrypt(this.#secretKey, spirePubkey, JSON.stringify(content)),
    });
    return relays.publish(event);
  }

  stop(): void {
    this.#unsubscribe();
  }

  #take(event: SignedEvent): void {
    const { crypto, spirePubkey, log } = this.#options;
    const name = (tagValue(event, 'd') ?? '').split(':')[0] ?? '';
    const held = this.#received.get(name);
    if (held && !replaces(event, held.event)) return;
    if (!held && this.#received.size >= NAMES_MAX) return;
    try {
      const plaintext = event.content.startsWith('{')
        ? event.content
        : crypto.decrypt(this.#secretKey, spirePubkey, event.content);
      this.#received.set(name, { event, content: JSON.parse(plaintext) });
    } catch (error) {
      log.debug({ name, reason: messageOf(error) }, 'keeper could not read a document');
    }
  }
}
