/** Service scope: what is owed or not known, with its evidence. */
import type { TransactionId } from '#protocol/base/ids.ts';
import { sats } from '#protocol/base/money.ts';
import type { JsonObject } from '#state/json.ts';
import type { Obligation } from '#state/obligations.ts';
import type { Store } from '#state/store.ts';
import type { ObligationsQuery } from '../api/owed-schemas.ts';
import type { ObligationView } from '../api/schemas.ts';
import type { Parts } from '../parts.ts';
import { wayOut } from '../texts/command.ts';

/** Newest that are shown: closed ones stay for ever. */
const SHOWN_MAX = 1_000;

/** Those asked for, oldest first; the open ones unless told otherwise. */
export function obligationsView(
  parts: Pick<Parts, 'store' | 'clock'>,
  { which = 'open', name }: Partial<ObligationsQuery> = {},
): readonly ObligationView[] {
  const { store } = parts;
  const all = store.obligations.list(which === 'open' ? { open: true } : {});
  const named = name?.toUpperCase();
  return all
    .filter(({ id, reference }) => name === undefined || id === name || reference === named)
    .slice(-SHOWN_MAX)
    .map((one) => obligationView(parts, one));
}

function obligationView(
  { store, clock }: Pick<Parts, 'store' | 'clock'>,
  obligation: Obligation,
): ObligationView {
  const { transactionId, createdAtUnixMs, settledAtUnixMs, settledBy, settledReason } = obligation;
  return {
    id: obligation.id,
    reference: obligation.reference,
    kind: obligation.kind,
    state: obligation.state,
    amountSats: obligation.amountSats ?? null,
    amountMinor: obligation.amountMinor ?? null,
    currency: obligation.currency,
    openedAtUnixMs: createdAtUnixMs,
    ageMs: Math.max(0, (settledAtUnixMs ?? clock.now()) - createdAtUnixMs),
    transactionId: transactionId ?? null,
    evidence: plainJson(obligation.body),
    wayOut: wayOut(obligation.kind),
    acts: transactionId === undefined ? [] : actsOf(store, transactionId),
    partialDispense: transactionId === undefined ? null : partialDispense(store, transactionId),
    settled:
      settledAtUnixMs === undefined
        ? null
        : { atUnixMs: settledAtUnixMs, by: settledBy ?? null, reason: settledReason ?? null },
  };
}

/** A copy that may be changed, which the answer's type asks for. */
export function plainJson(value: JsonObject): ObligationView['evidence'] {
  return JSON.parse(JSON.stringify(value));
}

function actsOf(store: Store, id: TransactionId): ObligationView['acts'] {
  return store.intents.forTransaction(id).flatMap(({ kind, outcome, evidence }) => {
    return outcome === undefined ? [] : [{ kind, outcome, evidence: plainJson(evidence ?? {}) }];
  });
}

/**
 * What the operator's partial-dispense form takes: the fraction of the cash that came out, and the
 * same fraction of `wire_sats`, rounded down. Null for a sale that was never paid, that handed out
 * everything, or of which a command is in doubt: nobody knows the figure then. Source:
 * bitspire-wire.md 6.4, `{dispensed_fraction | dispensed_sats, notes}`.
 */
export function partialDispense(
  store: Store,
  id: TransactionId,
): ObligationView['partialDispense'] {
  const sale = store.transactions.get(id);
  if (sale?.kind !== 'cashOut' || sale.fiatMinor === 0) return null;
  const intents = store.intents.forTransaction(id);
  const isPaid = intents.some(({ kind, outcome }) => kind === 'payment' && outcome === 'paid');
  const inDoubt = intents.some(
    ({ kind, state, outcome }) =>
      kind === 'dispense' && (state === 'open' || outcome === 'unknown'),
  );
  if (!isPaid || inDoubt) return null;
  const handedOut = store.ledger
    .movements({ transactionId: id })
    .filter(({ to }) => to === 'customer')
    .reduce((sum, { value, count }) => sum + value * count, 0);
  if (handedOut >= sale.fiatMinor) return null;
  const dispensed = (BigInt(sale.wireSats) * BigInt(handedOut)) / BigInt(sale.fiatMinor);
  return {
    dispensed_sats: sats(Number(dispensed)),
    dispensed_fraction: handedOut / sale.fiatMinor,
  };
}
