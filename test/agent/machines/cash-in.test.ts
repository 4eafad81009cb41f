import { describe, expect, test } from 'vitest';
import { createActor, initialTransition, type SnapshotFrom, transition } from 'xstate';
import { cashInActors } from '#agent/cash-in/actors.ts';
import {
  type CashInContext,
  type CashInEvent,
  type CashInInput,
  cashInMachine,
} from '#agent/machines/cash-in.ts';
import type { TransactionId } from '#protocol/base/ids.ts';
import { CashInRig, dollars, RATE } from '#test/support/cash-in-rig.ts';

type Snapshot = SnapshotFrom<typeof cashInMachine>;
/** Any event, also those that XState itself sends. */
interface AnyEvent {
  readonly type: string;
  readonly output?: unknown;
  readonly error?: unknown;
}

const DEPOSIT: CashInInput = { kind: 'deposit' };
const ID = 'transaction' as TransactionId;
const TERMS = { rate: RATE, feeFraction: 0.08, capSats: null, accepted: [dollars(20)] };
const TOTAL = { notes: 1, fiat: 2_000, principal: 16_000, fee: 1_280, net: 14_720 };
const NOTICE = { code: 'some', text: 'Some notice.' };

const START = initialTransition(cashInMachine, DEPOSIT)[0];
const CLAIM = initialTransition(cashInMachine, { kind: 'claim', transactionId: ID })[0];

function step(snapshot: Snapshot, event: AnyEvent): Snapshot {
  return transition(cashInMachine, snapshot, event as unknown as CashInEvent)[0];
}

/** Where a machine is, as `accepting.idle`. */
function nameOf({ value }: Snapshot): string {
  return typeof value === 'string' ? value : Object.entries(value).flat().join('.');
}

/** What an effect of this state may come to. */
const OUTCOMES: Readonly<Record<string, readonly unknown[]>> = {
  quoting: [
    { kind: 'quoted', transactionId: ID, terms: TERMS },
    { kind: 'closed', notice: NOTICE },
  ],
  'accepting.arming': [
    { kind: 'armed', terms: TERMS, notice: null },
    { kind: 'armed', terms: TERMS, notice: NOTICE },
    { kind: 'failed', notice: NOTICE },
  ],
  'accepting.escrowed': [{ kind: 'fits' }, { kind: 'refused', notice: NOTICE }],
  'accepting.depositing': [
    { kind: 'deposited', total: TOTAL },
    { kind: 'returned' },
    { kind: 'returned', notice: NOTICE },
    { kind: 'unknown', notice: NOTICE },
  ],
  'accepting.returning': [
    { kind: 'deposited', total: TOTAL },
    { kind: 'returned' },
    { kind: 'unknown', notice: NOTICE },
  ],
  closing: [undefined],
  issuing: [{ kind: 'issued' }, { kind: 'owed', notice: NOTICE }],
  offering: [undefined],
  concluding: [undefined],
};

/** Ids of what a state invokes, but for the one that only brings news. */
function invoked(snapshot: Snapshot): string[] {
  return snapshot._nodes.flatMap((node) =>
    node.invoke.filter(({ src }) => src !== 'acceptorNews').map(({ id }) => id),
  );
}

function timersOf(snapshot: Snapshot): AnyEvent[] {
  return snapshot._nodes.flatMap((node) =>
    node.after.map(({ eventType }) => ({ type: String(eventType) })),
  );
}

const CUSTOMER: readonly AnyEvent[] = [
  { type: 'customer.finished' },
  { type: 'customer.cancelled' },
  { type: 'customer.dismissed' },
];
const NEWS: readonly (AnyEvent & CashInEvent)[] = [
  { type: 'note.inserted' },
  { type: 'note.escrowed', value: dollars(20) },
  { type: 'note.returned' },
  { type: 'note.refused', notice: NOTICE },
  { type: 'acceptor.lost', notice: NOTICE },
];

function eventsIn(snapshot: Snapshot): AnyEvent[] {
  const effects = invoked(snapshot).flatMap((id) => [
    ...(OUTCOMES[nameOf(snapshot)] ?? []).map((output) => ({
      type: `xstate.done.actor.${id}`,
      output,
    })),
    { type: `xstate.error.actor.${id}`, error: new Error('a bug') },
  ]);
  return [...effects, ...timersOf(snapshot), ...CUSTOMER, ...NEWS];
}

