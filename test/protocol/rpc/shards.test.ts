import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Shard } from '#protocol/rpc/dialect.ts';
import {
  AGE_MAX_MS,
  CHARACTERS_MAX,
  PARTS_MAX,
  ShardBuffer,
  UNFINISHED_MAX,
} from '#protocol/rpc/shards.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

function cut(text: string, totalShards: number, shardsId: string): Shard[] {
  const size = Math.ceil(text.length / totalShards);
  return Array.from({ length: totalShards }, (_, index) => ({
    part: text.slice(index * size, (index + 1) * size),
    index,
    totalShards,
    shardsId,
  }));
}

test('parts in any order, some twice, from two senders with one id, give each their text', () => {
  const answer = fc.record({
    text: fc.string({ maxLength: 200 }),
    parts: fc.integer({ min: 1, max: 9 }),
  });
  const deal = fc.record({
    one: answer,
    other: answer,
    order: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 40, maxLength: 40 }),
    repeated: fc.nat(8),
  });
  fc.assert(
    fc.property(deal, ({ one, other, order, repeated }) => {
      const buffer = new ShardBuffer(new VirtualClock());
      const all = [
        ...cut(one.text, one.parts, 'same').map((shard) => ({ sender: 'one', shard })),
        ...cut(other.text, other.parts, 'same').map((shard) => ({ sender: 'other', shard })),
      ];
      const again = all[repeated % all.length];
      const dealt = again && one.parts > 1 && other.parts > 1 ? [again, ...all] : all;
      const shuffled = dealt
        .map((item, index) => ({ item, key: order[index] ?? 0 }))
        .sort((a, b) => a.key - b.key);
      const whole: Record<string, string[]> = { one: [], other: [] };
      for (const { item } of shuffled) {
        const outcome = buffer.add(item.sender, item.shard, [item.sender]);
        expect(outcome.kind).not.toBe('dropped');
        if (outcome.kind !== 'whole') continue;
        whole[item.sender]?.push(outcome.text);
        expect(outcome.eventIds).toEqual([item.sender]);
      }
      expect(whole).toEqual({ one: [one.text], other: [other.text] });
    }),
  );
});

test('too many parts are dropped before any is kept', () => {
  const buffer = new ShardBuffer(new VirtualClock());
  const shard = { part: 'x', index: 0, totalShards: PARTS_MAX + 1, shardsId: 'a' };
  expect(buffer.add('s', shard, []).kind).toBe('dropped');
  expect(buffer.add('s', { ...shard, index: 2, totalShards: 2 }, []).kind).toBe('dropped');
  expect(buffer.size).toBe(0);
});

test('an answer longer than the bound is dropped as soon as it is', () => {
  const buffer = new ShardBuffer(new VirtualClock());
  const part = 'x'.repeat(CHARACTERS_MAX / 2);
  const shard = { part, index: 0, totalShards: 3, shardsId: 'a' };
  expect(buffer.add('s', shard, []).kind).toBe('waiting');
  expect(buffer.add('s', { ...shard, index: 1 }, []).kind).toBe('waiting');
  expect(buffer.add('s', { ...shard, index: 2, part: 'x' }, []).kind).toBe('dropped');
  expect(buffer.size).toBe(0);
});

test('parts that contradict each other are dropped', () => {
  const buffer = new ShardBuffer(new VirtualClock());
  const shard = { part: 'x', index: 0, totalShards: 2, shardsId: 'a' };
  buffer.add('s', shard, []);
  expect(buffer.add('s', { ...shard, part: 'y' }, []).kind).toBe('dropped');
  buffer.add('s', shard, []);
  expect(buffer.add('s', { ...shard, index: 1, totalShards: 3 }, []).kind).toBe('dropped');
});

test('unfinished answers are forgotten by age and by number', async () => {
  const clock = new VirtualClock();
  const buffer = new ShardBuffer(clock);
  const shard = (shardsId: string, index: number) => ({
    part: 'x',
    index,
    totalShards: 2,
    shardsId,
  });
  buffer.add('s', shard('old', 0), []);
  await clock.advance(AGE_MAX_MS + 1);
  expect(buffer.add('s', shard('old', 1), []).kind).toBe('waiting');
  for (let count = 0; count < 3 * UNFINISHED_MAX; count++)
    buffer.add('s', shard(`${count}`, 0), []);
  expect(buffer.size).toBe(UNFINISHED_MAX);
  expect(buffer.add('s', shard('0', 1), []).kind).toBe('waiting');
  const newest = 3 * UNFINISHED_MAX - 1;
  expect(buffer.add('s', shard(`${newest}`, 1), []).kind).toBe('whole');
});
