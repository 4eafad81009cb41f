/** Every class a dispense command can have, and every way to be taken in. */
import { expect, test } from 'vitest';
import { classify, type DispenseEvidence } from '#agent/cash-out/classify.ts';
import type {
  CashDispenserStatus,
  DispenseError,
  DispenseOutcome,
  UnitResult,
} from '#hal/cash-dispenser.ts';
import { position } from '#protocol/base/ids.ts';

const ASKED = [
  { position: position(1), count: 2 },
  { position: position(3), count: 1 },
];
const CLEAR: CashDispenserStatus = {
  device: 'ready',
  path: 'clear',
  exit: 'clear',
  rejectTray: 'ok',
  units: [],
  fault: undefined,
};
const TRUSTED: DispenseError = { code: '01', text: 'not picked', countsTrusted: true };
const DOUBTFUL: DispenseError = { code: '07', text: 'mismatch', countsTrusted: false };
const LOST: DispenseOutcome = { kind: 'unknown', evidence: 'silence' };

const units = (...counts: readonly (readonly [number, number, number?])[]): UnitResult[] =>
  counts.map(([at, presented, rejected = 0]) => ({ position: position(at), presented, rejected }));
const ALL = units([1, 2], [3, 1]);
const SOME = units([1, 1], [3, 0]);
const NOTHING = units([1, 0], [3, 0]);

const answered = (results: readonly UnitResult[], error?: DispenseError): DispenseOutcome => ({
  kind: 'answered',
  units: results,
  error,
  evidence: 'answer',
});

const judged = (evidence: Partial<DispenseEvidence>) =>
  classify({
    asked: ASKED,
    outcome: LOST,
    status: CLEAR,
    baseline: { lastResultHex: 'aa', sequenceNumber: undefined },
    last: undefined,
    sequenceNumber: undefined,
    ...evidence,
  });

const last = (hex: string, results = ALL, error?: DispenseError) => ({
  hex,
  dispense: { units: results, error },
});

test.each<[string, Partial<DispenseEvidence>]>([
  ['all there, no error', { outcome: answered(ALL) }],
  ['all there, with rejects', { outcome: answered(units([1, 2, 3], [3, 1])) }],
  ['all there, a trusted error', { outcome: answered(ALL, TRUSTED) }],
  ['lost, and the memory is new', { last: last('bb') }],
  [
    'lost, same memory, but the number has risen by it',
    {
      last: last('aa'),
      baseline: { lastResultHex: 'aa', sequenceNumber: 4 },
      sequenceNumber: 5,
    },
  ],
])('exact: %s', (_, evidence) => {
  expect(judged(evidence)).toMatchObject({ class: 'exact', trusted: true });
});

test('partial and none are proven only by a trusted error with path and exit clear', () => {
  expect(judged({ outcome: answered(SOME, TRUSTED) })).toMatchObject({
    class: 'partial',
    trusted: true,
    units: SOME,
  });
  expect(judged({ outcome: answered(NOTHING, TRUSTED) })).toMatchObject({ class: 'none' });
  expect(judged({ last: last('bb', SOME, TRUSTED) })).toMatchObject({ class: 'partial' });
});

test('bays that were not asked are in doubt where the device says so, or cannot be believed', () => {
  const stray: DispenseError = { ...DOUBTFUL, otherBays: 'doubtful' };
  const outcome = answered(SOME, stray);
  const doubtful = { class: 'unknown', otherBays: 'doubtful' };
  expect(judged({ outcome })).toMatchObject({ ...doubtful, units: SOME });
  expect(judged({ last: last('bb', SOME, stray) })).toMatchObject(doubtful);
  expect(judged({ outcome: answered(units([1, 2], [2, 1])) })).toMatchObject(doubtful);
  expect(judged({ outcome: answered(SOME, DOUBTFUL) })).not.toHaveProperty('otherBays');
  expect(judged({})).not.toHaveProperty('otherBays');
});

test('none: the device refused, or its number shows that the command never ran', () => {
  const refused = { kind: 'notExecuted', evidence: 'refused' } as const;
  expect(judged({ outcome: refused })).toMatchObject({ class: 'none', units: [] });
  const still = judged({
    baseline: { lastResultHex: 'aa', sequenceNumber: 4 },
    sequenceNumber: 4,
    last: last('aa'),
  });
  expect(still).toMatchObject({ class: 'none', units: [] });
});

test.each<[string, Partial<DispenseEvidence>]>([
  ['silence, and no memory', {}],
  ['silence, and the memory is that from before', { last: last('aa') }],
  [
    'the number rose, the memory is that from before, and the unit was off or in trouble since',
    {
      status: { ...CLEAR, device: 'attention' },
      last: last('aa'),
      baseline: { lastResultHex: 'aa', sequenceNumber: 4 },
      sequenceNumber: 5,
    },
  ],
  ['the new memory is of no dispense', { last: { hex: 'bb', dispense: undefined } }],
  ['short, and no error', { outcome: answered(SOME) }],
  ['short, and the error trusts no count', { outcome: answered(SOME, DOUBTFUL) }],
  ['all there, and the error trusts no count', { outcome: answered(ALL, DOUBTFUL) }],
  [
    'short, a trusted error, notes on the path',
    { outcome: answered(SOME, TRUSTED), status: { ...CLEAR, path: 'notes' } },
  ],
  [
    'short, a trusted error, path not known',
    { outcome: answered(SOME, TRUSTED), status: { ...CLEAR, path: 'unknown' } },
  ],
  [
    'short, a trusted error, notes in the exit',
    { outcome: answered(SOME, TRUSTED), status: { ...CLEAR, exit: 'notes' } },
  ],
  ['more than was asked', { outcome: answered(units([1, 3], [3, 0])) }],
  ['a bay that was not asked', { outcome: answered(units([1, 2], [2, 1])) }],
  ['a negative count', { outcome: answered(units([1, -1], [3, 1]), TRUSTED) }],
  ['no count at all', { outcome: answered(units([1, Number.NaN]), TRUSTED) }],
  ['negative rejects', { outcome: answered(units([1, 2, -1], [3, 1])) }],
  ['a memory of another command', { last: last('bb', units([4, 1])) }],
])('unknown: %s', (_, evidence) => {
  expect(judged(evidence)).toMatchObject({ class: 'unknown', trusted: false });
});
