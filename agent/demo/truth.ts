/** Where every note physically is, and whether the machine's books say the same. */
import type { DeviceTruth, Notes } from '#hal/simulator/device.ts';
import { position } from '#protocol/base/ids.ts';
import { minorOfDenomination, minorUnits } from '#protocol/base/money.ts';
import type { World } from '#protocol/simulator/world.ts';
import type { Account } from '#state/note-ledger.ts';
import { bayAccount } from '#state/note-ledger.ts';
import type { Store } from '#state/store.ts';
import type { Hardware } from './machine.ts';

/** The truth of both devices at one moment. */
export interface Truth {
  readonly validator: DeviceTruth;
  readonly dispenser: DeviceTruth;
}

/** The devices' own truth now. */
export function truthOf(hardware: Hardware): Truth {
  return { validator: hardware.validator.truth(), dispenser: hardware.dispenser.truth() };
}

/** One line for a person: what lies where. */
export function describeTruth({ validator, dispenser }: Truth): string {
  const notes = (what: Notes): string => {
    const parts = Object.entries(what).filter(([, count]) => count > 0);
    return parts.length === 0 ? '-' : parts.map(([value, count]) => `${count}x$${value}`).join(' ');
  };
  const bays = Object.entries(dispenser.units)
    .map(([bay, { denomination, count }]) => `${bay}: ${count}x$${denomination}`)
    .join(', ');
  return (
    `notes: cash box ${notes(validator.cashbox)} | validator ${notes(validator.path)} | ` +
    `bays ${bays} | reject ${notes(dispenser.reject)} | inside ${notes(dispenser.path)} | ` +
    `handed out ${notes(dispenser.customer)}`
  );
}

/**
 * Compares ledger and journal with the devices' truth and the wallet's books, all as differences
 * since `before`. What does not agree is named; an empty list is conservation.
 */
export function differences(
  store: Store,
  before: Truth,
  now: Truth,
  world: Pick<World, 'keeper'>,
  currency: string,
): readonly string[] {
  const found: string[] = [];
  const expect = (what: string, ledger: number, truth: number) => {
    if (ledger !== truth) found.push(`${what}: the ledger has ${ledger}, in truth ${truth}`);
  };
  const booked = (account: Account, denomination: number) =>
    store.ledger.count(account, minorOfDenomination(denomination, currency));
  // Also what the books know and no device shows: a note that is nowhere must not go unasked.
  const values = new Set(
    [
      now.validator.cashbox,
      now.dispenser.reject,
      now.dispenser.customer,
      Object.fromEntries(
        Object.values(now.dispenser.units).map(({ denomination }) => [denomination, 0]),
      ),
    ].flatMap(Object.keys),
  );
  for (const value of values) {
    const inBox = (now.validator.cashbox[value] ?? 0) - (before.validator.cashbox[value] ?? 0);
    expect(`cash box $${value}`, booked('cashbox', Number(value)), inBox);
    const rejected = (now.dispenser.reject[value] ?? 0) - (before.dispenser.reject[value] ?? 0);
    expect(`reject tray $${value}`, booked('reject', Number(value)), rejected);
    const out = (now.dispenser.customer[value] ?? 0) - (before.dispenser.customer[value] ?? 0);
    expect(`customers $${value}`, booked('customer', Number(value)), out - inBox);
  }
  for (const [bay, { denomination, count }] of Object.entries(now.dispenser.units)) {
    expect(`bay ${bay}`, booked(bayAccount(position(Number(bay))), denomination), count);
  }
  return [...found, ...walletDifferences(store, world)];
}

/** Sats: what the wallet paid out and took in is what the transactions say. */
function walletDifferences(store: Store, world: Pick<World, 'keeper'>): readonly string[] {
  const found: string[] = [];
  const books = world.keeper.books();
  const transactions = store.transactions.recent(10_000);
  const sum = (numbers: readonly number[]) => numbers.reduce((total, next) => total + next, 0);
  const promised = sum(
    transactions.filter(({ kind }) => kind === 'cashIn').map(({ wireSats }) => wireSats),
  );
  const linked = sum(books.withdrawLinks.map(({ netSats }) => netSats));
  if (promised !== linked) found.push(`links: ${linked} sats made, ${promised} promised`);
  const paid = new Set(books.invoices.filter((one) => one.paid).map((one) => one.paymentHash));
  for (const transaction of transactions) {
    if (transaction.kind !== 'cashOut' || transaction.paymentHash === undefined) continue;
    const owed = store.obligations.forTransaction(transaction.id).length > 0;
    const got = paid.has(transaction.paymentHash);
    const isHandedOut = ['dispensed', 'presentedNotTaken'].includes(transaction.outcome ?? '');
    if (got && !isHandedOut && !owed) {
      found.push(`cash-out ${transaction.reference}: paid, not dispensed, and nobody owes it`);
    }
    if (!got && isHandedOut) {
      found.push(`cash-out ${transaction.reference}: dispensed and never paid`);
    }
  }
  const verdict = store.verify();
  found.push(...verdict.problems);
  const total = sum(store.ledger.balances().map(({ value, count }) => value * count));
  if (total !== minorUnits(0)) found.push(`the ledger does not balance: ${total}`);
  return found;
}
