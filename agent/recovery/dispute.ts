/**
 * Everything that is known of one transaction, in one bundle that may be given away: what the
 * journal says, what the device said, where the notes went, and what is owed. No bearer value is in
 * it.
 */
import assert from 'node:assert';
import type { Reference, TransactionId } from '#protocol/base/ids.ts';
import type { JournalEntry } from '#state/journal.ts';
import { canonicalJson } from '#state/json.ts';
import type { NoteMovement } from '#state/note-ledger.ts';
import type { Store } from '#state/store.ts';
import type { Transaction } from '#state/transactions.ts';
import type { DisputeBundle } from '../api/owed-schemas.ts';
import type { DeviceView } from '../api/schemas.ts';
import { checkLnurl } from '../cash-in/lnurl.ts';
import type { Parts } from '../parts.ts';
import { VERSION } from '../version.ts';
import { obligationsView, plainJson } from './obligation-views.ts';

/**
 * Entries of other transactions that are taken in so that the chain has no gap. A sale lies within
 * some dozens; a link that was claimed weeks later does not, and then has its own entries alone.
 */
const SPAN_MAX = 2_000;
/** Movements of one page, and entries. */
const PAGE = 1_000;

/** What a bundle is made from. */
export interface DisputeSources {
  readonly parts: Pick<Parts, 'store' | 'clock' | 'config'>;
  readonly spirePubkey: string;
  devices(): Promise<readonly DeviceView[]>;
}

/**
 * The bundle of a transaction, by its id, its reference, or an obligation's; undefined when there
 * is
 * none. @throws Error when it would hold a bearer value, which is a bug: nothing is given out then.
 */
export async function dispute(
  sources: DisputeSources,
  name: string,
): Promise<DisputeBundle | undefined> {
  const { parts, spirePubkey } = sources;
  const { store, clock } = parts;
  const found = find(store, name);
  if (!found) return undefined;
  const devices = await sources.devices();
  const moved = movementsOf(store, found.id);
  const bundle: DisputeBundle = {
    format: 'spire-dispute-1',
    madeAtUnixMs: clock.now(),
    versions: { agent: VERSION, node: process.version },
    spirePubkey,
    transaction: transactionView(found),
    neighbours: neighboursOf(store, found),
    notes: {
      moved: moved.map((one) => movementView(one, found.id)),
      counters: countersOf(store, moved),
    },
    devices: {
      before: store.intents.forTransaction(found.id).flatMap((intent) => {
        const { kind: act, device, openedAtUnixMs: atUnixMs, body } = intent;
        return device === undefined ? [] : [{ act, atUnixMs, intended: plainJson(body) }];
      }),
      now: devices.map((device) => JSON.parse(JSON.stringify(device))),
    },
    obligations: obligationsView(parts, { which: 'all' }).filter(
      ({ transactionId }) => transactionId === found.id,
    ),
    journal: journalOf(store, found.id),
  };
  refuseBearerValues(parts, found.id, bundle);
  return bundle;
}

function find(store: Store, name: string): Transaction | undefined {
  return (
    store.transactions.get(name as TransactionId) ??
    store.transactions.byReference(name.toUpperCase() as Reference)
  );
}

function transactionView(one: Transaction): DisputeBundle['transaction'] {
  // The keyed hash of the claim code stays here: nobody needs it who has no code.
  const { claimHash: _, outcome, paymentHash, endedAtUnixMs, ...rest } = one;
  return {
    ...rest,
    outcome: outcome ?? null,
    paymentHash: paymentHash ?? null,
    endedAtUnixMs: endedAtUnixMs ?? null,
  };
}

function neighboursOf(store: Store, one: Transaction): DisputeBundle['neighbours'] {
  const { before, after } = store.transactions.neighbours(one);
  return {
    before: before ? transactionView(before) : null,
    after: after ? transactionView(after) : null,
  };
}

function movementsOf(store: Store, transactionId: TransactionId): readonly NoteMovement[] {
  return store.ledger.movements({ transactionId, limit: PAGE });
}

function movementView({ value, ...rest }: NoteMovement, transactionId: TransactionId) {
  return { ...rest, valueMinor: value, transactionId };
}

/**
 * The counts of every account that the transaction touched. What was moved since is taken back from
 * the counts of now, so that nothing has to be replayed from the beginning.
 */
function countersOf(
  store: Store,
  moved: readonly NoteMovement[],
): DisputeBundle['notes']['counters'] {
  const [first] = moved;
  const last = moved.at(-1);
  if (!first || !last) return [];
  const rows = new Map<string, DisputeBundle['notes']['counters'][number]>();
  for (const { from, to, currency, value } of moved) {
    for (const account of [from, to]) {
      const now = store.ledger.count(account, value);
      const row = { account, currency, valueMinor: value, before: now, after: now };
      rows.set(`${account} ${value}`, row);
    }
  }
  const takeBack = (account: string, value: number, count: number, seq: number) => {
    const row = rows.get(`${account} ${value}`);
    if (!row) return;
    row.before -= count;
    if (seq > last.seq) row.after -= count;
  };
  for (let afterSeq = first.seq - 1; ; ) {
    const page = store.ledger.movements({ afterSeq, limit: PAGE });
    for (const { from, to, value, count, seq } of page) {
      takeBack(to, value, count, seq);
      takeBack(from, value, -count, seq);
      afterSeq = seq;
    }
    if (page.length < PAGE) break;
  }
  return [...rows.values()].sort((one, other) => (one.account < other.account ? -1 : 1));
}

function journalOf(store: Store, transactionId: TransactionId): DisputeBundle['journal'] {
  const own = store.journal.read({ transactionId, limit: SPAN_MAX });
  const [first] = own;
  const last = own.at(-1);
  assert(first && last, 'a transaction begins with an entry of its own');
  const span = last.seq - first.seq + 1;
  const complete = span <= SPAN_MAX;
  const entries = complete ? store.journal.read({ afterSeq: first.seq - 1, limit: span }) : own;
  return {
    complete,
    chain: store.journal.verify(first.seq).chain,
    head: store.journal.head(),
    entries: entries.map(entryView),
  };
}

function entryView({ transactionId, body, ...rest }: JournalEntry) {
  return { ...rest, transactionId: transactionId ?? null, body: plainJson(body) };
}

/** The last guard: what is still secret of this transaction is looked for, in every spelling. */
function refuseBearerValues(
  { store, config }: Pick<Parts, 'store' | 'config'>,
  id: TransactionId,
  bundle: DisputeBundle,
): void {
  const text = canonicalJson(bundle).toUpperCase();
  const code = store.secrets.get(id, 'claimCode')?.reveal();
  const lnurl = store.secrets.get(id, 'lnurl')?.reveal();
  const link = lnurl === undefined ? undefined : checkLnurl(lnurl, config.allowPrivateHosts);
  const url = link?.kind === 'ok' ? link.url : undefined;
  for (const value of [code, lnurl, url]) {
    if (value !== undefined && text.includes(value.toUpperCase())) {
      throw new Error('a bearer value is in the dispute bundle; nothing is given out');
    }
  }
}
