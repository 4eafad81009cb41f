/**
 * `bitspire-anchor`: which state the machine has, and how far its journal is. It is read back at a
 * start: a copy of the machine, or an old copy of its disk, shows by it (design 8).
 */
import { z } from 'zod';
import type { CancelTimer, Clock } from '#protocol/base/clock.ts';
import type { Log } from '#protocol/base/log.ts';
import { kinds, type SignedEvent } from '../event.ts';
import type { Relays, Unsubscribe } from '../relay/relay.ts';
import { decryptOnce } from '../rpc/patient-decryption.ts';
import { isPublicKey } from '../signer/nostr-crypto.ts';
import type { Signer } from '../signer/signer.ts';
import {
  dTagOf,
  type IncomingType,
  type OutgoingDocument,
  readBy,
  readText,
  schemaVersion,
} from './document.ts';

/** First part of the d tag. */
export const ANCHOR_NAME = 'bitspire-anchor';

const hex = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`));
const seconds = z.int().nonnegative();

const schema = z.object({
  schema_version: schemaVersion,
  instance_id: hex(16),
  epoch: z.int().positive(),
  journal: z.object({ seq: z.int().nonnegative(), hash: hex(32) }),
  published: z.record(z.string(), seconds),
  applied: z.record(z.string(), z.object({ created_at: seconds, event_id: hex(32) })),
});

/** One state of one machine at one moment. */
export interface Anchor {
  /** 16 random bytes, hex, made with the state. */
  readonly instanceId: string;
  /** Rises with each declared restore. */
  readonly epoch: number;
  /** The journal's last entry. */
  readonly seq: number;
  readonly hash: string;
  /** `created_at` of the last event published, by d tag, Unix seconds. */
  readonly published: Readonly<Record<string, number>>;
  /** The operator's documents that were applied last, by type. */
  readonly applied: Readonly<
    Record<string, { readonly createdAt: number; readonly eventId: string }>
  >;
}

/** For the operator, who keeps it; the machine itself reads it back. */
export function anchorDocument(anchor: Anchor): OutgoingDocument {
  const { instanceId, epoch, seq, hash, published, applied } = anchor;
  const text = JSON.stringify({
    schema_version: 1,
    instance_id: instanceId,
    epoch,
    journal: { seq, hash },
    published,
    applied: Object.fromEntries(
      Object.entries(applied).map(([type, { createdAt, eventId }]) => [
        type,
        { created_at: createdAt, event_id: eventId },
      ]),
    ),
  });
  return { name: ANCHOR_NAME, audience: 'operator', text };
}

const anchorType: IncomingType<Anchor> = {
  name: ANCHOR_NAME,
  read: (value) => {
    const read = readBy(schema, value);
    if (read.kind === 'refused') return read;
    const { instance_id: instanceId, epoch, journal, published, applied } = read.document;
    const watermarks = Object.entries(applied).map(([type, { created_at, event_id }]) => {
      return [type, { createdAt: created_at, eventId: event_id }] as const;
    });
    const document: Anchor = {
      ...{ instanceId, epoch, ...journal, published },
      applied: Object.fromEntries(watermarks),
    };
    return { kind: 'document', document };
  },
};

/** News of the anchors that relays have under our identity. */
export type AnchorReport =
  | { readonly kind: 'anchor'; readonly anchor: Anchor; readonly event: SignedEvent }
  /** Once: a relay at least has said what it has, and all of it has been read. */
  | { readonly kind: 'searched' };

/** What a reader needs. */
export interface AnchorReaderOptions {
  readonly relays: Relays;
  readonly signer: Signer;
  readonly clock: Clock;
  readonly log: Log;
}

/** After the first relay has answered, the others have so long to do the same, ms. */
const OTHERS_MS = 5_000;
/** Waits before a signer that was away is asked again; the last one is repeated. */
const RETRY_DELAYS_MS = [5_000, 15_000, 60_000, 300_000];
/** Anchors that may wait to be read: one of each relay, and some that come meanwhile. */
const WAITING_MAX = 16;

/** Reads every anchor that was signed as us, ours and those of others, now and as they come. */
export class AnchorReader {
  readonly #options: AnchorReaderOptions;
  readonly #waiting: SignedEvent[] = [];
  #listener: ((report: AnchorReport) => void) | undefined;
  #isOld: (event: SignedEvent) => boolean = () => false;
  #unsubscribe: Unsubscribe = () => undefined;
  #cancelOthers: CancelTimer | undefined;
  #cancelRetry: CancelTimer = () => undefined;
  #hasSearched: boolean = false;
  #isReported: boolean = false;
  #isReading: boolean = false;
  #failures = 0;

  constructor(options: AnchorReaderOptions) {
    this.#options = options;
  }

  /** Asks the relays. What `isOld` is not worth reading. Reports to the one listener. */
  open(isOld: (event: SignedEvent) => boolean, listener: (report: AnchorReport) => void): void {
    const { relays, signer, clock } = this.#options;
    this.#isOld = isOld;
    this.#listener = listener;
    this.#unsubscribe = relays.subscribe(
      {
        kinds: [kinds.document],
        authors: [signer.pubkey],
        '#d': [dTagOf(ANCHOR_NAME, signer.pubkey)],
      },
      {
        event: (event) => this.#take(event),
        endOfStored: () => {
          this.#cancelOthers ??= clock.after(OTHERS_MS, () => {
            this.#hasSearched = true;
            this.#tellSearched();
          });
        },
      },
    );
  }

  /** Reports nothing any more. */
  close(): void {
    this.#listener = undefined;
    this.#unsubscribe();
    this.#cancelOthers?.();
    this.#cancelRetry();
    this.#waiting.length = 0;
  }

  #take(event: SignedEvent): void {
    if (!this.#listener || this.#isOld(event)) return;
    if (this.#waiting.length >= WAITING_MAX) {
      const dropped = this.#waiting.shift();
      this.#options.log.warn({ eventId: dropped?.id }, 'too many anchors at once, one is dropped');
    }
    this.#waiting.push(event);
    void this.#readAll();
  }

  /** One after the other; a signer that is away makes them wait. */
  async #readAll(): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    this.#cancelRetry();
    for (let event = this.#waiting[0]; event; event = this.#waiting[0]) {
      if (!(await this.#read(event))) {
        this.#retryLater();
        break;
      }
      this.#failures = 0;
      const at = this.#waiting.indexOf(event);
      if (at >= 0) this.#waiting.splice(at, 1);
    }
    this.#isReading = false;
    this.#tellSearched();
  }

  /** False when it has to be tried again. */
  async #read(event: SignedEvent): Promise<boolean> {
    const { signer, log } = this.#options;
    const peer = event.tags.find(([name]) => name === 'p')?.[1] ?? '';
    if (!isPublicKey(peer)) return true;
    const decryption = await decryptOnce(signer, peer, event.content);
    if (!this.#listener) return true;
    const eventId = event.id;
    if (decryption.kind !== 'text') {
      // A signer that refuses everything has not said anything about this text.
      const isAway = decryption.kind === 'silent' || signer.health().kind !== 'ok';
      if (!isAway) log.error({ eventId, reason: decryption.reason }, 'an anchor cannot be read');
      return !isAway;
    }
    const read = readText(anchorType, decryption.text);
    if (read.kind === 'document') {
      this.#listener({ kind: 'anchor', anchor: read.document, event });
    } else log.error({ eventId, reason: read.reason }, 'an anchor cannot be read');
    return true;
  }

  #retryLater(): void {
    if (!this.#listener) return;
    const delayMs = RETRY_DELAYS_MS[Math.min(this.#failures, RETRY_DELAYS_MS.length - 1)] ?? 0;
    this.#failures = Math.min(this.#failures + 1, RETRY_DELAYS_MS.length);
    this.#cancelRetry = this.#options.clock.after(delayMs, () => void this.#readAll());
  }

  #tellSearched(): void {
    if (!this.#hasSearched || this.#isReported || this.#waiting.length > 0) return;
    this.#isReported = true;
    this.#listener?.({ kind: 'searched' });
  }
}
