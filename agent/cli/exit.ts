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
import { type CommandKey, commandVoice } from '../texts/command.ts';
import type { Language, Values } from '../texts/fill.ts';
import { speaker, whyText } from '../texts/technician.ts';

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

/** One or more texts of the catalogue, said one after the other. */
export type Said = readonly (readonly [key: CommandKey, values?: Values])[];

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

/** A command that cannot be done, in words of the catalogue; its message is the English. */
export class SaidError extends CommandError {
  readonly said: Said;
  constructor(exit: ExitCode, said: Said, cause?: unknown) {
    super(exit, textOf(said, 'en'), { cause });
    this.said = said;
  }
}

/** Texts of the catalogue, a line each. */
const textOf = (said: Said, language: Language): string => {
  const say = commandVoice(language);
  return said.map(([key, values]) => say(key, values)).join('\n');
};

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

/**
 * What to write for anything thrown: words for what is foreseen, the stack for what is not. In
 * another language than English only where the catalogue has it.
 */
export function wordsOf(error: unknown, language: Language = 'en'): string {
  if (error instanceof SaidError) return textOf(error.said, language);
  if (error instanceof CommandError && error.refusal?.why && language !== 'en') {
    return whyText(speaker(language), error.refusal.why) ?? error.message;
  }
  if (error instanceof CommandError || error instanceof AtmError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : messageOf(error);
}
