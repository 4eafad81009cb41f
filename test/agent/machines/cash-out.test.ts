/** The machine alone, with effects that the test settles: what may end which state. */
import { expect, onTestFinished, test } from 'vitest';
import { createActor, fromPromise, initialTransition, transition } from 'xstate';
import {
  type CashOutContext,
  type CashOutEvent,
  type CashOutInput,
  cashOutMachine,
} from '#agent/machines/cash-out.ts';
import type { ObligationId, TransactionId } from '#protocol/base/ids.ts';
import { position } from '#protocol/base/ids.ts';
import { minorUnits } from '#protocol/base/money.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

const ID = 'a'.repeat(32) as TransactionId;
const REDEEM: CashOutInput = {
  kind: 'redeem',
  transactionId: ID,
  obligationId: 'b'.repeat(32) as ObligationId,
};
const unit = (at: number, count: number) => ({ position: position(at), count });
const PLAN = { transactionId: ID, ordinal: 1, batches: [[unit(1, 2)], [unit(3, 1)]] };
const NOTICE = { code: 'words', text: 'Words.' };
const CUSTOMER: readonly CashOutEvent[] = [
  { type: 'amount.chosen', amount: minorUnits(2_000) },
  { type: 'customer.cancelled' },
  { type: 'customer.dismissed' },
];
const LONG_MS = 86_400_000;

type Effect =
  | 'reserve'
  | 'invoice'
  | 'awaitPayment'
  | 'redeem'
  | 'dispense'
  | 'present'
  | 'conclude';

/** The machine with effects that wait for the test. */
function rig(input: CashOutInput = { kind: 'sale' }) {
  const clock = new VirtualClock();
  const calls: { readonly src: Effect; readonly input: unknown }[] = [];
  const waiting = new Map<Effect, PromiseWithResolvers<unknown>>();
  const effect = <Output, Input>(src: Effect) =>
    fromPromise<Output, Input>(({ input: told }) => {
      const call = Promise.withResolvers<unknown>();
      calls.push({ src, input: told });
      waiting.set(src, call);
      return call.promise as Promise<Output>;
    });
  const machine = cashOutMachine.provide({
    actors: {
      reserve: effect('reserve'),
      invoice: effect('invoice'),
      awaitPayment: effect('awaitPayment'),
      redeem: effect('redeem'),
      dispense: effect('dispense'),
      present: effect('present'),
      conclude: effect('conclude'),
    },
  });
  const timers = new Map<unknown, () => void>();
  const actor = createActor(machine, {
    input,
    clock: {
      setTimeout: (task: () => void, ms: number) => {
        const id = Symbol('timer');
        timers.set(id, clock.after(ms, task));
        return id;
      },
      clearTimeout: (id: unknown) => timers.get(id)?.(),
    },
  });
  const states: string[] = [];
  actor.subscribe((snapshot) => states.push(String(snapshot.value)));
  actor.start();
  onTestFinished(() => {
    actor.stop();
  });
  const settle = async (
    src: Effect,
    how: { readonly with: unknown } | { readonly error: Error },
  ) => {
    const call = waiting.get(src);
    if (!call) throw new Error(`${src} was not asked for; the machine is in ${state()}`);
    waiting.delete(src);
    if ('error' in how) call.reject(how.error);
    else call.resolve(how.with);
    await clock.advance(0);
  };
  const state = () => String(actor.getSnapshot().value);
  const context = (): CashOutContext => actor.getSnapshot().context;
  const inFlight = () => actor.getSnapshot().hasTag('moneyInFlight');
  const done = (src: Effect, outcome: unknown) => settle(src, { with: outcome });
  const failed = (src: Effect) => settle(src, { error: new Error('disk I/O error') });
  return { actor, clock, calls, states, done, failed, state, context, inFlight };
}
type Rig = ReturnType<typeof rig>;

async function toPayment(): Promise<Rig> {
  const made = rig();
  made.actor.send({ type: 'amount.chosen', amount: minorUnits(9_000) });
  await made.done('reserve', { kind: 'reserved', plan: PLAN });
  await made.done('invoice', { kind: 'invoiced', expiresAtUnixMs: 1 });
  expect(made.state()).toBe('awaitingPayment');
  return made;
}

