/**
 * An unknown closes little (design 5): by itself only until the device's sensors are clear again,
 * which the device watch sees. A second one within a day, or three restarts with money in flight,
 * close the direction until a person has settled it. All of it is read from the obligations, so it
 * outlives every restart.
 */
import { newReference } from '#protocol/base/ids.ts';
import type { Obligation, ObligationKind } from '#state/obligations.ts';
import type { Parts } from '../parts.ts';
import { isRestoreOpen, isSuspended } from '../upkeep/restore.ts';
import type { Direction } from '../watch/reasons.ts';
import { recoveryPolicy } from './recovery-policy.ts';

/** Two unknowns so near each other are a device that has to be looked at (design 5). */
const NEAR_MS = 86_400_000;
/** Restarts with money in flight that are let pass within that time. */
const RESTARTS_MAX = 3;

/** What the machine does not know, by direction. */
const UNKNOWN: Readonly<Record<Direction, ObligationKind>> = {
  cashIn: recoveryPolicy.deposit.unknown.owes,
  cashOut: recoveryPolicy.dispense.unknown.owes,
};
/** Acts that move a customer's money, by direction. */
const IN_FLIGHT: Readonly<Record<Direction, ReadonlySet<string>>> = {
  cashIn: new Set(['deposit', 'return']),
  cashOut: new Set(['dispense']),
};

const restartsKey = (direction: Direction): string => `restarts.${direction}`;

/** One command may leave a doubt about itself and one about the rest: they are one unknown. */
const isSameAct = (one: Obligation, other: Obligation): boolean =>
  one.id === other.id ||
  (one.transactionId !== undefined && one.transactionId === other.transactionId);

/** The obligation that keeps a direction closed until a person has settled it, if there is one. */
export function closedBy({ store }: Parts, direction: Direction): Obligation | undefined {
  const open = store.obligations.list({ open: true });
  const restored = open.find(isRestoreOpen) ?? open.find(isSuspended);
  if (restored) return restored;
  const restarted = open.find(
    ({ kind, body }) => kind === recoveryPolicy.restart.third.owes && body.direction === direction,
  );
  if (restarted) return restarted;
  const unknown = open.filter(({ kind }) => kind === UNKNOWN[direction]);
  if (unknown.length === 0) return undefined;
  const all = store.obligations.list().filter(({ kind }) => kind === UNKNOWN[direction]);
  return unknown.find((one) => {
    const before = all.slice(
      0,
      all.findIndex(({ id }) => id === one.id),
    );
    return before.some(
      (other) =>
        !isSameAct(one, other) && Math.abs(one.createdAtUnixMs - other.createdAtUnixMs) <= NEAR_MS,
    );
  });
}

/** Tells the board which directions wait for a person. */
export function tellQuarantine(parts: Parts): void {
  for (const direction of ['cashIn', 'cashOut'] as const) {
    const why = closedBy(parts, direction);
    parts.board.set(direction, 'unsettled', why && wordsOf(why, direction));
  }
}

function wordsOf(why: Obligation, direction: Direction): string {
  const { kind, reference } = why;
  if (isRestoreOpen(why)) {
    return `The state was restored from a backup: confirm its claims, then settle ${reference}.`;
  }
  if (isSuspended(why)) return `Claim ${reference} waits for the operator since a restore.`;
  const device = direction === 'cashIn' ? 'validator' : 'dispenser';
  const words = kind === recoveryPolicy.restart.third.owes ? 'was cut off' : 'lost track of notes';
  return `The ${device} ${words} again and again: settle reference ${reference} first.`;
}

/**
 * Counts a start that finds money in flight; the third within a day is an obligation. To be called
 * once a start, before anything that is open is settled.
 */
export function countRestart(parts: Parts): void {
  const { store, clock, random, config } = parts;
  const open = store.intents.listOpen();
  for (const direction of ['cashIn', 'cashOut'] as const) {
    if (!open.some(({ kind }) => IN_FLIGHT[direction].has(kind))) continue;
    const now = clock.now();
    const known = store.facts.get(restartsKey(direction))?.value;
    const before = Array.isArray(known) ? known : [];
    const near = before.filter((at) => Math.abs(now - Number(at)) <= NEAR_MS);
    const restarts = [...near, now];
    store.commit(() => {
      store.journal.append('restart.inFlight', { direction, restarts: restarts.length });
      if (restarts.length < RESTARTS_MAX) {
        store.facts.put(restartsKey(direction), restarts, now);
        return;
      }
      store.facts.remove(restartsKey(direction));
      store.obligations.insert({
        reference: newReference(random),
        kind: recoveryPolicy.restart.third.owes,
        currency: config.currency,
        body: { direction, restarts: restarts.length },
      });
    });
  }
}
