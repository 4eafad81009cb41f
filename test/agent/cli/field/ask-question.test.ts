/** Each question by itself: at every one an answer, a way back and a way out. */
import { describe, expect, test } from 'vitest';
import type { ExchangeQuestion, ExchangeView } from '#agent/api/visit-schemas.ts';
import { type Asking, askQuestion, typePiles } from '#agent/cli/service/ask-question.ts';
import { pathOf } from '#agent/cli/service/drive.ts';
import type { Prompter } from '#agent/cli/service/prompter.ts';
import { visitFile, wishOf } from '#agent/cli/service/visit-file.ts';
import { speaker } from '#agent/texts/technician.ts';

/** A person who says these things, one after the other. */
function saying(...said: string[]): Asking {
  const next = () => said.shift() ?? '';
  const unused = () => undefined;
  const prompter: Prompter = {
    choose: async (_message, choices) => {
      const wanted = next();
      const found = choices.find(({ value }) => value === wanted);
      if (!found) throw new Error(`${wanted} is not offered`);
      return found.value;
    },
    type: async (_message, { judge } = {}) => {
      for (;;) {
        const typed = next();
        if (judge?.(typed) === undefined) return typed;
      }
    },
    secret: async () => next(),
    ...{ tell: unused, warn: unused, show: unused, print: unused },
  };
  return { prompter, speak: speaker('en') };
}

const view = (asks: ExchangeQuestion | null): ExchangeView => ({
  ...{ id: 'x', reference: 'K7Q4-9XMB', state: 'asking', step: 3, technician: 'Ana' },
  ...{ openedAtUnixMs: 0, currency: 'USD', canUndo: true, asks, bays: [], boxes: [] },
});

const bay = { position: 1, denomination: 20 };
const count = { ...bay, countMax: 100 };
const choices = ['leave', 'count', 'seal', 'confirm'] as const;
type Case = readonly [
  asks: ExchangeQuestion,
  said: readonly string[],
  answer: object,
  path: string,
];
const CASES: readonly Case[] = [
  [
    { kind: 'bay', ...bay, parked: true, swapped: false, accuracy: 'set', choices: [...choices] },
    ['confirm'],
    { choice: 'confirm' },
    'bays.1',
  ],
  [
    {
      kind: 'bay',
      ...bay,
      parked: true,
      swapped: true,
      accuracy: 'unknown',
      choices: [...choices],
    },
    ['count'],
    { choice: 'count' },
    'bays.1',
  ],
  [{ kind: 'bayCount', ...count }, ['', '-1', '1e2', '101', '7'], { count: 7 }, 'bays.1.out'],
  [
    { kind: 'denomination', position: 1, current: null, suggested: [20, 50] },
    ['50'],
    { denomination: 50 },
    'bays.1.denomination',
  ],
  [{ kind: 'load', ...count }, ['100'], { count: 100 }, 'bays.1.load'],
  [
    { kind: 'reason', place: 'bay:1', differences: [], reasons: ['taken', 'other'] },
    ['other', '', 'x'.repeat(201), 'a hole'],
    { reason: 'other', note: 'a hole' },
    'bays.1.reason',
  ],
  [
    { kind: 'reason', place: 'reject', differences: [], reasons: ['taken'] },
    ['taken', ''],
    { reason: 'taken', note: '' },
    'boxes.reject.reason',
  ],
  [
    { kind: 'box', place: 'cashbox', choices: [...choices] },
    ['seal'],
    { choice: 'seal' },
    'boxes.cashbox',
  ],
  [
    { kind: 'boxCount', place: 'reject', denominations: [20], countMax: 9 },
    ['3', 'other', '20', 'other', '5', '1', 'yes'],
    {
      counts: [
        { denomination: 20, count: 3 },
        { denomination: 5, count: 1 },
      ],
    },
    'boxes.reject.counts',
  ],
  [
    { kind: 'test', ...bay, to: 'slot', permitted: true, last: 'unknown' },
    ['run'],
    { choice: 'run' },
    'bays.1.test',
  ],
];

describe.each(CASES)('%o', (asks, said, answer, path) => {
  test('an answer, a way back and a way out, and its name in a file', async () => {
    const given = await askQuestion(saying(...said), view(asks));
    expect(given).toEqual({ kind: 'answer', answer: { kind: asks.kind, ...answer } });
    const isTyped = ['bayCount', 'load', 'boxCount'].includes(asks.kind);
    const back = isTyped ? 'U' : 'undo';
    const out = isTyped ? 'a' : 'abandon';
    expect(await askQuestion(saying(back), view(asks))).toEqual({ kind: 'undo' });
    expect(await askQuestion(saying(out), view(asks))).toEqual({ kind: 'abandon' });
    expect(pathOf(asks)).toBe(path);
  });
});

