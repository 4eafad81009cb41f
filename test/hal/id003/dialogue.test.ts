import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Id003Status, type StatusName, statuses } from '#hal/id003/commands.ts';
import {
  advance,
  type DialogueInput,
  emptyDialogue,
  mayStillSend,
  type NoteDialogue,
} from '#hal/id003/dialogue.ts';
import { minorUnits } from '#protocol/base/money.ts';
import { ANY_TIME, type Dialogue, depositAfter, expectLaws, type Words } from '../note-laws.ts';

type StatusInput = Extract<DialogueInput, { kind: 'status' }>;

const NAMES = Object.keys(statuses).filter((name): name is StatusName => name in statuses);

const VALUES = new Map([
  [0x61, minorUnits(100)],
  [0x65, minorUnits(2000)],
]);

const statusInput = fc
  .record({
    name: fc.constantFrom(...NAMES),
    detail: fc.constantFrom(0x61, 0x65, 0x6f),
    inService: fc.boolean(),
  })
  .map(({ name, detail, inService }): StatusInput => {
    const status: Id003Status = { name, detail: statuses[name].detail ? detail : undefined };
    const value = name === 'escrow' ? VALUES.get(detail) : undefined;
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
  isCredit: ({ status }) => status.name === 'vendValid',
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
  const escrow = advance(emptyDialogue, said('escrow', 0x6f));
  expect(escrow.effects).toEqual([
    { kind: 'tell', event: { kind: 'note.inserted' } },
    { kind: 'send', command: 'return' },
  ]);
  expect(mayStillSend(escrow.state, 'stack')).toBe(false);
  expect(mayStillSend(escrow.state, 'return')).toBe(true);
  const sent = advance(escrow.state, { kind: 'sent', command: 'return' });
  expect(mayStillSend(sent.state, 'return')).toBe(false);
  expect(advance(sent.state, said('escrow', 0x6f)).effects).toEqual([]);
  const back = advance(advance(sent.state, said('returning')).state, said('idling'));
  expect(back.effects).toEqual([
    { kind: 'tell', event: { kind: 'note.refused', reason: 'other', code: '13:6F' } },
  ]);
});

const said = (name: StatusName, detail?: number): StatusInput => {
  const value = name === 'escrow' ? VALUES.get(detail ?? 0) : undefined;
  return { kind: 'status', status: { name, detail }, inService: true, value };
};

const stackSent: DialogueInput = { kind: 'sent', command: 'stack' };
const returnSent: DialogueInput = { kind: 'sent', command: 'return' };
const acknowledged: DialogueInput = { kind: 'answered', acknowledged: true, evidence: 'ACK' };

test.each([
  ['credit', 'deposited', [stackSent, acknowledged, said('stacking'), said('vendValid')]],
  ['credit, all else missed', 'deposited', [stackSent, said('vendValid')]],
  ['rest and nothing else', 'unknown', [stackSent, acknowledged, said('idling')]],
  ['disabled and nothing else', 'unknown', [stackSent, said('disabled')]],
  ['stacked without credit', 'unknown', [stackSent, acknowledged, said('stacked')]],
  ['the next note without credit', 'unknown', [stackSent, said('accepting')]],
  ['given back before STACK left', 'returned', [said('returning'), said('idling')]],
  ['gone before STACK left', 'returned', [said('idling')]],
  ['seen going back', 'returned', [stackSent, said('returning'), said('idling')]],
  ['rejected', 'returned', [stackSent, said('rejecting', 0x7b), said('disabled')]],
  ['jam on the way back', 'unknown', [stackSent, said('returning'), said('jamInAcceptor')]],
  ['RETURN acknowledged', 'returned', [stackSent, returnSent, acknowledged, said('idling')]],
  ['RETURN not acknowledged', 'unknown', [stackSent, returnSent, said('idling')]],
  ['power up, nothing inside', 'unknown', [stackSent, said('powerUp')]],
  ['power up, in stacker', 'unknown', [stackSent, said('powerUpInStacker')]],
  ['a pause, and then the credit', 'deposited', [stackSent, said('pause'), said('vendValid')]],
  ['nothing yet', undefined, [stackSent, said('stacking'), said('pause'), said('escrow', 0x65)]],
] as const)('a deposit that ends with %s is %s', (_end, outcome, inputs) => {
  expect(depositAfter(dialogue, said('escrow', 0x65), inputs)).toBe(outcome);
});
