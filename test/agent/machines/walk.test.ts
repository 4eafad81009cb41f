/**
 * The three machines walked whole (house-style, "Tests"): every state, every transition, every
 * event
 * in every state. An event that a state drops, be it in one context alone, has to be judged here.
 */
import { describe, expect, test } from 'vitest';
import { cashInMachine } from '#agent/machines/cash-in.ts';
import { cashOutMachine } from '#agent/machines/cash-out.ts';
import { spireMachine } from '#agent/machines/spire.ts';
import { type AnyEvent, type Walk, walk } from './walk.ts';

/** Why an event may be dropped, and in which states. */
interface Judgement {
  readonly why: string;
  readonly in: Readonly<Record<string, string>>;
}

const ID = 'a'.repeat(32);
const NOTICE = { code: 'some', text: 'Some notice.' };
const TERMS = { rate: 9_711_700, feeFraction: 0.08, capSats: null, accepted: [2_000] };
const TOTAL = { notes: 1, fiat: 2_000, principal: 16_000, fee: 1_280, net: 14_720 };
const unit = (position: number, count: number) => ({ position, count });
const PLAN = { transactionId: ID, ordinal: 1, batches: [[unit(1, 2)], [unit(3, 1)]] };

const NOTE_OUTCOMES = [
  { kind: 'deposited', total: TOTAL },
  { kind: 'returned' },
  { kind: 'returned', notice: NOTICE },
  { kind: 'unknown', notice: NOTICE },
];

const cashIn: Walk = {
  machine: cashInMachine,
  inputs: [{ kind: 'deposit' }, { kind: 'claim', transactionId: ID }],
  events: [
    { type: 'customer.finished' },
    { type: 'customer.cancelled' },
    { type: 'customer.dismissed' },
    { type: 'note.inserted' },
    { type: 'note.escrowed', value: 2_000 },
    { type: 'note.returned' },
    { type: 'note.refused', notice: NOTICE },
    { type: 'acceptor.lost', notice: NOTICE },
  ],
  outcomes: {
    quote: [
      { kind: 'quoted', transactionId: ID, terms: TERMS },
      { kind: 'closed', notice: NOTICE },
    ],
    arm: [
      { kind: 'armed', terms: TERMS, notice: null },
      { kind: 'armed', terms: TERMS, notice: NOTICE },
      { kind: 'failed', notice: NOTICE },
    ],
    disarm: [undefined],
    judge: [{ kind: 'fits' }, { kind: 'refused', notice: NOTICE }],
    deposit: NOTE_OUTCOMES,
    returnNote: NOTE_OUTCOMES,
    issue: [{ kind: 'issued' }, { kind: 'owed', notice: NOTICE }],
    awaitClaim: [undefined],
    conclude: [undefined],
  },
};

const cashOut: Walk = {
  machine: cashOutMachine,
  inputs: [{ kind: 'sale' }, { kind: 'redeem', transactionId: ID, obligationId: ID }],
  events: [
    { type: 'amount.chosen', amount: 2_000 },
    { type: 'customer.cancelled' },
    { type: 'customer.dismissed' },
  ],
  outcomes: {
    reserve: [
      { kind: 'reserved', plan: PLAN },
      { kind: 'refused', notice: NOTICE },
    ],
    redeem: [
      { kind: 'reserved', plan: PLAN },
      { kind: 'refused', notice: NOTICE },
    ],
    invoice: [
      { kind: 'invoiced', expiresAtUnixMs: 1 },
      { kind: 'refused', notice: NOTICE },
    ],
    awaitPayment: [
      { kind: 'paid' },
      { kind: 'expired', notice: NOTICE },
      { kind: 'held', notice: NOTICE },
    ],
    dispense: [
      { kind: 'exact', units: [unit(1, 2)] },
      { kind: 'short', units: [], next: { ...PLAN, ordinal: 2, batches: [[unit(3, 1)]] } },
      { kind: 'remainder', units: [], remainderMinor: 2_000, notice: NOTICE },
      { kind: 'remainder', units: [unit(1, 1)], remainderMinor: 2_000, notice: NOTICE },
      { kind: 'unknown', units: [], notice: NOTICE },
    ],
    present: [{ kind: 'taken' }, { kind: 'notTaken', notice: NOTICE }],
    conclude: [undefined],
  },
};

