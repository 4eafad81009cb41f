/**
 * An act of a device of which the end is not on disk: after a cut, or when the disk did not take
 * it. Nothing is concluded from it before that is mended; its direction waits closed.
 */
import type { TransactionId } from '#protocol/base/ids.ts';
import type { Intent } from '#state/intents.ts';
import { isDiskFull } from '#state/store-error.ts';
import type { Parts } from '../parts.ts';
import type { Direction } from '../watch/reasons.ts';

/** Whether an act of this transaction is open on a device that has to be asked first. */
export function hasOpenAct({ store }: Parts, id: TransactionId): boolean {
  return store.intents
    .forTransaction(id)
    .some(({ device, state }) => device !== undefined && state === 'open');
}

/** The act of a device that is under way, or of which the end is not on disk. */
export function openActOn(
  { store }: Pick<Parts, 'store'>,
  device: 'acceptor' | 'dispenser',
): Intent | undefined {
  return store.intents.listOpen().find((intent) => intent.device === device);
}

/**
 * Writes down how an act ended. What a full disk does not take now is written by the recovery, as
 * `later` does it, and the device is not asked again: it may not say it twice.
 */
export async function writeEnd<Written>(
  { unwrittenEnds }: Parts,
  { id }: Intent,
  now: () => Written | Promise<Written>,
  later: () => void | Promise<void>,
): Promise<Written> {
  try {
    return await now();
  } catch (err) {
    if (isDiskFull(err)) unwrittenEnds.set(id, later);
    throw err;
  }
}

/** Writes an end that a full disk has refused; false when there is none, and the device is asked. */
export async function writeKeptEnd({ unwrittenEnds }: Parts, { id }: Intent): Promise<boolean> {
  const write = unwrittenEnds.get(id);
  if (!write) return false;
  // Once, also when this very write says that the disk works again, and somebody asks for it.
  unwrittenEnds.delete(id);
  try {
    await write();
  } catch (err) {
    unwrittenEnds.set(id, write);
    throw err;
  }
  return true;
}

/** Keeps a direction closed while an act on its device is open, by its reference. */
export function tellOpenAct({ store, board }: Parts, direction: Direction): void {
  const device = direction === 'cashIn' ? 'acceptor' : 'dispenser';
  const open = openActOn({ store }, device);
  const transaction = open?.transactionId && store.transactions.get(open.transactionId);
  const name = transaction ? ` (reference ${transaction.reference})` : '';
  board.set(
    direction,
    'openIntent',
    open && `The ${device} broke off at a ${open.kind}${name}; it is being asked what came of it.`,
  );
}
