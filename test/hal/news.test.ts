import { expect, test } from 'vitest';
import type { CashAcceptorStatus } from '#hal/cash-acceptor.ts';
import { Decision } from '#hal/decision.ts';
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

const OUTCOME = { kind: 'returned', evidence: 'seen' } as const;

test('a decision that ends is bounded no more', async () => {
  const clock = new VirtualClock();
  const decision = new Decision(clock);
  const told: string[] = [];
  const onBound = ({ kind }: { kind: string }) => told.push(kind);
  decision.end(OUTCOME);
  const first = decision.begin({ limitMs: 100, lastMs: 50, onBound });
  decision.end(OUTCOME);
  expect(await first).toEqual(OUTCOME);
  await clock.advance(1_000);
  expect(told).toEqual([]);
  const second = decision.begin({ limitMs: 100, lastMs: 50, onBound });
  await clock.advance(149);
  expect(told).toEqual(['late']);
  await clock.advance(1);
  expect(told).toEqual(['late', 'gaveUp']);
  decision.end(OUTCOME);
  expect(await second).toEqual(OUTCOME);
  expect(clock.pending).toBe(0);
});

test('being late may be the end', async () => {
  const clock = new VirtualClock();
  const decision = new Decision(clock);
  const told: string[] = [];
  const outcome = decision.begin({
    ...{ limitMs: 100, lastMs: 50 },
    onBound: ({ kind }) => {
      told.push(kind);
      decision.end(OUTCOME);
    },
  });
  expect(await clock.resolve(outcome)).toEqual(OUTCOME);
  await clock.advance(1_000);
  expect(told).toEqual(['late']);
});
