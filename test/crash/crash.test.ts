/** A small sample of `npm run crash`, and the rules by which it counts. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Dice } from '#test/simulation/dice.ts';
import { loggedCommits, tracedWrites } from './disk.ts';
import { type FlowName, flows, USUAL_PAIR } from './flows.ts';
import {
  type Chunk,
  type Crash,
  countedChunks,
  crashesAt,
  describeCrash,
  pointsOf,
} from './moments.ts';
import { type RunOptions, runCrashes } from './run.ts';

const options = (name: FlowName, crashes: readonly Crash[] = []): RunOptions => {
  return { flow: flows[name], pair: USUAL_PAIR, crashes, seed: 'sample' };
};

/** What both recorders and the log saw of a flow. */
async function record(name: FlowName) {
  let logged = 0;
  const { violation, recorded } = await runCrashes(options(name), (mark, machine) => {
    const commits = loggedCommits(join(machine.folder, 'state'));
    logged = mark === 'begin' ? -commits : logged + commits;
  });
  if (!recorded) throw new Error(violation?.message ?? 'nothing was recorded');
  expect(violation).toBeUndefined();
  return { ...recorded, logged };
}

test.each(Object.keys(flows) as FlowName[])(
  '%s: recorders agree, each run is the same, and nothing is lost',
  async (name) => {
    const { counted, far, logged, recording } = await record(name);
    expect(counted).toEqual({ writes: logged, bytes: far.bytes, events: far.events });
    expect(far.allBytes).toBeGreaterThan(far.bytes);
    const points = pointsOf(recording);
    expect(pointsOf((await record(name)).recording)).toEqual(points);
    expect(points.length).toBeGreaterThan(80);
    const dice = new Dice(name);
    for (const kind of new Set(points.map((point) => point.kind))) {
      const crash = dice.pick(crashesAt(dice.pick(points.filter((one) => one.kind === kind))));
      const { violation } = await runCrashes(options(name, [crash]));
      expect([describeCrash(crash), violation]).toEqual([describeCrash(crash), undefined]);
    }
  },
);

test('a moment that never comes is no recovery', async () => {
  const moment = { kind: 'write', nth: 9_999, phase: 'after' } as const;
  const { violation } = await runCrashes(options('cashOut', [{ moment, death: 'kill' }]));
  expect(violation?.promise).toBe('the same run again');
});

describe('idle polls count once', () => {
  const say = (hex: string, truth = 'rest'): Chunk => ({
    direction: 'toDevice',
    nth: 0,
    hex,
    truth,
  });
  const hear = (hex: string): Chunk => ({ direction: 'toHost', nth: 0, hex, truth: 'rest' });
  const count = (...chunks: readonly Chunk[]) => countedChunks(chunks).length;
  const poll = [say('01'), hear('aa')];

  test('the same question with the same answer is one', () => {
    expect(count(...poll, ...poll, ...poll)).toBe(2);
  });

  test('another answer, another question or a note that moved is another', () => {
    expect(count(...poll, say('01'), hear('bb'))).toBe(4);
    expect(count(...poll, say('02'), hear('aa'))).toBe(4);
    expect(count(...poll, say('01', 'moved'), hear('aa'))).toBe(4);
  });

  test('polls after something else count again, once', () => {
    const command = [say('05'), hear('06')];
    expect(count(...poll, ...poll, ...command, ...poll, ...poll)).toBe(6);
  });

  test('a round of several different polls counts once more than one round', () => {
    const round = [say('00'), hear('a0'), say('80'), hear('a8')];
    expect(count(...round, ...round, ...round, ...round)).toBe(6);
  });
});

test('fsyncs of the log are counted between the marks of a trace alone', () => {
  const log = '7 fdatasync(9</x/state.sqlite-wal>)      = 0';
  const mark = (name: string) => `7 fsync(12</tmp/${name}-7>)  = 0`;
  const other = '7 fsync(9</x/state.sqlite>)  = 0';
  const trace = [log, mark('b'), log, other, '8 +++ exited +++', log, mark('e'), log].join('\n');
  expect(tracedWrites(trace, 'b', 'e')).toBe(2);
  expect(() => tracedWrites(log, 'b', 'e')).toThrow('no marks');
});
