/** The command line's side of the local API: one question and its checked answer. */
import { existsSync } from 'node:fs';
import { request } from 'node:http';
import type { z } from 'zod';
import { messageOf, systemCode } from '#protocol/base/errors.ts';
import { apiErrorBody } from '../api/errors.ts';
import { ownerToken } from '../api/owner-file.ts';
import type { CommandKey } from '../texts/command.ts';
import type { Values } from '../texts/fill.ts';
import { CommandError, type ExitCode, exitCode, type Said, SaidError } from './exit.ts';

/** Where the service listens. */
export const DEFAULT_SOCKET = '/run/spire/agent.sock';
/** Where the demo of this folder listens. */
const DEMO_SOCKET = '.demo/agent.sock';
/** Longest silence of the agent, ms; it answers from memory and a local database. */
const SILENCE_MS = 10_000;
/** Longest answer that is read: a thousand journal entries are about 1 MB. */
const ANSWER_BYTES_MAX = 32 * 1024 * 1024;

/** What is asked, of whom. */
export interface Question<Value> {
  readonly socketPath: string;
  readonly path: string;
  readonly schema: z.ZodType<Value>;
  /** Sent as JSON by POST; without it the question is a GET. */
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
  /** Longest silence until the answer, ms; 10 s unless given. */
  readonly silenceMs?: number | undefined;
  /** Of a sign-in; without it the owner's own is sent by whoever may read it. */
  readonly token?: string | undefined;
}

/** Asks the agent. @throws CommandError with words for the person and the exit code that fits. */
export async function ask<Value>(question: Question<Value>): Promise<Value> {
  const { status, text } = await fetchText(question);
  const body = parseJson(text);
  if (status !== 200) throw refusal(status, body);
  const answer = question.schema.safeParse(body);
  if (answer.success) return answer.data;
  throw new SaidError(exitCode.fault, [['agent.otherVersion']], answer.error);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new SaidError(exitCode.fault, [['agent.stranger']], cause);
  }
}

/** Exit codes for the refusals that are not faults. */
const exitOfRefusal: Record<string, ExitCode> = {
  usage: exitCode.usage,
  notPermitted: exitCode.notPermitted,
  notAuthorized: exitCode.notPermitted,
  busy: exitCode.tryAgain,
  sequenceError: exitCode.tryAgain,
  tooManyTries: exitCode.tryAgain,
};

function refusal(status: number | undefined, body: unknown): CommandError {
  const parsed = apiErrorBody.safeParse(body);
  if (!parsed.success) {
    return new SaidError(exitCode.fault, [['agent.status', { status: status ?? 0 }]]);
  }
  const { code, reason, why } = parsed.data;
  const exit = exitOfRefusal[code] ?? exitCode.fault;
  return new CommandError(exit, reason, {}, { code, why });
}

function fetchText<Value>(
  question: Question<Value>,
): Promise<{ readonly status: number | undefined; readonly text: string }> {
  const { socketPath, path, body, signal, silenceMs = SILENCE_MS } = question;
  const token = question.token ?? ownerToken(socketPath);
  const isPost = body !== undefined;
  const method = isPost ? 'POST' : 'GET';
  const headers = {
    ...(isPost ? { 'content-type': 'application/json' } : {}),
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  };
  const options = { socketPath, path, method, headers, signal, timeout: silenceMs };
  return new Promise((resolve, reject) => {
    const fail = (error: unknown) =>
      reject(signal?.aborted ? error : unreachable(socketPath, error));
    const sent = request(options, (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > ANSWER_BYTES_MAX)
          sent.destroy(unavailable('agent.endless', { socket: socketPath }));
        else chunks.push(chunk);
      });
      response.on('error', fail);
      response.on('end', () => {
        resolve({ status: response.statusCode, text: Buffer.concat(chunks).toString() });
      });
    });
    sent.on('timeout', () => {
      sent.destroy(
        unavailable('agent.silentFor', { socket: socketPath, seconds: silenceMs / 1_000 }),
      );
    });
    sent.on('error', fail);
    sent.end(isPost ? JSON.stringify(body) : undefined);
  });
}

const unavailable = (key: CommandKey, values: Values, cause?: unknown): CommandError =>
  new SaidError(exitCode.unavailable, [[key, values]], cause);

/** Why the agent cannot be reached, and what to do next. */
function unreachable(socket: string, cause: unknown): CommandError {
  if (cause instanceof CommandError) return cause;
  const code = systemCode(cause);
  if (code === 'EACCES' || code === 'EPERM') {
    return new SaidError(exitCode.notPermitted, [['agent.notYours', { socket }]], cause);
  }
  if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ENOTSOCK') {
    const isDemoHere = socket === DEFAULT_SOCKET && existsSync(DEMO_SOCKET);
    const demo: Said = isDemoHere ? [['agent.demo', { socket: DEMO_SOCKET }]] : [];
    const said: Said = [['agent.notRunning', { socket }], ...demo];
    return new SaidError(exitCode.unavailable, said, cause);
  }
  return unavailable('agent.silent', { socket, why: messageOf(cause) }, cause);
}
