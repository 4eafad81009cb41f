import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type CcnetStatus, type StatusName, statuses } from '#hal/ccnet/commands.ts';
import {
  advance,
  type DialogueInput,
  emptyDialogue,
  mayStillSend,
  type NoteDialogue,
} from '#hal/ccnet/dialogue.ts';
import { minorUnits } from '#protocol/base/money.ts';
import { ANY_TIME, type Dialogue, depositAfter, expectLaws, type Words } from '../note-laws.ts';

type StatusInput = Extract<DialogueInput, { kind: 'status' }>;

const NAMES = Object.keys(statuses).filter((name): name is StatusName => name in statuses);

const VALUES = new Map([
  [0, minorUnits(100)],
  [4, minorUnits(2000)],
]);

const statusInput = fc
  .record({
    name: fc.constantFrom(...NAMES),
    detail: fc.constantFrom(0, 4, 9),
    inService: fc.boolean(),
  })
  .map(({ name, detail, inService }): StatusInput => {
    const status: CcnetStatus = { name, detail: statuses[name].detail ? detail : undefined };
    const value = name === 'escrow' || name === 'billStacked' ? VALUES.get(detail) : undefined;
    return { kind: 'status', status, inService, value };
  });

const dialogue: Dialogue<NoteDialogue, DialogueInput> = {
  empty: emptyDialogue,
  advance,
  mayStillSend,
};
const words: Words<NoteDialogue, StatusInput> = {
  isNext: ({ status: { name } }, before, { note }) => {
    if (name !== 'escrow' && name !== 'holding') return name === 'accepting';
    return note !== before.note && note?.stackSent === false;
  },
  isCredit: ({ status }) => status.name === 'billStacked',
};

test('whatever is said: one STACK and one credit for each note, one end for each operation', () => {
  const any = fc.oneof({ weight: 4, arbitrary: statusInput }, fc.constantFrom(...ANY_TIME));
  const script = fc.array(any, { maxLength: 60 });
  fc.assert(
    fc.property(script, (inputs) => expectLaws(dialogue, words, inputs)),
    { numRuns: 2000 },
  );
});

test('a bar code or an unknown note is never announced: it goes back, and is refused', () => {
  const escrow = advance(emptyDialogue, said('escrow', 9));
  expect(escrow.effects).toEqual([
    { kind: 'tell', event: { kind: 'note.inserted' } },
    { kind: 'send', command: 'return' },
  ]);
  expect(mayStillSend(escrow.state, 'stack')).toBe(false);
  expect(mayStillSend(escrow.state, 'return')).toBe(true);
  const sent = advance(escrow.state, { kind: 'sent', command: 'return' });
  expect(mayStillSend(sent.state, 'return')).toBe(false);
  expect(advance(sent.state, said('escrow', 9)).effects).toEqual([]);
  const back = advance(advance(sent.state, said('returning')).state, said('idling'));
  expect(back.effects).toEqual([
    { kind: 'tell', event: { kind: 'note.refused', reason: 'other', code: '80:09' } },
  ]);
});

const said = (name: StatusName, detail?: number): StatusInput => {
  const value = name === 'escrow' || name === 'billStacked' ? VALUES.get(detail ?? 0) : undefined;
  return { kind: 'status', status: { name, detail }, inService: true, value };
};

const stackSent: DialogueInput = { kind: 'sent', command: 'stack' };
const returnSent: DialogueInput = { kind: 'sent', command: 'return' };
const acknowledged: DialogueInput = { kind: 'answered', acknowledged: true, evidence: 'ACK' };

