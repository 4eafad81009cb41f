/** Keeps our published documents as they should read: outbox, publishing, back-off. */
import { z } from 'zod';
import type { CancelTimer, Clock } from '#protocol/base/clock.ts';
import { AtmError, messageOf } from '#protocol/base/errors.ts';
import type { Log } from '#protocol/base/log.ts';
import type { OutgoingDocument } from '#protocol/documents/document.ts';
import type { DocumentPublisher, Publication } from '#protocol/documents/publisher.ts';
import { recordDocument, recordNumberOf } from '#protocol/documents/visit-record.ts';
import type { SignedEvent } from '#protocol/event.ts';
import { BEACON_NAME } from '#protocol/rpc/dialect.ts';
import type { OutboxItem } from '#state/outbox.ts';
import type { Store } from '#state/store.ts';
import { type OwnDocumentsSources, ownDocuments } from './own-documents.ts';

/** What the outgoing documents need. */
export interface OutgoingOptions extends OwnDocumentsSources {
  readonly publisher: Pick<DocumentPublisher, 'publish'>;
  /** Whom they are encrypted to; another one gets all of them again. */
  readonly operatorPubkey: string;
  readonly clock: Clock;
  readonly log: Log;
}

const landedSchema = z.object({
  text: z.string(),
  operatorPubkey: z.string(),
  eventId: z.string(),
  createdAtSec: z.int(),
});

const reportSchema = z.object({
  relays: z.array(z.object({ url: z.string(), outcome: z.string(), reason: z.string() })),
});

/** What each relay said to the last event of a name. */
export type RelayReports = z.output<typeof reportSchema>['relays'];

/** What of ours the relays had as the newest when it was last read back. */
export type Landed = z.output<typeof landedSchema>;

/** Changes of this long become one document, ms: a cash-out alone changes the counts five times. */
const COALESCE_MS = 2_000;
/** Waits after a failed round, ms: doubled from the first to the last. */
const RETRY_FIRST_MS = 5_000;
const RETRY_LAST_MS = 300_000;

const factOf = (name: string): string => `landed:${name}`;
const reportOf = (name: string): string => `relays:${name}`;

/** What each relay said to the last event of a name; none before the first. */
export function relayReportsOf(store: Store, name: string): RelayReports {
  const report = reportSchema.safeParse(store.facts.get(reportOf(name))?.value);
  return report.success ? report.data.relays : [];
}

/** Remembers what the relays have as the newest of a name; inside a commit. */
export function keepLanded(
  store: Store,
  clock: Clock,
  published: {
    readonly document: Pick<OutgoingDocument, 'name' | 'text'>;
    readonly operatorPubkey: string;
    readonly event: Pick<SignedEvent, 'id' | 'created_at'>;
  },
): void {
  const { document, operatorPubkey, event } = published;
  const { id: eventId, created_at: createdAtSec } = event;
  const landed: Landed = { text: document.text, operatorPubkey, eventId, createdAtSec };
  store.facts.put(factOf(document.name), landed, clock.now());
}

/** What was last seen to be the newest of a name, with the time that it was read back. */
export function landedOf(
  store: Store,
  name: string,
): (Landed & { readonly atUnixMs: number }) | undefined {
  const fact = store.facts.get(factOf(name));
  const landed = landedSchema.safeParse(fact?.value);
  return fact && landed.success ? { ...landed.data, atUnixMs: fact.atUnixMs } : undefined;
}

/**
 * Looks after every journal entry and every change of the board whether a document reads otherwise
 * than what landed; what does goes into the outbox, and stays there over restarts until it was read
 * back from a relay.
 */
export class OutgoingDocuments {
  readonly #options: OutgoingOptions;
  readonly #offs: (() => void)[] = [];
  #cancelRefresh: CancelTimer | undefined;
  #cancelRetry: CancelTimer | undefined;
  #isPublishing: boolean = false;
  #isClosed: boolean = false;
  #failures = 0;
  #operatorPubkey: string;

  /** @throws ConfigError for a model name that no beacon can carry. */
  constructor(options: OutgoingOptions) {
    this.#options = options;
    this.#operatorPubkey = options.operatorPubkey;
    ownDocuments(options);
  }

