/** The command line's side of the local API: one question and its checked answer. */
import { existsSync } from 'node:fs';
import { request } from 'node:http';
import type { z } from 'zod';
import { messageOf, systemCode } from '#protocol/base/errors.ts';
import { apiErrorBody } from '../api/errors.ts';
import { ownerToken } from '../api/owner-file.ts';
import { CommandError, type ExitCode, exitCode } from './exit.ts';

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
  throw new CommandError(
    exitCode.fault,
    'The agent gave an answer that this command does not understand: they are of two versions.',
    { cause: answer.error },
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const what = 'What listens there does not speak as the agent does.';
    throw new CommandError(exitCode.fault, what, { cause });
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
    return new CommandError(exitCode.fault, `The agent answered with HTTP status ${status}.`);
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
        if (bytes > ANSWER_BYTES_MAX) sent.destroy(new Error('its answer has no end'));
        else chunks.push(chunk);
      });
      response.on('error', fail);
      response.on('end', () => {
        resolve({ status: response.statusCode, text: Buffer.concat(chunks).toString() });
      });
    });
    sent.on('timeout', () => sent.destroy(new Error(`silent for ${silenceMs / 1_000} s`)));
    sent.on('error', fail);
    sent.end(isPost ? JSON.stringify(body) : undefined);
  });
}

/** Why the agent cannot be reached, and what to do next. */
function unreachable(socketPath: string, cause: unknown): CommandError {
  const code = systemCode(cause);
  if (code === 'EACCES' || code === 'EPERM') {
    return new CommandError(
      exitCode.notPermitted,
      `You may not use ${socketPath}. It is for root and for the group of the socket.`,
      { cause },
    );
  }
  const demo =
    socketPath === DEFAULT_SOCKET && existsSync(DEMO_SOCKET)
      ? `\nThere is a demo in this folder. To ask it, add: --socket ${DEMO_SOCKET}`
      : '';
  if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ENOTSOCK') {
    return new CommandError(
      exitCode.unavailable,
      `The agent is not running: nobody listens on ${socketPath}.${demo}`,
      { cause },
    );
  }
  return new CommandError(
    exitCode.unavailable,
    `The agent does not answer on ${socketPath}: ${messageOf(cause)}`,
    { cause },
  );
}
