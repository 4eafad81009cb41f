import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type FlagName, has } from '#hal/ebds/commands.ts';
import {
  advance,
  type DialogueInput,
  emptyDialogue,
  isUnconfirmed,
  mayStillSend,
  type NoteDialogue,
  type StatusInput,
} from '#hal/ebds/dialogue.ts';
import { isNoteNamed, statusValue } from '#hal/ebds/models.ts';
import { ANY_TIME, type Dialogue, depositAfter, expectLaws, type Words } from '../note-laws.ts';
import { type MadeStatus, statusOf } from './replies.ts';

/** A status as the driver hands it on, from a device that describes notes. */
function said(made: MadeStatus, { inService = true, isIdentifying = false } = {}): StatusInput {
  const status = statusOf(made);
  return {
    kind: 'status',
    status,
    inService,
    isIdentifying,
    isNamed: isNoteNamed(status, 'cashflow-sc'),
    value: statusValue(status, 'cashflow-sc', 'USD'),
  };
}

const TWENTY = 'USD020+00';
const ONE = 'USD001+00';
const escrow = said({ state: ['escrowed'], note: TWENTY });
const stacked = said({ state: ['idling', 'stacked'], note: TWENTY });
const idle = said({ state: ['idling'] });

const statusInput = fc
  .record({
    state: fc.oneof(
      fc.constantFrom<readonly FlagName[]>(
        ...([['idling'], ['accepting'], ['escrowed'], ['stacking'], ['returning']] as const),
        ...([
          ['idling', 'stacked'],
          ['escrowed', 'stacked'],
          ['accepting', 'returned'],
        ] as const),
        ...([
          ['idling', 'returned'],
          ['idling', 'rejected'],
          ['powerUp', 'idling'],
        ] as const),
        ...([['jammed'], ['cheated', 'idling'], ['failure'], [], ['powerUp', 'stacking']] as const),
      ),
      fc.subarray<FlagName>(['idling', 'accepting', 'escrowed', 'stacked', 'returned', 'powerUp']),
    ),
    isBoxOut: fc.boolean(),
    note: fc.constantFrom(TWENTY, ONE, 'EUR020+00', '', undefined),
    channel: fc.constantFrom(0, 3),
    inService: fc.boolean(),
    isIdentifying: fc.boolean(),
  })
  .map(({ state, isBoxOut, note, channel, ...how }) =>
    said({ state, isBoxOut, channel, ...(note === undefined ? {} : { note }) }, how),
  );

const dialogue: Dialogue<NoteDialogue, DialogueInput> = {
  empty: emptyDialogue,
  advance,
  mayStillSend,
};
const words: Words<NoteDialogue, StatusInput> = {
  // A note on its way in, seen when nothing waits to be written down, is another one.
  isNext: ({ status, isIdentifying }, _before, after) => {
    if (isIdentifying || isUnconfirmed(after) || after.note?.stackSent === true) return false;
    return has(status, 'accepting') || has(status, 'escrowed');
  },
  isCredit: ({ status }) => has(status, 'stacked'),
};

test('whatever is said: one stack bit and one credit for each note, one end for each wait', () => {
  const any = fc.oneof({ weight: 4, arbitrary: statusInput }, fc.constantFrom(...ANY_TIME));
  const script = fc.array(any, { maxLength: 60 });
  fc.assert(
    fc.property(script, (inputs) => expectLaws(dialogue, words, inputs)),
    { numRuns: 2000 },
  );
});

const stackSent: DialogueInput = { kind: 'sent', command: 'stack' };
const stacking = said({ state: ['stacking'] });
const late: DialogueInput = { kind: 'late', reason: 'no end' };
const blank = said({ state: ['idling', 'stacked'], note: '' });
const numbered = said({ state: ['idling', 'stacked'], channel: 5 });
const other = said({ state: ['idling', 'stacked'], note: ONE });
const foreign = said({ state: ['idling', 'stacked'], note: 'EUR020+00' });

