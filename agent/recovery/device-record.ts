/**
 * What a device said around an act of which nobody knows the end: kept in the journal, so that it
 * is still there when the operator asks, and cannot be changed by then.
 */
import type { TransactionId } from '#protocol/base/ids.ts';
import type { Parts } from '../parts.ts';
import { countersView } from '../service/device-views.ts';

/** Journal kind of such an entry. */
export const DEVICE_RECORDED = 'device.recorded';

/** Hex digits and words of all chunks together; an entry's body may have 65,536 characters. */
const CHARACTERS_MAX = 48_000;
/** What one chunk takes beside its bytes: direction, time, and the JSON around them. */
const CHUNK_CHARACTERS = 80;

/**
 * Writes down the newest chunks on the device's port, with its own counters now; to be called
 * inside the commit that settles the act as unknown. The times are those of the journal's
 * monotonic clock.
 */
export function recordDevice(
  { store, acceptor, dispenser }: Pick<Parts, 'store' | 'acceptor' | 'dispenser'>,
  device: 'acceptor' | 'dispenser',
  transactionId: TransactionId,
): void {
  const chunks = (device === 'acceptor' ? acceptor : dispenser).recording?.() ?? [];
  const kept: { direction: string; monotonicMs: number; hex: string }[] = [];
  let characters = 0;
  for (const { direction, monotonicMs, hex } of chunks.toReversed()) {
    characters += hex.length + CHUNK_CHARACTERS;
    if (characters > CHARACTERS_MAX) break;
    kept.push({ direction, monotonicMs: Math.round(monotonicMs), hex });
  }
  const counters = countersView(device === 'acceptor' ? acceptor.baseline?.() : undefined);
  store.journal.append(
    DEVICE_RECORDED,
    { device, chunks: kept.toReversed(), counters },
    transactionId,
  );
}
