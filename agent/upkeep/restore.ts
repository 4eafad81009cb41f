/**
 * What a backup means when it becomes the state (design 8): it does not know what was taken, paid
 * and
 * handed out after it was made, so nothing that it holds may be acted on before a person has
 * looked.
 */
import type { Clock, Random } from '#protocol/base/clock.ts';
import { StoreError } from '#protocol/base/errors.ts';
import { newReference, type ObligationId, type TransactionId } from '#protocol/base/ids.ts';
import type { DocumentRow } from '#state/documents.ts';
import type { Intent } from '#state/intents.ts';
import type { JournalHead } from '#state/journal.ts';
import type { Obligation } from '#state/obligations.ts';
import type { PublishedClock } from '#state/outbox.ts';
import type { Store } from '#state/store.ts';
import type { Transaction } from '#state/transactions.ts';
import { fillExposure } from '../cash-in/exposure.ts';
import { recoveryPolicy } from '../recovery/recovery-policy.ts';

/** What the replaced state still knows that must not be forgotten. */
export interface LastKnown {
  readonly head: JournalHead;
  readonly clocks: readonly PublishedClock[];
  readonly documents: readonly DocumentRow[];
}

/** What was done, for the person and the journal. */
export interface RestoredState {
  readonly epoch: number;
  /** Head of the journal in the backup. */
  readonly from: JournalHead;
  readonly suspendedClaims: number;
  readonly openTransactions: number;
  readonly reference: string;
}

/** Who suspends a claim at a restore. */
export const RESTORE = 'restore';
const SUSPENDED = 'restored from a backup: it may have been paid since; the operator confirms it';
/** How what was open in the backup ends. */
const OUTCOME = 'restored';
const OWED = recoveryPolicy.restart.restored.owes;
/** ISO 4217's code for no currency: the restore itself is about no sum. */
const NO_CURRENCY = 'XXX';

/** The one obligation of a restore itself; the machine is out of service while it is open. */
export function isRestoreOpen({ kind, transactionId, state }: Obligation): boolean {
  return kind === OWED && transactionId === undefined && state !== 'settled';
}

/** A claim that waits for the operator's word since a restore. */
export function isSuspended({ state, settledBy }: Obligation): boolean {
  return state === 'unknown' && settledBy === RESTORE;
}

/** Turns a copy of a backup into a state of its own epoch, in one commit. @throws StoreError */
export function restoreInto(
  store: Store,
  tools: { readonly clock: Clock; readonly random: Random },
  lastKnown: LastKnown | undefined,
): RestoredState {
  return store.commit(() => {
    const from = store.journal.head();
    const suspendedClaims = suspendClaims(store);
    const acts = store.intents.listOpen().map(actOf);
    const openTransactions = closeOpen(store, tools.clock);
    const technicians = suspendTechnicians(store);
    const exchange = abandonExchange(store, tools.clock);
    dropOutbox(store);
    for (const unit of store.cashUnits.list()) {
      store.cashUnits.put({ ...unit, accuracy: 'unknown' });
    }
    fillExposure(store, tools.clock.now());
    if (lastKnown) moveWatermarks(store, lastKnown);
    const reference = newReference(tools.random);
    const currency = store.cashUnits.list()[0]?.currency ?? NO_CURRENCY;
    const body = {
      from: { ...from },
      ...(lastKnown ? { replaced: { ...lastKnown.head } } : {}),
      ...{ suspendedClaims, openTransactions, acts, technicians },
      ...(exchange === undefined ? {} : { exchange }),
    };
    const { epoch } = store.journal.beginEpoch('state.restored', body, lastKnown?.head.epoch);
    store.obligations.insert({ reference, kind: OWED, currency, body });
    return { epoch, from, suspendedClaims, openTransactions, reference };
  });
}

/** What is owed may have been paid since: no code is good before a person says so. */
function suspendClaims({ obligations }: Store): number {
  const open = obligations.list({ open: true }).filter(({ state }) => state !== 'unknown');
  for (const { id, state } of open) obligations.setState(id, state, 'unknown', RESTORE, SUSPENDED);
  return open.length;
}

const actOf = ({ kind, device, transactionId }: Intent) => ({
  kind,
  ...(device === undefined ? {} : { device }),
  ...(transactionId === undefined ? {} : { transactionId }),
});

