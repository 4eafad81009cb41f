/** One question at a time, in a terminal of 80x24; all of its words come from outside. */
import assert from 'node:assert';
import type { Readable, Writable } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { log, note, password, select, text } from '@clack/prompts';

/** The person has stopped with Ctrl-C, or the line is gone. What was answered stands. */
export class Stopped extends Error {
  override readonly name = 'Stopped';
}

/** One line to choose. */
export interface Choice<Value extends string> {
  readonly value: Value;
  readonly label: string;
}

/** Judges what was typed: undefined when it will do, or the words that say why not. */
export type Judge = (typed: string) => string | undefined;

/** A person at a terminal. Every question rejects with `Stopped` at Ctrl-C. */
export interface Prompter {
  choose<Value extends string>(message: string, choices: readonly Choice<Value>[]): Promise<Value>;
  /** A line of text without blanks at its ends; `hint` is what stands below the question. */
  type(message: string, options?: { judge?: Judge; hint?: string }): Promise<string>;
  /** The same, shown as stars. */
  secret(message: string, judge: Judge): Promise<string>;
  tell(words: string): void;
  /** A failure or a refusal. */
  warn(words: string): void;
  /** Several lines under a title. */
  show(title: string, lines: readonly string[]): void;
  /** Lines as they are, such as a QR code. */
  print(lines: string): void;
}

/** A name typed on a line that echoes control characters stays a name. */
const cleaned = (typed: string | undefined): string =>
  stripVTControlCharacters(typed ?? '')
    .replaceAll(/\p{Cc}/gu, '')
    .trim();

/** The prompts of this terminal. */
export function terminalPrompter(input: Readable, output: Writable): Prompter {
  const common = { input, output };
  const judged = (judge: Judge | undefined) => (typed: string | undefined) =>
    judge?.(cleaned(typed));
  return {
    choose: async <Value extends string>(message: string, choices: readonly Choice<Value>[]) => {
      const options = choices.map(({ value, label }) => ({ value: String(value), label }));
      // The library's instructions are in English.
      const asked = select({ ...common, message, options, showInstructions: false });
      const chosen = answered(await asked);
      const found = choices.find(({ value }) => value === chosen);
      assert(found, 'only what is offered can be chosen');
      return found.value;
    },
    type: async (message, { judge, hint } = {}) => {
      const placeholder = hint === undefined ? {} : { placeholder: hint };
      const asked = text({ ...common, message, ...placeholder, validate: judged(judge) });
      return cleaned(answered(await asked));
    },
    secret: async (message, judge) => {
      return cleaned(answered(await password({ ...common, message, validate: judged(judge) })));
    },
    tell: (words) => log.info(words, { output }),
    warn: (words) => log.warn(words, { output }),
    show: (title, lines) => note(lines.join('\n'), title, { output }),
    print: (lines) => {
      output.write(`${lines}\n`);
    },
  };
}

/** @throws Stopped at Ctrl-C. */
function answered(answer: string | symbol): string {
  if (typeof answer !== 'string') throw new Stopped();
  return answer;
}
