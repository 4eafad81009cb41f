/** Words in, decisions out: what may become money and what may not. */
import { describe, expect, test } from 'vitest';
import { reports, wordOf } from '#hal/sio/commands.ts';
import type { SioInput } from '#hal/sio/dialogue.ts';
import { advance, emptyDialogue, type SioDialogue, type SioEffect } from '#hal/sio/dialogue.ts';
import { minorUnits } from '#protocol/base/money.ts';

const VALUES = new Map([
  [3, minorUnits(500)],
  [4, minorUnits(1000)],
]);
type Step = number | Exclude<SioInput, { kind: 'word' }> | { readonly waitMs: number };

/** Plays bytes and inputs, a second apart unless told otherwise; gives all effects in short. */
function play(hasEscrow: boolean, ...steps: readonly Step[]): string[] {
  let state: SioDialogue = emptyDialogue(hasEscrow);
  let atMs = 0;
  const effects: SioEffect[] = [];
  const put = (input: SioInput) => {
    const next = advance(state, input);
    state = next.state;
    for (const effect of next.effects) {
      effects.push(effect);
      if (effect.kind === 'send') {
        put({ kind: effect.command === 'accept' ? 'acceptSent' : 'rejectSent' });
      }
    }
  };
  for (const step of steps) {
    if (typeof step === 'object' && 'waitMs' in step) {
      atMs += step.waitMs;
      continue;
    }
    if (typeof step !== 'number') put(step);
    else {
      const word = wordOf(step);
      if (!word) throw new Error(`${step} is no word`);
      const value = word.kind === 'note' ? VALUES.get(word.channel) : undefined;
      put({ kind: 'word', word, atMs, inService: true, value });
      atMs += 500;
    }
  }
  return effects.map(short);
}

function short(effect: SioEffect): string {
  switch (effect.kind) {
    case 'tell':
      return 'value' in effect.event
        ? `${effect.event.kind} ${effect.event.value}`
        : effect.event.kind;
    case 'ended':
      return `${effect.kind} ${effect.outcome.kind}`;
    case 'send':
      return effect.command;
    case 'disturbed':
      return `disturbed ${effect.fault}`;
    case 'shut':
    case 'failed':
    case 'awaitStacked':
      return effect.kind;
  }
}

const deposit = { kind: 'deposit' } as const;
const giveBack = { kind: 'return' } as const;
const late = { kind: 'late', reason: 'late' } as const;
const gaveUp = { kind: 'gaveUp', reason: 'away' } as const;
const armed = { kind: 'armed', values: [minorUnits(500)] } as const;

