/** How a command ends: the exit codes of design 15, and the error that carries one. */
import {
  AtmError,
  ConfigError,
  messageOf,
  RelayError,
  StoreError,
  systemCode,
} from '#protocol/base/errors.ts';
import type { ApiErrorBody } from '../api/errors.ts';

/** Exit codes; from 69 on those of sysexits.h. */
export const exitCode = {
  done: 0,
  fault: 1,
  usage: 2,
  unavailable: 69,
  tryAgain: 75,
  notPermitted: 77,
  configuration: 78,
} as const;
/** One of the exit codes. */
export type ExitCode = (typeof exitCode)[keyof typeof exitCode];

/** How the agent said no. */
export type AgentRefusal = Pick<ApiErrorBody, 'code' | 'why'>;

/** A command that cannot be done; the message is what the person at the keyboard reads. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly exit: ExitCode;
  /** The agent's own words for programs, when it was the agent that refused. */
  readonly refusal: AgentRefusal | undefined;
  constructor(exit: ExitCode, message: string, options?: ErrorOptions, refusal?: AgentRefusal) {
    super(message, options);
    this.exit = exit;
    this.refusal = refusal;
  }
}

/** Whether an error, or what caused it, is the system's refusal of access. */
function isRefusedAccess(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = systemCode(error);
  return code === 'EACCES' || code === 'EPERM' || isRefusedAccess(error.cause);
}

/** The exit code for anything thrown. */
export function exitOf(error: unknown): ExitCode {
  if (error instanceof CommandError) return error.exit;
  if (isRefusedAccess(error)) return exitCode.notPermitted;
  if (error instanceof ConfigError) return exitCode.configuration;
  const mayPass = error instanceof RelayError || error instanceof StoreError;
  if (mayPass && ['timeOut', 'unreachable', 'locked'].includes(error.code)) {
    return exitCode.tryAgain;
  }
  return exitCode.fault;
}

/** What to write for anything thrown: words for what is foreseen, the stack for what is not. */
export function wordsOf(error: unknown): string {
  if (error instanceof CommandError || error instanceof AtmError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : messageOf(error);
}