const keyOf = (snapshot: Snapshot) => `${nameOf(snapshot)} ${JSON.stringify(snapshot.context)}`;

interface Edge {
  readonly from: Snapshot;
  readonly event: AnyEvent;
  readonly to: Snapshot;
}

/** Every state and context that there is, and every step between them. */
function walk(): { readonly edges: readonly Edge[]; readonly states: readonly Snapshot[] } {
  const found = new Map([START, CLAIM].map((snapshot) => [keyOf(snapshot), snapshot]));
  const edges: Edge[] = [];
  for (const from of found.values()) {
    if (from.status !== 'active') continue;
    for (const event of eventsIn(from)) {
      const to = step(from, event);
      edges.push({ from, event, to });
      if (!found.has(keyOf(to))) found.set(keyOf(to), to);
    }
  }
  return { edges, states: [...found.values()] };
}

describe('walked through every event in every state', () => {
  const { edges, states } = walk();

  test('every state is reached', () => {
    expect(new Set(states.map(nameOf))).toEqual(
      new Set([
        'quoting',
        'accepting.arming',
        'accepting.idle',
        'accepting.escrowed',
        'accepting.depositing',
        'accepting.returning',
        'closing',
        'issuing',
        'offering',
        'concluding',
        'done',
        'left',
      ]),
    );
    expect(edges.length).toBeGreaterThan(1_000);
  });

  test('no customer, timer or news ends a state with money in flight', () => {
    const inFlight = edges.filter(({ from }) => from.hasTag('moneyInFlight'));
    const names = new Set(inFlight.map(({ from }) => nameOf(from)));
    expect(names).toEqual(new Set(['accepting.depositing', 'accepting.returning', 'issuing']));
    const left = inFlight.filter(({ from, to }) => nameOf(from) !== nameOf(to));
    expect(left.length).toBeGreaterThan(10);
    for (const { event } of left) expect(event.type).toMatch(/^xstate\.(done|error)\.actor\./);
  });

  test('nothing throws, and every context is plain JSON', () => {
    for (const { status, context } of states) {
      expect(status).not.toBe('error');
      expect(JSON.parse(JSON.stringify(context))).toEqual(context);
    }
  });

  test('an effect that fails ends in needsOperator, whatever comes after it', () => {
    const failures = edges.filter(({ event }) => event.type.startsWith('xstate.error.actor.'));
    const sources = new Set(failures.map(({ from }) => nameOf(from)));
    for (const name of Object.keys(OUTCOMES)) expect(sources).toContain(name);
    for (const { from, to } of failures) {
      // A slot that did not close says nothing about notes that are in the box.
      if (nameOf(from) === 'closing' && nameOf(to) === 'issuing') continue;
      expect(to.context.end).toBe('needsOperator');
    }
    for (const { from, to } of edges) {
      if (from.context.end === 'needsOperator') expect(to.context.end).toBe('needsOperator');
    }
  });

  test('what is in the box is always issued, and nothing else is', () => {
    const closings = edges.filter(
      ({ from, to }) => nameOf(from) === 'closing' && nameOf(to) !== 'closing',
    );
    expect(closings.length).toBeGreaterThan(10);
    for (const { from, to } of closings) {
      const some = (from.context.total?.notes ?? 0) > 0;
      expect(nameOf(to) === 'issuing').toBe(some);
    }
    const issues = edges.filter(({ from, to }) => nameOf(to) === 'issuing' && from !== to);
    for (const { from } of issues) expect(['closing', 'issuing']).toContain(nameOf(from));
  });

  test('a session that took nothing ends cancelled', () => {
    const ends = edges.filter(
      ({ from, event }) => nameOf(from) === 'closing' && event.type.startsWith('xstate.done'),
    );
    for (const { from, to } of ends) {
      if (from.context.end === null && (from.context.total?.notes ?? 0) === 0) {
        expect(to.context.end).toBe('cancelled');
      }
    }
  });

  test('every ended session says how', () => {
    const over = states.filter((snapshot) => ['done', 'left'].includes(nameOf(snapshot)));
    for (const { context } of over) expect(context.end).not.toBeNull();
    for (const snapshot of states.filter(({ status }) => status === 'done')) {
      expect(snapshot.output).toEqual({ end: snapshot.context.end });
    }
  });

  test('notes are taken in two states only', () => {
    const taking = new Set(states.filter((one) => one.hasTag('takesNotes')).map(nameOf));
    expect(taking).toEqual(new Set(['accepting.arming', 'accepting.idle']));
  });
});