async function toDispensing(): Promise<Rig> {
  const made = await toPayment();
  await made.done('awaitPayment', { kind: 'paid' });
  expect(made.state()).toBe('dispensing');
  return made;
}

async function toPresenting(): Promise<Rig> {
  const made = await toDispensing();
  await made.done('dispense', { kind: 'exact', units: [unit(1, 2)] });
  await made.done('dispense', { kind: 'exact', units: [unit(3, 1)] });
  expect(made.state()).toBe('presenting');
  return made;
}

async function toRedeeming(): Promise<Rig> {
  const made = rig(REDEEM);
  expect(made.state()).toBe('redeeming');
  return made;
}

const dispenses = ({ calls }: Rig) => calls.filter(({ src }) => src === 'dispense');

test('a sale: every command is one of its own, counted up, then presented and concluded', async () => {
  const made = await toPresenting();
  expect(dispenses(made).map(({ input }) => input)).toMatchObject([
    { ordinal: 1, batches: PLAN.batches },
    { ordinal: 2, batches: [[unit(3, 1)]] },
  ]);
  expect(made.context().dispensed).toEqual({ '1': 2, '3': 1 });
  await made.done('present', { kind: 'taken' });
  await made.done('conclude', undefined);
  expect(made.state()).toBe('done');
  await made.clock.advance(45_000);
  expect(made.actor.getSnapshot().output).toEqual({ end: 'dispensed' });
});

test.each([
  ['redeeming', toRedeeming],
  ['dispensing', toDispensing],
  ['presenting', toPresenting],
] as const)('%s is ended by device or wallet alone', async (name, reach) => {
  const made = await reach();
  const asked = made.calls.length;
  for (const event of CUSTOMER) {
    expect(made.actor.getSnapshot().can(event)).toBe(false);
    made.actor.send(event);
    await made.clock.advance(LONG_MS);
    expect(made.state()).toBe(name);
    expect(made.inFlight()).toBe(true);
  }
  expect(made.calls).toHaveLength(asked);
  expect(made.clock.pending).toBe(0);
});

test('no event from outside ever leads to a dispense: only what the wallet or a claim said', () => {
  const events = [...CUSTOMER];
  const [first] = initialTransition(cashOutMachine, { kind: 'sale' });
  const seen = new Map([[String(first.value), first]]);
  for (const snapshot of seen.values()) {
    for (const event of events) {
      const [next] = transition(cashOutMachine, snapshot, event);
      seen.set(String(next.value), seen.get(String(next.value)) ?? next);
    }
  }
  // Past the choice an outcome is needed; what a customer reaches alone holds no money.
  expect([...seen.keys()].sort()).toEqual(['choosing', 'done', 'left', 'reserving']);
});

test.each([
  ['expired', { kind: 'expired', notice: NOTICE }, 'expired'],
  ['held', { kind: 'held', notice: NOTICE }, 'needsOperator'],
] as const)('a payment that is %s dispenses nothing', async (_, outcome, end) => {
  const made = await toPayment();
  await made.done('awaitPayment', outcome);
  expect(made.context()).toMatchObject({ end, notice: NOTICE });
  expect(dispenses(made)).toEqual([]);
});

test('a payment of which nothing can be learned dispenses nothing', async () => {
  const made = await toPayment();
  await made.failed('awaitPayment');
  expect(made.context().end).toBe('needsOperator');
  expect(dispenses(made)).toEqual([]);
});

test('cancelling while the payment is awaited stops it; a late word of it moves nothing', async () => {
  const made = await toPayment();
  made.actor.send({ type: 'customer.cancelled' });
  await made.done('awaitPayment', { kind: 'paid' });
  expect(made.state()).toBe('concluding');
  expect(made.context().end).toBe('cancelled');
  expect(dispenses(made)).toEqual([]);
});

test('a proven shortfall goes on with what the effect says, under its number', async () => {
  const made = await toDispensing();
  const next = { transactionId: ID, ordinal: 2, batches: [[unit(2, 1)]] };
  await made.done('dispense', { kind: 'short', units: [unit(1, 1)], next });
  await made.done('dispense', { kind: 'exact', units: [unit(2, 1)] });
  expect(dispenses(made).map(({ input }) => input)).toMatchObject([{ ordinal: 1 }, next]);
  expect(made.state()).toBe('presenting');
  expect(made.context().dispensed).toEqual({ '1': 1, '2': 1 });
});

