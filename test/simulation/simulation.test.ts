/** A small part of the simulation, and every history that once broke a promise. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { cheapCrypto } from '#test/support/cheap-crypto.ts';
import { runPlan } from './episode.ts';
import { mutations } from './mutations.ts';
import { pastHistories } from './past.ts';
import { type Plan, planOf } from './plan.ts';
import { emptyReport, neverOccurred, withEpisode } from './report.ts';
import { shrink } from './shrink.ts';

const run = (plan: Plan) => runPlan(plan, { makeCrypto: () => cheapCrypto() });
const calm = (plan: Plan): Plan => ({
  ...plan,
  actions: plan.actions.slice(0, 12).map((action) => ({ ...action, disturbances: [] })),
});

test.each(pastHistories)('$plan.seed, once broken: $found', async ({ plan }) => {
  expect((await run(plan)).violation).toBeUndefined();
});

test('machines that are left alone serve everybody, and their books agree', async () => {
  for (const seed of ['calm 1', 'calm 2', 'calm 3', 'calm 4']) {
    const { violation, unsettled, transactions, crashes } = await run(calm(planOf(seed)));
    expect(violation).toBeUndefined();
    expect(unsettled).toEqual([]);
    expect(transactions).toBeGreaterThan(2);
    expect(crashes).toBe(0);
  }
});

test.each([
  ['as it comes', 'again 3', 10],
  ['a program that ends itself for its disk', 'x3:5', 40],
  ['a validator that agrees on secret keys', 'd:76', 12],
])('the same seed gives the same run, by no timer of the system: %s', async (_, seed, actions) => {
  const timers = vi.spyOn(globalThis, 'setTimeout');
  onTestFinished(() => timers.mockRestore());
  const tell = async () => {
    const lines: string[] = [];
    const plan = planOf(seed);
    const few = { ...plan, actions: plan.actions.slice(0, actions) };
    const options = { makeCrypto: () => cheapCrypto(), tell: (line: string) => lines.push(line) };
    return { result: await runPlan(few, options), lines };
  };
  const first = await tell();
  expect(first.lines.length).toBeGreaterThan(20);
  expect(await tell()).toEqual(first);
  expect(timers).not.toHaveBeenCalled();
});

test('the shortest history keeps what breaks the promise and leaves out all else', async () => {
  const plan = planOf('to be shrunk');
  const culprit = plan.actions[7];
  const breaks = async (candidate: Plan) => ({
    ...(await Promise.resolve(nothing)),
    violation: candidate.actions.some(({ id }) => id === culprit?.id)
      ? { promise: 'none is lost', message: '' }
      : undefined,
  });
  const { plan: shortest } = await shrink(plan, 'none is lost', breaks);
  expect(shortest.actions.map(({ id }) => id)).toEqual([culprit?.id]);
  expect(shortest.actions[0]?.disturbances).toEqual([]);
});

test.each(mutations)('can still be made: $name', ({ edits }) => {
  for (const { file, from } of edits) {
    const text = readFileSync(join(import.meta.dirname, '../..', file), 'utf8');
    expect(text.split(from)).toHaveLength(2);
  }
});

const nothing = {
  ...{ transactions: 0, crashes: 0, faults: {}, outcomes: {}, unsettled: [], violation: undefined },
  ...{ simulatedSeconds: 0, steps: 0 },
};

test('a long run in which something never occurred says what', () => {
  const small = withEpisode(emptyReport('1'), { ...nothing, transactions: 10 });
  expect(neverOccurred(small)).toEqual([]);
  const large = withEpisode(emptyReport('1'), {
    ...nothing,
    transactions: 100_000,
    faults: { 'machine.powerCut': 3 },
    outcomes: { exact: 1 },
  });
  const missing = neverOccurred(large);
  expect(missing).toContain('machine.kill');
  expect(missing).toContain('unknown');
  expect(missing).toContain('id003.cheat');
  expect(missing).not.toContain('machine.powerCut');
  expect(missing).not.toContain('exact');
});
