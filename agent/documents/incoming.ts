/** The operator's documents: kept with their verdict, and in force from then on (design 10). */
import type { UnitNotes } from '#hal/cash-dispenser.ts';
import type { Clock } from '#protocol/base/clock.ts';
import type { Position } from '#protocol/base/ids.ts';
import type { Log } from '#protocol/base/log.ts';
import type { CassettesDocument } from '#protocol/documents/cassettes.ts';
import { readText } from '#protocol/documents/document.ts';
import type { FeesDocument } from '#protocol/documents/fees.ts';
import type { InboxReport } from '#protocol/documents/inbox.ts';
import {
  type IncomingDocument,
  type IncomingTypeName,
  incomingTypes,
} from '#protocol/documents/registry.ts';
import type { SignedEvent } from '#protocol/event.ts';
import type { DocumentRow } from '#state/documents.ts';
import type { JsonObject } from '#state/json.ts';
import type { Store } from '#state/store.ts';
import type { Config } from '../config.ts';
import type { ReasonBoard } from '../watch/reasons.ts';
import { applyCassettes, cassettesRefusal, isSameStatement } from './apply-cassettes.ts';
import { applyTechnicians } from './apply-technicians.ts';
import type { AsOf } from './as-of.ts';

/** What the incoming documents need. */
export interface IncomingOptions {
  readonly config: Pick<Config, 'currency' | 'cassettes'>;
  readonly store: Store;
  readonly board: ReasonBoard;
  readonly clock: Clock;
  readonly log: Log;
  /** The dispenser's bays. */
  readonly positions: readonly Position[];
  /** Whether the dispenser can hand out such notes from there; absent where it takes any. */
  holds?(notes: UnitNotes): boolean;
  /** When it became known what the time is, Unix ms; undefined while nobody knows. */
  timeKnownSince(): number | undefined;
  /** True between transactions and outside an exchange. */
  mayApply(): boolean;
  /** Called after a change of fees, cap or counts. */
  changed(): void;
}

type Accepted = Extract<InboxReport, { kind: 'accepted' }>;
type AcceptedCassettes = Accepted & { readonly document: CassettesDocument };

/** Longest reason that is kept, characters; the table's own bound is the same. */
const REASON_MAX = 2_000;

/** See the head of the file. */
export class IncomingDocuments {
  readonly #options: IncomingOptions;
  #fees: FeesDocument | undefined;
  #operatorCap: number | null | undefined;
  /** The newest cassettes that wait for the end of a session; older ones are superseded. */
  #pending: AcceptedCassettes | undefined;

  /** Puts the last good documents back in force. */
  constructor(options: IncomingOptions) {
    this.#options = options;
    for (const type of ['fees', 'limits'] as const) {
      const document = this.#lastApplied(type);
      if (document) this.#enforce(document);
    }
    this.#tellFees();
  }

  /** The fee document in force. */
  fees(): FeesDocument | undefined {
    return this.#fees;
  }

  /** The operator's `max_cash_in_sats`; undefined without such a document. */
  operatorCap(): number | null | undefined {
    return this.#operatorCap;
  }

  /**
   * Takes what the inbox found. The verdict and all its effects are one commit with the watermark,
   * so that a document cut short is reported again at the next start. @throws StoreError
   */
  receive(report: InboxReport): void {
    if (report.kind === 'refused') this.#refuse(report.type, report.event, report.reason);
    else if (isCassettes(report)) this.#receiveCassettes(report);
    else {
      this.#commitApplied(report, () => this.#apply(report));
      this.#enforce(report.document);
      this.#tellFees();
      this.#options.changed();
    }
  }

  /** Who is shut out is shut out at once, also in the middle of an exchange. */
  #apply({ document, event }: Accepted): JsonObject {
    if (document.type !== 'technicians') return {};
    const { store } = this.#options;
    const statement = { document, ...this.#asOf(event), eventId: event.id };
    return { technicians: applyTechnicians(store, statement) };
  }

