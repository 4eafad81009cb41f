import { expect, test } from 'vitest';
import { ReasonBoard } from '#agent/watch/reasons.ts';

test('a direction is open while nothing closes it; each finding is its owner’s', () => {
  const board = new ReasonBoard();
  expect([board.open('cashIn'), board.open('cashOut')]).toEqual([true, true]);
  board.set('cashIn', 'cashBox', 'The cash box is full.');
  board.set('cashIn', 'noRate', 'No price.');
  expect([board.open('cashIn'), board.open('cashOut')]).toEqual([false, true]);
  board.set('cashIn', 'cashBox', undefined);
  expect(board.list('cashIn')).toEqual([{ code: 'noRate', text: 'No price.' }]);
  board.set('cashIn', 'noRate', undefined);
  expect(board.open('cashIn')).toBe(true);
});

test('it tells of each change once, and of what is no change not at all', () => {
  const board = new ReasonBoard();
  let told = 0;
  const off = board.subscribe(() => {
    told++;
  });
  board.setBoth('starting', 'Starting.');
  expect(told).toBe(2);
  board.setBoth('starting', 'Starting.');
  board.set('cashIn', 'noRate', undefined);
  expect(told).toBe(2);
  board.set('cashIn', 'starting', 'Still starting.');
  expect(told).toBe(3);
  off();
  board.setBoth('starting', undefined);
  expect(told).toBe(3);
  expect(board.list('cashOut')).toEqual([]);
});
