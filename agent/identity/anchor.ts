/**
 * Twin and rollback (design 8): the machine says to its operator which state it has, and looks at a
 * start, and ever after, whether somebody else says so under its identity, or it said more before.
 */
import { z } from 'zod';
import type { CancelTimer, Clock, Random } from '#protocol/base/clock.ts';
import { StoreError } from '#protocol/base/errors.ts';
import type { Log } from '#protocol/base/log.ts';
import {
  ANCHOR_NAME,
  type Anchor,
  type AnchorReader,
  anchorDocument,
} from '#protocol/documents/anchor.ts';
import { dTagOf } from '#protocol/documents/document.ts';
import { incomingTypeNames, incomingTypes } from '#protocol/documents/registry.ts';
import type { SignedEvent } from '#protocol/event.ts';
import type { Store } from '#state/store.ts';
import { landedOf } from '../documents/outgoing.ts';
import type { ReasonBoard } from '../watch/reasons.ts';

/** What the watch needs. */
export interface AnchorWatchOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly board: ReasonBoard;
  readonly reader: Pick<AnchorReader, 'open' | 'close'>;
  readonly spirePubkey: string;
  /** Publishes soon what waits in the outbox. */
  wake(): void;
}

/** What is wrong with the state that we have, by an anchor. */
export type AnchorFault = 'twin' | 'rolledBack';

/** Who says that a machine is the right one, and why; for the record. */
export interface AnchorAcceptance {
  readonly by: string;
  readonly reason: string;
}

/** `restoreFirst`: an old state without a declared restore is nobody's to accept. */
export type AcceptOutcome = 'accepted' | 'nothingFound' | 'restoreFirst';

/** Pace of saying where the journal is. Source: design 8. */
const PUBLISH_MS = 3_600_000;
/** Obligations of this long become one anchor, ms. */
const COALESCE_MS = 2_000;

const INSTANCE = 'instance';
const FOUND = 'anchor.found';
const ACCEPTED = 'anchor.accepted';

const foundSchema = z.object({
  instanceId: z.string(),
  epoch: z.int(),
  seq: z.int(),
  hash: z.string(),
  createdAt: z.int(),
  /** As it was judged first: a state that was put back stays one, however far it goes on. */
  code: z.enum(['twin', 'rolledBack']),
});
type Found = z.output<typeof foundSchema>;
const acceptedSchema = z.object({ instanceId: z.string(), createdAt: z.int() });

/** What an anchor is judged by. */
export interface OwnState {
  readonly instanceId: string;
  readonly epoch: number;
  readonly seq: number;
  /** Hash of an entry of our journal; undefined beyond its end. */
  hashAt(seq: number): string | undefined;
}

/**
 * What an anchor under our identity means. One from before a declared restore is history; one on
 * our own chain is ours.
 */
export function judgeAnchor(
  anchor: Pick<Anchor, 'instanceId' | 'epoch' | 'seq' | 'hash'>,
  own: OwnState,
): AnchorFault | undefined {
  if (anchor.instanceId !== own.instanceId) return 'twin';
  if (anchor.epoch !== own.epoch) return anchor.epoch > own.epoch ? 'rolledBack' : undefined;
  if (anchor.seq > own.seq) return 'rolledBack';
  // The same beginning and another end: two copies of one state have both gone on.
  return own.hashAt(anchor.seq) === anchor.hash ? undefined : 'twin';
}

/** See the head of the file. */
export class AnchorWatch {
  readonly #options: AnchorWatchOptions;
  #instanceId = '';
  #offJournal: () => void = () => undefined;
  #cancelHour: CancelTimer = () => undefined;
  #cancelLook: CancelTimer | undefined;
  #owed = '';
  #mayPublish: boolean = false;

  constructor(options: AnchorWatchOptions) {
    this.#options = options;
  }

  /**
   * Begins to look. What an earlier run found holds until it is accepted, whether or not a relay is
   * there. Nothing is said before it was looked: it would take the place of what is looked for.
   * @throws StoreError
   */
  open(): void {
    const { store, reader } = this.#options;
    this.#instanceId = instanceOf(this.#options);
    this.#dropPending();
    this.#recall();
    this.#owed = this.#obligations();
    this.#offJournal = store.journal.subscribe(() => this.#lookSoon());
    reader.open(
      (event) => this.#isOld(event),
      (report) => {
        if (report.kind === 'anchor') this.#judge(report.anchor, report.event);
        else {
          this.#mayPublish = true;
          this.publish();
        }
      },
    );
  }

