/** Service scope: the machine's state as its operator and technicians see it. */

import type { CashDispenserStatus } from '#hal/cash-dispenser.ts';
import type { Reference, TransactionId } from '#protocol/base/ids.ts';
import { denominationOfMinor } from '#protocol/base/money.ts';
import type { RelayStatus } from '#protocol/relay/relay.ts';
import { bayAccount } from '#state/note-ledger.ts';
import type { Transaction } from '#state/transactions.ts';
import type { JournalEntryView, JournalQuery, ObligationView, StatusView } from './api/schemas.ts';
import type { Desk } from './desk.ts';
import type { Parts } from './parts.ts';

/** What the views need beside the parts. */
export interface ServiceSources {
  readonly parts: Parts;
  readonly desk: Desk;
  readonly spirePubkey: string;
  readonly operatorPubkey: string;
  relayStatus(): readonly RelayStatus[];
  dispenserStatus(): CashDispenserStatus | undefined;
}

/** How the machine is. The chain is proven over its newest thousand entries. */
export function statusView(sources: ServiceSources): StatusView {
  const { parts, desk } = sources;
  const { store, config, signer, acceptor } = parts;
  const denomination = (value: Parameters<typeof denominationOfMinor>[0]) =>
    denominationOfMinor(value, config.currency) ?? value;
  const health = signer.health();
  const accepts = acceptor.status();
  const dispenses = sources.dispenserStatus();
  return {
    machine: desk.view(),
    spirePubkey: sources.spirePubkey,
    operatorPubkey: sources.operatorPubkey,
    walletId: parts.walletId,
    signer: { code: health.kind, text: 'reason' in health ? health.reason : health.kind },
    relays: sources
      .relayStatus()
      .map(({ url, state, reason }) => ({ url, state, reason: reason ?? '' })),
    clockOffsetMs: parts.rpc.clockOffsetMs() ?? null,
    acceptor: { code: accepts.device, text: accepts.fault?.text ?? `cash box ${accepts.cashBox}` },
    dispenser: {
      code: dispenses?.device ?? 'offline',
      text: dispenses?.fault?.text ?? `path ${dispenses?.path ?? 'unknown'}`,
    },
    cashUnits: store.cashUnits.list().map(({ position, value, accuracy, parked }) => ({
      position,
      denomination: denomination(value),
      count: store.ledger.count(bayAccount(position), value),
      accuracy,
      parked,
    })),
    accounts: store.ledger
      .balances()
      .map(({ account, value, count }) => ({ account, denomination: denomination(value), count })),
    openObligations: store.obligations.list({ open: true }).length,
    openIntents: store.intents.listOpen().length,
    journal: {
      entries: store.journal.count(),
      head: store.journal.head().hash,
      chain: store.journal.verifyTail(1_000).chain,
    },
  };
}

/** Journal entries, oldest first; a transaction is named by its id or by its reference. */
export function journalView(parts: Parts, query: JournalQuery): readonly JournalEntryView[] {
  const { store } = parts;
  const named = query.transaction === undefined ? undefined : find(parts, query.transaction);
  if (query.transaction !== undefined && !named) return [];
  const entries = store.journal.read({
    limit: query.limit,
    ...(query.after === undefined ? {} : { afterSeq: query.after }),
    ...(query.kind === undefined ? {} : { kind: query.kind }),
    ...(named === undefined ? {} : { transactionId: named.id }),
  });
  return entries.map(({ seq, atUnixMs, kind, transactionId, body, hash }) => ({
    seq,
    atUnixMs,
    kind,
    transactionId: transactionId ?? null,
    body: JSON.parse(JSON.stringify(body)),
    hash,
  }));
}

function find({ store }: Parts, name: string): Transaction | undefined {
  return (
    store.transactions.get(name as TransactionId) ??
    store.transactions.byReference(name.toUpperCase() as Reference)
  );
}

/** Open obligations, oldest first. */
export function obligationsView(parts: Parts): readonly ObligationView[] {
  return parts.store.obligations.list({ open: true }).map((obligation) => ({
    id: obligation.id,
    reference: obligation.reference,
    kind: obligation.kind,
    state: obligation.state,
    amountSats: obligation.amountSats ?? null,
    amountMinor: obligation.amountMinor ?? null,
    currency: obligation.currency,
    ageMs: Math.max(0, parts.clock.now() - obligation.createdAtUnixMs),
    transactionId: obligation.transactionId ?? null,
  }));
}
