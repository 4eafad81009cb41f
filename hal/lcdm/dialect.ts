/** What the line needs to know of an ID's words. */
import { ID30, type LcdmId } from './wire.ts';

/** One command: its code, the sizes of its bodies, and whether a note may move by it. */
export interface LcdmCommand {
  readonly code: number;
  readonly requestBytes: number;
  /** Sizes the response may have, ascending. */
  readonly responseBytes: readonly number[];
  readonly moves: boolean;
}

/** A command by which nothing moves: it may be repeated. */
export type LcdmQuestion = LcdmCommand & { readonly moves: false };
/** A command by which a note may move: it is sent once. */
export type LcdmMove = LcdmCommand & { readonly moves: true };

/** The commands of one ID, and how an exchange ends. */
export interface LcdmDialect {
  readonly id: LcdmId;
  readonly commands: Readonly<Record<string, LcdmCommand>>;
  readonly status: LcdmQuestion;
  /** The device says EOT when it has heard the ACK of its response. */
  readonly hasEnd: boolean;
}

/** What units with an ID are called, for messages. */
export function nameOfId(id: LcdmId): string {
  return id === ID30 ? 'LCDM-4000 (ID 30)' : 'LCDM-1000 or LCDM-2000 (ID 50)';
}

/** The command with a code; undefined for none of this dialect's. */
export function commandOf(dialect: LcdmDialect, code: number): LcdmCommand | undefined {
  return Object.values(dialect.commands).find((command) => command.code === code);
}

/** Sizes of a response's body by its command's code, for the framer. */
export function responseSizes(dialect: LcdmDialect): (code: number) => readonly number[] {
  const sizes = new Map(
    Object.values(dialect.commands).map(({ code, responseBytes }) => [code, responseBytes]),
  );
  return (code) => sizes.get(code) ?? [];
}