test('a bay that nobody knows: what is in it is said, and that it may be empty', async () => {
  const unknown = { position: 3, denomination: null, parked: false, swapped: false } as const;
  const asks = {
    kind: 'bay',
    ...unknown,
    accuracy: 'unknown',
    choices: ['leave', 'count'],
  } as const;
  const asking = saying('count');
  const labels: string[] = [];
  const prompter: Prompter = {
    ...asking.prompter,
    choose: (message, choices) => {
      labels.push(message, ...choices.map(({ label }) => label));
      return asking.prompter.choose(message, choices);
    },
  };
  const shown = view({ ...asks, choices: [...asks.choices] });
  expect(await askQuestion({ ...asking, prompter }, shown)).toMatchObject({ kind: 'answer' });
  expect(labels[0]).not.toContain('USD');
});

test('the ends: other notes, a seal, and the close', async () => {
  const others = { kind: 'denomination', position: 1, current: 20, suggested: [20] } as const;
  const ask = (asks: ExchangeQuestion, ...said: string[]) =>
    askQuestion(saying(...said), view(asks));
  const asks = { ...others, suggested: [20] };
  expect(await ask(asks, 'other', '0', '1000001', 'u')).toEqual({ kind: 'undo' });
  const answer = { kind: 'denomination', denomination: 5 };
  expect(await ask(asks, 'other', '5')).toEqual({ kind: 'answer', answer });
  const seal = { kind: 'seal', place: 'bay:2' } as const;
  expect(await ask(seal, 'a b', '')).toEqual({ kind: 'undo' });
  expect(await ask(seal, 'u')).toMatchObject({ answer: { seal: 'u' } });
  expect([pathOf(seal), pathOf({ kind: 'close' })]).toEqual(['bays.2.seal', 'end']);
  for (const wish of ['close', 'undo', 'abandon']) {
    expect(await ask({ kind: 'close' }, wish)).toEqual({ kind: wish });
  }
  expect(await askQuestion(saying('close'), view(null))).toEqual({ kind: 'close' });
  const piles = { where: 'Bag', denominations: [20, 50], countMax: 9, currency: 'USD' };
  expect(await typePiles(saying('1', 'u', '2', '', 'yes'), piles)).toEqual([
    { denomination: 20, count: 2 },
  ]);
});

test('a question is not answered by a file that says something else of the place', () => {
  const counted = { do: 'count', out: 1, load: 1 };
  const sealed = { do: 'seal', seal: 'S', load: 1 };
  const file = visitFile.parse({
    ...{ name: 'Ana', pin: '1' },
    bays: { 1: counted, 2: sealed },
    boxes: { cashbox: { do: 'seal', seal: 'C' }, reject: { do: 'count', counts: {} } },
  });
  const said = (asks: ExchangeQuestion) => wishOf(file, asks);
  const reasons = { differences: [], reasons: ['taken' as const] };
  expect(said({ kind: 'seal', place: 'bay:1' })).toBeUndefined();
  expect(said({ kind: 'seal', place: 'reject' })).toBeUndefined();
  expect(said({ kind: 'reason', place: 'bay:2', ...reasons })).toBeUndefined();
  const boxCount = { denominations: [], countMax: 1 };
  expect(said({ kind: 'boxCount', place: 'cashbox', ...boxCount })).toBeUndefined();
  expect(said({ kind: 'boxCount', place: 'reject', ...boxCount })).toMatchObject({
    answer: { counts: [] },
  });
  expect(said({ kind: 'bayCount', ...count, position: 2 })).toBeUndefined();
  expect(said({ kind: 'load', ...count, position: 3 })).toBeUndefined();
  const any = { kind: 'denomination', current: null, suggested: [] } as const;
  expect(said({ ...any, position: 1, suggested: [] })).toBeUndefined();
  expect(said({ ...any, position: 3, current: 20, suggested: [] })).toBeUndefined();
  const once = { kind: 'test', ...bay, to: 'reject', last: null } as const;
  expect(said({ ...once, permitted: false })).toMatchObject({ answer: { choice: 'skip' } });
  expect(said({ ...once, position: 3, permitted: true })).toBeUndefined();
});
