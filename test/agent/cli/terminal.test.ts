/** The terminal of a process: what a person gets, and what a pipe gets. */
import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { type Host, processTerminal } from '#agent/cli/terminal.ts';

/** A process that only remembers. */
function host(isPerson: boolean) {
  const tty = { isTTY: isPerson, hasColors: () => true };
  const tasks = new Map<string, () => void>();
  const exit = (code: number): never => {
    throw new Error(`ended with ${code}`);
  };
  const stdin = Object.assign(new PassThrough(), { isTTY: isPerson });
  const stdout = Object.assign(new PassThrough(), tty);
  const on: Host['on'] = (signal, task) => tasks.set(signal, task);
  return { tasks, stdin, stdout, stderr: new PassThrough(), on, exit };
}

test('a person is asked, in colours; a program that reads is not', () => {
  const person = host(true);
  const terminal = processTerminal(person, '/run/credentials');
  expect(terminal).toMatchObject({ isColoured: true, credentialsFolder: '/run/credentials' });
  expect(terminal.input).toBe(person.stdin);
  expect(terminal.confirm).toBeTypeOf('function');
  const piped = processTerminal({ ...host(true), stdout: host(false).stdout });
  expect([piped.input, piped.isColoured]).toEqual([undefined, false]);
  expect(piped.confirm).toBeTypeOf('function');
  const program = processTerminal(host(false));
  expect([program.input, program.confirm]).toEqual([undefined, undefined]);
});

test('Ctrl-C and systemd stop the same thing', () => {
  const { tasks, ...rest } = host(false);
  const stop = () => undefined;
  processTerminal(rest).onStop(stop);
  expect([...tasks]).toEqual([
    ['SIGINT', stop],
    ['SIGTERM', stop],
  ]);
});

test('a reader that has seen enough ends it well; any other fault of writing is one', () => {
  const { stdout, ...rest } = host(false);
  processTerminal({ stdout, ...rest });
  const fault = (code: string) => Object.assign(new Error(code), { code });
  expect(() => stdout.emit('error', fault('EPIPE'))).toThrow('ended with 0');
  expect(() => stdout.emit('error', fault('ENOSPC'))).toThrow('ENOSPC');
});