const withEscrow: readonly [string, readonly Step[], readonly string[]][] = [
  [
    'accepted',
    [120, 3, deposit, 172, 121],
    ['note.inserted', 'note.escrowed 500', 'accept', 'awaitStacked', 'ended deposited'],
  ],
  [
    'accepted by a device that says no more',
    [120, 3, deposit, 172, { kind: 'settled' }],
    ['note.inserted', 'note.escrowed 500', 'accept', 'awaitStacked', 'ended deposited'],
  ],
  [
    'pulled back after ACCEPT was heard',
    [120, 3, deposit, 172, 40, 121],
    [
      ...['note.inserted', 'note.escrowed 500', 'accept', 'awaitStacked'],
      ...['ended unknown', 'fraud.attempted'],
    ],
  ],
  [
    'jam after ACCEPT was heard',
    [120, 3, deposit, 172, 60],
    [
      ...['note.inserted', 'note.escrowed 500', 'accept', 'awaitStacked'],
      ...['ended unknown', 'disturbed stackerFull'],
    ],
  ],
  [
    'out of touch after ACCEPT was heard',
    [120, 3, deposit, 172, gaveUp],
    ['note.inserted', 'note.escrowed 500', 'accept', 'awaitStacked', 'ended unknown'],
  ],
  [
    'given back',
    [120, 3, giveBack, 173, 121],
    ['note.inserted', 'note.escrowed 500', 'reject', 'ended returned'],
  ],
  ['not recognised', [120, 20, 121], ['note.inserted', 'note.refused']],
  ['a fraud', [120, 50, 121], ['note.inserted', 'note.refused', 'fraud.attempted']],
  [
    'given back by itself',
    [120, 3, 70, 121],
    ['note.inserted', 'note.escrowed 500', 'note.returned'],
  ],
  [
    'given back by itself while ACCEPT was on its way',
    [120, 3, deposit, 70, 121],
    ['note.inserted', 'note.escrowed 500', 'accept', 'ended returned'],
  ],
  [
    'left escrow without a word, ACCEPT not sent',
    [120, 3, 121],
    ['note.inserted', 'note.escrowed 500', 'note.returned'],
  ],
  [
    'left escrow without a word, ACCEPT sent',
    [120, 3, deposit, 121],
    ['note.inserted', 'note.escrowed 500', 'accept', 'ended unknown'],
  ],
  [
    'ACCEPT echoed as REJECT: a flipped bit, there or back',
    [120, 3, deposit, 173, 121],
    ['note.inserted', 'note.escrowed 500', 'accept', 'ended unknown'],
  ],
  [
    'REJECT echoed as ACCEPT',
    [120, 3, giveBack, 172, 121],
    ['note.inserted', 'note.escrowed 500', 'reject', 'ended unknown'],
  ],
  [
    'an echo of ACCEPT that was never sent',
    [120, 3, 172, deposit, 172, 121],
    [
      ...['note.inserted', 'note.escrowed 500', 'failed', 'accept', 'awaitStacked'],
      'ended deposited',
    ],
  ],
  [
    'ACCEPT without effect is undone once',
    [120, 3, deposit, late, 173, 121],
    ['note.inserted', 'note.escrowed 500', 'accept', 'reject', 'ended returned'],
  ],
  [
    'an echo of REJECT after ACCEPT, and never NOT BUSY: a device that has started again',
    [120, 3, deposit, late, 173, gaveUp],
    ['note.inserted', 'note.escrowed 500', 'accept', 'reject', 'ended unknown'],
  ],
  [
    'ACCEPT heard after REJECT has left',
    [120, 3, deposit, late, 172],
    ['note.inserted', 'note.escrowed 500', 'accept', 'reject', 'ended unknown'],
  ],
  [
    'out of touch',
    [120, 3, deposit, gaveUp, 172],
    ['note.inserted', 'note.escrowed 500', 'accept', 'ended unknown'],
  ],
  [
    'out of touch before its value: it may have forgotten its mode, and stacked it',
    [120, gaveUp],
    ['note.inserted', 'failed'],
  ],
  [
    'pulled back while stacked',
    [120, 3, deposit, 40],
    ['note.inserted', 'note.escrowed 500', 'accept', 'ended unknown', 'fraud.attempted'],
  ],
  [
    'jam before the echo',
    [120, 3, deposit, 60],
    ['note.inserted', 'note.escrowed 500', 'accept', 'ended unknown', 'disturbed stackerFull'],
  ],
  ['taken to clear a jam', [120, 80, 121], ['note.inserted', 'credit.unexpected undefined']],
  ['taken to clear a jam, and BUSY was lost', [80, 121], ['credit.unexpected undefined']],
  ['no such channel', [120, 9, 173, 121], ['note.inserted', 'reject', 'note.refused']],
  ['a glitch that looks like a note', [3], ['failed']],
  [
    'a note too long after it was drawn in',
    [120, { waitMs: 2100 }, 3],
    ['note.inserted', 'failed'],
  ],
  ['a second value for one note', [120, 20, 3], ['note.inserted', 'note.refused', 'failed']],
  [
    'another value for a note in escrow: it goes back',
    [120, 3, 4, 173, 121],
    ['note.inserted', 'note.escrowed 500', 'reject', 'failed', 'note.returned'],
  ],
  [
    'another value when ACCEPT has left',
    [120, 3, deposit, 4, 172, 121],
    [
      ...['note.inserted', 'note.escrowed 500', 'accept', 'failed', 'awaitStacked'],
      'ended unknown',
    ],
  ],
  [
    'a device that has forgotten its mode',
    [120, 121, 3],
    ['note.inserted', 'credit.unexpected undefined', 'disturbed settings'],
  ],
];

