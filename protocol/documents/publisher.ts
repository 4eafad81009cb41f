/** Publishes our documents, each at a time that never repeats, and looks whether they stuck. */
import type { Clock } from '#protocol/base/clock.ts';
import type { Log } from '#protocol/base/log.ts';
import { type Filter, kinds, type SignedEvent } from '../event.ts';
import type { PublishResult, Relays, Unsubscribe } from '../relay/relay.ts';
import type { Signer } from '../signer/signer.ts';
import { dTagOf, type OutgoingDocument, supersedes, versionOf } from './document.ts';

/** The last `created_at` used of each d tag, on disk, Unix seconds. */
export interface DocumentClocks {
  last(dTag: string): number | undefined;
  /** Kept before the event leaves. */
  advance(dTag: string, createdAt: number): void;
}

/** What a publisher needs. */
export interface DocumentPublisherOptions {
  readonly relays: Relays;
  readonly signer: Signer;
  readonly operatorPubkey: string;
  /** Corrected: its `now` dates our documents. */
  readonly clock: Clock;
  readonly log: Log;
  readonly clocks: DocumentClocks;
}

/** `landed`: read back, it is the newest that the relays have. A relay's OK proves nothing. */
export type Publication =
  | {
      readonly kind: 'sent';
      readonly event: SignedEvent;
      readonly results: readonly PublishResult[];
      readonly landed: boolean;
    }
  | { readonly kind: 'notSent'; readonly reason: string };

/**
 * Furthest that a document's time may run ahead of ours, s. Relays take up to 900 s, some only 3
 * (nostr.md 6), and a clock that was wrong once must not date all later documents.
 */
export const AHEAD_MAX_SEC = 5;
/** Longest wait for what the relays have, ms. */
const READ_BACK_LIMIT_MS = 5_000;
/** Documents that may wait for the one before; there are six, each coalesced by its owner. */
const WAITING_MAX = 16;

/** See the head of the file. */
export class DocumentPublisher {
  readonly #options: DocumentPublisherOptions;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #operatorPubkey: string;

  constructor(options: DocumentPublisherOptions) {
    this.#options = options;
    this.#operatorPubkey = options.operatorPubkey;
  }

  /** Encrypts to another operator from now on. */
  setOperator(operatorPubkey: string): void {
    this.#operatorPubkey = operatorPubkey;
  }

  /**
   * Encrypts, signs, sends and reads back; one document after the other. Not sent: the time would
   * run ahead more than 5 s, or too many wait. @throws SignerError
   */
  async publish(document: OutgoingDocument): Promise<Publication> {
    if (this.#waiting >= WAITING_MAX) return { kind: 'notSent', reason: 'too many documents wait' };
    this.#waiting++;
    const publication = this.#last.then(() => this.#publish(document));
    const settled = () => {
      this.#waiting--;
    };
    this.#last = publication.then(settled, settled);
    return publication;
  }

  async #publish(document: OutgoingDocument): Promise<Publication> {
    const { relays, signer, clock, clocks, log } = this.#options;
    const operatorPubkey = this.#operatorPubkey;
    const dTag = dTagOf(document.name, signer.pubkey);
    const isPublic = document.audience === 'public';
    const content = isPublic ? document.text : await signer.encrypt(operatorPubkey, document.text);
    const nowSec = Math.floor(clock.now() / 1000);
    const createdAt = Math.max(nowSec, (clocks.last(dTag) ?? 0) + 1);
    if (createdAt - nowSec > AHEAD_MAX_SEC) {
      const reason = `its time would be ${createdAt - nowSec} s ahead, at most ${AHEAD_MAX_SEC}`;
      return { kind: 'notSent', reason };
    }
    const more = (document.tags ?? []).map((tag) => [...tag]);
    const tags = [['d', dTag], ...(isPublic ? [] : [['p', operatorPubkey]]), ...more];
    const { kind = kinds.document } = document;
    const template = { kind, created_at: createdAt, tags, content };
    const event = await signer.sign(template);
    clocks.advance(dTag, createdAt);
    const results = await relays.publish(event);
    const head = await this.#head(kind, dTag);
    const landed = head?.id === event.id;
    if (!landed) {
      log.warn({ dTag, results, head: head?.id }, 'a document did not become the newest');
      this.#goBeyond(dTag, head, event);
    }
    return { kind: 'sent', event, results, landed };
  }

  /**
   * What the relays keep in its place is ours too, from before a clock was lost: the next one is
   * dated after it. Not after one from the future, which would date all later ones.
   */
  #goBeyond(dTag: string, head: SignedEvent | undefined, event: SignedEvent): void {
    const { clock, clocks } = this.#options;
    const isAhead = (head?.created_at ?? 0) - Math.floor(clock.now() / 1000) > AHEAD_MAX_SEC;
    if (head && !isAhead && head.created_at > event.created_at) {
      clocks.advance(dTag, head.created_at);
    }
  }

  /** The newest of our documents that any connected relay has. */
  async #head(kind: number, dTag: string): Promise<SignedEvent | undefined> {
    const { relays, signer, clock } = this.#options;
    const filter: Filter = { kinds: [kind], authors: [signer.pubkey], '#d': [dTag] };
    const isOpen = relays.status().filter(({ state }) => state === 'open');
    const unread = new Set(isOpen.map(({ url }) => url));
    let newest: SignedEvent | undefined;
    let unsubscribe: Unsubscribe = () => undefined;
    let cancel = () => {};
    await new Promise<void>((resolve) => {
      if (unread.size === 0) return resolve();
      cancel = clock.after(READ_BACK_LIMIT_MS, resolve);
      unsubscribe = relays.subscribe(filter, {
        event: (event) => {
          if (!newest || supersedes(versionOf(event), versionOf(newest))) newest = event;
        },
        endOfStored: (url) => {
          unread.delete(url);
          if (unread.size === 0) resolve();
        },
      });
    });
    cancel();
    unsubscribe();
    return newest;
  }
}