/** The state after these events; an effect's outcome is written as `done: outcome`. */
function moved(start: Snapshot, ...events: (AnyEvent | { readonly done: unknown })[]): Snapshot {
  return events.reduce((snapshot: Snapshot, event) => {
    if (!('done' in event)) return step(snapshot, event);
    return step(snapshot, {
      type: `xstate.done.actor.${invoked(snapshot)[0]}`,
      output: event.done,
    });
  }, start);
}

describe('a note that comes early', () => {
  const quoted = { done: { kind: 'quoted', transactionId: ID, terms: TERMS } };
  const armed = { done: { kind: 'armed', terms: TERMS, notice: null } };
  const note = (value: number) => ({ type: 'note.escrowed', value: dollars(value) });
  const fits = { done: { kind: 'fits' } };
  const deposited = { done: { kind: 'deposited', total: TOTAL } };

  test('is judged at once while the slot is still being told its values', () => {
    const snapshot = moved(START, quoted, note(20));
    expect(nameOf(snapshot)).toBe('accepting.escrowed');
    expect(snapshot.context).toMatchObject({ current: 2_000, escrowed: null });
  });

  test('keeps its turn while the last one is booked', () => {
    const booking = moved(START, quoted, armed, note(20), fits, note(50));
    expect(nameOf(booking)).toBe('accepting.depositing');
    expect(booking.context).toMatchObject({ current: 2_000, escrowed: 5_000 });
    const next = moved(booking, deposited);
    expect(nameOf(next)).toBe('accepting.escrowed');
    expect(next.context).toMatchObject({ current: 5_000, escrowed: null, total: TOTAL });
  });

  test('that goes back by itself is forgotten', () => {
    const snapshot = moved(START, quoted, armed, note(20), { type: 'note.returned' });
    expect(nameOf(snapshot)).toBe('accepting.arming');
    expect(snapshot.context).toMatchObject({
      current: null,
      escrowed: null,
      notice: { code: 'noteReturned' },
    });
  });

  test('finishing waits until there is something to issue, cancelling until there is not', () => {
    const idle = moved(START, quoted, armed);
    expect(nameOf(moved(idle, { type: 'customer.finished' }))).toBe('accepting.idle');
    expect(nameOf(moved(idle, { type: 'customer.cancelled' }))).toBe('closing');
    const one = moved(idle, note(20), fits, deposited);
    expect(nameOf(moved(one, { type: 'customer.cancelled' }))).toBe('accepting.arming');
    expect(nameOf(moved(one, { type: 'customer.finished' }))).toBe('closing');
  });

  test('a refused one says why until it is back, and is never deposited', () => {
    const back = moved(START, quoted, armed, note(100), {
      done: { kind: 'refused', notice: NOTICE },
    });
    expect(nameOf(back)).toBe('accepting.returning');
    expect(nameOf(moved(back, { type: 'note.returned' }))).toBe('accepting.returning');
    const idle = moved(back, { type: 'note.returned' }, { done: { kind: 'returned' } }, armed);
    expect(nameOf(idle)).toBe('accepting.idle');
    expect(idle.context).toMatchObject({ notice: NOTICE, total: { notes: 0 } });
  });
});

test('without its effects the machine ends in needsOperator', async () => {
  const actor = createActor(cashInMachine, { input: DEPOSIT });
  actor.start();
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
  expect(nameOf(actor.getSnapshot())).toBe('done');
  expect(actor.getSnapshot().context.end).toBe('needsOperator');
  actor.stop();
});

