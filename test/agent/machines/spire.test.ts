/** The supervisor alone: what opens a session, what closes the machine, and what never does. */
import { expect, test } from 'vitest';
import { createActor, initialTransition, type SnapshotFrom, transition } from 'xstate';
import { effect } from '#agent/machines/effect.ts';
import { type Opening, type SpireEvent, spireMachine } from '#agent/machines/spire.ts';
import type { ObligationId, TransactionId } from '#protocol/base/ids.ts';

type Snapshot = SnapshotFrom<typeof spireMachine>;
/** Any event, also those that XState itself sends. */
interface AnyEvent {
  readonly type: string;
  readonly [key: string]: unknown;
}

const ID = 'a'.repeat(32) as TransactionId;
const OPENINGS = {
  cashIn: { kind: 'cashIn' },
  cashOut: { kind: 'cashOut' },
  claimSats: { kind: 'claimSats', transactionId: ID },
  claimCash: { kind: 'claimCash', transactionId: ID, obligationId: 'b'.repeat(32) as ObligationId },
} as const satisfies Record<string, Opening>;

const RECOVERED: AnyEvent = { type: 'xstate.done.actor.0.spire.recovering', output: undefined };
const reasons = (cashIn: boolean, cashOut: boolean): SpireEvent => ({
  type: 'reasons.changed',
  open: { cashIn, cashOut },
});
const opens = (kind: keyof typeof OPENINGS): SpireEvent => ({
  type: 'session.opened',
  opening: OPENINGS[kind],
});

function after(...events: readonly (AnyEvent | SpireEvent)[]): Snapshot {
  const [first] = initialTransition(spireMachine);
  return events.reduce<Snapshot>(
    (snapshot, event) => transition(spireMachine, snapshot, event as SpireEvent)[0],
    first,
  );
}
const nameOf = ({ value }: Snapshot): string =>
  typeof value === 'string' ? value : Object.entries(value).flat().join('.');

test.each([
  [true, true, { cashIn: 'cashIn', cashOut: 'cashOut', claimSats: 'cashIn', claimCash: 'cashOut' }],
  [true, false, { cashIn: 'cashIn', claimSats: 'cashIn' }],
  [false, true, { cashOut: 'cashOut', claimSats: 'cashIn', claimCash: 'cashOut' }],
  // A claim on sats needs no device: it is served out of service as well.
  [false, false, { claimSats: 'cashIn' }],
])('cash-in open %s, cash-out open %s: what opens a session', (cashIn, cashOut, served) => {
  const ready = after(reasons(cashIn, cashOut), RECOVERED);
  expect(nameOf(ready)).toBe(cashIn || cashOut ? 'inService.idle' : 'outOfService');
  for (const kind of Object.keys(OPENINGS) as (keyof typeof OPENINGS)[]) {
    const session = new Map<string, string>(Object.entries(served)).get(kind);
    expect([kind, ready.can(opens(kind))]).toEqual([kind, session !== undefined]);
    const next = after(reasons(cashIn, cashOut), RECOVERED, opens(kind));
    expect(nameOf(next)).toBe(session ? `inService.${session}` : nameOf(ready));
    expect(next.context.opening).toEqual(session ? OPENINGS[kind] : null);
  }
});

test('a session is for one customer, and goes on when its direction closes', () => {
  const events = [reasons(true, true), RECOVERED, opens('cashOut')];
  const closed = after(...events, reasons(false, false));
  expect(nameOf(closed)).toBe('inService.cashOut');
  expect(closed.can(opens('cashIn'))).toBe(false);
  const over = { type: 'xstate.done.actor.cashOut', output: { end: 'dispensed' } };
  expect(nameOf(after(...events, reasons(false, false), over))).toBe('outOfService');
  const failed = { type: 'xstate.error.actor.cashOut', error: new Error('a bug') };
  const idle = after(...events, failed);
  expect([nameOf(idle), idle.context.opening]).toEqual(['inService.idle', null]);
});

test('before the recovery is over nothing opens', () => {
  const recovering = after(reasons(true, true));
  expect(nameOf(recovering)).toBe('recovering');
  for (const kind of Object.keys(OPENINGS) as (keyof typeof OPENINGS)[]) {
    expect(recovering.can(opens(kind))).toBe(false);
  }
});

test.each([[new Error('the disk is full')], ['the disk is full']])(
  'a start that failed touches nothing and serves nobody, whatever opens: %s',
  async (error) => {
    const recover = effect<void>(() => Promise.reject(error));
    let touched = 0;
    const tidyUp = effect<void>(async () => {
      touched += 1;
    });
    const actor = createActor(spireMachine.provide({ actors: { recover, tidyUp } })).start();
    actor.send(reasons(true, true));
    await new Promise((resolve) => setImmediate(resolve));
    expect(actor.getSnapshot().value).toBe('failed');
    for (const open of [false, true]) {
      actor.send(reasons(open, open));
      expect(actor.getSnapshot().value).toBe('failed');
      for (const kind of Object.keys(OPENINGS) as (keyof typeof OPENINGS)[]) {
        expect(actor.getSnapshot().can(opens(kind))).toBe(false);
      }
    }
    await new Promise((resolve) => setImmediate(resolve));
    expect(touched).toBe(0);
    actor.send({ type: 'agent.stopped' });
    expect(actor.getSnapshot().value).toBe('stopping');
  },
);

test.each([
  ['recovering', []],
  ['out of service', [reasons(false, false), RECOVERED]],
  ['idle', [reasons(true, true), RECOVERED]],
] as const)('a stop while %s is the end', (_, events) => {
  const stopped = after(...events, { type: 'agent.stopped' });
  expect([nameOf(stopped), stopped.status]).toEqual(['stopping', 'done']);
});
