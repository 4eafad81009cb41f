/** The operator's documents: heard, proven, ordered, read. Who applies them keeps the watermark. */
import assert from 'node:assert/strict';
import type { CancelTimer, Clock } from '#protocol/base/clock.ts';
import type { Log } from '#protocol/base/log.ts';
import { kinds, type SignedEvent } from '../event.ts';
import type { Relays, Unsubscribe } from '../relay/relay.ts';
import { decryptOnce } from '../rpc/patient-decryption.ts';
import type { Signer } from '../signer/signer.ts';
import { type DocumentVersion, dTagOf, readText, supersedes, versionOf } from './document.ts';
import {
  type IncomingDocument,
  type IncomingTypeName,
  incomingTypeNames,
  incomingTypeOf,
  incomingTypes,
} from './registry.ts';

/** What came of a document. `refused` leaves the last good one in force. */
export type InboxReport =
  | {
      readonly kind: 'accepted';
      readonly document: IncomingDocument;
      /** What it was read from, decrypted: what to keep, so that it can be read again. */
      readonly text: string;
      readonly event: SignedEvent;
    }
  | {
      readonly kind: 'refused';
      readonly type: IncomingTypeName;
      /** In words, for the operator. */
      readonly reason: string;
      readonly event: SignedEvent;
    };

/** The version that was last applied of each type, as kept on disk for this operator's key. */
export interface Watermarks {
  get(type: IncomingTypeName): DocumentVersion | undefined;
}

/** What an inbox needs. */
export interface DocumentInboxOptions {
  readonly relays: Relays;
  readonly signer: Signer;
  /** The pinned operator, hex: the only author heard. */
  readonly operatorPubkey: string;
  /** Corrected: documents from the future are judged by its `now`. */
  readonly clock: Clock;
  readonly log: Log;
  readonly watermarks: Watermarks;
}

/**
 * Furthest into the future that is applied, s. Source: design 10. Beyond it a document would hold
 * its place against every later one, as a stolen key's dated 2100 does.
 */
export const FUTURE_MAX_SEC = 900;
/** Events that may wait to be judged. Relays have one head of each type; more is a flood. */
const WAITING_MAX = 64;
/** Longest ciphertext that is decrypted, characters: NIP-44 of 24 KiB, padded, in base64. */
const CIPHERTEXT_CHARACTERS_MAX = 65_536;
/**
 * Waits before a document is decrypted again while the signer is silent, ms; the last one repeats,
 * because relays do not send the document again. One document a type is kept.
 */
const RETRY_DELAYS_MS = [5_000, 15_000, 60_000, 300_000];

/** Documents in doubt that are judged again: dated too far ahead, or not decrypted. */
type Doubt = 'future' | 'undecrypted';

/** See the head of the file. */
export class DocumentInbox {
  readonly #options: DocumentInboxOptions;
  /** The newest reported as accepted; its watermark may not be on disk yet. */
  readonly #accepted = new Map<IncomingTypeName, DocumentVersion>();
  readonly #doubtful = new Map<string, { readonly doubt: Doubt; readonly event: SignedEvent }>();
  #listener: ((report: InboxReport) => void) | undefined;
  #unsubscribe: Unsubscribe = () => undefined;
  #cancelRetry: CancelTimer | undefined;
  #retries = 0;
  #judging = Promise.resolve();
  #waiting = 0;
  #operatorPubkey: string;

  constructor(options: DocumentInboxOptions) {
    this.#options = options;
    this.#operatorPubkey = options.operatorPubkey;
  }

  /** Asks for the documents and reports them to the one listener, one after the other. */
  open(listener: (report: InboxReport) => void): void {
    assert(!this.#listener, 'an inbox is opened once');
    this.#listener = listener;
    this.#ask();
  }

  /** Hears another operator from now on, from a clean start; what the last one said is dropped. */
  setOperator(operatorPubkey: string): void {
    this.#operatorPubkey = operatorPubkey;
    this.#accepted.clear();
    this.#doubtful.clear();
    if (this.#isClosed()) return;
    this.#unsubscribe();
    this.#ask();
  }

  #ask(): void {
    const { relays, signer } = this.#options;
    // No `since`: what counts is the newest there is, however old, asked again on every reconnect.
    this.#unsubscribe = relays.subscribe(
      {
        kinds: [kinds.document],
        authors: [this.#operatorPubkey],
        '#d': incomingTypeNames.map((type) => dTagOf(incomingTypes[type].name, signer.pubkey)),
      },
      { event: (event) => this.#take(event) },
    );
  }

  /** Judges again what was refused for its time, or could not be decrypted; after a correction. */
  recheck(): void {
    this.#judgeDoubtful(['future', 'undecrypted']);
  }

  /** Reports nothing any more. */
  close(): void {
    this.#listener = undefined;
    this.#unsubscribe();
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    this.#doubtful.clear();
  }

  #take(event: SignedEvent): void {
    const { log } = this.#options;
    if (event.kind !== kinds.document || !this.#isHeard(event)) return;
    if (this.#waiting >= WAITING_MAX) {
      log.warn({ eventId: event.id }, 'too many documents at once, this one is dropped');
      return;
    }
    this.#waiting++;
    // One at a time, so that reports come in the order in which documents arrived.
    this.#judging = this.#judging.then(async () => {
      this.#waiting--;
      await this.#judge(event);
    });
  }

