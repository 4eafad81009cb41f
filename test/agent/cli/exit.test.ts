import { expect, test } from 'vitest';
import { CommandError, exitOf, wordsOf } from '#agent/cli/exit.ts';
import { AtmError, ConfigError, RelayError, StoreError } from '#protocol/base/errors.ts';

const refusedAccess = Object.assign(new Error('no'), { code: 'EACCES' });

test.each([
  ['a command', new CommandError(69, 'x'), 69],
  ['a configuration', new ConfigError('invalidData', 'x'), 78],
  ['a silent bunker', new RelayError('timeOut', 'x'), 75],
  ['a bunker that refuses', new RelayError('refused', 'x'), 1],
  ['a state that is held', new StoreError('locked', 'x'), 75],
  ['a damaged state', new StoreError('corrupt', 'x'), 1],
  ['a file of another user', new StoreError('hardwareError', 'x', { cause: refusedAccess }), 77],
  ['a bug', new TypeError('x'), 1],
  ['what is no error', 'x', 1],
])('%s has its exit code', (_name, error, code) => {
  expect(exitOf(error)).toBe(code);
});

test('what is foreseen is said in words, what is not with its place in the code', () => {
  expect(wordsOf(new CommandError(69, 'Words.'))).toBe('Words.');
  expect(wordsOf(new AtmError('locked', 'Words'))).toBe('Words (locked)');
  expect(wordsOf(new TypeError('x'))).toContain('    at ');
  expect(wordsOf('x')).toBe('x');
});