test.each([
  ['credit', 'deposited', [stackSent, stacking, stacked]],
  ['credit, all else missed', 'deposited', [stackSent, stacked]],
  ['credit that names a number only', 'deposited', [stackSent, numbered]],
  [
    'credit together with power-up',
    'deposited',
    [stackSent, said({ state: ['powerUp', 'stacked'], note: TWENTY })],
  ],
  [
    'credit with the cash box just out',
    'deposited',
    [stackSent, said({ state: ['stacked'], note: TWENTY, isBoxOut: true })],
  ],
  ['credit of nothing', 'unknown', [stackSent, blank]],
  ['credit of another note', 'unknown', [stackSent, other]],
  ['credit of another currency', 'unknown', [stackSent, foreign]],
  ['rest and nothing else', 'unknown', [stackSent, idle]],
  ['the next note without credit', 'unknown', [stackSent, said({ state: ['accepting'] })]],
  ['another note in escrow', 'unknown', [stackSent, said({ state: ['escrowed'], note: ONE })]],
  ['given back before the stack bit left', 'returned', [said({ state: ['returning'] }), idle]],
  ['gone before the stack bit left', 'returned', [idle]],
  ['said to be returned', 'returned', [stackSent, said({ state: ['idling', 'returned'] })]],
  ['said to be rejected', 'returned', [stackSent, said({ state: ['idling', 'rejected'] })]],
  ['seen going back', 'returned', [stackSent, said({ state: ['returning'] }), idle]],
  ['a jam', 'unknown', [stackSent, said({ state: ['jammed'] })]],
  ['a failure', 'unknown', [stackSent, said({ state: ['failure'] })]],
  ['a stall', 'unknown', [stackSent, said({ state: ['stalled'] })]],
  ['the cash box out', 'unknown', [stackSent, said({ state: [], isBoxOut: true })]],
  ['the note path opened', 'unknown', [stackSent, said({ state: ['transportOpen'] })]],
  ['a cheat', 'unknown', [stackSent, said({ state: ['stacking', 'cheated'] })]],
  ['power-up', 'unknown', [stackSent, said({ state: ['idling', 'powerUp'] })]],
  [
    'power-up in escrow',
    'unknown',
    [stackSent, said({ state: ['escrowed', 'powerUp'], note: TWENTY })],
  ],
  [
    'a pause, and then the credit',
    'deposited',
    [stackSent, said({ state: ['stacking', 'paused'] }), stacked],
  ],
  [
    'out of service for a while, then the credit',
    'deposited',
    [stackSent, said({ state: [] }), stacked],
  ],
  ['nothing yet', undefined, [stackSent, stacking, escrow, late]],
] as const)('a deposit that ends with %s is %s', (_end, outcome, inputs) => {
  expect(depositAfter(dialogue, escrow, inputs)).toBe(outcome);
});

test('a credit that contradicts escrow is a note in the box of which nobody knows the value', () => {
  let state = advance(emptyDialogue, escrow).state;
  for (const input of [{ kind: 'deposit' }, stackSent] as const)
    state = advance(state, input).state;
  expect(advance(state, other).effects).toMatchObject([
    { kind: 'ended', outcome: { kind: 'unknown' } },
    { kind: 'tell', event: { kind: 'credit.unexpected', value: undefined } },
  ]);
  expect(advance(emptyDialogue, other).effects).toEqual([
    { kind: 'tell', event: { kind: 'credit.unexpected', value: 100 } },
  ]);
});

test('a stack bit that had no effect is not sent again: the note is asked back', () => {
  let state = advance(emptyDialogue, escrow).state;
  for (const input of [{ kind: 'deposit' }, stackSent, escrow] as const) {
    state = advance(state, input).state;
  }
  expect(mayStillSend(state, 'stack')).toBe(false);
  expect(advance(state, late).effects).toEqual([{ kind: 'send', command: 'return' }]);
});

test('a note of no configured kind is never announced: it goes back, and is refused', () => {
  const first = advance(emptyDialogue, said({ state: ['escrowed'], note: 'EUR020+00' }));
  expect(first.effects).toEqual([
    { kind: 'tell', event: { kind: 'note.inserted' } },
    { kind: 'send', command: 'return' },
  ]);
  expect(mayStillSend(first.state, 'stack')).toBe(false);
  const sent = advance(first.state, { kind: 'sent', command: 'return' });
  const back = advance(sent.state, said({ state: ['idling', 'returned'] }));
  expect(back.effects).toEqual([
    { kind: 'tell', event: { kind: 'note.refused', reason: 'other', code: 'd0.6' } },
  ]);
});

test('escrow that is told with no room for a note waits for the next poll', () => {
  const unnamed = said({ state: ['escrowed'] });
  expect(advance(emptyDialogue, unnamed).effects).toEqual([]);
  const known = advance(emptyDialogue, escrow).state;
  expect(advance(known, unnamed).effects).toEqual([]);
  expect(advance(known, unnamed).state.note).toEqual(known.note);
});

test('a credit is told once: at once in service, else to who initialises', () => {
  const before = advance(emptyDialogue, { ...stacked, inService: false });
  expect(before.effects).toEqual([]);
  expect(before.state.credit).toBe('pending');
  const told = advance(before.state, { kind: 'creditTold' }).state;
  expect(advance(told, stacked).effects).toEqual([]);
  const confirmed = advance(told, { kind: 'creditConfirmed' }).state;
  expect(advance(confirmed, stacked).effects).toEqual([]);
  const next = advance(confirmed, said({ state: ['accepting'] })).state;
  expect(advance(next, stacked).effects).toHaveLength(1);
});
