/**
 * An act of a device of which the end is not on disk: after a cut, or when the disk did not take
 * it. Nothing is concluded from it before the device was asked; its direction waits closed.
 */
import type { TransactionId } from '#protocol/base/ids.ts';
import type { Parts } from '../parts.ts';
import type { Direction } from '../watch/reasons.ts';

/** Whether an act of this transaction is open on a device that has to be asked first. */
export function hasOpenAct({ store }: Parts, id: TransactionId): boolean {
  return store.intents
    .forTransaction(id)
    .some(({ device, state }) => device !== undefined && state === 'open');
}

/** Keeps a direction closed while an act on its device is open, by its reference. */
export function tellOpenAct({ store, board }: Parts, direction: Direction): void {
  const device = direction === 'cashIn' ? 'acceptor' : 'dispenser';
  const open = store.intents.listOpen().find((intent) => intent.device === device);
  const transaction = open?.transactionId && store.transactions.get(open.transactionId);
  const name = transaction ? ` (reference ${transaction.reference})` : '';
  board.set(
    direction,
    'openIntent',
    open && `The ${device} broke off at a ${open.kind}${name}; it is being asked what came of it.`,
  );
}
