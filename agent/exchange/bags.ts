/** Sealed bags: taken away as they are, counted later, and over or short by themselves. */
import { newReference } from '#protocol/base/ids.ts';
import { bagAccount } from '#state/note-ledger.ts';
import type { BagCountResult, BagView, overShortReasons } from '../api/visit-schemas.ts';
import type { Parts } from '../parts.ts';
import { forgetBag, waitingBags } from './bag-list.ts';
import { faceOf } from './faces.ts';
import { assertNote, pilesOf } from './questions.ts';
import { appendRecord, recordView } from './record.ts';
import { Refusal } from './refusal.ts';
import { differencesOf } from './standing.ts';
import type { Actor } from './technicians.ts';

/** Bags that wait to be counted, without what they should hold. */
export function bagsView({ store, config }: Pick<Parts, 'store' | 'config'>): BagView[] {
  return waitingBags(store).map(({ seal, atUnixMs }) => ({
    seal,
    sealedAtUnixMs: atUnixMs,
    denominations: store.ledger
      .balance(bagAccount(seal))
      .map(({ value }) => faceOf(value, config.currency)),
  }));
}

/** A count as it is given. */
export interface BagCount {
  readonly seal: string;
  readonly counts: readonly { readonly denomination: number; readonly count: number }[];
  readonly reason: (typeof overShortReasons)[number] | null;
  readonly note: string;
}

/**
 * Books what was found in a bag, once. @throws Refusal `noBag`, `reasonNeeded`, `noteNeeded`,
 * `denominationTwice`
 */
export function countBag(parts: Parts, actor: Actor, bag: BagCount): BagCountResult {
  const { store, clock, config, random } = parts;
  const { currency } = config;
  const { seal, reason, note } = bag;
  if (!waitingBags(store).some((one) => one.seal === seal)) {
    throw new Refusal('notFound', 'noBag', `No bag ${seal} waits to be counted.`, { seal });
  }
  const counted = pilesOf(parts, bag.counts);
  const place = bagAccount(seal);
  const expected = store.ledger.balance(place).map(({ value, count }) => ({ value, count }));
  const differences = differencesOf({ counted, expected });
  const shown = differences.map(({ value, count }) => ({
    denomination: faceOf(value, currency),
    difference: count,
  }));
  if (differences.length > 0 && reason === null) {
    throw new Refusal('usage', 'reasonNeeded', 'It is over or short: give a reason.');
  }
  if (reason !== null) assertNote(reason, note);
  const reference = newReference(random);
  const atUnixMs = clock.now();
  const record = store.commit(() => {
    const move = (what: string) => ({ currency, cause: `bag ${seal}: ${what}` });
    for (const { value, count } of differences) {
      const over = { from: 'unaccounted', to: place, value, count, ...move('over') } as const;
      const short = { from: place, to: 'unaccounted', value, ...move('short') } as const;
      store.ledger.move(count > 0 ? over : { ...short, count: -count });
    }
    for (const pile of counted) {
      store.ledger.move({ ...pile, from: place, to: 'technician', ...move('counted') });
    }
    const by = actor.technician ? { technicianId: actor.technician.id } : {};
    const values = new Set([...expected, ...counted].map(({ value }) => value));
    for (const value of values) {
      const countIn = (piles: typeof counted) =>
        piles.find((pile) => pile.value === value)?.count ?? 0;
      store.cashCounts.insert({
        ...{ atUnixMs, reference, account: place, currency, value, note, ...by },
        expected: countIn(expected),
        counted: countIn(counted),
        ...(reason === null ? {} : { reason }),
      });
    }
    forgetBag(store, seal, atUnixMs);
    const faces = (piles: typeof counted) =>
      piles.map(({ value, count }) => ({ denomination: faceOf(value, currency), count }));
    const body = {
      ...{ seal, currency, reason, note, by: actor.name },
      expected: faces(expected),
      counted: faces(counted),
      overShort: faces(differences),
    };
    const made = appendRecord(parts, { kind: 'bag', reference, body });
    const { number, hash } = made;
    store.journal.append('bag.counted', { seal, reference, record: number, hash, by: actor.name });
    return made;
  });
  parts.changed();
  return { differences: shown, record: recordView(record) };
}
