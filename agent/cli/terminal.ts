/** What the verbs have in common: where they write, their usual options, and one question. */
import type { Readable, Writable } from 'node:stream';
import { Option } from 'commander';
import type { z } from 'zod';
import type { Clock } from '#protocol/base/clock.ts';
import { systemCode } from '#protocol/base/errors.ts';
import { ask, DEFAULT_SOCKET } from './client.ts';
import { type ExitCode, exitCode } from './exit.ts';

/** Where a command writes, and how the person stops it. */
export interface Terminal {
  readonly out: Writable;
  readonly err: Writable;
  /** Calls back at Ctrl-C, which from then on no longer ends the process by itself. */
  onStop(task: () => void): void;
  /** Asks the person; undefined where there is nobody to ask. */
  readonly confirm?: ((question: string) => Promise<boolean>) | undefined;
  /** Where the person types; undefined where there is nobody to ask. */
  readonly input?: Readable | undefined;
  /** By which waiting is measured; that of this computer unless given. */
  readonly clock?: Clock | undefined;
  /** Whether what is written may have colours. */
  readonly isColoured?: boolean | undefined;
  /** systemd's credentials folder, if there is one. */
  readonly credentialsFolder?: string | undefined;
}

/** Says how the command ends, when it is not by an error. */
export type End = (code: ExitCode) => void;

/** What every verb that asks the agent takes. */
export interface Common {
  readonly socket: string;
  readonly json?: true;
}

/** A process with its streams; `process` itself, outside of tests. */
export interface Host {
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: Writable & { readonly isTTY?: boolean; hasColors?(): boolean };
  readonly stderr: Writable;
  on(signal: 'SIGINT' | 'SIGTERM', task: () => void): unknown;
  exit(code: number): never;
}

/** The terminal of a process. */
export function processTerminal(host: Host, credentialsFolder?: string): Terminal {
  const { stdin, stdout, stderr } = host;
  // A reader that has seen enough (`spire journal | head`) is no fault.
  stdout.on('error', (error) => {
    if (systemCode(error) === 'EPIPE') host.exit(exitCode.done);
    throw error;
  });
  return {
    out: stdout,
    err: stderr,
    onStop: (task) => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) host.on(signal, task);
    },
    confirm: stdin.isTTY ? askPerson : undefined,
    input: stdin.isTTY && stdout.isTTY ? stdin : undefined,
    isColoured: stdout.isTTY && stdout.hasColors?.(),
    credentialsFolder,
  };
}

async function askPerson(question: string): Promise<boolean> {
  // Loaded only here: no other verb asks a person.
  const { confirm } = await import('@clack/prompts');
  // What a program reads is on standard output.
  const output = process.stderr;
  return (await confirm({ message: question, initialValue: false, output })) === true;
}

/** Where the machine's configuration is. */
export const DEFAULT_CONFIG = '/etc/spire/spire.json';

/** Where the agent is asked. */
export const socketOption = (): Option => new Option('--socket <path>').default(DEFAULT_SOCKET);
/** Where the state's files are, for what works on them itself. */
export const stateOption = (): Option => new Option('--state <folder>').default('/var/lib/spire');
/** The machine's configuration, for what is done while the agent is away. */
export const configOption = (): Option => new Option('--config <file>').default(DEFAULT_CONFIG);
/** For programs instead of people. */
export const jsonOption = (): Option => new Option('--json');

/** Asks the agent one thing. @throws CommandError */
export function read<Value>(
  options: Common,
  name: string,
  schema: z.ZodType<Value>,
  silenceMs?: number,
): Promise<Value> {
  return ask({ socketPath: options.socket, path: `/v1/${name}`, schema, silenceMs });
}

/** Writes a value as JSON, or in words. */
export function print(
  terminal: Terminal,
  options: { readonly json?: true },
  value: unknown,
  words: () => string,
): void {
  terminal.out.write(`${options.json ? JSON.stringify(value, null, 2) : words()}\n`);
}