const SHORT = { kind: 'remainder', remainderMinor: 7_000, notice: NOTICE } as const;

test.each([
  ['nothing came out', 'remainder', { ...SHORT, units: [] }, {}],
  [
    'unknown',
    'needsOperator',
    { kind: 'unknown', units: [unit(1, 1)], notice: NOTICE },
    { '1': 1 },
  ],
] as const)(
  '%s: no further command, the rest of the plan is left',
  async (_, end, outcome, out) => {
    const made = await toDispensing();
    await made.done('dispense', outcome);
    expect(made.state()).toBe('concluding');
    expect(made.context()).toMatchObject({ end, dispensed: out, notice: NOTICE });
    await made.clock.advance(LONG_MS);
    expect(dispenses(made)).toHaveLength(1);
  },
);

test.each([
  [{ kind: 'taken' }, NOTICE.code],
  [{ kind: 'notTaken', notice: { code: 'presentedNotTaken', text: 'left' } }, 'presentedNotTaken'],
] as const)('a remainder whose other notes came out stays one: %j', async (presented, notice) => {
  const made = await toDispensing();
  await made.done('dispense', { ...SHORT, units: [unit(1, 1)] });
  expect(made.state()).toBe('presenting');
  await made.done('present', presented);
  expect(made.state()).toBe('concluding');
  expect(made.context()).toMatchObject({ end: 'remainder', notice: { code: notice } });
  expect(dispenses(made)).toHaveLength(1);
});

test.each([
  ['dispense', toDispensing],
  ['present', toPresenting],
  ['redeem', toRedeeming],
] as const)('a fault in %s is the operator’s, and is never tried again', async (src, reach) => {
  const made = await reach();
  const before = dispenses(made).length;
  await made.failed(src);
  expect(made.context().end).toBe('needsOperator');
  expect(dispenses(made)).toHaveLength(before);
  await made.failed('conclude');
  expect(made.state()).toBe('done');
});

test('notes that nobody took are said, and the session ends', async () => {
  const made = await toPresenting();
  await made.done('present', { kind: 'notTaken', notice: NOTICE });
  expect(made.context()).toMatchObject({ end: 'presentedNotTaken', notice: NOTICE });
});

test('a claim that cannot be redeemed now concludes nothing', async () => {
  const made = await toRedeeming();
  await made.done('redeem', { kind: 'refused', notice: NOTICE });
  expect(made.state()).toBe('done');
  expect(made.calls.map(({ src }) => src)).toEqual(['redeem']);
});

test.each(['reserve', 'invoice'] as const)('a fault in %s ends it before any QR', async (src) => {
  const made = rig();
  made.actor.send({ type: 'amount.chosen', amount: minorUnits(9_000) });
  if (src === 'invoice') await made.done('reserve', { kind: 'reserved', plan: PLAN });
  await made.failed(src);
  expect(made.context().end).toBe('failed');
  expect(made.states).not.toContain('awaitingPayment');
});

test('a customer who does not choose has left; nothing was opened, so nothing is concluded', async () => {
  const made = rig();
  await made.clock.advance(60_000);
  expect(made.state()).toBe('done');
  expect(made.context().end).toBe('cancelled');
  expect(made.calls).toEqual([]);
});

test('the last screen is dismissed, or gives way by itself', async () => {
  const dismissed = rig();
  dismissed.actor.send({ type: 'customer.cancelled' });
  dismissed.actor.send({ type: 'customer.dismissed' });
  expect(dismissed.actor.getSnapshot().output).toEqual({ end: 'cancelled' });
  const left = rig();
  left.actor.send({ type: 'customer.cancelled' });
  await left.clock.advance(45_000);
  expect(left.actor.getSnapshot().status).toBe('done');
});

test('the context is plain JSON', async () => {
  const made = await toPresenting();
  expect(JSON.parse(JSON.stringify(made.context()))).toEqual(made.context());
});
