/** Which sealed bags wait to be counted, empty ones among them. */
import { z } from 'zod';
import type { ExchangeStep } from '#state/exchanges.ts';
import type { Store } from '#state/store.ts';

/** Bags that wait at a time; more than any depot keeps uncounted. */
const BAGS_MAX = 500;
const BAGS = 'bags';
const listSchema = z.array(z.object({ seal: z.string(), atUnixMs: z.int() }));

/** A bag that waits. */
export type WaitingBag = z.output<typeof listSchema>[number];

/** The bags that wait, oldest first. */
export function waitingBags(store: Store): readonly WaitingBag[] {
  return listSchema.safeParse(store.facts.get(BAGS)?.value).data ?? [];
}

/** Notes that a bag was sealed; inside a commit. */
export function noteBag(store: Store, seal: string, atUnixMs: number): void {
  const others = waitingBags(store).filter((bag) => bag.seal !== seal);
  keep(store, [...others, { seal, atUnixMs }].slice(-BAGS_MAX), atUnixMs);
}

/** A bag waits no more: it was counted, or never sealed; inside a commit. */
export function forgetBag(store: Store, seal: string, atUnixMs: number): void {
  const bags = waitingBags(store);
  const left = bags.filter((bag) => bag.seal !== seal);
  if (left.length < bags.length) keep(store, left, atUnixMs);
}

function keep(store: Store, bags: readonly WaitingBag[], atUnixMs: number): void {
  store.facts.put(
    BAGS,
    bags.map((bag) => ({ ...bag })),
    atUnixMs,
  );
}

/** Brings the list to what the answers of an exchange say; inside a commit. */
export function noteSealed(store: Store, steps: readonly ExchangeStep[]): void {
  const sealing = steps.flatMap(({ answer, atUnixMs, undoneAtUnixMs }) => {
    const { kind, seal } = answer;
    const isSeal = kind === 'seal' && typeof seal === 'string';
    return isSeal ? [{ seal, atUnixMs, isUndone: undoneAtUnixMs !== undefined }] : [];
  });
  const standing = sealing.filter(({ isUndone }) => !isUndone);
  const undone = sealing.filter(
    ({ seal, isUndone }) => isUndone && !standing.some((one) => one.seal === seal),
  );
  for (const { seal, atUnixMs } of undone) forgetBag(store, seal, atUnixMs);
  const waiting = new Set(waitingBags(store).map(({ seal }) => seal));
  for (const { seal, atUnixMs } of standing) {
    if (!waiting.has(seal)) noteBag(store, seal, atUnixMs);
  }
}
