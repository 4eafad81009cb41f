/** Service scope: the machine's state as its operator and technicians see it. */

import type { CashDispenserStatus } from '#hal/cash-dispenser.ts';
import type { Reference, TransactionId } from '#protocol/base/ids.ts';
import type { MinorUnits } from '#protocol/base/money.ts';
import type { RelayStatus } from '#protocol/relay/relay.ts';
import type { Journal, JournalEntry, JournalFilter } from '#state/journal.ts';
import { bayAccount } from '#state/note-ledger.ts';
import type { Transaction } from '#state/transactions.ts';
import type { JournalEntryView, JournalQuery, MachineView, StatusView } from '../api/schemas.ts';
import type { Desk } from '../desk.ts';
import { isBlind } from '../documents/view.ts';
import { isSwapped } from '../exchange/cassettes.ts';
import { faceOf } from '../exchange/faces.ts';
import type { Parts } from '../parts.ts';
import type { Sight } from './service.ts';
import { bayUse, documentAges, overShort } from './status-history.ts';

/** What the views need beside the parts. */
export interface ServiceSources {
  readonly parts: Parts;
  readonly desk: Desk;
  readonly spirePubkey: string;
  operatorPubkey(): string;
  relayStatus(): readonly RelayStatus[];
  /** The world's time less the machine's own, ms; undefined while nobody knows. */
  clockOffsetMs(): number | undefined;
  dispenserStatus(): CashDispenserStatus | undefined;
}

/** How the machine is. The chain is proven over its newest thousand entries. */
export function statusView(sources: ServiceSources, sight: Sight = 'blind'): StatusView {
  const { parts, desk } = sources;
  const { store, signer, acceptor } = parts;
  const health = signer.health();
  const accepts = acceptor.status();
  const dispenses = sources.dispenserStatus();
  return {
    machine: withoutBearerValues(desk.view()),
    spirePubkey: sources.spirePubkey,
    operatorPubkey: sources.operatorPubkey(),
    walletId: parts.walletId,
    signer: { code: health.kind, text: 'reason' in health ? health.reason : health.kind },
    relays: sources
      .relayStatus()
      .map(({ url, state, reason }) => ({ url, state, reason: reason ?? '' })),
    clockOffsetMs: sources.clockOffsetMs() ?? null,
    acceptor: { code: accepts.device, text: accepts.fault?.text ?? `cash box ${accepts.cashBox}` },
    dispenser: {
      code: dispenses?.device ?? 'offline',
      text: dispenses?.fault?.text ?? `path ${dispenses?.path ?? 'unknown'}`,
    },
    ...(isBlind(parts.store, sight) ? NO_COUNTS : countsOf(parts)),
    overShort: overShort(parts),
    documents: documentAges(parts),
    openObligations: store.obligations.list({ open: true }).length,
    openIntents: store.intents.listOpen().length,
    journal: {
      entries: store.journal.count(),
      head: store.journal.head().hash,
      chain: store.journal.verifyTail(1_000).chain,
    },
  };
}

/** A status goes into mails and tickets: code and link of who stands there are cash (design 4). */
function withoutBearerValues(view: MachineView): MachineView {
  const { session } = view;
  if (session?.kind === 'cashIn') {
    return { ...view, session: { ...session, claimCode: null, lnurl: null } };
  }
  return session ? { ...view, session: { ...session, claimCode: null } } : view;
}

type Counts = Pick<StatusView, 'cashUnits' | 'accounts' | 'bayUse'>;
/** What was put in at the last visit, less what customers got since, is what is expected. */
const NO_COUNTS: Counts = { cashUnits: [], accounts: [], bayUse: [] };

/** What the books have where, and what went out since. */
function countsOf(parts: Parts): Counts {
  const { store, config } = parts;
  const denomination = (value: MinorUnits) => faceOf(value, config.currency);
  return {
    cashUnits: store.cashUnits.list().map(({ position, value, accuracy, parked }) => ({
      position,
      denomination: denomination(value),
      count: store.ledger.count(bayAccount(position), value),
      accuracy,
      parked,
      swapped: isSwapped(parts, position),
    })),
    accounts: store.ledger
      .balances()
      .map(({ account, value, count }) => ({ account, denomination: denomination(value), count })),
    bayUse: bayUse(parts),
  };
}

/** Entries that the store gives at a time. */
const PAGE_ENTRIES = 10_000;

/**
 * Journal entries, oldest first: those after `after`, or without it the newest ones. A transaction
 * is named by its id or by its reference.
 */
export function journalView(parts: Parts, query: JournalQuery): readonly JournalEntryView[] {
  const { store } = parts;
  const named = query.transaction === undefined ? undefined : find(parts, query.transaction);
  if (query.transaction !== undefined && !named) return [];
  const { limit } = query;
  const filter = {
    ...(query.kind === undefined ? {} : { kind: query.kind }),
    ...(named === undefined ? {} : { transactionId: named.id }),
  };
  const entries =
    query.after === undefined
      ? newestEntries(store.journal, filter, limit)
      : store.journal.read({ ...filter, limit, afterSeq: query.after });
  return entries.map(({ seq, atUnixMs, kind, transactionId, body, hash }) => ({
    seq,
    atUnixMs,
    kind,
    transactionId: transactionId ?? null,
    body: JSON.parse(JSON.stringify(body)),
    hash,
  }));
}

/**
 * The newest that match. Looks back twice as far each time, so that a long journal costs
 * little.
 */
function newestEntries(
  journal: Journal,
  filter: Pick<JournalFilter, 'kind' | 'transactionId'>,
  limit: number,
): readonly JournalEntry[] {
  const end = journal.count();
  for (let span = limit; ; span *= 2) {
    const found = entriesAfter(journal, filter, Math.max(0, end - span));
    if (found.length >= limit || span >= end) return found.slice(-limit);
  }
}

function entriesAfter(
  journal: Journal,
  filter: Pick<JournalFilter, 'kind' | 'transactionId'>,
  afterSeq: number,
): readonly JournalEntry[] {
  const found: JournalEntry[] = [];
  let last = afterSeq;
  for (;;) {
    const page = journal.read({ ...filter, afterSeq: last, limit: PAGE_ENTRIES });
    for (const entry of page) {
      found.push(entry);
      last = entry.seq;
    }
    if (page.length < PAGE_ENTRIES) return found;
  }
}

function find({ store }: Parts, name: string): Transaction | undefined {
  return (
    store.transactions.get(name as TransactionId) ??
    store.transactions.byReference(name.toUpperCase() as Reference)
  );
}
