/** What events mean for a note, for every order of events that there could be. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type EventName, events } from '#hal/ssp/commands.ts';
import { advance, mayPoll, mayReject } from '#hal/ssp/dialogue.ts';
import {
  type DialogueEffect,
  type DialogueInput,
  emptyDialogue,
  type NoteDialogue,
  type ToldEvent,
} from '#hal/ssp/inside.ts';
import { minorUnits } from '#protocol/base/money.ts';

const VALUE = minorUnits(2000);

const told = (name: EventName, channel?: number): ToldEvent => ({
  name,
  channel: events[name].body === 'channel' ? (channel ?? 5) : undefined,
  value: events[name].body === 'channel' && channel !== 0 && channel !== 9 ? VALUE : undefined,
});

const polled = (...said: ToldEvent[]): DialogueInput => ({
  kind: 'polled',
  events: said,
  inService: true,
  acks: true,
});

/** Runs inputs; gives the last state and all effects. */
function run(...inputs: DialogueInput[]): { state: NoteDialogue; effects: DialogueEffect[] } {
  let state = emptyDialogue;
  const effects: DialogueEffect[] = [];
  for (const input of inputs) {
    const step = advance(state, input);
    state = step.state;
    effects.push(...step.effects);
  }
  return { state, effects };
}

const outcomesOf = (effects: readonly DialogueEffect[]) =>
  effects.flatMap((effect) => (effect.kind === 'ended' ? [effect.outcome.kind] : []));

const READ = polled(told('read', 0));
const ESCROW = polled(told('read', 5));
const DEPOSIT: readonly DialogueInput[] = [{ kind: 'deposit' }, { kind: 'pollSent' }];

test.each([
  ['credit', [polled(told('stacking')), polled(told('credit'), told('stacking'))], 'deposited'],
  ['credit and stacked at once', [polled(told('credit'), told('stacked'))], 'deposited'],
  ['credit, then a jam in the same answer', [polled(told('credit'), told('safeJam'))], 'deposited'],
  [
    'a jam, then its credit in the same answer',
    [polled(told('safeJam'), told('credit'))],
    'deposited',
  ],
  ['rejected', [polled(told('rejecting')), polled(told('rejected'))], 'returned'],
  [
    'cleared to the cash box after a reset',
    [polled(told('slaveReset'), told('clearedToCashbox', 0))],
    'deposited',
  ],
  [
    'cleared from the front after a reset',
    [polled(told('slaveReset'), told('clearedFromFront'))],
    'returned',
  ],
  ['stacked without a credit', [polled(told('stacking')), polled(told('stacked'))], 'unknown'],
  ['a reset alone', [polled(told('slaveReset'), told('disabled'))], 'unknown'],
  ['a safe jam', [polled(told('safeJam'), told('disabled'))], 'unknown'],
  ['an unsafe jam', [polled(told('unsafeJam'))], 'unknown'],
  ['a fraud attempt', [polled(told('fraudAttempt'))], 'unknown'],
  ['silence', [{ kind: 'gaveUp', reason: 'the device does not answer' }], 'unknown'],
] as const)('a deposit that ends in %s', (_words, after, kind) => {
  expect(outcomesOf(run(READ, ESCROW, ...DEPOSIT, ...after).effects)).toEqual([kind]);
});

test('quiet is no proof where a POLL has accepted the note, and is where none has', () => {
  const quiet = Array.from({ length: 10 }, () => polled());
  expect(outcomesOf(run(ESCROW, ...DEPOSIT, polled(told('stacking')), ...quiet).effects)).toEqual([
    'unknown',
  ]);
  const gone: DialogueInput = { kind: 'held', isHeld: false, inService: true };
  const { effects } = run(ESCROW, { kind: 'return' }, { kind: 'rejectSent' }, gone, ...quiet);
  expect(outcomesOf(effects)).toEqual(['returned']);
});

