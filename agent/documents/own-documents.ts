/** What the machine says to its operator and, where he opted in, to everyone: put together. */
import { denominationOfMinor } from '#protocol/base/money.ts';
import { type Beacon, beaconDocument } from '#protocol/documents/beacon.ts';
import { cassettesStateDocument } from '#protocol/documents/cassettes-state.ts';
import type { OutgoingDocument } from '#protocol/documents/document.ts';
import { obligationsDocument } from '#protocol/documents/obligations.ts';
import { bayAccount } from '#state/note-ledger.ts';
import type { Store } from '#state/store.ts';
import type { Config } from '../config.ts';
import type { ReasonBoard } from '../watch/reasons.ts';

/** What they are put together from. */
export interface OwnDocumentsSources {
  readonly config: Pick<Config, 'currency' | 'model' | 'beacon' | 'limits'>;
  readonly store: Store;
  readonly board: ReasonBoard;
}

/**
 * All documents of ours as they should read now. The beacon is there only with the operator's
 * opt-in, the bays only once there are any. @throws ConfigError for a model name that no beacon
 * can carry.
 */
export function ownDocuments(sources: OwnDocumentsSources): OutgoingDocument[] {
  const { config } = sources;
  const bays = baysOf(sources);
  return [
    ...(bays.length > 0 ? [cassettesStateDocument(bays)] : []),
    obligations(sources),
    ...(config.beacon.public ? [beacon(sources)] : []),
  ];
}

function baysOf({ store, config }: OwnDocumentsSources) {
  return store.cashUnits.list().flatMap(({ position, value }) => {
    const denomination = denominationOfMinor(value, config.currency);
    const count = store.ledger.count(bayAccount(position), value);
    return denomination === undefined ? [] : [{ position, denomination, count }];
  });
}

function obligations({ store, config }: OwnDocumentsSources): OutgoingDocument {
  const open = store.obligations.list({ open: true }).map((obligation) => ({
    reference: obligation.reference,
    class: obligation.kind,
    amountSats: obligation.amountSats ?? null,
    amountMinor: obligation.amountMinor ?? null,
    openedAtUnixMs: obligation.createdAtUnixMs,
  }));
  return obligationsDocument(config.currency, open);
}

function beacon(sources: OwnDocumentsSources): OutgoingDocument {
  const { board, config } = sources;
  return beaconDocument({
    cashIn: board.open('cashIn'),
    cashOut: board.open('cashOut'),
    cashLevel: config.beacon.cashLevel ? cashLevel(sources) : null,
    fiat: config.currency,
    model: config.model,
  });
}

/** `low`: fewer notes than one cash-out may hand out. Only notes that can be handed out count. */
function cashLevel({ store, config }: OwnDocumentsSources): Beacon['cashLevel'] {
  const notes = store.cashUnits
    .list()
    .filter(({ parked, accuracy }) => !parked && (accuracy === 'accurate' || accuracy === 'set'))
    .reduce((sum, { position, value }) => sum + store.ledger.count(bayAccount(position), value), 0);
  if (notes === 0) return 'empty';
  return notes < config.limits.cashOutNotesMax ? 'low' : 'ok';
}
