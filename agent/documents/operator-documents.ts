/** Documents both ways: the operator's come in and are applied, ours go out. */
import type { CorrectedClock } from '#protocol/corrected-clock.ts';
import type { FeesDocument } from '#protocol/documents/fees.ts';
import type { DocumentInbox, InboxReport } from '#protocol/documents/inbox.ts';
import type { IncomingTypeName } from '#protocol/documents/registry.ts';
import type { Pairing } from '#protocol/pairing/pairing.ts';
import type { DocumentView } from '../api/schemas.ts';
import type { Config } from '../config.ts';
import type { Sight } from '../service/service.ts';
import { isTaken, untilWritten } from '../watch/until-written.ts';
import { IncomingDocuments, type IncomingOptions } from './incoming.ts';
import { OutgoingDocuments, type OutgoingOptions } from './outgoing.ts';
import { documentsView } from './view.ts';

/** What the documents need. */
export interface OperatorDocumentsOptions
  extends Pick<IncomingOptions, 'store' | 'board' | 'clock' | 'log'>,
    Pick<IncomingOptions, 'positions' | 'holds' | 'mayApply' | 'changed'> {
  readonly config: Config;
  readonly nostr: {
    readonly inbox: Pick<DocumentInbox, 'open'>;
    readonly publisher: OutgoingOptions['publisher'];
    readonly time: Pick<CorrectedClock, 'knownSinceUnixMs'>;
  };
  readonly pairing: Pick<Pairing, 'operatorPubkey'>;
}

/** See the head of the file. */
export class OperatorDocuments {
  readonly #options: OperatorDocumentsOptions;
  readonly #incoming: IncomingDocuments;
  readonly #newest = new Map<IncomingTypeName, InboxReport>();
  readonly #closed = new AbortController();
  readonly #outgoing: OutgoingDocuments;

  /** Puts the last good documents in force. @throws ConfigError for a beacon that cannot be. */
  constructor(options: OperatorDocumentsOptions) {
    const { nostr, pairing } = options;
    this.#options = options;
    this.#incoming = new IncomingDocuments({
      ...options,
      timeKnownSince: () => nostr.time.knownSinceUnixMs,
    });
    const { operatorPubkey } = pairing;
    this.#outgoing = new OutgoingDocuments({
      ...options,
      publisher: nostr.publisher,
      operatorPubkey,
    });
  }

  /** Starts to hear and to speak. */
  open(): void {
    this.#options.nostr.inbox.open((report) => this.#receive(report));
    this.#outgoing.open();
  }

  /** What the disk did not take is received again, unless a newer one has come meanwhile. */
  #receive(report: InboxReport): void {
    const type = report.kind === 'accepted' ? report.document.type : report.type;
    this.#newest.set(type, report);
    untilWritten(this.#options, this.#closed.signal, () => {
      if (this.#newest.get(type) === report) this.#incoming.receive(report);
    });
  }

  /** Stops publishing at once; the inbox is closed by its owner. */
  close(): void {
    this.#closed.abort(new Error('closed'));
    this.#outgoing.close();
  }

  /** The fee document in force. */
  fees(): FeesDocument | undefined {
    return this.#incoming.fees();
  }

  /** The operator's `max_cash_in_sats`; undefined without such a document. */
  operatorCap(): number | null | undefined {
    return this.#incoming.operatorCap();
  }

  /**
   * Applies cassettes that waited for the machine to be at rest; to be called after every change,
   * of which a disk that takes writes again is one. @throws StoreError as a disk fails.
   */
  applyPending(): void {
    isTaken(this.#options.log, () => this.#incoming.applyPending());
  }

  /** Publishes soon what waits, whatever failed before. */
  wake(): void {
    this.#outgoing.wake();
  }

  /** Publishes all of ours again, encrypted to another operator; his come by the inbox. */
  setOperator(operatorPubkey: string): void {
    this.#outgoing.setOperator(operatorPubkey);
  }

  /** All documents, as the local API shows them. */
  views(sight?: Sight): DocumentView[] {
    return documentsView(this.#options.store, sight);
  }
}