const reasons = (openIn: boolean, openOut: boolean): AnyEvent => ({
  type: 'reasons.changed',
  open: { cashIn: openIn, cashOut: openOut },
});
const spire: Walk = {
  machine: spireMachine,
  inputs: [undefined],
  events: [
    ...[reasons(true, true), reasons(true, false), reasons(false, true), reasons(false, false)],
    ...[
      { kind: 'cashIn' },
      { kind: 'cashOut' },
      { kind: 'claimSats', transactionId: ID },
      { kind: 'claimCash', transactionId: ID, obligationId: ID },
    ].map((opening) => ({ type: 'session.opened', opening })),
    { type: 'agent.stopped' },
    { type: 'amount.chosen', amount: 2_000 },
    { type: 'customer.finished' },
    { type: 'customer.cancelled' },
    { type: 'customer.dismissed' },
  ],
  outcomes: {
    recover: [undefined],
    tidyUp: [undefined],
    cashIn: [{ end: 'claimed' }],
    cashOut: [{ end: 'dispensed' }],
  },
};

const PRESS_WHY =
  'The screen has no such button now. The desk asks `can` first and answers `sequenceError`, so ' +
  'that whoever pressed is told.';
const IN_FLIGHT_WHY =
  'Only the device or the wallet ends what is on its way (design 5): a press is answered with ' +
  '`sequenceError` and changes nothing.';

const cashInJudgements: readonly Judgement[] = [
  {
    why: PRESS_WHY,
    in: {
      quoting: 'customer.finished customer.cancelled customer.dismissed',
      'accepting.arming': 'customer.dismissed',
      'accepting.idle': 'customer.dismissed',
      'accepting.escrowed': 'customer.finished customer.cancelled customer.dismissed',
      closing: 'customer.finished customer.cancelled customer.dismissed',
      offering: 'customer.finished customer.cancelled',
      concluding: 'customer.finished customer.cancelled customer.dismissed',
      done: 'customer.finished customer.cancelled',
    },
  },
  {
    why: 'Nothing is finished without a note, and nothing cancelled that holds one: by guard.',
    in: {
      'accepting.arming': 'customer.finished customer.cancelled',
      'accepting.idle': 'customer.finished customer.cancelled',
    },
  },
  {
    why: IN_FLIGHT_WHY,
    in: {
      'accepting.depositing': 'customer.finished customer.cancelled customer.dismissed',
      'accepting.returning': 'customer.finished customer.cancelled customer.dismissed',
      issuing: 'customer.finished customer.cancelled customer.dismissed',
    },
  },
  {
    why: 'It only starts the idle time anew, and no idle time runs here.',
    in: {
      'accepting.arming': 'note.inserted',
      'accepting.escrowed': 'note.inserted',
      'accepting.depositing': 'note.inserted',
      'accepting.returning': 'note.inserted',
    },
  },
  {
    why:
      'Whoever holds the note finds the validator gone and says what came of the note; the next ' +
      'arming fails and closes the session.',
    in: {
      'accepting.escrowed': 'acceptor.lost',
      'accepting.depositing': 'acceptor.lost',
      'accepting.returning': 'acceptor.lost',
    },
  },
  {
    why:
      'The news is listened to in `accepting` alone. A note that comes to escrow while the slot is ' +
      'closed goes back by `disarm`, and outside of `closing` by the device watch.',
    in: Object.fromEntries(
      ['quoting', 'closing', 'issuing', 'offering', 'concluding', 'done'].map((state) => [
        state,
        'note.inserted note.escrowed note.returned note.refused acceptor.lost',
      ]),
    ),
  },
];