  /** Starts to look and to publish. */
  open(): void {
    const { store, board } = this.#options;
    this.#offs.push(
      store.journal.subscribe(() => this.#refreshSoon()),
      board.subscribe(() => this.#refreshSoon()),
    );
    this.#refreshSoon();
  }

  /** Publishes soon what waits, also when the last tries failed: something has changed. */
  wake(): void {
    if (this.#isClosed) return;
    this.#failures = 0;
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    this.#refreshSoon();
  }

  /** Another operator gets all documents again, encrypted to him. */
  setOperator(operatorPubkey: string): void {
    this.#operatorPubkey = operatorPubkey;
    this.wake();
  }

  /** Ends it at once; what is under way is published again after the next start. */
  close(): void {
    this.#isClosed = true;
    for (const off of this.#offs) off();
    this.#cancelRefresh?.();
    this.#cancelRetry?.();
  }

  #refreshSoon(): void {
    if (this.#isClosed) return;
    this.#cancelRefresh ??= this.#options.clock.after(COALESCE_MS, () => {
      this.#cancelRefresh = undefined;
      this.#look();
    });
  }

  /** Looks at all documents now, and publishes what waits unless a failed round is waited for. */
  #look(): void {
    try {
      this.#refresh();
    } catch (error) {
      if (!(error instanceof AtmError)) throw error;
      this.#options.log.warn({ reason: messageOf(error) }, 'documents not put into the outbox');
      this.#retryLater();
      return;
    }
    if (!this.#cancelRetry && !this.#isPublishing) void this.#publishAll();
  }

  /** Puts into the outbox what reads otherwise than what waits or, with nothing waiting, landed. */
  #refresh(): void {
    const { store, config } = this.#options;
    const waiting = new Map(store.outbox.pending().map((item) => [item.type, item.content]));
    const due = ownDocuments(this.#options).filter(({ name, text }) => {
      const content = waiting.get(name);
      if (content !== undefined) return content !== text;
      const landed = landedOf(store, name);
      return landed?.text !== text || landed.operatorPubkey !== this.#operatorPubkey;
    });
    // A beacon from before the operator opted out must not leave any more.
    const withdrawn = store.outbox
      .pending()
      .filter(({ type }) => type === BEACON_NAME && !config.beacon.public);
    if (due.length === 0 && withdrawn.length === 0) return;
    store.commit(() => {
      for (const { type, version } of withdrawn) store.outbox.done(type, version);
      for (const { name, text } of due) store.outbox.put(name, text);
    });
  }

  async #publishAll(): Promise<void> {
    const { store } = this.#options;
    this.#isPublishing = true;
    let failed = false;
    for (const item of store.outbox.pending()) {
      const landed = await this.#publish(item);
      if (this.#isClosed) return;
      failed ||= !landed;
    }
    this.#isPublishing = false;
    if (failed) this.#retryLater();
    else {
      this.#failures = 0;
      // A newer version may have been put while an older one was on its way.
      if (store.outbox.pending().length > 0) this.#refreshSoon();
    }
  }

  /** True when it is the newest that the relays have. */
  async #publish(item: OutboxItem): Promise<boolean> {
    const { publisher, store, log, clock } = this.#options;
    // As it is now: what leaves later is encrypted to this one or to a newer one.
    const operatorPubkey = this.#operatorPubkey;
    const { type: name, content: text, version } = item;
    const record = recordNumberOf(name);
    const audience: OutgoingDocument['audience'] = name === BEACON_NAME ? 'public' : 'operator';
    const document = record === undefined ? { name, audience, text } : recordDocument(record, text);
    try {
      const publication = await publisher.publish(document);
      if (publication.kind === 'notSent') {
        log.warn({ document: name, reason: publication.reason }, 'document not published');
        return false;
      }
      if (this.#isClosed) return false;
      if (record !== undefined) return this.#recordSent(record, item, publication);
      const relays = publication.results.map(({ url, outcome, reason }) => {
        return { url, outcome, reason };
      });
      store.commit(() => store.facts.put(reportOf(name), { relays }, clock.now()));
      if (!publication.landed) return false;
      const { id: eventId } = publication.event;
      store.commit(() => {
        store.outbox.done(name, version);
        keepLanded(store, clock, { document, operatorPubkey, event: publication.event });
      });
      log.info({ document: name, eventId }, 'document published');
      return true;
    } catch (error) {
      // Signer, relay or disk: it waits in the outbox. Anything else is a bug, unless the program
      // is ending and has closed the store under a publication.
      if (!(error instanceof AtmError) && !this.#isClosed) throw error;
      log.warn({ document: name, reason: messageOf(error) }, 'document not published');
      return false;
    }
  }

  /** The first signature stays with the record; nothing else of it has to be remembered here. */
  #recordSent(
    record: number,
    { type, version }: OutboxItem,
    { event, landed }: Extract<Publication, { kind: 'sent' }>,
  ): boolean {
    const { store, log } = this.#options;
    store.commit(() => {
      store.visitRecords.sign(record, { ...event });
      if (landed) store.outbox.done(type, version);
    });
    if (landed) log.info({ document: type, eventId: event.id }, 'record published');
    return landed;
  }

  #retryLater(): void {
    if (this.#cancelRetry) return;
    const delayMs = Math.min(RETRY_FIRST_MS * 2 ** this.#failures, RETRY_LAST_MS);
    // Beyond this the doubling has reached its end; the count must not grow for ever.
    this.#failures = Math.min(this.#failures + 1, 16);
    this.#cancelRetry = this.#options.clock.after(delayMs, () => {
      this.#cancelRetry = undefined;
      this.#look();
    });
  }
}