test('a note of no configured kind, or one that was found, is given back', () => {
  const other = run(polled(told('read', 9)));
  expect(other.effects).toContainEqual({ kind: 'reject' });
  const found = run({ kind: 'held', isHeld: true, inService: true });
  expect(found.effects).toEqual([{ kind: 'reject' }]);
  const before = run({ kind: 'held', isHeld: true, inService: false });
  expect(before.effects).toEqual([]);
  expect(mayPoll(before.state)).toBe(false);
});

test('a deposit that still waits after its bound is asked back, and never polled again', () => {
  const late: DialogueInput = { kind: 'late', reason: 'no end' };
  const { state, effects } = run(ESCROW, ...DEPOSIT, ESCROW, late);
  expect(effects.at(-1)).toEqual({ kind: 'reject' });
  expect(mayPoll(state)).toBe(false);
});

test('the answer that the device repeats is not heard twice', () => {
  const answer = polled(told('credit'), told('stacked'));
  const { state, effects } = run(ESCROW, ...DEPOSIT, answer, answer, answer);
  expect(outcomesOf(effects)).toEqual(['deposited']);
  expect(effects).not.toContainEqual({ kind: 'acknowledge' });
  expect(advance(state, { kind: 'creditConfirmed' }).effects).toEqual([{ kind: 'acknowledge' }]);
});

const anyEvent = fc.tuple(
  fc.constantFrom(...Object.keys(events).filter((name): name is EventName => name in events)),
  fc.constantFrom(0, 5, 9),
);
const anyInput: fc.Arbitrary<DialogueInput> = fc.oneof(
  fc
    .array(anyEvent, { maxLength: 3 })
    .map((list) => polled(...list.map(([name, channel]) => told(name, channel)))),
  fc.constantFrom<DialogueInput>(
    { kind: 'held', isHeld: true, inService: true },
    { kind: 'held', isHeld: false, inService: true },
    { kind: 'deposit' },
    { kind: 'return' },
    { kind: 'release' },
    { kind: 'rejectSent' },
    { kind: 'rejectAnswered', answer: 'done' },
    { kind: 'rejectAnswered', answer: 'refused' },
    { kind: 'late', reason: 'late' },
    { kind: 'gaveUp', reason: 'gave up' },
    { kind: 'creditConfirmed' },
    { kind: 'acknowledged' },
  ),
);

test('whatever comes: no poll for a note that nobody deposits, one end for each decision', () => {
  fc.assert(
    fc.property(fc.array(anyInput, { maxLength: 40 }), (inputs) => {
      let state = emptyDialogue;
      let open = 0;
      let credits = 0;
      let reads = 0;
      for (const input of inputs) {
        const isDecision = input.kind === 'deposit' || input.kind === 'return';
        // As the driver lets decisions in.
        if (isDecision && !(state.note?.announced && mayReject(state))) continue;
        if (isDecision && (state.operation !== 'none' || state.note?.pollSent)) continue;
        if (input.kind === 'rejectSent' && !mayReject(state)) continue;
        if (isDecision) open++;
        if (input.kind === 'polled') {
          if (!mayPoll(state)) continue;
          if (state.note?.inEscrow) {
            expect(state.operation).toBe('deposit');
            state = advance(state, { kind: 'pollSent' }).state;
          }
          reads += input.events.filter(({ name }) => name === 'read').length;
        }
        const step = advance(state, input);
        state = step.state;
        for (const effect of step.effects) {
          if (effect.kind === 'ended') open--;
          const isCredit = effect.kind === 'tell' && effect.event.kind === 'credit.unexpected';
          const isDeposited = effect.kind === 'ended' && effect.outcome.kind === 'deposited';
          if (isCredit || isDeposited) credits++;
        }
        expect(open).toBe(state.operation === 'none' ? 0 : 1);
        // A credit ends only when the next note is read.
        expect(credits).toBeLessThanOrEqual(reads + 1);
        if (state.note?.inEscrow && state.operation !== 'deposit')
          expect(mayPoll(state)).toBe(false);
      }
    }),
    { numRuns: 2000 },
  );
});