test.each([
  ['credit', 'deposited', [stackSent, acknowledged, said('stacking'), said('billStacked', 4)]],
  ['credit, all else missed', 'deposited', [stackSent, said('billStacked', 4)]],
  ['credit of an unknown kind', 'unknown', [stackSent, said('billStacked', 9)]],
  ['credit of another kind', 'unknown', [stackSent, said('billStacked', 0)]],
  ['rest and nothing else', 'unknown', [stackSent, acknowledged, said('idling')]],
  ['disabled and nothing else', 'unknown', [stackSent, said('disabled')]],
  ['the next note without credit', 'unknown', [stackSent, said('accepting')]],
  ['given back before STACK left', 'returned', [said('returning'), said('idling')]],
  ['gone before STACK left', 'returned', [said('idling')]],
  ['said to be returned', 'returned', [stackSent, said('billReturned', 4)]],
  ['seen going back', 'returned', [stackSent, said('returning'), said('idling')]],
  ['rejected', 'returned', [stackSent, said('rejecting', 0x64), said('disabled')]],
  ['jam on the way back', 'unknown', [stackSent, said('returning'), said('jamInValidator')]],
  ['jam at the cash box', 'unknown', [stackSent, said('stacking'), said('jamInCassette')]],
  ['RETURN acknowledged', 'returned', [stackSent, returnSent, acknowledged, said('idling')]],
  ['RETURN not acknowledged', 'unknown', [stackSent, returnSent, said('idling')]],
  ['a cheat', 'unknown', [stackSent, said('stacking'), said('cheated')]],
  ['power up, nothing inside', 'unknown', [stackSent, said('powerUp')]],
  ['power up, in validator', 'unknown', [stackSent, said('powerUpInValidator')]],
  ['power up, in stacker', 'unknown', [stackSent, said('powerUpInStacker')]],
  ['a pause, and then the credit', 'deposited', [stackSent, said('pause'), said('billStacked', 4)]],
  ['busy, and then the credit', 'deposited', [stackSent, said('busy', 5), said('billStacked', 4)]],
  ['nothing yet', undefined, [stackSent, said('stacking'), said('busy', 5), said('escrow', 4)]],
] as const)('a deposit that ends with %s is %s', (_end, outcome, inputs) => {
  expect(depositAfter(dialogue, said('escrow', 4), inputs)).toBe(outcome);
});

test('an escrow that is said again brings no second STACK, whoever asks', () => {
  let state = advance(emptyDialogue, said('escrow', 4)).state;
  const first = advance(state, { kind: 'deposit' });
  expect(first.effects).toEqual([{ kind: 'send', command: 'stack' }]);
  expect(mayStillSend(first.state, 'stack')).toBe(true);
  state = advance(first.state, stackSent).state;
  expect(advance(state, said('escrow', 4)).effects).toEqual([]);
  expect(mayStillSend(state, 'stack')).toBe(false);
});

test('a credit that contradicts escrow is a note in the box of which nobody knows the value', () => {
  let state = advance(emptyDialogue, said('escrow', 4)).state;
  for (const input of [{ kind: 'deposit' }, stackSent] as const)
    state = advance(state, input).state;
  expect(advance(state, said('billStacked', 0)).effects).toMatchObject([
    { kind: 'ended', outcome: { kind: 'unknown' } },
    { kind: 'tell', event: { kind: 'credit.unexpected', value: undefined } },
  ]);
  const heardAlone = advance(emptyDialogue, said('billStacked', 0));
  expect(heardAlone.effects).toEqual([
    { kind: 'tell', event: { kind: 'credit.unexpected', value: 100 } },
  ]);
});

test('BILL STACKED is due its ACK once the credit is on disk, and each time from then on', () => {
  const credited = advance(advance(emptyDialogue, said('escrow', 4)).state, said('billStacked', 4));
  expect(credited.effects).toMatchObject([{ kind: 'tell', event: { kind: 'credit.unexpected' } }]);
  expect(advance(credited.state, said('billStacked', 4)).effects).toEqual([]);
  const confirmed = advance(credited.state, { kind: 'creditConfirmed' });
  expect(confirmed.effects).toEqual([{ kind: 'acknowledge' }]);
  expect(advance(confirmed.state, said('billStacked', 4)).effects).toEqual([
    { kind: 'acknowledge' },
  ]);
  const gone = advance(credited.state, said('idling'));
  expect(advance(gone.state, { kind: 'creditConfirmed' }).effects).toEqual([]);
});