const cashOutJudgements: readonly Judgement[] = [
  {
    why: PRESS_WHY,
    in: {
      choosing: 'customer.dismissed',
      reserving: 'amount.chosen customer.cancelled customer.dismissed',
      invoicing: 'amount.chosen customer.cancelled customer.dismissed',
      awaitingPayment: 'amount.chosen customer.dismissed',
      concluding: 'amount.chosen customer.cancelled customer.dismissed',
      done: 'amount.chosen customer.cancelled',
    },
  },
  {
    why: IN_FLIGHT_WHY,
    in: {
      redeeming: 'amount.chosen customer.cancelled customer.dismissed',
      dispensing: 'amount.chosen customer.cancelled customer.dismissed',
      presenting: 'amount.chosen customer.cancelled customer.dismissed',
    },
  },
];

const spireJudgements: readonly Judgement[] = [
  {
    why: 'A press without a session, or of the other kind of session; the desk refuses it.',
    in: {
      recovering: 'amount.chosen customer.finished customer.cancelled customer.dismissed',
      failed: 'amount.chosen customer.finished customer.cancelled customer.dismissed',
      outOfService: 'amount.chosen customer.finished customer.cancelled customer.dismissed',
      'inService.idle': 'amount.chosen customer.finished customer.cancelled customer.dismissed',
      'inService.cashIn': 'amount.chosen',
      'inService.cashOut': 'customer.finished',
    },
  },
  {
    why:
      'Nobody is served before the recovery is over, after one that failed, where a direction is ' +
      'closed, or beside another.',
    in: {
      recovering: 'session.opened',
      failed: 'session.opened',
      outOfService: 'session.opened',
      'inService.idle': 'session.opened',
      'inService.cashIn': 'session.opened',
      'inService.cashOut': 'session.opened',
    },
  },
  {
    why:
      'A stop waits for money in flight, and then ends the machine itself; what a session leaves ' +
      'open is settled by the next start.',
    in: { 'inService.cashIn': 'agent.stopped', 'inService.cashOut': 'agent.stopped' },
  },
  {
    why: 'Nothing waits for it. Where it fails, the disk has failed: the program ends and recovers.',
    in: {
      outOfService: 'tidyUp done, tidyUp failed',
      'inService.idle': 'tidyUp done, tidyUp failed',
    },
  },
];

function pairsOf(judgements: readonly Judgement[]): readonly string[] {
  return judgements.flatMap((judgement) =>
    Object.entries(judgement.in).flatMap(([state, events]) =>
      (events.includes(',') ? events.split(', ') : events.split(' ')).map(
        (event) => `${state} ${event}`,
      ),
    ),
  );
}

describe.each([
  {
    name: 'cash-in',
    what: cashIn,
    judgements: cashInJudgements,
    inFlight: ['deposit', 'returnNote', 'issue'],
  },
  {
    name: 'cash-out',
    what: cashOut,
    judgements: cashOutJudgements,
    inFlight: ['redeem', 'dispense', 'present'],
  },
  { name: 'spire', what: spire, judgements: spireJudgements, inFlight: [] },
])('the $name machine, walked whole', ({ what, judgements, inFlight }) => {
  const walked = walk(what);

  test('every transition is taken', () => {
    const missed = [...walked.transitions].filter(([, isTaken]) => !isTaken);
    expect(missed).toEqual([]);
  });

  test('every state is reached, or passed through at once', () => {
    for (const { state, isRestingPlace } of walked.all) {
      expect([state, walked.states.has(state)]).toEqual([state, isRestingPlace]);
    }
  });

  test('every event is given in every state', () => {
    const resting = [...walked.states].filter((state) => !walked.finals.has(state));
    const types = new Set(what.events.map(({ type }) => type));
    for (const state of resting) {
      for (const type of types) expect(walked.given).toContain(`${state} ${type}`);
    }
  });

  test('what a state drops is judged, and nothing else is', () => {
    expect([...walked.dropped].sort()).toEqual([...pairsOf(judgements)].sort());
  });

  test('what is in flight is ended by its effect alone', () => {
    const ends = inFlight.flatMap((effect) => [`${effect} done`, `${effect} failed`]);
    expect([...walked.endingsInFlight].sort()).toEqual(ends.sort());
  });
});
