/** What is taken out of the machine while nobody is signed in for it (design 11). */
import type { CashUnit } from '#state/cash-units.ts';
import { bagAccount } from '#state/note-ledger.ts';
import type { Parts } from '../parts.ts';
import { noteBag } from './bag-list.ts';
import { noteDoubt } from './doubt.ts';

/** First part of a seal that nobody gave: `unattended-1`. */
export const UNATTENDED = 'unattended-';
const COUNTER = 'unattendedBags';

/**
 * The cash box is out, and no exchange is on: what the books say was in it is in a bag of its own
 * from now on, and is counted as one. Nothing when the books have nothing in it.
 */
export function takeAwayCashBox(parts: Pick<Parts, 'store' | 'clock'>): void {
  const { store, clock } = parts;
  if (store.ledger.balance('cashbox').length === 0) return;
  store.commit(() => {
    const piles = store.ledger.balance('cashbox');
    const number = Number(store.facts.get(COUNTER)?.value ?? 0) + 1;
    const seal = `${UNATTENDED}${number}`;
    store.facts.put(COUNTER, number, clock.now());
    for (const pile of piles) {
      const cause = 'cash box removed outside an exchange';
      store.ledger.move({ ...pile, from: 'cashbox', to: bagAccount(seal), cause });
    }
    noteBag(store, seal, clock.now());
    const notes = piles.reduce((sum, { count }) => sum + count, 0);
    store.journal.append('cashBox.removed', { seal, notes });
  });
}

/** A cassette is out, and no exchange is on: what comes back in its place nobody knows. */
export function doubtRemovedBay(parts: Pick<Parts, 'store' | 'clock'>, unit: CashUnit): void {
  const { store } = parts;
  if (unit.accuracy === 'unknown') return;
  store.commit(() => {
    store.cashUnits.put({ ...unit, accuracy: 'unknown' });
    noteDoubt(parts, unit.position);
    store.journal.append('cassette.removed', { position: unit.position });
  });
}