/** A customer at the real machine: real effects, devices, wallet and disk. */
async function session(rig: CashInRig, input: CashInInput = DEPOSIT) {
  const machine = cashInMachine.provide({ actors: cashInActors(rig.parts, rig.withdraws) });
  const timers = new Map<number, () => void>();
  let last = 0;
  const actor = createActor(machine, {
    input,
    clock: {
      setTimeout: (task: () => void, delayMs: number) => {
        timers.set(++last, rig.clock.after(delayMs, task));
        return last;
      },
      clearTimeout: (id: number) => timers.get(id)?.(),
    },
  });
  const context = (): CashInContext => actor.getSnapshot().context;
  const at = () => nameOf(actor.getSnapshot());
  const reach = (name: string, limitMs?: number) => rig.clock.until(() => at() === name, limitMs);
  actor.start();
  return { actor, context, at, reach, id: () => context().transactionId ?? ID };
}

/** Inserts a note and waits until it is booked. */
async function put(rig: CashInRig, one: Awaited<ReturnType<typeof session>>, value: number) {
  await rig.clock.advance(1_500);
  const before = one.context().total?.notes ?? 0;
  rig.insert(value);
  await rig.clock.until(() => one.context().total?.notes === before + 1);
}

describe('a whole session', () => {
  test('two notes, a link, claimed', async () => {
    const rig = await new CashInRig().ready();
    const one = await session(rig);
    await one.reach('accepting.idle');
    await put(rig, one, 50);
    await put(rig, one, 50);
    expect(one.context().total).toMatchObject({ notes: 2, fiat: 10_000, principal: 82_386 });
    await one.reach('accepting.idle');
    one.actor.send({ type: 'customer.finished' });
    await one.reach('offering');
    expect(() => rig.insert(1)).toThrow('disabled');
    const lnurl = rig.store.secrets.get(one.id(), 'lnurl')?.reveal() ?? '';
    expect(rig.keeper.claim(lnurl)).toEqual({ ok: true, sats: 75_795 });
    await one.reach('done');
    expect(one.context().end).toBe('claimed');
    await one.reach('left');
    expect(one.actor.getSnapshot().output).toEqual({ end: 'claimed' });
    expect(rig.booked()).toEqual(rig.validator.truth().cashbox);
    expect(rig.store.verify().problems).toEqual([]);
    expect(rig.validator.violations()).toEqual([]);
  });

  test('a customer who walks away gets what was deposited issued', async () => {
    const rig = await new CashInRig().ready();
    const one = await session(rig);
    await one.reach('accepting.idle');
    await put(rig, one, 20);
    await one.reach('offering', 70_000);
    await one.reach('done', 700_000);
    expect(one.context().end).toBe('unclaimed');
    expect(rig.store.secrets.get(one.id(), 'lnurl')).toBeDefined();
    expect(rig.store.secrets.get(one.id(), 'claimCode')).toBeDefined();
    one.actor.send({ type: 'customer.dismissed' });
    expect(one.at()).toBe('left');
    // The five words bring the same link back.
    const again = await session(rig, { kind: 'claim', transactionId: one.id() });
    await again.reach('offering');
    again.actor.send({ type: 'customer.dismissed' });
    await again.reach('done');
    expect(rig.keeper.books().withdrawLinks).toHaveLength(1);
  });

  test('nobody who inserts nothing has a transaction left', async () => {
    const rig = await new CashInRig().ready();
    const one = await session(rig);
    await one.reach('accepting.idle');
    await one.reach('done', 70_000);
    expect(one.context().end).toBe('cancelled');
    expect(rig.store.transactions.listOpen()).toEqual([]);
  });

  test('a closed machine says so', async () => {
    const rig = await new CashInRig({ limits: { max_cash_in_sats: 0 } }).ready();
    const one = await session(rig);
    await one.reach('done');
    expect(one.context()).toMatchObject({ end: 'closed', notice: { code: 'limit' } });
  });

  test('a note over the cap goes back and the session goes on', async () => {
    const rig = await new CashInRig().ready();
    const one = await session(rig);
    await one.reach('accepting.idle');
    rig.insert(100);
    rig.operatorCap = 20_000;
    await one.reach('accepting.returning');
    await one.reach('accepting.idle');
    expect(one.context().notice?.code).toBe('overCap');
    expect(rig.validator.truth()).toMatchObject({ cashbox: {}, customer: { '100': 1 } });
    await put(rig, one, 20);
    expect(rig.booked()).toEqual({ '20': 1 });
  });

  test('refused and returned notes are said in words', async () => {
    const rig = await new CashInRig().ready();
    const one = await session(rig);
    await one.reach('accepting.idle');
    rig.fault('reject', 0x71);
    rig.insert(20);
    await rig.clock.until(() => one.context().notice?.code.startsWith('refused.') === true);
    expect(one.context().notice?.text).toBe('The note went in askew. Please try again.');
    await rig.clock.advance(2_000);
    rig.fault('reject', 0x75);
    rig.insert(20);
    await rig.clock.until(() => one.context().notice?.code === 'refused.conveying', 5_000);
    expect(one.context().notice?.text).toContain('came back');
    await rig.clock.advance(2_000);
    // The validator's own escrow time runs out while the wallet is asked.
    rig.keeper.switches.silent = true;
    await rig.clock.advance(57_500);
    rig.fault('escrowTimeout', 300);
    rig.insert(20);
    await rig.clock.until(() => one.context().notice?.code === 'noteReturned');
    expect(rig.validator.truth()).toMatchObject({ cashbox: {}, customer: { '20': 3 } });
    expect(rig.store.intents.listOpen()).toEqual([]);
  });

  test('a power cut under way keeps what was deposited, and asks for the operator', async () => {
    const rig = await new CashInRig().ready();
    const one = await session(rig);
    await one.reach('accepting.idle');
    await put(rig, one, 50);
    await rig.clock.advance(1_500);
    rig.fault('powerCutAtStack');
    rig.insert(20);
    await one.reach('offering');
    expect(one.context()).toMatchObject({ end: 'needsOperator', notice: { code: 'noteUnknown' } });
    expect(rig.obligations(one.id())).toEqual(['noteUnknown']);
    rig.keeper.claim(rig.store.secrets.get(one.id(), 'lnurl')?.reveal() ?? '');
    await one.reach('done');
    expect(one.context().end).toBe('needsOperator');
    expect(rig.booked()).toEqual({ '50': 1 });
  });

  test('a cash box that is taken out ends the taking, and what is in counts', async () => {
    const rig = await new CashInRig().ready();
    const one = await session(rig);
    await one.reach('accepting.idle');
    await put(rig, one, 50);
    await one.reach('accepting.idle');
    await rig.clock.advance(2_000);
    rig.validator.control({ do: 'cashbox', present: false });
    await one.reach('offering', 40_000);
    expect(one.context()).toMatchObject({ end: null, notice: { code: 'acceptorLost' } });
  });

  test('a refused withdraw is owed', async () => {
    const rig = await new CashInRig().ready();
    const one = await session(rig);
    await one.reach('accepting.idle');
    await put(rig, one, 20);
    rig.keeper.setMaxCashInSats(100);
    await one.reach('accepting.idle');
    one.actor.send({ type: 'customer.finished' });
    await one.reach('done');
    expect(one.context()).toMatchObject({ end: 'owed', notice: { code: 'withdrawRefused' } });
    expect(rig.obligations(one.id())).toEqual(['withdrawRefused']);
  });

  test('a validator that pauses and goes on ends nothing', async () => {
    const rig = await new CashInRig().ready();
    const subscribe = rig.acceptor.subscribe.bind(rig.acceptor);
    type Listener = Parameters<typeof subscribe>[0];
    const listeners: Listener[] = [];
    Object.assign(rig.acceptor, {
      subscribe: (listener: Listener) => {
        listeners.push(listener);
        return subscribe(listener);
      },
    });
    const one = await session(rig);
    await one.reach('accepting.idle');
    const status = rig.acceptor.status();
    for (const listener of listeners) listener({ kind: 'status.changed', status });
    expect([status.device, status.cashBox]).toEqual(['ready', 'ok']);
    expect(one.at()).toBe('accepting.idle');
    const full = { ...status, cashBox: 'full' } as const;
    for (const listener of listeners) listener({ kind: 'status.changed', status: full });
    expect(one.at()).toBe('closing');
  });

  test('fraud and stray credits are the operator’s, not the session’s', async () => {
    const rig = await new CashInRig().ready();
    const one = await session(rig);
    await one.reach('accepting.idle');
    rig.fault('cheat');
    rig.insert(20);
    await one.reach('done', 60_000);
    expect(rig.lines.join('')).toContain('acceptor news for the operator');
    expect(rig.booked()).toEqual({});
  });
});