  /** What cannot be applied is refused at once, so that it takes no good one's place. */
  #receiveCassettes(report: AcceptedCassettes): void {
    const reason = cassettesRefusal(report.document, this.#options);
    if (reason !== undefined) this.#refuse('cassettes', report.event, reason);
    else {
      this.#pending = report;
      this.applyPending();
    }
  }

  /** Applies the cassettes that wait, when this is a moment for it. @throws StoreError */
  applyPending(): void {
    const report = this.#pending;
    if (!report || !this.#options.mayApply()) return;
    const { store, config } = this.#options;
    const { document, event } = report;
    const last = this.#lastApplied('cassettes');
    const isRepeated = last?.type === 'cassettes' && isSameStatement(last, document);
    const rules = { currency: config.currency, cassettes: config.cassettes };
    this.#commitApplied(report, () =>
      isRepeated
        ? { republication: true }
        : { bays: applyCassettes(store, { document, ...this.#asOf(event) }, rules) },
    );
    this.#pending = undefined;
    this.#options.changed();
  }

  #asOf({ created_at: createdAt }: SignedEvent): AsOf {
    const { clock, timeKnownSince } = this.#options;
    const timeKnownSinceUnixMs = timeKnownSince();
    return { asOfUnixMs: createdAt * 1000, nowUnixMs: clock.now(), timeKnownSinceUnixMs };
  }

  #lastApplied(type: IncomingTypeName): IncomingDocument | undefined {
    const { store, log } = this.#options;
    const row = store.documents.applied(type);
    if (!row) return undefined;
    const parsed = readText(incomingTypes[type], row.content);
    if (parsed.kind === 'document') return parsed.document;
    // Only another version of this program can have written it.
    log.error({ type, eventId: row.eventId, reason: parsed.reason }, 'kept document not readable');
    return undefined;
  }

  #enforce(document: IncomingDocument): void {
    if (document.type === 'fees') this.#fees = document;
    if (document.type === 'limits') this.#operatorCap = document.maxCashInSats;
  }

  #tellFees(): void {
    const text = this.#fees ? undefined : 'The operator has not set the fees yet.';
    this.#options.board.setBoth('awaitingFees', text);
  }

  #commitApplied(
    { document, text, event }: Accepted,
    apply: () => Parameters<Store['journal']['append']>[1],
  ): void {
    const { store, log } = this.#options;
    const { type } = document;
    store.commit(() => {
      const done = apply();
      store.documents.record({ ...this.#row(type, event), state: 'applied', content: text });
      store.journal.append('document.applied', { ...nameOf(type, event), ...done });
    });
    log.info({ type, eventId: event.id }, 'document applied');
  }

  #refuse(type: IncomingTypeName, event: SignedEvent, words: string): void {
    const { store, log } = this.#options;
    const reason = words.slice(0, REASON_MAX);
    const last = store.documents.lastRefused(type);
    // Relays send a refused head again at every reconnect.
    if (last?.eventId === event.id && last.reason === reason) return;
    store.commit(() => {
      // Its content is not kept: it may not even have been decrypted.
      const row = { ...this.#row(type, event), state: 'refused', reason, content: '' } as const;
      store.documents.record(row);
      store.journal.append('document.refused', { ...nameOf(type, event), reason });
    });
    log.warn({ type, eventId: event.id, reason }, 'document refused');
    this.#options.changed();
  }

  #row(type: IncomingTypeName, event: SignedEvent): Omit<DocumentRow, 'state' | 'content'> {
    const { id: eventId, pubkey: author, created_at: createdAt } = event;
    return { type, author, eventId, createdAt, receivedAtUnixMs: this.#options.clock.now() };
  }
}

function nameOf(type: IncomingTypeName, event: SignedEvent) {
  return { type, eventId: event.id, author: event.pubkey, createdAt: event.created_at };
}

function isCassettes(report: Accepted): report is AcceptedCassettes {
  return report.document.type === 'cassettes';
}
