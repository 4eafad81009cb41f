import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Id003Status, type StatusName, statuses } from '#hal/id003/commands.ts';
import {
  advance,
  type DialogueEffect,
  type DialogueInput,
  emptyDialogue,
  mayStillSend,
} from '#hal/id003/dialogue.ts';
import { minorUnits } from '#protocol/base/money.ts';

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
  .map(({ name, detail, inService }): DialogueInput => {
    const status: Id003Status = { name, detail: statuses[name].detail ? detail : undefined };
    const value = name === 'escrow' ? VALUES.get(detail) : undefined;
    return { kind: 'status', status, inService, value };
  });

const otherInput = fc.constantFrom<DialogueInput['kind']>(
  'deposit',
  'return',
  'late',
  'gaveUp',
  'creditTold',
  'creditConfirmed',
);

function inputOf(kind: DialogueInput['kind']): DialogueInput | undefined {
  switch (kind) {
    case 'late':
    case 'gaveUp':
      return { kind, reason: 'test' };
    case 'deposit':
    case 'return':
    case 'creditTold':
    case 'creditConfirmed':
      return { kind };
    default:
      return undefined;
  }
}

const isCredit = (effect: DialogueEffect): boolean =>
  (effect.kind === 'tell' && effect.event.kind === 'credit.unexpected') ||
  (effect.kind === 'ended' && effect.outcome.kind === 'deposited');

test('whatever is said: one STACK and one credit for each note, one end for each operation', () => {
  const inputs = fc.array(fc.oneof({ weight: 4, arbitrary: statusInput }, otherInput), {
    maxLength: 60,
  });
  fc.assert(
    fc.property(inputs, (script) => {
      let state = emptyDialogue;
      let credits = 0;
      let stacks = 0;
      let waiting = 0;
      const apply = (input: DialogueInput): void => {
        const step = advance(state, input);
        state = step.state;
        for (const effect of step.effects) {
          if (isCredit(effect)) credits++;
          if (effect.kind === 'ended') waiting--;
          // The driver carries a command out like this: it asks once more, then says that it left.
          if (effect.kind !== 'send' || !mayStillSend(state, effect.command)) continue;
          if (effect.command === 'stack') stacks++;
          apply({ kind: 'sent', command: effect.command });
        }
      };
      for (const item of script) {
        const input = typeof item === 'string' ? inputOf(item) : item;
        if (!input) continue;
        const isNewNote = input.kind === 'status' && input.status.name === 'accepting';
        if (isNewNote) credits = stacks = 0;
        const { name } = input.kind === 'status' ? input.status : { name: undefined };
        if (name === 'escrow' || name === 'holding') {
          const before = state.note;
          apply(input);
          if (state.note !== before && state.note?.stackSent === false) credits = stacks = 0;
        } else if (input.kind === 'deposit' || input.kind === 'return') {
          // The driver lets nobody wait where nothing is in escrow or someone waits already.
          const { note, operation } = state;
          const isFree = note?.value !== undefined && !note.stackSent && !note.returnSent;
          if (!isFree || operation !== 'none') continue;
          waiting++;
          apply(input);
        } else apply(input);
        expect(credits).toBeLessThanOrEqual(1);
        expect(stacks).toBeLessThanOrEqual(1);
        expect(waiting).toBe(state.operation === 'none' ? 0 : 1);
      }
    }),
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

const said = (name: StatusName, detail?: number): DialogueInput => {
  const value = name === 'escrow' ? VALUES.get(detail ?? 0) : undefined;
  return { kind: 'status', status: { name, detail }, inService: true, value };
};

/** What a deposit came to, after these inputs in escrow. */
function depositAfter(...inputs: readonly DialogueInput[]): string | undefined {
  let state = advance(emptyDialogue, said('escrow', 0x65)).state;
  for (const input of [{ kind: 'deposit' } as const, ...inputs]) {
    const step = advance(state, input);
    state = step.state;
    const end = step.effects.find((effect) => effect.kind === 'ended');
    if (end?.kind === 'ended') return end.outcome.kind;
  }
  return undefined;
}

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
  expect(depositAfter(...inputs)).toBe(outcome);
});