/**
 * Ends everything that was under way: its end is in the history that was lost. A transaction is one
 * doubt, with an amount; an act of none is named by the restore's own.
 */
function closeOpen(store: Store, clock: Clock): number {
  const acts = new Map<TransactionId, Intent[]>();
  for (const { id } of store.transactions.listOpen()) acts.set(id, []);
  for (const intent of store.intents.listOpen()) {
    store.intents.settle(intent.id, OUTCOME, { reason: OUTCOME });
    const { transactionId } = intent;
    if (transactionId === undefined) continue;
    acts.set(transactionId, [...(acts.get(transactionId) ?? []), intent]);
  }
  let doubts = 0;
  for (const [id, intents] of acts) {
    const transaction = store.transactions.get(id);
    if (!transaction) throw new StoreError('notFound', `there is no transaction ${id}`);
    const isHeld = store.obligations.forTransaction(id).some(isSuspended);
    // It is nothing but a claim by now, which the operator's word makes good again.
    if (isHeld && intents.length === 0 && transaction.kind === 'cashIn') continue;
    if (!isHeld && doubt(store, transaction, intents)) doubts++;
    if (transaction.endedAtUnixMs !== undefined) continue;
    const endedAtUnixMs = clock.now();
    store.transactions.update(id, { state: OUTCOME, outcome: OUTCOME, endedAtUnixMs });
  }
  return doubts;
}

/** Says what nobody knows of a transaction; false when nothing had begun. */
function doubt(store: Store, transaction: Transaction, intents: readonly Intent[]): boolean {
  const { id, kind, reference, currency, principalSats, wireSats, fiatMinor } = transaction;
  if (intents.length === 0 && (kind === 'cashOut' || principalSats === 0)) return false;
  store.obligations.insert({
    transactionId: id,
    reference,
    kind: OWED,
    state: 'unknown',
    currency,
    amountMinor: fiatMinor,
    amountSats: wireSats,
    body: { transaction: kind, acts: intents.map((intent) => intent.kind) },
  });
  return true;
}

/** Who was shut out since is not let in: all wait for the operator, and every invite is void. */
function suspendTechnicians({ technicians }: Store): number {
  for (const { id, state } of technicians.invites()) {
    if (state === 'open') technicians.revokeInvite(id, RESTORE);
  }
  return technicians.suspendAll();
}

/** The reference of the exchange that was open then: nobody knows how it ended. */
function abandonExchange({ exchanges }: Store, clock: Clock): string | undefined {
  const open = exchanges.open();
  if (open) exchanges.end(open.id, 'abandoned', clock.now());
  return open?.reference;
}

/** What waits says how the machine was then; how it is now is put together at the start. */
function dropOutbox({ outbox }: Store): void {
  for (const { type, version } of outbox.pending()) outbox.done(type, version);
}

/** No document older than the last one that was in force, and no clock of ours, comes again. */
function moveWatermarks({ outbox, documents }: Store, { clocks, documents: later }: LastKnown) {
  for (const { d, createdAt } of clocks) outbox.advance(d, createdAt);
  for (const row of later) {
    if (row.state !== 'applied') continue;
    const known = documents.watermark(row.type, row.author);
    const isNewer =
      known === undefined ||
      row.createdAt > known.createdAt ||
      (row.createdAt === known.createdAt && row.eventId < known.eventId);
    if (isNewer) documents.record(row);
  }
}

/** What came of an operator's word on a suspended claim. */
export type ConfirmOutcome = 'confirmed' | 'notFound' | 'notSuspended';

/** Who confirms which claim, and on what grounds. */
export interface Confirmation {
  readonly obligationId: ObligationId;
  readonly by: string;
  readonly reason: string;
}

/** A person has found that a suspended claim was not paid since: its code is good again. */
export function confirmClaim(store: Store, confirmation: Confirmation): ConfirmOutcome {
  const { obligationId, by, reason } = confirmation;
  const obligation = store.obligations.get(obligationId);
  if (!obligation) return 'notFound';
  if (!isSuspended(obligation)) return 'notSuspended';
  const { kind, transactionId } = obligation;
  store.commit(() => {
    store.obligations.setState(obligationId, 'unknown', 'open', by, reason);
    store.journal.append('claim.confirmed', { obligationId, kind, by, reason }, transactionId);
  });
  return 'confirmed';
}