  async #judge(event: SignedEvent): Promise<void> {
    const { signer, clock, log } = this.#options;
    if (!this.#isHeard(event)) return;
    const type = incomingTypeOf(tagOf(event, 'd'), signer.pubkey);
    if (!type) return;
    if (!this.#isNewest(type, event)) {
      log.debug({ type, eventId: event.id }, 'a document that is applied or older');
      return;
    }
    const refuse = (reason: string) => this.#report({ kind: 'refused', type, reason, event });
    if (!event.tags.some(([name, value]) => name === 'p' && value === signer.pubkey)) {
      return refuse('it is not addressed to this machine');
    }
    const aheadSec = event.created_at - Math.floor(clock.now() / 1000);
    if (aheadSec > FUTURE_MAX_SEC) {
      this.#keep(type, 'future', event);
      return refuse(`dated ${aheadSec} s in the future, at most ${FUTURE_MAX_SEC}`);
    }
    if (event.content.length > CIPHERTEXT_CHARACTERS_MAX) return refuse('it is too long');
    const decryption = await decryptOnce(signer, event.pubkey, event.content);
    if (!this.#isHeard(event)) return;
    if (decryption.kind === 'silent') {
      log.warn({ type, reason: decryption.reason }, 'a document waits for the signer');
      this.#keep(type, 'undecrypted', event);
      this.#retryLater();
      return;
    }
    if (decryption.kind === 'unreadable') {
      // The signer may have refused us and not the document: a new pairing makes it readable.
      this.#keep(type, 'undecrypted', event);
      return refuse(`not decrypted: ${decryption.reason}`);
    }
    this.#retries = 0;
    const parsed = readText(incomingTypes[type], decryption.text);
    if (parsed.kind === 'refused') return refuse(parsed.reason);
    this.#accepted.set(type, versionOf(event));
    this.#report({ kind: 'accepted', document: parsed.document, text: decryption.text, event });
  }

  #isClosed(): boolean {
    return this.#listener === undefined;
  }

  /** Also after a wait: the operator may have become another one meanwhile. */
  #isHeard(event: SignedEvent): boolean {
    return !this.#isClosed() && event.pubkey === this.#operatorPubkey;
  }

  #report(report: InboxReport): void {
    this.#listener?.(report);
  }

  #isNewest(type: IncomingTypeName, event: SignedEvent): boolean {
    const version = versionOf(event);
    const isAboveDisk = supersedes(version, this.#options.watermarks.get(type));
    return isAboveDisk && supersedes(version, this.#accepted.get(type));
  }

  /** Keeps the newest of each type and doubt. */
  #keep(type: IncomingTypeName, doubt: Doubt, event: SignedEvent): void {
    const key = `${doubt}:${type}`;
    const held = this.#doubtful.get(key);
    if (held && supersedes(versionOf(held.event), versionOf(event))) return;
    this.#doubtful.set(key, { doubt, event });
  }

  #judgeDoubtful(doubts: readonly Doubt[]): void {
    const again: SignedEvent[] = [];
    for (const [key, { doubt, event }] of this.#doubtful) {
      if (!doubts.includes(doubt)) continue;
      this.#doubtful.delete(key);
      again.push(event);
    }
    for (const event of again) this.#take(event);
  }

  #retryLater(): void {
    if (this.#cancelRetry) return;
    const delayMs = RETRY_DELAYS_MS[Math.min(this.#retries, RETRY_DELAYS_MS.length - 1)] ?? 0;
    this.#retries++;
    this.#cancelRetry = this.#options.clock.after(delayMs, () => {
      this.#cancelRetry = undefined;
      this.#judgeDoubtful(['undecrypted']);
    });
  }
}

function tagOf(event: SignedEvent, name: string): string | undefined {
  return event.tags.find(([tag]) => tag === name)?.[1];
}