const withoutEscrow: readonly [string, readonly Step[], readonly string[]][] = [
  [
    'taken',
    [armed, 120, 121, 3, deposit],
    ['note.inserted', 'shut', 'note.escrowed 500', 'ended deposited'],
  ],
  [
    'its value before NOT BUSY',
    [armed, 120, 3, 121, deposit],
    ['note.inserted', 'shut', 'note.escrowed 500', 'ended deposited'],
  ],
  [
    'NOT BUSY was lost: its value, late, and then the next note, which tells that it is done',
    [armed, 120, { waitMs: 2100 }, 3, 120, 20, 121],
    ['note.inserted', 'credit.unexpected 500', 'shut', 'note.refused'],
  ],
  [
    'NOT BUSY and the next BUSY were lost, and the next note is refused',
    [armed, 120, 3, 20, 121],
    ['note.inserted', 'credit.unexpected 500', 'shut', 'note.refused'],
  ],
  [
    'NOT BUSY was lost, and nothing more is said',
    [armed, 120, { waitMs: 2100 }, 3, gaveUp],
    ['note.inserted', 'credit.unexpected 500'],
  ],
  [
    'it cannot be given back',
    [armed, 120, 121, 3, giveBack],
    ['note.inserted', 'shut', 'note.escrowed 500', 'ended deposited'],
  ],
  [
    'a second one under the same terms is owed',
    [armed, 120, 121, 3, 120, 121, 3, deposit],
    [
      ...['note.inserted', 'shut', 'note.escrowed 500'],
      ...['note.inserted', 'credit.unexpected 500', 'shut', 'ended deposited'],
    ],
  ],
  [
    'a value that is not open is owed',
    [armed, 120, 121, 4],
    ['note.inserted', 'credit.unexpected 1000', 'shut'],
  ],
  ['nothing is open', [120, 121, 3], ['note.inserted', 'credit.unexpected 500', 'shut']],
  ['refused', [armed, 120, 20, 121], ['note.inserted', 'note.refused']],
  ['a glitch', [armed, 3, 121], ['failed']],
  [
    'taken to clear a jam, and BUSY was lost: owed once, and the next note as always',
    [armed, 80, 121, { waitMs: 2500 }, 184, 120, 121, 3, deposit],
    [
      ...['credit.unexpected undefined', 'note.inserted', 'shut', 'note.escrowed 500'],
      'ended deposited',
    ],
  ],
  [
    'taken to clear a jam, and NOT BUSY was lost too',
    [armed, 80, { waitMs: 2500 }, 184, 120, 121, 3, deposit],
    ['credit.unexpected undefined', 'shut', 'note.escrowed 500', 'ended deposited'],
  ],
  [
    'BUSY was lost: NOT BUSY says as well that something was drawn in, but not that it was a note',
    [armed, 121, 3, 121, 120, 121, 3],
    [
      ...['credit.unexpected undefined', 'shut'],
      ...['note.inserted', 'credit.unexpected 500', 'shut'],
    ],
  ],
  [
    'BUSY and the value were lost',
    [armed, 121, { waitMs: 2500 }, 184],
    ['credit.unexpected undefined'],
  ],
  [
    'a glitch after a refusal',
    [armed, 120, 20, 121, 3],
    ['note.inserted', 'note.refused', 'failed'],
  ],
  [
    'out of touch before the agent has asked: it is in the box all the same',
    [armed, 120, 121, 3, gaveUp, deposit],
    ['note.inserted', 'shut', 'note.escrowed 500', 'ended deposited'],
  ],
  [
    'the box is full with it',
    [armed, 120, 60, 121, 3, deposit],
    [...['note.inserted', 'shut', 'note.escrowed 500', 'disturbed stackerFull'], 'ended deposited'],
  ],
  [
    'its value is lost, and the next note comes at once: owed, and the slot is shut',
    [armed, 120, 121, 120, 20, 121],
    [...['note.inserted', 'credit.unexpected undefined', 'shut'], 'note.inserted', 'note.refused'],
  ],
  [
    'the box is full with it, and its value is lost: owed first, then the fault',
    [armed, 120, 60, 121, { waitMs: 2000 }, 185],
    ['note.inserted', 'credit.unexpected undefined', 'disturbed stackerFull'],
  ],
  [
    'jammed on its way: the same once nothing more is heard',
    [armed, 120, 60, gaveUp],
    ['note.inserted', 'credit.unexpected undefined', 'disturbed stackerFull'],
  ],
  ['full or jammed with nothing inside', [armed, 60], ['disturbed stackerFull']],
];

describe('with escrow', () => {
  test.each(withEscrow)('%s', (_, steps, effects) => {
    expect(play(true, ...steps)).toEqual(effects);
  });
});

describe('without escrow', () => {
  test.each(withoutEscrow)('%s', (_, steps, effects) => {
    expect(play(false, ...steps)).toEqual(effects);
  });
});

test('no single word makes a deposit of a note that nobody deposits', () => {
  const codes = [...Object.values(reports).map(({ code }) => code), 172, 173, 170, 184, 1, 3];
  for (const code of codes) {
    for (const before of [[], [120], [120, 3]]) {
      expect(play(true, ...before, code).join()).not.toContain('deposited');
    }
  }
});
