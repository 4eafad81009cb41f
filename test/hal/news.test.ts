import { expect, test } from 'vitest';
import type { CashAcceptorStatus } from '#hal/cash-acceptor.ts';
import { Decision, type DecisionInput } from '#hal/decision.ts';
import { AcceptorNews, News, NextNews } from '#hal/news.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

const OFFLINE: CashAcceptorStatus = {
  ...{ device: 'offline', cashBox: 'unknown', powerUp: 'unknown', fault: undefined },
};

test('whoever listens is told until it listens no more', () => {
  const news = new News<number>();
  const heard: number[] = [];
  const off = news.subscribe((value) => heard.push(value));
  news.tell(1);
  off();
  off();
  news.tell(2);
  expect(heard).toEqual([1]);
});

test('a condition is told when it has changed, and is shown by then', () => {
  const news = new AcceptorNews(OFFLINE);
  const seen: string[] = [];
  news.subscribe(() => seen.push(news.shown.device));
  news.show({ ...OFFLINE });
  news.show({ ...OFFLINE, device: 'ready' });
  news.show({ ...OFFLINE, device: 'ready' });
  expect(seen).toEqual(['ready']);
});

test('a wait ends with the next news, or in time', async () => {
  const clock = new VirtualClock();
  const next = new NextNews<string>(clock);
  const both = Promise.all([next.within(1_000), next.within(1_000)]);
  next.tell('here');
  expect(await both).toEqual(['here', 'here']);
  expect(await clock.resolve(next.within(1_000))).toBeUndefined();
  const last = next.within(1_000);
  next.tell(undefined);
  expect(await last).toBeUndefined();
});

const LIMITS = { depositTimeoutMs: 100, returnTimeoutMs: 50 };
const OUTCOME = { kind: 'returned', evidence: 'seen' } as const;

test('a decision that ends is bounded no more', async () => {
  const clock = new VirtualClock();
  const told: string[] = [];
  const step = ({ kind }: DecisionInput) => told.push(kind);
  const decision = new Decision({ clock, ...LIMITS, step });
  decision.end(OUTCOME);
  const first = decision.make('deposit');
  decision.end(OUTCOME);
  expect(await first).toEqual(OUTCOME);
  await clock.advance(1_000);
  expect(told.splice(0)).toEqual(['deposit']);
  const second = decision.make('deposit');
  await clock.advance(99);
  expect(told).toEqual(['deposit']);
  await clock.advance(50);
  expect(told).toEqual(['deposit', 'late']);
  await clock.advance(1);
  expect(told).toEqual(['deposit', 'late', 'gaveUp']);
  decision.end(OUTCOME);
  expect(await second).toEqual(OUTCOME);
  expect(clock.pending).toBe(0);
});

test('being late may be the end', async () => {
  const clock = new VirtualClock();
  const told: string[] = [];
  const step = ({ kind }: DecisionInput) => {
    told.push(kind);
    if (kind === 'late') decision.end(OUTCOME);
  };
  const decision = new Decision({ clock, ...LIMITS, step });
  const outcome = decision.make('return');
  await clock.advance(50);
  expect(told).toEqual(['return', 'late']);
  expect(await outcome).toEqual(OUTCOME);
  await clock.advance(1_000);
  expect(told).toEqual(['return', 'late']);
});
