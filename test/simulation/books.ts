/** The books of a machine at rest, held whole against the truth (design 1). */
import type { Books } from '#protocol/simulator/keeper/wallet.ts';
import type { CashUnit } from '#state/cash-units.ts';
import { bayAccount } from '#state/note-ledger.ts';
import type { Obligation } from '#state/obligations.ts';
import type { Store } from '#state/store.ts';
import type { Transaction } from '#state/transactions.ts';
import { Violation } from './violation.ts';
import type { Eyes, Known, Watch } from './watch.ts';

const isOpen = ({ state }: Obligation): boolean => state !== 'settled' && state !== 'redeemed';

/** Proves pages, chain and ledger. @throws Violation */
export function proveStore(store: Store): void {
  const { problems } = store.verify();
  if (problems.length > 0) throw new Violation('the hash chain is whole', problems.join('; '));
}

/** Holds the ledger against the devices; nothing may be on its way. @throws Violation */
export function compareNotes(store: Store, watch: Watch, eyes: Eyes): void {
  watch.attribute();
  const box = eyes.validator().cashbox;
  const books = booked(store);
  const values = new Set([...Object.keys(box), ...books.keys()].map(Number));
  let unvalued = watch.unvalued;
  for (const value of values) {
    const inBox = (box[value] ?? 0) + eyes.collected(value);
    const found = inBox - (books.get(value) ?? 0);
    // A booked note that stood in a jam is with whoever cleared it.
    const more = found < 0 ? Math.min(0, found + eyes.taken(value)) : found;
    const inDoubt = watch.doubted.get(value * 100) ?? 0;
    const spare = Math.max(0, more - inDoubt);
    if ((more < 0 || spare > unvalued) && !eyes.mayMisstateNotes()) {
      const words = `${more} more of ${value} in the box than booked, ${inDoubt} in doubt`;
      throw new Violation('the ledger is the truth', words);
    }
    unvalued -= spare;
  }
  if (!watch.hasCounts || (watch.isDoubted && eyes.mayHideBay())) return;
  for (const unit of store.cashUnits.list()) compareBay(store, unit, eyes);
}

function compareBay(store: Store, unit: CashUnit, eyes: Eyes): void {
  const { position, value, accuracy } = unit;
  const truth = eyes.dispenser().units[position];
  // A bay in doubt promises nothing, and one that is out of the machine shows nothing.
  if (!truth || (accuracy !== 'accurate' && accuracy !== 'set')) return;
  const count = store.ledger.count(bayAccount(position), value);
  if (truth.count !== count || truth.denomination * 100 !== value) {
    const words = `bay ${position} (${accuracy}) has ${truth.count}, booked ${count}`;
    throw new Violation('the ledger is the truth', words);
  }
}

/** Notes that were taken in, by face value: in the cash box, or in a bag since that was out. */
function booked(store: Store): Map<number, number> {
  const notes = new Map<number, number>();
  for (const { account, value, count } of store.ledger.balances()) {
    if (account !== 'cashbox' && !account.startsWith('bag:')) continue;
    notes.set(value / 100, (notes.get(value / 100) ?? 0) + count);
  }
  return notes;
}

/** What is open and not said to be: nothing may be. */
export interface Unsettled {
  readonly reference: string;
  readonly why: string;
}

/** Transactions that neither ended nor are a named obligation. */
export function unsettled(store: Store): readonly Unsettled[] {
  const acts = store.intents
    .listOpen()
    .filter(({ kind }) => kind !== 'withdraw')
    .map(({ kind, transactionId }) => ({ reference: transactionId ?? '', why: `open ${kind}` }));
  const transactions = store.transactions
    .listOpen()
    .filter((transaction) => !isNamed(store, transaction))
    .map(({ reference, state }) => ({ reference, why: `still ${state}` }));
  return [...acts, ...transactions];
}

function isNamed(store: Store, { id }: Transaction): boolean {
  if (store.obligations.forTransaction(id).some(isOpen)) return true;
  // A link that nobody has claimed yet is the customer's, and their code brings it back.
  return store.secrets.get(id, 'lnurl') !== undefined;
}

/** Every customer has their money, or a named debt. @throws Violation */
export function settleAccounts(store: Store, watch: Watch, lostMinor: number): void {
  for (const known of watch.transactions.values()) {
    const transaction = store.transactions.get(known.id);
    if (!transaction) throw new Violation('nothing written is lost', known.reference);
    const owed = store.obligations.forTransaction(known.id).filter(isOpen);
    if (known.kind === 'cashIn') settleDeposit(store, known, transaction, owed);
    else settleSale(known, transaction, owed, lostMinor);
  }
}

/**
 * Every sat that left the wallet was promised to a customer who put notes in, once, and every sat
 * that came is a sale. @throws Violation
 */
export function settleWallet(books: Books, watch: Watch): void {
  const all = [...watch.transactions.values()];
  for (const link of books.withdrawLinks) {
    const known = all.find(({ events }) => events.has(link.eventId));
    if (!known) throw new Violation('no sat is made up', 'a link that no journaled call asked for');
    if (link.principalSats === known.principalSats && link.netSats === known.netSats) continue;
    const words = `${known.reference}: a link over ${link.netSats} for ${known.netSats} sats`;
    throw new Violation('no sat is made up', words);
  }
  const paidOut = sumOf(books.payouts.map(({ sats }) => sats));
  const taken = sumOf(all.map(({ claimed, netSats }) => (claimed ? netSats : 0)));
  if (paidOut !== taken) {
    throw new Violation('no sat is made up', `${paidOut} sats paid out, ${taken} due`);
  }
  for (const { status, reason } of books.settlements) {
    if (status === 'rejected') throw new Violation('the operator can book it', reason);
  }
}

const sumOf = (numbers: readonly number[]): number => numbers.reduce((sum, one) => sum + one, 0);

function settleDeposit(
  store: Store,
  known: Known,
  { principalSats, wireSats, outcome }: Transaction,
  owed: readonly Obligation[],
): void {
  if (principalSats !== known.principalSats) {
    const words = `${known.reference}: ${principalSats} sats, its notes make ${known.principalSats}`;
    throw new Violation('the ledger is the truth', words);
  }
  if (wireSats === 0) return;
  const holdsLink = store.secrets.get(known.id, 'lnurl') !== undefined;
  if (outcome !== 'claimed' && !holdsLink && owed.length === 0) {
    throw new Violation('no sat is lost', `${known.reference}: ${wireSats} sats for nobody`);
  }
}

function settleSale(
  known: Known,
  transaction: Transaction,
  owed: readonly Obligation[],
  lostMinor: number,
): void {
  if (!known.paid) {
    if (owed.length === 0) return;
    throw new Violation('no note is made up', `${known.reference}: owed and never paid`);
  }
  const owedMinor = owed.reduce((sum, { amountMinor = 0 }) => sum + amountMinor, 0);
  const has = known.handedMinor + owedMinor + known.settledMinor;
  const words =
    `${known.reference} (${transaction.state}): paid for ${known.fiatMinor}, ` +
    `${known.handedMinor} came out, ${known.settledMinor} by hand, ${owedMinor} is owed`;
  if (has + lostMinor < known.fiatMinor) throw new Violation('no note is lost', words);
  if (has > known.fiatMinor && !known.inDoubt) throw new Violation('at most once', words);
}