  /** Says where the journal is, to whoever is the operator now; nothing while something is wrong. */
  publish(): void {
    const { store, clock, wake } = this.#options;
    if (!this.#mayPublish || this.#found()) return;
    this.#cancelHour();
    this.#cancelHour = clock.after(PUBLISH_MS, () => this.publish());
    const { text } = anchorDocument(this.#own());
    if (this.#write(() => store.outbox.put(ANCHOR_NAME, text))) wake();
  }

  /** A person says that this machine is the right one, and that the other does not run any more. */
  accept({ by, reason }: AnchorAcceptance): AcceptOutcome {
    const { store, clock } = this.#options;
    const found = this.#found();
    if (!found) return 'nothingFound';
    if (found.code === 'rolledBack' && store.journal.head().epoch === 1) return 'restoreFirst';
    const { code, instanceId, createdAt, seq } = found;
    store.commit(() => {
      store.facts.remove(FOUND);
      store.facts.put(ACCEPTED, { instanceId, createdAt }, clock.now());
      // Ours is dated after it, or it would stay the newest.
      store.outbox.advance(this.#dTag, createdAt);
      const body = { code, instanceId, epoch: found.epoch, seq, by, reason };
      store.journal.append('anchor.accepted', body);
    });
    this.#tell(undefined);
    this.publish();
    return 'accepted';
  }

  /** Ends it. */
  close(): void {
    this.#offJournal();
    this.#cancelHour();
    this.#cancelLook?.();
    this.#options.reader.close();
  }

  get #dTag(): string {
    return dTagOf(ANCHOR_NAME, this.#options.spirePubkey);
  }

  #own(): Anchor {
    const { store } = this.#options;
    const { epoch, seq, hash } = store.journal.head();
    const clocks = store.outbox.clocks().map(({ d, createdAt }) => [d, createdAt] as const);
    const applied = incomingTypeNames.flatMap((type) => {
      const row = store.documents.applied(type);
      const { name } = incomingTypes[type];
      return row ? [[name, { createdAt: row.createdAt, eventId: row.eventId }] as const] : [];
    });
    return {
      ...{ instanceId: this.#instanceId, epoch, seq, hash },
      published: Object.fromEntries(clocks),
      applied: Object.fromEntries(applied),
    };
  }

  #faultOf(found: Omit<Found, 'code'>): AnchorFault | undefined {
    const { journal } = this.#options.store;
    const { epoch, seq } = journal.head();
    const hashAt = (at: number) => journal.read({ afterSeq: at - 1, limit: 1 })[0]?.hash;
    return judgeAnchor(found, { instanceId: this.#instanceId, epoch, seq, hashAt });
  }

  #found(): Found | undefined {
    const fact = foundSchema.safeParse(this.#options.store.facts.get(FOUND)?.value);
    return fact.success ? fact.data : undefined;
  }

  /** Older than what was accepted, or than ours that the relays had since: its writer has ended. */
  #isOld({ created_at, id }: SignedEvent): boolean {
    const { store } = this.#options;
    const landed = landedOf(store, ANCHOR_NAME);
    const accepted = acceptedSchema.safeParse(store.facts.get(ACCEPTED)?.value);
    const isBeforeOurs = landed !== undefined && created_at < landed.createdAtSec;
    const isAccepted = accepted.success && created_at <= accepted.data.createdAt;
    return id === landed?.eventId || isBeforeOurs || isAccepted;
  }

  #judge({ instanceId, epoch, seq, hash }: Anchor, event: SignedEvent): void {
    const { store, clock, log } = this.#options;
    const heard = { instanceId, epoch, seq, hash, createdAt: event.created_at };
    const judged = this.#isOld(event) ? undefined : this.#faultOf(heard);
    if (!judged) return;
    const before = this.#found();
    const isKnown = before?.instanceId === instanceId;
    const code = isKnown ? before.code : judged;
    log.error({ code, instanceId, epoch, seq }, 'an anchor that is not ours');
    this.#tell({ ...heard, code });
    this.#write(() => {
      store.facts.put(FOUND, { ...heard, code }, clock.now());
      if (!isKnown) store.journal.append('anchor.found', { code, instanceId, epoch, seq });
    });
    this.#dropPending();
  }

  /** False when the disk does not take it: then the machine has a worse trouble than an anchor. */
  #write(work: () => void): boolean {
    const { store, log } = this.#options;
    try {
      store.commit(work);
      return true;
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      log.error({ reason: error.message }, 'anchor not written');
      return false;
    }
  }

  /** What waited from before would take the place of what it should be compared with. */
  #dropPending(): void {
    const { store } = this.#options;
    const pending = store.outbox.pending().find(({ type }) => type === ANCHOR_NAME);
    if (pending) this.#write(() => store.outbox.done(pending.type, pending.version));
  }

  /** What an earlier run found, unless a restore has explained it since. */
  #recall(): void {
    const { store } = this.#options;
    const found = this.#found();
    const isExplained = found && !this.#faultOf(found);
    if (isExplained) this.#write(() => store.facts.remove(FOUND));
    this.#tell(isExplained ? undefined : found);
  }

  #tell(found: Found | undefined): void {
    const { board, store } = this.#options;
    const words = found && wordsOf(found, store.journal.head().seq);
    board.setBoth('twin', found?.code === 'twin' ? words : undefined);
    board.setBoth('rolledBack', found?.code === 'rolledBack' ? words : undefined);
  }

  #obligations(): string {
    const open = this.#options.store.obligations.list({ open: true });
    return open.map(({ id, state }) => `${id} ${state}`).join();
  }

  #lookSoon(): void {
    this.#cancelLook ??= this.#options.clock.after(COALESCE_MS, () => {
      this.#cancelLook = undefined;
      const owed = this.#obligations();
      if (owed === this.#owed) return;
      this.#owed = owed;
      this.publish();
    });
  }
}

function instanceOf({ store, clock, random }: AnchorWatchOptions): string {
  const known = z.string().safeParse(store.facts.get(INSTANCE)?.value);
  if (known.success) return known.data;
  const id = Buffer.from(random.bytes(16)).toString('hex');
  store.commit(() => store.facts.put(INSTANCE, id, clock.now()));
  return id;
}

function wordsOf(found: Found, ownSeq: number): string {
  const at = new Date(found.createdAt * 1_000).toISOString().replace(/\.\d+/, '');
  if (found.code === 'rolledBack') {
    const known = `entry ${found.seq} of its journal was published at ${at}`;
    return `The state of this machine is an old one: ${known}, and it has ${ownSeq}.`;
  }
  const who = found.instanceId.slice(0, 8);
  return `Another machine works under this identity (state ${who}, last heard at ${at}).`;
}
